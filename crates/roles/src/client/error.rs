//! [`PayError`]: why a challenge was not paid.

use std::fmt;
use tollway_core::{Failure, Fault};

/// Why nothing was paid. Nothing was signed, or what was signed was not given out.
#[derive(Debug)]
#[non_exhaustive]
pub enum PayError {
    /// The challenge is not of version 2.
    Version(u64),
    /// No offer is one this client can or will pay: each with the reason.
    NoOffer(Vec<(String, String)>),
    /// A hook or the chooser said no.
    Refused(String),
    /// The scheme refused to sign, or could not.
    Sign(Failure),
    /// An extension could not do its part.
    Extension {
        /// The extension.
        key: &'static str,
        /// Why.
        why: Failure,
    },
    /// The budget does not allow it. Says what is left.
    Budget(String),
    /// The books could not be read or written. What was signed, if anything was, was not given out.
    Books(Fault),
    /// A payment was made for the same request, its answer was lost, and the server does not make that offer any more.
    /// Nothing is signed before that payment is proven dead.
    Unsettled {
        /// Unix seconds after which it can be.
        until: u64,
    },
    /// A payment was made for the same request and its answer was lost. It counts as spent; to ask again is to pay again.
    PaidBefore {
        /// Whether the chain says so. If not, it could not be asked.
        proven: bool,
    },
}

impl fmt::Display for PayError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version(version) => {
                write!(f, "the challenge is of x402 version {version}; this client speaks version 2")
            }
            Self::NoOffer(reasons) if reasons.is_empty() => f.write_str("the challenge makes no offer to pay"),
            Self::NoOffer(reasons) => {
                f.write_str("no offer can be paid")?;
                reasons.iter().try_for_each(|(offer, why)| write!(f, "; {offer}: {why}"))
            }
            Self::Refused(why) => write!(f, "not paid: {why}"),
            Self::Sign(why) => write!(f, "not signed: {why}"),
            Self::Extension { key, why } => write!(f, "the extension `{key}` stopped the payment: {why}"),
            Self::Budget(why) => write!(f, "not paid: {why}"),
            Self::Books(why) => write!(f, "not paid, since the books could not be kept: {why}"),
            Self::Unsettled { until } => write!(
                f,
                "not paid: a payment for the same request is open until {until} (Unix seconds) and no longer offered; ask \
                 the server for its answer, or try again after that"
            ),
            Self::PaidBefore { proven } => write!(
                f,
                "not paid: a payment for the same request {} settled and its answer was lost; it counts as spent. Send \
                 the request again to pay again",
                if *proven { "was" } else { "may have been" }
            ),
        }
    }
}

impl std::error::Error for PayError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Sign(why) | Self::Extension { why, .. } => Some(why),
            Self::Books(why) => Some(why),
            _ => None,
        }
    }
}
