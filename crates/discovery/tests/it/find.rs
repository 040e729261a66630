//! Queries over several facilitators.

use axum::extract::RawQuery;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use tollway_core::Registry;
use tollway_discovery::find::{Assets, FindError, Finder, Query};

/// The coin of the fake chain is worth nothing known; so offers are in its dollar.
fn item(resource: &str, amount: &str, updated: &str, quality: Value) -> Value {
    json!({
        "resource": resource, "type": "http", "x402Version": 2, "lastUpdated": updated, "quality": quality,
        "description": "Weather\nfor all", "tags": ["weather"],
        "accepts": [{
            "scheme": "exact", "network": "fake:find", "amount": amount, "asset": tollway_testkit::COIN, "payTo": "bob",
            "maxTimeoutSeconds": 60,
        }],
    })
}

async fn serve(app: Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    url
}

async fn searching(items: Vec<Value>) -> (String, Arc<Mutex<Vec<String>>>) {
    let asked: Arc<Mutex<Vec<String>>> = Arc::default();
    let log = asked.clone();
    let answer = async move |RawQuery(query): RawQuery| {
        log.lock().unwrap().push(query.unwrap_or_default());
        Json(json!({ "x402Version": 2, "resources": items, "pagination": null }))
    };
    (serve(Router::new().route("/discovery/search", get(answer))).await, asked)
}

fn assets() -> Assets {
    Assets::of(Registry::builder().plugin(tollway_testkit::FAKE).build().unwrap())
}

#[tokio::test]
async fn results_are_merged_and_the_best_comes_first() {
    let quick = json!({ "latencyMs": 10, "successRate": 1.0 });
    let (one, asked) = searching(vec![
        item("https://a.test/x", "3000", "2026-01-01T00:00:00.000Z", quick.clone()),
        item("https://b.test/x", "1000", "2026-01-01T00:00:00.000Z", json!({ "latencyMs": 900, "successRate": 0.99 })),
        item("https://c.test/x", "1", "2026-01-01T00:00:00.000Z", json!({ "successRate": 0.2 })),
        item("https://dear.test/x", "90000000", "2026-01-01T00:00:00.000Z", quick.clone()),
        json!({ "resource": "nonsense" }),
    ])
    .await;
    let (two, _) = searching(vec![
        // Seen to change later, by the other facilitator.
        {
            let mut it = item("https://a.test/x", "500", "", quick);
            it["lastUpdated"] = json!(1_790_000_000);
            it
        },
    ])
    .await;
    let finder =
        Finder::new([&one, &two, &"http://127.0.0.1:1".to_owned()].map(String::clone)).unwrap().assets(assets());
    let found = finder.find(&Query::text("weather").max_price("$1").tag("weather")).await.unwrap();
    let order: Vec<_> = found.services.iter().map(|service| (&*service.resource, service.price_micros)).collect();
    assert_eq!(
        order,
        [("https://a.test/x", Some(500)), ("https://b.test/x", Some(1000)), ("https://c.test/x", Some(1)),]
    );
    assert_eq!(found.services[0].listed_by.len(), 2);
    assert_eq!(found.services[0].untrusted.description.as_deref(), Some("Weather for all"));
    assert_eq!(found.failures.len(), 1);
    assert!(asked.lock().unwrap()[0].contains("query=weather&limit=100&tag=weather&maxPrice=1.00"));
}

#[tokio::test]
async fn a_facilitator_without_search_is_searched_here() {
    let items = vec![item("https://a.test/x", "1", "", json!({})), {
        let mut it = item("https://b.test/x", "1", "", json!({}));
        it["description"] = json!("trains");
        it["tags"] = json!([]);
        it
    }];
    let list = async move || {
        Json(json!({ "x402Version": 2, "items": items, "pagination": { "limit": 100, "offset": 0, "total": 2 } }))
    };
    let base = serve(Router::new().route("/discovery/resources", get(list))).await;
    let finder = Finder::new([base]).unwrap().assets(assets());
    let found = finder.find(&Query::text("weather")).await.unwrap();
    assert_eq!(found.services.len(), 1);
    assert_eq!(finder.find(&Query::default()).await.unwrap().services.len(), 2);
}

#[tokio::test]
async fn mistakes_say_what_to_change() {
    assert!(matches!(Finder::new(Vec::<String>::new()), Err(FindError::Setting(_))));
    assert!(matches!(Finder::new(["x402.org"]), Err(FindError::Setting(_))));
    let finder = Finder::new(["http://127.0.0.1:1"]).unwrap();
    let why = finder.find(&Query::text("x")).await.unwrap_err();
    assert!(matches!(why, FindError::Unreachable(_)), "{why}");
    let why = finder.find(&Query::text("x").max_price("cheap")).await.unwrap_err();
    assert!(why.to_string().contains("$0.01"), "{why}");
}
