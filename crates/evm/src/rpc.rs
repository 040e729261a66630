//! Calls to a node: each under a time-out, each failure sorted into what the node said and what was never answered.

use crate::transport::HttpFailure;
use alloy::providers::{DynProvider, Provider as _};
use alloy::rpc::client::BatchRequest;
use alloy::transports::{RpcError, TransportError, TransportErrorKind};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::{RawValue, to_raw_value};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;
use tollway_core::{Fault, FaultKind, NetworkId};

/// Longest text of a node that is kept.
const LONGEST_TEXT: usize = 300;

/// One JSON-RPC call.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    method: &'static str,
    params: Box<RawValue>,
}

impl Call {
    pub(crate) fn new(method: &'static str, params: &impl Serialize) -> Self {
        // Our own parameters always can be written; were one not, the node would refuse `null`.
        let params = to_raw_value(params).unwrap_or_else(|_| RawValue::NULL.to_owned());
        Self { method, params }
    }
}

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
    /// Whether the call ran and the contract refused it, or has no such function.
    pub(crate) fn is_revert(&self) -> bool {
        let Self::Refused { code, message } = self else { return false };
        let words = message.to_lowercase();
        let of_the_machine =
            ["revert", "out of gas", "gas required exceeds", "invalid opcode", "bad instruction", "invalid jump"];
        *code == 3 || of_the_machine.iter().any(|part| words.contains(part))
    }

    fn invalid(text: impl Into<String>) -> Self {
        Self::Failed { kind: FaultKind::Invalid, text: text.into(), unsent: false }
    }
}

impl From<TransportError> for CallError {
    fn from(error: TransportError) -> Self {
        let failed = |kind, text: String, unsent| Self::Failed { kind, text: cut(&text), unsent };
        match error {
            RpcError::ErrorResp(answer) => Self::Refused { code: answer.code, message: cut(&answer.message) },
            RpcError::Transport(TransportErrorKind::Custom(why)) => {
                let unsent = why.downcast_ref::<HttpFailure>().is_some_and(|failure| failure.unsent);
                failed(FaultKind::Unreachable, why.to_string(), unsent)
            }
            RpcError::Transport(TransportErrorKind::HttpError(why)) => {
                let text = format!("HTTP status {}: {}", why.status, why.body);
                match why.status {
                    429 => failed(FaultKind::Overloaded, text, true),
                    // Refused at the door. A failure further in says nothing about what was done before it.
                    400..=499 => failed(FaultKind::Configuration, text, true),
                    _ => failed(FaultKind::Unreachable, text, false),
                }
            }
            RpcError::Transport(TransportErrorKind::MissingBatchResponse(_)) => missing(),
            RpcError::Transport(other) => failed(FaultKind::Unreachable, other.to_string(), false),
            // Its own text would hold the whole answer.
            RpcError::DeserError { err, .. } => {
                Self::invalid(format!("the node's answer is of the wrong shape: {err}"))
            }
            RpcError::NullResp => Self::invalid("the node answered null"),
            other => failed(FaultKind::Internal, other.to_string(), true),
        }
    }
}

/// An answer that a batch was left without.
pub(crate) fn missing() -> CallError {
    CallError::invalid(MISSING)
}

const MISSING: &str = "the node left an answer out";

fn is_missing<T>(answer: &Result<T, CallError>) -> bool {
    matches!(answer, Err(CallError::Failed { text, .. }) if text == MISSING)
}

fn cut(text: &str) -> String {
    text.chars().take(LONGEST_TEXT).collect()
}

/// A node of one network.
#[derive(Clone)]
pub(crate) struct Rpc {
    network: NetworkId,
    provider: DynProvider,
    timeout: Duration,
    /// Whether the node takes several calls in one request, as far as is known.
    batches: Arc<AtomicBool>,
}

impl fmt::Debug for Rpc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rpc").field("network", &self.network).finish_non_exhaustive()
    }
}

impl Rpc {
    pub(crate) fn new(network: NetworkId, provider: DynProvider, timeout: Duration) -> Self {
        Self { network, provider, timeout, batches: Arc::new(AtomicBool::new(true)) }
    }

    /// One call, one round trip.
    pub(crate) async fn call<R: DeserializeOwned>(&self, call: &Call) -> Result<R, CallError> {
        let answer = self.within(self.provider.raw_request_dyn(call.method.into(), &call.params)).await?;
        read(&answer)
    }

    /// Several calls, one round trip. One that failed does not fail the others.
    ///
    /// A node that does not take batches is asked one by one, from then on. A call may then be made twice, which is
    /// all the same for reads and for sending the same bytes.
    pub(crate) async fn batch(&self, calls: &[Call]) -> Result<Vec<Result<Box<RawValue>, CallError>>, CallError> {
        if calls.len() > 1 && self.batches.load(Relaxed) {
            let answers = self.together(calls).await;
            if !answers.as_ref().is_ok_and(|answers| answers.iter().all(is_missing)) {
                return answers;
            }
            tracing::warn!(network = %self.network, "the node takes no batches of calls; asking one by one");
            self.batches.store(false, Relaxed);
        }
        let mut answers = Vec::with_capacity(calls.len());
        for call in calls {
            match self.call(call).await {
                Err(error @ CallError::Failed { .. }) if calls.len() == 1 => return Err(error),
                answer => answers.push(answer),
            }
        }
        Ok(answers)
    }

    async fn together(&self, calls: &[Call]) -> Result<Vec<Result<Box<RawValue>, CallError>>, CallError> {
        let mut batch = BatchRequest::new(self.provider.client());
        let mut answers = Vec::with_capacity(calls.len());
        for call in calls {
            answers.push(batch.add_call::<_, Box<RawValue>>(call.method, &call.params)?);
        }
        self.within(batch.send()).await?;
        let mut results = Vec::with_capacity(calls.len());
        for answer in answers {
            results.push(answer.await.map_err(CallError::from));
        }
        Ok(results)
    }

    async fn within<T>(&self, call: impl Future<Output = Result<T, TransportError>>) -> Result<T, CallError> {
        match tokio::time::timeout(self.timeout, call).await {
            Ok(answer) => answer.map_err(CallError::from),
            Err(_) => Err(CallError::Failed {
                kind: FaultKind::Timeout,
                text: format!("no answer within {} ms", self.timeout.as_millis()),
                unsent: false,
            }),
        }
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

/// Reads a result.
pub(crate) fn read<R: DeserializeOwned>(answer: &RawValue) -> Result<R, CallError> {
    serde_json::from_str(answer.get())
        .map_err(|why| CallError::invalid(format!("the node's answer is of the wrong shape: {why}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test::{NoBatches, Silent, rpc_over};
    use tollway_core::Sent;

    #[tokio::test(start_paused = true)]
    async fn a_node_that_takes_no_batches_is_asked_one_by_one() {
        let node = NoBatches::default();
        let rpc = rpc_over(node.clone());
        let calls = [Call::new("eth_chainId", &()), Call::new("eth_blockNumber", &()), Call::new("eth_none", &())];
        for _ in 0..2 {
            let answers = rpc.batch(&calls).await.unwrap();
            let words: Vec<_> = answers.iter().map(|answer| answer.as_ref().map(|raw| raw.get().to_owned())).collect();
            assert_eq!(*words[0].as_ref().unwrap(), "\"eth_chainId\"");
            assert_eq!(*words[1].as_ref().unwrap(), "\"eth_blockNumber\"");
            assert!(matches!(words[2], Err(CallError::Refused { code: -32601, .. })));
        }
        assert_eq!(node.round_trips(), 1 + 3 + 3);
    }

    #[tokio::test(start_paused = true)]
    async fn a_node_that_never_answers_is_not_waited_for() {
        let rpc = rpc_over(Silent);
        let error = rpc.call::<String>(&Call::new("eth_chainId", &())).await.unwrap_err();
        assert!(matches!(error, CallError::Failed { kind: FaultKind::Timeout, unsent: false, .. }), "{error}");
        let calls = [Call::new("eth_chainId", &()), Call::new("eth_chainId", &())];
        let error = rpc.batch(&calls).await.unwrap_err();
        let fault = rpc.fault("asking for the chain's id", error);
        assert_eq!((fault.kind, fault.retry, fault.sent), (FaultKind::Timeout, true, Sent::No));
        assert!(fault.message.starts_with("eip155:84532: asking"), "{fault}");
    }

    #[test]
    fn http_refusals_at_the_door_did_not_reach_the_node() {
        for (status, wanted) in [(401, true), (403, true), (429, true), (500, false), (502, false), (503, false)] {
            let error = CallError::from(TransportErrorKind::http_error(status, "x".repeat(1000)));
            let CallError::Failed { unsent, text, .. } = error else { panic!("{error}") };
            assert_eq!(unsent, wanted, "{status}");
            assert!(text.len() <= LONGEST_TEXT);
        }
    }
}
