//! [`SupportedResponse`]: what a facilitator can do.

use super::X402_VERSION;
use crate::{NetworkId, Object};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A (version, scheme, network) a facilitator serves.
///
/// `network` stays text: a facilitator also lists version 1 kinds, whose names are no CAIP-2 ids.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct SupportedKind {
    /// Protocol version.
    pub x402_version: u64,
    /// Scheme name.
    pub scheme: String,
    /// CAIP-2 id, or a name of version 1.
    pub network: String,
    /// What a server needs to know to make an offer, such as the fee payer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extra: Option<Object>,
    /// Members this version does not know.
    #[serde(flatten)]
    pub other: Object,
}

impl SupportedKind {
    /// A version 2 kind.
    pub fn new(scheme: impl Into<String>, network: &NetworkId, extra: Option<Object>) -> Self {
        Self {
            x402_version: X402_VERSION,
            scheme: scheme.into(),
            network: network.to_string(),
            extra,
            other: Object::new(),
        }
    }

    /// Whether this is the version 2 kind of `scheme` on `network`.
    pub fn serves(&self, scheme: &str, network: &NetworkId) -> bool {
        self.x402_version == X402_VERSION && self.scheme == scheme && self.network == network.as_str()
    }
}

/// Answer of `/supported`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct SupportedResponse {
    /// Everything the facilitator serves.
    pub kinds: Vec<SupportedKind>,
    /// Extension keys it understands.
    #[serde(default, deserialize_with = "super::null_as_default")]
    pub extensions: Vec<String>,
    /// CAIP pattern (`eip155:*`) or exact id → addresses that may pay for gas.
    #[serde(default, deserialize_with = "super::null_as_default")]
    pub signers: BTreeMap<String, Vec<String>>,
    /// Members this version does not know.
    #[serde(flatten)]
    pub other: Object,
}

impl SupportedResponse {
    /// The first kind for `scheme` on `network`.
    pub fn kind(&self, scheme: &str, network: &NetworkId) -> Option<&SupportedKind> {
        self.kinds.iter().find(|kind| kind.serves(scheme, network))
    }
}
