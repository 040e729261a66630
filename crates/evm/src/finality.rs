//! [`Finals`]: which blocks the chain can no longer take back, and which payments wait for that.
//!
//! A payment in a block is included; it is final when the block is deep enough, or when the node says so. Until then the
//! block is looked at now and then: if the chain took it back, the payment is open again, and its bytes are sent again.
//! One look serves all blocks: while the newest of those seen is still the chain's, so are those before it.

use crate::chain::{Chain, json_number};
use crate::prove::Expected;
use crate::receipt::Place;
use crate::rpc::{Call, CallError, missing, read};
use alloy::primitives::{Address, B256, U64};
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::time::Instant;
use tollway_core::{Amount, ClaimKey, Settled};

/// Most payments remembered with their blocks. One that is not is looked up again.
const MOST_INCLUDED: usize = 1 << 18;
/// How many blocks below the newest final one are remembered.
const KEPT: u64 = 1024;

/// When a settlement is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Wait {
    /// Once it is in a block. Should the chain take that block back, the payment is sent again.
    Included,
    /// Once its block is final; after `settleTimeoutSeconds` it is `settlement_pending`.
    Final,
}

/// When a block is final.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Finality {
    /// Once the node's tag `safe` has reached it.
    Safe,
    /// Once the node's tag `finalized` has reached it.
    Finalized,
    /// Once so many blocks are on top of it; 0 is at once.
    #[serde(untagged)]
    Blocks(u64),
}

/// Which payments wait to be final.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Waits {
    None,
    All,
    /// Those of more than so much of an asset, and those of any other asset: nobody knows their worth.
    Above(BTreeMap<Address, Amount>),
}

/// How a block stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// The chain has it, and may take it back.
    Included,
    Final,
    /// The chain has another in its place.
    Gone,
}

/// What is known of one chain's finality.
#[derive(Debug)]
pub(crate) struct Finals {
    finality: Finality,
    waits: Waits,
    view: tokio::sync::Mutex<View>,
    included: Mutex<HashMap<ClaimKey, (Settled, Place)>>,
}

#[derive(Debug, Default)]
struct View {
    /// The newest final block.
    head: Option<u64>,
    asked: Option<Instant>,
    /// Blocks of one chain, by number.
    known: BTreeMap<u64, B256>,
}

/// A block, as far as it is told apart.
#[derive(Debug, Deserialize)]
struct Header {
    number: U64,
    hash: B256,
}

impl Finals {
    pub(crate) fn new(finality: Finality, waits: Waits) -> Self {
        Self { finality, waits, view: tokio::sync::Mutex::default(), included: Mutex::default() }
    }

    /// Whether a payment is final as soon as it is in a block.
    pub(crate) fn at_once(&self) -> bool {
        self.finality == Finality::Blocks(0)
    }

    /// Whether a payment is answered only once it is final.
    pub(crate) fn waits(&self, expect: &Expected) -> bool {
        match &self.waits {
            Waits::None => false,
            Waits::All => true,
            Waits::Above(most) => {
                let (token, value) = expect.moves();
                most.get(&token).is_none_or(|most| value > *most)
            }
        }
    }

    fn included(&self) -> MutexGuard<'_, HashMap<ClaimKey, (Settled, Place)>> {
        self.included.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers the block a payment is in.
    pub(crate) fn remember(&self, key: &ClaimKey, settled: &Settled, place: Place) {
        let mut included = self.included();
        if included.len() >= MOST_INCLUDED {
            included.retain(|_, (_, before)| before.number.saturating_add(KEPT) > place.number);
        }
        if included.len() < MOST_INCLUDED || included.contains_key(key) {
            included.insert(key.clone(), (settled.clone(), place));
        }
    }

    /// What was remembered of a payment.
    pub(crate) fn remembered(&self, key: &ClaimKey) -> Option<(Settled, Place)> {
        self.included().get(key).cloned()
    }

    pub(crate) fn forget(&self, key: &ClaimKey) {
        self.included().remove(key);
    }

    /// How a block stands.
    ///
    /// # Errors
    /// The chain could not be asked.
    pub(crate) async fn standing(&self, chain: &Chain, place: Place) -> Result<Standing, CallError> {
        if self.at_once() {
            return Ok(Standing::Final);
        }
        // Held while asking, so that all who want to know ask once.
        let mut view = self.view.lock().await;
        if view.asked.is_none_or(|asked| asked.elapsed() >= chain.blocks.block_time()) {
            self.ask(chain, &mut view, None).await?;
        }
        if !view.known.contains_key(&place.number) {
            self.ask(chain, &mut view, Some(place.number)).await?;
        }
        let is_final = view.head.is_some_and(|head| place.number <= head);
        Ok(match view.known.get(&place.number) {
            Some(hash) if *hash != place.hash => Standing::Gone,
            Some(_) if is_final => Standing::Final,
            // A node that does not know the block yet is behind the one that told of it.
            _ => Standing::Included,
        })
    }

    /// Asks for the newest final block, for one more block, and whether those known are still the chain's.
    async fn ask(&self, chain: &Chain, view: &mut View, number: Option<u64>) -> Result<(), CallError> {
        let tag = match self.finality {
            Finality::Safe => "safe",
            Finality::Finalized => "finalized",
            Finality::Blocks(_) => "latest",
        };
        let block = |at: &str| Call::new("eth_getBlockByNumber", &(at, false));
        let mut calls = vec![block(tag)];
        let newest = view.known.last_key_value().map(|(number, hash)| (*number, *hash));
        calls.extend(newest.map(|(number, _)| block(&json_number(U64::from(number)))));
        calls.extend(number.map(|number| block(&json_number(U64::from(number)))));
        let mut answers = chain.rpc.batch(&calls).await?.into_iter();
        let mut next = || read::<Option<Header>>(&answers.next().unwrap_or_else(|| Err(missing()))?);

        // A young chain has no final block yet.
        let head = next()?.map(|head| head.number.to::<u64>());
        view.head = match self.finality {
            Finality::Blocks(depth) => head.and_then(|head| head.checked_sub(depth)),
            Finality::Safe | Finality::Finalized => head,
        };
        if let Some((_, hash)) = newest
            && next()?.is_none_or(|now| now.hash != hash)
        {
            view.known.clear();
        }
        if let (Some(number), Some(found)) = (number, if number.is_some() { next()? } else { None }) {
            view.known.insert(number, found.hash);
        }
        if let Some(oldest) = view.head.and_then(|head| head.checked_sub(KEPT)) {
            view.known = view.known.split_off(&oldest);
        }
        view.asked = Some(Instant::now());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finality_is_written_as_a_tag_or_a_number() {
        let read = |text: &str| serde_json::from_str::<Finality>(text).map_err(|why| why.to_string());
        assert_eq!(read("\"safe\""), Ok(Finality::Safe));
        assert_eq!(read("\"finalized\""), Ok(Finality::Finalized));
        assert_eq!(read("12"), Ok(Finality::Blocks(12)));
        for bad in ["\"latest\"", "-1", "1.5", "null", "{}"] {
            assert!(read(bad).is_err(), "{bad}");
        }
        assert_eq!(serde_json::from_str::<Wait>("\"final\"").unwrap(), Wait::Final);
    }
}
