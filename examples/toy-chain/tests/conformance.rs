//! The suite every plug-in runs, in one line, and once more with a payment it may bend.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic as tests may")]

use serde_json::json;
use tollway_core::{Amount, BuildContext, PaymentRequirements, Registry};
use tollway_testkit::{Conformance, FakeSecrets, Sample, block_on};

tollway_testkit::conformance!(toy_chain::PLUGIN);

mod with_a_sample {
    tollway_testkit::conformance!(super::subject());
}

/// A payment signed by the toy chain's own client, which knows a valid note better than a test could write one.
fn subject() -> Conformance {
    let network: tollway_core::NetworkId = "toy:sample".parse().unwrap();
    let offer = PaymentRequirements::new("exact", network.clone(), Amount::from(5), "coin", "bob");
    let signed = block_on(async {
        let registry = Registry::builder().plugin(toy_chain::PLUGIN).build().unwrap();
        let mut cx = BuildContext::new();
        cx.clock = tollway_testkit::FakeClock::new();
        cx.secrets = FakeSecrets::new("1234").shared();
        let cx = cx.with_network(registry.network(&network, json!({ "gift": 10 }), cx.clone()).await.unwrap());
        let signer = registry.signer("local", &network, json!({ "key": "env:PIN" }), cx.clone()).await.unwrap();
        let cx = cx.with_signers(vec![signer]);
        let client = registry.client("exact", &network, json!({}), cx).await.unwrap();
        client.sign(&offer, &tollway_testkit::fixtures::resource("https://a.example/")).await.unwrap()
    });
    let sample = Sample::new(offer, signed.payload)
        .signature("/seal")
        .any_case("/from")
        .identity("/nonce", 7)
        .identity("/from", "carol")
        .signs();
    Conformance::of(toy_chain::PLUGIN).network("toy:sample", json!({ "gift": 10 })).address("Bob").sample(sample)
}
