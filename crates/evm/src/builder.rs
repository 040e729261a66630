//! [`EvmBuilder`]: a network set up in code.

use crate::address::parse_address;
use crate::assets;
use crate::blocks::Blocks;
use crate::chain::{Chain, Limits};
use crate::eip712::Domains;
use crate::fees::Fees;
use crate::network::Evm;
use crate::rpc::Rpc;
use crate::sponsor::{ALLOWED, Allowed, Quota};
use crate::transport::HttpTransport;
use alloy::primitives::Address;
use alloy::providers::{DynProvider, Provider as _, RootProvider};
use alloy::rpc::client::RpcClient;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tollway_core::{Asset, Clock, NetworkId, SystemClock};

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
    factories: Vec<Address>,
    sponsoring: Allowed,
}

impl fmt::Debug for EvmBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EvmBuilder").field("id", &self.id).finish_non_exhaustive()
    }
}

impl EvmBuilder {
    pub(crate) fn new(id: NetworkId) -> Self {
        Self {
            id,
            provider: None,
            assets: Vec::new(),
            clock: Arc::new(SystemClock),
            block_time: Duration::from_millis(2000),
            rpc_timeout: Duration::from_secs(10),
            settle_timeout: Duration::from_secs(60),
            max_fee_per_gas: 500_000_000_000,
            max_gas: 500_000,
            factories: Vec::new(),
            sponsoring: ALLOWED,
        }
    }

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

    /// Factories that may make the wallets of payers who sign before theirs exists (ERC-6492); none where not set.
    /// What they run is paid with this facilitator's gas, up to `max_gas`.
    pub fn erc6492_factories(mut self, factories: impl IntoIterator<Item = Address>) -> Self {
        self.factories.extend(factories);
        self
    }

    /// How many payments of one payer are sponsored in a day (UTC), 200 where not set: those whose allowance for
    /// Permit2, or whose wallet, is made within the payment. Zero sponsors none.
    pub fn sponsored_per_payer(mut self, payments: u32) -> Self {
        self.sponsoring.payments = payments;
        self
    }

    /// How much gas the sponsored payments of a day may take together, each counted at `max_gas`; 5 000 000 000 where
    /// not set.
    pub fn sponsored_gas(mut self, gas: u64) -> Self {
        self.sponsoring.gas = gas;
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
        let chain = self.provider.map(|provider| {
            let rpc = Rpc::new(id.clone(), provider, self.rpc_timeout);
            let blocks = Blocks::new(rpc.clone(), self.block_time);
            let limits = Limits {
                max_gas: self.max_gas,
                settle_timeout: self.settle_timeout,
                factories: self.factories,
                sponsoring: Quota::new(self.sponsoring, self.clock.clone()),
            };
            Chain::new(id.clone(), chain_id, rpc, Fees::new(self.max_fee_per_gas), blocks, limits)
        });
        Ok(Evm::new(id, Domains::new(chain_id), assets, self.clock, chain))
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
