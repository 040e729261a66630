//! What every plug-in owes to the engines, by the suite for all of them.

use serde_json::json;
use tollway_core::PaymentRequirements;
use tollway_evm::{Evm, LocalKey, PLUGIN};
use tollway_testkit::{Conformance, Sample, golden};

fn subject() -> Conformance {
    let body = &golden::flow("exact-evm-eip3009")["facilitator"][0]["request"]["body"];
    let offer: PaymentRequirements = serde_json::from_value(body["paymentRequirements"].clone()).expect("an offer");
    let payload = &body["paymentPayload"]["payload"];
    let sample = Sample::new(offer, payload.clone())
        .signature("/signature")
        // A contract wallet takes what it likes, and whether the payer is one is known by the chain alone.
        .checked_on_chain()
        .any_case("/authorization/from")
        .any_case("/authorization/to")
        .any_case("/authorization/nonce")
        .identity("/authorization/from", "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC")
        .identity("/authorization/nonce", format!("0x{}", "11".repeat(32)))
        .signs();
    Conformance::of(PLUGIN)
        .network("eip155:84532", json!({ "rpc": "http://localhost:8545" }))
        .at(1_795_188_022 - 300)
        .address("0x036CbD53842c5426634e7929541eC2318f3dCF7e")
        .address("0x70997970c51812dc3a010c7d01b50e0d17dc79c8")
        .shows::<LocalKey>("eip155:*")
        .shows::<Evm>("eip155:*")
        .sample(sample)
}

tollway_testkit::conformance!(subject());
