//! Permit2 in both schemes: the flows recorded from the reference implementation, and each row of the security page.

mod golden;
mod quota;
mod reverts;
mod sponsor;
mod upto;

use crate::support::*;
use alloy::primitives::{Address, U256};
use serde_json::{Value, json};
use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;
use tollway_core::erased::{ClientDyn, FacilitatorDyn, ServerDyn};
use tollway_core::{
    Amount, Failure, Network as _, Outcome, PaymentPayload, PaymentRequirements, Rejected, ResourceInfo, Standing,
    SupportedKind, Verified,
};
use tollway_devnet::accounts::{CLIENT, DevAccount, FACILITATOR, NO_ALLOWANCE, PAY_TO, POOR, STRANGER};
use tollway_devnet::contracts::addresses::*;
use tollway_devnet::contracts::{Permit2, X402ExactPermit2Proxy};
use tollway_devnet::{Devnet, Mining};
use tollway_evm::{Evm, ExactClient, ExactFacilitator, ExactServer};

/// A chain at another time than the other tests'.
fn world_at(now: u64, mining: Mining) -> World {
    let clock = Arc::new(Watch(AtomicU64::new(now)));
    let time = clock.clone();
    let devnet =
        Devnet::builder().mining(mining).time(Arc::new(move || tollway_core::Clock::now(&*time))).build().unwrap();
    let evm = Evm::builder("eip155:84532".parse().unwrap())
        .provider(devnet.provider())
        .clock(clock.clone())
        .block_time(Duration::from_millis(100))
        .settle_timeout(Duration::from_secs(10))
        .build()
        .unwrap();
    let evm = Arc::new(evm);
    let side = Arc::new(ExactFacilitator::new(evm.clone(), &[key(&FACILITATOR)]).unwrap());
    World { devnet, evm, side, ledger: Arc::default(), clock }
}

async fn verify(
    side: &dyn FacilitatorDyn,
    raw: &PaymentPayload,
    offer: &PaymentRequirements,
) -> Result<Verified, Failure> {
    let open = side.open(raw, offer)?;
    open.check()?;
    open.verify().await
}

/// Settles as the facilitator's engine does.
async fn settle(
    world: &World,
    side: &dyn FacilitatorDyn,
    raw: &PaymentPayload,
    offer: &PaymentRequirements,
) -> Result<Outcome, Failure> {
    let open = side.open(raw, offer)?;
    open.check()?;
    let claim = open.claim().clone();
    let cx = tollway_testkit::fixtures::taken(world.ledger.clone(), &claim, raw, offer).await;
    let result = open.settle(&cx).await;
    let written = match &result {
        Ok(outcome) => outcome.clone(),
        Err(Failure::Rejected(rejected)) => Outcome::Released(rejected.clone()),
        Err(Failure::Fault(_)) => Outcome::Released(Rejected::new(tollway_core::codes::UNEXPECTED_SETTLE_ERROR)),
    };
    cx.ledger.resolve(&[(cx.ticket, written)]).await.unwrap();
    result
}

fn shop() -> ResourceInfo {
    ResourceInfo::new("https://shop.test/report")
}

/// What a server offers for 1,000 units by Permit2.
fn offer(world: &World, asset: Address) -> PaymentRequirements {
    let id = world.evm.id().clone();
    let kind = SupportedKind::new("exact", &id, None);
    let draft =
        PaymentRequirements::new("exact", id, Amount::from(1000), asset.to_string(), PAY_TO.address.to_string())
            .with_timeout(NonZeroU64::new(300).unwrap())
            .with_extra("assetTransferMethod", "permit2");
    ServerDyn::offer(&ExactServer::new(world.evm.clone()), draft, &kind).unwrap()
}

async fn pay(world: &World, payer: &DevAccount) -> (PaymentPayload, PaymentRequirements) {
    let offer = offer(world, USDC);
    let client = ExactClient::new(world.evm.clone(), key(payer)).unwrap();
    let signed = ClientDyn::sign(&client, &offer, &shop()).await.unwrap();
    assert_eq!(signed.dead_after, Some(NOW + 300));
    (PaymentPayload::new(offer.clone(), signed.payload), offer)
}

/// The same payment with a member of its payload changed.
fn with(raw: &PaymentPayload, pointer: &str, value: Value) -> PaymentPayload {
    let mut raw = raw.clone();
    *raw.payload.pointer_mut(pointer).unwrap() = value;
    raw
}

async fn refused(world: &World, raw: &PaymentPayload, offer: &PaymentRequirements, round_trips: u64) -> String {
    world.devnet.reset_calls();
    let refusal = code(verify(&*world.side, raw, offer).await);
    assert_eq!(world.devnet.calls().round_trips, round_trips, "{refusal}");
    refusal
}

#[tokio::test(start_paused = true)]
async fn a_payment_verifies_in_one_round_trip_and_settles_once() {
    let world = World::new();
    let (raw, offer) = pay(&world, &CLIENT).await;
    world.devnet.reset_calls();
    let verified = verify(&*world.side, &raw, &offer).await.unwrap();
    assert_eq!(world.devnet.calls().round_trips, 1);
    assert_eq!(verified.payer, Some(CLIENT.address.to_string()));
    let proof = settled(settle(&world, &*world.side, &raw, &offer).await);
    assert_eq!((proof.transaction.clone(), proof.amount), (world.ledger.signed()[0].hash.clone(), None));
    assert_eq!(world.earned(), U256::from(1000));

    // The ledger forgets; Permit2 does not.
    assert_eq!(refused(&world, &raw, &offer, 1).await, "permit2_invalid_nonce");
    let forgetful = World { ledger: Arc::default(), ..world };
    assert_eq!(code(settle(&forgetful, &*forgetful.side, &raw, &offer).await), "permit2_invalid_nonce");
    assert_eq!(forgetful.earned(), U256::from(1000));
}

#[tokio::test(start_paused = true)]
async fn a_settlement_costs_few_round_trips() {
    let world = World::new();
    let (raw, offer) = pay(&world, &CLIENT).await;
    settled(settle(&world, &*world.side, &raw, &offer).await);
    let (raw, offer) = pay(&world, &CLIENT).await;
    world.devnet.reset_calls();
    settled(settle(&world, &*world.side, &raw, &offer).await);
    assert!(world.devnet.calls().round_trips <= 4, "{:?}", world.devnet.calls());
}

#[tokio::test(start_paused = true)]
async fn the_claim_is_owner_and_nonce_in_one_spelling() {
    let world = World::new();
    let (raw, offer) = pay(&world, &CLIENT).await;
    let claim = |raw: &PaymentPayload| FacilitatorDyn::open(&*world.side, raw, &offer).unwrap().claim().clone();
    let nonce = raw.payload["permit2Authorization"]["nonce"].as_str().unwrap();
    let key = format!("eip155:84532/permit2/0x70997970c51812dc3a010c7d01b50e0d17dc79c8/{nonce}");
    assert_eq!(claim(&raw).key.as_str(), key);
    assert_eq!(claim(&raw).dead_after, Some(NOW + 300));
    let lower = with(&raw, "/permit2Authorization/from", format!("{:#x}", CLIENT.address).into());
    assert_eq!(claim(&lower).key, claim(&raw).key);
    for bad in [json!("01"), json!("0x10"), json!(7), json!("1e3")] {
        let raw = with(&raw, "/permit2Authorization/nonce", bad);
        let refused = FacilitatorDyn::open(&*world.side, &raw, &offer);
        assert_eq!(refused.map(|_| ()).unwrap_err().code.as_str(), "invalid_payload");
    }
    let mut both = raw.clone();
    both.payload["authorization"] = Pay::new(1).wire().0.payload["authorization"].clone();
    assert!(FacilitatorDyn::open(&*world.side, &both, &offer).is_err(), "two payments in one");
}

#[tokio::test(start_paused = true)]
async fn row_permit2_zero_amount() {
    let world = World::new();
    let (raw, mut offer) = pay(&world, &CLIENT).await;
    offer.amount = Amount::ZERO;
    let mut raw = with(&raw, "/permit2Authorization/permitted/amount", "0".into());
    raw.accepted = offer.clone();
    assert_eq!(refused(&world, &raw, &offer, 0).await, "permit2_invalid_amount");
}

#[tokio::test(start_paused = true)]
async fn row_permit2_other_spender() {
    let world = World::new();
    let (raw, offer) = pay(&world, &CLIENT).await;
    for spender in [UPTO_PERMIT2_PROXY, PERMIT2, STRANGER.address] {
        let raw = with(&raw, "/permit2Authorization/spender", spender.to_string().into());
        assert_eq!(refused(&world, &raw, &offer, 0).await, "invalid_permit2_spender");
    }
}

#[tokio::test(start_paused = true)]
async fn row_permit2_other_recipient() {
    let world = World::new();
    let (raw, offer) = pay(&world, &CLIENT).await;
    let raw = with(&raw, "/permit2Authorization/witness/to", STRANGER.address.to_string().into());
    assert_eq!(refused(&world, &raw, &offer, 0).await, "invalid_permit2_recipient_mismatch");
}

#[tokio::test(start_paused = true)]
async fn row_permit2_expired() {
    let world = World::new();
    let (raw, offer) = pay(&world, &CLIENT).await;
    let ends = |at: u64| with(&raw, "/permit2Authorization/deadline", at.to_string().into());
    assert_eq!(refused(&world, &ends(NOW + 5), &offer, 0).await, "permit2_deadline_expired");
    // Long enough, and signed for another end.
    assert_eq!(refused(&world, &ends(NOW + 6), &offer, 1).await, "invalid_permit2_signature");
    let begins = with(&raw, "/permit2Authorization/witness/validAfter", (NOW + 1).to_string().into());
    assert_eq!(refused(&world, &begins, &offer, 0).await, "permit2_not_yet_valid");
}

#[tokio::test(start_paused = true)]
async fn the_rest_is_refused_in_the_deployed_order() {
    let world = World::new();
    let (raw, offer) = pay(&world, &CLIENT).await;
    let mut other = raw.clone();
    other.accepted.scheme = "upto".to_owned();
    assert_eq!(refused(&world, &other, &offer, 0).await, "unsupported_payload_type");
    let mut other = raw.clone();
    other.accepted.network = "eip155:8453".parse().unwrap();
    assert_eq!(refused(&world, &other, &offer, 0).await, "invalid_exact_evm_network_mismatch");
    for amount in ["999", "1001"] {
        let other = with(&raw, "/permit2Authorization/permitted/amount", amount.into());
        assert_eq!(refused(&world, &other, &offer, 0).await, "permit2_amount_mismatch");
    }
    let other = with(&raw, "/permit2Authorization/permitted/token", PLAIN.to_string().into());
    assert_eq!(refused(&world, &other, &offer, 0).await, "permit2_token_mismatch");
    let mut nowhere = offer.clone();
    nowhere.asset = STRANGER.address.to_string();
    let other = with(&raw, "/permit2Authorization/permitted/token", nowhere.asset.clone().into());
    assert_eq!(refused(&world, &other, &nowhere, 1).await, "asset_not_deployed_contract");
    let other = with(&raw, "/permit2Authorization/from", STRANGER.address.to_string().into());
    assert_eq!(refused(&world, &other, &offer, 1).await, "invalid_permit2_signature");
    let mut eip3009 = offer.clone();
    eip3009.extra.as_mut().unwrap().remove("assetTransferMethod");
    assert_eq!(refused(&world, &raw, &eip3009, 0).await, "unsupported_payload_type");
    // Nobody signs in a wrapper for Permit2.
    let wrapped = format!("{}{}", raw.payload["signature"].as_str().unwrap(), "6492".repeat(16));
    let other = with(&raw, "/signature", wrapped.into());
    assert_eq!(refused(&world, &other, &offer, 0).await, "invalid_permit2_signature");
}

#[tokio::test(start_paused = true)]
async fn row_16_poor_payer() {
    let world = World::new();
    let (raw, offer) = pay(&world, &POOR).await;
    assert_eq!(refused(&world, &raw, &offer, 1).await, "permit2_insufficient_balance");
}

#[tokio::test(start_paused = true)]
async fn row_17_no_permit2_allowance() {
    let world = World::new();
    let (raw, offer) = pay(&world, &NO_ALLOWANCE).await;
    assert_eq!(refused(&world, &raw, &offer, 1).await, "permit2_allowance_required");
    assert_eq!(code(settle(&world, &*world.side, &raw, &offer).await), "permit2_allowance_required");
    assert!(world.ledger.signed().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_chain_without_the_proxy_is_told_apart() {
    let world = World::new();
    let (raw, offer) = pay(&world, &CLIENT).await;
    world.devnet.set_code(EXACT_PERMIT2_PROXY, Vec::new());
    assert_eq!(refused(&world, &raw, &offer, 1).await, "permit2_proxy_not_deployed");
}

/// The owner is not in what is signed, so a wallet's owner signs as for himself.
#[tokio::test(start_paused = true)]
async fn a_1271_wallet_pays_by_permit2() {
    let world = World::new();
    let (raw, offer) = pay(&world, &STRANGER).await;
    let raw = with(&raw, "/permit2Authorization/from", WALLET_1271.to_string().into());
    assert_eq!(refused(&world, &raw, &offer, 1).await, "permit2_allowance_required");
    world.devnet.set_allowance(USDC, WALLET_1271, PERMIT2, U256::MAX);
    world.devnet.reset_calls();
    verify(&*world.side, &raw, &offer).await.unwrap();
    assert_eq!(world.devnet.calls().round_trips, 1);
    settled(settle(&world, &*world.side, &raw, &offer).await);
    assert_eq!(world.earned(), U256::from(1000));
    let (stranger, offer) = pay(&world, &CLIENT).await;
    let stranger = with(&stranger, "/permit2Authorization/from", WALLET_1271.to_string().into());
    assert_eq!(refused(&world, &stranger, &offer, 1).await, "invalid_permit2_signature");
}

#[tokio::test(start_paused = true)]
async fn a_client_can_tell_what_became_of_a_permit() {
    let world = World::new();
    let ((spent, offer), (unused, _)) = (pay(&world, &CLIENT).await, pay(&world, &CLIENT).await);
    let client = ExactClient::new(world.evm.clone(), key(&CLIENT)).unwrap();
    let standing = async |raw: &PaymentPayload| ClientDyn::standing(&client, raw, &offer).await.unwrap();
    assert_eq!(standing(&spent).await, Standing::Open);
    settled(settle(&world, &*world.side, &spent, &offer).await);
    assert_eq!((standing(&spent).await, standing(&unused).await), (Standing::Spent, Standing::Open));
    world.devnet.advance(301);
    world.devnet.mine();
    assert_eq!(standing(&unused).await, Standing::Dead);
}

const BRIBE: u128 = 1_000_000_000;

/// A settlement that waits for its block.
async fn waiting(world: &Arc<World>, raw: &PaymentPayload, offer: &PaymentRequirements) -> Waiting {
    let (beside, raw, offer) = (world.clone(), raw.clone(), offer.clone());
    let settling = tokio::spawn(async move { settle(&beside, &*beside.side, &raw, &offer).await });
    world.waiting(1).await;
    settling
}

type Waiting = tokio::task::JoinHandle<Result<Outcome, Failure>>;

#[tokio::test(start_paused = true)]
async fn attacker_first() {
    let world = Arc::new(World::manual());
    let (raw, offer) = pay(&world, &CLIENT).await;
    let settling = waiting(&world, &raw, &offer).await;
    let authorization = &raw.payload["permit2Authorization"];
    let number = |text: &Value| text.as_str().unwrap().parse::<U256>().unwrap();
    let pending = X402ExactPermit2Proxy::new(EXACT_PERMIT2_PROXY, world.devnet.provider_of(&STRANGER))
        .settle(
            X402ExactPermit2Proxy::PermitTransferFrom {
                permitted: X402ExactPermit2Proxy::TokenPermissions { token: USDC, amount: U256::from(1000) },
                nonce: number(&authorization["nonce"]),
                deadline: number(&authorization["deadline"]),
            },
            CLIENT.address,
            X402ExactPermit2Proxy::Witness { to: PAY_TO.address, validAfter: U256::ZERO },
            alloy::hex::decode(raw.payload["signature"].as_str().unwrap()).unwrap().into(),
        )
        .gas(300_000)
        .max_priority_fee_per_gas(BRIBE)
        .max_fee_per_gas(BRIBE * 10)
        .send()
        .await
        .unwrap();
    world.waiting(2).await;
    world.devnet.mine();
    assert_eq!(settled(settling.await.unwrap()).transaction, pending.tx_hash().to_string());
    assert_eq!(world.earned(), U256::from(1000), "once");
}

/// A payer voids one permit in the block in which an equal one pays: one payment, one credit.
#[tokio::test(start_paused = true)]
async fn a_voided_permit_is_not_credited_with_an_equal_payment() {
    let world = Arc::new(World::manual());
    let (voided, offer) = pay(&world, &CLIENT).await;
    let (paid, _) = pay(&world, &CLIENT).await;
    let first = waiting(&world, &voided, &offer).await;
    let beside = (world.clone(), paid.clone(), offer.clone());
    let second = tokio::spawn(async move { settle(&beside.0, &*beside.0.side, &beside.1, &beside.2).await });
    world.waiting(2).await;
    let nonce: U256 = voided.payload["permit2Authorization"]["nonce"].as_str().unwrap().parse().unwrap();
    let bit = U256::from(1) << usize::from(nonce.byte(0));
    let _ = Permit2::new(PERMIT2, world.devnet.provider_of(&CLIENT))
        .invalidateUnorderedNonces(nonce >> 8, bit)
        .gas(200_000)
        .max_priority_fee_per_gas(BRIBE)
        .max_fee_per_gas(BRIBE * 10)
        .send()
        .await
        .unwrap();
    world.waiting(3).await;
    world.devnet.mine();
    let refusal = released(first.await.unwrap());
    assert_eq!(refusal.code.as_str(), "permit2_invalid_nonce");
    assert!(refusal.message.unwrap().contains("invalidated"));
    settled(second.await.unwrap());
    assert_eq!(world.earned(), U256::from(1000));
}

#[tokio::test(start_paused = true)]
async fn what_a_crash_left_open_is_reconciled() {
    let world = World::manual();
    let (raw, offer) = pay(&world, &CLIENT).await;
    let pending = settle(&world, &*world.side, &raw, &offer).await;
    assert!(matches!(pending, Ok(Outcome::Pending { .. })), "{pending:?}");
    assert!(world.reconcile().await.is_empty());
    world.devnet.mine();
    assert!(matches!(&world.reconcile().await[..], [Outcome::Settled(proof)]
        if proof.transaction == world.ledger.signed()[0].hash));
}

#[tokio::test(start_paused = true)]
async fn a_permit_that_ended_is_released() {
    let world = World::manual();
    let (raw, offer) = pay(&world, &CLIENT).await;
    let _ = settle(&world, &*world.side, &raw, &offer).await;
    assert!(world.devnet.evict(&world.devnet.waiting()[0]));
    world.devnet.advance(301);
    world.devnet.mine();
    let outcomes = world.reconcile().await;
    assert!(
        matches!(&outcomes[..], [Outcome::Released(refusal)]
        if refusal.code.as_str() == "permit2_deadline_expired"),
        "{outcomes:?}"
    );
}
