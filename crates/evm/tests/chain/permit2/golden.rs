//! Flows recorded from the reference implementation 2.27.0, against our facilitator and our clients.

use super::*;
use tollway_core::{ClientExtension, PaymentRequired};
use tollway_devnet::accounts::{FRESH_2612, FRESH_ERC20, FRESH_UPTO};
use tollway_evm::{Eip2612Client, Erc20ApprovalClient, UptoClient, UptoFacilitator};

/// When the flows were recorded.
const THEN: u64 = 1_795_188_022 - 300;

macro_rules! flow {
    ($name:literal) => {
        serde_json::from_str::<Value>(include_str!(concat!("../../vectors/", $name, ".json"))).unwrap()
    };
}

fn wire(exchange: &Value) -> (PaymentPayload, PaymentRequirements) {
    let read = |member: &str| exchange[member].clone();
    (
        serde_json::from_value(read("paymentPayload")).unwrap(),
        serde_json::from_value(read("paymentRequirements")).unwrap(),
    )
}

/// The facilitator answers as recorded. A transaction's hash is its sender's own.
async fn answers_as_recorded(flow: &Value) -> World {
    let world = world_at(THEN, Mining::Auto);
    let upto = UptoFacilitator::new(world.evm.clone(), &[key(&FACILITATOR)]).unwrap();
    let metered = flow["verify"]["paymentRequirements"]["scheme"] == "upto";
    let side: &dyn FacilitatorDyn = if metered { &upto } else { &*world.side };

    let (raw, offer) = wire(&flow["verify"]);
    let wanted = &flow["verify"]["response"];
    world.devnet.reset_calls();
    let verified = verify(side, &raw, &offer).await;
    assert_eq!(world.devnet.calls().round_trips, 1);
    if wanted["isValid"] == false {
        let Err(Failure::Rejected(refusal)) = verified else { panic!("{verified:?}") };
        assert_eq!(refusal.code.as_str(), wanted["invalidReason"]);
        assert_eq!(refusal.payer.as_deref(), wanted["payer"].as_str());
        return world;
    }
    assert_eq!(verified.unwrap().payer.as_deref(), wanted["payer"].as_str());

    let (raw, offer) = wire(&flow["settle"]);
    let wanted = &flow["settle"]["response"];
    let proof = settled(settle(&world, side, &raw, &offer).await);
    assert_eq!(proof.payer.as_deref(), wanted["payer"].as_str());
    assert_eq!(proof.amount.map(|amount| amount.to_string()).as_deref(), wanted["amount"].as_str());
    assert_eq!(proof.transaction.is_empty(), wanted["transaction"] == "");
    let asset: Address = offer.asset.parse().unwrap();
    let earned = world.devnet.balance_of(asset, PAY_TO.address).unwrap();
    assert_eq!(earned.to_string(), offer.amount.to_string());
    world
}

/// Our client makes the recorded payload, but for what is random and what that changes.
async fn signs_as_recorded(flow: &Value, payer: &DevAccount) {
    let (mut recorded, offer) = wire(&flow["verify"]);
    let deadline: u64 = recorded.payload["permit2Authorization"]["deadline"].as_str().unwrap().parse().unwrap();
    let world = world_at(deadline - 300, Mining::Auto);
    let exact = ExactClient::new(world.evm.clone(), key(payer)).unwrap();
    let upto = UptoClient::new(world.evm.clone(), key(payer)).unwrap();
    let client: &dyn ClientDyn = if offer.scheme == "upto" { &upto } else { &exact };
    let signed = client.sign(&offer, &shop()).await.unwrap();
    assert_eq!(signed.dead_after, Some(deadline));
    let mut payload = signed.payload;
    assert_ne!(payload["permit2Authorization"]["nonce"], recorded.payload["permit2Authorization"]["nonce"]);

    // The deadline of an EIP-2612 permit is the payment's, and its signature does not depend on the nonce.
    let required: PaymentRequired = serde_json::from_value(flow["required"].clone()).unwrap();
    let mut ours = PaymentPayload::new(offer.clone(), payload.clone());
    ours.extensions.clone_from(&required.extensions);
    let permits = Eip2612Client::new().payer(world.evm.clone(), key(payer)).unwrap();
    let approves = Erc20ApprovalClient::new().payer(world.evm.clone(), key(payer)).unwrap();
    permits.enrich(&required, &mut ours).await.unwrap();
    approves.enrich(&required, &mut ours).await.unwrap();
    for extensions in [&mut ours.extensions, &mut recorded.extensions].into_iter().flatten() {
        // The fee depends on the chain's at that moment; the conclusion below covers what is in it.
        if let Some(info) = extensions.get_mut("erc20ApprovalGasSponsoring") {
            assert!(info["info"]["signedTransaction"].take().is_string());
        }
    }
    assert_eq!(ours.extensions, recorded.extensions);

    for payload in [&mut payload, &mut recorded.payload] {
        payload["signature"].take();
        payload["permit2Authorization"]["nonce"].take();
    }
    assert_eq!(payload, recorded.payload);
}

#[tokio::test(start_paused = true)]
async fn exact_evm_permit2() {
    let flow = flow!("exact-evm-permit2");
    answers_as_recorded(&flow).await;
    signs_as_recorded(&flow, &CLIENT).await;
}

#[tokio::test(start_paused = true)]
async fn exact_evm_permit2_no_allowance() {
    let flow = flow!("exact-evm-permit2-no-allowance");
    answers_as_recorded(&flow).await;
    signs_as_recorded(&flow, &NO_ALLOWANCE).await;
}

#[tokio::test(start_paused = true)]
async fn exact_evm_permit2_eip2612() {
    let flow = flow!("exact-evm-permit2-eip2612");
    answers_as_recorded(&flow).await;
    signs_as_recorded(&flow, &FRESH_2612).await;
}

#[tokio::test(start_paused = true)]
async fn exact_evm_permit2_erc20_approval() {
    let flow = flow!("exact-evm-permit2-erc20-approval");
    answers_as_recorded(&flow).await;
    signs_as_recorded(&flow, &FRESH_ERC20).await;
}

#[tokio::test(start_paused = true)]
async fn upto_evm_permit2() {
    let flow = flow!("upto-evm-permit2");
    answers_as_recorded(&flow).await;
    signs_as_recorded(&flow, &CLIENT).await;
}

#[tokio::test(start_paused = true)]
async fn upto_evm_permit2_eip2612() {
    let flow = flow!("upto-evm-permit2-eip2612");
    answers_as_recorded(&flow).await;
    signs_as_recorded(&flow, &FRESH_UPTO).await;
}

#[tokio::test(start_paused = true)]
async fn upto_evm_zero() {
    let flow = flow!("upto-evm-zero");
    let world = answers_as_recorded(&flow).await;
    assert!(world.ledger.signed().is_empty(), "nothing was sent");
    signs_as_recorded(&flow, &CLIENT).await;
}
