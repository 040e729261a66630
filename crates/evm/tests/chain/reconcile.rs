//! What a crash or a time-out left open comes to its end, by the same bytes or by what the chain says.

use crate::support::*;
use alloy::primitives::{B256, U256};
use alloy::providers::Provider as _;
use alloy::rpc::types::TransactionRequest;
use std::sync::Arc;
use std::time::Duration;
use tollway_core::{Network as _, Outcome};
use tollway_devnet::accounts::{FACILITATOR, STRANGER};
use tollway_devnet::contracts::TestUsd;
use tollway_devnet::contracts::addresses::USDC;
use tollway_devnet::{Fault, Mining};

/// A settlement whose process dies between writing and sending.
async fn crash(world: &Arc<World>, payment: &Pay) {
    world.ledger.trouble(Trouble::Crash);
    let settling = world.settling(payment);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(!settling.is_finished());
    settling.abort();
    assert_eq!(world.devnet.calls().of("eth_sendRawTransaction"), 0);
}

fn one_settled(outcomes: &[Outcome]) -> &str {
    match outcomes {
        // A claim in two slots is found settled in each.
        [Outcome::Settled(settled), rest @ ..] if rest.iter().all(|other| *other == outcomes[0]) => {
            &settled.transaction
        }
        other => panic!("not one settlement: {other:?}"),
    }
}

fn one_released(outcomes: &[Outcome]) -> &str {
    match outcomes {
        [Outcome::Released(rejected)] => rejected.code.as_str(),
        other => panic!("not one release: {other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_crash_between_signing_and_sending_sends_the_same_bytes() {
    let world = Arc::new(World::new());
    crash(&world, &Pay::new(1)).await;
    let world = world.restarted();
    let outcomes = world.reconcile().await;
    assert_eq!(one_settled(&outcomes), world.ledger.signed()[0].hash);
    assert_eq!(world.ledger.signed().len(), 1);
    assert_eq!(world.earned(), U256::from(1000));
    assert!(world.reconcile().await.is_empty(), "it is over");
}

#[tokio::test(start_paused = true)]
async fn on_a_chain_with_blocks_it_takes_two_rounds() {
    let world = Arc::new(World::manual());
    crash(&world, &Pay::new(1)).await;
    let world = world.restarted();
    assert!(world.reconcile().await.is_empty());
    assert_eq!(world.devnet.waiting()[0].to_string(), world.ledger.signed()[0].hash);
    assert!(world.reconcile().await.is_empty(), "the node knows it already");
    world.devnet.mine();
    assert_eq!(one_settled(&world.reconcile().await), world.ledger.signed()[0].hash);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_send_answer_is_pending_and_then_found() {
    let world = World::manual();
    world.devnet.inject("eth_sendRawTransaction", Fault::DropAnswer, 100);
    let Ok(Outcome::Pending { transaction }) = world.settle(&Pay::new(1)).await else { panic!("not pending") };
    world.devnet.clear_faults();
    assert!(world.reconcile().await.is_empty());
    world.devnet.mine();
    assert_eq!(one_settled(&world.reconcile().await), transaction);
    assert_eq!(world.earned(), U256::from(1000));
}

#[tokio::test(start_paused = true)]
async fn an_open_payment_somebody_else_carried_out_is_settled_by_theirs() {
    for ours_is_sent in [false, true] {
        let world = Arc::new(World::manual());
        let payment = Pay::new(1);
        crash(&world, &payment).await;
        let world = world.restarted();
        if ours_is_sent {
            assert!(world.reconcile().await.is_empty());
        }
        let theirs = TestUsd::new(USDC, world.devnet.provider_of(&STRANGER))
            .transferWithAuthorization_0(
                payment.from,
                payment.to,
                U256::from(payment.value),
                U256::ZERO,
                U256::from(payment.valid_before),
                payment.nonce,
                payment.ecdsa().into(),
            )
            .gas(200_000)
            .max_priority_fee_per_gas(1_000_000_000)
            .max_fee_per_gas(10_000_000_000)
            .send()
            .await
            .unwrap();
        world.devnet.mine();
        assert_eq!(one_settled(&world.reconcile().await), theirs.tx_hash().to_string());
        assert_eq!(world.earned(), U256::from(1000));
    }
}

#[tokio::test(start_paused = true)]
async fn an_authorization_that_ended_is_released_and_not_sent() {
    let world = Arc::new(World::new());
    crash(&world, &Pay::new(1)).await;
    world.devnet.advance(400);
    world.devnet.mine();
    let world = world.restarted();
    assert_eq!(one_released(&world.reconcile().await), "invalid_exact_evm_payload_authorization_valid_before");
    assert_eq!(world.devnet.calls().of("eth_sendRawTransaction"), 0);
}

/// Somebody else's transaction has the nonce, so the bytes are worthless; the payment is as good as it was.
#[tokio::test(start_paused = true)]
async fn a_payment_whose_slot_is_taken_is_signed_for_another() {
    let world = Arc::new(World::new());
    crash(&world, &Pay::new(1)).await;
    let nothing = TransactionRequest::default().to(FACILITATOR.address);
    let _ = world.devnet.provider_of(&FACILITATOR).send_transaction(nothing).await.unwrap();
    let world = world.restarted();
    assert!(world.reconcile().await.is_empty(), "signed again");
    let outcomes = world.reconcile().await;
    assert_eq!(one_settled(&outcomes), world.ledger.signed().last().unwrap().hash);
    assert_eq!(world.ledger.nonces(), [0, 1]);
    assert_eq!(world.earned(), U256::from(1000));
}

/// A process dies between writing and sending. The next asks the chain for the nonce, gets the same, and pays another
/// payment of the same amount with it before it has looked into the books. What it did is not taken for the first's.
#[tokio::test(start_paused = true)]
async fn a_successor_at_the_same_nonce_is_not_taken_for_the_payment() {
    for together in [1, 2] {
        let world = Arc::new(World::manual());
        // With something unmined, payments wait for company.
        let first = world.settling(&Pay::new(8));
        world.waiting(1).await;
        world.ledger.trouble(Trouble::Crash);
        let dying: Vec<_> = (1..=together).map(|number| world.settling(&Pay::new(number))).collect();
        tokio::time::sleep(Duration::from_secs(1)).await;
        dying.iter().for_each(tokio::task::JoinHandle::abort);
        assert_eq!((world.ledger.nonces(), world.devnet.waiting().len()), (vec![0, 1], 1), "written and not sent");

        let world = Arc::new(world.restarted());
        let successor = world.settling(&Pay::new(9));
        world.waiting(2).await;
        world.devnet.mine();
        settled(successor.await.unwrap());
        settled(first.await.unwrap());
        assert_eq!(world.ledger.nonces(), [0, 1, 1], "one nonce, twice");

        for _ in 0..4 {
            for outcome in world.reconcile().await {
                assert!(matches!(outcome, Outcome::Settled(_)), "{outcome:?}");
            }
            world.devnet.mine();
        }
        assert!(world.handle().open(10).await.unwrap().is_empty());
        assert_eq!(world.ledger.nonces(), [0, 1, 1, 2], "and signed once more, all together");
        assert_eq!(world.earned(), U256::from(1000) * U256::from(2 + together));
    }
}

/// The first of two was never sent and given back, and the process died before it filled the hole. Nobody pays again, and
/// the second must not wait for somebody who does.
#[tokio::test(start_paused = true)]
async fn what_waits_behind_a_nonce_that_a_dead_process_left_out_is_mined() {
    let world = Arc::new(World::unshared());
    let settling: Vec<_> = [1, 2].map(|number| world.settling(&Pay::new(number))).into();
    world.waiting(2).await;
    settling.iter().for_each(tokio::task::JoinHandle::abort);
    let [first, second] = &world.ledger.signed()[..] else { panic!("not two") };
    assert!(world.devnet.evict(&first.hash.parse::<B256>().unwrap()));
    world.ledger.forget(&first.hash);
    let world = world.restarted();
    for _ in 0..4 {
        let outcomes = world.reconcile().await;
        if !outcomes.is_empty() {
            assert_eq!(one_settled(&outcomes), second.hash);
            assert_eq!(world.earned(), U256::from(1000));
            return;
        }
        world.devnet.mine();
    }
    panic!("the second payment still waits");
}

/// The node refused the payment in one slot, and it was signed for the next before the process died. What did not
/// happen in the first slot says nothing about the second.
#[tokio::test(start_paused = true)]
async fn of_two_slots_the_later_speaks_for_the_claim() {
    let world = Arc::new(World::manual());
    let warm = world.settling(&Pay::new(9));
    world.waiting(1).await;
    world.devnet.mine();
    settled(warm.await.unwrap());
    let dear = 1_000_000_000;
    let nothing =
        TransactionRequest::default().to(FACILITATOR.address).max_fee_per_gas(dear).max_priority_fee_per_gas(dear);
    let _ = world.devnet.provider_of(&FACILITATOR).send_transaction(nothing).await.unwrap();
    let settling = world.settling(&Pay::new(1));
    world.waiting(2).await;
    settling.abort();
    // A block that holds the stranger to the slot and not the payment.
    let late = world.ledger.signed().last().unwrap().clone();
    assert!(world.devnet.evict(&late.hash.parse::<B256>().unwrap()));
    world.devnet.mine();
    let world = world.restarted();
    assert!(world.reconcile().await.is_empty(), "sent again, in the second slot");
    world.devnet.mine();
    assert_eq!(one_settled(&world.reconcile().await), late.hash);
}

#[tokio::test(start_paused = true)]
async fn a_reverted_transaction_is_found_reverted() {
    let world = Arc::new(World::manual());
    crash(&world, &Pay::new(1)).await;
    let world = world.restarted();
    assert!(world.reconcile().await.is_empty());
    world.devnet.set_token_balance(USDC, Pay::new(1).from, U256::ZERO);
    world.devnet.mine();
    assert_eq!(one_released(&world.reconcile().await), "invalid_exact_evm_transaction_failed");
}

#[tokio::test(start_paused = true)]
async fn a_node_in_trouble_ends_nothing() {
    let world = Arc::new(World::new());
    crash(&world, &Pay::new(1)).await;
    let world = world.restarted();
    let slot = world.handle().open(1).await.unwrap().remove(0);
    let methods = ["eth_getBlockByNumber", "eth_getTransactionCount", "eth_call", "eth_chainId"];
    for method in methods {
        world.devnet.inject(method, Fault::Refuse, 1);
        assert!(world.evm.settler().unwrap().reconcile(&slot, &world.handle()).await.is_err(), "{method}");
    }
    world.devnet.inject("eth_sendRawTransaction", Fault::Refuse, 1);
    assert!(world.reconcile().await.is_empty());
    one_settled(&world.reconcile().await);
}

#[tokio::test(start_paused = true)]
async fn a_node_of_another_chain_proves_nothing() {
    let world = Arc::new(World::new());
    crash(&world, &Pay::new(1)).await;
    let other = World::with(Mining::Auto, |chain| chain.chain_id(8453), |evm| evm);
    // There the slot is long taken.
    other.devnet.set_nonce(FACILITATOR.address, 100);
    let slot = world.handle().open(1).await.unwrap().remove(0);
    let fault = other.evm.settler().unwrap().reconcile(&slot, &world.handle()).await.unwrap_err();
    assert!(fault.message.contains("chain 8453"), "{fault}");
}
