//! Configuration as plain serde structs: the same for a file and for a Rust caller. No file format is assumed.

use crate::{Amount, Flow, Money, NetworkId, NetworkPattern, Object, Price};
use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU64;

/// What all three roles configure: networks, keys and schemes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
#[non_exhaustive]
pub struct SharedConfig {
    /// Network → the section its plug-in reads, such as `{ "rpc": "https://…" }`.
    pub networks: BTreeMap<NetworkId, Value>,
    /// Network or pattern → keys, in order of preference. Read from one key or from a list.
    #[serde(deserialize_with = "read_signers")]
    pub signers: BTreeMap<NetworkPattern, Vec<SignerConfig>>,
    /// Scheme → network → the section its plug-in reads. Needed only where a default is to be changed.
    pub schemes: BTreeMap<String, BTreeMap<NetworkId, Value>>,
}

impl SharedConfig {
    /// The section of a scheme on a network; an empty one if there is none.
    pub fn scheme(&self, scheme: &str, network: &NetworkId) -> Value {
        let section = self.schemes.get(scheme).and_then(|networks| networks.get(network));
        section.cloned().unwrap_or_else(|| Value::Object(Object::new()))
    }

    /// The section of a network; an empty one if there is none.
    pub fn network(&self, network: &NetworkId) -> Value {
        self.networks.get(network).cloned().unwrap_or_else(|| Value::Object(Object::new()))
    }
}

/// Reads `signers` by hand: serde's errors repeat what they found, and what they find here may be a key that somebody
/// wrote where a reference to it belongs.
fn read_signers<'de, D>(deserializer: D) -> Result<BTreeMap<NetworkPattern, Vec<SignerConfig>>, D::Error>
where
    D: Deserializer<'de>,
{
    let expected = || de::Error::custom("signers must map networks to { key = \"env:MY_KEY\" } or to a list of such");
    let Value::Object(networks) = Value::deserialize(deserializer)? else { return Err(expected()) };
    let signer = |section| serde_json::from_value(section).map_err(|_| expected());
    let read = |(network, section): (String, Value)| {
        let signers = match section {
            Value::Array(list) => list.into_iter().map(signer).collect::<Result<_, _>>()?,
            one => vec![signer(one)?],
        };
        Ok((network.parse().map_err(de::Error::custom)?, signers))
    };
    networks.into_iter().map(read).collect()
}

/// One key.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct SignerConfig {
    /// The kind of signer; `local` if left out.
    #[serde(default = "SignerConfig::default_kind")]
    pub kind: String,
    /// What that kind reads, such as `{ "key": "env:MY_KEY" }`.
    #[serde(flatten)]
    pub section: Object,
}

impl fmt::Debug for SignerConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the values: one of them may be the secret itself, written here by mistake.
        let keys: Vec<_> = self.section.keys().collect();
        f.debug_struct("SignerConfig").field("kind", &self.kind).field("keys", &keys).finish_non_exhaustive()
    }
}

impl SignerConfig {
    fn default_kind() -> String {
        "local".to_owned()
    }

    /// A key in this process, by reference: `env:NAME` or `file:PATH`.
    pub fn local(reference: impl Into<String>) -> Self {
        let section = Object::from_iter([("key".to_owned(), Value::String(reference.into()))]);
        Self { kind: Self::default_kind(), section }
    }
}

/// Where a role keeps its books: a registered ledger and the section it reads.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LedgerConfig {
    /// Name of a registered ledger, such as `memory` or `sqlite`.
    pub kind: String,
    /// What that ledger reads, such as `{ "path": "facilitator.db" }`.
    #[serde(flatten)]
    pub section: Object,
}

impl LedgerConfig {
    /// A ledger that reads this section.
    pub fn new(kind: impl Into<String>, section: Object) -> Self {
        Self { kind: kind.into(), section }
    }
}

impl fmt::Debug for LedgerConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the values: a database's URL holds a password.
        let keys: Vec<_> = self.section.keys().collect();
        f.debug_struct("LedgerConfig").field("kind", &self.kind).field("keys", &keys).finish_non_exhaustive()
    }
}

/// How a server chooses among its facilitators: a registered selector and the section it reads.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SelectorConfig {
    /// Name of a registered selector, such as `latency`.
    pub kind: String,
    /// What that selector reads.
    #[serde(flatten)]
    pub section: Object,
}

impl SelectorConfig {
    /// A selector that reads this section.
    pub fn new(kind: impl Into<String>, section: Object) -> Self {
        Self { kind: kind.into(), section }
    }
}

/// What a role likes best, in words: networks, assets, facilitators and schemes. The page `docs/preferences.md` says how
/// words are read and which outranks which.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
#[non_exhaustive]
pub struct PreferencesConfig {
    /// Liked best, the first most.
    pub prefer: Vec<String>,
    /// Never.
    pub avoid: Vec<String>,
    /// Nothing else. Words of one kind are alternatives; words of different kinds must all hold.
    pub only: Vec<String>,
    /// What decides among those liked equally.
    pub weights: Weights,
}

/// How much price and speed count among offers that are liked equally. With both at 0 the order stays as it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Weights {
    /// Weight of the price.
    pub price: u16,
    /// Weight of the time a settlement takes.
    pub latency: u16,
}

/// A resource server.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
#[non_exhaustive]
pub struct ServerConfig {
    /// The origin clients reach it by, `https://api.example.com`. Never taken from a request.
    pub origin: String,
    /// Networks and schemes.
    pub shared: SharedConfig,
    /// Where claims are kept; in memory if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ledger: Option<LedgerConfig>,
    /// Liked best, the first most: `["solana"]`. See [`PreferencesConfig`].
    pub prefer: Vec<String>,
    /// Never: `["mainnet"]`.
    pub avoid: Vec<String>,
    /// Nothing else: `["USDC"]`.
    pub only: Vec<String>,
    /// What decides among those liked equally.
    pub weights: Weights,
    /// The choice among facilitators; the order they were added in if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub selector: Option<SelectorConfig>,
    /// Server extension's route key → the section it reads. Needed only where a default is to be changed.
    pub extensions: BTreeMap<String, Value>,
    /// What is sold. The first route that matches a request counts.
    pub routes: Vec<RouteConfig>,
}

/// One route.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct RouteConfig {
    /// `GET /report`, `/files/*`, `POST /users/:id`; without a verb, any.
    pub path: String,
    /// The ways to pay; empty where an extension alone opens the route.
    #[serde(default)]
    pub accepts: Vec<WayConfig>,
    /// Replaces the URL in the challenge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// One line for people.
    #[serde(default)]
    pub description: String,
    /// Media type of the answer.
    #[serde(default)]
    pub mime_type: String,
    /// Name of the service, 1 to 32 printable ASCII characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_name: Option<String>,
    /// At most five tags of 1 to 32 printable ASCII characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<Vec<String>>,
    /// Absolute http(s) URL of an icon.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub icon_url: Option<String>,
    /// Sections of server extensions, by the route key each owns.
    #[serde(flatten)]
    pub extensions: Object,
}

impl RouteConfig {
    /// A route with nothing but its pattern.
    pub fn new(path: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            accepts: Vec::new(),
            resource: None,
            description: String::new(),
            mime_type: String::new(),
            service_name: None,
            tags: None,
            icon_url: None,
            extensions: Object::new(),
        }
    }
}

/// One way to pay for a route.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[non_exhaustive]
pub struct WayConfig {
    /// Scheme; `exact` if left out.
    #[serde(default = "WayConfig::default_scheme")]
    pub scheme: String,
    /// Network.
    pub network: NetworkId,
    /// Price.
    pub price: Price,
    /// Recipient address.
    pub pay_to: String,
    /// Seconds an authorization may stay valid; 300 if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_timeout_seconds: Option<NonZeroU64>,
    /// Order of handler and settlement; the scheme's default if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flow: Option<Flow>,
    /// More members for `extra`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extra: Option<Object>,
}

impl WayConfig {
    fn default_scheme() -> String {
        "exact".to_owned()
    }
}

/// A paying client.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
#[non_exhaustive]
pub struct ClientConfig {
    /// Networks, keys and schemes.
    pub shared: SharedConfig,
    /// Most one payment may cost, in dollars of a network's known assets; `$1` if left out.
    pub max_per_payment: Option<Money>,
    /// Longest authorization to sign, in seconds; 3600 if left out.
    pub max_timeout_seconds: Option<NonZeroU64>,
    /// What may be spent, by whom and where the books are kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget: Option<BudgetConfig>,
    /// Liked best, the first most: `["solana"]`. See [`PreferencesConfig`].
    pub prefer: Vec<String>,
    /// Never: `["mainnet"]`.
    pub avoid: Vec<String>,
    /// Nothing else: `["USDC"]`.
    pub only: Vec<String>,
    /// What decides among those liked equally.
    pub weights: Weights,
    /// Client extension's key → the section it reads.
    pub extensions: BTreeMap<String, Value>,
}

/// What a client may spend. Dollars are counted over all networks and all assets that are dollars.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
#[non_exhaustive]
pub struct BudgetConfig {
    /// All payments together.
    pub limits: Limits,
    /// The payments to each origin by itself.
    pub per_host: Limits,
    /// Assets by themselves, in atomic units. An asset that is no dollar is paid in only if it is listed here, or if a
    /// limit names its ticker.
    pub assets: Vec<AssetLimits>,
    /// The origins that may be paid, such as `https://api.example.com`; any if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hosts: Option<Vec<String>>,
    /// The recipients that may be paid; any if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payees: Option<Vec<String>>,
    /// Payments above this are put to the application first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approve_above: Option<Money>,
    /// Where the books are kept; in memory if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub store: Option<LedgerConfig>,
    /// Whose payments these are, where several clients share a store: each presents again only what it lost itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
}

/// Limits in money: `"$5"` for all dollars together, `"5 EURC"` for the known assets of that ticker.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
#[non_exhaustive]
pub struct Limits {
    /// For one payment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_payment: Option<Money>,
    /// In each hour, from the full hour on, UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_hour: Option<Money>,
    /// In each day, from midnight UTC on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_day: Option<Money>,
    /// Ever, for as long as the store remembers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<Money>,
}

/// Limits in atomic units of one asset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[non_exhaustive]
pub struct AssetLimits {
    /// The asset's network.
    pub network: NetworkId,
    /// Token contract or mint.
    pub asset: String,
    /// For one payment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_payment: Option<Amount>,
    /// In each hour, from the full hour on, UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_hour: Option<Amount>,
    /// In each day, from midnight UTC on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_day: Option<Amount>,
    /// Ever, for as long as the store remembers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<Amount>,
}

impl AssetLimits {
    /// An asset without a limit.
    pub fn new(network: NetworkId, asset: impl Into<String>) -> Self {
        let asset = asset.into();
        Self { network, asset, per_payment: None, per_hour: None, per_day: None, total: None }
    }
}

/// A facilitator.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
#[non_exhaustive]
pub struct FacilitatorConfig {
    /// Networks, keys and schemes. It serves every registered scheme on every network listed.
    pub shared: SharedConfig,
    /// Where claims and signed transactions are kept; in memory if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ledger: Option<LedgerConfig>,
    /// Facilitator extension's key → the section it reads.
    pub extensions: BTreeMap<String, Value>,
}
