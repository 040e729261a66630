//! `upto`: what is bound, what is charged, and by whom.

use super::*;
use tollway_core::Object;
use tollway_devnet::accounts::DEPLOYER;
use tollway_evm::{UptoClient, UptoFacilitator, UptoServer};

/// A facilitator with two signers.
fn side(world: &World) -> UptoFacilitator {
    UptoFacilitator::new(world.evm.clone(), &[key(&FACILITATOR), key(&DEPLOYER)]).unwrap()
}

/// A payment of up to 2,000.
async fn pay(world: &World, extra: Option<Object>) -> (PaymentPayload, PaymentRequirements) {
    let id = world.evm.id().clone();
    let kind = SupportedKind::new("upto", &id, extra);
    let draft = PaymentRequirements::new("upto", id, Amount::from(2000), USDC.to_string(), PAY_TO.address.to_string())
        .with_timeout(NonZeroU64::new(300).unwrap());
    let offer = ServerDyn::offer(&UptoServer::new(world.evm.clone()), draft, &kind).unwrap();
    let client = UptoClient::new(world.evm.clone(), key(&CLIENT)).unwrap();
    let signed = ClientDyn::sign(&client, &offer, &shop()).await.unwrap();
    (PaymentPayload::new(offer.clone(), signed.payload), offer)
}

fn charged(offer: &PaymentRequirements, charge: u64) -> PaymentRequirements {
    let mut offer = offer.clone();
    offer.amount = Amount::from(charge);
    offer
}

fn named(address: Address) -> Option<Object> {
    Some(Object::from_iter([("facilitatorAddress".to_owned(), address.to_string().into())]))
}

#[tokio::test(start_paused = true)]
async fn the_facilitator_address_is_stable_across_several_signers() {
    let world = World::new();
    let side = side(&world);
    for _ in 0..10 {
        assert_eq!(FacilitatorDyn::kind_extra(&side), named(FACILITATOR.address));
        let _busy = pay(&world, FacilitatorDyn::kind_extra(&side)).await;
    }
    assert_eq!(FacilitatorDyn::signers(&side).len(), 2);
}

/// Whichever of the signers the permit names must be the one that sends.
#[tokio::test(start_paused = true)]
async fn the_witness_names_who_sends() {
    let world = World::new();
    let side = side(&world);
    for (at, account) in [FACILITATOR, DEPLOYER].into_iter().enumerate() {
        let (raw, offer) = pay(&world, named(account.address)).await;
        world.devnet.reset_calls();
        verify(&side, &raw, &offer).await.unwrap();
        assert_eq!(world.devnet.calls().round_trips, 1);
        let proof = settled(settle(&world, &side, &raw, &charged(&offer, 700)).await);
        assert_eq!(proof.amount, Some(Amount::from(700)));
        assert_eq!(world.ledger.signed()[at].slot.signer, account.address.to_string());
    }
    assert_eq!(world.earned(), U256::from(1400));
}

#[tokio::test(start_paused = true)]
async fn row_upto_binds_the_facilitator() {
    let world = World::new();
    let side = side(&world);
    let (raw, offer) = pay(&world, named(STRANGER.address)).await;
    world.devnet.reset_calls();
    assert_eq!(code(verify(&side, &raw, &offer).await), "upto_facilitator_mismatch");
    // Naming one of ours instead breaks the signature.
    let forged = with(&raw, "/permit2Authorization/witness/facilitator", FACILITATOR.address.to_string().into());
    assert_eq!(world.devnet.calls().round_trips, 0);
    assert_eq!(code(verify(&side, &forged, &offer).await), "invalid_permit2_signature");
    let mut exact = raw.clone();
    exact.payload["permit2Authorization"]["witness"].as_object_mut().unwrap().remove("facilitator");
    let refusal = FacilitatorDyn::open(&side, &exact, &offer).map(|_| ()).unwrap_err();
    assert_eq!(refusal.code.as_str(), "unsupported_payload_type");
}

#[tokio::test(start_paused = true)]
async fn a_charge_of_zero_sends_nothing_and_one_above_the_maximum_is_refused() {
    let world = World::new();
    let side = side(&world);
    let (raw, offer) = pay(&world, named(FACILITATOR.address)).await;
    let too_much = charged(&offer, 2001);
    let open = FacilitatorDyn::open(&side, &raw, &too_much).unwrap();
    let refusal = open.check().unwrap_err();
    assert_eq!(refusal.code.as_str(), "invalid_upto_evm_payload_settlement_exceeds_amount");

    let proof = settled(settle(&world, &side, &raw, &charged(&offer, 0)).await);
    assert_eq!((proof.transaction.as_str(), proof.amount), ("", Some(Amount::ZERO)));
    assert!(world.ledger.signed().is_empty());
    assert_eq!(world.earned(), U256::ZERO);
}

/// Nothing is owed, and yet nobody else's name is written under it.
#[tokio::test(start_paused = true)]
async fn a_charge_of_zero_is_still_the_payers() {
    let world = World::new();
    let side = side(&world);
    let (raw, offer) = pay(&world, named(FACILITATOR.address)).await;
    let forged = with(&raw, "/permit2Authorization/from", STRANGER.address.to_string().into());
    assert_eq!(code(settle(&world, &side, &forged, &charged(&offer, 0)).await), "invalid_permit2_signature");
}

#[tokio::test(start_paused = true)]
async fn at_verification_the_amounts_must_be_equal() {
    let world = World::new();
    let side = side(&world);
    let (raw, offer) = pay(&world, named(FACILITATOR.address)).await;
    assert_eq!(code(verify(&side, &raw, &charged(&offer, 700)).await), "permit2_amount_mismatch");
    let mut dearer = raw.clone();
    dearer.accepted = charged(&offer, 2001);
    assert_eq!(code(verify(&side, &dearer, &charged(&offer, 2001)).await), "permit2_amount_mismatch");
    let (raw, offer) = super::pay(&world, &CLIENT).await;
    let refusal = FacilitatorDyn::open(&side, &raw, &offer).map(|_| ()).unwrap_err();
    assert_eq!(refusal.code.as_str(), "unsupported_payload_type");
}

#[tokio::test(start_paused = true)]
async fn the_whole_maximum_can_be_charged_and_only_once() {
    let world = World::new();
    let side = side(&world);
    let (raw, offer) = pay(&world, named(FACILITATOR.address)).await;
    settled(settle(&world, &side, &raw, &offer).await);
    let forgetful = World { ledger: Arc::default(), ..world };
    assert_eq!(code(settle(&forgetful, &side, &raw, &charged(&offer, 1)).await), "permit2_invalid_nonce");
    assert_eq!(forgetful.earned(), U256::from(2000));
}

#[tokio::test(start_paused = true)]
async fn a_client_signs_for_nobody_without_a_facilitator() {
    let world = World::new();
    let (_, offer) = pay(&world, named(FACILITATOR.address)).await;
    let client = UptoClient::new(world.evm.clone(), key(&CLIENT)).unwrap();
    for bad in [json!(null), json!("alice.eth"), json!(format!("0x{}", "0".repeat(40)))] {
        let offer = offer.clone().with_extra("facilitatorAddress", bad);
        let failure = ClientDyn::sign(&client, &offer, &shop()).await.unwrap_err();
        assert_eq!(failure.rejected().unwrap().code.as_str(), "invalid_payment_requirements");
    }
    let kind = SupportedKind::new("upto", world.evm.id(), None);
    let error = ServerDyn::offer(&UptoServer::new(world.evm.clone()), offer, &kind).unwrap_err();
    assert!(error.contains("facilitatorAddress"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_pending_charge_is_reconciled_with_its_amount() {
    let world = World::manual();
    let side = side(&world);
    let (raw, offer) = pay(&world, named(FACILITATOR.address)).await;
    let pending = settle(&world, &side, &raw, &charged(&offer, 700)).await;
    assert!(matches!(pending, Ok(Outcome::Pending { .. })), "{pending:?}");
    world.devnet.mine();
    let outcomes = world.reconcile().await;
    assert!(matches!(&outcomes[..], [Outcome::Settled(proof)] if proof.amount == Some(Amount::from(700))));
}
