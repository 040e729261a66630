//! [`PaymentRequirements`]: one way to pay.

use crate::{Amount, NetworkId, Object};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fmt;
use std::num::NonZeroU64;

/// One element of `accepts`: a scheme on a network, an amount of an asset, and who receives it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct PaymentRequirements {
    /// Scheme name, such as `exact`.
    pub scheme: String,
    /// CAIP-2 network id.
    pub network: NetworkId,
    /// Atomic units of the asset.
    pub amount: Amount,
    /// Token contract or mint, as the network writes addresses.
    pub asset: String,
    /// Recipient address.
    pub pay_to: String,
    /// Seconds the authorization may stay valid; above zero.
    pub max_timeout_seconds: NonZeroU64,
    /// Scheme-specific members.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extra: Option<Object>,
    /// Members this version does not know.
    #[serde(flatten)]
    pub other: Object,
}

/// Default of `maxTimeoutSeconds`, as in the reference implementation.
const DEFAULT_TIMEOUT_SECONDS: NonZeroU64 = NonZeroU64::new(300).expect("300 is not zero");

impl PaymentRequirements {
    /// Requirements with the default timeout of 300 seconds and no `extra`.
    pub fn new(
        scheme: impl Into<String>,
        network: NetworkId,
        amount: Amount,
        asset: impl Into<String>,
        pay_to: impl Into<String>,
    ) -> Self {
        Self {
            scheme: scheme.into(),
            network,
            amount,
            asset: asset.into(),
            pay_to: pay_to.into(),
            max_timeout_seconds: DEFAULT_TIMEOUT_SECONDS,
            extra: None,
            other: Object::new(),
        }
    }

    /// Sets `maxTimeoutSeconds`.
    pub fn with_timeout(mut self, seconds: NonZeroU64) -> Self {
        self.max_timeout_seconds = seconds;
        self
    }

    /// Sets one member of `extra`.
    pub fn with_extra(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.extra.get_or_insert_default().insert(key.to_owned(), value.into());
        self
    }

    /// One member of `extra`.
    pub fn extra_member(&self, key: &str) -> Option<&Value> {
        self.extra.as_ref()?.get(key)
    }

    /// The payment flow these requirements ask for, or the unknown name.
    ///
    /// # Errors
    /// The text of `extra.paymentFlow` where it names no flow of this version.
    pub fn flow(&self) -> Result<Flow, String> {
        match self.extra_member("paymentFlow") {
            None | Some(Value::Null) => Ok(Flow::Authorization),
            Some(Value::String(name)) => Flow::from_name(name).ok_or_else(|| name.clone()),
            Some(other) => Err(other.to_string()),
        }
    }
}

/// The order of verification, handler and settlement (`extra.paymentFlow`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Flow {
    /// Verify, run the handler, settle, release. The default, never written on the wire.
    Authorization,
    /// Settle, then run the handler.
    Upfront,
    /// Open, run the handler, claim. No scheme here implements it yet.
    Escrow,
}

impl Flow {
    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Authorization => "authorization",
            Self::Upfront => "upfront",
            Self::Escrow => "escrow",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        [Self::Authorization, Self::Upfront, Self::Escrow].into_iter().find(|flow| flow.name() == name)
    }
}

impl fmt::Display for Flow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
