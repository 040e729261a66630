//! JSON-RPC: the table of methods, and the one handler that both transports share.

mod accounts;
mod params;
mod transactions;

use std::fmt;

use serde_json::{Value, json};

use super::chain::{Chain, Commitment};
use super::devnet::Devnet;
use super::faults::Fault;
use params::Params;

/// Why a call was refused, as JSON-RPC says it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct RpcFailure {
    /// The code.
    pub code: i64,
    /// The words.
    pub message: String,
    /// More, for machines.
    pub data: Option<Value>,
}

impl RpcFailure {
    pub(crate) fn new(code: i64, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), data: None }
    }

    pub(crate) fn params(message: impl Into<String>) -> Self {
        Self::new(-32602, format!("Invalid params: {}", message.into()))
    }
}

impl fmt::Display for RpcFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

impl std::error::Error for RpcFailure {}

pub(crate) type Reply = Result<Value, RpcFailure>;
type Method = fn(&mut Chain, Params<'_>) -> Reply;

/// The version that clients are told.
const VERSION: &str = "4.2.0";

/// Every method, sorted by name.
const METHODS: [(&str, Method); 29] = [
    ("getAccountInfo", accounts::info),
    ("getBalance", accounts::balance),
    ("getBlockHeight", |chain, params| Ok(json!(chain.height(params.config(0).commitment())))),
    ("getBlockTime", |_, _| Ok(Value::Null)),
    ("getEpochInfo", epoch_info),
    ("getFeeForMessage", transactions::fee),
    ("getFirstAvailableBlock", |_, _| Ok(json!(0))),
    ("getGenesisHash", |chain, _| Ok(json!(chain.genesis))),
    ("getHealth", |_, _| Ok(json!("ok"))),
    ("getIdentity", |_, _| Ok(json!({ "identity": super::accounts::FACILITATOR.address.to_string() }))),
    ("getLatestBlockhash", latest_blockhash),
    ("getMinimumBalanceForRentExemption", accounts::rent),
    ("getMultipleAccounts", accounts::multiple),
    ("getRecentPrioritizationFees", |_, _| Ok(json!([]))),
    ("getSignatureStatuses", transactions::statuses),
    ("getSignaturesForAddress", transactions::of_address),
    ("getSlot", |chain, params| Ok(json!(chain.slot(params.config(0).commitment())))),
    ("getTokenAccountBalance", accounts::token_balance),
    ("getTokenAccountsByOwner", accounts::tokens_of),
    ("getTokenSupply", accounts::supply),
    ("getTransaction", transactions::get),
    ("getTransactionCount", |chain, _| Ok(json!(chain.history().count()))),
    ("getVersion", |_, _| Ok(json!({ "solana-core": VERSION, "feature-set": 0 }))),
    ("isBlockhashValid", is_blockhash_valid),
    ("minimumLedgerSlot", |_, _| Ok(json!(0))),
    ("requestAirdrop", transactions::airdrop),
    ("sendTransaction", transactions::send),
    ("simulateTransaction", transactions::simulate),
    ("tollway_advance", advance),
];

fn index(method: &str) -> Option<usize> {
    METHODS.binary_search_by_key(&method, |(name, _)| name).ok()
}

/// Answers one request and counts it.
pub(crate) fn handle(devnet: &Devnet, method: &str, params: &Value) -> Reply {
    let found = index(method);
    devnet.watch().count(found.map(|at| METHODS[at].0));
    let Some(at) = found else { return Err(RpcFailure::new(-32601, "Method not found")) };
    (METHODS[at].1)(&mut devnet.chain(), Params(params))
}

/// Why a request gets no JSON-RPC answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Broken {
    /// The connection breaks.
    Connection,
    /// The answer is this HTTP status.
    Status(u16),
}

/// Answers one request, wherever it came from, through the planned faults.
pub(crate) async fn answer(devnet: &Devnet, method: &str, params: &Value) -> Result<Reply, Broken> {
    let count = || devnet.watch().count(index(method).map(|at| METHODS[at].0));
    match devnet.watch().take(method) {
        None => Ok(handle(devnet, method, params)),
        Some(Fault::Refuse) => {
            count();
            Err(Broken::Connection)
        }
        Some(Fault::Status(status)) => {
            count();
            Err(Broken::Status(status))
        }
        Some(Fault::Error { code, message }) => {
            count();
            Ok(Err(RpcFailure::new(code, message)))
        }
        Some(Fault::Lose) if method == "sendTransaction" => {
            count();
            Ok(transactions::lose(Params(params)))
        }
        Some(Fault::Lose) => Ok(handle(devnet, method, params)),
        Some(Fault::DropAnswer) => {
            let _ = handle(devnet, method, params);
            Err(Broken::Connection)
        }
        Some(Fault::Delay(time)) => {
            let reply = handle(devnet, method, params);
            tokio::time::sleep(time).await;
            Ok(reply)
        }
    }
}

/// A value with the slot it is of.
pub(crate) fn contextual(chain: &Chain, commitment: Commitment, value: impl Into<Value>) -> Value {
    json!({ "context": { "slot": chain.slot(commitment), "apiVersion": VERSION }, "value": value.into() })
}

fn latest_blockhash(chain: &mut Chain, params: Params<'_>) -> Reply {
    let commitment = params.config(0).commitment();
    let (hash, last) = chain.blockhash(commitment);
    let value = json!({ "blockhash": hash.to_string(), "lastValidBlockHeight": last });
    Ok(contextual(chain, commitment, value))
}

fn is_blockhash_valid(chain: &mut Chain, params: Params<'_>) -> Reply {
    let hash = params.text(0)?.parse().map_err(|_| RpcFailure::params("the blockhash is no base58 of 32 bytes"))?;
    let commitment = params.config(1).commitment();
    Ok(contextual(chain, commitment, chain.is_valid(&hash, commitment)))
}

fn epoch_info(chain: &mut Chain, params: Params<'_>) -> Reply {
    const SLOTS_IN_EPOCH: u64 = 432_000;
    let commitment = params.config(0).commitment();
    let slot = chain.slot(commitment);
    Ok(json!({
        "absoluteSlot": slot,
        "blockHeight": chain.height(commitment),
        "epoch": slot / SLOTS_IN_EPOCH,
        "slotIndex": slot % SLOTS_IN_EPOCH,
        "slotsInEpoch": SLOTS_IN_EPOCH,
        "transactionCount": chain.history().count(),
    }))
}

/// Lets slots pass: this devnet's own method, for tests in other languages.
fn advance(chain: &mut Chain, params: Params<'_>) -> Reply {
    chain.advance(params.number(0)?);
    Ok(json!(chain.slot(Commitment::Processed)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted() {
        assert!(METHODS.is_sorted_by(|a, b| a.0 < b.0));
    }
}
