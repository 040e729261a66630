//! The paying side against a chain: what it signs settles, and it can tell what became of a payment.

use crate::support::*;
use alloy::primitives::U256;
use std::num::NonZeroU64;
use tollway_core::erased::{ClientDyn, FacilitatorDyn, ServerDyn};
use tollway_core::{Amount, Network as _, PaymentPayload, PaymentRequirements, ResourceInfo, Standing, SupportedKind};
use tollway_devnet::Fault;
use tollway_devnet::accounts::{CLIENT, PAY_TO};
use tollway_devnet::contracts::addresses::USDC;
use tollway_evm::{ExactClient, ExactServer};

fn offer(world: &World) -> PaymentRequirements {
    let id = world.evm.id().clone();
    let kind = SupportedKind::new("exact", &id, None);
    let draft = PaymentRequirements::new("exact", id, Amount::from(1000), USDC.to_string(), PAY_TO.address.to_string())
        .with_timeout(NonZeroU64::new(60).unwrap());
    ServerDyn::offer(&ExactServer::new(world.evm.clone()), draft, &kind).unwrap()
}

fn client(world: &World) -> ExactClient {
    ExactClient::new(world.evm.clone(), key(&CLIENT)).unwrap()
}

async fn sign(client: &ExactClient, offer: &PaymentRequirements) -> PaymentPayload {
    let signed = ClientDyn::sign(client, offer, &ResourceInfo::new("https://shop.test/report")).await.unwrap();
    assert_eq!(signed.dead_after, Some(NOW + 60));
    PaymentPayload::new(offer.clone(), signed.payload)
}

#[tokio::test(start_paused = true)]
async fn what_a_client_signs_for_a_servers_offer_verifies() {
    let world = World::new();
    let offer = offer(&world);
    let raw = sign(&client(&world), &offer).await;
    let verified = FacilitatorDyn::open(&*world.side, &raw, &offer).unwrap().verify().await.unwrap();
    assert_eq!(verified.payer, Some(CLIENT.address.to_string()));
}

#[tokio::test(start_paused = true)]
async fn a_client_can_tell_what_became_of_a_payment() {
    let world = World::new();
    let (client, offer) = (client(&world), offer(&world));
    let (spent, unused) = (sign(&client, &offer).await, sign(&client, &offer).await);
    let standing = async |raw: &PaymentPayload| ClientDyn::standing(&client, raw, &offer).await.unwrap();
    assert_eq!(standing(&spent).await, Standing::Open);

    let open = FacilitatorDyn::open(&*world.side, &spent, &offer).unwrap();
    let cx = tollway_testkit::fixtures::taken(world.ledger.clone(), open.claim(), &spent, &offer).await;
    settled(open.settle(&cx).await);
    assert_eq!((standing(&spent).await, standing(&unused).await), (Standing::Spent, Standing::Open));

    // This computer's clock proves nothing; the chain's does.
    world.clock.0.store(NOW, std::sync::atomic::Ordering::SeqCst);
    world.devnet.advance(59);
    world.devnet.mine();
    assert_eq!(standing(&unused).await, Standing::Open);
    world.devnet.advance(1);
    world.devnet.mine();
    assert_eq!((standing(&spent).await, standing(&unused).await), (Standing::Spent, Standing::Dead));

    world.devnet.inject("eth_call", Fault::Refuse, 1);
    assert!(ClientDyn::standing(&client, &unused, &offer).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn signing_asks_nobody() {
    let world = World::new();
    let (client, offer) = (client(&world), offer(&world));
    sign(&client, &offer).await;
    assert_eq!(world.devnet.calls().total(), 0);
    assert_eq!(world.devnet.balance_of(USDC, PAY_TO.address).unwrap(), U256::ZERO);
}
