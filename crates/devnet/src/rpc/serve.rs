//! From a packet of requests to a packet of answers, through the planned faults.

use alloy::rpc::json_rpc::{Id, Response, ResponsePayload};
use serde_json::value::RawValue;

use super::{Failure, count, handle};
use crate::devnet::Devnet;
use crate::faults::Fault;

/// One request, wherever it came from.
#[derive(Clone, Copy)]
pub(crate) struct Question<'a> {
    pub(crate) id: &'a Id,
    pub(crate) method: &'a str,
    pub(crate) params: Option<&'a RawValue>,
}

/// Why a packet gets no JSON-RPC answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Broken {
    /// The connection breaks.
    Connection,
    /// The answer is this HTTP status.
    Status(u16),
}

/// Answers one request. A fault that breaks the connection takes the rest of its packet along.
pub(crate) async fn answer(devnet: &Devnet, question: Question<'_>) -> Result<Response, Broken> {
    let Question { id, method, params } = question;
    let answered = |payload| Ok(Response { id: id.clone(), payload });
    let Some(fault) = devnet.watch().take(method) else {
        return answered(handle(devnet, method, params));
    };
    match fault {
        Fault::Refuse => {
            count(devnet, method);
            Err(Broken::Connection)
        }
        Fault::Status(status) => {
            count(devnet, method);
            Err(Broken::Status(status))
        }
        Fault::Error { code, message } => {
            count(devnet, method);
            answered(ResponsePayload::Failure(Failure::new(code, message).into()))
        }
        Fault::DropAnswer => {
            handle(devnet, method, params);
            Err(Broken::Connection)
        }
        Fault::Late(time) => {
            let (devnet, method) = (devnet.clone(), method.to_owned());
            let params = params.map(ToOwned::to_owned);
            tokio::spawn(async move {
                tokio::time::sleep(time).await;
                handle(&devnet, &method, params.as_deref());
            });
            Err(Broken::Connection)
        }
        Fault::Twice => {
            handle(devnet, method, params);
            answered(handle(devnet, method, params))
        }
        Fault::ErrorAfter { code, message } => {
            handle(devnet, method, params);
            answered(ResponsePayload::Failure(Failure::new(code, message).into()))
        }
        Fault::Delay(time) => {
            let payload = handle(devnet, method, params);
            tokio::time::sleep(time).await;
            answered(payload)
        }
    }
}
