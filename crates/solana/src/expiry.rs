//! Proving that a transaction can never land: its blockhash is too old, and every block that could have carried it is
//! final.
//!
//! A transaction carries no time. It is accepted up to a block height, 150 blocks after its blockhash's. Whether that
//! height has passed is asked of a node, and a single answer may come from a node that lags behind the chain and does
//! not know the blockhash *yet*. So nothing is concluded before as many blocks as such a node could lag by are final,
//! and then the question is asked again.

use crate::config::Commitment;
use crate::rpc::{CallError, Rpc};
use solana_pubkey::Pubkey;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Blocks a node may lag by, where this process has seen the blockhash accepted, and where it has not.
const LAG: u64 = 32;
const LAG_UNSEEN: u64 = 64;
/// Blockhashes followed. One that is dropped starts over, which only takes longer.
const MOST_FOLLOWED: usize = 1024;

/// What is known of blockhashes that transactions wait on.
#[derive(Debug, Default)]
pub(crate) struct Expiry {
    followed: Mutex<HashMap<Pubkey, Known>>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Known {
    /// A node has accepted it.
    seen: bool,
    /// A block height by which every block that could carry it exists.
    end: Option<u64>,
}

impl Expiry {
    fn followed(&self) -> MutexGuard<'_, HashMap<Pubkey, Known>> {
        // A map of values is whole whatever panicked while it was locked.
        self.followed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, blockhash: &Pubkey, known: Known) {
        let mut followed = self.followed();
        let full = followed.len() >= MOST_FOLLOWED && !followed.contains_key(blockhash);
        if let Some(any) = followed.keys().next().copied().filter(|_| full) {
            followed.remove(&any);
        }
        followed.insert(*blockhash, known);
    }

    /// Notes that a node has just run a transaction with this blockhash.
    pub(crate) fn seen(&self, blockhash: &Pubkey) {
        self.set(blockhash, Known { seen: true, end: None });
    }

    /// Whether no block to come can carry a transaction with this blockhash, and all that could are final. One that is
    /// not on chain after that never will be: look for it after this, not before.
    ///
    /// # Errors
    /// The node could not be asked.
    pub(crate) async fn has_passed(&self, rpc: &Rpc, blockhash: &Pubkey) -> Result<bool, CallError> {
        let known = self.followed().get(blockhash).copied().unwrap_or_default();
        if let Some(end) = known.end
            && rpc.block_height(Commitment::Finalized).await? <= end
        {
            return Ok(false);
        }
        if rpc.is_blockhash_valid(blockhash).await? {
            self.set(blockhash, Known { seen: true, end: None });
            return Ok(false);
        }
        if known.end.is_some() {
            return Ok(true);
        }
        let height = rpc.block_height(Commitment::Confirmed).await?;
        let lag = if known.seen { LAG } else { LAG_UNSEEN };
        self.set(blockhash, Known { end: Some(height.saturating_add(lag)), ..known });
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test::{Script, block_on, rpc_over};
    use serde_json::json;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

    /// A chain at a height that the test sets, whose blockhash is good up to another.
    fn chain(last_valid: u64) -> (Arc<AtomicU64>, Rpc) {
        let (script, height) = (Script::default(), Arc::new(AtomicU64::new(0)));
        let (asked, valid) = (height.clone(), height.clone());
        script.on("getBlockHeight", move |_| Ok(json!(asked.load(Relaxed))));
        script.on("isBlockhashValid", move |_| {
            Ok(json!({ "context": { "slot": 1 }, "value": valid.load(Relaxed) <= last_valid }))
        });
        (height, rpc_over(script))
    }

    #[test]
    fn a_blockhash_is_dead_only_when_all_its_blocks_are_final() {
        let (height, rpc) = chain(150);
        let (expiry, hash) = (Expiry::default(), Pubkey::default());
        expiry.seen(&hash);
        let at = |now: u64| {
            height.store(now, Relaxed);
            block_on(expiry.has_passed(&rpc, &hash)).unwrap()
        };
        assert!(!at(100) && !at(150), "it could land");
        assert!(!at(151), "it could have landed in a block that is not final");
        assert!(!at(151 + LAG));
        assert!(at(152 + LAG));
        assert!(at(1000));
    }

    #[test]
    fn after_a_restart_more_is_waited_for() {
        let (height, rpc) = chain(150);
        let (expiry, hash) = (Expiry::default(), Pubkey::default());
        let at = |now: u64| {
            height.store(now, Relaxed);
            block_on(expiry.has_passed(&rpc, &hash)).unwrap()
        };
        assert!(!at(200) && !at(200 + LAG_UNSEEN));
        assert!(at(201 + LAG_UNSEEN));
    }

    #[test]
    fn a_node_that_lags_is_not_believed() {
        let (height, rpc) = chain(150);
        let (expiry, hash) = (Expiry::default(), Pubkey::default());
        // It calls the blockhash unknown, then catches up and knows it.
        height.store(151, Relaxed);
        assert!(!block_on(expiry.has_passed(&rpc, &hash)).unwrap());
        let end = expiry.followed()[&hash].end.unwrap();
        expiry.set(&hash, Known { end: Some(10), ..Known::default() });
        height.store(100, Relaxed);
        assert!(!block_on(expiry.has_passed(&rpc, &hash)).unwrap());
        assert!(expiry.followed()[&hash].end.is_none() && end > 151, "it starts over");
    }

    #[test]
    fn memory_is_bounded() {
        let expiry = Expiry::default();
        for number in 0..2 * MOST_FOLLOWED {
            let mut hash = [0; 32];
            hash[..8].copy_from_slice(&number.to_le_bytes());
            expiry.seen(&hash.into());
        }
        assert_eq!(expiry.followed().len(), MOST_FOLLOWED);
    }
}
