//! [`PayError`]: why a challenge was not paid.

use std::fmt;
use tollway_core::Failure;

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
        }
    }
}

impl std::error::Error for PayError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Sign(why) | Self::Extension { why, .. } => Some(why),
            _ => None,
        }
    }
}
