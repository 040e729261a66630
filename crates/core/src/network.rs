//! What authors of a chain write: a [`Network`], its [`Signer`]s and, where it settles, a [`Settler`].

use crate::{Asset, Fault, LedgerHandle, NetworkId, OpenSlot, Outcome, Rejected, SignIn, Ticket};
use async_trait::async_trait;
use std::any::Any;
use std::time::Duration;

/// One chain, opened once per configured id and shared by every scheme on it: provider, lanes, caches.
pub trait Network: Any + Send + Sync {
    /// Its CAIP-2 id.
    fn id(&self) -> &NetworkId;

    /// The assets it knows by name. Entry 0 is what a dollar price means here; empty where there is none.
    fn assets(&self) -> &[Asset];

    /// The one spelling of an address: equal addresses become equal text.
    ///
    /// # Errors
    /// The text is no address of this network.
    fn canonical(&self, address: &str) -> Result<String, Rejected>;

    /// What finishes the settlements a crash left open, on networks that settle.
    fn settler(&self) -> Option<&dyn Settler> {
        None
    }

    /// How wallets sign in, on networks where they can.
    fn sign_in(&self) -> Option<&dyn SignIn> {
        None
    }

    /// What people call the network `id` and what is known about it without opening it, for preferences such as
    /// `avoid = ["mainnet"]`.
    fn words(id: &NetworkId) -> NetworkWords
    where
        Self: Sized,
    {
        let _ = id;
        NetworkWords::default()
    }

    /// Every name that [`words`](Self::words) may give, and every ticker its networks know, so that a misspelt
    /// preference is noticed before any network is opened.
    fn vocabulary() -> Vocabulary
    where
        Self: Sized,
    {
        Vocabulary::default()
    }

    /// The known asset at `address`, if there is one. Compares canonical spellings.
    fn asset(&self, address: &str) -> Option<&Asset> {
        let wanted = self.canonical(address).ok()?;
        self.assets().iter().find(|asset| self.canonical(&asset.address).is_ok_and(|known| known == wanted))
    }
}

/// Whether what is paid on a network is worth anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Realm {
    /// It is.
    Mainnet,
    /// It is for trying out.
    Testnet,
}

/// What a network's plug-in says about one of its networks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct NetworkWords {
    /// Everyday names, in lower case: of the network (`base`), and of its namespace where that has another name than in
    /// CAIP-2 (`evm`).
    pub names: Vec<&'static str>,
    /// `None` where nobody knows.
    pub realm: Option<Realm>,
    /// About how long a settlement takes, where that is known.
    pub pace: Option<Duration>,
}

impl NetworkWords {
    /// A network of these names.
    pub fn named(names: impl IntoIterator<Item = &'static str>) -> Self {
        Self { names: names.into_iter().collect(), ..Self::default() }
    }

    /// Says whether what is paid there is worth anything.
    pub fn realm(mut self, realm: Realm) -> Self {
        self.realm = Some(realm);
        self
    }

    /// Says about how long a settlement takes.
    pub fn pace(mut self, pace: Duration) -> Self {
        self.pace = Some(pace);
        self
    }
}

/// The words a network's plug-in knows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Vocabulary {
    /// Names of networks, and of their namespace.
    pub names: Vec<&'static str>,
    /// Tickers of assets.
    pub symbols: Vec<&'static str>,
}

impl Vocabulary {
    /// These names and tickers.
    pub fn new(names: impl IntoIterator<Item = &'static str>, symbols: impl IntoIterator<Item = &'static str>) -> Self {
        Self { names: names.into_iter().collect(), symbols: symbols.into_iter().collect() }
    }
}

/// Holds a key, or reaches a device that does.
#[async_trait]
pub trait Signer: Any + Send + Sync {
    /// Its address, canonical.
    fn address(&self) -> &str;

    /// Signs.
    ///
    /// # Errors
    /// The signer cannot sign this kind of thing, refused, or could not be reached. Never carries key material.
    async fn sign(&self, what: Signable<'_>) -> Result<Vec<u8>, Fault>;
}

/// What a signer is asked to sign.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Signable<'a> {
    /// A digest the network's rules produced, such as EIP-712's.
    Digest(&'a [u8; 32]),
    /// Bytes the signer's own rules hash: a Solana message, an EIP-191 text.
    Message(&'a [u8]),
}

/// Finishes open settlements of a network. It belongs to the network and not to a scheme, since one transaction may
/// carry claims of several schemes; what proves a single claim is its `expect`.
#[async_trait]
pub trait Settler: Send + Sync {
    /// Rebroadcasts identical bytes or reads the outcome. Claims it says nothing about stay open.
    ///
    /// # Errors
    /// The chain could not be asked.
    async fn reconcile(&self, open: &OpenSlot, ledger: &LedgerHandle) -> Result<Vec<(Ticket, Outcome)>, Fault>;
}
