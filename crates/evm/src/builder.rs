//! [`EvmBuilder`]: a network set up in code.

use crate::address::parse_address;
use crate::assets;
use crate::blocks::Blocks;
use crate::chain::Chain;
use crate::eip712::Domains;
use crate::fees::Fees;
use crate::finality::{Finality, Finals, Wait, Waits};
use crate::heads::Heads;
use crate::limits::Limits;
use crate::network::Evm;
use crate::rpc::Rpc;
use crate::spend::Spend;
use crate::sponsor::{ALLOWED, Allowed, Quota};
use crate::transport::HttpTransport;
use alloy::primitives::Address;
use alloy::providers::{DynProvider, Provider as _, RootProvider};
use alloy::rpc::client::RpcClient;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tollway_core::{Asset, Clock, Money, NetworkId, SystemClock};

/// Sets up an [`Evm`] in code.
#[must_use]
pub struct EvmBuilder {
    id: NetworkId,
    provider: Option<DynProvider>,
    heads: Option<Heads>,
    assets: Vec<Asset>,
    clock: Arc<dyn Clock>,
    block_time: Duration,
    rpc_timeout: Duration,
    max_fee_per_gas: u128,
    limits: Limits,
    finality: Finality,
    wait: Wait,
    final_above: Option<Money>,
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
            heads: None,
            assets: Vec::new(),
            clock: Arc::new(SystemClock),
            block_time: Duration::from_millis(2000),
            rpc_timeout: Duration::from_secs(10),
            max_fee_per_gas: 500_000_000_000,
            limits: Limits::default(),
            finality: Finality::Blocks(12),
            wait: Wait::Included,
            final_above: None,
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

    /// The node's WebSocket, over which it announces blocks (`newHeads`). Without it, or while it fails, blocks are looked
    /// for when they are due.
    ///
    /// # Errors
    /// The URL is neither wss nor loopback.
    pub fn subscribe(mut self, url: &str) -> Result<Self, String> {
        self.heads = Some(Heads::new(url)?);
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
        self.limits.settle_timeout = time;
        self
    }

    /// Most wei per gas ever offered; 500 gwei where not set.
    pub fn max_fee_per_gas(mut self, wei: u128) -> Self {
        self.max_fee_per_gas = wei;
        self
    }

    /// Most gas of one payment's transaction and of one wallet's verdict; 500 000 where not set.
    pub fn max_gas(mut self, gas: u64) -> Self {
        self.limits.max_gas = gas;
        self
    }

    /// Most payments of one transaction; 100 where not set, and below two none share one.
    pub fn batch_max_payments(mut self, payments: usize) -> Self {
        self.limits.sharing.payments = payments;
        self
    }

    /// Most gas of a transaction that payments share; 8 000 000 where not set.
    pub fn batch_max_gas(mut self, gas: u64) -> Self {
        self.limits.sharing.gas = gas;
        self
    }

    /// How long a payment waits for company while its signer has transactions unmined; adapted to the time between
    /// blocks where not set.
    pub fn batch_wait(mut self, time: Duration) -> Self {
        self.limits.sharing.wait = Some(time);
        self
    }

    /// Most transactions a signer has unmined before payments that could share one wait for a block; 16 where not set.
    pub fn max_unmined(mut self, transactions: usize) -> Self {
        self.limits.sharing.unmined = transactions.max(1);
        self
    }

    /// Most wei for the gas of one payment; no limit where not set.
    pub fn max_fee_per_payment(mut self, wei: u128) -> Self {
        self.limits.max_fee_per_payment = Some(wei);
        self
    }

    /// Most wei for gas in a day (UTC) over all signers, counted since the process began; no limit where not set.
    pub fn max_spend_per_day(mut self, wei: u128) -> Self {
        self.limits.max_spend_per_day = Some(wei);
        self
    }

    /// Below so many wei a signer's balance is said to be low; below what a hundred payments cost where not set.
    pub fn low_balance(mut self, wei: u128) -> Self {
        self.limits.low_balance = Some(wei);
        self
    }

    /// When a settlement is answered; once it is in a block where not set.
    pub fn wait(mut self, wait: Wait) -> Self {
        self.wait = wait;
        self
    }

    /// Payments of more than this are answered once they are final, whatever [`wait`](Self::wait) says, and so are those
    /// in assets it does not speak of: dollars are of every known dollar, a ticker is of the asset it names.
    pub fn final_above(mut self, money: Money) -> Self {
        self.final_above = Some(money);
        self
    }

    /// When a block is final; with 12 blocks on top of it where not set.
    pub fn finality(mut self, finality: Finality) -> Self {
        self.finality = finality;
        self
    }

    /// Factories that may make the wallets of payers who sign before theirs exists (ERC-6492); none where not set.
    /// What they run is paid with this facilitator's gas, up to `max_gas`.
    pub fn erc6492_factories(mut self, factories: impl IntoIterator<Item = Address>) -> Self {
        self.limits.factories.extend(factories);
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
    /// The id is no `eip155:<number>`, a token's address is none, or there is a WebSocket and no node to ask.
    pub fn build(self) -> Result<Evm, String> {
        let id = self.id;
        let chain_id = chain_id(&id)?;
        let assets = merge(assets::known(chain_id), self.assets)?;
        if self.heads.is_some() && self.provider.is_none() {
            return Err(format!(
                "{id}: `subscribe` is of the node that `rpc` names; add `rpc` to the network's section"
            ));
        }
        let waits = waits(self.wait, self.final_above.as_ref(), &assets)?;
        let chain = self.provider.map(|provider| {
            let rpc = Rpc::new(id.clone(), provider, self.rpc_timeout);
            let blocks = Blocks::new(rpc.clone(), self.block_time, self.heads);
            let (clock, most) = (self.clock.clone(), self.limits.max_spend_per_day);
            let spend = Arc::new(Spend::new(id.clone(), clock.clone(), most));
            let spending = (spend, Quota::new(self.sponsoring, clock));
            let (fees, finals) = (Fees::new(self.max_fee_per_gas), Finals::new(self.finality, waits));
            Chain::new((id.clone(), chain_id), rpc, fees, blocks, spending, self.limits, finals)
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

/// Which payments wait to be final.
fn waits(wait: Wait, above: Option<&Money>, assets: &[Asset]) -> Result<Waits, String> {
    let Some(above) = above.filter(|_| wait == Wait::Included) else {
        return Ok(if wait == Wait::Final { Waits::All } else { Waits::None });
    };
    let mut most = BTreeMap::new();
    for (at, asset) in assets.iter().enumerate() {
        let meant = match above.symbol() {
            None => at == 0 || asset.dollar,
            Some(symbol) => asset.symbol.eq_ignore_ascii_case(symbol),
        };
        if let (true, Some(address)) = (meant, parse_address(&asset.address)) {
            most.insert(address, above.to_amount(asset.decimals).map_err(|why| format!("finalAbove: {why}"))?);
        }
    }
    Ok(Waits::Above(most))
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
