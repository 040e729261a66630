//! The same chain over HTTP.
#![allow(clippy::unwrap_used, reason = "a helper of tests that fails fails the test")]

mod common;

use std::sync::Once;

use alloy::primitives::U256;
use alloy::providers::{Provider as _, ProviderBuilder};
use common::{devnet, transfer};
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use tollway_devnet::accounts::{CLIENT, FACILITATOR, PAY_TO};
use tollway_devnet::contracts::TestUsd;
use tollway_devnet::contracts::addresses::USDC;
use tollway_devnet::{Devnet, DevnetError, DevnetServer, Fault};

const GWEI: u128 = 1_000_000_000;

fn client() -> Client {
    static TLS: Once = Once::new();
    // reqwest wants a provider even where it never encrypts.
    TLS.call_once(|| rustls::crypto::ring::default_provider().install_default().unwrap());
    Client::builder().no_proxy().build().unwrap()
}

async fn serve(devnet: &Devnet) -> DevnetServer {
    devnet.serve("127.0.0.1:0").await.unwrap()
}

async fn post(server: &DevnetServer, body: impl Into<reqwest::Body>) -> reqwest::Response {
    client().post(server.url()).body(body).send().await.unwrap()
}

async fn answer(server: &DevnetServer, body: impl Into<reqwest::Body>) -> Value {
    post(server, body).await.json().await.unwrap()
}

#[tokio::test]
async fn an_alloy_provider_pays_over_http() {
    let devnet = devnet();
    let server = serve(&devnet).await;
    let provider = ProviderBuilder::new()
        .wallet(alloy::network::EthereumWallet::from(CLIENT.signer()))
        .connect_reqwest(client(), server.url().parse().unwrap());
    provider.client().set_poll_interval(std::time::Duration::from_millis(5));
    let usdc = TestUsd::new(USDC, &provider);
    let sent = usdc.transfer(PAY_TO.address, U256::from(3)).send().await.unwrap();
    assert!(sent.get_receipt().await.unwrap().status());
    assert_eq!(usdc.balanceOf(PAY_TO.address).call().await.unwrap(), U256::from(3));
    let error = usdc.transfer(PAY_TO.address, U256::MAX).call().await.unwrap_err().to_string();
    assert!(error.contains("execution reverted: ERC20: transfer amount exceeds balance"), "{error}");
    assert!(devnet.calls().round_trips > 3);
}

#[tokio::test]
async fn requests_and_batches_are_answered() {
    let server = serve(&devnet()).await;
    let one = json!({ "jsonrpc": "2.0", "id": "a", "method": "eth_chainId" });
    assert_eq!(answer(&server, one.to_string()).await, json!({ "jsonrpc": "2.0", "id": "a", "result": "0x14a34" }));
    let batch = json!([
        { "jsonrpc": "2.0", "id": 1, "method": "net_version", "params": [] },
        { "jsonrpc": "2.0", "method": "eth_chainId" },
        7,
        { "jsonrpc": "2.0", "id": 2, "method": "eth_nothing", "params": [] },
    ]);
    let answers = answer(&server, batch.to_string()).await;
    assert_eq!(answers[0], json!({ "jsonrpc": "2.0", "id": 1, "result": "84532" }));
    assert_eq!((&answers[1]["error"]["code"], &answers[1]["id"]), (&json!(-32600), &Value::Null));
    let error = json!({ "code": -32601, "message": "the method eth_nothing does not exist/is not available" });
    assert_eq!(answers[2], json!({ "jsonrpc": "2.0", "id": 2, "error": error }), "no data, not even null");
    assert!(answers.get(3).is_none(), "a notification is not answered");
    let notification = json!({ "jsonrpc": "2.0", "method": "eth_chainId" });
    assert_eq!(post(&server, notification.to_string()).await.status(), StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn nonsense_is_answered_in_order() {
    let server = serve(&devnet()).await;
    let deep = |open: &str, close: &str| format!("{}1{}", open.repeat(100_000), close.repeat(100_000));
    let many = format!("[{}]", vec!["{}"; 1_001].join(","));
    for (body, code) in [
        ("".to_owned(), -32700),
        ("{".to_owned(), -32700),
        ("[]".to_owned(), -32600),
        ("3".to_owned(), -32600),
        ("null".to_owned(), -32600),
        (r#"{"id":1}"#.to_owned(), -32600),
        (r#"{"id":-1.5,"method":"eth_chainId"}"#.to_owned(), -32600),
        (many, -32600),
        (deep(r#"{"a":"#, "}"), -32600),
        (format!(r#"{{"id":1,"method":"eth_call","params":[{}]}}"#, deep("[", "]")), -32602),
    ] {
        let answer = answer(&server, body.clone()).await;
        assert_eq!(answer["error"]["code"], code, "{}: {answer}", &body[..body.len().min(40)]);
    }
    let nested = answer(&server, deep("[", "]")).await;
    assert_eq!(nested[0]["error"]["code"], -32600);
    let response = post(&server, vec![0xff, 0xfe]).await;
    assert_eq!(response.json::<Value>().await.unwrap()["error"]["code"], -32700);
    let huge = post(&server, vec![b' '; 6 * 1024 * 1024]).await;
    assert_eq!(huge.status(), StatusCode::PAYLOAD_TOO_LARGE);
    let get = client().get(server.url()).send().await.unwrap();
    assert_eq!(get.status(), StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn faults_reach_the_wire() {
    let devnet = devnet();
    let server = serve(&devnet).await;
    let send = async || {
        let request = client()
            .post(server.url())
            .body(r#"{"jsonrpc":"2.0","id":1,"method":"evm_mine","params":[]}"#)
            .send()
            .await?;
        Ok::<_, reqwest::Error>((request.status(), request.text().await?))
    };
    devnet.inject("evm_mine", Fault::DropAnswer, 1);
    devnet.inject("evm_mine", Fault::Refuse, 1);
    devnet.inject("evm_mine", Fault::Status(429), 1);
    assert!(send().await.is_err());
    assert_eq!(devnet.block_number(), 1);
    assert!(send().await.is_err());
    assert_eq!(devnet.block_number(), 1);
    assert_eq!(send().await.unwrap().0, StatusCode::TOO_MANY_REQUESTS);
    assert!(send().await.unwrap().1.contains("result"));
    assert_eq!((devnet.block_number(), devnet.calls().round_trips), (2, 4));
}

#[tokio::test]
async fn a_connection_serves_many_requests() {
    let devnet = devnet();
    let server = serve(&devnet).await;
    let client = client();
    for nonce in 0..20 {
        let raw = alloy::primitives::Bytes::from(transfer(&FACILITATOR, nonce, GWEI, 1));
        let body = json!({ "jsonrpc": "2.0", "id": nonce, "method": "eth_sendRawTransaction", "params": [raw] });
        let answer = client.post(server.url()).json(&body).send().await.unwrap();
        assert!(answer.json::<Value>().await.unwrap()["result"].is_string());
    }
    assert_eq!(devnet.balance(PAY_TO.address), U256::from(20));
}

#[tokio::test]
async fn a_server_ends_when_told_and_when_dropped() {
    let devnet = devnet();
    let request = r#"{"jsonrpc":"2.0","id":1,"method":"eth_chainId"}"#;
    let server = serve(&devnet).await;
    let url = server.url();
    let keeping_alive = client();
    keeping_alive.post(&url).body(request).send().await.unwrap().text().await.unwrap();
    server.shutdown().await;
    assert!(keeping_alive.post(&url).body(request).send().await.is_err());

    let server = serve(&devnet).await;
    let url = server.url();
    drop(server);
    while client().post(&url).body(request).send().await.is_ok() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn only_this_machine_is_served() {
    let error = devnet().serve("0.0.0.0:0").await.unwrap_err();
    assert!(matches!(error, DevnetError::NotLoopback(_)), "{error}");
    let server = serve(&devnet()).await;
    let taken = devnet().serve(server.address()).await.unwrap_err();
    assert!(matches!(taken, DevnetError::Io { .. }), "{taken}");
}
