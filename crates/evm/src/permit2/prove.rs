//! What proves a permit's payment: the token's exact `Transfer` log in a transaction of the proxy that spent its nonce.
//!
//! Permit2 says nothing when a nonce is used, so a log tells only that somebody paid. Which permit paid is told by the
//! calldata of the transaction: ours, or the one of a stranger who called the proxy first. Nothing less counts, or a
//! payer could void one permit beside another of the same amount and have both credited.

use super::contracts::{Permit, Permit2Contract, Proxy, is_spent};
use super::sign::{bitmap_call, spent};
use super::types::amount_of;
use super::{EXACT, Kind, PERMIT2, UPTO};
use crate::abi::Token;
use crate::address::checksummed;
use crate::chain::json_number;
use crate::exact::types::word_of;
use crate::receipt::{Log, Receipt};
use crate::rpc::{Call, CallError, Rpc, read};
use alloy::primitives::{Address, B256, Bytes, U64, U256};
use alloy::sol_types::SolEvent as _;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tollway_core::{Amount, ErrorCode, Outcome, Rejected, Settled};

/// Blocks searched in one call, and most calls of one search. Nodes limit the first, some to very few.
const SEARCH: u64 = 1000;
const LEAST_SEARCH: u64 = 10;
const MOST_SEARCHES: usize = 24;
/// Most transactions looked at in one search.
const MOST_CANDIDATES: usize = 64;

/// What proves one payment by Permit2.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PermitExpect {
    #[serde(with = "checksummed")]
    pub(crate) token: Address,
    #[serde(with = "checksummed")]
    pub(crate) from: Address,
    #[serde(with = "checksummed")]
    pub(crate) to: Address,
    /// What is moved: the charge, where the payment is metered.
    pub(crate) value: Amount,
    pub(crate) nonce: Amount,
    pub(crate) deadline: Amount,
    pub(crate) metered: bool,
}

/// A transaction, as far as it tells whose permit it carried out.
#[derive(Debug, Deserialize)]
struct Sent {
    to: Option<Address>,
    #[serde(alias = "data")]
    input: Bytes,
}

impl PermitExpect {
    pub(super) fn new(kind: &Kind, token: Address, permit: &Permit, value: Amount) -> Self {
        let Permit { owner, to, nonce, deadline, .. } = *permit;
        let (nonce, deadline) = (amount_of(nonce), amount_of(deadline));
        Self { token, from: owner, to, value, nonce, deadline, metered: kind.metered }
    }

    /// As a claim carries it, addresses in lower case.
    pub(super) fn into_value(self) -> Value {
        json!({
            "mechanism": super::METHOD,
            "token": self.token,
            "from": self.from,
            "to": self.to,
            "value": self.value,
            "nonce": self.nonce,
            "deadline": self.deadline,
            "metered": self.metered,
        })
    }

    fn kind(&self) -> &'static Kind {
        if self.metered { &UPTO } else { &EXACT }
    }

    fn nonce(&self) -> U256 {
        word_of(self.nonce)
    }

    /// Whether the logs hold the exact transfer.
    fn paid(&self, logs: &[Log]) -> bool {
        let topics = [Token::Transfer::SIGNATURE_HASH, self.from.into_word(), self.to.into_word()];
        let value = B256::from(word_of(self.value));
        logs.iter().any(|log| log.address == self.token && log.topics == topics && log.data[..] == value[..])
    }

    /// Whether the proxy says that it ran to its end, and so that Permit2 spent a nonce.
    fn ran(&self, logs: &[Log]) -> bool {
        let kinds = [Proxy::Settled::SIGNATURE_HASH, Proxy::SettledWithPermit::SIGNATURE_HASH];
        let proxy = self.kind().proxy;
        logs.iter().any(|log| log.address == proxy && log.topics.first().is_some_and(|topic| kinds.contains(topic)))
    }

    fn settled(&self, transaction: B256) -> Outcome {
        let settled = Settled::new(transaction.to_string(), self.from.to_checksum(None));
        Outcome::Settled(if self.metered { settled.amount(self.value) } else { settled })
    }

    fn released(&self, code: ErrorCode, transaction: B256, why: &str) -> Outcome {
        let rejected = Rejected::new(code).because(why).payer(self.from.to_checksum(None));
        Outcome::Released(rejected.transaction(transaction.to_string()))
    }

    /// The code for a transaction that did not pay.
    pub(crate) fn failed_code(&self) -> ErrorCode {
        self.kind().failed_code.clone()
    }

    /// The call that asks Permit2 whether the nonce is used, at a block or a tag.
    pub(crate) fn state_call(&self, block: &str) -> Call {
        bitmap_call(self.from, self.nonce(), block)
    }

    /// What the answer of [`state_call`](Self::state_call) says.
    pub(crate) fn is_used(&self, answer: &Bytes) -> bool {
        spent(self.nonce(), answer)
    }

    /// What our own transaction, once mined, means; `None` where that cannot be told yet. `since` is a block at which
    /// the nonce was not used.
    pub(crate) async fn conclude(
        &self,
        rpc: &Rpc,
        receipt: &Receipt,
        since: u64,
    ) -> Result<Option<Outcome>, CallError> {
        let (hash, kind) = (receipt.transaction_hash, self.kind());
        let paid = self.paid(&receipt.logs);
        // In company the call may have failed where the transaction succeeded. No other payment in it has the same
        // `Transfer` log, so the log is this one's.
        if receipt.succeeded() && (paid || !receipt.is_shared()) {
            return Ok(match (paid, self.ran(&receipt.logs)) {
                (true, true) => Some(self.settled(hash)),
                // The logs do not say that the nonce moved, so Permit2 must. A node may be behind its own receipt.
                (true, false) => {
                    let state: Bytes = rpc.call(&self.state_call("latest")).await?;
                    self.is_used(&state).then(|| self.settled(hash))
                }
                (false, _) => {
                    let why = "the transaction succeeded without the exact Transfer log";
                    Some(self.released(kind.mismatch_code.clone(), hash, why))
                }
            });
        }
        self.searched(rpc, hash, since).await.map(|found| match found {
            Found::Unused => {
                let failed =
                    if receipt.succeeded() { "the call failed in company" } else { "the transaction reverted" };
                Some(self.released(self.failed_code(), hash, failed))
            }
            Found::Ended(outcome) => Some(outcome),
            Found::Unknown => None,
        })
    }

    /// As [`conclude`](Self::conclude) where no transaction of ours can be mined any more; `None` where no use is seen.
    pub(crate) async fn conclude_without(&self, rpc: &Rpc, since: u64) -> Result<Option<Outcome>, CallError> {
        Ok(match self.searched(rpc, B256::ZERO, since).await? {
            Found::Ended(outcome) => Some(outcome),
            Found::Unused | Found::Unknown => None,
        })
    }

    /// Looks for the transaction that spent the nonce, from the block after `since` up to the newest. `hash` is the one
    /// that is reported where the nonce was spent on something else.
    async fn searched(&self, rpc: &Rpc, hash: B256, since: u64) -> Result<Found, CallError> {
        let head: U64 = rpc.call(&Call::new("eth_blockNumber", &())).await?;
        // At that very block, so that the logs up to it and the state agree.
        let state: Bytes = rpc.call(&self.state_call(&json_number(head))).await?;
        if !self.is_used(&state) {
            return Ok(Found::Unused);
        }
        let transfers = json!([Token::Transfer::SIGNATURE_HASH, self.from.into_word(), self.to.into_word()]);
        let voids = json!([Permit2Contract::UnorderedNonceInvalidation::SIGNATURE_HASH, self.from.into_word()]);
        let (logs, whole) = logs(rpc, &[(self.token, transfers), (PERMIT2, voids)], since, head.to()).await?;

        let mut seen = Vec::new();
        let paying = logs.iter().filter(|log| self.paid(std::slice::from_ref(log)));
        for candidate in paying.filter_map(|log| log.transaction_hash).take(MOST_CANDIDATES) {
            if seen.contains(&candidate) {
                continue;
            }
            seen.push(candidate);
            let sent: Option<Sent> = rpc.call(&Call::new("eth_getTransactionByHash", &[candidate])).await?;
            let ours = sent.is_some_and(|sent| {
                sent.to == Some(self.kind().proxy)
                    && Permit::spent_by(self.from, self.nonce(), self.metered, &sent.input)
            });
            if ours {
                let receipt: Option<Receipt> = rpc.call(&Call::new("eth_getTransactionReceipt", &[candidate])).await?;
                if receipt.is_some_and(|receipt| receipt.succeeded() && self.paid(&receipt.logs)) {
                    return Ok(Found::Ended(self.settled(candidate)));
                }
            }
        }
        let voided = logs.iter().find(|log| self.voids(log)).and_then(|log| log.transaction_hash);
        Ok(match voided {
            Some(by) => {
                let why = format!("the payer invalidated the permit's nonce in {by}");
                Found::Ended(self.released(self.failed_code(), if hash.is_zero() { by } else { hash }, &why))
            }
            // Every transfer is known, and none was made by this permit.
            None if whole => {
                let rejected = Rejected::new(self.failed_code()).payer(self.from.to_checksum(None));
                let rejected = rejected.because("the permit's nonce was spent on something else");
                Found::Ended(Outcome::Released(match hash.is_zero() {
                    true => rejected,
                    false => rejected.transaction(hash.to_string()),
                }))
            }
            None => Found::Unknown,
        })
    }

    /// Whether a log says that the owner gave this nonce up.
    fn voids(&self, log: &Log) -> bool {
        let topics = [Permit2Contract::UnorderedNonceInvalidation::SIGNATURE_HASH, self.from.into_word()];
        let word = |at: usize| U256::try_from_be_slice(log.data.get(at..at + 32)?);
        log.address == PERMIT2
            && log.topics == topics
            && word(0) == Some(self.nonce() >> 8)
            && word(32).is_some_and(|mask| is_spent(self.nonce(), mask))
    }
}

/// Who spent a nonce.
enum Found {
    /// Nobody.
    Unused,
    /// Somebody, and this is what it means.
    Ended(Outcome),
    /// Somebody, and the logs do not reach far enough to tell.
    Unknown,
}

/// Logs of any of these contracts and topics, after `since` up to `head`, and whether all of them were read. The
/// filters are the node's promise; whoever reads the logs looks again.
async fn logs(rpc: &Rpc, filters: &[(Address, Value)], since: u64, head: u64) -> Result<(Vec<Log>, bool), CallError> {
    let (mut found, mut first, mut span) = (Vec::new(), since.saturating_add(1), SEARCH);
    for _ in 0..MOST_SEARCHES {
        if first > head {
            return Ok((found, true));
        }
        let last = first.saturating_add(span.saturating_sub(1)).min(head);
        let call = |(address, topics): &(Address, Value)| {
            let (first, last) = (U64::from(first), U64::from(last));
            let filter = json!({ "address": address, "fromBlock": first, "toBlock": last, "topics": topics });
            Call::new("eth_getLogs", &[filter])
        };
        let calls: Vec<Call> = filters.iter().map(call).collect();
        let answers: Result<Vec<Vec<Log>>, CallError> =
            rpc.batch(&calls).await?.into_iter().map(|answer| read(&answer?)).collect();
        match answers {
            Ok(answers) => found.extend(answers.into_iter().flatten()),
            Err(CallError::Refused { .. }) if span > LEAST_SEARCH => {
                span = (span / 4).max(LEAST_SEARCH);
                continue;
            }
            Err(error) => return Err(error),
        }
        first = last.saturating_add(1);
    }
    Ok((found, first > head))
}
