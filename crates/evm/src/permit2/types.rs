//! What travels: the payloads of `exact` by Permit2 and of `upto`.

use super::check::Examined;
use super::contracts::Permit;
use crate::address::checksummed;
use crate::exact::types::word_of;
use alloy::primitives::Address;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use std::sync::OnceLock;
use tollway_core::Amount;

/// A permit of `exact`. On the wire `{ signature, permit2Authorization }`, in this order.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Permit2Payload {
    /// The signature as it came: `0x` and hexadecimal digits, 65 bytes of ECDSA for an account without code.
    pub signature: String,
    /// What is signed, and by whom.
    pub permit2_authorization: Permit2Authorization,
    /// What the local checks found, so that the chain's half need not do them again.
    #[serde(skip)]
    pub(crate) examined: OnceLock<Box<Examined>>,
}

impl Permit2Payload {
    /// A payload with its signature in text.
    pub fn new(permit2_authorization: Permit2Authorization, signature: impl Into<String>) -> Self {
        Self { signature: signature.into(), permit2_authorization, examined: OnceLock::new() }
    }
}

/// A permit of `upto`. On the wire as one of `exact`, with one more member in its witness.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct UptoPayload {
    /// The signature, as that of [`Permit2Payload`].
    pub signature: String,
    /// What is signed, and by whom.
    pub permit2_authorization: UptoAuthorization,
    /// What the local checks found.
    #[serde(skip)]
    pub(crate) examined: OnceLock<Box<Examined>>,
}

impl UptoPayload {
    /// A payload with its signature in text.
    pub fn new(permit2_authorization: UptoAuthorization, signature: impl Into<String>) -> Self {
        Self { signature: signature.into(), permit2_authorization, examined: OnceLock::new() }
    }
}

/// Why a payload without the witness of `upto` is refused; told from other errors by this text.
pub(crate) const NOT_UPTO: &str = "the payload carries no `permit2Authorization` whose witness names a facilitator";

impl<'de> Deserialize<'de> for UptoPayload {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Wire {
            permit2_authorization: Option<Value>,
            signature: Option<String>,
        }
        let wire = Wire::deserialize(deserializer)?;
        let authorization = wire.permit2_authorization.ok_or_else(|| D::Error::custom(NOT_UPTO))?;
        if !authorization["witness"]["facilitator"].is_string() {
            return Err(D::Error::custom(NOT_UPTO));
        }
        let authorization = UptoAuthorization::deserialize(authorization).map_err(D::Error::custom)?;
        let signature = wire.signature.ok_or_else(|| D::Error::missing_field("signature"))?;
        Ok(Self::new(authorization, signature))
    }
}

/// A permit of `exact`. Amounts, times and the nonce are decimal strings on the wire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Permit2Authorization {
    /// Who pays. Not signed; whose signature it is tells.
    #[serde(with = "checksummed")]
    pub from: Address,
    /// The token and the most of it.
    pub permitted: Permitted,
    /// Who may carry it out: the proxy of `exact`.
    #[serde(with = "checksummed")]
    pub spender: Address,
    /// A random number that makes the payment itself.
    pub nonce: Amount,
    /// Unix seconds; the chain accepts it up to and including this.
    pub deadline: Amount,
    /// What else is signed.
    pub witness: Witness,
}

/// A permit of `upto`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct UptoAuthorization {
    /// Who pays. Not signed; whose signature it is tells.
    #[serde(with = "checksummed")]
    pub from: Address,
    /// The token and the most of it.
    pub permitted: Permitted,
    /// Who may carry it out: the proxy of `upto`.
    #[serde(with = "checksummed")]
    pub spender: Address,
    /// A random number that makes the payment itself.
    pub nonce: Amount,
    /// Unix seconds; the chain accepts it up to and including this.
    pub deadline: Amount,
    /// What else is signed.
    pub witness: UptoWitness,
}

/// A token and an amount of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Permitted {
    /// The token's contract.
    #[serde(with = "checksummed")]
    pub token: Address,
    /// Atomic units.
    pub amount: Amount,
}

/// The witness of `exact`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Witness {
    /// Who receives.
    #[serde(with = "checksummed")]
    pub to: Address,
    /// Unix seconds; the chain accepts it from this on.
    pub valid_after: Amount,
}

/// The witness of `upto`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct UptoWitness {
    /// Who receives.
    #[serde(with = "checksummed")]
    pub to: Address,
    /// The only account that may carry it out.
    #[serde(with = "checksummed")]
    pub facilitator: Address,
    /// Unix seconds; the chain accepts it from this on.
    pub valid_after: Amount,
}

impl Permit2Authorization {
    pub(crate) fn permit(&self) -> Permit {
        Permit {
            owner: self.from,
            token: self.permitted.token,
            amount: word_of(self.permitted.amount),
            spender: self.spender,
            nonce: word_of(self.nonce),
            deadline: word_of(self.deadline),
            to: self.witness.to,
            facilitator: None,
            valid_after: word_of(self.witness.valid_after),
        }
    }
}

impl UptoAuthorization {
    pub(crate) fn permit(&self) -> Permit {
        Permit {
            owner: self.from,
            token: self.permitted.token,
            amount: word_of(self.permitted.amount),
            spender: self.spender,
            nonce: word_of(self.nonce),
            deadline: word_of(self.deadline),
            to: self.witness.to,
            facilitator: Some(self.witness.facilitator),
            valid_after: word_of(self.witness.valid_after),
        }
    }
}

/// A word as an amount.
pub(crate) fn amount_of(word: alloy::primitives::U256) -> Amount {
    Amount::from_be_bytes(word.to_be_bytes())
}

impl Permit {
    /// As a payload of `exact` carries it.
    pub(crate) fn to_exact(self) -> Permit2Authorization {
        Permit2Authorization {
            from: self.owner,
            permitted: Permitted { token: self.token, amount: amount_of(self.amount) },
            spender: self.spender,
            nonce: amount_of(self.nonce),
            deadline: amount_of(self.deadline),
            witness: Witness { to: self.to, valid_after: amount_of(self.valid_after) },
        }
    }

    /// As a payload of `upto` carries it.
    pub(crate) fn to_upto(self, facilitator: Address) -> UptoAuthorization {
        UptoAuthorization {
            from: self.owner,
            permitted: Permitted { token: self.token, amount: amount_of(self.amount) },
            spender: self.spender,
            nonce: amount_of(self.nonce),
            deadline: amount_of(self.deadline),
            witness: UptoWitness { to: self.to, facilitator, valid_after: amount_of(self.valid_after) },
        }
    }
}
