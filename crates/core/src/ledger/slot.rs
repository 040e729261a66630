//! [`Slot`], [`SignedTx`] and [`Durable`]: what was signed, and the proof that it is written down.

use crate::{ClaimKey, ClaimRow, NetworkId};
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

/// A slot with its attempts and the claims they carry.
///
/// Attempts are fee bumps of one another as a rule. After a crash a slot may hold others: of a process that signed for a
/// place in the order which its successor, asking the chain, found free. Only one of them can ever be mined, and what it
/// did says nothing of the claims that others carry.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct OpenSlot<T = Durable> {
    /// Every transaction signed for the slot, oldest first.
    pub attempts: Vec<T>,
    /// The claims waiting for it, each once.
    pub claims: Vec<ClaimRow>,
    /// What each attempt carries.
    pub(super) carried: Vec<Vec<ClaimKey>>,
}

impl<T> OpenSlot<T> {
    /// A slot with nothing in it.
    pub fn empty() -> Self {
        Self { attempts: Vec::new(), claims: Vec::new(), carried: Vec::new() }
    }

    /// Adds the next attempt and the claims it carries.
    pub fn push(&mut self, attempt: T, carries: impl IntoIterator<Item = ClaimRow>) {
        let mut keys = Vec::new();
        for row in carries {
            keys.push(row.claim.key.clone());
            if !self.claims.iter().any(|known| known.claim.key == row.claim.key) {
                self.claims.push(row);
            }
        }
        self.attempts.push(attempt);
        self.carried.push(keys);
    }

    /// The attempts that carry a claim, oldest first.
    pub fn carrying<'a>(&'a self, key: &'a ClaimKey) -> impl DoubleEndedIterator<Item = &'a T> {
        self.attempts.iter().zip(&self.carried).filter(|(_, carried)| carried.contains(key)).map(|(attempt, _)| attempt)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AccountId, Amount, Caller, Claim, ClaimRow, PaymentPayload, PaymentRequirements, Scope};

    fn row(name: &str) -> ClaimRow {
        let network: NetworkId = "fake:1".parse().unwrap();
        let claim = Claim::new(ClaimKey::new(&network, "m", &[name]), AccountId::new(network.clone(), "alice"));
        let offer = PaymentRequirements::new("exact", network, Amount::from(1), "coin", "payee");
        let raw = PaymentPayload::new(offer.clone(), serde_json::json!({}));
        ClaimRow::new(Scope::Facilitator, claim, raw, offer, Caller::new("mine"))
    }

    #[test]
    fn claims_are_listed_once_and_found_in_their_own_attempts_only() {
        let (a, b) = (row("a"), row("b"));
        let mut slot = OpenSlot::empty();
        slot.push("first", [a.clone()]);
        slot.push("bumped", [a.clone()]);
        slot.push("foreign", [b.clone()]);
        assert_eq!(slot.claims, [a.clone(), b.clone()]);
        assert_eq!(slot.carrying(&a.claim.key).collect::<Vec<_>>(), [&"first", &"bumped"]);
        assert_eq!(slot.carrying(&b.claim.key).collect::<Vec<_>>(), [&"foreign"]);
        assert_eq!(slot.carrying(&row("c").claim.key).next(), None);
    }
}
