//! The program itself, against a server that accepts either of two embedded chains: it pays on the one it has a key for.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use axum::Router;
use axum::routing::get;
use serde_json::json;
use std::process::{Command, Output};
use std::sync::Arc;
use tollway::{LocalFacilitator, PaymentLayer, ResourceServer, Route, Way, evm, http, solana};
use tollway_devnet::{accounts, contracts, solana as embedded_solana};

const EVM: &str = "eip155:84532";
const SOLANA: &str = "solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1";

/// Runs the program with these settings and no other.
async fn run(url: &str, settings: &[(&'static str, String)]) -> Output {
    run_with(url, &[], settings).await
}

async fn run_with(url: &str, flags: &[&str], settings: &[(&'static str, String)]) -> Output {
    let mut program = Command::new(env!("CARGO_BIN_EXE_paying-client"));
    program.arg(url).args(flags);
    for name in ["PAYER_KEY", "SOLANA_KEY", "SOLANA_RPC"] {
        program.env_remove(name);
    }
    program.envs(settings.iter().cloned());
    tokio::task::spawn_blocking(move || program.output().unwrap()).await.unwrap()
}

#[tokio::test]
async fn it_pays_on_the_chain_it_has_a_key_for() {
    http::install_crypto();
    let evm = tollway_devnet::Devnet::new().unwrap();
    let solana = embedded_solana::Devnet::new().unwrap();
    let (evm_node, solana_node) = (evm.serve("127.0.0.1:0").await.unwrap(), solana.serve("127.0.0.1:0").await.unwrap());
    let evm_key = evm::LocalKey::from_hex(&accounts::FACILITATOR.private_key().to_string()).unwrap();
    let solana_key = solana::LocalKey::from_text(embedded_solana::accounts::FACILITATOR.seed_hex()).unwrap();
    let facilitator = LocalFacilitator::builder()
        .network(EVM, json!({ "rpc": evm_node.url(), "blockTimeMs": 20 }))
        .signer(EVM, Arc::new(evm_key))
        .network(SOLANA, json!({ "rpc": solana_node.url() }))
        .signer(SOLANA, Arc::new(solana_key));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    let (evm_payee, solana_payee) = (accounts::PAY_TO.address, embedded_solana::accounts::PAY_TO.address);
    let route = Route::new("GET /report").accepts(Way::exact(EVM, "$0.01", evm_payee.to_string())).accepts(Way::exact(
        SOLANA,
        "$0.01",
        solana_payee.to_string(),
    ));
    let server = ResourceServer::builder(&origin).facilitator(facilitator.build().await.unwrap()).route(route).build();
    let app =
        Router::new().route("/report", get(async || "the report")).layer(PaymentLayer::new(server.await.unwrap()));
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    let url = format!("{origin}/report");

    let earned = || {
        let on_evm = evm.balance_of(contracts::addresses::USDC, evm_payee).unwrap().to::<u64>();
        (on_evm, solana.token_balance(solana_payee, embedded_solana::USDC).unwrap())
    };
    let (on_evm, on_solana) = earned();
    let nobody = run(&url, &[]).await;
    assert!(!nobody.status.success());
    assert_eq!(earned(), (on_evm, on_solana), "without a key nothing is paid");

    let on_evm_alone = [("PAYER_KEY", accounts::CLIENT.private_key().to_string())];
    let seed = embedded_solana::accounts::CLIENT.seed_hex().to_owned();
    let on_solana_alone = [("SOLANA_KEY", seed), ("SOLANA_RPC", solana_node.url())];
    for (settings, network, now) in [
        (&on_evm_alone[..], EVM, (on_evm + 10_000, on_solana)),
        (&on_solana_alone[..], SOLANA, (on_evm + 10_000, on_solana + 10_000)),
    ] {
        let output = run(&url, settings).await;
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success() && told.contains(&format!("paid on {network}")), "{told}");
        assert_eq!(String::from_utf8_lossy(&output.stdout), "the report\n");
        assert_eq!(earned(), now, "{network}");
    }

    // A budget of three cents is good for three reports, however often it is told to get them.
    let (before, _) = earned();
    let spent = std::env::temp_dir().join(format!("paying-client-{}.csv", std::process::id()));
    let flags = ["--times", "9", "--total", "$0.03", "--host", &origin, "--spent", spent.to_str().unwrap()];
    let output = run_with(&url, &flags, &on_evm_alone).await;
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && told.contains("$0.03 in total"), "{told}");
    assert_eq!(earned().0, before + 30_000);
    let lines = std::fs::read_to_string(&spent).unwrap();
    std::fs::remove_file(&spent).unwrap();
    assert_eq!(lines.lines().filter(|line| line.contains(",spent,") && line.contains(",10000,")).count(), 3, "{lines}");
    let elsewhere = run_with(&url, &["--host", "https://api.example.com"], &on_evm_alone).await;
    assert!(String::from_utf8_lossy(&elsewhere.stderr).contains("not among the budget's hosts"));
    assert_eq!(earned().0, before + 30_000);
}
