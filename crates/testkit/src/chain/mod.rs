//! The fake chain: a plug-in like any other ([`FAKE`]), whose payments carry the script of what happens to them.

mod auditor;
mod payload;
mod script;
mod sides;
mod sign_in;
mod signer;
mod world;

pub use auditor::Auditor;
pub use payload::{FakeExact, FakePayload};
pub use script::{Fate, OnSettle, OnVerify, Script};
pub use sides::{FakeClient, FakeClientConfig, FakeServer, FakeServerConfig, FakeTeller};
pub use signer::FakeSigner;
pub use world::Transfer;

use crate::clock::FakeClock;
use async_trait::async_trait;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tollway_core::{
    Amount, Asset, Build, BuildContext, Durable, Fault, FaultKind, LedgerHandle, Network, NetworkId, NetworkWords,
    OpenSlot, Outcome, Plugin, Realm, Rejected, Settler, SignIn, SignedTx, Slot, Ticket, Vocabulary,
};
use world::{Transaction, World, lock, world};

/// The fake chain and its scheme `exact`, for networks named `fake:*`.
///
/// One network id is one world, shared by everybody in the process: give every test an id of its own.
pub const FAKE: Plugin = Plugin::new("tollway-testkit", "A scripted chain for tests, scheme `exact`", |r| {
    r.network::<FakeChain>("fake:*").signer::<FakeSigner>("local", "fake:*");
    r.client::<FakeClient>("fake:*").server::<FakeServer>("fake:*").facilitator::<FakeTeller>("fake:*");
});

/// The address of the fake chain's dollar, `FUSD` with six decimals.
pub const COIN: &str = "fusd-coin";
/// The address of its other asset, `FEUR` with two decimals.
pub const EURO: &str = "feur-coin";

/// The codes the fake scheme refuses with.
pub mod codes {
    use tollway_core::ErrorCode;

    /// The script says so.
    pub const REFUSED: ErrorCode = ErrorCode::new("fake_refused");
    /// The payment moved money before.
    pub const SPENT: ErrorCode = ErrorCode::new("fake_spent");
    /// The payer has less.
    pub const INSUFFICIENT_FUNDS: ErrorCode = ErrorCode::new("insufficient_funds");
    /// The transaction is in a block and did nothing.
    pub const REVERTED: ErrorCode = ErrorCode::new("fake_reverted");
    /// The transaction can never be in a block.
    pub const DROPPED: ErrorCode = ErrorCode::new("fake_dropped");
    /// The text is no address.
    pub const INVALID_ADDRESS: ErrorCode = ErrorCode::new("fake_invalid_address");
    /// The signature is not the payer's, or not for this offer.
    pub const INVALID_SIGNATURE: ErrorCode = ErrorCode::new("fake_invalid_signature");
    /// The payment is no longer, or not long enough, valid.
    pub const EXPIRED: ErrorCode = ErrorCode::new("fake_expired");
}

/// The one spelling of an address: lower case.
pub(crate) fn canonical(address: &str) -> Result<String, Rejected> {
    let letters = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    match (1..=64).contains(&address.len()) && letters(address) {
        true => Ok(address.to_ascii_lowercase()),
        false => Err(Rejected::new(codes::INVALID_ADDRESS).because("letters, digits and hyphens, 64 at most")),
    }
}

/// One fake network.
pub struct FakeChain {
    id: NetworkId,
    assets: Vec<Asset>,
    world: Arc<Mutex<World>>,
}

impl fmt::Debug for FakeChain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeChain").field("id", &self.id).finish_non_exhaustive()
    }
}

/// The section of a fake network.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct FakeChainConfig {
    /// Which network.
    pub id: NetworkId,
    /// Accounts that can run dry; all others are rich.
    #[serde(default)]
    pub funds: BTreeMap<String, Amount>,
}

impl Build for FakeChain {
    type Config = FakeChainConfig;
    const EXAMPLE: &'static str = r#"{ "funds": { "alice": "1000000" } }"#;

    async fn build(config: FakeChainConfig, _: BuildContext) -> Result<Self, String> {
        let chain = Self::open(config.id);
        for (account, amount) in config.funds {
            let account = canonical(&account).map_err(|why| format!("funds.{account}: {why}"))?;
            lock(&chain.world).funds.entry(account).or_insert(amount);
        }
        Ok(chain)
    }
}

impl FakeChain {
    /// The network of that name.
    pub fn open(id: NetworkId) -> Self {
        let assets = vec![Asset::new(COIN, "FUSD", 6).with_extra("name", "Fake Dollar"), Asset::new(EURO, "FEUR", 2)];
        Self { world: world(&id), id, assets }
    }

    /// The network of that name.
    ///
    /// # Panics
    /// The text is no network id.
    pub fn at(id: &str) -> Self {
        Self::open(crate::fixtures::network(id))
    }

    /// Counts what moves here.
    pub fn auditor(&self) -> Auditor {
        Auditor { world: self.world.clone() }
    }

    /// What clients sign into their payments from now on. A client's own configured script comes first.
    pub fn script(&self, script: Script) {
        lock(&self.world).script = Some(script);
    }

    /// Limits what an account has, for instance to drain a wallet while a handler runs.
    pub fn set_funds(&self, address: &str, amount: u64) {
        lock(&self.world).funds.insert(address.to_ascii_lowercase(), Amount::from(amount));
    }

    /// Makes settling refuse a payment that moved money before, as real chains do. Left out, it moves the money again, so
    /// that the auditor sees who settles twice.
    pub fn refuse_replays(&self) {
        lock(&self.world).refuses_replays = true;
    }

    /// Includes everything that waits.
    pub fn mine(&self) {
        lock(&self.world).mine();
    }

    /// A signed transaction for a transfer.
    fn transaction(&self, transfer: Transfer, fate: Fate) -> Result<SignedTx, Fault> {
        let mut world = lock(&self.world);
        world.signed = world.signed.saturating_add(1);
        let number = world.signed;
        let bytes = serde_json::to_vec(&Transaction { number, transfer, fate })
            .map_err(|why| Fault::new(FaultKind::Internal, "a transfer could not be written").source(why))?;
        let slot = Slot::new(self.id.clone(), "fake-teller", Some(number));
        Ok(SignedTx::new(slot, format!("fake-tx-{number}"), bytes))
    }

    /// Takes a [`Durable`] and nothing else, as senders do.
    fn send(&self, durable: &Durable) -> Result<(), Fault> {
        let transaction = serde_json::from_slice(&durable.tx().bytes)
            .map_err(|why| Fault::new(FaultKind::Invalid, "these bytes are no transaction").source(why))?;
        lock(&self.world).send(&durable.tx().hash, transaction);
        Ok(())
    }

    fn outcome(&self, hash: &str, watching: bool) -> Outcome {
        let found = lock(&self.world).outcome(hash, watching);
        found.unwrap_or_else(|| Outcome::Pending { transaction: hash.to_owned() })
    }
}

impl Network for FakeChain {
    fn id(&self) -> &NetworkId {
        &self.id
    }

    fn assets(&self) -> &[Asset] {
        &self.assets
    }

    fn canonical(&self, address: &str) -> Result<String, Rejected> {
        canonical(address)
    }

    fn settler(&self) -> Option<&dyn Settler> {
        Some(self)
    }

    /// Networks are what their names begin with: `fake:main-…` and `fake:test-…`; all others are neither.
    fn words(id: &NetworkId) -> NetworkWords {
        let words = NetworkWords::named(["make-believe"]);
        match id.reference().split_once('-') {
            Some(("main", _)) => words.realm(Realm::Mainnet).pace(Duration::from_secs(2)),
            Some(("test", _)) => words.realm(Realm::Testnet).pace(Duration::from_millis(500)),
            _ => words,
        }
    }

    fn vocabulary() -> Vocabulary {
        Vocabulary::new(["make-believe"], ["FUSD", "FEUR"])
    }

    fn sign_in(&self) -> Option<&dyn SignIn> {
        Some(self)
    }
}

#[async_trait]
impl Settler for FakeChain {
    async fn reconcile(&self, open: &OpenSlot, _: &LedgerHandle) -> Result<Vec<(Ticket, Outcome)>, Fault> {
        let mut outcomes = Vec::new();
        for row in &open.claims {
            let Some(attempt) = open.carrying(&row.claim.key).last() else { continue };
            self.send(attempt)?;
            outcomes.push((row.ticket(), self.outcome(&attempt.tx().hash, false)));
        }
        Ok(outcomes)
    }
}

/// A time at which every fake payment made by fixtures is valid.
pub(crate) const VALID_UNTIL: u64 = FakeClock::START + 3600;
