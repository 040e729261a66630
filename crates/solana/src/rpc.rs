//! Calls to a node: each under a time-out, each failure sorted into what the node said and what was never answered.
//! Answers are read into the few members that are used, so that a node's newer ones do no harm.

use crate::config::Commitment;
use crate::transport::HttpFailure;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use solana_pubkey::Pubkey;
use solana_rpc_client::nonblocking::rpc_client::RpcClient;
use solana_rpc_client_api::client_error::{Error, ErrorKind};
use solana_rpc_client_api::request::{RpcError, RpcRequest};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tollway_core::{Durable, Fault, FaultKind, NetworkId};

/// Longest text of a node that is kept.
const LONGEST_TEXT: usize = 300;
/// Most signatures one `getSignatureStatuses` may ask for.
pub(crate) const MOST_STATUSES: usize = 256;
/// Most entries of an account's history that are asked for.
pub(crate) const MOST_ENTRIES: usize = 1000;

/// Why a call gave no result.
#[derive(Debug, Clone)]
pub(crate) enum CallError {
    /// The node answered with an error.
    Refused {
        /// JSON-RPC code.
        code: i64,
        /// The node's words.
        message: String,
    },
    /// There was no answer, or none that makes sense.
    Failed {
        /// What kind of thing went wrong.
        kind: FaultKind,
        /// What happened.
        text: String,
        /// Whether the call certainly did not reach the node.
        unsent: bool,
    },
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused { code, message } => write!(f, "the node answered error {code}: {message}"),
            Self::Failed { text, .. } => f.write_str(text),
        }
    }
}

impl CallError {
    fn failed(kind: FaultKind, unsent: bool, text: &str) -> Self {
        Self::Failed { kind, text: cut(text), unsent }
    }
}

impl From<Error> for CallError {
    fn from(error: Error) -> Self {
        match *error.kind {
            ErrorKind::RpcError(RpcError::RpcResponseError { code, message, .. }) => {
                Self::Refused { code, message: cut(&message) }
            }
            ErrorKind::Io(why) => match why.get_ref().and_then(|inner| inner.downcast_ref::<HttpFailure>()) {
                Some(failure) => Self::failed(failure.kind, failure.unsent, &failure.to_string()),
                None => Self::failed(FaultKind::Unreachable, false, &why.to_string()),
            },
            // The Solana client's own transport; its errors would name the URL.
            ErrorKind::Reqwest(why) => {
                let unsent = why.is_connect();
                Self::failed(FaultKind::Unreachable, unsent, &why.without_url().to_string())
            }
            ErrorKind::SerdeJson(why) => {
                Self::failed(FaultKind::Invalid, false, &format!("the node's answer is of the wrong shape: {why}"))
            }
            ErrorKind::Middleware(_) => Self::failed(FaultKind::Unreachable, false, "the transport failed"),
            other => Self::failed(FaultKind::Unreachable, false, &other.to_string()),
        }
    }
}

pub(crate) fn cut(text: &str) -> String {
    text.chars().take(LONGEST_TEXT).collect()
}

/// A node of one network.
#[derive(Clone)]
pub(crate) struct Rpc {
    network: NetworkId,
    client: Arc<RpcClient>,
    timeout: Duration,
    /// How sure a settlement must be.
    commitment: Commitment,
}

/// How sure what is read must be. What is final is older than the blockhashes that clients build on.
const READ: Commitment = Commitment::Confirmed;

impl fmt::Debug for Rpc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rpc").field("network", &self.network).finish_non_exhaustive()
    }
}

/// An answer with the slot it is of.
#[derive(Deserialize)]
struct Contextual<T> {
    value: T,
}

/// What a simulation found.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Simulated {
    /// Why the transaction would fail.
    pub(crate) err: Option<Value>,
    /// The accounts asked for, as they would be.
    accounts: Option<Vec<Option<Account>>>,
    pre_token_balances: Option<Vec<TokenBalance>>,
    post_token_balances: Option<Vec<TokenBalance>>,
}

impl Simulated {
    /// The account asked for, as it would be.
    pub(crate) fn account(&self) -> Option<&Account> {
        self.accounts.as_ref()?.first()?.as_ref()
    }

    /// How many units of its token an account would have more afterwards. `None` where the node does not tell.
    pub(crate) fn gain(&self, account: u8) -> Option<i128> {
        let before = self.pre_token_balances.as_ref()?;
        let after = self.post_token_balances.as_ref()?;
        let of = |balances: &[TokenBalance]| {
            let found = balances.iter().find(|balance| balance.account_index == account);
            found.map_or(Some(0), |balance| balance.ui_token_amount.amount.parse::<i128>().ok())
        };
        of(after)?.checked_sub(of(before)?)
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct TokenBalance {
    account_index: u8,
    ui_token_amount: TokenAmount,
}

#[derive(Debug, Deserialize)]
struct TokenAmount {
    amount: String,
}

/// An account in base64.
#[derive(Debug, Deserialize)]
pub(crate) struct Account {
    pub(crate) owner: String,
    /// Base64 and the word "base64".
    data: (String, String),
}

impl Account {
    /// What the account holds.
    pub(crate) fn data(&self) -> Option<Vec<u8>> {
        (self.data.1 == "base64").then(|| BASE64.decode(&self.data.0).ok()).flatten()
    }
}

/// What a node knows of a transaction it has seen.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Status {
    /// Why it failed on chain.
    pub(crate) err: Option<Value>,
    #[serde(default)]
    confirmation_status: Option<String>,
}

impl Status {
    /// Whether the transaction is on chain as surely as asked for.
    pub(crate) fn is(&self, commitment: Commitment) -> bool {
        self.confirmation_status.as_deref().is_some_and(|status| commitment.is_met_by(status))
    }
}

/// A transaction in an account's history.
#[derive(Debug, Deserialize)]
pub(crate) struct Entry {
    pub(crate) signature: String,
    /// Why it failed on chain.
    pub(crate) err: Option<Value>,
    /// Its memos, each behind its length, where the node tells them.
    pub(crate) memo: Option<String>,
}

/// A transaction as it is on chain.
#[derive(Deserialize)]
struct Done {
    /// Base64 and the word "base64".
    transaction: (String, String),
}

/// A blockhash and the last block height at which it is accepted.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Blockhash {
    pub(crate) blockhash: String,
    pub(crate) last_valid_block_height: u64,
}

/// What became of a transaction that was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Sent {
    /// The node has it, or may have it: nobody can tell.
    Maybe,
    /// The node does not have it and will not: it was refused, or never reached.
    No(String),
}

impl Rpc {
    pub(crate) fn new(network: NetworkId, client: Arc<RpcClient>, timeout: Duration, commitment: Commitment) -> Self {
        Self { network, client, timeout, commitment }
    }

    pub(crate) fn network(&self) -> &NetworkId {
        &self.network
    }

    pub(crate) fn commitment(&self) -> Commitment {
        self.commitment
    }

    async fn call<T: DeserializeOwned>(&self, request: RpcRequest, params: Value) -> Result<T, CallError> {
        match tokio::time::timeout(self.timeout, self.client.send::<T>(request, params)).await {
            Ok(answer) => answer.map_err(CallError::from),
            Err(_) => {
                let text = format!("no answer within {} ms", self.timeout.as_millis());
                Err(CallError::failed(FaultKind::Timeout, false, &text))
            }
        }
    }

    /// Runs a signed transaction without sending it, signatures checked. With `account`, also reads that account.
    pub(crate) async fn simulate(&self, bytes: &[u8], account: Option<&Pubkey>) -> Result<Simulated, CallError> {
        let mut config = json!({
            "encoding": "base64", "sigVerify": true, "replaceRecentBlockhash": false,
            "commitment": READ.name()
        });
        if let Some(account) = account {
            config["accounts"] = json!({ "encoding": "base64", "addresses": [account.to_string()] });
        }
        let params = json!([BASE64.encode(bytes), config]);
        let answer: Contextual<Simulated> = self.call(RpcRequest::SimulateTransaction, params).await?;
        Ok(answer.value)
    }

    /// Hands a transaction to the node, which does not run it first: that has been done.
    pub(crate) async fn broadcast(&self, transaction: &Durable) -> Sent {
        let config = json!({ "encoding": "base64", "skipPreflight": true });
        let params = json!([BASE64.encode(&transaction.tx().bytes), config]);
        match self.call::<Value>(RpcRequest::SendTransaction, params).await {
            Ok(_) => Sent::Maybe,
            Err(CallError::Failed { unsent: true, text, .. }) => Sent::No(text),
            Err(error @ CallError::Refused { code, .. }) if is_certain_refusal(code) => Sent::No(error.to_string()),
            // Money may move unless it is certain that it cannot.
            Err(_) => Sent::Maybe,
        }
    }

    /// What the node knows of these transactions, at most [`MOST_STATUSES`], in their order. `thorough` looks beyond
    /// the last few minutes, at a price.
    pub(crate) async fn statuses(&self, signatures: &[&str], thorough: bool) -> Result<Vec<Option<Status>>, CallError> {
        let params = json!([signatures, { "searchTransactionHistory": thorough }]);
        let answer: Contextual<Vec<Option<Status>>> = self.call(RpcRequest::GetSignatureStatuses, params).await?;
        if answer.value.len() != signatures.len() {
            return Err(CallError::failed(FaultKind::Invalid, false, "the node answered for other signatures"));
        }
        Ok(answer.value)
    }

    /// The newest blockhash.
    pub(crate) async fn latest_blockhash(&self) -> Result<Blockhash, CallError> {
        let params = json!([{ "commitment": READ.name() }]);
        let answer: Contextual<Blockhash> = self.call(RpcRequest::GetLatestBlockhash, params).await?;
        Ok(answer.value)
    }

    /// Whether a transaction with this blockhash would still be accepted.
    pub(crate) async fn is_blockhash_valid(&self, blockhash: &Pubkey) -> Result<bool, CallError> {
        let params = json!([blockhash.to_string(), { "commitment": READ.name() }]);
        let answer: Contextual<bool> = self.call(RpcRequest::IsBlockhashValid, params).await?;
        Ok(answer.value)
    }

    /// The block height as of a commitment.
    pub(crate) async fn block_height(&self, commitment: Commitment) -> Result<u64, CallError> {
        self.call(RpcRequest::GetBlockHeight, json!([{ "commitment": commitment.name() }])).await
    }

    /// An account, if there is one.
    pub(crate) async fn account(&self, address: &Pubkey) -> Result<Option<Account>, CallError> {
        let config = json!({ "encoding": "base64", "commitment": READ.name() });
        let answer: Contextual<Option<Account>> =
            self.call(RpcRequest::GetAccountInfo, json!([address.to_string(), config])).await?;
        Ok(answer.value)
    }

    /// The newest transactions that named an account, at most [`MOST_ENTRIES`].
    pub(crate) async fn entries(&self, account: &Pubkey) -> Result<Vec<Entry>, CallError> {
        let config = json!({ "limit": MOST_ENTRIES, "commitment": READ.name() });
        self.call(RpcRequest::GetSignaturesForAddress, json!([account.to_string(), config])).await
    }

    /// A transaction's bytes. `None` where the node does not have it.
    pub(crate) async fn transaction(&self, signature: &str) -> Result<Option<Vec<u8>>, CallError> {
        let config = json!({ "encoding": "base64", "commitment": READ.name(), "maxSupportedTransactionVersion": 0 });
        let done: Option<Done> = self.call(RpcRequest::GetTransaction, json!([signature, config])).await?;
        let Some(Done { transaction: (text, _) }) = done else { return Ok(None) };
        let bytes = BASE64.decode(text);
        bytes.map(Some).map_err(|_| CallError::failed(FaultKind::Invalid, false, "a transaction that is no base64"))
    }

    /// A failed call as a fault, for when nothing depends on which failure it was. `doing` says what it was for.
    pub(crate) fn fault(&self, doing: &str, error: CallError) -> Fault {
        let message = format!("{}: {doing}: {error}", self.network);
        match error {
            CallError::Refused { .. } => Fault::new(FaultKind::Unreachable, message),
            CallError::Failed { kind: FaultKind::Configuration, .. } => Fault::new(
                FaultKind::Configuration,
                format!("{message}; check the key and the path in networks.\"{}\".rpc", self.network),
            ),
            CallError::Failed { kind, .. } => Fault::new(kind, message),
        }
    }
}

/// Whether a node that answers a send with this code has certainly not passed the transaction on: it would not run,
/// its signatures are bad, or the request itself is not understood.
fn is_certain_refusal(code: i64) -> bool {
    matches!(code, -32002 | -32003 | -32006 | -32015 | -32600 | -32601 | -32602 | -32700)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test::{Silent, rpc_over};
    use tollway_core::Sent as FaultSent;

    #[tokio::test(start_paused = true)]
    async fn a_node_that_never_answers_is_not_waited_for() {
        let rpc = rpc_over(Silent);
        let error = rpc.latest_blockhash().await.unwrap_err();
        assert!(matches!(error, CallError::Failed { kind: FaultKind::Timeout, unsent: false, .. }), "{error}");
        let fault = rpc.fault("asking for a blockhash", error);
        assert_eq!((fault.kind, fault.retry, fault.sent), (FaultKind::Timeout, true, FaultSent::No));
        assert!(fault.message.starts_with("solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1: asking"), "{fault}");
    }

    #[test]
    fn a_simulation_is_read_with_and_without_what_older_nodes_lack() {
        let bare: Simulated = serde_json::from_value(json!({ "err": null, "logs": [], "unitsConsumed": 7 })).unwrap();
        assert!(bare.err.is_none() && bare.gain(3).is_none() && bare.account().is_none());
        let balance = |index: u8, amount: &str| json!({ "accountIndex": index, "mint": "m", "uiTokenAmount": { "amount": amount } });
        let full: Simulated = serde_json::from_value(json!({
            "err": null,
            "accounts": [{ "owner": "o", "data": ["AAE=", "base64"], "lamports": 1, "executable": false }],
            "preTokenBalances": [balance(2, "5")],
            "postTokenBalances": [balance(2, "3"), balance(3, "18446744073709551615")],
        }))
        .unwrap();
        assert_eq!(full.gain(2), Some(-2));
        assert_eq!(full.gain(3), Some(i128::from(u64::MAX)));
        assert_eq!(full.gain(9), Some(0));
        assert_eq!(full.account().unwrap().data(), Some(vec![0, 1]));
        let failed: Simulated =
            serde_json::from_value(json!({ "err": "BlockhashNotFound", "accounts": [null] })).unwrap();
        assert!(failed.err.is_some() && failed.account().is_none());
    }

    #[test]
    fn statuses_meet_what_they_are() {
        let status =
            |of: &str| -> Status { serde_json::from_value(json!({ "err": null, "confirmationStatus": of })).unwrap() };
        assert!(!status("processed").is(Commitment::Confirmed));
        assert!(status("confirmed").is(Commitment::Confirmed) && !status("confirmed").is(Commitment::Finalized));
        assert!(status("finalized").is(Commitment::Confirmed) && status("finalized").is(Commitment::Finalized));
        let silent: Status = serde_json::from_value(json!({ "err": null })).unwrap();
        assert!(!silent.is(Commitment::Confirmed));
    }
}
