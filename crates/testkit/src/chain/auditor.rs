//! [`Auditor`]: counts the money that moved, by payment, without believing anybody's books.

use super::world::{Transfer, World, lock};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};
use tollway_core::{Amount, ClaimKey};

/// Watches one fake network from outside.
#[derive(Clone)]
pub struct Auditor {
    pub(super) world: Arc<Mutex<World>>,
}

impl fmt::Debug for Auditor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Auditor").field("transfers", &self.transfers().len()).finish_non_exhaustive()
    }
}

impl Auditor {
    /// All that moved, with the hash of its transaction, in order.
    pub fn transfers(&self) -> Vec<(String, Transfer)> {
        lock(&self.world).moved.clone()
    }

    /// How often each payment moved money. Payments that moved none are not listed.
    pub fn by_key(&self) -> BTreeMap<ClaimKey, usize> {
        let mut times = BTreeMap::new();
        for (_, transfer) in &lock(&self.world).moved {
            let times: &mut usize = times.entry(transfer.key.clone()).or_default();
            *times = times.saturating_add(1);
        }
        times
    }

    /// How often one payment moved money.
    pub fn moved(&self, key: &ClaimKey) -> usize {
        self.by_key().get(key).copied().unwrap_or(0)
    }

    /// What an address received.
    pub fn received(&self, to: &str) -> Amount {
        let world = lock(&self.world);
        let received = world.moved.iter().filter(|(_, transfer)| transfer.to == to);
        received.fold(Amount::ZERO, |sum, (_, transfer)| sum.checked_add(transfer.amount).unwrap_or(Amount::MAX))
    }

    /// How often verification was asked for, of one payment.
    pub fn verifies(&self, key: &ClaimKey) -> usize {
        lock(&self.world).verifies.get(key).copied().unwrap_or(0)
    }

    /// How often settlement was asked for, of one payment.
    pub fn settles(&self, key: &ClaimKey) -> usize {
        lock(&self.world).settles.get(key).copied().unwrap_or(0)
    }

    /// How many transactions were sent, identical ones counted each time.
    pub fn sends(&self) -> usize {
        lock(&self.world).sends
    }

    /// The invariant of the house: money moves at most once per payment.
    ///
    /// # Panics
    /// It moved more often; names the payments and their transactions.
    #[track_caller]
    pub fn assert_at_most_once(&self) {
        let twice: Vec<_> = self.by_key().into_iter().filter(|(_, times)| *times > 1).collect();
        assert!(twice.is_empty(), "money moved more than once for {twice:?}; all transfers: {:?}", self.transfers());
    }
}
