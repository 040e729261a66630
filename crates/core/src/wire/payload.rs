//! [`PaymentPayload`]: what the client sends.

use super::{PaymentRequirements, ResourceInfo, X402_VERSION};
use crate::Object;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A signed payment (`PAYMENT-SIGNATURE` over HTTP).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct PaymentPayload {
    /// Protocol version. Not checked while decoding, so that another version gets its own refusal.
    pub x402_version: u64,
    /// Copy of what the challenge said is sold. Never trusted by servers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<ResourceInfo>,
    /// The chosen element of `accepts`, verbatim.
    pub accepted: PaymentRequirements,
    /// Scheme-specific: signatures and what they cover.
    pub payload: Value,
    /// Echo of the challenge's extensions, possibly with additions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extensions: Option<Object>,
    /// Members this version does not know.
    #[serde(flatten)]
    pub other: Object,
}

impl PaymentPayload {
    /// A payment of `accepted` without extensions.
    pub fn new(accepted: PaymentRequirements, payload: Value) -> Self {
        Self { x402_version: X402_VERSION, resource: None, accepted, payload, extensions: None, other: Object::new() }
    }
}
