//! An application on the Solana SDK's whole crates that lets its client and its key pay and settle here.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::{CLIENT, DEVNET, FACILITATOR, PAY_TO};
use solana_client::nonblocking::rpc_client::RpcClient;
use solana_sdk::message::Message;
use solana_sdk::signature::Keypair;
use solana_sdk::signer::Signer as _;
use solana_sdk::transaction::Transaction;
use std::sync::Arc;
use tollway_core::{Caller, Facilitator as _, Outcome, PaymentRequired, Registry, ResourceInfo};
use tollway_devnet::solana::accounts as dev;
use tollway_devnet::solana::{Devnet, USDC};
use tollway_roles::{LocalFacilitator, PaymentClient};
use tollway_solana::{PLUGIN, SdkSigner, Solana};

#[tokio::test]
async fn an_applications_own_client_and_key_pay_and_settle() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let devnet = Devnet::new().unwrap();
    let server = devnet.serve("127.0.0.1:0").await.unwrap();
    let registry = || Registry::builder().plugin(PLUGIN).build().unwrap();

    // What the application has, and uses for itself.
    let client = Arc::new(RpcClient::new(server.url()));
    let key: Arc<Keypair> = Arc::new(CLIENT.keypair());
    let memo = solana_sdk::instruction::Instruction {
        program_id: common::MEMO,
        accounts: Vec::new(),
        data: b"its own business".to_vec(),
    };
    let message = Message::new(&[memo], Some(&key.pubkey()));
    let own = Transaction::new(&[&key], message, client.get_latest_blockhash().await.unwrap());
    client.send_transaction(&own).await.unwrap();

    // The lines with which it hands them over.
    let network = Arc::new(Solana::of(client.clone()).await.unwrap().build().unwrap());
    let payer = PaymentClient::builder()
        .registry(registry())
        .open_network(network.clone())
        .signer("solana:*", Arc::new(SdkSigner::new(key.clone()).unwrap()))
        .build()
        .await
        .unwrap();
    let facilitator = LocalFacilitator::builder()
        .registry(registry())
        .open_network(network)
        .signer("solana:*", Arc::new(SdkSigner::new(FACILITATOR.keypair()).unwrap()))
        .build()
        .await
        .unwrap();

    let offer = common::golden_offer();
    let challenge =
        PaymentRequired::new("Payment required", ResourceInfo::new("https://shop.test/"), vec![offer.clone()]);
    let payment = payer.pay(&challenge, "https://shop.test").await.unwrap();
    facilitator.verify(&payment, &offer).await.unwrap();
    let Ok(Outcome::Settled(settled)) = facilitator.settle(&payment, &offer, &Caller::ANONYMOUS).await else {
        panic!("not settled")
    };
    assert_eq!(settled.payer.as_deref(), Some(&*key.pubkey().to_string()));
    assert_eq!(devnet.succeeded(&settled.transaction.parse().unwrap()), Some(true));
    assert_eq!(devnet.token_balance(dev::PAY_TO.address, USDC), Some(1000));
    assert_eq!((devnet.network_id().as_str(), dev::PAY_TO.address), (DEVNET, PAY_TO.address()));
    assert_eq!(devnet.transaction_count(), 2);
}
