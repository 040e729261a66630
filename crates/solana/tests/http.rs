//! The transport to a node, against the embedded chain over HTTP and against nodes that misbehave.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::*;
use serde_json::json;
use std::sync::Arc;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tollway_core::erased::FacilitatorDyn;
use tollway_core::{Failure, FaultKind};
use tollway_devnet::solana::{Devnet, Fault};
use tollway_solana::{ExactFacilitator, Solana};

fn facilitator(url: &str) -> ExactFacilitator {
    let network = Solana::builder(DEVNET.parse().unwrap()).rpc_url(url).unwrap().build().unwrap();
    ExactFacilitator::new(Arc::new(network), vec![FACILITATOR.signer()]).unwrap()
}

async fn verify(facilitator: &ExactFacilitator, draft: &Draft) -> Result<(), Failure> {
    let offer = golden_offer();
    let payment = draft.payment(&offer);
    let open = FacilitatorDyn::open(facilitator, &payment, &offer)?;
    open.check()?;
    open.verify().await.map(|_| ())
}

fn fault(result: Result<(), Failure>) -> tollway_core::Fault {
    match result {
        Err(Failure::Fault(fault)) => fault,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_node_over_http_is_as_good_as_one_in_the_process() {
    let devnet = Devnet::new().unwrap();
    let server = devnet.serve("127.0.0.1:0").await.unwrap();
    let facilitator = facilitator(&server.url());
    let mut draft = Draft::good();
    draft.blockhash = devnet.latest_blockhash().0.parse().unwrap();
    verify(&facilitator, &draft).await.unwrap();
    assert_eq!((devnet.calls().round_trips, devnet.calls().of("simulateTransaction")), (1, 1));

    draft.instructions[0] = limit(100);
    assert!(matches!(verify(&facilitator, &draft).await, Err(Failure::Rejected(_))));
    for (trouble, kind) in [
        (Fault::Status(429), FaultKind::Overloaded),
        (Fault::Status(401), FaultKind::Configuration),
        (Fault::Status(503), FaultKind::Unreachable),
        (Fault::DropAnswer, FaultKind::Unreachable),
        (Fault::Error { code: -32005, message: "behind".to_owned() }, FaultKind::Unreachable),
    ] {
        devnet.inject("simulateTransaction", trouble, 1);
        let fault = fault(verify(&facilitator, &draft).await);
        assert_eq!(fault.kind, kind, "{fault}");
        assert!(!fault.to_string().contains(&server.url()), "{fault}");
    }
}

/// Answers every request with these bytes.
async fn answering(bytes: Vec<u8>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/secret-canary", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut connection, _)) = listener.accept().await {
            let mut request = vec![0; 16 * 1024];
            let _ = connection.read(&mut request).await;
            let _ = connection.write_all(&bytes).await;
        }
    });
    url
}

#[tokio::test]
async fn nodes_that_misbehave_are_faults_and_never_named() {
    let http = |status: &str, more: &str, body: &str| {
        format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n{more}connection: close\r\n\r\n{body}", body.len())
            .into_bytes()
    };
    let huge = "x".repeat(3 * 1024 * 1024);
    for (what, answer) in [
        ("too much", http("200 OK", "", &huge)),
        ("too deep", http("200 OK", "", &"[".repeat(100_000))),
        ("no JSON", http("200 OK", "", "hello")),
        ("no JSON-RPC", http("200 OK", "", &json!({ "jsonrpc": "2.0", "result": [1, 2, 3] }).to_string())),
        ("elsewhere", http("307 Temporary Redirect", "location: http://127.0.0.1:1/\r\n", "")),
        ("nothing", Vec::new()),
    ] {
        let facilitator = facilitator(&answering(answer).await);
        let fault = fault(verify(&facilitator, &Draft::good()).await);
        assert!(!fault.to_string().contains("canary"), "{what}: {fault}");
        assert_eq!(fault.sent, tollway_core::Sent::No, "{what}");
    }
}
