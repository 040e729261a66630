//! The way in over HTTP.

use std::io;
use std::net::SocketAddr;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use axum::serve::ListenerExt as _;
use futures_util::stream;
use serde_json::{Value, json};
use tokio::net::{TcpListener, ToSocketAddrs};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::devnet::Devnet;
use super::error::DevnetError;
use super::rpc::{Broken, RpcFailure, answer};

/// The largest request, in bytes.
const MAX_BODY: usize = 1024 * 1024;
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
    /// Serves JSON-RPC over HTTP at a loopback address; port 0 takes a free one. Call it within a tokio runtime.
    ///
    /// # Errors
    /// [`DevnetError::NotLoopback`] for an address that others could reach, [`DevnetError::Io`] where the socket cannot
    /// be had.
    pub async fn serve(&self, address: impl ToSocketAddrs) -> Result<DevnetServer, DevnetError> {
        let failed = |source| DevnetError::Io { what: "listen for JSON-RPC", source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        if !address.ip().is_loopback() {
            return Err(DevnetError::NotLoopback(address));
        }
        let listener = listener.tap_io(|connection| {
            // Where it fails, answers are merely late.
            let _ = connection.set_nodelay(true);
        });
        let app =
            Router::new().route("/", post(respond)).layer(DefaultBodyLimit::max(MAX_BODY)).with_state(self.clone());
        let (end, mut ended) = watch::channel(false);
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

async fn respond(State(devnet): State<Devnet>, body: Bytes) -> Response {
    devnet.watch().count_round_trip();
    match answers(&devnet, &body).await {
        Ok(json) => ([(header::CONTENT_TYPE, "application/json")], json.to_string()).into_response(),
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

async fn answers(devnet: &Devnet, body: &[u8]) -> Result<Value, Broken> {
    match serde_json::from_slice(body) {
        Ok(Value::Array(requests)) if (1..=MAX_BATCH).contains(&requests.len()) => {
            let mut answers = Vec::with_capacity(requests.len());
            for request in &requests {
                answers.push(one(devnet, request).await?);
            }
            Ok(answers.into())
        }
        Ok(Value::Array(_)) => {
            Ok(refusal(&Value::Null, RpcFailure::new(-32600, format!("a batch holds 1 to {MAX_BATCH} requests"))))
        }
        Ok(request) => one(devnet, &request).await,
        Err(_) => Ok(refusal(&Value::Null, RpcFailure::new(-32700, "Parse error"))),
    }
}

async fn one(devnet: &Devnet, request: &Value) -> Result<Value, Broken> {
    let id = &request["id"];
    let Some(method) = request["method"].as_str() else {
        return Ok(refusal(id, RpcFailure::new(-32600, "Invalid request")));
    };
    Ok(match answer(devnet, method, &request["params"]).await? {
        Ok(result) => json!({ "jsonrpc": "2.0", "result": result, "id": id }),
        Err(failure) => refusal(id, failure),
    })
}

fn refusal(id: &Value, RpcFailure { code, message, data }: RpcFailure) -> Value {
    let mut error = json!({ "code": code, "message": message });
    if let Some(data) = data {
        error["data"] = data;
    }
    json!({ "jsonrpc": "2.0", "error": error, "id": id })
}
