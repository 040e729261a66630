//! The life of an entry: paid for, confirmed, listed, probed again, changed, taken out.

use crate::support::{World, challenge, payment, settings};
use serde_json::json;
use tollway_core::Stage;

const URL: &str = "https://api.test/weather?city=Oslo";

#[tokio::test]
async fn one_payment_brings_a_service_into_the_search() {
    let world = World::new();
    let (_, before) = world.get("/discovery/search", &[("query", "weather")]).await;
    assert_eq!(before["resources"], json!([]));
    let said = world.sold(URL, "Weather by city", "1000").await;
    assert_eq!(said, json!({ "status": "processing" }));
    world.lists(1).await;
    let (status, found) = world.get("/discovery/search", &[("query", "weather")]).await;
    assert_eq!(status, 200);
    let item = &found["resources"][0];
    assert_eq!(item["resource"], "https://api.test/weather");
    assert_eq!(item["description"], "Weather by city");
    assert_eq!(item["accepts"][0]["amount"], "1000");
    assert_eq!(item["quality"]["latencyMs"], 12);
    assert_eq!(world.resources.asked(), ["GET https://api.test/weather?city=Oslo"]);
    let said = world.says(&payment(&challenge(URL, "Weather by city", "1000")), "success").await;
    assert_eq!(said, json!({ "status": "success" }));
}

#[tokio::test]
async fn what_is_only_verified_is_judged_and_not_listed() {
    let world = World::new();
    let required = challenge(URL, "Weather", "1000");
    world.resources.set(URL, &required);
    let said = world.see(Stage::Verified, &payment(&required), "alice").await;
    assert_eq!(said["status"], "processing");
    let mut broken = payment(&required);
    broken.extensions.as_mut().unwrap()["bazaar"]["info"]["input"]["type"] = json!("ftp");
    let said = world.see(Stage::Verified, &broken, "alice").await;
    assert_eq!(said["status"], "rejected");
    assert!(said["rejectedReason"].as_str().unwrap().contains("neither http nor mcp"));
    tokio::task::yield_now().await;
    assert!(world.resources.asked().is_empty() && world.listed().await.is_empty());
}

#[tokio::test]
async fn a_payment_without_the_extension_is_nobodys_business() {
    let world = World::new();
    let mut required = challenge(URL, "Weather", "1000");
    required.extensions = None;
    assert_eq!(world.pay(&required, "alice").await, json!(null));
}

#[tokio::test]
async fn a_changed_price_shows_within_one_probe() {
    let world = World::new();
    world.sold(URL, "Weather", "1000").await;
    let first = world.lists(1).await.remove(0);
    world.resources.set(URL, &challenge(URL, "Weather and tides", "2500"));
    assert_eq!(world.catalogue.round().await.unwrap(), 0, "not before its time");
    world.clock.advance(3600);
    // The background round may have been first.
    world.catalogue.round().await.unwrap();
    for _ in 0..1000 {
        if world.listed().await[0].accepts[0].amount.to_string() == "2500" {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    let entry = world.lists(1).await.remove(0);
    assert_eq!(entry.accepts[0].amount.to_string(), "2500");
    assert_eq!((entry.listed, entry.updated), (first.listed, first.updated + 3600));
    let (_, found) = world.get("/discovery/search", &[("query", "tides")]).await;
    assert_eq!(found["resources"][0]["accepts"][0]["amount"], "2500");
}

#[tokio::test]
async fn a_dead_service_leaves_and_a_shaky_one_stays() {
    let world = World::with(|builder| builder.settings(settings(json!({ "deadAfter": 3 }))));
    world.sold(URL, "Weather", "1000").await;
    world.lists(1).await;
    world.resources.kill(URL);
    for expected in [875, 766] {
        world.clock.advance(3600);
        world.catalogue.round().await.unwrap();
        let entry = wait_for(&world, |entry| entry.success == expected).await;
        assert!(entry.next_probe > tollway_core::Clock::now(&*world.clock));
    }
    // It comes back: the count begins anew.
    world.resources.set(URL, &challenge(URL, "Weather", "1000"));
    world.clock.advance(3600);
    world.catalogue.round().await.unwrap();
    wait_for(&world, |entry| entry.failures == 0).await;
    world.resources.kill(URL);
    for _ in 0..3 {
        world.clock.advance(3600);
        world.catalogue.round().await.unwrap();
    }
    world.lists(0).await;
    // Whoever pays for it again brings it back.
    world.sold(URL, "Weather", "1000").await;
    world.lists(1).await;
}

async fn wait_for(world: &World, right: impl Fn(&tollway_discovery::Entry) -> bool) -> tollway_discovery::Entry {
    for _ in 0..1000 {
        if let Some(entry) = world.listed().await.into_iter().find(&right) {
            return entry;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    panic!("{:?}", world.listed().await);
}

#[tokio::test]
async fn a_payment_for_a_known_service_asks_nobody() {
    let world = World::new();
    world.sold(URL, "Weather", "1000").await;
    world.lists(1).await;
    let required = challenge(URL, "Weather", "1000");
    world.says(&payment(&required), "success").await;
    for n in 0..50 {
        assert_eq!(world.pay(&required, &format!("payer {n}")).await["status"], "success");
    }
    assert_eq!(world.resources.asked().len(), 1);
}

#[tokio::test]
async fn lists_have_pages_and_mistakes_have_answers() {
    let world = World::new();
    for n in 0..5 {
        world.sold(&format!("https://s{n}.test/x"), "thing", "1").await;
    }
    world.lists(5).await;
    let (_, page) = world.get("/discovery/resources", &[("limit", "2"), ("offset", "4")]).await;
    assert_eq!(page["items"].as_array().unwrap().len(), 1);
    assert_eq!(page["pagination"], json!({ "limit": 2, "offset": 4, "total": 5 }));
    let (_, first) = world.get("/discovery/search", &[("query", "thing"), ("limit", "3")]).await;
    let cursor = first["pagination"]["cursor"].as_str().unwrap();
    let (_, rest) = world.get("/discovery/search", &[("query", "thing"), ("limit", "3"), ("cursor", cursor)]).await;
    assert_eq!(rest["resources"].as_array().unwrap().len(), 2);
    assert_eq!(rest["pagination"]["cursor"], json!(null));
    for (path, query) in [
        ("/discovery/resources", vec![("limit", "0")]),
        ("/discovery/resources", vec![("type", "ftp")]),
        ("/discovery/search", vec![]),
        ("/discovery/search", vec![("query", "!?")]),
        ("/discovery/search", vec![("query", "x"), ("cursor", "%%")]),
    ] {
        let (status, body) = world.get(path, &query).await;
        assert_eq!(status, 400, "{path} {query:?}");
        assert!(body["error"].is_string());
    }
}
