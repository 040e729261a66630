//! Sending, asking, and finding again.

use alloy::primitives::{Bytes, TxHash, U64};
use alloy::rpc::types::state::StateOverride;
use alloy::rpc::types::{self as rpc, BlockOverrides, TransactionRequest};

use super::{Params, Reply, reply};
use crate::chain::decode;
use crate::devnet::Devnet;

pub(super) fn send_raw(devnet: &Devnet, params: Params<'_>) -> Reply {
    let raw: Bytes = params.get(0)?;
    let transaction = decode(&raw)?;
    reply(&devnet.chain_mut().submit(transaction)?)
}

pub(super) fn call(devnet: &Devnet, params: Params<'_>) -> Reply {
    let request: TransactionRequest = params.get(0)?;
    let accounts: Option<StateOverride> = params.optional(2)?;
    let block: Option<BlockOverrides> = params.optional(3)?;
    let chain = devnet.chain();
    let mut scene = chain.scene(params.at(1, &chain)?)?;
    scene.pretend(accounts.unwrap_or_default())?;
    scene.pretend_block(&block.unwrap_or_default());
    reply(&scene.call(request)?)
}

pub(super) fn estimate_gas(devnet: &Devnet, params: Params<'_>) -> Reply {
    let request: TransactionRequest = params.get(0)?;
    let accounts: Option<StateOverride> = params.optional(2)?;
    let chain = devnet.chain();
    let mut scene = chain.scene(params.at(1, &chain)?)?;
    scene.pretend(accounts.unwrap_or_default())?;
    reply(&U64::from(scene.estimate(request)?))
}

pub(super) fn by_hash(devnet: &Devnet, params: Params<'_>) -> Reply {
    let hash: TxHash = params.get(0)?;
    let chain = devnet.chain();
    if let Some((block, index)) = chain.find(&hash) {
        return reply(&block.transactions.get(index));
    }
    let waiting = chain.waiting(&hash).map(|waiting| rpc::Transaction {
        inner: waiting.transaction.clone(),
        block_hash: None,
        block_number: None,
        transaction_index: None,
        effective_gas_price: None,
        block_timestamp: None,
    });
    reply(&waiting)
}

pub(super) fn receipt(devnet: &Devnet, params: Params<'_>) -> Reply {
    let hash: TxHash = params.get(0)?;
    let chain = devnet.chain();
    reply(&chain.find(&hash).and_then(|(block, index)| block.receipts.get(index)))
}
