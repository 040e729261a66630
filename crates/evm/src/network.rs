//! [`Evm`]: one chain of namespace `eip155`, opened once and shared by its schemes.

use crate::address::parse_address;
use crate::builder::EvmBuilder;
use crate::chain::Chain;
use crate::config::{EvmConfig, TokenConfig};
use crate::eip712::Domains;
use crate::lane::Lane;
use crate::lanes::Roster;
use crate::status::EvmStatus;
use crate::{assets, chains};
use alloy::primitives::{Address, U256};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tollway_core::codes::INVALID_PAYLOAD;
use tollway_core::{
    Amount, Asset, Build, BuildContext, Clock, Fault, FaultKind, Network, NetworkId, NetworkWords, Rejected, Settler,
    SignIn, Signer, Vocabulary,
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
    roster: Option<Roster>,
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
        let roster = chain.map(Roster::new);
        let places = assets.iter().filter_map(|asset| parse_address(&asset.address)).collect();
        Self { id, assets, places, domains, clock, roster }
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
    pub(crate) fn chain(&self) -> Result<&Arc<Chain>, Fault> {
        self.roster().map(Roster::chain)
    }

    /// The lane of a signer; one per address, whoever asks.
    ///
    /// # Errors
    /// No node is configured.
    pub(crate) fn lane(&self, signer: &Arc<dyn Signer>, address: Address) -> Result<Arc<Lane>, Fault> {
        self.roster().map(|roster| roster.lane(signer, address))
    }

    /// How its signers stand and what gas has cost today; `None` where no node is configured. Asks nobody.
    pub fn status(&self) -> Option<EvmStatus> {
        self.roster.as_ref().map(EvmStatus::of)
    }

    fn roster(&self) -> Result<&Roster, Fault> {
        self.roster.as_ref().ok_or_else(|| {
            let message = format!("{id} has no node; set networks.\"{id}\".rpc to the URL of one", id = self.id);
            Fault::new(FaultKind::Configuration, message)
        })
    }

    /// Factories that may make payers' wallets.
    pub(crate) fn factories(&self) -> &[Address] {
        self.roster.as_ref().map_or(&[], |roster| &roster.chain().limits.factories)
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
        self.roster.as_ref().map(|roster| roster as &dyn Settler)
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
        f.debug_struct("Evm").field("id", &self.id).field("node", &self.roster.is_some()).finish_non_exhaustive()
    }
}

impl Build for Evm {
    type Config = EvmConfig;
    const EXAMPLE: &'static str = r#"{
  "id": "eip155:84532",
  "rpc": "https://sepolia.base.org",
  "subscribe": "wss://node.example.com/base-sepolia",
  "assets": [{
    "address": "0x1111111111111111111111111111111111111111", "symbol": "MYUSD", "decimals": 6,
    "name": "My Dollar", "version": "1", "dollar": true
  }],
  "blockTimeMs": 2000,
  "rpcTimeoutMs": 10000,
  "settleTimeoutSeconds": 60,
  "maxFeePerGas": "500000000000",
  "maxGas": 500000,
  "batchMaxPayments": 100,
  "batchMaxGas": 8000000,
  "batchWaitMs": 10,
  "maxUnmined": 16,
  "maxFeePerPayment": "100000000000000",
  "maxSpendPerDay": "50000000000000000",
  "lowBalance": "10000000000000000",
  "wait": "included",
  "finalAbove": "100",
  "finality": 12,
  "erc6492Factories": [],
  "sponsoredPerPayer": 200,
  "sponsoredGas": 5000000000
}"#;

    async fn build(config: EvmConfig, cx: BuildContext) -> Result<Self, String> {
        let mut builder =
            Self::builder(config.id).clock(cx.clock).assets(config.assets.into_iter().map(TokenConfig::into_asset));
        if let Some(rpc) = config.rpc {
            builder = builder.rpc(&rpc.resolve(&*cx.secrets)?)?;
        }
        if let Some(url) = config.subscribe {
            builder = builder.subscribe(&url.resolve(&*cx.secrets)?)?;
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
        if let Some(fee) = wei(config.max_fee_per_gas, "maxFeePerGas")? {
            builder = builder.max_fee_per_gas(fee);
        }
        if let Some(gas) = config.max_gas {
            builder = builder.max_gas(gas.get());
        }
        if let Some(payments) = config.batch_max_payments {
            builder = builder.batch_max_payments(usize::try_from(payments.get()).unwrap_or(usize::MAX));
        }
        if let Some(gas) = config.batch_max_gas {
            builder = builder.batch_max_gas(gas.get());
        }
        if let Some(time) = config.batch_wait_ms {
            builder = builder.batch_wait(Duration::from_millis(time));
        }
        if let Some(transactions) = config.max_unmined {
            builder = builder.max_unmined(usize::try_from(transactions.get()).unwrap_or(usize::MAX));
        }
        if let Some(wei) = wei(config.max_fee_per_payment, "maxFeePerPayment")? {
            builder = builder.max_fee_per_payment(wei);
        }
        if let Some(wei) = wei(config.max_spend_per_day, "maxSpendPerDay")? {
            builder = builder.max_spend_per_day(wei);
        }
        if let Some(wei) = wei(config.low_balance, "lowBalance")? {
            builder = builder.low_balance(wei);
        }
        if let Some(wait) = config.wait {
            builder = builder.wait(wait);
        }
        if let Some(money) = config.final_above {
            builder = builder.final_above(money.parse().map_err(|why| format!("finalAbove: {why}"))?);
        }
        if let Some(finality) = config.finality {
            builder = builder.finality(finality);
        }
        if let Some(payments) = config.sponsored_per_payer {
            builder = builder.sponsored_per_payer(payments);
        }
        if let Some(gas) = config.sponsored_gas {
            builder = builder.sponsored_gas(gas);
        }
        builder = builder.erc6492_factories(config.erc6492_factories);
        builder.build()
    }
}

/// An amount of wei: 128 bits hold more than all there is of any coin.
fn wei(amount: Option<Amount>, key: &str) -> Result<Option<u128>, String> {
    let wei = amount.map(|amount| u128::try_from(U256::from_be_bytes(amount.to_be_bytes())));
    wei.transpose().map_err(|_| format!("{key} is in wei and must be below 2^128"))
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
