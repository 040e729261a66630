//! What every plug-in owes to the engines, by the suite for all of them.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use common::golden;
use serde_json::json;
use tollway_core::PaymentPayload;
use tollway_solana::{ExactFacilitator, LocalKey, PLUGIN, Solana};
use tollway_testkit::{Conformance, Sample};

fn subject() -> Conformance {
    let (payment, offer) = golden("exact-svm");
    let transaction = |payment: &PaymentPayload| payment.payload["transaction"].as_str().unwrap().to_owned();
    let other = transaction(&golden("multi-svm").0);
    let mut bytes = BASE64.decode(transaction(&payment)).unwrap();
    bytes[1..65].fill(7);
    let sample = Sample::new(offer, payment.payload)
        .identity("/transaction", other)
        .same("junk in the fee payer's place", json!({ "transaction": BASE64.encode(bytes) }));
    Conformance::of(PLUGIN)
        .network("solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1", json!({ "rpc": "http://localhost:8899" }))
        // The recorded facilitator's, so that the recorded payment is one for this facilitator.
        .secret("0fb4d5af8f14994adf2ee40ff085d378f37f25087ae8d3f23a12efc06519d6ea")
        .address("4zMMC9srt5Ri5X14GAgXhaHii3GnPAEERYPJgZJDncDU")
        .shows::<LocalKey>("solana:*")
        .shows::<Solana>("solana:*")
        .shows::<ExactFacilitator>("solana:*")
        .sample(sample)
}

tollway_testkit::conformance!(subject());
