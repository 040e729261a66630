//! Why a payment's transaction that was mined reverted.
//!
//! A receipt does not tell. So the question of a verification is asked again as of the transaction's own block, where
//! whatever came before it has happened: the payer's money is gone, the nonce used, the allowance taken back. Where
//! that names no reason the scheme's code for a failed transaction stays. Only what is said changes: nothing moved, and
//! the outcome is `Released` either way.

use crate::chain::{Chain, Stamp, json_number};
use crate::codes;
use crate::rpc::{Call, CallError, missing, read};
use alloy::primitives::{Bytes, U64};
use serde::Deserialize;
use tollway_core::{ErrorCode, Outcome, Rejected};

/// A receipt, as far as it is read here.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Mined {
    #[serde(default)]
    status: Option<U64>,
    block_number: U64,
}

/// The outcome with the code of the reason, where a mined transaction reverted for one that can be told. `ask` makes
/// the question as of a block, `judge` reads its answer, and `ended` the time of that block, in Unix seconds.
pub(crate) async fn explained(
    chain: &Chain,
    outcome: Outcome,
    ask: impl FnOnce(&str) -> Call,
    judge: impl FnOnce(&[u8]) -> Option<Rejected>,
    ended: impl FnOnce(u64) -> Option<ErrorCode>,
) -> Outcome {
    let Outcome::Released(rejected) = outcome else { return outcome };
    let hash = match &rejected.transaction {
        Some(hash) if is_general(&rejected.code) => hash.clone(),
        _ => return Outcome::Released(rejected),
    };
    let reason = reason(chain, &hash, ask, judge, ended).await.unwrap_or_else(|error| {
        tracing::warn!(network = %chain.name(), hash, %error, "why a payment's transaction reverted could not be asked");
        None
    });
    let Some((code, why)) = reason else { return Outcome::Released(rejected) };
    let message = rejected.message.as_deref().unwrap_or("the transaction reverted");
    let mut named = Rejected::new(code).because(format!("{message}: {why}")).transaction(hash);
    named.payer = rejected.payer;
    Outcome::Released(named)
}

async fn reason(
    chain: &Chain,
    hash: &str,
    ask: impl FnOnce(&str) -> Call,
    judge: impl FnOnce(&[u8]) -> Option<Rejected>,
    ended: impl FnOnce(u64) -> Option<ErrorCode>,
) -> Result<Option<(ErrorCode, String)>, CallError> {
    let receipt: Option<Mined> = chain.rpc.call(&Call::new("eth_getTransactionReceipt", &[hash])).await?;
    let Some(mined) = receipt.filter(|mined| mined.status == Some(U64::ZERO)) else { return Ok(None) };
    let block = json_number(mined.block_number);
    let calls = [ask(&block), Call::new("eth_getBlockByNumber", &(&block, false))];
    let mut answers = chain.rpc.batch(&calls).await?.into_iter();
    let mut next = || answers.next().unwrap_or_else(|| Err(missing()));
    let judged = next().and_then(|answer| read::<Bytes>(&answer)).map(|answer| judge(&answer));
    let stamp = next().and_then(|answer| read::<Stamp>(&answer));
    if let Ok(Some(rejected)) = &judged
        && !is_general(&rejected.code)
    {
        return Ok(Some((rejected.code.clone(), rejected.message.clone().unwrap_or_default())));
    }
    let late = "the authorization had ended when it was mined";
    Ok(ended(stamp?.timestamp.to()).map(|code| (code, late.to_owned())))
}

/// Whether a code says no more than that something failed.
fn is_general(code: &ErrorCode) -> bool {
    [codes::TRANSACTION_FAILED, codes::UPTO_FAILED, codes::SIMULATION_FAILED, codes::PERMIT2_SIMULATION].contains(code)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test::{Scripted, block_on, evm_over};
    use serde_json::{Value, json};
    use tollway_core::Settled;

    const HASH: &str = "0x1111111111111111111111111111111111111111111111111111111111111111";

    fn failed(code: ErrorCode) -> Rejected {
        Rejected::new(code).because("the transaction reverted").payer("0xpayer").transaction(HASH)
    }

    /// What becomes of an outcome where the question is answered with this code, or none, and the time is over or not.
    fn explain(node: &Scripted, outcome: Outcome, code: Option<ErrorCode>, over: bool) -> Outcome {
        let evm = evm_over(node.clone()).build().unwrap();
        let ask = |block: &str| {
            assert_eq!(block, "0x10");
            Call::new("eth_call", &(json!({}), block))
        };
        let judge = |answer: &[u8]| {
            assert_eq!(answer, [7]);
            code.map(|code| Rejected::new(code).because("so it is"))
        };
        let ended = |time| {
            assert_eq!(time, 99);
            over.then_some(codes::VALID_BEFORE)
        };
        block_on(explained(evm.chain().unwrap(), outcome, ask, judge, ended))
    }

    fn node(status: &str) -> [(&'static str, Value); 3] {
        [
            ("eth_getTransactionReceipt", json!({ "status": status, "blockNumber": "0x10" })),
            ("eth_call", json!("0x07")),
            ("eth_getBlockByNumber", json!({ "number": "0x10", "timestamp": "0x63" })),
        ]
    }

    #[test]
    fn a_reason_takes_the_place_of_the_general_code() {
        let node = Scripted::new(node("0x0"));
        for general in [codes::TRANSACTION_FAILED, codes::UPTO_FAILED] {
            let outcome = Outcome::Released(failed(general));
            let Outcome::Released(named) = explain(&node, outcome, Some(codes::NONCE_USED), true) else { panic!() };
            let told = "the transaction reverted: so it is";
            assert_eq!(named, failed(codes::NONCE_USED).because(told));
        }
        // Where the question gives none, the time may.
        let outcome = Outcome::Released(failed(codes::TRANSACTION_FAILED));
        for no_reason in [None, Some(codes::SIMULATION_FAILED)] {
            let Outcome::Released(late) = explain(&node, outcome.clone(), no_reason, true) else { panic!() };
            assert_eq!(late.code, codes::VALID_BEFORE);
        }
        assert_eq!(explain(&node, outcome.clone(), None, false), outcome);
    }

    #[test]
    fn what_cannot_be_told_stays_as_it_is() {
        let outcome = Outcome::Released(failed(codes::TRANSACTION_FAILED));
        let same = |answers: Vec<(&'static str, Value)>, calls| {
            let node = Scripted::new(answers);
            assert_eq!(explain(&node, outcome.clone(), None, false), outcome);
            assert_eq!(node.calls(), calls);
        };
        let [_, call, block] = node("0x0");
        same(vec![], 1);
        same(vec![("eth_getTransactionReceipt", Value::Null), call.clone(), block], 1);
        same(node("0x1").to_vec(), 1);
        same(node("0x0")[..1].to_vec(), 3);
        same(
            vec![node("0x0")[0].clone(), ("eth_getBlockByNumber", json!({ "number": "0x10", "timestamp": "0x63" }))],
            3,
        );
    }

    #[test]
    fn other_outcomes_cost_nothing() {
        let node = Scripted::new(node("0x0"));
        let never_sent = Rejected::new(codes::TRANSACTION_FAILED);
        for outcome in [
            Outcome::Settled(Settled::new(HASH, "0xpayer")),
            Outcome::Pending { transaction: HASH.to_owned() },
            Outcome::Released(never_sent),
            Outcome::Released(failed(codes::TRANSFER_MISMATCH)),
        ] {
            assert_eq!(explain(&node, outcome.clone(), Some(codes::NONCE_USED), true), outcome);
        }
        assert_eq!(node.calls(), 0);
    }
}
