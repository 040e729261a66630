//! What proves a payment: its exact `Transfer` log, emitted by the token, and its nonce used.
//!
//! A transaction's success proves nothing: a token may do nothing successfully. Nor does its failure prove that no
//! money moved: whoever sees an authorization can carry it out first. So a transaction that does not prove the
//! payment is followed by a search for the one that used its nonce.

use crate::abi::Token;
use crate::address::{checksummed, word};
use crate::codes;
use crate::exact::types::{Authorization, word_of};
use crate::permit2::PermitExpect;
use crate::receipt::{Log, Receipt};
use crate::rpc::{Call, CallError, Rpc, read};
use alloy::primitives::{Address, B256, Bytes, U64, U256};
use alloy::sol_types::{SolCall as _, SolEvent as _};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tollway_core::{Amount, ErrorCode, Outcome, Rejected, Settled};

/// Blocks searched in one call, and most calls of one search. Nodes limit the first, some to very few.
const SEARCH: u64 = 1000;
const LEAST_SEARCH: u64 = 10;
const MOST_SEARCHES: usize = 24;

/// A claim's `expect`, by mechanism.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "mechanism")]
pub(crate) enum Expected {
    #[serde(rename = "eip3009")]
    Eip3009(Expect),
    #[serde(rename = "permit2")]
    Permit2(PermitExpect),
}

impl Expected {
    /// Who pays.
    pub(crate) fn from(&self) -> Address {
        match self {
            Self::Eip3009(expect) => expect.from,
            Self::Permit2(expect) => expect.from,
        }
    }

    /// What it moves: the token, and how much of it.
    pub(crate) fn moves(&self) -> (Address, Amount) {
        match self {
            Self::Eip3009(expect) => (expect.token, expect.value),
            Self::Permit2(expect) => (expect.token, expect.value),
        }
    }

    /// The call that asks whether the nonce is used, at a block or a tag.
    pub(crate) fn state_call(&self, block: &str) -> Call {
        match self {
            Self::Eip3009(expect) => expect.state_call(block),
            Self::Permit2(expect) => expect.state_call(block),
        }
    }

    /// What the answer of [`state_call`](Self::state_call) says.
    pub(crate) fn is_used(&self, answer: &Bytes) -> bool {
        match self {
            Self::Eip3009(_) => is_used(answer),
            Self::Permit2(expect) => expect.is_used(answer),
        }
    }

    /// The code for a payment that can no longer be mined, where its time is over at a block of this time, in Unix
    /// seconds.
    pub(crate) fn ended(&self, time: u64) -> Option<ErrorCode> {
        let time = Amount::from(time);
        match self {
            Self::Eip3009(expect) => (expect.valid_before <= time).then_some(codes::VALID_BEFORE),
            // Good in a block of its last second, too.
            Self::Permit2(expect) => (expect.deadline < time).then_some(codes::PERMIT2_DEADLINE),
        }
    }

    /// The code for a transaction that did not pay.
    pub(crate) fn failed_code(&self) -> ErrorCode {
        match self {
            Self::Eip3009(_) => codes::TRANSACTION_FAILED,
            Self::Permit2(expect) => expect.failed_code(),
        }
    }
}

/// What proves one EIP-3009 payment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Expect {
    #[serde(with = "checksummed")]
    pub(crate) token: Address,
    #[serde(with = "checksummed")]
    pub(crate) from: Address,
    #[serde(with = "checksummed")]
    pub(crate) to: Address,
    pub(crate) value: Amount,
    #[serde(with = "word")]
    pub(crate) nonce: B256,
    pub(crate) valid_before: Amount,
}

impl Expect {
    pub(crate) fn new(token: Address, authorization: &Authorization) -> Self {
        let Authorization { from, to, value, valid_before, nonce, .. } = *authorization;
        Self { token, from, to, value, nonce, valid_before }
    }

    /// As [`Expected`] is written, addresses in lower case: nobody reads them, and a checksum is a hash.
    pub(crate) fn into_value(self) -> Value {
        json!({
            "mechanism": "eip3009",
            "token": self.token,
            "from": self.from,
            "to": self.to,
            "value": self.value,
            "nonce": self.nonce,
            "validBefore": self.valid_before,
        })
    }

    /// Whether the logs hold the exact transfer.
    fn paid(&self, logs: &[Log]) -> bool {
        let topics = [Token::Transfer::SIGNATURE_HASH, self.from.into_word(), self.to.into_word()];
        let value = B256::from(word_of(self.value));
        logs.iter().any(|log| log.address == self.token && log.topics == topics && log.data[..] == value[..])
    }

    /// Whether the logs say that the nonce was used.
    fn used(&self, logs: &[Log]) -> bool {
        logs.iter().any(|log| self.is_use(log))
    }

    fn is_use(&self, log: &Log) -> bool {
        let topics = [Token::AuthorizationUsed::SIGNATURE_HASH, self.from.into_word(), self.nonce];
        log.address == self.token && log.topics == topics
    }

    /// Whether logs that may be of several payments hold the exact transfer made with this very nonce. Of one payer and
    /// token a use and a transfer alternate; which of them comes first is the token's custom. Where they do not, the
    /// transfer could be another nonce's.
    fn carried(&self, logs: &[Log]) -> bool {
        let from = self.from.into_word();
        let kinds = [Token::AuthorizationUsed::SIGNATURE_HASH, Token::Transfer::SIGNATURE_HASH];
        let ours = |log: &&Log| {
            log.address == self.token
                && log.topics.first().is_some_and(|kind| kinds.contains(kind))
                && log.topics.get(1) == Some(&from)
        };
        let ours: Vec<&Log> = logs.iter().filter(ours).collect();
        let is_use = |log: &Log| log.topics.first() == kinds.first();
        if ours.iter().filter(|log| is_use(log)).count() < 2 {
            return self.used(logs) && self.paid(logs);
        }
        let (pairs, rest) = ours.as_chunks::<2>();
        let alternate = rest.is_empty() && pairs.iter().all(|[a, b]| is_use(a) != is_use(b));
        let uniform = pairs.windows(2).all(|pair| is_use(pair[0][0]) == is_use(pair[1][0]));
        let exact = |[a, b]: &[&Log; 2]| (self.is_use(a) || self.is_use(b)) && self.paid(&[(*a).clone(), (*b).clone()]);
        alternate && uniform && pairs.iter().any(exact)
    }

    fn settled(&self, transaction: B256) -> Outcome {
        Outcome::Settled(Settled::new(transaction.to_string(), self.from.to_checksum(None)))
    }

    fn released(&self, code: ErrorCode, transaction: B256, why: &str) -> Outcome {
        let rejected = Rejected::new(code).because(why).payer(self.from.to_checksum(None));
        Outcome::Released(rejected.transaction(transaction.to_string()))
    }

    /// The call that asks the token whether the nonce is used.
    pub(crate) fn state_call(&self, block: &str) -> Call {
        state_call(self.token, self.from, self.nonce, block)
    }
}

/// The call that asks a token whether a nonce is used, at a block or a tag.
pub(crate) fn state_call(token: Address, authorizer: Address, nonce: B256, block: &str) -> Call {
    let data = Bytes::from(Token::authorizationStateCall { authorizer, nonce }.abi_encode());
    Call::new("eth_call", &(json!({ "to": token, "data": data }), block))
}

/// The answer of [`state_call`].
pub(crate) fn is_used(answer: &Bytes) -> bool {
    U256::try_from_be_slice(answer.get(..32).unwrap_or_default()).is_some_and(|word| !word.is_zero())
}

/// Who used a nonce.
enum Use {
    /// A transaction that paid as expected.
    Paid(B256),
    /// A transaction that did something else with it, such as cancelling it.
    Otherwise(B256),
    /// Nobody, as far as the logs tell.
    Unseen,
}

/// What a mined transaction means for the payment it was sent for; `None` where that cannot be told yet. `since` is a
/// block at which the nonce was not used.
pub(crate) async fn conclude(
    rpc: &Rpc,
    expect: &Expected,
    receipt: &Receipt,
    since: u64,
) -> Result<Option<Outcome>, CallError> {
    let expect = match expect {
        Expected::Eip3009(expect) => expect,
        Expected::Permit2(expect) => return expect.conclude(rpc, receipt, since).await,
    };
    let hash = receipt.transaction_hash;
    let logs = if receipt.succeeded() { &receipt.logs[..] } else { &[] };
    let shared = receipt.is_shared();
    let paid = if shared { expect.carried(logs) } else { expect.paid(logs) };
    match (paid, expect.used(logs)) {
        (true, true) => return Ok(Some(expect.settled(hash))),
        (true, false) => {
            // The logs do not say that the nonce moved, so the token must.
            let state: Bytes = rpc.call(&expect.state_call("latest")).await?;
            let unused = "the token moved the money and left the nonce unused";
            return Ok(Some(match is_used(&state) {
                true => expect.settled(hash),
                false => expect.released(codes::TRANSFER_MISMATCH, hash, unused),
            }));
        }
        (false, true) => {
            let why = "the token used the nonce up without the exact Transfer log";
            return Ok(Some(expect.released(codes::TRANSFER_MISMATCH, hash, why)));
        }
        (false, false) => {}
    }
    Ok(match search(rpc, expect, since).await? {
        Use::Paid(other) => Some(expect.settled(other)),
        Use::Otherwise(other) => {
            let why = format!("the nonce was used for something else by {other}");
            Some(expect.released(codes::TRANSACTION_FAILED, hash, &why))
        }
        Use::Unseen => {
            let state: Bytes = rpc.call(&expect.state_call("latest")).await?;
            match (is_used(&state), receipt.succeeded()) {
                // Used, and no log says by whom: the node that was asked for logs may be behind.
                (true, _) => None,
                (false, true) if shared => {
                    Some(expect.released(codes::TRANSACTION_FAILED, hash, "the call failed in company"))
                }
                (false, true) => {
                    let why = "the transaction succeeded and the token emitted no Transfer log";
                    Some(expect.released(codes::TRANSFER_MISMATCH, hash, why))
                }
                (false, false) => Some(expect.released(codes::TRANSACTION_FAILED, hash, "the transaction reverted")),
            }
        }
    })
}

/// As [`conclude`] where no transaction of ours can be mined any more; `None` where no use is seen.
pub(crate) async fn conclude_without(rpc: &Rpc, expect: &Expected, since: u64) -> Result<Option<Outcome>, CallError> {
    let expect = match expect {
        Expected::Eip3009(expect) => expect,
        Expected::Permit2(expect) => return expect.conclude_without(rpc, since).await,
    };
    Ok(match search(rpc, expect, since).await? {
        Use::Paid(other) => Some(expect.settled(other)),
        Use::Otherwise(other) => {
            Some(expect.released(codes::TRANSACTION_FAILED, other, "the nonce was used for something else"))
        }
        Use::Unseen => None,
    })
}

/// Looks for the transaction that used or cancelled the nonce, from the block after `since` on.
async fn search(rpc: &Rpc, expect: &Expect, since: u64) -> Result<Use, CallError> {
    let head: U64 = rpc.call(&Call::new("eth_blockNumber", &())).await?;
    let head: u64 = head.to();
    let kinds = [Token::AuthorizationUsed::SIGNATURE_HASH, Token::AuthorizationCanceled::SIGNATURE_HASH];
    let (mut first, mut span) = (since.saturating_add(1), SEARCH);
    for _ in 0..MOST_SEARCHES {
        if first > head {
            break;
        }
        let last = first.saturating_add(span.saturating_sub(1));
        let until = if last < head { json!(U64::from(last)) } else { json!("latest") };
        let filter = json!({
            "address": expect.token,
            "fromBlock": U64::from(first),
            "toBlock": until,
            "topics": [kinds, expect.from.into_word(), expect.nonce],
        });
        let logs: Vec<Log> = match rpc.call(&Call::new("eth_getLogs", &[filter])).await {
            Ok(logs) => logs,
            Err(CallError::Refused { .. }) if span > LEAST_SEARCH => {
                span = (span / 4).max(LEAST_SEARCH);
                continue;
            }
            Err(error) => return Err(error),
        };
        // The filter is the node's promise; the logs are looked at again.
        let found = |log: &&Log| {
            log.address == expect.token
                && matches!(&log.topics[..], [kind, from, nonce]
                    if kinds.contains(kind) && *from == expect.from.into_word() && *nonce == expect.nonce)
        };
        if let Some((log, hash)) = logs.iter().find(found).and_then(|log| Some((log, log.transaction_hash?))) {
            if log.topics.first() == Some(&Token::AuthorizationCanceled::SIGNATURE_HASH) {
                return Ok(Use::Otherwise(hash));
            }
            let answers = rpc.batch(&[Call::new("eth_getTransactionReceipt", &[hash])]).await?;
            let Some(answer) = answers.into_iter().next() else { return Ok(Use::Unseen) };
            return Ok(match read::<Option<Receipt>>(&answer?)? {
                Some(receipt) if receipt.succeeded() && expect.carried(&receipt.logs) => Use::Paid(hash),
                Some(_) => Use::Otherwise(hash),
                None => Use::Unseen,
            });
        }
        first = last.saturating_add(1);
    }
    Ok(Use::Unseen)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exact::Exact;
    use crate::test::{golden_offer, golden_payment};
    use tollway_core::{Scheme as _, decode};

    fn expect() -> Expect {
        let (raw, offer) = (golden_payment(), golden_offer());
        let payment = decode::<Exact>(&raw, &offer).unwrap();
        let claim = Exact::claim(&payment).unwrap();
        let Expected::Eip3009(expect) = serde_json::from_value(claim.expect).unwrap() else { panic!() };
        let authorization = &payment.payload.eip3009().unwrap().authorization;
        assert_eq!(expect, Expect::new(offer.asset.parse().unwrap(), authorization));
        expect
    }

    fn transfer(expect: &Expect) -> Log {
        Log {
            address: expect.token,
            topics: vec![Token::Transfer::SIGNATURE_HASH, expect.from.into_word(), expect.to.into_word()],
            data: Bytes::from(expect.value.to_be_bytes()),
            transaction_hash: None,
        }
    }

    #[test]
    fn only_the_exact_transfer_of_the_token_pays() {
        let expect = expect();
        let good = transfer(&expect);
        assert!(expect.paid(std::slice::from_ref(&good)));
        let other = Address::repeat_byte(9);
        let wrong = [
            Log { address: other, ..good.clone() },
            Log { data: Bytes::from(Amount::from(999).to_be_bytes()), ..good.clone() },
            Log { data: Bytes::from([good.data.to_vec(), vec![0; 32]].concat()), ..good.clone() },
            Log { data: Bytes::new(), ..good.clone() },
            Log { topics: good.topics[..2].to_vec(), ..good.clone() },
            Log { topics: vec![good.topics[0], good.topics[2], good.topics[1]], ..good.clone() },
            Log { topics: vec![B256::ZERO, good.topics[1], good.topics[2]], ..good.clone() },
        ];
        for log in &wrong {
            assert!(!expect.paid(std::slice::from_ref(log)), "{log:?}");
        }
        assert!(!expect.paid(&wrong));
        assert!(expect.paid(&[&wrong[..], &[good]].concat()));
    }

    #[test]
    fn only_this_nonce_of_this_payer_counts_as_used() {
        let expect = expect();
        let good = Log {
            topics: vec![Token::AuthorizationUsed::SIGNATURE_HASH, expect.from.into_word(), expect.nonce],
            data: Bytes::new(),
            ..transfer(&expect)
        };
        assert!(expect.used(std::slice::from_ref(&good)));
        for topics in [
            vec![good.topics[0], good.topics[1], B256::ZERO],
            vec![good.topics[0], expect.to.into_word(), expect.nonce],
            vec![Token::AuthorizationCanceled::SIGNATURE_HASH, good.topics[1], good.topics[2]],
            vec![],
        ] {
            assert!(!expect.used(&[Log { topics, ..good.clone() }]));
        }
    }

    #[test]
    fn states_are_words() {
        assert!(!is_used(&Bytes::new()) && !is_used(&Bytes::from([0; 32])) && !is_used(&Bytes::from([1; 5])));
        assert!(is_used(&Bytes::from(U256::from(1).to_be_bytes::<32>())));
    }
}
