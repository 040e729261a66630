//! [`VerifyResponse`] and [`SettleResponse`]: what a facilitator answers.

use crate::{Amount, ErrorCode, NetworkId, Object};
use serde::{Deserialize, Serialize};

/// Answer of `/verify`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct VerifyResponse {
    /// Whether the payment would settle.
    pub is_valid: bool,
    /// The code, where it would not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invalid_reason: Option<ErrorCode>,
    /// The same for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invalid_message: Option<String>,
    /// Address of the payer, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payer: Option<String>,
    /// By extension key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extensions: Option<Object>,
    /// Scheme-specific.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extra: Option<Object>,
    /// Members this version does not know.
    #[serde(flatten)]
    pub other: Object,
}

impl VerifyResponse {
    /// A valid payment.
    pub fn valid(payer: Option<String>) -> Self {
        Self {
            is_valid: true,
            invalid_reason: None,
            invalid_message: None,
            payer,
            extensions: None,
            extra: None,
            other: Object::new(),
        }
    }

    /// An invalid payment.
    pub fn invalid(reason: ErrorCode, message: Option<String>, payer: Option<String>) -> Self {
        Self { is_valid: false, invalid_reason: Some(reason), invalid_message: message, ..Self::valid(payer) }
    }
}

/// Answer of `/settle`, and the receipt the client gets (`PAYMENT-RESPONSE` over HTTP).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct SettleResponse {
    /// Whether the payment is on chain.
    pub success: bool,
    /// The code, where it is not (or not yet: `settlement_pending`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_reason: Option<ErrorCode>,
    /// The same for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_message: Option<String>,
    /// Address of the payer, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payer: Option<String>,
    /// Transaction hash; empty when nothing was broadcast.
    #[serde(deserialize_with = "super::null_as_default")]
    pub transaction: String,
    /// Network of the transaction.
    pub network: NetworkId,
    /// Atomic units really settled, where that can differ from the authorized amount.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<Amount>,
    /// By extension key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extensions: Option<Object>,
    /// Scheme-specific.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extra: Option<Object>,
    /// Members this version does not know.
    #[serde(flatten)]
    pub other: Object,
}

impl SettleResponse {
    /// A settled payment.
    pub fn settled(network: NetworkId, transaction: impl Into<String>, payer: Option<String>) -> Self {
        Self {
            success: true,
            error_reason: None,
            error_message: None,
            payer,
            transaction: transaction.into(),
            network,
            amount: None,
            extensions: None,
            extra: None,
            other: Object::new(),
        }
    }

    /// A payment that did not settle. `transaction` is empty when nothing was broadcast.
    pub fn failed(network: NetworkId, reason: ErrorCode, transaction: impl Into<String>) -> Self {
        Self { success: false, error_reason: Some(reason), ..Self::settled(network, transaction, None) }
    }
}
