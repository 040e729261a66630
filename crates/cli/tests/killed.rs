//! What docs/settlement.md shows: a facilitator is killed in the middle of a payment and started again.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends here")]

mod support;

use serde_json::{Value, json};
use std::time::Duration;
use support::{Running, text};
use tollway::core::{Amount, Caller, Outcome, PaymentRequired, PaymentRequirements, ResourceInfo};
use tollway::evm::LocalKey;
use tollway::{Facilitator as _, PaymentClient, RemoteFacilitator};

/// The embedded chain, as its programs see it.
struct Chain {
    facts: Value,
    http: reqwest::Client,
}

impl Chain {
    async fn ask(&self, method: &str, params: Value) -> u64 {
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let answer = self.http.post(text(&self.facts["rpc"])).json(&body).send().await.unwrap();
        let answer: Value = answer.json().await.unwrap();
        let digits = text(&answer["result"]);
        u64::from_str_radix(digits.trim_start_matches("0x").trim_start_matches('0'), 16).unwrap_or_default()
    }

    /// Transactions of an account up to a block.
    async fn sent(&self, account: &str, block: &str) -> u64 {
        self.ask("eth_getTransactionCount", json!([account, block])).await
    }

    /// What the payee has, in atomic units.
    async fn earned(&self) -> u64 {
        let payee = text(&self.facts["payee"]["address"]);
        let data = format!("0x70a08231{:0>64}", payee.trim_start_matches("0x"));
        self.ask("eth_call", json!([{ "to": self.facts["asset"]["address"], "data": data }, "latest"])).await
    }
}

#[tokio::test]
async fn a_facilitator_killed_in_the_middle_of_a_payment_goes_on_where_it_was() {
    tollway::http::install_crypto();
    // Blocks so rare that there is time for a murder.
    let dev = Running::start(&["dev", "--port", "0", "--block-time", "3000", "--json"], &[]);
    let chain = Chain { facts: dev.said["chains"][0].clone(), http: reqwest::Client::new() };
    let folder = tempfile::tempdir().unwrap();
    let ledger = format!("sqlite:{}", folder.path().join("facilitator.db").display());
    let [network, rpc] = ["network", "rpc"].map(|name| text(&chain.facts[name]));
    let start = || {
        let args = ["facilitate", "--network", &network, "--rpc", &rpc, "--key", "env:THE_KEY", "--ledger", &ledger];
        let key = text(&chain.facts["facilitator"]["key"]);
        Running::start(&[&args[..], &["--listen", "127.0.0.1:0", "--json"]].concat(), &[("THE_KEY", &key)])
    };
    let remote = |running: &Running| RemoteFacilitator::new(&text(&running.said["url"])).unwrap();

    let key = LocalKey::from_hex(&text(&chain.facts["payer"]["key"])).unwrap();
    let payer = PaymentClient::builder().signer(&network, std::sync::Arc::new(key)).build().await.unwrap();
    let asset = text(&chain.facts["asset"]["address"]);
    let payee = text(&chain.facts["payee"]["address"]);
    let offer = PaymentRequirements::new("exact", network.parse().unwrap(), Amount::from(10_000), asset, payee)
        .with_extra("name", "USDC")
        .with_extra("version", "2");
    let required = PaymentRequired::new("Payment required", ResourceInfo::new("http://127.0.0.1/report"), vec![offer]);
    let payment = payer.pay(&required, "http://127.0.0.1").await.unwrap();
    let before = chain.earned().await;

    let victim = start();
    let signer = text(&victim.said["signers"].as_object().unwrap().values().next().unwrap()[0]);
    let (facilitator, paid) = (remote(&victim), payment.clone());
    let settling =
        tokio::spawn(
            async move { facilitator.settle(&paid, &paid.accepted, &Caller::new("an unguessable token")).await },
        );
    // Sent, and in no block.
    while chain.sent(&signer, "pending").await == chain.sent(&signer, "latest").await {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    drop(victim);
    let lost = settling.await.unwrap();
    assert!(!matches!(lost, Ok(Outcome::Settled(_))), "nobody can have answered: {lost:?}");
    assert_eq!(chain.earned().await, before, "killed before the block");

    let heir = start();
    let again = remote(&heir);
    let transaction = loop {
        match again.settle(&payment, &payment.accepted, &Caller::new("an unguessable token")).await {
            Ok(Outcome::Settled(settled)) => break settled.transaction,
            Ok(Outcome::Pending { .. }) => tokio::time::sleep(Duration::from_millis(100)).await,
            other => panic!("{other:?}"),
        }
    };
    assert!(transaction.starts_with("0x"));
    assert_eq!((chain.earned().await, chain.sent(&signer, "latest").await), (before + 10_000, 1), "paid once");
    let stranger = again.settle(&payment, &payment.accepted, &Caller::new("another token")).await.unwrap_err();
    assert!(stranger.to_string().contains("duplicate_settlement"), "{stranger}");
}
