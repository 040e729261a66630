//! [`Nonces`]: which of a signer's nonces are next, free again, or under way.

use crate::broadcast::Refusal;
use std::collections::BTreeSet;

/// Which nonces are whose.
#[derive(Debug, Default)]
pub(crate) struct Nonces {
    /// The next never used; `None` until the chain was asked.
    next: Option<u64>,
    /// Below `next`, and refused by the node.
    free: BTreeSet<u64>,
    /// Of transactions under way.
    used: BTreeSet<u64>,
}

impl Nonces {
    /// The nonce the next transaction should have.
    pub(crate) fn peek(&self) -> Option<u64> {
        self.free.first().copied().or(self.next)
    }

    /// Forgets what is next: somebody else signed meanwhile. What is under way here stays so.
    pub(crate) fn forget(&mut self) {
        self.next = None;
        self.free.clear();
    }

    /// Takes the nonce that [`peek`](Self::peek) told.
    pub(crate) fn take(&mut self, nonce: u64) {
        if !self.free.remove(&nonce) {
            self.next = self.next.max(nonce.checked_add(1));
        }
        self.used.insert(nonce);
    }

    /// Notes that a transaction with this nonce, of a process before this one, is under way.
    pub(crate) fn inherit(&mut self, nonce: u64) {
        self.used.insert(nonce);
    }

    /// Forgets that a nonce is under way.
    pub(crate) fn release(&mut self, nonce: u64) {
        self.used.remove(&nonce);
    }

    /// Whether nothing under way stands before a nonce.
    pub(crate) fn is_first(&self, nonce: u64) -> bool {
        self.used.first() == Some(&nonce)
    }

    /// Frees what stands before a transaction and is neither the chain's, whose count is `pending`, nor under way, nor
    /// `known`; says whether there is any. A chain that took blocks back may have lost it, or a process that died.
    pub(crate) fn reclaim(&mut self, pending: u64, before: u64, known: &BTreeSet<u64>) -> bool {
        let ours = |nonce: &u64| self.used.contains(nonce) || known.contains(nonce);
        let lost: Vec<u64> = (pending..before).take(1024).filter(|nonce| !ours(nonce)).collect();
        self.free.extend(&lost);
        !lost.is_empty()
    }

    /// What a refusal says about the nonces. `pending` is the chain's count of mined and waiting transactions, where
    /// it was asked.
    pub(crate) fn refused(&mut self, nonce: u64, refusal: Refusal, pending: Option<u64>) {
        self.used.remove(&nonce);
        let gone = match refusal {
            // Unless the chain's own count says otherwise: nodes behind one address disagree now and then.
            Refusal::NonceTooLow => pending.is_none_or(|pending| pending > nonce),
            Refusal::Occupied => true,
            _ => false,
        };
        if !gone {
            self.free.insert(nonce);
        }
        let Some(pending) = pending else { return };
        if gone {
            self.next = self.next.max(Some(pending)).max(nonce.checked_add(1));
        } else {
            // The node misses what is between its count and this: unless it is on its way, it is free.
            let missing = (pending..nonce).rev().take(1024).filter(|missing| !self.used.contains(missing));
            self.free.extend(missing);
        }
        self.free = self.free.split_off(&pending);
    }

    /// A nonce that others wait behind and nobody holds.
    pub(crate) fn gap(&self) -> Option<u64> {
        let first = self.free.first().copied()?;
        self.used.last().is_some_and(|last| *last > first).then_some(first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nonces(next: u64, used: &[u64]) -> Nonces {
        Nonces { next: Some(next), free: BTreeSet::new(), used: used.iter().copied().collect() }
    }

    #[test]
    fn a_refused_nonce_is_the_next_ones() {
        let mut nonces = nonces(7, &[5, 6]);
        nonces.refused(5, Refusal::NoFunds, None);
        assert_eq!((nonces.peek(), nonces.gap()), (Some(5), Some(5)));
        nonces.take(5);
        assert_eq!((nonces.peek(), nonces.gap()), (Some(7), None));
        nonces.take(7);
        assert_eq!(nonces.peek(), Some(8));
    }

    #[test]
    fn the_last_refused_nonce_is_no_gap() {
        let mut nonces = nonces(7, &[5, 6]);
        nonces.refused(6, Refusal::NoFunds, None);
        assert_eq!((nonces.peek(), nonces.gap()), (Some(6), None));
    }

    #[test]
    fn a_used_nonce_is_followed_by_the_chains_count() {
        let mut used = nonces(6, &[5]);
        used.refused(5, Refusal::NonceTooLow, Some(9));
        assert_eq!(used.peek(), Some(9));
        // The node's count may be behind what is known.
        let mut behind = Nonces { next: Some(6), ..Nonces::default() };
        behind.refused(5, Refusal::Occupied, Some(3));
        assert_eq!(behind.peek(), Some(6));
        // And the node may not answer at all.
        // Or say that the nonce is not used at all.
        let mut wrong = nonces(8, &[5, 6, 7]);
        wrong.refused(5, Refusal::NonceTooLow, Some(5));
        assert_eq!((wrong.peek(), wrong.gap()), (Some(5), Some(5)));
        let mut silent = Nonces { next: Some(6), ..Nonces::default() };
        silent.refused(5, Refusal::NonceTooLow, None);
        assert_eq!(silent.peek(), Some(6));
    }

    #[test]
    fn what_a_node_lost_is_sent_again_by_others() {
        let mut nonces = nonces(10, &[8, 9]);
        nonces.refused(9, Refusal::NonceTooHigh, Some(5));
        assert_eq!(nonces.free.iter().copied().collect::<Vec<_>>(), [5, 6, 7, 9]);
        assert_eq!(nonces.gap(), Some(5));
    }

    #[test]
    fn what_the_chain_took_back_is_free_again() {
        let mut nonces = nonces(10, &[7, 9]);
        let (none, eight) = (BTreeSet::new(), BTreeSet::from([6, 8]));
        assert!(!nonces.reclaim(9, 9, &none) && !nonces.reclaim(10, 9, &none));
        assert!(!nonces.reclaim(6, 9, &eight), "what is in the books is sent from there");
        assert!(nonces.reclaim(6, 9, &none));
        assert_eq!((nonces.peek(), nonces.gap()), (Some(6), Some(6)));
        assert_eq!(nonces.free.iter().copied().collect::<Vec<_>>(), [6, 8]);
    }

    #[test]
    fn what_the_chain_is_past_is_not_free() {
        let mut nonces = nonces(10, &[7, 9]);
        nonces.free.extend([3, 4, 8]);
        nonces.refused(7, Refusal::NonceTooLow, Some(8));
        assert_eq!(nonces.free.iter().copied().collect::<Vec<_>>(), [8]);
    }
}
