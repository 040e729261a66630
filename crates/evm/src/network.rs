//! [`Evm`]: one chain of namespace `eip155`, opened once and shared by its schemes.

use crate::address::parse_address;
use crate::assets;
use crate::blocks::Blocks;
use crate::chain::{Chain, Limits};
use crate::config::{EvmConfig, TokenConfig};
use crate::eip712::Domains;
use crate::fees::Fees;
use crate::rpc::Rpc;
use crate::transport::HttpTransport;
use alloy::primitives::Address;
use alloy::providers::{DynProvider, Provider as _, RootProvider};
use alloy::rpc::client::RpcClient;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tollway_core::codes::INVALID_PAYLOAD;
use tollway_core::{
    Asset, Build, BuildContext, Clock, Fault, FaultKind, Network, NetworkId, Rejected, Settler, SystemClock,
};

/// A chain: its tokens, its time, and, where a node is configured, all that verifying and settling share.
///
/// Opening it contacts nobody. Clients and servers need no node.
pub struct Evm {
    id: NetworkId,
    assets: Vec<Asset>,
    /// The assets' addresses, in their order.
    places: Vec<Address>,
    domains: Domains,
    clock: Arc<dyn Clock>,
    chain: Option<Chain>,
}

impl Evm {
    /// Starts a network for embedding, with the known tokens, the system's clock and no node.
    ///
    /// ```
    /// # use tollway_core::Network as _;
    /// let base = tollway_evm::Evm::builder("eip155:8453".parse()?).build()?;
    /// assert_eq!(base.assets()[0].symbol, "USDC");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn builder(id: NetworkId) -> EvmBuilder {
        EvmBuilder {
            id,
            provider: None,
            assets: Vec::new(),
            clock: Arc::new(SystemClock),
            block_time: Duration::from_millis(2000),
            rpc_timeout: Duration::from_secs(10),
            settle_timeout: Duration::from_secs(60),
            max_fee_per_gas: 500_000_000_000,
            max_gas: 500_000,
        }
    }

    /// The chain's id, as EIP-712 domains and transactions carry it.
    pub fn chain_id(&self) -> u64 {
        self.domains.chain()
    }

    /// Its name, for messages.
    pub(crate) fn chain_name(&self) -> &NetworkId {
        &self.id
    }

    /// Unix seconds.
    pub(crate) fn now(&self) -> u64 {
        self.clock.now()
    }

    pub(crate) fn domains(&self) -> &Domains {
        &self.domains
    }

    /// What a node makes possible.
    ///
    /// # Errors
    /// None is configured.
    pub(crate) fn chain(&self) -> Result<&Chain, Fault> {
        self.chain.as_ref().ok_or_else(|| {
            let message = format!("{id} has no node; set networks.\"{id}\".rpc to the URL of one", id = self.id);
            Fault::new(FaultKind::Configuration, message)
        })
    }

    /// The known token at an address, however spelled.
    pub(crate) fn known_asset(&self, address: &str) -> Option<&Asset> {
        let wanted = parse_address(address)?;
        let at = self.places.iter().position(|place| *place == wanted)?;
        self.assets.get(at)
    }
}

impl Network for Evm {
    fn id(&self) -> &NetworkId {
        &self.id
    }

    fn assets(&self) -> &[Asset] {
        &self.assets
    }

    /// The spelling of EIP-55.
    fn canonical(&self, address: &str) -> Result<String, Rejected> {
        parse_address(address).map(|address| address.to_checksum(None)).ok_or_else(|| {
            let shown: String = address.chars().take(64).collect();
            Rejected::new(INVALID_PAYLOAD)
                .because(format!("`{shown}` is no EVM address (0x and 40 hexadecimal digits)"))
        })
    }

    fn settler(&self) -> Option<&dyn Settler> {
        self.chain.as_ref().map(|chain| chain as &dyn Settler)
    }

    fn asset(&self, address: &str) -> Option<&Asset> {
        self.known_asset(address)
    }
}

impl fmt::Debug for Evm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Evm").field("id", &self.id).field("node", &self.chain.is_some()).finish_non_exhaustive()
    }
}

/// Sets up an [`Evm`] in code.
#[must_use]
pub struct EvmBuilder {
    id: NetworkId,
    provider: Option<DynProvider>,
    assets: Vec<Asset>,
    clock: Arc<dyn Clock>,
    block_time: Duration,
    rpc_timeout: Duration,
    settle_timeout: Duration,
    max_fee_per_gas: u128,
    max_gas: u64,
}

impl fmt::Debug for EvmBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EvmBuilder").field("id", &self.id).finish_non_exhaustive()
    }
}

impl EvmBuilder {
    /// The node, by any transport of alloy's: an embedded chain, a WebSocket. Layers of its own should not retry.
    pub fn provider(mut self, provider: DynProvider) -> Self {
        self.provider = Some(provider);
        self
    }

    /// A node by its URL.
    ///
    /// # Errors
    /// The URL is neither https nor loopback.
    pub fn rpc(mut self, url: &str) -> Result<Self, String> {
        let client = RpcClient::new(HttpTransport::new(url)?, false);
        self.provider = Some(RootProvider::new(client).erased());
        Ok(self)
    }

    /// Tokens beyond those known; one with a known token's address replaces it.
    pub fn assets(mut self, assets: impl IntoIterator<Item = Asset>) -> Self {
        self.assets.extend(assets);
        self
    }

    /// The time; the system's where not set.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// The time between blocks, where learning begins; 2 s where not set.
    pub fn block_time(mut self, time: Duration) -> Self {
        self.block_time = time;
        self
    }

    /// How long a node may take for an answer; 10 s where not set.
    pub fn rpc_timeout(mut self, time: Duration) -> Self {
        self.rpc_timeout = time;
        self
    }

    /// How long a settlement waits for its block before it is pending; 60 s where not set.
    pub fn settle_timeout(mut self, time: Duration) -> Self {
        self.settle_timeout = time;
        self
    }

    /// Most wei per gas ever offered; 500 gwei where not set.
    pub fn max_fee_per_gas(mut self, wei: u128) -> Self {
        self.max_fee_per_gas = wei;
        self
    }

    /// Most gas of one payment's transaction and of one wallet's verdict; 500 000 where not set.
    pub fn max_gas(mut self, gas: u64) -> Self {
        self.max_gas = gas;
        self
    }

    /// Opens the network. Contacts nobody.
    ///
    /// # Errors
    /// The id is no `eip155:<number>`, or a token's address is none.
    pub fn build(self) -> Result<Evm, String> {
        let id = self.id;
        let chain_id = chain_id(&id)?;
        let assets = merge(assets::known(chain_id), self.assets)?;
        let places = assets.iter().filter_map(|asset| parse_address(&asset.address)).collect();
        let chain = self.provider.map(|provider| {
            let rpc = Rpc::new(id.clone(), provider, self.rpc_timeout);
            let blocks = Blocks::new(rpc.clone(), self.block_time);
            let limits = Limits { max_gas: self.max_gas, settle_timeout: self.settle_timeout };
            Chain::new(id.clone(), chain_id, rpc, Fees::new(self.max_fee_per_gas), blocks, limits)
        });
        Ok(Evm { id, assets, places, domains: Domains::new(chain_id), clock: self.clock, chain })
    }
}

/// The number of an `eip155` network, in its one spelling: two spellings would be two networks with one chain.
fn chain_id(id: &NetworkId) -> Result<u64, String> {
    let number = Some(id.reference()).filter(|_| id.namespace() == "eip155");
    number
        .filter(|number| number.bytes().all(|digit| digit.is_ascii_digit()) && !number.starts_with('0'))
        .and_then(|number| number.parse().ok())
        .ok_or_else(|| format!("`{id}` is no EVM network; write eip155:<chain id>, such as eip155:8453"))
}

/// The known tokens, corrected and extended.
fn merge(mut assets: Vec<Asset>, own: Vec<Asset>) -> Result<Vec<Asset>, String> {
    for asset in own {
        let Some(place) = parse_address(&asset.address) else {
            return Err(format!("the address `{}` of {} is no EVM address", asset.address, asset.symbol));
        };
        match assets.iter_mut().find(|known| parse_address(&known.address) == Some(place)) {
            Some(known) => *known = asset,
            None => assets.push(asset),
        }
    }
    Ok(assets)
}

impl Build for Evm {
    type Config = EvmConfig;
    const EXAMPLE: &'static str = r#"{
  "id": "eip155:84532",
  "rpc": "https://sepolia.base.org",
  "assets": [{
    "address": "0x1111111111111111111111111111111111111111", "symbol": "MYUSD", "decimals": 6,
    "name": "My Dollar", "version": "1"
  }],
  "blockTimeMs": 2000,
  "rpcTimeoutMs": 10000,
  "settleTimeoutSeconds": 60,
  "maxFeePerGas": "500000000000",
  "maxGas": 500000
}"#;

    async fn build(config: EvmConfig, cx: BuildContext) -> Result<Self, String> {
        let mut builder =
            Self::builder(config.id).clock(cx.clock).assets(config.assets.into_iter().map(TokenConfig::into_asset));
        if let Some(rpc) = config.rpc {
            builder = builder.rpc(&rpc.resolve(&*cx.secrets)?)?;
        }
        if let Some(time) = config.block_time_ms {
            builder = builder.block_time(Duration::from_millis(time.get()));
        }
        if let Some(time) = config.rpc_timeout_ms {
            builder = builder.rpc_timeout(Duration::from_millis(time.get()));
        }
        if let Some(time) = config.settle_timeout_seconds {
            builder = builder.settle_timeout(Duration::from_secs(time.get()));
        }
        if let Some(fee) = config.max_fee_per_gas {
            let fee = fee.to_u64().ok_or("maxFeePerGas is in wei per gas and must be below 2^64")?;
            builder = builder.max_fee_per_gas(fee.into());
        }
        if let Some(gas) = config.max_gas {
            builder = builder.max_gas(gas.get());
        }
        builder.build()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test::{OneSecret, block_on};
    use serde_json::json;
    use tollway_core::Secret;

    fn open(section: serde_json::Value) -> Result<Evm, String> {
        let config = serde_json::from_value(section).map_err(|why| why.to_string())?;
        block_on(<Evm as Build>::build(config, BuildContext::new()))
    }

    #[test]
    fn the_example_opens_without_contacting_anything() {
        let evm = open(serde_json::from_str(Evm::EXAMPLE).unwrap()).unwrap();
        assert_eq!(evm.chain_id(), 84532);
        assert_eq!(evm.assets().iter().map(|asset| &*asset.symbol).collect::<Vec<_>>(), ["USDC", "MYUSD"]);
        assert!(evm.settler().is_some());
    }

    #[test]
    fn clients_and_servers_need_no_node() {
        let evm = open(json!({ "id": "eip155:8453" })).unwrap();
        assert!(evm.settler().is_none());
        let fault = evm.chain().unwrap_err();
        assert!(fault.message.contains("networks.\"eip155:8453\".rpc"), "{fault}");
    }

    #[test]
    fn unknown_keys_are_refused() {
        let error = open(json!({ "id": "eip155:8453", "__unknown__": 1 })).unwrap_err();
        assert!(error.contains("__unknown__"), "{error}");
    }

    #[test]
    fn only_chain_ids_in_one_spelling_are_networks() {
        for bad in ["eip155:base", "eip155:0", "eip155:08453", "eip155:+1", "eip155:99999999999999999999", "solana:1"] {
            assert!(Evm::builder(bad.parse().unwrap()).build().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_url_may_be_a_secret_and_is_never_shown() {
        let config: EvmConfig = serde_json::from_value(json!({ "id": "eip155:1", "rpc": "env:NODE" })).unwrap();
        let secrets = Arc::new(OneSecret(Secret::new("https://node.test/v2/canary")));
        let mut cx = BuildContext::new();
        cx.secrets = secrets;
        let evm = block_on(<Evm as Build>::build(config, cx)).unwrap();
        assert!(!format!("{evm:?}").contains("canary"));
        let literal: EvmConfig =
            serde_json::from_value(json!({ "id": "eip155:1", "rpc": "http://node.test/canary" })).unwrap();
        assert!(!format!("{literal:?}").contains("canary"));
        let error = block_on(<Evm as Build>::build(literal, BuildContext::new())).unwrap_err();
        assert!(!error.contains("canary") && error.contains("https"), "{error}");
    }

    #[test]
    fn own_tokens_extend_and_correct_the_known() {
        let usdc = "0x036cbd53842c5426634e7929541ec2318f3dcf7e";
        let own = Asset::new(usdc, "USDC", 6).with_extra("name", "Test").with_extra("version", "9");
        let evm = Evm::builder("eip155:84532".parse().unwrap()).assets([own]).build().unwrap();
        assert_eq!(evm.assets().len(), 1);
        let known = evm.asset("0x036CbD53842c5426634e7929541eC2318f3dCF7e").unwrap();
        assert_eq!(known.extra["name"], "Test");
        let bad = Evm::builder("eip155:1".parse().unwrap()).assets([Asset::new("USDC", "USDC", 6)]).build();
        assert!(bad.unwrap_err().contains("USDC"));
    }

    #[test]
    fn addresses_have_one_spelling() {
        let evm = Evm::builder("eip155:1".parse().unwrap()).build().unwrap();
        let spelled = "0x036CbD53842c5426634e7929541eC2318f3dCF7e";
        for text in [spelled, &spelled.to_lowercase(), &format!("0x{}", spelled[2..].to_uppercase())] {
            assert_eq!(evm.canonical(text).unwrap(), spelled);
        }
        assert!(evm.canonical("alice.eth").is_err());
    }
}
