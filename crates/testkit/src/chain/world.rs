//! What is shared by everybody who opens one fake network: who sent what, and what moved.

use super::script::{Fate, Script};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tollway_core::{Amount, ClaimKey, NetworkId, Outcome, Rejected, Settled};

use super::codes;

static WORLDS: Mutex<BTreeMap<NetworkId, Arc<Mutex<World>>>> = Mutex::new(BTreeMap::new());

/// The world behind a network id.
pub(super) fn world(id: &NetworkId) -> Arc<Mutex<World>> {
    lock(&WORLDS).entry(id.clone()).or_default().clone()
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Scripts panic on purpose, and never while a world is half changed.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Money that moved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Transfer {
    /// The payment it belongs to.
    pub key: ClaimKey,
    /// Who paid.
    pub from: String,
    /// Who received.
    pub to: String,
    /// Atomic units.
    pub amount: Amount,
    /// What was paid with.
    pub asset: String,
}

/// A transaction as its bytes say it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Transaction {
    /// Makes every signing a transaction of its own, as a nonce does.
    pub(super) number: u64,
    pub(super) transfer: Transfer,
    pub(super) fate: Fate,
}

#[derive(Debug, Default)]
pub(super) struct World {
    /// Accounts with a limit; all others are rich.
    pub(super) funds: BTreeMap<String, Amount>,
    /// What clients sign into their payments from now on.
    pub(super) script: Option<Script>,
    pub(super) sent: BTreeMap<String, Transaction>,
    pub(super) moved: Vec<(String, Transfer)>,
    pub(super) verifies: BTreeMap<ClaimKey, usize>,
    pub(super) settles: BTreeMap<ClaimKey, usize>,
    pub(super) signed: u64,
    pub(super) notes: u64,
    pub(super) sends: usize,
    pub(super) refuses_replays: bool,
}

impl World {
    /// Counts a call and says how many came before.
    pub(super) fn count(calls: &mut BTreeMap<ClaimKey, usize>, key: &ClaimKey) -> usize {
        let calls = calls.entry(key.clone()).or_default();
        let before = *calls;
        *calls = calls.saturating_add(1);
        before
    }

    /// Whether the payment was used before.
    pub(super) fn check_unspent(&self, transfer: &Transfer) -> Result<(), Rejected> {
        match self.moved.iter().any(|(_, moved)| moved.key == transfer.key) {
            true => Err(Rejected::new(codes::SPENT).payer(&transfer.from)),
            false => Ok(()),
        }
    }

    /// Whether the payer can pay.
    pub(super) fn check_funds(&self, transfer: &Transfer) -> Result<(), Rejected> {
        match self.funds.get(&transfer.from).is_some_and(|has| *has < transfer.amount) {
            true => Err(Rejected::new(codes::INSUFFICIENT_FUNDS).payer(&transfer.from)),
            false => Ok(()),
        }
    }

    /// Takes a transaction. The same bytes twice are the same transaction. Another transaction for the same payment
    /// *moves the money again*: a chain would refuse, and hide from the auditor that somebody paid twice.
    pub(super) fn send(&mut self, hash: &str, transaction: Transaction) {
        self.sends = self.sends.saturating_add(1);
        if self.sent.contains_key(hash) {
            return;
        }
        let fate = transaction.fate;
        self.sent.insert(hash.to_owned(), transaction);
        if fate == Fate::Included {
            self.include(hash);
        }
    }

    fn include(&mut self, hash: &str) {
        let Some(transaction) = self.sent.get_mut(hash) else { return };
        let transfer = transaction.transfer.clone();
        let has = self.funds.get(&transfer.from).copied().unwrap_or(Amount::MAX);
        let Some(rest) = has.checked_sub(transfer.amount) else {
            transaction.fate = Fate::Reverted;
            return;
        };
        transaction.fate = Fate::Included;
        if let Some(funds) = self.funds.get_mut(&transfer.from) {
            *funds = rest;
        }
        self.moved.push((hash.to_owned(), transfer));
    }

    /// Includes everything that waits.
    pub(super) fn mine(&mut self) {
        let waiting: Vec<_> =
            self.sent.iter().filter(|(_, tx)| tx.fate == Fate::Waiting).map(|(hash, _)| hash.clone()).collect();
        waiting.iter().for_each(|hash| self.include(hash));
    }

    /// What a first look finds (`watching`), or any later one.
    pub(super) fn outcome(&self, hash: &str, watching: bool) -> Option<Outcome> {
        let transaction = self.sent.get(hash)?;
        let payer = &transaction.transfer.from;
        let released = |code| Outcome::Released(Rejected::new(code).payer(payer).transaction(hash));
        Some(match transaction.fate {
            Fate::Included => Outcome::Settled(Settled::new(hash, payer)),
            Fate::Reverted => released(codes::REVERTED),
            Fate::Dropped if !watching => released(codes::DROPPED),
            Fate::Waiting | Fate::Dropped => Outcome::Pending { transaction: hash.to_owned() },
        })
    }
}
