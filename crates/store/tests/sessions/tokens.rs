//! A client's tokens in SQLite.

use crate::SQLITE;
use serde_json::json;
use std::path::Path;
use tempfile::TempDir;
use tollway_core::{ClientConfig, Registry};
use tollway_roles::PaymentClient;
use tollway_siwx::{KeptToken, TokenStore};
use tollway_store::SqliteTokens;
use tollway_testkit::{FAKE, FakeClock, FakeSigner, block_on};

const SHOP: &str = "https://shop.test";

async fn texts(store: &SqliteTokens, origin: &str, now: u64) -> Vec<String> {
    store.of(origin, now).await.unwrap().into_iter().map(|kept| kept.token).collect()
}

#[tokio::test]
async fn the_newest_tokens_of_each_origin_are_kept_until_they_end() {
    let folder = TempDir::new().unwrap();
    let store = SqliteTokens::open(folder.path().join("tokens.db")).await.unwrap();
    let keep =
        async |origin: &str, token: &str, until| store.keep(origin, &KeptToken::new(token, until)).await.unwrap();
    for (origin, token, until) in [(SHOP, "a1", 10), (SHOP, "a2", 20), ("https://other.test", "b", 10)] {
        keep(origin, token, until).await;
    }
    assert_eq!(texts(&store, SHOP, 9).await, ["a2", "a1"]);
    assert_eq!(texts(&store, SHOP, 10).await, ["a2"]);
    assert_eq!(texts(&store, "https://shop.test.evil", 1).await, [""; 0]);
    keep(SHOP, "a1", 30).await;
    assert_eq!(texts(&store, SHOP, 1).await, ["a1", "a2"], "given again, it is the newest");
    for n in 0..20 {
        keep(SHOP, &format!("t{n}"), 1_000_000).await;
    }
    assert_eq!(texts(&store, SHOP, 1).await.len(), 8);
    assert_eq!(texts(&store, SHOP, 1).await[0], "t19");
    assert_eq!(texts(&store, "https://other.test", 1).await, [""; 0], "it ended more than a week before");
}

#[cfg(unix)]
#[tokio::test]
async fn nobody_else_can_read_the_file() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("tokens.db");
    let store = SqliteTokens::open(&path).await.unwrap();
    store.keep(SHOP, &KeptToken::new("canary", 10)).await.unwrap();
    assert!(!format!("{store:?}").contains("canary"));
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o077, 0);
}

/// A client as its configuration makes it.
async fn client(path: &Path) -> PaymentClient {
    let registry = Registry::builder().plugin(FAKE).plugin(tollway_siwx::PLUGIN).plugin(SQLITE).build().unwrap();
    let mut config = ClientConfig::default();
    let section = json!({ "store": { "kind": "sqlite", "path": path } });
    config.extensions.insert("sign-in-with-x".to_owned(), section);
    let builder = PaymentClient::builder().config(config).registry(registry).clock(FakeClock::new());
    builder.signer("fake:*", FakeSigner::shared("alice")).build().await.unwrap()
}

#[test]
fn a_client_started_again_shows_the_tokens_it_was_given() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("tokens.db");
    let given = [("Session-Token".to_owned(), "opaque; max-age=900".to_owned())];
    block_on(async { client(&path).await.opened(SHOP, &given).await });
    block_on(async {
        let again = client(&path).await;
        assert_eq!(again.prepare(SHOP, "/report").await, [("session-token".to_owned(), "opaque".to_owned())]);
        assert_eq!(again.prepare("https://other.test", "/report").await, []);
    });
}
