//! [`Evm`]: one chain of namespace `eip155`, opened once and shared by its schemes.

use crate::address::parse_address;
use crate::builder::EvmBuilder;
use crate::chain::Chain;
use crate::config::{EvmConfig, TokenConfig};
use crate::eip712::Domains;
use crate::{assets, chains};
use alloy::primitives::Address;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tollway_core::codes::INVALID_PAYLOAD;
use tollway_core::{
    Asset, Build, BuildContext, Clock, Fault, FaultKind, Network, NetworkId, NetworkWords, Rejected, Settler, SignIn,
    Vocabulary,
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
        EvmBuilder::new(id)
    }

    pub(crate) fn new(
        id: NetworkId,
        domains: Domains,
        assets: Vec<Asset>,
        clock: Arc<dyn Clock>,
        chain: Option<Chain>,
    ) -> Self {
        let places = assets.iter().filter_map(|asset| parse_address(&asset.address)).collect();
        Self { id, assets, places, domains, clock, chain }
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

    fn sign_in(&self) -> Option<&dyn SignIn> {
        Some(self)
    }

    fn words(id: &NetworkId) -> NetworkWords {
        chains::words(id.reference())
    }

    fn vocabulary() -> Vocabulary {
        chains::vocabulary(assets::symbols())
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
