//! A node that fails in every way there is, and a chain that changes its mind.

use crate::support::*;
use alloy::primitives::{B256, U256};
use std::sync::Arc;
use std::time::Duration;
use tollway_core::{Network as _, Outcome};
use tollway_devnet::accounts::CLIENT;
use tollway_devnet::contracts::addresses::USDC;
use tollway_devnet::{Fault, Mining};
use tollway_evm::{EvmBuilder, Finality, Wait};

fn pay(number: u16) -> Pay {
    Pay::new(0).change(|pay| pay.nonce = B256::from(U256::from(number) + U256::from(1)))
}

fn with(set: impl FnOnce(EvmBuilder) -> EvmBuilder) -> Arc<World> {
    Arc::new(World::with(Mining::Manual, |chain| chain, set))
}

fn included(outcome: &Outcome) -> &str {
    match outcome {
        Outcome::Included(settled) => &settled.transaction,
        other => panic!("not included: {other:?}"),
    }
}

fn one_settled(outcomes: &[Outcome]) -> &str {
    match outcomes {
        [Outcome::Settled(settled)] => &settled.transaction,
        other => panic!("not one settlement: {other:?}"),
    }
}

fn mine(world: &World, blocks: usize) {
    for _ in 0..blocks {
        world.devnet.mine();
    }
}

/// The node has it, and its answer never comes.
#[tokio::test(start_paused = true)]
async fn a_time_out_after_the_send_is_pending_with_the_hash() {
    let world = with(|evm| evm.rpc_timeout(Duration::from_millis(200)));
    world.devnet.inject("eth_sendRawTransaction", Fault::Delay(Duration::from_secs(3600)), 100);
    let Ok(Outcome::Pending { transaction }) = world.settle(&pay(0)).await else { panic!("not pending") };
    assert_eq!(transaction, world.ledger.signed()[0].hash);
    assert_eq!(world.devnet.waiting().len(), 1, "it was sent");
    world.devnet.clear_faults();
    world.devnet.mine();
    assert_eq!(one_settled(&world.reconcile().await), transaction);
    assert_eq!((world.earned(), world.ledger.signed().len()), (U256::from(1000), 1));
}

/// Executed once, twice, late, or not at all, and whatever is answered: one payment each.
#[tokio::test(start_paused = true)]
async fn every_way_a_send_can_fail_ends_in_one_payment() {
    let error = |message: &str| Fault::ErrorAfter { code: -32603, message: message.to_owned() };
    for fault in [
        Fault::DropAnswer,
        Fault::Refuse,
        Fault::Late(Duration::from_secs(2)),
        Fault::Twice,
        error("internal error"),
        error("request timed out"),
        Fault::Delay(Duration::from_secs(30)),
        Fault::Status(500),
        Fault::Status(504),
    ] {
        let world = World::with(Mining::Auto, |chain| chain, |evm| evm.rpc_timeout(Duration::from_secs(1)));
        world.devnet.inject("eth_sendRawTransaction", fault.clone(), 1);
        let proof = settled(world.settle(&pay(0)).await);
        assert_eq!(world.ledger.signed().len(), 1, "{fault:?}: one signature");
        assert_eq!(proof.transaction, world.ledger.signed()[0].hash);
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(world.earned(), U256::from(1000), "{fault:?}: once");
    }
}

/// Sends overtake each other, so that for a while nonces are missing.
#[tokio::test(start_paused = true)]
async fn sends_that_arrive_out_of_order_all_settle() {
    let world = Arc::new(World::unshared());
    for late in [3, 1, 2, 0] {
        world.devnet.inject("eth_sendRawTransaction", Fault::Late(Duration::from_millis(200 * late)), 1);
        world.devnet.inject("eth_sendRawTransaction", Fault::Late(Duration::from_millis(50 * late)), 1);
    }
    let settling: Vec<_> = (0..12).map(|number| world.settling(&pay(number))).collect();
    world.waiting(12).await;
    while !settling.iter().all(tokio::task::JoinHandle::is_finished) {
        world.devnet.mine();
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    for settling in settling {
        settled(settling.await.unwrap());
    }
    assert_eq!(world.earned(), U256::from(12_000));
    let mut nonces = world.ledger.nonces();
    nonces.sort_unstable();
    assert_eq!(nonces, (0..12).collect::<Vec<_>>());
}

/// One send in ten fails, in every way there is, under a thousand payments at once. Nothing is lost, nothing is paid
/// twice, and no nonce is left out.
#[tokio::test(start_paused = true)]
async fn a_thousand_payments_of_which_one_send_in_ten_fails() {
    let world = with(|evm| {
        evm.settle_timeout(Duration::from_secs(600)).batch_max_payments(5).max_unmined(64).rpc_timeout(SECOND)
    });
    const SECOND: Duration = Duration::from_secs(1);
    let refused = |message: &str| Fault::Error { code: -32000, message: message.to_owned() };
    let ways = [
        Fault::DropAnswer,
        Fault::Refuse,
        refused("nonce too low: next nonce 9"),
        Fault::Late(SECOND),
        Fault::Status(503),
        Fault::Twice,
        Fault::Delay(SECOND * 2),
        Fault::ErrorAfter { code: -32603, message: "internal error".to_owned() },
        refused("max fee per gas less than block base fee"),
        refused("nonce too high"),
    ];
    let settling: Vec<_> = (0..1000).map(|number| world.settling(&pay(number))).collect();
    let node = {
        let world = world.clone();
        tokio::spawn(async move {
            for round in 0usize.. {
                // As many as one in ten of what is sent in a block.
                world.devnet.inject("eth_sendRawTransaction", ways[round % ways.len()].clone(), 1);
                tokio::time::sleep(Duration::from_millis(500)).await;
                world.devnet.mine();
            }
        })
    };
    for settling in settling {
        settled(settling.await.unwrap());
    }
    node.abort();
    assert_eq!(world.earned(), U256::from(1_000_000));
    assert!(world.handle().open(10).await.unwrap().is_empty(), "every row ended");
    let mut nonces = world.ledger.nonces();
    nonces.sort_unstable();
    nonces.dedup();
    assert_eq!(nonces, (0..=*nonces.last().unwrap()).collect::<Vec<_>>(), "no nonce was left out");
    world.devnet.clear_faults();
    world.devnet.mine();
    assert!(world.devnet.waiting().is_empty(), "nothing is stuck");
}

#[tokio::test(start_paused = true)]
async fn what_was_included_may_regress_and_is_sent_again() {
    let world = with(|evm| evm.finality(Finality::Blocks(3)));
    let settling = world.settling(&pay(0));
    world.waiting(1).await;
    world.devnet.mine();
    let outcome = settling.await.unwrap().unwrap();
    let hash = included(&outcome).to_owned();
    assert!(world.reconcile().await.is_empty(), "it is still there, and not final");
    assert_eq!(world.handle().open(10).await.unwrap().len(), 1);

    assert_eq!(world.devnet.reorg(1).unwrap().len(), 1);
    mine(&world, 1);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(world.reconcile().await.is_empty());
    assert_eq!(world.devnet.waiting()[0].to_string(), hash, "the same bytes");
    assert_eq!((world.ledger.signed().len(), world.earned()), (1, U256::ZERO));

    mine(&world, 1);
    let again = world.reconcile().await;
    assert_eq!(again.len(), 1);
    assert_eq!(included(&again[0]), hash);
    mine(&world, 3);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(one_settled(&world.reconcile().await), hash);
    assert!(world.handle().open(10).await.unwrap().is_empty());
    assert_eq!(world.earned(), U256::from(1000), "once");
}

/// All that shared a transaction is open again, and each payment ends by itself in the chain that stays.
#[tokio::test(start_paused = true)]
async fn payments_in_company_regress_together_and_end_each_by_itself() {
    let world = with(|evm| evm.finality(Finality::Blocks(3)));
    let settling: Vec<_> = (0..4).map(|number| world.settling(&pay(number))).collect();
    world.waiting(1).await;
    world.devnet.mine();
    for settling in settling {
        included(&settling.await.unwrap().unwrap());
    }
    world.devnet.reorg(1).unwrap();
    // In the chain that stays the payer can pay for three of them.
    world.devnet.set_token_balance(USDC, CLIENT.address, U256::from(3000));
    mine(&world, 1);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(world.reconcile().await.is_empty());
    mine(&world, 4);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let outcomes = world.reconcile().await;
    assert_eq!(outcomes.iter().filter(|outcome| matches!(outcome, Outcome::Settled(_))).count(), 3);
    assert_eq!(outcomes.iter().filter(|outcome| matches!(outcome, Outcome::Released(_))).count(), 1);
    assert_eq!(world.earned(), U256::from(3000));
}

#[tokio::test(start_paused = true)]
async fn what_was_included_and_can_never_come_back_is_released() {
    let world = with(|evm| evm.finality(Finality::Blocks(3)));
    let settling = world.settling(&pay(0));
    world.waiting(1).await;
    world.devnet.mine();
    included(&settling.await.unwrap().unwrap());
    world.devnet.reorg(1).unwrap();
    world.devnet.advance(400);
    mine(&world, 1);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let outcomes = world.reconcile().await;
    assert!(
        matches!(&outcomes[..], [Outcome::Released(refused)]
        if refused.code.as_str() == "invalid_exact_evm_payload_authorization_valid_before"),
        "{outcomes:?}"
    );
}

/// Once it is final nobody looks again, and nothing that the books say of it changes.
#[tokio::test(start_paused = true)]
async fn what_is_final_does_not_regress() {
    let world = with(|evm| evm.finality(Finality::Blocks(3)));
    let settling = world.settling(&pay(0));
    world.waiting(1).await;
    world.devnet.mine();
    let outcome = settling.await.unwrap().unwrap();
    let hash = included(&outcome).to_owned();
    mine(&world, 2);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(world.reconcile().await.is_empty(), "one block is missing");
    mine(&world, 1);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(one_settled(&world.reconcile().await), hash);

    world.devnet.reorg(4).unwrap();
    mine(&world, 1);
    tokio::time::sleep(Duration::from_secs(1)).await;
    world.devnet.reset_calls();
    assert!(world.reconcile().await.is_empty());
    assert_eq!(world.devnet.calls().total(), 0);
}

/// A process that starts anew finds out again which block a payment is in.
#[tokio::test(start_paused = true)]
async fn included_payments_become_final_after_a_restart_too() {
    for regress in [false, true] {
        let world = with(|evm| evm.finality(Finality::Blocks(3)));
        let settling = world.settling(&pay(0));
        world.waiting(1).await;
        world.devnet.mine();
        included(&settling.await.unwrap().unwrap());
        let restarted = world.restarted_with(|evm| evm.finality(Finality::Blocks(3)));
        if regress {
            world.devnet.reorg(1).unwrap();
            mine(&world, 1);
            assert!(restarted.reconcile().await.is_empty(), "sent again");
            mine(&world, 1);
        }
        let outcomes = restarted.reconcile().await;
        included(&outcomes[0]);
        mine(&world, 3);
        tokio::time::sleep(Duration::from_secs(3)).await;
        one_settled(&restarted.reconcile().await);
        assert_eq!(world.earned(), U256::from(1000));
    }
}

#[tokio::test(start_paused = true)]
async fn a_payment_that_waits_to_be_final_is_answered_then() {
    let world = with(|evm| evm.wait(Wait::Final).finality(Finality::Blocks(3)));
    let settling = world.settling(&pay(0));
    world.waiting(1).await;
    for _ in 0..3 {
        mine(&world, 1);
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(!settling.is_finished());
    }
    mine(&world, 1);
    settled(settling.await.unwrap());
}

/// The tags are the node's word, here two blocks behind.
#[tokio::test(start_paused = true)]
async fn the_nodes_tags_say_what_is_final() {
    for tag in [Finality::Safe, Finality::Finalized] {
        let world = World::with(Mining::Manual, |chain| chain.finality(2), |evm| evm.wait(Wait::Final).finality(tag));
        let world = Arc::new(world);
        let settling = world.settling(&pay(0));
        world.waiting(1).await;
        mine(&world, 2);
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(!settling.is_finished());
        mine(&world, 1);
        settled(settling.await.unwrap());
    }
}

/// Whoever waits to be final and sees the block go is told that it is pending, and the reconciler goes on.
#[tokio::test(start_paused = true)]
async fn a_payment_that_waits_to_be_final_and_regresses_is_pending() {
    let world = with(|evm| evm.wait(Wait::Final).finality(Finality::Blocks(3)));
    let settling = world.settling(&pay(0));
    world.waiting(1).await;
    mine(&world, 1);
    tokio::time::sleep(Duration::from_secs(1)).await;
    world.devnet.reorg(1).unwrap();
    mine(&world, 1);
    let Ok(Outcome::Pending { transaction }) = settling.await.unwrap() else { panic!("not pending") };
    assert!(world.reconcile().await.is_empty(), "sent again");
    mine(&world, 1);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(world.reconcile().await.is_empty(), "in a block, and not told before it is final");
    mine(&world, 3);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(one_settled(&world.reconcile().await), transaction);
}

#[tokio::test(start_paused = true)]
async fn large_payments_wait_and_small_ones_do_not() {
    let limit = |evm: EvmBuilder| evm.final_above("0.001".parse().unwrap()).finality(Finality::Blocks(2));
    let world = with(limit);
    let small = world.settling(&pay(0));
    let large = world.settling(&pay(1).change(|pay| (pay.value, pay.amount) = (1001, 1001)));
    world.waiting(1).await;
    mine(&world, 1);
    included(&small.await.unwrap().unwrap());
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(!large.is_finished());
    mine(&world, 2);
    settled(large.await.unwrap());
    assert_eq!(world.evm.id().as_str(), "eip155:84532");
}

/// A deep change of mind drops a transaction that counted as settled, and later ones wait behind its nonce.
#[tokio::test(start_paused = true)]
async fn a_nonce_that_the_chain_took_back_for_good_is_filled() {
    let world = with(|evm| evm.settle_timeout(Duration::from_secs(600)));
    let first = world.settling(&pay(0));
    world.waiting(1).await;
    world.devnet.mine();
    settled(first.await.unwrap());
    let second = world.settling(&pay(1));
    world.waiting(1).await;
    world.devnet.reorg(1).unwrap();
    for _ in 0..60 {
        mine(&world, 1);
        tokio::time::sleep(Duration::from_millis(300)).await;
        if second.is_finished() {
            break;
        }
    }
    settled(second.await.unwrap());
    assert_eq!(world.ledger.nonces(), [0, 1, 0]);
    assert!(world.devnet.waiting().is_empty());
}
