//! The facilitator's four paths.

use crate::world::*;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tollway::http;
use tollway_devnet::contracts::addresses::WALLET_1271_FACTORY;

async fn post(url: &str, body: &Value) -> Value {
    let response = http::plain_client().unwrap().post(url).json(body).send().await.unwrap();
    assert_eq!(response.status(), 200);
    response.json().await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_says_what_it_does_and_lists_what_was_paid() {
    let mut world = World::new().await;
    let supported = get(&format!("{}/supported", world.facilitator), &[]).await.body;
    let mut kinds: Vec<_> =
        supported["kinds"].as_array().unwrap().iter().map(|kind| json!([kind["scheme"], kind["network"]])).collect();
    kinds.sort_by_key(|kind| kind.to_string());
    assert_eq!(kinds, [json!(["exact", EVM]), json!(["exact", SVM]), json!(["upto", EVM])]);
    for key in ["bazaar", "eip2612GasSponsoring", "erc20ApprovalGasSponsoring"] {
        assert!(supported["extensions"].as_array().unwrap().iter().any(|named| named == key), "{key}: {supported}");
    }
    let listed = async || get(&format!("{}/discovery/resources", world.facilitator), &[]).await.body;
    assert_eq!(listed().await["items"], json!([]));

    assert_eq!(world.buy("/bazaar/weather/Oslo?units=metric", json!({}))["status"], 200);
    let until = Instant::now() + Duration::from_secs(30);
    let listed = async || get(&format!("{}/discovery/resources", world.facilitator), &[]).await.body;
    let entry = loop {
        let entry = listed().await["items"][0].clone();
        if !entry.is_null() {
            break entry;
        }
        assert!(Instant::now() < until, "nothing is listed");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!(entry["resource"], format!("{}/bazaar/weather/:city", world.server));
    assert_eq!(entry["description"], "Weather by city");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_factory_of_a_wallet_is_called() {
    let world = World::new().await;
    let required = world.get("/evm/eip3009").await.decoded("payment-required");
    let offer = &required["accepts"][0];
    // A wallet that is not there, with the call that would make it.
    let signature = tollway_devnet::wrapped(WALLET_1271_FACTORY, &[0x12, 0x34, 0x56, 0x78], &[7; 65]);
    let signature: String = signature.iter().map(|byte| format!("{byte:02x}")).collect();
    let payment = json!({
        "x402Version": 2, "accepted": offer, "resource": required["resource"],
        "payload": {
            "signature": format!("0x{signature}"),
            "authorization": {
                "from": "0x00000000000000000000000000000000000abcde", "to": offer["payTo"], "value": "1000",
                "validAfter": "0", "validBefore": "99999999999", "nonce": format!("0x{}", "11".repeat(32)),
            },
        },
    });
    let ask = json!({ "x402Version": 2, "paymentPayload": payment, "paymentRequirements": offer });
    let verdict = post(&format!("{}/verify", world.facilitator), &ask).await;
    assert_eq!(
        (&verdict["isValid"], &verdict["invalidReason"]),
        (&json!(false), &json!("eip6492_factory_not_allowed"))
    );
    let outcome = post(&format!("{}/settle", world.facilitator), &ask).await;
    assert_eq!((&outcome["success"], &outcome["errorReason"]), (&json!(false), &json!("eip6492_factory_not_allowed")));
}
