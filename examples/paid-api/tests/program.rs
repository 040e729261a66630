//! The program itself, with embedded chains beside it: whoever has one wallet, for whichever chain, pays with that.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use serde_json::json;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use tollway::core::Signer;
use tollway::http::{self, Receipt};
use tollway::{LocalFacilitator, PaymentClient, evm, solana};
use tollway_devnet::{accounts, contracts, solana as embedded_solana};

const EVM: &str = "eip155:84532";
const SOLANA: &str = "solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1";

/// The program, running; it ends with the test.
struct PaidApi {
    child: Child,
    url: String,
}

impl PaidApi {
    fn start(facilitator: &str) -> Self {
        let mut program = Command::new(env!("CARGO_BIN_EXE_paid-api"));
        program.env("FACILITATOR", facilitator).env("LISTEN", "127.0.0.1:0").stdout(Stdio::piped());
        let mut child = program.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let url = line.trim().strip_prefix("paid: ").expect("it says where it serves").to_owned();
        Self { child, url }
    }
}

impl Drop for PaidApi {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn evm_key(account: accounts::DevAccount) -> Arc<dyn Signer> {
    Arc::new(evm::LocalKey::from_hex(&account.private_key().to_string()).unwrap())
}

fn solana_key(account: embedded_solana::accounts::DevAccount) -> Arc<dyn Signer> {
    Arc::new(solana::LocalKey::from_text(account.seed_hex()).unwrap())
}

// The test answers the program as its facilitator while it waits for it to start.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_paid_on_the_chain_for_which_a_client_has_a_wallet() {
    http::install_crypto();
    let evm = tollway_devnet::Devnet::new().unwrap();
    let solana = embedded_solana::Devnet::new().unwrap();
    let (evm_node, solana_node) = (evm.serve("127.0.0.1:0").await.unwrap(), solana.serve("127.0.0.1:0").await.unwrap());
    let engine = LocalFacilitator::builder()
        .network(EVM, json!({ "rpc": evm_node.url(), "blockTimeMs": 20 }))
        .signer(EVM, evm_key(accounts::FACILITATOR))
        .network(SOLANA, json!({ "rpc": solana_node.url() }))
        .signer(SOLANA, solana_key(embedded_solana::accounts::FACILITATOR))
        .build()
        .await
        .unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let facilitator = format!("http://{}", listener.local_addr().unwrap());
    let app = http::facilitator_router(Arc::new(engine));
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    let program = PaidApi::start(&facilitator);

    let earned = || {
        let on_evm = evm.balance_of(contracts::addresses::USDC, accounts::PAY_TO.address).unwrap().to::<u64>();
        (on_evm, solana.token_balance(embedded_solana::accounts::PAY_TO.address, embedded_solana::USDC).unwrap())
    };
    let (on_evm, on_solana) = earned();
    let wallet = |network: &str, key| PaymentClient::builder().signer(network, key);
    let evm_only = wallet("eip155:*", evm_key(accounts::CLIENT));
    let solana_only = wallet("solana:*", solana_key(embedded_solana::accounts::CLIENT))
        .network(SOLANA, json!({ "rpc": solana_node.url() }));
    for (payer, network, now) in
        [(evm_only, EVM, (on_evm + 10_000, on_solana)), (solana_only, SOLANA, (on_evm + 10_000, on_solana + 10_000))]
    {
        let client = http::client(payer.build().await.unwrap()).unwrap();
        let answer = client.get(&program.url).send().await.unwrap();
        let receipt = answer.extensions().get::<Receipt>().unwrap().response().clone();
        assert_eq!((receipt.success, receipt.network.as_str()), (true, network));
        assert_eq!(answer.status().as_u16(), 200, "{network}");
        assert_eq!(answer.text().await.unwrap(), "The report you paid for.\n");
        assert_eq!(earned(), now, "{network}");
    }
}
