//! What authors of a chain write: a [`Network`], its [`Signer`]s and, where it settles, a [`Settler`].

use crate::{Asset, Fault, LedgerHandle, NetworkId, OpenSlot, Outcome, Rejected, SignIn, Ticket};
use async_trait::async_trait;
use std::any::Any;

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

    /// The known asset at `address`, if there is one. Compares canonical spellings.
    fn asset(&self, address: &str) -> Option<&Asset> {
        let wanted = self.canonical(address).ok()?;
        self.assets().iter().find(|asset| self.canonical(&asset.address).is_ok_and(|known| known == wanted))
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
