//! Permits in company: which may share a transaction, and what proves each.

use super::sponsor::enriched;
use super::*;
use tollway_core::Asset;
use tollway_devnet::accounts::{DEPLOYER, FRESH_2612, FRESH_ERC20, FRESH_UPTO};
use tollway_evm::{UptoClient, UptoFacilitator, UptoServer};

fn settling(world: &Arc<World>, (raw, offer): &(PaymentPayload, PaymentRequirements)) -> Waiting {
    let (beside, raw, offer) = (world.clone(), raw.clone(), offer.clone());
    tokio::spawn(async move { settle(&beside, &*beside.side, &raw, &offer).await })
}

/// A payment in flight, so that the next ones wait for company.
async fn busy() -> (Arc<World>, Waiting) {
    let plain = Asset::new(PLAIN.to_string(), "PLAIN", 6).with_extra("assetTransferMethod", "permit2");
    let world = Arc::new(World::with(Mining::Manual, |chain| chain, |evm| evm.assets([plain])));
    for payer in [NO_ALLOWANCE, DEPLOYER] {
        world.devnet.set_allowance(USDC, payer.address, PERMIT2, U256::MAX);
    }
    world.devnet.set_token_balance(USDC, DEPLOYER.address, U256::from(1000));
    let first = world.settling(&Pay::new(1));
    world.waiting(1).await;
    (world, first)
}

#[tokio::test(start_paused = true)]
async fn permits_and_transfers_share_a_transaction() {
    let (world, first) = busy().await;
    let mut company = Vec::new();
    for payer in [NO_ALLOWANCE, DEPLOYER, CLIENT] {
        company.push(settling(&world, &pay(&world, &payer).await));
    }
    // The proxy hands the signature for the allowance on within the same call.
    company.push(settling(&world, &enriched(&world, &FRESH_2612, USDC).await));
    // Of another payer than any of the permits, for the same amount.
    company.push(world.settling(&Pay::new(2).from(FRESH_UPTO.address, FRESH_UPTO)));
    world.waiting(2).await;
    world.devnet.mine();
    settled(first.await.unwrap());
    for settling in company {
        assert_eq!(settled(settling.await.unwrap()).transaction, world.ledger.signed()[1].hash);
    }
    assert_eq!(world.earned(), U256::from(6000));
}

/// Permit2 does not say which nonce it used: two payments that leave the same `Transfer` log are kept apart.
#[tokio::test(start_paused = true)]
async fn equal_payments_of_which_one_is_a_permit_do_not_share() {
    let (world, first) = busy().await;
    let mut company = Vec::new();
    for _ in 0..2 {
        company.push(settling(&world, &pay(&world, &CLIENT).await));
    }
    company.push(world.settling(&Pay::new(2)));
    company.push(settling(&world, &pay(&world, &NO_ALLOWANCE).await));
    world.waiting(4).await;
    world.devnet.mine();
    settled(first.await.unwrap());
    let mut hashes = Vec::new();
    for settling in company {
        hashes.push(settled(settling.await.unwrap()).transaction);
    }
    assert_eq!(hashes[0], hashes[3], "the stranger's goes with the first");
    assert!(hashes[0] != hashes[1] && hashes[1] != hashes[2] && hashes[0] != hashes[2]);
    assert_eq!(world.earned(), U256::from(5000));
}

#[tokio::test(start_paused = true)]
async fn a_permit_that_fails_in_company_is_released_alone() {
    let (world, first) = busy().await;
    let mut company = Vec::new();
    for payer in [NO_ALLOWANCE, DEPLOYER, CLIENT] {
        company.push(settling(&world, &pay(&world, &payer).await));
    }
    world.waiting(2).await;
    world.devnet.set_token_balance(USDC, DEPLOYER.address, U256::from(999));
    world.devnet.mine();
    settled(first.await.unwrap());
    let refusal = released(company.remove(1).await.unwrap());
    assert_eq!(refusal.code.as_str(), "permit2_insufficient_balance");
    assert_eq!(refusal.transaction, Some(world.ledger.signed()[1].hash.clone()));
    for settling in company {
        settled(settling.await.unwrap());
    }
    assert_eq!(world.earned(), U256::from(3000));
}

#[tokio::test(start_paused = true)]
async fn a_permit_that_still_needs_its_approval_goes_alone() {
    let (world, first) = busy().await;
    let odd = settling(&world, &enriched(&world, &FRESH_ERC20, PLAIN).await);
    let company: Vec<_> = [2, 3].iter().map(|nonce| world.settling(&Pay::new(*nonce))).collect();
    world.waiting(3).await;
    world.devnet.mine();
    world.waiting(1).await;
    world.devnet.mine();
    for alone in [first, odd] {
        settled(alone.await.unwrap());
    }
    for settling in company {
        settled(settling.await.unwrap());
    }
}

/// Its permit binds who calls the proxy, and that would be Multicall3.
#[tokio::test(start_paused = true)]
async fn upto_never_shares() {
    let (world, first) = busy().await;
    let side = Arc::new(UptoFacilitator::new(world.evm.clone(), &[key(&FACILITATOR)]).unwrap());
    let id = world.evm.id().clone();
    let kind = SupportedKind::new("upto", &id, FacilitatorDyn::kind_extra(&*side));
    let mut company = Vec::new();
    for payer in [CLIENT, NO_ALLOWANCE] {
        let (asset, pay_to) = (USDC.to_string(), PAY_TO.address.to_string());
        let draft = PaymentRequirements::new("upto", id.clone(), Amount::from(2000), asset, pay_to)
            .with_timeout(NonZeroU64::new(300).unwrap());
        let offer = ServerDyn::offer(&UptoServer::new(world.evm.clone()), draft, &kind).unwrap();
        let client = UptoClient::new(world.evm.clone(), key(&payer)).unwrap();
        let signed = ClientDyn::sign(&client, &offer, &shop()).await.unwrap();
        let raw = PaymentPayload::new(offer.clone(), signed.payload);
        let (beside, side) = (world.clone(), side.clone());
        company.push(tokio::spawn(async move { settle(&beside, &*side, &raw, &offer).await }));
    }
    world.waiting(3).await;
    world.devnet.mine();
    settled(first.await.unwrap());
    for settling in company {
        settled(settling.await.unwrap());
    }
    assert_eq!(world.earned(), U256::from(5000));
}

/// A crash after the write: each permit ends by the logs of the shared transaction.
#[tokio::test(start_paused = true)]
async fn permits_in_company_survive_a_crash() {
    let (world, first) = busy().await;
    world.ledger.trouble(Trouble::Crash);
    let mut company = Vec::new();
    for payer in [NO_ALLOWANCE, DEPLOYER] {
        company.push(settling(&world, &pay(&world, &payer).await));
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    company.iter().for_each(Waiting::abort);
    world.devnet.set_token_balance(USDC, DEPLOYER.address, U256::ZERO);
    world.devnet.mine();
    settled(first.await.unwrap());
    let restarted = world.restarted();
    assert!(restarted.reconcile().await.is_empty());
    world.devnet.mine();
    let outcomes = restarted.reconcile().await;
    assert_eq!(outcomes.len(), 2, "{outcomes:?}");
    assert_eq!(outcomes.iter().filter(|outcome| matches!(outcome, Outcome::Settled(_))).count(), 1);
    assert_eq!(outcomes.iter().filter(|outcome| matches!(outcome, Outcome::Released(_))).count(), 1);
    assert_eq!(world.earned(), U256::from(2000));
}
