//! The way in over a WebSocket: the same methods, and new blocks announced to who subscribes (`eth_subscribe` with
//! `newHeads`).

use std::time::Duration;

use alloy::primitives::B256;
use alloy::rpc::json_rpc::{Id, Response as Answer, ResponsePayload};
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{FromRequestParts as _, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use crate::devnet::Devnet;
use crate::rpc::{Failure, count};
use crate::server::{MAX_BODY, answers, wire};

/// How often the chain is looked at for a new block. It is in this process, so a look costs next to nothing.
const LOOK: Duration = Duration::from_millis(2);
/// The most subscriptions of one connection.
const MAX_SUBSCRIPTIONS: usize = 32;

/// Takes a connection over, where it asks for that. It ends with the server.
pub(crate) async fn upgrade(
    State((devnet, ended)): State<(Devnet, watch::Receiver<bool>)>,
    request: Request,
) -> Response {
    let (mut parts, _) = request.into_parts();
    match WebSocketUpgrade::from_request_parts(&mut parts, &()).await {
        Ok(socket) => {
            socket.max_message_size(MAX_BODY).on_upgrade(move |socket| Connection::new(devnet).run(socket, ended))
        }
        Err(_) => (StatusCode::METHOD_NOT_ALLOWED, "JSON-RPC is a POST, or a WebSocket").into_response(),
    }
}

struct Connection {
    devnet: Devnet,
    /// What it subscribed to new blocks as.
    subscriptions: Vec<u64>,
    last_id: u64,
}

/// What ends a connection.
struct Over;

impl Connection {
    fn new(devnet: Devnet) -> Self {
        Self { devnet, subscriptions: Vec::new(), last_id: 0 }
    }

    async fn run(mut self, mut socket: WebSocket, mut ended: watch::Receiver<bool>) {
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut seen = self.devnet.tip();
        loop {
            let said = tokio::select! {
                message = socket.recv() => match message {
                    Some(Ok(Message::Text(text))) => self.hear(text.as_str()).await.map(|answer| answer.into_iter().collect()),
                    Some(Ok(Message::Close(_)) | Err(_)) | None => Err(Over),
                    Some(Ok(_)) => Ok(Vec::new()),
                },
                _ = look.tick() => {
                    let tip = self.devnet.tip();
                    let new = std::mem::replace(&mut seen, tip) != tip;
                    Ok(if new { self.heads() } else { Vec::new() })
                }
                () = async { drop(ended.wait_for(|ended| *ended).await) } => Err(Over),
            };
            let Ok(said) = said else { return };
            for text in said {
                if socket.send(Message::Text(text.into())).await.is_err() {
                    return;
                }
            }
        }
    }

    /// Answers one message.
    async fn hear(&mut self, text: &str) -> Result<Option<String>, Over> {
        self.devnet.watch().count_round_trip();
        if let Ok(call) = serde_json::from_str::<Value>(text)
            && let (Some(id), Some(method)) = (call.get("id"), call.get("method").and_then(Value::as_str))
            && let Some(result) = self.subscribing(method, &call["params"])
        {
            let id = serde_json::from_value(id.clone()).unwrap_or(Id::None);
            let payload = match result.map(|result| serde_json::value::to_raw_value(&result)) {
                Ok(Ok(result)) => ResponsePayload::Success(result),
                Ok(Err(_)) => return Err(Over),
                Err(failure) => ResponsePayload::Failure(failure.into()),
            };
            return Ok(wire(&Answer { id, payload }));
        }
        // A planned fault of any kind breaks the connection.
        let answer = answers(&self.devnet, text.as_bytes()).await.map_err(|_| Over)?;
        Ok(answer.and_then(|answer| String::from_utf8(answer).ok()))
    }

    /// The two methods that only a lasting connection has.
    fn subscribing(&mut self, method: &str, params: &Value) -> Option<Result<Value, Failure>> {
        if matches!(method, "eth_subscribe" | "eth_unsubscribe") {
            count(&self.devnet, method);
        }
        match method {
            "eth_subscribe" if params[0] != "newHeads" => {
                Some(Err(Failure::new(-32602, "only newHeads can be subscribed to")))
            }
            "eth_subscribe" if self.subscriptions.len() >= MAX_SUBSCRIPTIONS => {
                Some(Err(Failure::new(-32005, format!("a connection has {MAX_SUBSCRIPTIONS} subscriptions at most"))))
            }
            "eth_subscribe" => {
                self.last_id += 1;
                self.subscriptions.push(self.last_id);
                Some(Ok(name(self.last_id)))
            }
            "eth_unsubscribe" => {
                let before = self.subscriptions.len();
                self.subscriptions.retain(|id| name(*id) != params[0]);
                Some(Ok((self.subscriptions.len() < before).into()))
            }
            _ => None,
        }
    }

    /// The newest block for each who wants it.
    fn heads(&self) -> Vec<String> {
        if self.subscriptions.is_empty() {
            return Vec::new();
        }
        let Ok(params) = serde_json::value::to_raw_value(&json!(["latest", false])) else { return Vec::new() };
        let answer = self.devnet.handle("eth_getBlockByNumber", Some(&params));
        let head = answer.as_success().and_then(|block| serde_json::from_str::<Value>(block.get()).ok());
        let Some(Value::Object(mut head)) = head else { return Vec::new() };
        // Announcements are of headers.
        for member in ["transactions", "uncles", "withdrawals", "size"] {
            head.remove(member);
        }
        let said = |id: &u64| {
            let params = json!({ "subscription": name(*id), "result": head });
            json!({ "jsonrpc": "2.0", "method": "eth_subscription", "params": params }).to_string()
        };
        self.subscriptions.iter().map(said).collect()
    }
}

fn name(id: u64) -> Value {
    format!("{id:#x}").into()
}

impl Devnet {
    /// The newest block's hash.
    fn tip(&self) -> B256 {
        self.chain().tip().header.hash
    }
}
