//! JSON-RPC over HTTP with what alloy's own transport lacks: an answer has a largest size, an error never names the
//! URL (which often holds an API key) and says whether the request can have left at all, and redirects are not
//! followed.

use alloy::rpc::json_rpc::{RequestPacket, ResponsePacket};
use alloy::transports::{TransportError, TransportErrorKind, TransportFut};
use reqwest::Url;
use std::fmt;
use std::task::{Context, Poll};
use std::time::Duration;
use tower::Service;

/// Largest answer read, in bytes. A block's transaction hashes or a batch of receipts are well below.
const LARGEST_ANSWER: usize = 8 * 1024 * 1024;
/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(5);

/// A connection pool to one node.
#[derive(Clone)]
pub(crate) struct HttpTransport {
    client: reqwest::Client,
    url: Url,
}

impl HttpTransport {
    /// Opens nothing yet.
    ///
    /// # Errors
    /// The URL is neither https nor loopback, or the HTTP client could not be made.
    pub(crate) fn new(url: &str) -> Result<Self, String> {
        let url: Url = url.parse().map_err(|_| {
            "`rpc` is no URL; write it as https://host/path, or as env:NAME or file:PATH if it holds a key".to_owned()
        })?;
        if !(url.scheme() == "https" || url.scheme() == "http" && is_loopback(&url)) {
            return Err("`rpc` must be an https URL, or http to this machine (localhost)".to_owned());
        }
        install_crypto();
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT)
            .build()
            .map_err(|why| format!("no HTTP client could be made: {}", why.without_url()))?;
        Ok(Self { client, url })
    }

    async fn round_trip(self, request: RequestPacket) -> Result<ResponsePacket, TransportError> {
        let sent = self.client.post(self.url).json(&request).send().await;
        let mut response = sent.map_err(HttpFailure::from).map_err(TransportErrorKind::custom)?;
        let status = response.status();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(HttpFailure::from).map_err(TransportErrorKind::custom)? {
            if body.len().saturating_add(chunk.len()) > LARGEST_ANSWER {
                return Err(TransportErrorKind::custom(HttpFailure {
                    unsent: false,
                    text: format!("the answer is larger than {LARGEST_ANSWER} bytes"),
                }));
            }
            body.extend_from_slice(&chunk);
        }
        match serde_json::from_slice(&body) {
            // Some nodes answer JSON-RPC errors under a status of failure.
            Ok(packet) if status.is_success() || is_error(&packet) => Ok(packet),
            Err(why) if status.is_success() => Err(TransportErrorKind::custom(HttpFailure {
                unsent: false,
                text: format!("the answer is no JSON-RPC: {why}"),
            })),
            _ => {
                let text: String = String::from_utf8_lossy(&body).chars().take(200).collect();
                Err(TransportErrorKind::http_error(status.as_u16(), text))
            }
        }
    }
}

fn is_error(packet: &ResponsePacket) -> bool {
    packet.responses().iter().all(|response| response.payload.is_error())
}

/// Sees to it that TLS has an implementation.
pub(crate) fn install_crypto() {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Loses quietly where the program installs its own at the same moment.
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
}

/// Whether a URL names this machine, where plain text is no risk.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host_str() {
        Some("localhost") => true,
        Some(host) => {
            let host = host.trim_start_matches('[').trim_end_matches(']');
            host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
        }
        None => false,
    }
}

impl Service<RequestPacket> for HttpTransport {
    type Response = ResponsePacket;
    type Error = TransportError;
    type Future = TransportFut<'static>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: RequestPacket) -> TransportFut<'static> {
        Box::pin(self.clone().round_trip(request))
    }
}

/// Why there was no answer.
#[derive(Debug)]
pub(crate) struct HttpFailure {
    /// Whether the request certainly did not reach the node.
    pub(crate) unsent: bool,
    text: String,
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
        Self { unsent, text }
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

    #[test]
    fn only_https_and_loopback_are_taken() {
        for good in ["https://node.test/v2/key", "http://localhost:8545", "http://127.0.0.1:1/x", "http://[::1]:8545"] {
            assert!(HttpTransport::new(good).is_ok(), "{good}");
        }
        for bad in ["http://node.test", "ws://localhost:1", "node.test", "", "http://localhost.evil.test", "file:///x"]
        {
            assert!(HttpTransport::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_error_does_not_repeat_the_url() {
        let error = HttpTransport::new("http://node.test/v2/canary").map(|_| ()).unwrap_err();
        assert!(!error.contains("canary"), "{error}");
    }

    #[tokio::test]
    async fn a_refused_connection_is_known_not_to_have_sent_anything() {
        // Port 0 is never listened on.
        let transport = HttpTransport::new("http://127.0.0.1:0/v2/canary").unwrap();
        let request = alloy::rpc::json_rpc::Request::new("eth_chainId", 1.into(), ()).serialize().unwrap();
        let error = transport.round_trip(RequestPacket::Single(request)).await.unwrap_err();
        let alloy::transports::RpcError::Transport(TransportErrorKind::Custom(why)) = error else { panic!("{error}") };
        let failure = why.downcast_ref::<HttpFailure>().unwrap();
        assert!(failure.unsent, "{failure}");
        assert!(!failure.to_string().contains("canary"), "{failure}");
    }
}
