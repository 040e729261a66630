//! Blocks, what is in them, and what they cost.

use std::sync::Arc;

use alloy::consensus::Transaction as _;
use alloy::eips::BlockNumberOrTag;
use alloy::primitives::{B256, U64, U256};
use alloy::rpc::types::{FeeHistory, Filter, FilterBlockOption, Log};

use super::params::number;
use super::{Failure, Params, Reply, reply};
use crate::chain::{At, Block, Chain};
use crate::devnet::Devnet;

/// The priority fee this node suggests, in wei per gas: a thousandth of a gwei, as on Base.
pub(super) const PRIORITY_FEE: U64 = U64::from_limbs([1_000_000]);

/// The widest range of blocks, and the most logs, of one `eth_getLogs`.
const MAX_LOG_BLOCKS: u64 = 10_000;
const MAX_LOGS: usize = 20_000;
/// The most blocks of one `eth_feeHistory`.
const MAX_FEE_BLOCKS: u64 = 1_024;
const MAX_PERCENTILES: usize = 100;

pub(super) fn block_number(devnet: &Devnet, _: Params<'_>) -> Reply {
    reply(&U64::from(devnet.chain().tip().header.number))
}

pub(super) fn gas_price(devnet: &Devnet, _: Params<'_>) -> Reply {
    reply(&(U256::from(devnet.chain().next_base_fee()) + U256::from(PRIORITY_FEE)))
}

pub(super) fn block_by_hash(devnet: &Devnet, params: Params<'_>) -> Reply {
    let (hash, full): (B256, Option<bool>) = (params.get(0)?, params.optional(1)?);
    let chain = devnet.chain();
    reply(&chain.block_by_hash(&hash).map(|block| block.to_rpc(full.unwrap_or_default())))
}

pub(super) fn block_by_number(devnet: &Devnet, params: Params<'_>) -> Reply {
    let (tag, full): (BlockNumberOrTag, Option<bool>) = (params.get(0)?, params.optional(1)?);
    let full = full.unwrap_or_default();
    let chain = devnet.chain();
    if tag.is_pending() {
        return reply(&chain.pending_block().to_rpc(full));
    }
    reply(&chain.block(number(&chain, tag)).map(|block| block.to_rpc(full)))
}

pub(super) fn block_receipts(devnet: &Devnet, params: Params<'_>) -> Reply {
    let chain = devnet.chain();
    // A block that does not exist has no receipts, which is not an error.
    let block = match params.at(0, &chain) {
        Ok(At::Latest) => Some(Arc::clone(chain.tip())),
        Ok(At::Pending) => Some(Arc::new(chain.pending_block())),
        Ok(At::Number(number)) => chain.block(number).cloned(),
        Err(failure) if failure.message == "header not found" => None,
        Err(failure) => return Err(failure),
    };
    drop(chain);
    reply(&block.as_ref().map(|block| &block.receipts))
}

pub(super) fn logs(devnet: &Devnet, params: Params<'_>) -> Reply {
    let filter: Filter = params.get(0)?;
    let chain = devnet.chain();
    reply(&matching(&chain, &filter)?)
}

/// The logs that a filter asks for.
pub(super) fn matching(chain: &Chain, filter: &Filter) -> Result<Vec<Log>, Failure> {
    let newest = chain.tip().header.number;
    let (first, last) = match filter.block_option {
        FilterBlockOption::AtBlockHash(hash) => {
            let block = chain.block_by_hash(&hash).ok_or_else(|| Failure::server("unknown block"))?;
            (block.header.number, block.header.number)
        }
        FilterBlockOption::Range { from_block, to_block } => {
            (number(chain, from_block.unwrap_or_default()), number(chain, to_block.unwrap_or_default()))
        }
    };
    if first > last {
        return Err(Failure::params("block range ends before it begins"));
    }
    logs_between(chain, filter, first, last.min(newest))
}

/// The logs that match in a range of blocks, both ends included.
pub(super) fn logs_between(chain: &Chain, filter: &Filter, first: u64, last: u64) -> Result<Vec<Log>, Failure> {
    if last.saturating_sub(first) >= MAX_LOG_BLOCKS {
        return Err(Failure::limit(format!("query exceeds max block range {MAX_LOG_BLOCKS}")));
    }
    let mut found = Vec::new();
    for block in (first..=last).filter_map(|number| chain.block(number)) {
        if !filter.matches_bloom(block.header.logs_bloom) {
            continue;
        }
        let logs = block.receipts.iter().flat_map(|receipt| receipt.inner.logs());
        found.extend(logs.filter(|log| filter.matches(&log.inner)).cloned());
        if found.len() > MAX_LOGS {
            return Err(Failure::limit(format!("query returned more than {MAX_LOGS} results")));
        }
    }
    Ok(found)
}

pub(super) fn fee_history(devnet: &Devnet, params: Params<'_>) -> Reply {
    let count: U64 = params.get(0)?;
    let tag: BlockNumberOrTag = params.get(1)?;
    let percentiles: Vec<f64> = params.optional(2)?.unwrap_or_default();
    let in_order = percentiles.is_sorted_by(|a, b| a < b)
        && percentiles.iter().all(|percentile| (0.0..=100.0).contains(percentile));
    if !in_order || percentiles.len() > MAX_PERCENTILES {
        return Err(Failure::params(
            "reward percentiles must be increasing numbers from 0 to 100, at most 100 of them",
        ));
    }

    let chain = devnet.chain();
    let newest = number(&chain, tag);
    let tip = chain.tip().header.number;
    if newest > tip {
        return Err(Failure::server("request beyond head block"));
    }
    let count = count.to::<u64>().min(MAX_FEE_BLOCKS).min(newest + 1);
    let oldest = newest + 1 - count;
    let blocks: Vec<&Arc<Block>> =
        (oldest..=newest).filter_map(|number| chain.block(number)).take(count as usize).collect();
    let base_fee = |block: &Arc<Block>| u128::from(block.header.base_fee_per_gas.unwrap_or(0));
    let next = chain.block(newest + 1).map_or(u128::from(chain.next_base_fee()), base_fee);
    reply(&FeeHistory {
        oldest_block: oldest,
        base_fee_per_gas: blocks.iter().map(|block| base_fee(block)).chain([next]).collect(),
        gas_used_ratio: blocks
            .iter()
            .map(|block| block.header.gas_used as f64 / block.header.gas_limit as f64)
            .collect(),
        base_fee_per_blob_gas: vec![1; blocks.len() + 1],
        blob_gas_used_ratio: vec![0.0; blocks.len()],
        reward: (!percentiles.is_empty()).then(|| blocks.iter().map(|block| rewards(block, &percentiles)).collect()),
    })
}

/// The tips at these percentiles of a block's gas.
fn rewards(block: &Block, percentiles: &[f64]) -> Vec<u128> {
    let base_fee = block.header.base_fee_per_gas.unwrap_or_default();
    let mut tips: Vec<(u128, u64)> = block
        .transactions
        .iter()
        .zip(&block.receipts)
        .map(|(transaction, receipt)| {
            (transaction.effective_tip_per_gas(base_fee).unwrap_or_default(), receipt.gas_used)
        })
        .collect();
    tips.sort_unstable();
    let mut passed = 0;
    let mut tips = tips.into_iter().peekable();
    let mut tip = 0;
    percentiles
        .iter()
        .map(|percentile| {
            let wanted = (block.header.gas_used as f64 * percentile / 100.0) as u64;
            while let Some((next, gas)) = tips.next_if(|_| passed == 0 || passed < wanted) {
                (tip, passed) = (next, passed + gas);
            }
            tip
        })
        .collect()
}
