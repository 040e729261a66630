//! [`Receipt`] and [`Represent`]: what a caller finds with an answer that was paid for.

use super::PaidButLost;
use std::fmt;
use std::ops::Deref;
use tollway_core::{PaymentPayload, SettleResponse};

/// The receipt of a paid answer, in the response's extensions: `response.extensions().get::<Receipt>()`.
///
/// It is what the server says. Whoever needs proof looks up the transaction.
#[derive(Debug, Clone, PartialEq)]
pub struct Receipt(pub(super) SettleResponse);

impl Receipt {
    /// The receipt as the server sent it.
    pub fn response(&self) -> &SettleResponse {
        &self.0
    }

    /// The same, to keep.
    pub fn into_inner(self) -> SettleResponse {
        self.0
    }
}

impl Deref for Receipt {
    type Target = SettleResponse;

    fn deref(&self) -> &SettleResponse {
        &self.0
    }
}

/// A payment to present again instead of making one, as an extension of a request.
///
/// Every paid answer carries one, so that a payment the server could not settle yet (502, `settlement_pending`) can be
/// presented again.
#[derive(Clone)]
#[non_exhaustive]
pub struct Represent {
    /// The payment.
    pub payment: PaymentPayload,
    /// The origin it was made for, such as `https://api.example.com`; it is shown to no other.
    pub origin: String,
}

impl Represent {
    /// A payment from a journal.
    pub fn new(payment: PaymentPayload, origin: impl Into<String>) -> Self {
        Self { payment, origin: origin.into() }
    }
}

impl From<&PaidButLost> for Represent {
    fn from(lost: &PaidButLost) -> Self {
        Self::new(lost.payment.clone(), lost.origin.clone())
    }
}

impl fmt::Debug for Represent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the payment: it is good for money until it is settled.
        f.debug_struct("Represent").field("origin", &self.origin).finish_non_exhaustive()
    }
}

/// Sends a request with a payment that was made before, and never signs another. The request is the one the payment
/// was made for; the server answers it once, however often it is presented.
///
/// # Errors
/// As any request; the answer may be lost again.
pub async fn present(
    request: reqwest_middleware::RequestBuilder,
    payment: impl Into<Represent>,
) -> reqwest_middleware::Result<reqwest::Response> {
    request.with_extension(payment.into()).send().await
}
