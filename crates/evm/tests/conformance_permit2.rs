//! What every plug-in owes to the engines, with payments by Permit2 of both schemes.

use serde_json::{Value, json};
use tollway_core::PaymentRequirements;
use tollway_evm::{Evm, LocalKey, PLUGIN};
use tollway_testkit::{Conformance, Sample};

/// The suite's own key, which pays for gas in it. A permit of `upto` must name it.
const SUITE: &str = "0x6946bDdf7c01ebead2ADd68F9512799ef18a85D5";

fn sample(flow: &str) -> Sample {
    let flow = flow.replace("0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266", SUITE);
    let flow: Value = serde_json::from_str(&flow).expect("a flow");
    let body = &flow["verify"];
    let offer: PaymentRequirements = serde_json::from_value(body["paymentRequirements"].clone()).expect("an offer");
    Sample::new(offer, body["paymentPayload"]["payload"].clone())
        .signature("/signature")
        .checked_on_chain()
        .any_case("/permit2Authorization/from")
        .any_case("/permit2Authorization/spender")
        .any_case("/permit2Authorization/permitted/token")
        .any_case("/permit2Authorization/witness/to")
        .identity("/permit2Authorization/from", "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC")
        .identity("/permit2Authorization/nonce", "12345")
        .signs()
}

fn subject() -> Conformance {
    Conformance::of(PLUGIN)
        .network("eip155:84532", json!({ "rpc": "http://localhost:8545" }))
        .at(1_795_188_022 - 300)
        .address("0x036CbD53842c5426634e7929541eC2318f3dCF7e")
        .address("0x70997970c51812dc3a010c7d01b50e0d17dc79c8")
        .shows::<LocalKey>("eip155:*")
        .shows::<Evm>("eip155:*")
        .sample(sample(include_str!("vectors/exact-evm-permit2.json")))
        .sample(
            sample(include_str!("vectors/upto-evm-permit2.json")).any_case("/permit2Authorization/witness/facilitator"),
        )
}

tollway_testkit::conformance!(subject());
