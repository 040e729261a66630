//! Transactions that wait for a block.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use alloy::consensus::Transaction as _;
use alloy::consensus::TxEnvelope;
use alloy::consensus::transaction::Recovered;
use alloy::primitives::{Address, TxHash};

/// The most transactions that wait at once.
const CAPACITY: usize = 20_000;
/// By how much a replacement must raise both fees, in per cent.
const PRICE_BUMP: u128 = 10;

/// One waiting transaction.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) transaction: Recovered<TxEnvelope>,
    /// Counts arrivals: of equal tips the first goes first.
    pub(crate) arrival: u64,
}

impl Waiting {
    pub(crate) fn hash(&self) -> TxHash {
        *self.transaction.tx_hash()
    }
}

/// Why the pool refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    AlreadyKnown,
    Underpriced,
    Full,
}

/// At most one transaction per sender and nonce.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pool {
    senders: HashMap<Address, BTreeMap<u64, Arc<Waiting>>>,
    places: HashMap<TxHash, (Address, u64)>,
    arrivals: u64,
}

impl Pool {
    pub(crate) fn contains(&self, hash: &TxHash) -> bool {
        self.places.contains_key(hash)
    }

    pub(crate) fn get(&self, hash: &TxHash) -> Option<&Arc<Waiting>> {
        let (sender, nonce) = self.places.get(hash)?;
        self.at(sender, *nonce)
    }

    pub(crate) fn at(&self, sender: &Address, nonce: u64) -> Option<&Arc<Waiting>> {
        self.senders.get(sender)?.get(&nonce)
    }

    pub(crate) fn senders(&self) -> impl Iterator<Item = &Address> {
        self.senders.keys()
    }

    /// Every waiting transaction, in order of arrival.
    pub(crate) fn hashes(&self) -> Vec<TxHash> {
        let mut waiting: Vec<&Arc<Waiting>> = self.senders.values().flat_map(BTreeMap::values).collect();
        waiting.sort_unstable_by_key(|waiting| waiting.arrival);
        waiting.into_iter().map(|waiting| waiting.hash()).collect()
    }

    /// The nonce after the last of an unbroken row that begins at `nonce`.
    pub(crate) fn next_nonce(&self, sender: &Address, nonce: u64) -> u64 {
        let Some(queue) = self.senders.get(sender) else { return nonce };
        let row = queue.range(nonce..).zip(nonce..).take_while(|((found, _), want)| *found == want);
        nonce + row.count() as u64
    }

    /// Takes a transaction in, in place of one with the same nonce where both its fees are enough higher.
    pub(crate) fn insert(&mut self, transaction: Recovered<TxEnvelope>) -> Result<(), Refused> {
        let hash = *transaction.tx_hash();
        if self.contains(&hash) {
            return Err(Refused::AlreadyKnown);
        }
        let place = (transaction.signer(), transaction.nonce());
        if let Some(before) = self.at(&place.0, place.1) {
            let raised = |old: u128, new: u128| new > old && new >= old.saturating_mul(100 + PRICE_BUMP) / 100;
            let (old, new) = (before.transaction.inner(), transaction.inner());
            if !raised(old.max_fee_per_gas(), new.max_fee_per_gas()) || !raised(tip(old), tip(new)) {
                return Err(Refused::Underpriced);
            }
            let replaced = before.hash();
            self.places.remove(&replaced);
        } else if self.places.len() >= CAPACITY {
            return Err(Refused::Full);
        }
        self.arrivals += 1;
        let waiting = Arc::new(Waiting { transaction, arrival: self.arrivals });
        self.senders.entry(place.0).or_default().insert(place.1, waiting);
        self.places.insert(hash, place);
        Ok(())
    }

    pub(crate) fn remove(&mut self, hash: &TxHash) -> bool {
        let Some((sender, nonce)) = self.places.remove(hash) else { return false };
        if let Some(queue) = self.senders.get_mut(&sender) {
            queue.remove(&nonce);
            if queue.is_empty() {
                self.senders.remove(&sender);
            }
        }
        true
    }

    /// Forgets what `sender` can no longer send because its nonce moved on.
    pub(crate) fn advance(&mut self, sender: &Address, nonce: u64) {
        let Some(queue) = self.senders.get_mut(sender) else { return };
        let kept = queue.split_off(&nonce);
        for stale in std::mem::replace(queue, kept).into_values() {
            self.places.remove(&stale.hash());
        }
        if queue.is_empty() {
            self.senders.remove(sender);
        }
    }
}

/// A legacy price is the cap and the tip at once.
fn tip(transaction: &TxEnvelope) -> u128 {
    transaction.max_priority_fee_per_gas().unwrap_or_else(|| transaction.max_fee_per_gas())
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy::consensus::{SignableTransaction as _, TxEip1559};
    use alloy::primitives::{Signature, TxKind};

    const SENDER: Address = Address::with_last_byte(7);

    fn transaction(nonce: u64, fee: u128, tip: u128) -> Recovered<TxEnvelope> {
        let body = TxEip1559 {
            nonce,
            max_fee_per_gas: fee,
            max_priority_fee_per_gas: tip,
            to: TxKind::Call(SENDER),
            ..Default::default()
        };
        let signed = body.into_signed(Signature::test_signature());
        Recovered::new_unchecked(signed.into(), SENDER)
    }

    #[test]
    fn a_replacement_raises_both_fees_by_a_tenth() {
        let mut pool = Pool::default();
        pool.insert(transaction(0, 1000, 100)).unwrap();
        assert_eq!(pool.insert(transaction(0, 1000, 100)), Err(Refused::AlreadyKnown));
        assert_eq!(pool.insert(transaction(0, 1099, 110)), Err(Refused::Underpriced));
        assert_eq!(pool.insert(transaction(0, 1100, 109)), Err(Refused::Underpriced));
        pool.insert(transaction(0, 1100, 110)).unwrap();
        assert_eq!(pool.hashes().len(), 1);
        assert_eq!(pool.at(&SENDER, 0).unwrap().transaction.max_fee_per_gas(), 1100);
    }

    #[test]
    fn even_a_free_transaction_is_replaced_by_a_dearer_one_only() {
        let mut pool = Pool::default();
        pool.insert(transaction(0, 0, 0)).unwrap();
        assert_eq!(pool.insert(transaction(0, 1, 0)), Err(Refused::Underpriced));
        pool.insert(transaction(0, 1, 1)).unwrap();
    }

    #[test]
    fn the_next_nonce_stops_at_a_gap() {
        let mut pool = Pool::default();
        for nonce in [3, 4, 6] {
            pool.insert(transaction(nonce, 1, 1)).unwrap();
        }
        assert_eq!(pool.next_nonce(&SENDER, 3), 5);
        assert_eq!(pool.next_nonce(&SENDER, 2), 2);
        assert_eq!(pool.next_nonce(&SENDER, 6), 7);
        assert_eq!(pool.next_nonce(&Address::ZERO, 9), 9);
    }

    #[test]
    fn advancing_forgets_older_nonces() {
        let mut pool = Pool::default();
        for nonce in 0..3 {
            pool.insert(transaction(nonce, 1, 1)).unwrap();
        }
        pool.advance(&SENDER, 2);
        assert_eq!(pool.hashes().len(), 1);
        pool.advance(&SENDER, 3);
        assert!(pool.senders().next().is_none());
    }
}
