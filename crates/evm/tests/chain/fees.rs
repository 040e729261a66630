//! What gas may cost: stuck transactions are replaced by dearer ones, up to the caps; the sponsor's ceilings hold.

use crate::support::*;
use alloy::primitives::{B256, U256};
use alloy::providers::Provider as _;
use alloy::rpc::types::TransactionRequest;
use std::sync::Arc;
use std::time::Duration;
use tollway_core::{FaultKind, Outcome, Sent};
use tollway_devnet::accounts::{DEPLOYER, FACILITATOR, STRANGER};
use tollway_devnet::{Fault, Mining};
use tollway_evm::{EvmBuilder, ExactFacilitator};

const GWEI: u64 = 1_000_000_000;
const PAID: u64 = 1000;

fn capped(wei: u128) -> Arc<World> {
    Arc::new(World::with(Mining::Manual, |chain| chain, |evm| evm.max_fee_per_gas(wei)))
}

fn hash(world: &World, at: usize) -> B256 {
    world.ledger.signed()[at].hash.parse().unwrap()
}

/// Blocks take nothing at the fee of what waits.
fn spike(world: &World, wei: u64) {
    world.devnet.set_base_fee(wei);
    assert!(world.devnet.mine().transactions.is_empty());
}

/// Waits until the ledger has so many transactions and the newest is the one that waits for a block.
async fn replaced(world: &World, attempts: usize) {
    for _ in 0..100_000 {
        let signed = world.ledger.signed();
        if signed.len() == attempts && world.devnet.waiting() == [hash(world, attempts - 1)] {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("{} attempts", world.ledger.signed().len());
}

#[tokio::test(start_paused = true)]
async fn a_base_fee_spike_is_answered_by_a_dearer_transaction_in_the_same_slot() {
    let world = Arc::new(World::manual());
    let settling = world.settling(&Pay::new(1));
    world.waiting(1).await;
    spike(&world, 5 * GWEI);
    replaced(&world, 2).await;
    assert_eq!(world.ledger.nonces(), [0, 0], "another attempt at the same slot");
    world.devnet.mine();
    assert_eq!(settled(settling.await.unwrap()).transaction, world.ledger.signed()[1].hash);
    assert_eq!(world.earned(), U256::from(PAID));
    assert!(world.handle().open(10).await.unwrap().is_empty());
}

/// The payments in a shared transaction follow it to its next attempt.
#[tokio::test(start_paused = true)]
async fn a_shared_transaction_is_replaced_for_all_its_payments() {
    let world = Arc::new(World::manual());
    let settling: Vec<_> = (1..=4).map(|nonce| world.settling(&Pay::new(nonce))).collect();
    world.waiting(1).await;
    spike(&world, 5 * GWEI);
    replaced(&world, 2).await;
    world.devnet.mine();
    for settling in settling {
        assert_eq!(settled(settling.await.unwrap()).transaction, world.ledger.signed()[1].hash);
    }
    assert_eq!(world.earned(), U256::from(4 * PAID));
}

/// The replacement is lost, and the transaction it replaced is mined after all.
#[tokio::test(start_paused = true)]
async fn whichever_attempt_is_mined_is_found() {
    let world = Arc::new(World::manual());
    let settling = world.settling(&Pay::new(1));
    world.waiting(1).await;
    spike(&world, 5 * GWEI);
    replaced(&world, 2).await;
    assert!(world.devnet.evict(&hash(&world, 1)));
    world.devnet.set_base_fee(GWEI / 100);
    let first = world.ledger.signed()[0].bytes.clone();
    let _ = world.devnet.provider().send_raw_transaction(&first).await.unwrap();
    world.devnet.mine();
    assert_eq!(settled(settling.await.unwrap()).transaction, world.ledger.signed()[0].hash);
}

#[tokio::test(start_paused = true)]
async fn a_spike_above_the_cap_is_waited_out() {
    let world = capped(u128::from(2 * GWEI));
    let settling = world.settling(&Pay::new(1));
    world.waiting(1).await;
    for _ in 0..20 {
        spike(&world, 5 * GWEI);
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert_eq!(world.ledger.signed().len(), 1, "no more is offered than may be");
    world.devnet.set_base_fee(GWEI / 100);
    world.devnet.mine();
    assert_eq!(settled(settling.await.unwrap()).transaction, world.ledger.signed()[0].hash);
}

/// Somebody pays a little more for each block, and there is no room beside him.
#[tokio::test(start_paused = true)]
async fn a_transaction_nobody_cares_to_mine_offers_more() {
    let world = Arc::new(World::with(Mining::Manual, |chain| chain.block_gas_limit(110_000), |evm| evm));
    let settling = world.settling(&Pay::new(1));
    world.waiting(1).await;
    let other = world.devnet.provider_of(&STRANGER);
    let ours = hash(&world, 0);
    for _ in 0..60 {
        let dearer = TransactionRequest::default()
            .to(STRANGER.address)
            .max_priority_fee_per_gas(1_050_000)
            .max_fee_per_gas(u128::from(GWEI));
        let _ = other.send_transaction(dearer).await.unwrap();
        let mined = world.devnet.mine().transactions;
        if settling.is_finished() || world.ledger.signed().len() > 1 {
            break;
        }
        assert!(!mined.contains(&ours), "there was room");
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
    world.devnet.mine();
    assert_eq!(settled(settling.await.unwrap()).transaction, world.ledger.signed()[1].hash);
    assert_eq!(world.ledger.nonces(), [0, 0]);
}

/// The settlement gave up waiting. The reconciler goes on, with dearer attempts where that is what is missing.
#[tokio::test(start_paused = true)]
async fn an_open_settlement_that_became_too_cheap_is_raised_by_the_reconciler() {
    let world = World::manual();
    world.devnet.inject("eth_getBlockByNumber", Fault::Refuse, 1000);
    let Ok(Outcome::Pending { .. }) = world.settle(&Pay::new(1)).await else { panic!("not pending") };
    world.devnet.clear_faults();
    spike(&world, 5 * GWEI);
    assert!(world.reconcile().await.is_empty());
    assert_eq!(world.ledger.nonces(), [0, 0]);
    assert_eq!(world.devnet.waiting(), [hash(&world, 1)]);

    // A process that starts anew knows its signers too.
    let world = world.restarted();
    spike(&world, 50 * GWEI);
    assert!(world.reconcile().await.is_empty());
    assert_eq!(world.ledger.nonces(), [0, 0, 0]);
    world.devnet.mine();
    let outcomes = world.reconcile().await;
    assert!(
        matches!(&outcomes[..], [Outcome::Settled(settled)] if settled.transaction == world.ledger.signed()[2].hash)
    );
    assert_eq!(world.earned(), U256::from(PAID));
}

/// A store that fails when the dearer attempt is to be written: it is not sent, and the first goes on.
#[tokio::test(start_paused = true)]
async fn a_dearer_attempt_that_could_not_be_written_is_not_sent() {
    let world = Arc::new(World::manual());
    let settling = world.settling(&Pay::new(1));
    world.waiting(1).await;
    world.ledger.trouble(Trouble::Fails);
    spike(&world, 5 * GWEI);
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert_eq!((world.devnet.waiting(), world.ledger.signed().len()), (vec![hash(&world, 0)], 1));
    // The next look finds the store well again.
    replaced(&world, 2).await;
    world.devnet.mine();
    settled(settling.await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_payment_dearer_than_the_sponsor_allows_is_refused_with_the_key_to_change() {
    // About 100 000 gas at 0.011 gwei now, and ten times as much after the spike.
    let world = World::with(Mining::Auto, |chain| chain, |evm| evm.max_fee_per_payment(2_000_000_000_000));
    settled(world.settle(&Pay::new(1)).await);
    world.devnet.set_base_fee(GWEI / 10);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let fault = fault(world.settle(&Pay::new(2)).await);
    assert_eq!((fault.kind, fault.sent), (FaultKind::Overloaded, Sent::No));
    assert!(fault.message.contains("raise maxFeePerPayment"), "{fault}");
    assert_eq!(world.ledger.signed().len(), 1);
}

/// In company each pays its share, and the transaction may cost what all of them may.
#[tokio::test(start_paused = true)]
async fn the_fee_per_payment_is_counted_by_payment() {
    let limit = |evm: EvmBuilder| evm.max_fee_per_payment(2_000_000_000_000);
    let world = Arc::new(World::with(Mining::Manual, |chain| chain, limit));
    let settling: Vec<_> = (1..=20).map(|nonce| world.settling(&Pay::new(nonce))).collect();
    world.waiting(1).await;
    // A spike that the share of each still pays for, and one that it does not.
    spike(&world, GWEI / 50);
    tokio::time::sleep(Duration::from_millis(700)).await;
    spike(&world, GWEI);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(world.ledger.signed().len() <= 2);
    world.devnet.set_base_fee(GWEI / 100);
    world.devnet.mine();
    for settling in settling {
        settled(settling.await.unwrap());
    }
}

#[tokio::test(start_paused = true)]
async fn the_days_ceiling_is_kept_and_named_and_ends_with_the_day() {
    // What two payments may cost at most, and not three.
    let world = World::with(Mining::Auto, |chain| chain, |evm| evm.max_spend_per_day(3_500_000_000_000));
    let mut paid = 0;
    let fault = loop {
        match world.settle(&Pay::new(paid + 1)).await {
            Ok(outcome) => settled(Ok(outcome)),
            failed => break fault(failed),
        };
        paid += 1;
    };
    assert!((2..20).contains(&paid), "{paid} payments");
    assert_eq!((fault.kind, fault.sent, fault.retry), (FaultKind::Overloaded, Sent::No, true));
    assert!(fault.message.contains("raise maxSpendPerDay"), "{fault}");
    let spent = world.evm.status().unwrap().spent_today;
    assert!(spent <= tollway_core::Amount::from(3_500_000_000_000), "{spent}");

    let tomorrow = 24 * 3600;
    world.clock.0.fetch_add(tomorrow, std::sync::atomic::Ordering::SeqCst);
    let later = |pay: &mut Pay| pay.valid_before += tomorrow;
    settled(world.settle(&Pay::new(99).change(later)).await);
    let spent_since = world.evm.status().unwrap().spent_today;
    assert!(spent_since < spent, "{spent_since}");
}

/// What was set aside is what it cost, once the receipt says so: the gas that was used at the price that was paid.
#[tokio::test(start_paused = true)]
async fn what_gas_cost_is_what_left_the_signers_account() {
    let world = World::new();
    let before = world.devnet.balance(FACILITATOR.address);
    for nonce in 1..=3 {
        settled(world.settle(&Pay::new(nonce)).await);
    }
    let spent = before - world.devnet.balance(FACILITATOR.address);
    assert_eq!(world.evm.status().unwrap().spent_today.to_string(), spent.to_string());
}

#[tokio::test(start_paused = true)]
async fn a_low_balance_is_told_and_an_empty_purse_is_passed_over() {
    let world = World::with(Mining::Auto, |chain| chain, |evm| evm.low_balance(10u128.pow(18)));
    let side = Arc::new(ExactFacilitator::new(world.evm.clone(), &[key(&FACILITATOR), key(&DEPLOYER)]).unwrap());
    let world = World { side, ..world };
    let signer = |at: usize| world.evm.status().unwrap().signers.remove(at);
    settled(world.settle(&Pay::new(1)).await);
    tokio::time::sleep(Duration::from_millis(10)).await;
    assert!(signer(0).balance.is_none() && signer(1).balance.is_some(), "the one that sent was looked at");
    assert_eq!((signer(1).address, signer(1).low), (FACILITATOR.address.to_string(), false));

    world.devnet.set_balance(FACILITATOR.address, U256::from(10).pow(U256::from(17)));
    tokio::time::sleep(Duration::from_secs(61)).await;
    settled(world.settle(&Pay::new(2).change(|pay| pay.valid_before += 100)).await);
    tokio::time::sleep(Duration::from_millis(10)).await;
    assert!(signer(1).low, "a tenth of a coin is little");

    world.devnet.set_balance(FACILITATOR.address, U256::ZERO);
    assert_eq!(fault(world.settle(&Pay::new(3)).await).kind, FaultKind::Configuration);
    settled(world.settle(&Pay::new(4)).await);
    let last = world.ledger.signed().pop().unwrap();
    assert_eq!(last.slot.signer, DEPLOYER.address.to_string(), "the other one pays");
}
