//! A server's configuration: what it takes, and what is refused with advice.

use crate::support::*;
use serde_json::{Value, json};
use tollway_core::ServerConfig;
use tollway_roles::{ResourceServer, Route};
use tollway_siwx::{MemorySessions, SharedSessions};
use tollway_testkit::{FAKE, FakeFacilitator, FakeSecrets};

async fn configured(config: Value) -> Result<ResourceServer, String> {
    let config: ServerConfig = serde_json::from_value(config).unwrap();
    let builder = ResourceServer::builder("").config(config).registry(registry());
    let builder = builder.secrets(FakeSecrets::new("s".repeat(40)).shared());
    builder.facilitator(FakeFacilitator::serving("exact", NETWORK)).build().await.map_err(|why| why.to_string())
}

fn shop(session: Value, extension: Value) -> Value {
    let way = json!({ "network": NETWORK, "price": "$0.01", "payTo": "payee" });
    json!({
        "origin": ORIGIN,
        "routes": [{ "path": "GET /report", "accepts": [way], "session": session }],
        "extensions": { "session": extension },
    })
}

#[tokio::test]
async fn a_line_in_a_file_is_all_it_takes() {
    for session in [
        json!({ "for": "1h" }),
        json!({ "calls": 100 }),
        json!({ "calls": 100, "for": "1d" }),
        json!({ "credit": true, "over": "/api/*" }),
        json!({ "for": "1h", "over": "/files/*" }),
        json!({ "for": "30d", "tier": "pro" }),
        json!({ "for": "1h", "token": "15m" }),
        json!({ "for": "1h", "statement": "Come in", "chains": [NETWORK] }),
    ] {
        configured(shop(session.clone(), json!({}))).await.unwrap_or_else(|why| panic!("{session}: {why}"));
    }
}

#[tokio::test]
async fn the_sections_of_all_routes() {
    for section in [
        json!({ "keys": ["env:NEW", "env:OLD"], "challenge": "2m" }),
        json!({ "store": { "kind": "memory", "maxEntitlements": 10 } }),
    ] {
        configured(shop(hour(), section.clone())).await.unwrap_or_else(|why| panic!("{section}: {why}"));
    }
    for (section, advice) in [
        (json!({ "kyes": [] }), "`keys`"),
        (json!({ "keys": ["the secret itself"] }), "env:NAME"),
        (json!({ "challenge": "1h" }), "300"),
        (json!({ "challenge": "soon" }), "15m"),
        (json!({ "store": { "kind": "stone" } }), "sessions/memory"),
        (json!({ "store": { "kind": "memory", "maxx": 1 } }), "maxEntitlements"),
    ] {
        let error = configured(shop(hour(), section.clone())).await.unwrap_err();
        assert!(error.contains(advice), "{section}: {error}");
    }
}

#[tokio::test]
async fn a_mistake_in_a_route_names_the_route_and_what_to_write() {
    let error = configured(shop(json!({ "form": "1h" }), json!({}))).await.unwrap_err();
    assert!(error.contains("GET /report") && error.contains("`for`"), "{error}");
    let error = configured(shop(json!({}), json!({}))).await.unwrap_err();
    assert!(error.contains("for = \"1h\""), "{error}");
    let page = json!({ "origin": ORIGIN, "routes": [{ "path": "GET /me", "session": {} }] });
    let error = configured(page).await.unwrap_err();
    assert!(error.contains("chains = ["), "{error}");
    let page = json!({ "origin": ORIGIN, "routes": [{ "path": "GET /me", "session": { "chains": ["eip155:1"] } }] });
    let error = configured(page).await.unwrap_err();
    assert!(error.contains("eip155:1"), "{error}");
}

#[tokio::test]
async fn without_the_crate_the_error_says_how_to_link_it() {
    let only_fake = tollway_core::Registry::builder().plugin(FAKE).build().unwrap();
    let builder = ResourceServer::builder(ORIGIN).registry(only_fake).route(route("GET /report", hour()));
    let error = builder.build().await.unwrap_err().to_string();
    assert!(error.contains("`session`") && error.contains("use <crate> as _;"), "{error}");
}

#[tokio::test]
async fn a_strangers_store_is_chosen_by_name() {
    #[derive(Debug)]
    struct Mine;
    impl tollway_core::Build for Mine {
        type Config = tollway_core::NoConfig;
        async fn build(_: tollway_core::NoConfig, _: tollway_core::BuildContext) -> Result<Self, String> {
            Ok(Self)
        }
    }
    impl From<Mine> for SharedSessions {
        fn from(_: Mine) -> Self {
            Self::new(MemorySessions::new())
        }
    }
    const MINE: tollway_core::Plugin = tollway_core::Plugin::new("mine", "a store", |registrar| {
        registrar.store::<Mine, SharedSessions>("sessions/mine");
    });
    let registry = tollway_core::Registry::builder().plugin(FAKE).plugin(tollway_siwx::PLUGIN).plugin(MINE);
    let builder = ResourceServer::builder(ORIGIN).registry(registry.build().unwrap());
    let builder = builder.facilitator(FakeFacilitator::serving("exact", NETWORK));
    let builder = builder.extension("session", json!({ "store": { "kind": "mine" } }));
    builder.route(route("GET /report", hour())).build().await.unwrap();
}

#[tokio::test]
async fn the_challenge_says_what_the_server_is_configured_to_be() {
    let url = Route::new("GET /report")
        .accepts(way(NETWORK))
        .extension("session", json!({ "for": "1h", "statement": "Come in" }));
    let shop = Shop::at("http://127.0.0.1:4020", [url]).await;
    let declared = shop.challenge("/report").await.extensions.unwrap()["sign-in-with-x"].clone();
    let info = &declared["info"];
    assert_eq!(info["domain"], "127.0.0.1:4020");
    assert_eq!(info["uri"], "http://127.0.0.1:4020/report");
    assert_eq!(info["resources"], json!(["http://127.0.0.1:4020/report"]));
    assert_eq!(info["statement"], "Come in");
    assert_eq!(info["issuedAt"], "2025-06-15T15:06:40.000Z");
    assert_eq!(info["expirationTime"], "2025-06-15T15:11:40.000Z");
    assert_ne!(shop.challenge("/report").await.extensions.unwrap()["sign-in-with-x"]["info"]["nonce"], info["nonce"]);
}
