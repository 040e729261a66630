//! JSON-RPC over HTTP as an [`RpcSender`], with what the Solana client's own lacks: an answer has a largest size, an
//! error never names the URL (which often holds an API key) and says whether the request can have left at all,
//! redirects are not followed, and a node that limits its rate is reported instead of waited for.

use async_trait::async_trait;
use reqwest::Url;
use serde::Deserialize;
use serde_json::Value;
use solana_rpc_client::rpc_sender::{RpcSender, RpcTransportStats};
use solana_rpc_client_api::client_error::{Error, ErrorKind, Result};
use solana_rpc_client_api::request::{RpcError, RpcRequest, RpcResponseErrorData};
use std::fmt;
use std::io;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;
use tollway_core::FaultKind;

/// Largest answer read, in bytes. 256 statuses and a mint with all its metadata are well below.
const LARGEST_ANSWER: usize = 2 * 1024 * 1024;
/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(5);

/// A connection pool to one node.
pub(crate) struct HttpTransport {
    client: reqwest::Client,
    url: Url,
    next_id: AtomicU64,
    requests: AtomicUsize,
}

impl HttpTransport {
    /// Opens nothing yet.
    ///
    /// # Errors
    /// The URL is neither https nor loopback, or the HTTP client could not be made.
    pub(crate) fn new(url: &str) -> std::result::Result<Self, String> {
        let url: Url = url.parse().map_err(|_| {
            "`rpc` is no URL; write it as https://host/path, or as env:NAME or file:PATH if it holds a key".to_owned()
        })?;
        if !(url.scheme() == "https" || url.scheme() == "http" && is_loopback(&url)) {
            return Err("`rpc` must be an https URL, or http to this machine (localhost)".to_owned());
        }
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            // Loses quietly where the program installs its own at the same moment.
            let _ = rustls::crypto::ring::default_provider().install_default();
        }
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT)
            .build()
            .map_err(|why| format!("no HTTP client could be made: {}", why.without_url()))?;
        Ok(Self { client, url, next_id: AtomicU64::new(0), requests: AtomicUsize::new(0) })
    }

    async fn round_trip(&self, request: &Value) -> std::result::Result<Answer, HttpFailure> {
        self.requests.fetch_add(1, Relaxed);
        let mut response = self.client.post(self.url.clone()).json(request).send().await?;
        let status = response.status();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            if body.len().saturating_add(chunk.len()) > LARGEST_ANSWER {
                return Err(HttpFailure::new(FaultKind::Invalid, false, "the answer is larger than 2 MiB"));
            }
            body.extend_from_slice(&chunk);
        }
        match serde_json::from_slice::<Answer>(&body) {
            // Some nodes answer JSON-RPC errors under a status of failure.
            Ok(answer) if status.is_success() || answer.error.is_some() => Ok(answer),
            Err(why) if status.is_success() => {
                Err(HttpFailure::new(FaultKind::Invalid, false, format!("the answer is no JSON-RPC: {why}")))
            }
            _ => {
                let text: String = String::from_utf8_lossy(&body).chars().take(200).collect();
                let text = format!("HTTP status {}: {text}", status.as_u16());
                Err(match status.as_u16() {
                    429 => HttpFailure::new(FaultKind::Overloaded, true, text),
                    // Refused at the door. A failure further in says nothing about what was done before it.
                    400..=499 => HttpFailure::new(FaultKind::Configuration, true, text),
                    _ => HttpFailure::new(FaultKind::Unreachable, false, text),
                })
            }
        }
    }
}

impl fmt::Debug for HttpTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpTransport").finish_non_exhaustive()
    }
}

/// Whether a URL names this machine, where plain http is no risk.
fn is_loopback(url: &Url) -> bool {
    match url.host_str() {
        Some("localhost") => true,
        Some(host) => {
            let host = host.trim_start_matches('[').trim_end_matches(']');
            host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
        }
        None => false,
    }
}

/// A JSON-RPC answer.
#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    result: Value,
    #[serde(default)]
    error: Option<AnswerError>,
}

#[derive(Deserialize)]
struct AnswerError {
    code: i64,
    #[serde(default)]
    message: String,
}

#[async_trait]
impl RpcSender for HttpTransport {
    async fn send(&self, request: RpcRequest, params: Value) -> Result<Value> {
        let id = self.next_id.fetch_add(1, Relaxed);
        let request = serde_json::json!({
            "jsonrpc": "2.0", "id": id, "method": request.to_string(), "params": params
        });
        let answer = self.round_trip(&request).await.map_err(|why| ErrorKind::Io(io::Error::other(why)))?;
        match answer.error {
            None => Ok(answer.result),
            Some(AnswerError { code, message }) => {
                let data = RpcResponseErrorData::Empty;
                Err(Error::from(RpcError::RpcResponseError { code, message, data }))
            }
        }
    }

    fn get_transport_stats(&self) -> RpcTransportStats {
        RpcTransportStats { request_count: self.requests.load(Relaxed), ..RpcTransportStats::default() }
    }

    /// Not the URL: whoever prints this would print an API key.
    fn url(&self) -> String {
        "configured".to_owned()
    }
}

/// Why there was no answer.
#[derive(Debug)]
pub(crate) struct HttpFailure {
    pub(crate) kind: FaultKind,
    /// Whether the request certainly did not reach the node.
    pub(crate) unsent: bool,
    text: String,
}

impl HttpFailure {
    fn new(kind: FaultKind, unsent: bool, text: impl Into<String>) -> Self {
        Self { kind, unsent, text: text.into() }
    }
}

impl From<reqwest::Error> for HttpFailure {
    fn from(why: reqwest::Error) -> Self {
        let unsent = why.is_connect();
        let why = why.without_url();
        let mut text = why.to_string();
        let mut cause = std::error::Error::source(&why);
        while let Some(deeper) = cause {
            text = format!("{text}: {deeper}");
            cause = deeper.source();
        }
        Self::new(FaultKind::Unreachable, unsent, text)
    }
}

impl fmt::Display for HttpFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for HttpFailure {}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_https_and_loopback_are_taken() {
        for good in ["https://node.test/v2/key", "http://localhost:8899", "http://127.0.0.1:1/x", "http://[::1]:8899"] {
            assert!(HttpTransport::new(good).is_ok(), "{good}");
        }
        for bad in ["http://node.test", "ws://localhost:1", "node.test", "", "http://localhost.evil.test", "file:///x"]
        {
            assert!(HttpTransport::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn nothing_repeats_the_url() {
        let error = HttpTransport::new("http://node.test/v2/canary").map(|_| ()).unwrap_err();
        assert!(!error.contains("canary"), "{error}");
        let transport = HttpTransport::new("https://node.test/v2/canary").unwrap();
        assert!(!format!("{transport:?} {}", transport.url()).contains("canary"));
    }

    #[tokio::test]
    async fn a_refused_connection_is_known_not_to_have_sent_anything() {
        // Port 0 is never listened on.
        let transport = HttpTransport::new("http://127.0.0.1:0/v2/canary").unwrap();
        let error = transport.send(RpcRequest::GetSlot, json!([])).await.unwrap_err();
        let ErrorKind::Io(why) = error.kind() else { panic!("{error}") };
        let failure = why.get_ref().unwrap().downcast_ref::<HttpFailure>().unwrap();
        assert!(failure.unsent, "{failure}");
        assert!(!error.to_string().contains("canary"), "{error}");
    }
}
