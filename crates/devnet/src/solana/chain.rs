//! The chain itself: litesvm runs transactions, and this adds what a cluster has and litesvm has not: slots, a queue of
//! blockhashes that expire, a memory of messages that ran, and statuses that grow surer with time.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use litesvm::LiteSVM;
use sha2::{Digest as _, Sha256};
use solana_account::{Account, ReadableAccount as _};
use solana_clock::Clock;
use solana_hash::Hash;
use solana_pubkey::Pubkey;
use solana_signature::Signature;
use solana_transaction::versioned::VersionedTransaction;
use solana_transaction_error::TransactionError;

/// The slot a chain begins in, and how much lower the block height is: numbers that look alike get mixed up.
const FIRST_SLOT: u64 = 2_000;
const SKIPPED: u64 = 900;
/// Blocks for which a blockhash is accepted, its own not counted.
const BLOCKHASH_LIFE: u64 = 150;
/// Blockhashes remembered.
const MOST_HASHES: usize = 301;
/// Slots until a transaction is confirmed, and until it is final.
const CONFIRMED_AFTER: u64 = 1;
const FINAL_AFTER: u64 = 32;
/// Milliseconds a slot takes by the chain's own clock, whose first second is this one.
const SLOT_MILLIS: u64 = 400;
const FIRST_SECOND: i64 = 1_800_000_000;
/// Transactions remembered.
const MOST_DONE: usize = 100_000;

/// How sure an answer must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Commitment {
    Processed,
    Confirmed,
    Finalized,
}

/// A transaction that reached a block.
#[derive(Clone, Debug)]
pub(crate) struct Done {
    pub(crate) slot: u64,
    at: Instant,
    pub(crate) err: Option<TransactionError>,
    pub(crate) transaction: VersionedTransaction,
    pub(crate) logs: Vec<String>,
    pub(crate) fee: u64,
    pub(crate) units: u64,
}

/// What running a transaction would do.
#[derive(Clone, Debug)]
pub(crate) struct Simulation {
    pub(crate) err: Option<TransactionError>,
    pub(crate) logs: Vec<String>,
    pub(crate) fee: u64,
    pub(crate) units: u64,
    /// The accounts that would be written.
    pub(crate) written: HashMap<Pubkey, Account>,
}

pub(crate) struct Chain {
    svm: LiteSVM,
    slot: u64,
    /// The newest last, each with its block height.
    hashes: VecDeque<(Hash, u64)>,
    done: HashMap<Signature, Done>,
    /// Hash of a message that ran → its transaction; messages run once, whatever their signatures.
    ran: HashMap<[u8; 32], Signature>,
    order: VecDeque<([u8; 32], Signature)>,
    pub(crate) genesis: String,
    /// Whether each transaction ends its slot, and is final then.
    pub(crate) slot_per_transaction: bool,
    /// How long after it ran a transaction is final, where that is not up to slots.
    pub(crate) confirmed_after: Option<Duration>,
}

impl Chain {
    pub(crate) fn new(genesis: String, first: Option<Hash>, slot_per_transaction: bool) -> Self {
        // Blockhashes, duplicates and signatures are looked after here.
        let svm = LiteSVM::new().with_blockhash_check(false).with_sigverify(false);
        let first = first.unwrap_or_else(|| Hash::new_from_array(Sha256::digest(genesis.as_bytes()).into()));
        let mut chain = Self {
            svm,
            slot: FIRST_SLOT,
            hashes: VecDeque::from([(first, FIRST_SLOT - SKIPPED)]),
            done: HashMap::new(),
            ran: HashMap::new(),
            order: VecDeque::new(),
            genesis,
            slot_per_transaction,
            confirmed_after: None,
        };
        chain.set_clock();
        chain
    }

    /// Lets slots pass, each with a block and a blockhash of its own.
    pub(crate) fn advance(&mut self, slots: u64) {
        // Of many, only the newest blockhashes are remembered.
        let skipped = slots.saturating_sub(MOST_HASHES as u64);
        self.slot += skipped;
        for _ in skipped..slots {
            self.slot += 1;
            let next = Sha256::new().chain_update(self.latest().0).chain_update(self.slot.to_le_bytes());
            self.hashes.push_back((Hash::new_from_array(next.finalize().into()), self.slot - SKIPPED));
            if self.hashes.len() > MOST_HASHES {
                self.hashes.pop_front();
            }
        }
        self.set_clock();
    }

    fn set_clock(&mut self) {
        let mut clock: Clock = self.svm.get_sysvar();
        clock.slot = self.slot;
        clock.unix_timestamp = FIRST_SECOND + (self.slot - FIRST_SLOT) as i64 * SLOT_MILLIS as i64 / 1000;
        self.svm.set_sysvar(&clock);
    }

    fn latest(&self) -> (Hash, u64) {
        self.hashes.back().copied().unwrap_or_default()
    }

    /// The slot as of a commitment.
    pub(crate) fn slot(&self, commitment: Commitment) -> u64 {
        let behind = match commitment {
            // Nobody makes the slots that would make the last one surer.
            _ if self.slot_per_transaction => 0,
            Commitment::Processed => 0,
            Commitment::Confirmed => CONFIRMED_AFTER,
            Commitment::Finalized => FINAL_AFTER,
        };
        self.slot - behind.min(self.slot - FIRST_SLOT)
    }

    /// The block height as of a commitment.
    pub(crate) fn height(&self, commitment: Commitment) -> u64 {
        self.slot(commitment) - SKIPPED
    }

    /// The newest blockhash as of a commitment, and the last height at which it is accepted.
    pub(crate) fn blockhash(&self, commitment: Commitment) -> (Hash, u64) {
        let height = self.height(commitment);
        let newest = self.hashes.iter().rev().find(|(_, of)| *of <= height);
        let (hash, of) = newest.or(self.hashes.front()).copied().unwrap_or_default();
        (hash, of + BLOCKHASH_LIFE)
    }

    /// Whether a blockhash is known and young enough as of a commitment.
    pub(crate) fn is_valid(&self, hash: &Hash, commitment: Commitment) -> bool {
        let height = self.height(commitment);
        let of = self.hashes.iter().find(|(known, _)| known == hash).map(|(_, of)| *of);
        of.is_some_and(|of| of <= height && height <= of + BLOCKHASH_LIFE)
    }

    pub(crate) fn account(&self, address: &Pubkey) -> Option<Account> {
        // An account without lamports does not exist.
        self.svm.get_account(address).filter(|account| account.lamports > 0)
    }

    pub(crate) fn set_account(&mut self, address: Pubkey, account: Account) -> Result<(), String> {
        self.svm.set_account(address, account).map_err(|why| format!("{address}: {why}"))
    }

    pub(crate) fn rent(&self, length: usize) -> u64 {
        self.svm.minimum_balance_for_rent_exemption(length)
    }

    /// What keeps a transaction from being run at all.
    fn admit(&self, transaction: &VersionedTransaction, hash: &[u8; 32]) -> Result<(), TransactionError> {
        if self.ran.contains_key(hash) {
            return Err(TransactionError::AlreadyProcessed);
        }
        match self.is_valid(transaction.message.recent_blockhash(), Commitment::Processed) {
            true => Ok(()),
            false => Err(TransactionError::BlockhashNotFound),
        }
    }

    /// Runs a transaction without keeping what it does. `any_blockhash` passes over its age.
    pub(crate) fn simulate(&self, transaction: &VersionedTransaction, any_blockhash: bool) -> Simulation {
        let failed = |err| Simulation { err: Some(err), logs: Vec::new(), fee: 0, units: 0, written: HashMap::new() };
        match self.admit(transaction, &message_hash(transaction)) {
            Err(TransactionError::BlockhashNotFound) if any_blockhash => {}
            Err(err) => return failed(err),
            Ok(()) => {}
        }
        match self.svm.simulate_transaction(transaction.clone()) {
            Ok(info) => Simulation {
                err: None,
                logs: info.meta.logs,
                fee: info.meta.fee,
                units: info.meta.compute_units_consumed,
                written: info.post_accounts.into_iter().map(|(address, account)| (address, account.into())).collect(),
            },
            Err(failure) => Simulation {
                logs: failure.meta.logs,
                fee: failure.meta.fee,
                units: failure.meta.compute_units_consumed,
                ..failed(failure.err)
            },
        }
    }

    /// Runs a transaction, as a leader does that gets it: what cannot be in a block leaves no trace.
    ///
    /// # Errors
    /// Why it is in no block.
    pub(crate) fn run(&mut self, transaction: VersionedTransaction) -> Result<(), TransactionError> {
        let hash = message_hash(&transaction);
        self.admit(&transaction, &hash)?;
        let Some(signature) = transaction.signatures.first().copied() else {
            return Err(TransactionError::SanitizeFailure);
        };
        if transaction.verify_with_results().iter().any(|good| !good) {
            return Err(TransactionError::SignatureFailure);
        }
        let (err, meta) = match self.svm.send_transaction(transaction.clone()) {
            Ok(meta) => (None, meta),
            Err(failure) => {
                if self.svm.get_transaction(&signature).is_none() {
                    // The fee could not be taken, or an account or program could not be loaded.
                    return Err(failure.err);
                }
                (Some(failure.err), failure.meta)
            }
        };
        let (logs, fee, units) = (meta.logs, meta.fee, meta.compute_units_consumed);
        self.done.insert(signature, Done { slot: self.slot, at: Instant::now(), err, transaction, logs, fee, units });
        self.ran.insert(hash, signature);
        self.order.push_back((hash, signature));
        if self.order.len() > MOST_DONE
            && let Some((hash, signature)) = self.order.pop_front()
        {
            self.ran.remove(&hash);
            self.done.remove(&signature);
        }
        if self.slot_per_transaction {
            self.advance(1);
        }
        Ok(())
    }

    /// A transaction that reached a block, and how sure that is.
    pub(crate) fn done(&self, signature: &Signature) -> Option<(&Done, Commitment)> {
        let done = self.done.get(signature)?;
        if let Some(time) = self.confirmed_after {
            let sure = if done.at.elapsed() >= time { Commitment::Finalized } else { Commitment::Processed };
            return Some((done, sure));
        }
        let sure = match self.slot - done.slot {
            _ if self.slot_per_transaction => Commitment::Finalized,
            FINAL_AFTER.. => Commitment::Finalized,
            CONFIRMED_AFTER.. => Commitment::Confirmed,
            _ => Commitment::Processed,
        };
        Some((done, sure))
    }

    /// The newest transactions first.
    pub(crate) fn history(&self) -> impl Iterator<Item = (&Signature, &Done)> {
        self.order.iter().rev().filter_map(|(_, signature)| self.done.get_key_value(signature))
    }

    /// Gives lamports out of nothing.
    pub(crate) fn airdrop(&mut self, address: &Pubkey, lamports: u64) -> Result<(), String> {
        let mut account = self.account(address).unwrap_or_default();
        account.lamports = account.lamports().saturating_add(lamports);
        self.set_account(*address, account)
    }
}

/// What the network runs once.
pub(crate) fn message_hash(transaction: &VersionedTransaction) -> [u8; 32] {
    Sha256::digest(transaction.message.serialize()).into()
}
