//! [`Slot`], [`SignedTx`] and [`Durable`]: what was signed, and the proof that it is written down.

use crate::{ClaimRow, NetworkId};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The place a transaction takes in its signer's order. Attempts on one slot exclude each other on chain.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Slot {
    /// The chain.
    pub network: NetworkId,
    /// Address that pays for gas.
    pub signer: String,
    /// The account nonce, on chains that order by one.
    pub sequence: Option<u64>,
    /// Which holder of the signer wrote this; an older holder is fenced off.
    pub epoch: u64,
}

impl Slot {
    /// A slot of a signer's only holder.
    pub fn new(network: NetworkId, signer: impl Into<String>, sequence: Option<u64>) -> Self {
        Self { network, signer: signer.into(), sequence, epoch: 0 }
    }

    /// A slot of the holder that [`Ledger::hold`](crate::Ledger::hold) made, under that epoch.
    pub fn with_epoch(mut self, epoch: u64) -> Self {
        self.epoch = epoch;
        self
    }
}

/// A signed transaction, ready to send.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SignedTx {
    /// Its place.
    pub slot: Slot,
    /// Its hash, known before it is sent.
    pub hash: String,
    /// The very bytes to send; a rebroadcast sends these and no others.
    pub bytes: Vec<u8>,
    /// Unix seconds after which the chain cannot accept it; `None` if that is not a time.
    pub dead_after: Option<u64>,
}

impl SignedTx {
    /// A transaction that stays acceptable for as long as its slot is free.
    pub fn new(slot: Slot, hash: impl Into<String>, bytes: Vec<u8>) -> Self {
        Self { slot, hash: hash.into(), bytes, dead_after: None }
    }
}

impl fmt::Debug for SignedTx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignedTx").field("slot", &self.slot).field("hash", &self.hash).finish_non_exhaustive()
    }
}

/// Proof that a transaction is in the ledger. Senders take this and nothing else, so the compiler enforces
/// "durable before sending".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Durable {
    pub(super) tx: SignedTx,
}

impl Durable {
    /// The transaction.
    pub fn tx(&self) -> &SignedTx {
        &self.tx
    }
}

/// A slot with its attempts (fee bumps of one another) and the claims they carry.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct OpenSlot<T = Durable> {
    /// Every transaction signed for the slot, oldest first.
    pub attempts: Vec<T>,
    /// The claims waiting for it.
    pub claims: Vec<ClaimRow>,
}

impl<T> OpenSlot<T> {
    /// A slot as read from a store.
    pub fn new(attempts: Vec<T>, claims: Vec<ClaimRow>) -> Self {
        Self { attempts, claims }
    }
}
