//! [`Heads`]: blocks as a node announces them over a WebSocket, so that nobody has to ask whether there is one.
//!
//! An announcement is only a reason to look: what is in a block is asked of the node as always. So whatever comes over
//! the socket, the worst it does is a look too many.

use crate::transport::{install_crypto, is_loopback};
use futures_util::{SinkExt as _, StreamExt as _};
use reqwest::Url;
use serde_json::{Value, json};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};
use tokio_tungstenite::connect_async_with_config;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

/// How long a connection, and then the node's consent, may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// A connection over which nothing came for so long is taken for dead.
const SILENCE: Duration = Duration::from_secs(60);
/// Pause before another try, doubled each time up to the longest.
const PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Largest message taken; a header has less than a thousandth of that.
const LARGEST: usize = 1024 * 1024;

/// A node's announcements.
pub(crate) struct Heads {
    url: Url,
    live: AtomicBool,
    news: Notify,
}

/// URLs of nodes hold API keys.
impl fmt::Debug for Heads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Heads").field("live", &self.is_live()).finish_non_exhaustive()
    }
}

/// Not live any more, however listening ends.
struct Live<'a>(&'a AtomicBool);

impl Drop for Live<'_> {
    fn drop(&mut self) {
        self.0.store(false, Relaxed);
    }
}

impl Heads {
    /// Opens nothing yet.
    ///
    /// # Errors
    /// The URL is neither wss nor loopback.
    pub(crate) fn new(url: &str) -> Result<Self, String> {
        let url: Url = url.parse().map_err(|_| {
            "`subscribe` is no URL; write it as wss://host/path, or as env:NAME or file:PATH if it holds a key"
                .to_owned()
        })?;
        if !(url.scheme() == "wss" || url.scheme() == "ws" && is_loopback(&url)) {
            return Err("`subscribe` must be a wss URL, or ws to this machine (localhost)".to_owned());
        }
        install_crypto();
        Ok(Self { url, live: AtomicBool::new(false), news: Notify::new() })
    }

    /// Whether the node announces blocks at this moment, as far as is known.
    pub(crate) fn is_live(&self) -> bool {
        self.live.load(Relaxed)
    }

    /// Waits for the next announcement.
    pub(crate) async fn next(&self) {
        self.news.notified().await;
    }

    /// Listens until it is dropped. What fails is tried again, later each time.
    pub(crate) async fn listen(&self) {
        let mut pause = PAUSE;
        loop {
            let why = self.hear(&mut pause).await;
            // Whoever relied on it looks now, and by himself from then on.
            self.news.notify_one();
            tracing::warn!(why, "the node announces no blocks; they are looked for when they are due");
            sleep(pause).await;
            pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
        }
    }

    /// Connects, subscribes and passes announcements on; answers why that ended. Never names the URL.
    async fn hear(&self, pause: &mut Duration) -> &'static str {
        let limits = WebSocketConfig::default().max_message_size(Some(LARGEST)).max_frame_size(Some(LARGEST));
        let connecting = connect_async_with_config(self.url.as_str(), Some(limits), true);
        let Ok(Ok((mut socket, _))) = timeout(PATIENCE, connecting).await else {
            return "its WebSocket cannot be reached";
        };
        let ask = json!({ "jsonrpc": "2.0", "id": 1, "method": "eth_subscribe", "params": ["newHeads"] });
        if !matches!(timeout(PATIENCE, socket.send(Message::text(ask.to_string()))).await, Ok(Ok(()))) {
            return "its WebSocket was closed";
        }
        let mut live = None;
        loop {
            let patience = if live.is_some() { SILENCE } else { PATIENCE };
            let text = match timeout(patience, socket.next()).await {
                Ok(Some(Ok(Message::Text(text)))) => text,
                Ok(Some(Ok(Message::Close(_)) | Err(_)) | None) => return "its WebSocket was closed",
                Ok(Some(Ok(_))) => continue,
                Err(_) => return "its WebSocket fell silent",
            };
            match serde_json::from_str::<Value>(&text) {
                Ok(said) if said["id"] == 1 && said["result"].is_string() => {
                    self.live.store(true, Relaxed);
                    live = Some(Live(&self.live));
                    *pause = PAUSE;
                }
                Ok(said) if said["id"] == 1 => return "it refuses to announce blocks (eth_subscribe newHeads)",
                Ok(said) if live.is_some() && said["method"] == "eth_subscription" => self.news.notify_one(),
                Ok(_) => {}
                Err(_) => return "what came over its WebSocket is no JSON",
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_wss_and_loopback_are_taken_and_no_error_repeats_the_url() {
        for good in ["wss://node.test/v2/canary", "ws://localhost:8545", "ws://127.0.0.1:1/x", "ws://[::1]:8545"] {
            let heads = Heads::new(good).unwrap();
            assert!(!format!("{heads:?}").contains("canary") && !heads.is_live());
        }
        for bad in ["ws://node.test/canary", "https://node.test/canary", "canary", "", "ws://localhost.canary.test"] {
            assert!(!Heads::new(bad).unwrap_err().contains("canary"), "{bad}");
        }
    }

    #[tokio::test]
    async fn what_cannot_be_reached_is_not_live_and_says_so_without_the_url() {
        // Port 0 is never listened on.
        let heads = Heads::new("ws://127.0.0.1:0/canary").unwrap();
        let why = heads.hear(&mut PAUSE.clone()).await;
        assert!(!heads.is_live() && !why.contains("canary"), "{why}");
    }
}
