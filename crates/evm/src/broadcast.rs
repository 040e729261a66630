//! Sending signed bytes, and telling what a node's answer means for them.
//!
//! The rule is that money may move unless it is certain that it cannot: only words known to be a refusal count as
//! one. Everything else, first of all silence, is "maybe".

use crate::rpc::{Call, CallError, Rpc, read};
use alloy::primitives::Bytes;
use serde_json::Value;
use tollway_core::{Durable, FaultKind};

/// Most transactions sent in one request.
pub(crate) const LARGEST_BATCH: usize = 64;

/// What became of a transaction that was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Sent {
    /// The node has it.
    Taken,
    /// Nobody knows whether the node has it.
    Maybe(String),
    /// The node does not have it and will not.
    Refused(Refusal, String),
}

/// Why a node did not take a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The slot was used by a mined transaction.
    NonceTooLow,
    /// The node misses transactions before this slot.
    NonceTooHigh,
    /// Another transaction waits in the slot.
    Occupied,
    /// The fee is below what the node takes now.
    FeeTooLow,
    /// The signer cannot pay for gas.
    NoFunds,
    /// The node could not be reached at all, or is refusing all calls.
    Unreachable,
    /// Something else that a new signature does not cure.
    Other,
}

/// Sends transactions that are in the ledger, in their order, in one round trip.
pub(crate) async fn broadcast(rpc: &Rpc, transactions: &[&Durable]) -> Vec<Sent> {
    let calls: Vec<Call> = transactions
        .iter()
        .map(|durable| Call::new("eth_sendRawTransaction", &[Bytes::copy_from_slice(&durable.tx().bytes)]))
        .collect();
    match rpc.batch(&calls).await {
        Ok(answers) => {
            let answer = |(answer, durable): (_, &&Durable)| judge(answer, &durable.tx().hash);
            answers.into_iter().zip(transactions).map(answer).collect()
        }
        Err(error) => vec![refusal(error); transactions.len()],
    }
}

fn judge(answer: Result<Box<serde_json::value::RawValue>, CallError>, hash: &str) -> Sent {
    match answer.and_then(|answer| read::<Value>(&answer)) {
        Ok(Value::String(echoed)) if echoed.eq_ignore_ascii_case(hash) => Sent::Taken,
        // Zero, or another's: the node is confused, and may have sent it all the same.
        Ok(_) => Sent::Maybe("the node answered another hash than the transaction's".to_owned()),
        Err(error) => refusal(error),
    }
}

fn refusal(error: CallError) -> Sent {
    match error {
        CallError::Failed { kind, unsent: true, text } => match kind {
            FaultKind::Unreachable | FaultKind::Overloaded | FaultKind::Configuration => {
                Sent::Refused(Refusal::Unreachable, text)
            }
            _ => Sent::Refused(Refusal::Other, text),
        },
        CallError::Failed { text, .. } => Sent::Maybe(text),
        CallError::Refused { code, message } => match said(code, &message.to_lowercase()) {
            Said::Known => Sent::Taken,
            Said::No(refusal) => Sent::Refused(refusal, message),
            Said::Unclear => Sent::Maybe(message),
        },
    }
}

enum Said {
    Known,
    No(Refusal),
    Unclear,
}

/// What a node means, by the words of go-ethereum, reth, erigon, nethermind, besu and the rollups' sequencers.
fn said(code: i64, words: &str) -> Said {
    use Refusal::{FeeTooLow, NoFunds, NonceTooHigh, NonceTooLow, Occupied, Other};
    let has = |any: &[&str]| any.iter().any(|part| words.contains(part));
    if has(&["already known", "known transaction", "already imported", "alreadyknown", "already in mempool"]) {
        return Said::Known;
    }
    Said::No(if has(&["replacement transaction underpriced", "replacementnotallowed", "replacement not allowed"]) {
        Occupied
    } else if has(&["nonce too low", "nonce is too low", "oldnonce", "nonce has already been used"]) {
        NonceTooLow
    } else if has(&["nonce too high", "nonce is too high", "nonce gap", "noncegap"]) {
        NonceTooHigh
    } else if has(&["insufficient funds", "insufficientfunds", "insufficient balance", "upfront cost exceeds"]) {
        NoFunds
    } else if has(&["less than block base fee", "underpriced", "feetoolow", "fee too low", "gas price too low"]) {
        FeeTooLow
    } else if matches!(code, -32700 | -32602 | -32601 | -32600)
        || has(&[
            "intrinsic gas",
            "exceeds block gas limit",
            "gas limit exceeded",
            "exceeds the configured cap",
            "invalid sender",
            "invalid chain id",
            "invalid chainid",
            "wrong chain",
            "transaction type not supported",
            "oversized data",
            "txpool is full",
            "higher than max fee per gas",
        ])
    {
        Other
    } else {
        return Said::Unclear;
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(message: &str) -> Sent {
        refusal(CallError::Refused { code: -32000, message: message.to_owned() })
    }

    #[test]
    fn words_of_nodes_are_understood() {
        assert_eq!(node("already known"), Sent::Taken);
        assert_eq!(node("Known transaction: 0xab"), Sent::Taken);
        for (message, wanted) in [
            ("nonce too low: next nonce 5, tx nonce 4", Refusal::NonceTooLow),
            ("Nonce too high", Refusal::NonceTooHigh),
            ("replacement transaction underpriced", Refusal::Occupied),
            ("transaction underpriced: tip needed 5", Refusal::FeeTooLow),
            ("max fee per gas less than block base fee: address 0x", Refusal::FeeTooLow),
            ("insufficient funds for gas * price + value: balance 0", Refusal::NoFunds),
            ("intrinsic gas too low", Refusal::Other),
        ] {
            assert!(matches!(node(message), Sent::Refused(refusal, _) if refusal == wanted), "{message}");
        }
    }

    #[test]
    fn words_nobody_knows_are_maybe() {
        for message in ["request timed out", "internal error", "context deadline exceeded", ""] {
            assert!(matches!(node(message), Sent::Maybe(_)), "{message}");
        }
    }

    #[test]
    fn silence_is_maybe_and_a_closed_door_is_not() {
        let failed = |unsent| refusal(CallError::Failed { kind: FaultKind::Unreachable, text: String::new(), unsent });
        assert!(matches!(failed(false), Sent::Maybe(_)));
        assert!(matches!(failed(true), Sent::Refused(Refusal::Unreachable, _)));
    }

    #[test]
    fn another_hash_is_maybe() {
        let raw = |text: &str| serde_json::value::to_raw_value(text).unwrap();
        assert_eq!(judge(Ok(raw("0xAB")), "0xab"), Sent::Taken);
        assert!(matches!(judge(Ok(raw("0x00")), "0xab"), Sent::Maybe(_)));
    }
}
