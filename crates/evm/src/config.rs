//! The section of a network of namespace `eip155`, and of a token in it.

use crate::address::parse_address;
use crate::assets::{EIP3009, METHOD};
use crate::finality::{Finality, Wait};
use alloy::primitives::Address;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use std::fmt;
use std::num::NonZeroU64;
use tollway_core::{Amount, Asset, NetworkId, SecretRef, Secrets};

/// A network's section.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[non_exhaustive]
pub struct EvmConfig {
    /// The network, `eip155:<chain id>`. The registry fills it in.
    pub id: NetworkId,
    /// URL of a node, or `env:NAME` or `file:PATH` where the URL holds a key. Https, or http to this machine. Only
    /// facilitators need it; a client with it can tell what became of a payment.
    #[serde(default)]
    pub rpc: Option<RpcUrl>,
    /// WebSocket of that node, where it announces blocks: a wss URL, or ws to this machine, or a reference to one.
    /// Settlements are then looked for when a block comes; without it, when one is due.
    #[serde(default)]
    pub subscribe: Option<RpcUrl>,
    /// Tokens beyond those known, and corrections to known ones by address. The first is what a dollar means where
    /// nothing is known.
    #[serde(default)]
    pub assets: Vec<TokenConfig>,
    /// Milliseconds between blocks, where learning begins; 2000 if left out.
    #[serde(default)]
    pub block_time_ms: Option<NonZeroU64>,
    /// Milliseconds a node may take for an answer; 10 000 if left out.
    #[serde(default)]
    pub rpc_timeout_ms: Option<NonZeroU64>,
    /// Seconds a settlement waits for its block before it is reported as pending; 60 if left out.
    #[serde(default)]
    pub settle_timeout_seconds: Option<NonZeroU64>,
    /// Most wei per gas ever offered; 500 gwei (`"500000000000"`) if left out.
    #[serde(default)]
    pub max_fee_per_gas: Option<Amount>,
    /// Most gas one payment's transaction, or one contract wallet's verdict on a signature, may take; 500 000 if left
    /// out.
    #[serde(default)]
    pub max_gas: Option<NonZeroU64>,
    /// Most payments of one transaction; 100 if left out, 1 to give every payment its own.
    #[serde(default)]
    pub batch_max_payments: Option<NonZeroU64>,
    /// Most gas of a transaction that payments share; 8 000 000 if left out.
    #[serde(default)]
    pub batch_max_gas: Option<NonZeroU64>,
    /// Milliseconds a payment waits for company while its signer has transactions unmined; adapted to the time between
    /// blocks if left out.
    #[serde(default)]
    pub batch_wait_ms: Option<u64>,
    /// Most transactions a signer has unmined before payments that could share one wait for a block; 16 if left out.
    #[serde(default)]
    pub max_unmined: Option<NonZeroU64>,
    /// Most wei for the gas of one payment, as decimal text; no limit if left out.
    #[serde(default)]
    pub max_fee_per_payment: Option<Amount>,
    /// Most wei for gas in a day (UTC) over all signers, as decimal text; counted since the process began. No limit if
    /// left out.
    #[serde(default)]
    pub max_spend_per_day: Option<Amount>,
    /// Below so many wei, as decimal text, a signer's balance is said to be low; below what a hundred payments cost now
    /// if left out.
    #[serde(default)]
    pub low_balance: Option<Amount>,
    /// When a settlement is answered: once it is `included` in a block, which is so if left out, or once that is `final`.
    #[serde(default)]
    pub wait: Option<Wait>,
    /// Payments of more than this wait to be final in any case, such as `"100"` dollars or `"50 USDC"`; so do those in
    /// assets it does not speak of.
    #[serde(default)]
    pub final_above: Option<String>,
    /// When a block is final: `"safe"` or `"finalized"`, as the node says, or so many blocks on top of it; 12 if left out.
    #[serde(default)]
    pub finality: Option<Finality>,
    /// Contracts that may be called to make the wallet of a payer who signed before it exists (ERC-6492); none if left
    /// out, and such payers are refused.
    #[serde(default, deserialize_with = "addresses")]
    pub erc6492_factories: Vec<Address>,
    /// How many payments of one payer are sponsored in a day (UTC); 200 if left out. Sponsored are those whose
    /// allowance for Permit2, or whose wallet, is made within the payment.
    #[serde(default)]
    pub sponsored_per_payer: Option<u32>,
    /// How much gas the sponsored payments of a day may take together, each counted at `maxGas`; 5 000 000 000 if left
    /// out.
    #[serde(default)]
    pub sponsored_gas: Option<u64>,
}

impl EvmConfig {
    /// The defaults for a network: enough for clients and servers.
    pub fn new(id: NetworkId) -> Self {
        Self {
            id,
            rpc: None,
            subscribe: None,
            assets: Vec::new(),
            block_time_ms: None,
            rpc_timeout_ms: None,
            settle_timeout_seconds: None,
            max_fee_per_gas: None,
            max_gas: None,
            batch_max_payments: None,
            batch_max_gas: None,
            batch_wait_ms: None,
            max_unmined: None,
            max_fee_per_payment: None,
            max_spend_per_day: None,
            low_balance: None,
            wait: None,
            final_above: None,
            finality: None,
            erc6492_factories: Vec::new(),
            sponsored_per_payer: None,
            sponsored_gas: None,
        }
    }
}

/// Addresses in the strict text form.
fn addresses<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Address>, D::Error> {
    let read = |text: &String| {
        parse_address(text).ok_or_else(|| D::Error::custom(format!("`{text}` is no address: 0x and 40 digits")))
    };
    Vec::<String>::deserialize(deserializer)?.iter().map(read).collect()
}

/// A node's URL or a reference to one. Neither `Debug` nor an error shows it: URLs of nodes hold API keys.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct RpcUrl(String);

impl RpcUrl {
    /// A URL, or a reference `env:NAME` or `file:PATH`.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The URL itself.
    pub(crate) fn resolve(&self, secrets: &dyn Secrets) -> Result<String, String> {
        match self.0.split_once(':') {
            Some(("env" | "file", _)) => {
                secrets.resolve(&SecretRef::new(&*self.0)).map(|secret| secret.expose().to_owned())
            }
            _ => Ok(self.0.clone()),
        }
    }
}

impl fmt::Debug for RpcUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RpcUrl(…)")
    }
}

/// A token.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[non_exhaustive]
pub struct TokenConfig {
    /// Its contract.
    pub address: String,
    /// Its ticker, for prices such as `"1.50 MYUSD"`.
    pub symbol: String,
    /// Digits after the point.
    pub decimals: u8,
    /// Name of its EIP-712 domain; tokens with neither EIP-3009 nor EIP-2612 need none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Version of its EIP-712 domain, as its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// How it is paid; `eip3009` if left out, or `permit2`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asset_transfer_method: Option<String>,
    /// Whether one unit is meant to be one dollar, so that a client's limit in dollars holds for it; no if left out. A
    /// network's first token is taken for a dollar in any case.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dollar: bool,
}

impl From<&Asset> for TokenConfig {
    fn from(asset: &Asset) -> Self {
        let text = |member| crate::assets::text(asset, member).map(str::to_owned);
        Self {
            address: asset.address.clone(),
            symbol: asset.symbol.clone(),
            decimals: asset.decimals,
            name: text("name"),
            version: text("version"),
            asset_transfer_method: text(METHOD),
            dollar: asset.dollar,
        }
    }
}

impl TokenConfig {
    /// The keys of an entry, in the order they are written.
    pub(crate) const MEMBERS: [&str; 7] =
        ["address", "symbol", "decimals", "name", "version", "assetTransferMethod", "dollar"];

    pub(crate) fn into_asset(self) -> Asset {
        let mut asset = Asset::new(self.address, self.symbol, self.decimals);
        asset.dollar = self.dollar;
        for (member, text) in [("name", self.name), ("version", self.version)] {
            if let Some(text) = text {
                asset = asset.with_extra(member, text);
            }
        }
        match self.asset_transfer_method {
            Some(method) if method != EIP3009 => asset.with_extra(METHOD, method),
            _ => asset,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_token_is_three_lines() {
        let token: TokenConfig = serde_json::from_value(json!({
            "address": "0x1111111111111111111111111111111111111111",
            "symbol": "MYUSD", "decimals": 6, "dollar": true,
            "name": "My Dollar", "version": "1",
        }))
        .unwrap();
        let asset = token.into_asset();
        assert!(asset.dollar);
        assert_eq!((&asset.extra["name"], asset.extra.get("assetTransferMethod")), (&json!("My Dollar"), None));
    }

    #[test]
    fn factories_are_addresses() {
        let read =
            |factories| serde_json::from_value::<EvmConfig>(json!({ "id": "eip155:1", "erc6492Factories": factories }));
        let factory = "0x0BA5ED0c6AA8c49038F819E587E2633c4A9F428a";
        assert_eq!(read(json!([factory])).unwrap().erc6492_factories, [factory.parse::<Address>().unwrap()]);
        assert!(read(json!([&factory[..41]])).unwrap_err().to_string().contains("no address"));
    }
}
