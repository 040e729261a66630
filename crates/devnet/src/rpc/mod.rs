//! JSON-RPC: the table of methods, and the one handler that both transports share.

mod accounts;
mod blocks;
mod control;
mod error;
mod filters;
mod params;
pub(crate) mod serve;
mod transactions;

use alloy::rpc::json_rpc::ResponsePayload;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use crate::devnet::Devnet;
pub(crate) use error::{FEE_TOO_LOW, Failure, INSUFFICIENT_FUNDS};
pub(crate) use filters::Filters;
use params::Params;

type Reply = Result<Box<RawValue>, Failure>;
type Method = fn(&Devnet, Params<'_>) -> Reply;

/// Every method, sorted by name.
const METHODS: [(&str, Method); 35] = [
    ("eth_accounts", |_, _| reply::<[(); 0]>(&[])),
    ("eth_blockNumber", blocks::block_number),
    ("eth_call", transactions::call),
    ("eth_chainId", control::chain_id),
    ("eth_estimateGas", transactions::estimate_gas),
    ("eth_feeHistory", blocks::fee_history),
    ("eth_gasPrice", blocks::gas_price),
    ("eth_getBalance", accounts::balance),
    ("eth_getBlockByHash", blocks::block_by_hash),
    ("eth_getBlockByNumber", blocks::block_by_number),
    ("eth_getBlockReceipts", blocks::block_receipts),
    ("eth_getCode", accounts::code),
    ("eth_getFilterChanges", filters::changes),
    ("eth_getLogs", blocks::logs),
    ("eth_getStorageAt", accounts::storage_at),
    ("eth_getTransactionByHash", transactions::by_hash),
    ("eth_getTransactionCount", accounts::transaction_count),
    ("eth_getTransactionReceipt", transactions::receipt),
    ("eth_maxPriorityFeePerGas", |_, _| reply(&blocks::PRIORITY_FEE)),
    ("eth_newBlockFilter", filters::new_block_filter),
    ("eth_newFilter", filters::new_log_filter),
    ("eth_sendRawTransaction", transactions::send_raw),
    ("eth_subscribe", |_, _| Err(Failure::new(-32601, ONLY_SOCKETS))),
    ("eth_syncing", |_, _| reply(&false)),
    ("eth_uninstallFilter", filters::uninstall),
    ("eth_unsubscribe", |_, _| Err(Failure::new(-32601, ONLY_SOCKETS))),
    ("evm_increaseTime", control::increase_time),
    ("evm_mine", control::mine),
    ("evm_revert", control::revert),
    ("evm_setNextBlockTimestamp", control::set_time),
    ("evm_snapshot", control::snapshot),
    ("net_listening", |_, _| reply(&true)),
    ("net_version", control::net_version),
    ("web3_clientVersion", |_, _| reply(&control::CLIENT_VERSION)),
    ("web3_sha3", control::sha3),
];

/// Subscriptions need a connection that lasts (`socket`).
const ONLY_SOCKETS: &str = "notifications not supported: use a WebSocket";

/// How many methods there are.
pub(crate) const METHOD_COUNT: usize = METHODS.len();

/// The methods' names, in the order of the indices that [`count`] counts them by.
pub(crate) fn method_names() -> impl Iterator<Item = &'static str> {
    METHODS.iter().map(|method| method.0)
}

/// Counts a call, and finds its method.
pub(crate) fn count(devnet: &Devnet, name: &str) -> Option<usize> {
    let found = METHODS.binary_search_by_key(&name, |method| method.0).ok();
    devnet.watch().count(found);
    found
}

/// Calls one method. Every way in ends here.
pub(crate) fn handle(devnet: &Devnet, name: &str, params: Option<&RawValue>) -> ResponsePayload {
    let answer = match count(devnet, name) {
        Some(index) => Params::parse(params).and_then(|params| METHODS[index].1(devnet, params)),
        None => Err(Failure::unknown_method(name)),
    };
    match answer {
        Ok(value) => ResponsePayload::Success(value),
        Err(failure) => ResponsePayload::Failure(failure.into()),
    }
}

fn reply<T: Serialize + ?Sized>(value: &T) -> Reply {
    to_raw_value(value).map_err(Failure::internal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted() {
        assert!(METHODS.is_sorted_by_key(|method| method.0));
    }
}
