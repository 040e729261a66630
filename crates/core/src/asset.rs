//! [`Asset`]: a token a network knows by name.

use crate::Object;
use serde::{Deserialize, Serialize};

/// An entry of a network's table of assets. Entry 0 is what a dollar price means there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Asset {
    /// Token contract or mint, spelled as offers should spell it.
    pub address: String,
    /// Ticker, such as `USDC`.
    pub symbol: String,
    /// Digits after the point in one whole unit.
    pub decimals: u8,
    /// What offers in this asset carry in `extra`, such as the EIP-712 domain's `name` and `version`. Clients hold
    /// offers to it: a known asset under another name is refused.
    #[serde(default)]
    pub extra: Object,
    /// Whether one unit is meant to be one dollar, so that limits in dollars hold for it. Entry 0 of a table is taken
    /// for a dollar without saying so.
    #[serde(default)]
    pub dollar: bool,
}

impl Asset {
    /// An asset whose offers carry nothing in `extra`.
    pub fn new(address: impl Into<String>, symbol: impl Into<String>, decimals: u8) -> Self {
        Self { address: address.into(), symbol: symbol.into(), decimals, extra: Object::new(), dollar: false }
    }

    /// Marks an asset whose unit is meant to be one dollar.
    pub fn dollar(mut self) -> Self {
        self.dollar = true;
        self
    }

    /// Adds a member to what offers carry.
    pub fn with_extra(mut self, key: &str, value: impl Into<serde_json::Value>) -> Self {
        self.extra.insert(key.to_owned(), value.into());
        self
    }
}
