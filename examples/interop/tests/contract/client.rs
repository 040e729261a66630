//! The client's lines.

use crate::program::Program;
use crate::world::*;
use axum::Router;
use axum::http::HeaderMap;
use axum::routing::{get, post};
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::sync::Notify;
use tollway_devnet::{accounts, solana};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_come_as_they_are_ready_until_the_input_ends() {
    let asked = Arc::new(Notify::new());
    let heard = asked.clone();
    let app = Router::new()
        .route(
            "/slow",
            get(async move || {
                heard.notified().await;
                "slow"
            }),
        )
        .route("/fast", get(async || ([("X-Mixed-Case", "Value")], "fast")))
        .route(
            "/echo",
            post(async |headers: HeaderMap, body: String| {
                format!("{}|{}|{body}", headers["x-own"].to_str().unwrap(), headers["content-type"].to_str().unwrap())
            }),
        );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });

    let mut client = Program::start(env!("CARGO_BIN_EXE_interop-client"), &[]);
    assert_eq!(client.line(), r#"{"ready":true}"#);
    // The server answers the first once the second's answer was read here.
    client.write(&json!({ "id": "a", "url": format!("{url}/slow") }).to_string());
    client.write(&json!({ "id": { "b": 2 }, "url": format!("{url}/fast") }).to_string());
    let fast = client.answer();
    assert_eq!((&fast["id"], &fast["status"], &fast["body"]), (&json!({ "b": 2 }), &json!(200), &json!("fast")));
    assert_eq!(fast["headers"]["x-mixed-case"], "Value");
    asked.notify_one();
    assert_eq!(client.answer()["id"], "a");

    let more = json!({ "method": "POST", "headers": { "X-Own": "1" }, "body": { "text": "hi" } });
    assert_eq!(client.ask(&format!("{url}/echo"), more)["body"], r#"1|application/json|{"text":"hi"}"#);
    let more = json!({ "method": "POST", "headers": { "X-Own": "2", "Content-Type": "text/x" }, "body": "as it is" });
    assert_eq!(client.ask(&format!("{url}/echo"), more)["body"], "2|text/x|as it is");

    for (line, id) in [
        ("no JSON", Value::Null),
        (r#"{"id":"no url"}"#, json!("no url")),
        (r#"{"id":7,"url":"nowhere"}"#, json!(7)),
        (r#"{"id":8,"url":"http://127.0.0.1:1/"}"#, json!(8)),
        (r#"{"id":9,"url":"http://127.0.0.1:1/","spend":"everything"}"#, json!(9)),
        (r#"{"id":10,"url":"http://127.0.0.1:1/","evmKey":"0xcanary"}"#, json!(10)),
    ] {
        client.write(line);
        let answer = client.answer();
        assert_eq!(answer["id"], id);
        assert!(answer["error"].as_str().is_some_and(|why| !why.contains("canary")), "{answer}");
        assert_eq!(answer.as_object().unwrap().len(), 2, "an id and an error, and nothing else");
    }

    // What is under way when the input ends is still answered.
    client.write(&json!({ "id": "last", "url": format!("{url}/fast") }).to_string());
    let rest = client.end();
    assert_eq!((rest.len(), &rest[0]["id"], &rest[0]["status"]), (1, &json!("last"), &json!(200)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_and_limits_are_those_of_the_line() {
    let mut world = World::new().await;
    let payer = |answer: &Value| {
        let header = answer["headers"]["payment-response"].as_str().unwrap_or_else(|| panic!("{answer}"));
        let receipt: Value = tollway::http::header::decode(header.as_bytes()).unwrap();
        receipt["payer"].as_str().unwrap().to_owned()
    };
    let own = json!({ "evmKey": evm_key(accounts::NO_ALLOWANCE), "svmKey": svm_key(solana::accounts::CLIENT) });
    assert_eq!(payer(&world.buy("/evm/eip3009", own.clone())), accounts::NO_ALLOWANCE.address.to_checksum(None));
    assert_eq!(payer(&world.buy("/evm/eip3009", json!({}))), accounts::CLIENT.address.to_checksum(None));
    assert_eq!(payer(&world.buy("/svm/exact", own)), solana::accounts::CLIENT.address.to_string());

    let before = world.earned();
    let poor = world.buy("/svm/exact", json!({ "svmKey": svm_key(solana::accounts::POOR) }));
    assert_eq!(poor["status"], 402, "{poor}");
    let poor = world.buy("/evm/eip3009", json!({ "evmKey": evm_key(accounts::POOR) }));
    assert_eq!(poor["status"], 402, "{poor}");
    let dear = world.buy("/evm/big", json!({ "spend": "default" }));
    assert!(dear["error"].as_str().is_some_and(|why| why.contains("above the limit")), "{dear}");
    // A token nobody knows is worth nobody knows what.
    let odd = world.buy("/evm/permit2-erc20", json!({ "spend": "default" }));
    assert!(odd["error"].is_string(), "{odd}");
    assert_eq!(world.earned(), before);
    assert_eq!(world.buy("/evm/eip3009", json!({ "spend": "default" }))["status"], 200);

    for (network, network_paid) in [(EVM, EVM), (SVM, SVM), ("eip155:1", EVM)] {
        let prefer = json!({ "network": network, "scheme": "exact" });
        let answer = world.buy("/multi", json!({ "prefer": prefer }));
        let header = answer["headers"]["payment-response"].as_str().unwrap_or_else(|| panic!("{answer}"));
        let receipt: Value = tollway::http::header::decode(header.as_bytes()).unwrap();
        assert_eq!(receipt["network"], network_paid);
    }
}
