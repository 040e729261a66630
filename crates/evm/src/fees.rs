//! What gas costs now (EIP-1559), asked at most once per block and shared by all settlements.

use crate::rpc::{Call, CallError, Rpc};
use alloy::primitives::{U64, U256};
use serde::Deserialize;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::Instant;
use tollway_core::{Fault, FaultKind};

/// How many blocks a tip is estimated from.
const BLOCKS: u64 = 5;
/// The least tip, in wei: what go-ethereum's block builders take by default.
const LEAST_TIP: u128 = 1_000_000;

/// What a transaction offers to pay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Quote {
    /// At most, in wei per gas.
    pub(crate) max_fee: u128,
    /// Of that to the block's builder, in wei per gas.
    pub(crate) tip: u128,
    /// What the next block takes, in wei per gas.
    pub(crate) base: u128,
    /// The newest block when it was asked.
    pub(crate) head: u64,
}

/// The fees of one chain.
#[derive(Debug)]
pub(crate) struct Fees {
    /// Most ever offered, in wei per gas.
    cap: u128,
    last: Mutex<Option<(Quote, Instant)>>,
}

/// Answer of `eth_feeHistory`, as far as it is read.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct History {
    oldest_block: U64,
    /// One more than blocks: the last is the next block's.
    #[serde(default)]
    base_fee_per_gas: Vec<U256>,
    #[serde(default)]
    reward: Option<Vec<Vec<U256>>>,
}

impl Fees {
    pub(crate) fn new(cap: u128) -> Self {
        Self { cap, last: Mutex::new(None) }
    }

    /// What to offer now. An answer is used again until it is older than `fresh`.
    ///
    /// # Errors
    /// The node could not be asked, or the price is above the cap.
    pub(crate) async fn quote(&self, rpc: &Rpc, fresh: Duration) -> Result<Quote, Fault> {
        // Held while asking, so that a thousand settlements ask once.
        let mut last = self.last.lock().await;
        if let Some((quote, at)) = *last
            && at.elapsed() < fresh
        {
            return Ok(quote);
        }
        let call = Call::new("eth_feeHistory", &(U64::from(BLOCKS), "latest", [50.0]));
        let history = rpc.call(&call).await.map_err(|error| rpc.fault("asking for gas prices", error))?;
        let quote = self.read(&history).map_err(|why| rpc.fault("reading gas prices", why)).flatten()?;
        *last = Some((quote, Instant::now()));
        Ok(quote)
    }

    /// Forgets the last answer, since the node found it too low.
    pub(crate) async fn forget(&self) {
        *self.last.lock().await = None;
    }

    /// Most ever offered, in wei per gas.
    pub(crate) fn cap(&self) -> u128 {
        self.cap
    }

    fn read(&self, history: &History) -> Result<Result<Quote, Fault>, CallError> {
        let invalid = |text: &str| CallError::Failed { kind: FaultKind::Invalid, text: text.into(), unsent: true };
        let Some((base, before)) = history.base_fee_per_gas.split_last() else {
            return Err(invalid("the node knows no base fee; a chain without EIP-1559 is not supported"));
        };
        let base = u128::try_from(base).map_err(|_| invalid("the base fee is beyond 128 bits"))?;
        let blocks = u64::try_from(before.len()).unwrap_or(u64::MAX);
        let head = history.oldest_block.to::<u64>().saturating_add(blocks.saturating_sub(1));
        let tip = median(history.reward.iter().flatten().filter_map(|block| block.first()));
        let least = base.saturating_add(tip);
        if least > self.cap {
            return Ok(Err(Fault::new(
                FaultKind::Overloaded,
                format!(
                    "gas costs {least} wei now, more than maxFeePerGas allows ({}); wait, or raise maxFeePerGas in the \
                     network's section",
                    self.cap
                ),
            )));
        }
        // Twice the base fee outlasts six full blocks in a row.
        let max_fee = base.saturating_mul(2).saturating_add(tip).min(self.cap);
        Ok(Ok(Quote { max_fee, tip, base, head }))
    }
}

/// The median of what blocks paid; empty blocks paid nothing and do not count.
fn median<'a>(tips: impl Iterator<Item = &'a U256>) -> u128 {
    let mut paid: Vec<u128> = tips.filter_map(|tip| u128::try_from(tip).ok()).filter(|tip| *tip > 0).collect();
    paid.sort_unstable();
    paid.get(paid.len() / 2).copied().unwrap_or_default().max(LEAST_TIP)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(base: &[u64], rewards: &[u64]) -> History {
        History {
            oldest_block: U64::from(100),
            base_fee_per_gas: base.iter().map(|fee| U256::from(*fee)).collect(),
            reward: Some(rewards.iter().map(|tip| vec![U256::from(*tip)]).collect()),
        }
    }

    #[test]
    fn twice_the_next_base_fee_and_the_median_tip() {
        let quote = Fees::new(u128::MAX).read(&history(&[7, 8, 9, 1_000_000], &[3_000_000, 0, 2_000_000])).unwrap();
        assert_eq!(quote.unwrap(), Quote { max_fee: 5_000_000, tip: 3_000_000, base: 1_000_000, head: 102 });
        let empty = Fees::new(u128::MAX).read(&history(&[7, 10], &[])).unwrap().unwrap();
        assert_eq!(empty, Quote { max_fee: 20 + LEAST_TIP, tip: LEAST_TIP, base: 10, head: 100 });
    }

    #[test]
    fn a_price_above_the_cap_is_a_fault_with_advice() {
        let fees = Fees::new(10_000_000);
        let dear = fees.read(&history(&[1, 10_000_000], &[])).unwrap().unwrap_err();
        assert_eq!(dear.kind, FaultKind::Overloaded);
        assert!(dear.message.contains("raise maxFeePerGas"), "{dear}");
        // What could be paid now is offered, if not what it may cost later.
        let clamped = fees.read(&history(&[1, 8_000_000], &[])).unwrap().unwrap();
        assert_eq!(clamped.max_fee, 10_000_000);
    }

    #[test]
    fn odd_answers_are_errors() {
        assert!(Fees::new(1).read(&history(&[], &[])).is_err());
        let mut huge = history(&[1, 1], &[]);
        huge.base_fee_per_gas = vec![U256::MAX, U256::MAX];
        assert!(Fees::new(1).read(&huge).is_err());
    }
}
