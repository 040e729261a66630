//! What travels: the payload of an EIP-3009 payment and the offer's `extra` (specification `exact` on EVM, §2).

use crate::address::{checksummed, word};
use crate::eip712::Transfer;
use crate::erc6492::Deployment;
use crate::permit2::{Permit2Authorization, Permit2Payload};
use crate::signature::Received;
use alloy::primitives::{Address, B256, U256};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use std::sync::OnceLock;
use tollway_core::Amount;

/// What a payer sends, told apart by its key: `authorization` for EIP-3009, `permit2Authorization` for Permit2.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum Payload {
    /// A transfer signed for the token itself.
    Eip3009(Eip3009Payload),
    /// A transfer signed for Permit2.
    Permit2(Permit2Payload),
}

impl Payload {
    /// The EIP-3009 transfer, where it is one.
    pub fn eip3009(&self) -> Option<&Eip3009Payload> {
        match self {
            Self::Eip3009(payload) => Some(payload),
            Self::Permit2(_) => None,
        }
    }
}

/// A signed EIP-3009 transfer. On the wire `{ authorization, signature }`, in this order.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Eip3009Payload {
    /// What is signed.
    pub authorization: Authorization,
    /// The signature as it came: `0x` and hexadecimal digits, 65 bytes of ECDSA for an account without code.
    pub signature: String,
    /// What the local checks found, so that the chain's half need not do them again.
    #[serde(skip)]
    pub(crate) examined: OnceLock<Examined>,
}

impl Eip3009Payload {
    /// A payload with its signature in text.
    pub fn new(authorization: Authorization, signature: impl Into<String>) -> Self {
        Self { authorization, signature: signature.into(), examined: OnceLock::new() }
    }
}

/// Why a payload with neither key is refused; told from other errors by this text.
pub(super) const OTHER_KIND: &str = "the payload carries neither `authorization` nor `permit2Authorization`";

impl<'de> Deserialize<'de> for Payload {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Wire {
            authorization: Option<Authorization>,
            permit2_authorization: Option<Permit2Authorization>,
            signature: Option<String>,
        }
        let wire = Wire::deserialize(deserializer)?;
        let signature = |given: Option<String>| given.ok_or_else(|| D::Error::missing_field("signature"));
        match (wire.authorization, wire.permit2_authorization) {
            (Some(authorization), None) => {
                Ok(Self::Eip3009(Eip3009Payload::new(authorization, signature(wire.signature)?)))
            }
            (None, Some(authorization)) => {
                Ok(Self::Permit2(Permit2Payload::new(authorization, signature(wire.signature)?)))
            }
            (None, None) => Err(D::Error::custom(OTHER_KIND)),
            // Peers differ in which of the two they would read: two payments in one.
            (Some(_), Some(_)) => Err(D::Error::custom("the payload carries both kinds of authorization")),
        }
    }
}

/// The six signed members. Amounts and times are decimal strings on the wire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Authorization {
    /// Who pays.
    #[serde(with = "checksummed")]
    pub from: Address,
    /// Who receives.
    #[serde(with = "checksummed")]
    pub to: Address,
    /// Atomic units.
    pub value: Amount,
    /// Unix seconds; the chain accepts it later than this.
    pub valid_after: Amount,
    /// Unix seconds; the chain accepts it earlier than this.
    pub valid_before: Amount,
    /// 32 random bytes that make the payment itself.
    #[serde(with = "word")]
    pub nonce: B256,
}

impl Authorization {
    /// An authorization of `value` that is good from now on and until `valid_before`, in Unix seconds.
    pub fn new(from: Address, to: Address, value: Amount, valid_before: u64, nonce: B256) -> Self {
        Self { from, to, value, valid_after: Amount::ZERO, valid_before: valid_before.into(), nonce }
    }

    pub(crate) fn transfer(&self) -> Transfer {
        Transfer {
            from: self.from,
            to: self.to,
            value: word_of(self.value),
            valid_after: word_of(self.valid_after),
            valid_before: word_of(self.valid_before),
            nonce: self.nonce,
        }
    }
}

/// An amount as an EVM word.
pub(crate) fn word_of(amount: Amount) -> U256 {
    U256::from_be_bytes(amount.to_be_bytes())
}

/// What the local checks found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Examined {
    /// The token, from the offer.
    pub(crate) asset: Address,
    /// The hash the payer signed.
    pub(crate) digest: B256,
    /// The signature, read.
    pub(crate) signature: Received,
    /// Whether it is the payer's own ECDSA signature. If not, the payer may still be a contract that accepts it.
    pub(crate) recovers: bool,
    /// Whether the factory it names, if it names one, may be called.
    pub(crate) allowed: bool,
}

impl Examined {
    /// What may make the payer's wallet, where that is not there yet.
    pub(crate) fn deployment(&self) -> Option<&Deployment> {
        self.signature.deployment.as_ref().filter(|_| self.allowed)
    }
}

/// What an offer carries in `extra`. All optional, since what is missing has codes of its own.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Extra {
    /// Name of the token's EIP-712 domain.
    pub name: Option<String>,
    /// Version of the token's EIP-712 domain.
    pub version: Option<String>,
    /// How the token is paid with; absent means `eip3009`.
    pub asset_transfer_method: Option<String>,
    /// Whose signature settles: what a permit of `upto` is bound to.
    pub facilitator_address: Option<String>,
    /// The token's decimals, which some servers tell.
    pub decimals: Option<Value>,
}

impl Extra {
    /// Name and version of the token's EIP-712 domain. An empty one counts as missing, as it does for deployed peers.
    pub(crate) fn domain(&self) -> Option<(&str, &str)> {
        let given = |text: &'_ Option<String>| text.as_deref().is_some_and(|text| !text.is_empty());
        (given(&self.name) && given(&self.version)).then_some(())?;
        Some((self.name.as_deref()?, self.version.as_deref()?))
    }

    /// How the token is paid with.
    pub(crate) fn method(&self) -> &str {
        self.asset_transfer_method.as_deref().unwrap_or(crate::assets::EIP3009)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test::golden_payment;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn the_golden_payload_is_read_and_written_in_its_order() {
        let golden = &golden_payment().payload;
        let payload = Payload::deserialize(golden).unwrap();
        let written = serde_json::to_string(&payload).unwrap();
        assert_eq!(serde_json::from_str::<Value>(&written).unwrap(), *golden);
        let places = ["authorization", "from", "to\"", "value", "validAfter", "validBefore", "nonce", "signature"]
            .map(|name| written.find(&format!("\"{name}")).unwrap());
        assert!(places.is_sorted(), "{written}");
    }

    fn with(member: &str, value: Value) -> Result<Payload, serde_json::Error> {
        let mut payload = golden_payment().payload;
        payload["authorization"][member] = value;
        Payload::deserialize(&payload)
    }

    #[test]
    fn amounts_are_canonical_decimal_strings() {
        for member in ["value", "validAfter", "validBefore"] {
            for bad in [json!("1e3"), json!("-1"), json!("0x10"), json!("01"), json!(""), json!(1000), json!(null)] {
                assert!(with(member, bad.clone()).is_err(), "{member} {bad}");
            }
            let too_large = "115792089237316195423570985008687907853269984665640564039457584007913129639936";
            assert!(with(member, json!(too_large)).is_err());
            assert!(with(member, json!("0")).is_ok());
        }
    }

    #[test]
    fn a_nonce_is_exactly_32_bytes() {
        for length in (0..80).filter(|length| *length != 64) {
            assert!(with("nonce", json!(format!("0x{}", "1".repeat(length)))).is_err(), "{length}");
        }
        assert!(with("nonce", json!("1".repeat(64))).is_err());
        assert!(with("nonce", json!(format!("0x{}", "g".repeat(64)))).is_err());
        assert!(with("nonce", json!(format!("0x{}", "A".repeat(64)))).is_ok());
    }

    #[test]
    fn addresses_are_exactly_20_bytes_in_any_case() {
        for member in ["from", "to"] {
            assert!(with(member, json!("0x1234")).is_err());
            assert!(with(member, json!(format!("0x{}", "A".repeat(40)))).is_ok());
            assert!(with(member, json!(format!("0x{}", "a".repeat(40)))).is_ok());
        }
    }

    #[test]
    fn a_payload_of_another_kind_is_told_apart() {
        let other = json!({ "signature": "0x", "delegationManager": "0x" });
        assert_eq!(Payload::deserialize(&other).unwrap_err().to_string(), OTHER_KIND);
        let empty = json!({ "signature": "0x", "permit2Authorization": {} });
        assert_ne!(Payload::deserialize(&empty).unwrap_err().to_string(), OTHER_KIND);
        let unsigned = json!({ "authorization": golden_payment().payload["authorization"] });
        assert_ne!(Payload::deserialize(&unsigned).unwrap_err().to_string(), OTHER_KIND);
    }

    #[test]
    fn an_empty_name_is_a_missing_one() {
        let extra = |value: Value| Extra::deserialize(&value).unwrap();
        assert_eq!(extra(json!({ "name": "USDC", "version": "2" })).domain(), Some(("USDC", "2")));
        assert_eq!(extra(json!({ "name": "USDC", "version": null })).domain(), None);
        assert_eq!(extra(json!({ "name": "", "version": "2" })).domain(), None);
        assert_eq!(extra(json!({})).method(), "eip3009");
    }

    proptest! {
        #[test]
        fn no_authorization_panics(from in ".{0,50}", value in ".{0,90}", nonce in "(0x)?[0-9a-fA-F]{0,70}", sig in ".*") {
            let payload = json!({
                "authorization": {
                    "from": from, "to": from, "value": value, "validAfter": value, "validBefore": value, "nonce": nonce
                },
                "signature": sig,
            });
            let _ = Payload::deserialize(&payload);
        }

        #[test]
        fn authorizations_round_trip(from: [u8; 20], to: [u8; 20], words: [[u8; 32]; 4]) {
            let [value, after, before, nonce] = words;
            let authorization = Authorization {
                from: from.into(),
                to: to.into(),
                value: Amount::from_be_bytes(value),
                valid_after: Amount::from_be_bytes(after),
                valid_before: Amount::from_be_bytes(before),
                nonce: nonce.into(),
            };
            let json = serde_json::to_value(&authorization).unwrap();
            prop_assert_eq!(Authorization::deserialize(&json).unwrap(), authorization);
        }
    }
}
