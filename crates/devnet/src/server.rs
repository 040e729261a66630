//! The way in over HTTP; a connection that asks for it becomes a WebSocket.

use std::io;
use std::net::SocketAddr;

use alloy::rpc::json_rpc::{Id, Response as Answer, ResponsePayload};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::serve::ListenerExt as _;
use futures_util::stream;
use serde::ser::SerializeMap as _;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;
use tokio::net::{TcpListener, ToSocketAddrs, lookup_host};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::devnet::Devnet;
use crate::error::DevnetError;
use crate::rpc::Failure;
use crate::rpc::serve::{Broken, Question, answer};
use crate::socket;

/// The largest request, in bytes.
pub(crate) const MAX_BODY: usize = 5 * 1024 * 1024;
/// The most requests of one batch.
const MAX_BATCH: usize = 1_000;

/// A devnet's HTTP server; it ends when this is dropped.
#[derive(Debug)]
pub struct DevnetServer {
    address: SocketAddr,
    end: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Devnet {
    /// Serves JSON-RPC over HTTP and WebSocket at a loopback address; port 0 takes a free one. Call it within a tokio runtime.
    ///
    /// # Errors
    /// [`DevnetError::NotLoopback`] for an address that others could reach, [`DevnetError::Io`] where the socket cannot
    /// be had.
    pub async fn serve(&self, address: impl ToSocketAddrs) -> Result<DevnetServer, DevnetError> {
        let failed = |source| DevnetError::Io { what: "listen for JSON-RPC", source };
        // Looked at before anything listens there.
        let addresses: Vec<SocketAddr> = lookup_host(address).await.map_err(failed)?.collect();
        if let Some(public) = addresses.iter().find(|address| !address.ip().is_loopback()) {
            return Err(DevnetError::NotLoopback(*public));
        }
        let listener = TcpListener::bind(addresses.as_slice()).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let listener = listener.tap_io(|connection| {
            // Where it fails, answers are merely late.
            let _ = connection.set_nodelay(true);
        });
        let (end, mut ended) = watch::channel(false);
        let sockets = get(socket::upgrade).with_state((self.clone(), ended.clone()));
        let app = Router::new()
            .route("/", post(respond).with_state(self.clone()).merge(sockets))
            .layer(DefaultBodyLimit::max(MAX_BODY));
        let task = tokio::spawn(async move {
            let end = async move {
                // The sender's end is the server's end too.
                let _ = ended.wait_for(|ended| *ended).await;
            };
            // Serving itself cannot fail: it sleeps over what accept refuses.
            let _ = axum::serve(listener, app).with_graceful_shutdown(end).await;
        });
        Ok(DevnetServer { address, end, task })
    }
}

impl DevnetServer {
    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it listens, as `http://127.0.0.1:1234`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where it takes WebSockets, as `ws://127.0.0.1:1234`.
    #[must_use]
    pub fn ws_url(&self) -> String {
        format!("ws://{}", self.address)
    }

    /// Ends it, and waits for the answers under way.
    pub async fn shutdown(mut self) {
        self.end.send_replace(true);
        // Its task ends in no other way.
        let _ = (&mut self.task).await;
    }
}

impl Drop for DevnetServer {
    fn drop(&mut self) {
        self.end.send_replace(true);
    }
}

#[derive(Deserialize)]
struct Request<'a> {
    /// Absent in a notification, which gets no answer.
    id: Option<Id>,
    method: String,
    #[serde(borrow)]
    params: Option<&'a RawValue>,
}

async fn respond(State(devnet): State<Devnet>, body: Bytes) -> Response {
    devnet.watch().count_round_trip();
    match answers(&devnet, &body).await {
        Ok(Some(json)) => ([(header::CONTENT_TYPE, "application/json")], json).into_response(),
        Ok(None) => StatusCode::NO_CONTENT.into_response(),
        Err(Broken::Status(status)) => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            (status, "planned fault").into_response()
        }
        // A body that fails makes the server close the connection in the middle of the answer.
        Err(Broken::Connection) => {
            let failing = stream::once(async { Err::<Bytes, _>(io::Error::other("planned fault")) });
            Body::from_stream(failing).into_response()
        }
    }
}

/// The JSON to answer with, or nothing where every request was a notification.
pub(crate) async fn answers(devnet: &Devnet, body: &[u8]) -> Result<Option<Vec<u8>>, Broken> {
    let Ok(text) = std::str::from_utf8(body) else { return Ok(json(&Wire(&parse_error()))) };
    if !text.trim_start().starts_with('[') {
        let Ok(request) = serde_json::from_str::<&RawValue>(text) else {
            return Ok(json(&Wire(&parse_error())));
        };
        return Ok(one(devnet, request).await?.and_then(|answer| json(&Wire(&answer))));
    }
    let Ok(requests) = serde_json::from_str::<Vec<&RawValue>>(text) else {
        return Ok(json(&Wire(&parse_error())));
    };
    if requests.is_empty() || requests.len() > MAX_BATCH {
        let limit = format!("a batch holds 1 to {MAX_BATCH} requests");
        return Ok(json(&Wire(&refusal(Failure::new(-32600, limit)))));
    }
    let mut answers = Vec::with_capacity(requests.len());
    for request in requests {
        answers.extend(one(devnet, request).await?);
    }
    if answers.is_empty() {
        return Ok(None);
    }
    Ok(json(&answers.iter().map(Wire).collect::<Vec<_>>()))
}

async fn one(devnet: &Devnet, request: &RawValue) -> Result<Option<Answer>, Broken> {
    let Ok(Request { id, method, params }) = serde_json::from_str(request.get()) else {
        return Ok(Some(refusal(Failure::new(-32600, "invalid request"))));
    };
    let question = Question { id: id.as_ref().unwrap_or(&Id::None), method: &method, params };
    let answer = answer(devnet, question).await?;
    Ok(id.is_some().then_some(answer))
}

fn parse_error() -> Answer {
    refusal(Failure::new(-32700, "parse error"))
}

fn refusal(failure: Failure) -> Answer {
    Answer { id: Id::None, payload: ResponsePayload::Failure(failure.into()) }
}

/// An answer as text.
pub(crate) fn wire(answer: &Answer) -> Option<String> {
    serde_json::to_string(&Wire(answer)).ok()
}

fn json<T: Serialize>(answer: &T) -> Option<Vec<u8>> {
    serde_json::to_vec(answer).ok()
}

/// An answer as nodes write it: an error without data has no `data`, where alloy would write null.
struct Wire<'a>(&'a Answer);

impl Serialize for Wire<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Error<'a> {
            code: i64,
            message: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            data: Option<&'a RawValue>,
        }

        let mut map = serializer.serialize_map(Some(3))?;
        map.serialize_entry("jsonrpc", "2.0")?;
        map.serialize_entry("id", &self.0.id)?;
        match &self.0.payload {
            ResponsePayload::Success(result) => map.serialize_entry("result", result)?,
            ResponsePayload::Failure(error) => map.serialize_entry(
                "error",
                &Error { code: error.code, message: &error.message, data: error.data.as_deref() },
            )?,
        }
        map.end()
    }
}
