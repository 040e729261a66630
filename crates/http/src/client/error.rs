//! [`PaymentError`]: why a request was not paid, or what became of one that was.

use crate::header::{HeaderError, MAX_HEADER};
use std::fmt;
use tollway_core::PaymentPayload;
use tollway_roles::PayError;

/// Why a client could not pay, found in an error of a request by [`PaymentError::of`].
#[derive(Debug)]
#[non_exhaustive]
pub enum PaymentError {
    /// The request carried a payment before the client could make one.
    AlreadyAttempted,
    /// The request's body is a stream, which cannot be sent a second time. Nothing was signed.
    BodyNotRepeatable,
    /// A 402 without a `PAYMENT-REQUIRED` header.
    NoChallenge,
    /// The challenge could not be read.
    BadChallenge(HeaderError),
    /// The challenge came from elsewhere than was asked.
    Redirected {
        /// Where it came from, without the query.
        to: String,
    },
    /// A payment was to be presented to another origin than it was made for.
    OtherOrigin {
        /// The origin it was made for.
        paid: String,
        /// The origin of the request.
        asked: String,
    },
    /// No offer was paid.
    NotPaid(PayError),
    /// The payment does not fit a header. It was not sent.
    TooLong(usize),
    /// The payment could not be written as a header. It was not sent.
    BadPayment(HeaderError),
    /// The client for payments could not be made. Nothing was signed.
    Client(String),
    /// The request was paid and its answer lost.
    Lost(Box<PaidButLost>),
}

/// A paid request whose answer was lost on the way. Whether the money moved is not known: present the same payment
/// again with [`present`](crate::present), and never sign another one before this one is proven dead.
#[non_exhaustive]
pub struct PaidButLost {
    /// The payment.
    pub payment: PaymentPayload,
    /// The origin it was made for.
    pub origin: String,
    /// What went wrong.
    pub why: reqwest_middleware::Error,
}

impl PaidButLost {
    pub(super) fn new(payment: PaymentPayload, origin: String, why: reqwest_middleware::Error) -> Self {
        Self { payment, origin, why: why.without_url() }
    }
}

impl fmt::Debug for PaidButLost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the payment: it is good for money until it is settled.
        f.debug_struct("PaidButLost").field("origin", &self.origin).field("why", &self.why).finish_non_exhaustive()
    }
}

impl PaymentError {
    /// The payment's part in an error of a request, if it has one.
    pub fn of(error: &reqwest_middleware::Error) -> Option<&Self> {
        match error {
            reqwest_middleware::Error::Middleware(why) => why.downcast_ref(),
            reqwest_middleware::Error::Reqwest(_) => None,
        }
    }

    /// The payment whose answer was lost, if that is what an error of a request means.
    pub fn lost(error: &reqwest_middleware::Error) -> Option<&PaidButLost> {
        match Self::of(error) {
            Some(Self::Lost(lost)) => Some(lost),
            _ => None,
        }
    }

    pub(super) fn into_middleware(self) -> reqwest_middleware::Error {
        reqwest_middleware::Error::middleware(self)
    }
}

impl fmt::Display for PaymentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AlreadyAttempted => f.write_str(
                "Payment already attempted: the request carries a payment; take the header off and let this client \
                 pay, or present a payment again with `tollway_http::present`",
            ),
            Self::BodyNotRepeatable => f.write_str(
                "402, and the request's body is a stream that cannot be sent again; give it as bytes or text. \
                 Nothing was signed",
            ),
            Self::NoChallenge => f.write_str(
                "402 without a PAYMENT-REQUIRED header; the server does not speak x402 version 2, or something on \
                 the way removed the header",
            ),
            Self::BadChallenge(why) => write!(f, "402 with a PAYMENT-REQUIRED header that cannot be read: {why}"),
            Self::Redirected { to } => {
                write!(f, "402 from {to}, to where the request was redirected; send it there if you mean to pay there")
            }
            Self::OtherOrigin { paid, asked } => {
                write!(f, "the payment was made for {paid} and must not be shown to {asked}")
            }
            Self::NotPaid(why) => why.fmt(f),
            Self::TooLong(length) => {
                write!(f, "the payment is {length} bytes long as a header, servers read {MAX_HEADER}; it was not sent")
            }
            Self::BadPayment(why) => write!(f, "the payment could not be written as a header ({why}); it was not sent"),
            Self::Client(why) => write!(f, "the HTTP client for payments could not be made: {why}"),
            Self::Lost(lost) => lost.fmt(f),
        }
    }
}

impl fmt::Display for PaidButLost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "paid, and the answer of {} was lost ({}); present the same payment again with `tollway_http::present`",
            self.origin, self.why
        )
    }
}

impl std::error::Error for PaymentError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::BadChallenge(why) | Self::BadPayment(why) => Some(why),
            Self::NotPaid(why) => Some(why),
            Self::Lost(lost) => Some(&lost.why),
            _ => None,
        }
    }
}
