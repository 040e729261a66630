//! A signer's transactions: many in flight, no gaps, and what nodes refuse.

use crate::support::*;
use alloy::primitives::{B256, U256};
use alloy::providers::Provider as _;
use alloy::rpc::types::TransactionRequest;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tollway_core::{FaultKind, Outcome};
use tollway_devnet::accounts::{DEPLOYER, FACILITATOR};
use tollway_devnet::{Fault, Mining};
use tollway_evm::ExactFacilitator;

fn pay(number: u16) -> Pay {
    Pay::new(0).change(|pay| pay.nonce = B256::from(U256::from(number) + U256::from(1)))
}

#[tokio::test(start_paused = true)]
async fn sixty_four_payments_are_in_flight_at_once_and_settle_in_one_block() {
    let world = Arc::new(World::unshared());
    let settling: Vec<_> = (0..64).map(|number| world.settling(&pay(number))).collect();
    world.waiting(64).await;
    let calls = world.devnet.calls();
    assert_eq!(calls.of("eth_sendRawTransaction"), 64);
    assert_eq!((calls.of("eth_feeHistory"), calls.of("eth_getTransactionCount")), (1, 1), "shared");
    assert_eq!(world.devnet.mine().transactions.len(), 64);
    let mut hashes = BTreeSet::new();
    for settling in settling {
        hashes.insert(settled(settling.await.unwrap()).transaction);
    }
    assert_eq!(hashes.len(), 64);
    assert_eq!(world.earned(), U256::from(64_000));
    let mut nonces = world.ledger.nonces();
    nonces.sort_unstable();
    assert_eq!(nonces, (0..64).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn of_several_signers_the_least_busy_one_pays() {
    let world = World::unshared();
    let side = Arc::new(ExactFacilitator::new(world.evm.clone(), &[key(&FACILITATOR), key(&DEPLOYER)]).unwrap());
    let world = Arc::new(World { side, ..world });
    let settling: Vec<_> = (0..8).map(|number| world.settling(&pay(number))).collect();
    world.waiting(8).await;
    world.devnet.mine();
    for settling in settling {
        settled(settling.await.unwrap());
    }
    let of = |signer: &str| world.ledger.signed().iter().filter(|tx| tx.slot.signer == signer).count();
    assert!(of("0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266") > 0);
    assert!(of("0xa0Ee7A142d267C1f36714E4a8F75612F20a79720") > 0);
}

/// A signer that another process signs with is left to it; only where there is no other the payment goes there.
#[tokio::test(start_paused = true)]
async fn a_signer_held_elsewhere_signs_nothing_here() {
    let world = World::new();
    let side = Arc::new(ExactFacilitator::new(world.evm.clone(), &[key(&FACILITATOR), key(&DEPLOYER)]).unwrap());
    let world = World { side, ..world };
    world.ledger.lose(&FACILITATOR);
    for number in 0..3 {
        settled(world.settle(&pay(number)).await);
    }
    let ours = |tx: &tollway_core::SignedTx| tx.slot.signer == DEPLOYER.address.to_string();
    assert!(world.ledger.signed().iter().all(ours));

    world.ledger.lose(&DEPLOYER);
    world.devnet.reset_calls();
    let fault = fault(world.settle(&pay(9)).await);
    assert!(fault.held_elsewhere.is_some(), "{fault}");
    assert_eq!((world.devnet.calls().total(), world.ledger.signed().len()), (0, 3), "nothing was asked or signed");
}

/// Another program sends with the same key: its nonces are found out about, and the payment gets the next.
#[tokio::test(start_paused = true)]
async fn a_nonce_somebody_else_used_is_passed_over() {
    let world = World::new();
    settled(world.settle(&pay(0)).await);
    let other = world.devnet.provider_of(&FACILITATOR);
    for _ in 0..3 {
        let nothing = TransactionRequest::default().to(FACILITATOR.address).value(U256::from(1));
        let _ = other.send_transaction(nothing).await.unwrap();
    }
    settled(world.settle(&pay(1)).await);
    assert_eq!(world.ledger.nonces(), [0, 1, 4]);
    settled(world.settle(&pay(2)).await);
    assert_eq!(world.ledger.nonces(), [0, 1, 4, 5]);
}

/// Another program's transaction waits in the slot.
#[tokio::test(start_paused = true)]
async fn an_occupied_slot_is_passed_over() {
    let world = Arc::new(World::manual());
    let first = world.settling(&pay(0));
    world.waiting(1).await;
    world.devnet.mine();
    settled(first.await.unwrap());
    let dear = 1_000_000_000;
    let nothing =
        TransactionRequest::default().to(FACILITATOR.address).max_fee_per_gas(dear).max_priority_fee_per_gas(dear);
    let _ = world.devnet.provider_of(&FACILITATOR).send_transaction(nothing).await.unwrap();
    let second = world.settling(&pay(1));
    world.waiting(2).await;
    world.devnet.mine();
    settled(second.await.unwrap());
    assert_eq!(world.ledger.nonces(), [0, 1, 2]);
}

#[tokio::test(start_paused = true)]
async fn a_fee_that_is_too_low_is_raised() {
    let world = World::new();
    let low =
        Fault::Error { code: -32000, message: "max fee per gas less than block base fee: maxFeePerGas: 1".into() };
    world.devnet.inject("eth_sendRawTransaction", low, 2);
    settled(world.settle(&pay(0)).await);
    assert_eq!(world.ledger.nonces(), [0, 0, 0], "always the same slot");
    let hashes: BTreeSet<_> = world.ledger.signed().into_iter().map(|tx| tx.hash).collect();
    assert_eq!(hashes.len(), 3, "dearer each time");
}

#[tokio::test(start_paused = true)]
async fn a_signer_without_money_for_gas_is_a_fault_that_names_it() {
    let world = World::new();
    let gas = world.devnet.balance(FACILITATOR.address);
    world.devnet.set_balance(FACILITATOR.address, U256::ZERO);
    let fault = fault(world.settle(&pay(0)).await);
    assert_eq!(fault.kind, FaultKind::Configuration);
    assert!(fault.message.contains("to 0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"), "{fault}");
    world.devnet.set_balance(FACILITATOR.address, gas);
    settled(world.settle(&pay(0)).await);
    assert_eq!(world.ledger.nonces(), [0, 0], "the nonce was free again");
}

#[tokio::test(start_paused = true)]
async fn a_store_that_fails_sends_nothing_and_leaves_no_gap() {
    let world = World::new();
    world.ledger.trouble(Trouble::Fails);
    let fault = fault(world.settle(&pay(0)).await);
    assert_eq!(fault.message, "the store is gone");
    assert_eq!(world.devnet.calls().of("eth_sendRawTransaction"), 0);
    settled(world.settle(&pay(1)).await);
    assert_eq!(world.ledger.nonces(), [0]);
}

/// The node refuses one of three for good, and takes the two behind it: a transaction of nothing fills the gap.
#[tokio::test(start_paused = true)]
async fn a_gap_is_filled() {
    let world = Arc::new(World::unshared());
    let refused = Fault::Error { code: -32000, message: "insufficient funds for gas * price + value".into() };
    // While the first is being sent the others queue up, and go in one request.
    world.devnet.inject("eth_sendRawTransaction", Fault::Delay(Duration::from_secs(1)), 1);
    world.devnet.inject("eth_sendRawTransaction", refused, 1);
    let first = world.settling(&pay(9));
    world.waiting(1).await;
    let settling: Vec<_> = (0..3).map(|number| world.settling(&pay(number))).collect();
    world.waiting(4).await;
    world.devnet.mine();
    settled(first.await.unwrap());
    let mut outcomes = Vec::new();
    for settling in settling {
        outcomes.push(settling.await.unwrap());
    }
    assert_eq!(outcomes.iter().filter(|outcome| matches!(outcome, Ok(Outcome::Settled(_)))).count(), 2);
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_err()).count(), 1);
    assert_eq!(world.earned(), U256::from(3000));
    assert!(world.devnet.waiting().is_empty());
    assert_eq!(world.ledger.nonces(), [0, 1, 2, 3, 1]);
}

/// One in ten sends fails, in every way there is. Nothing is lost, nothing is paid twice, no transaction is stuck.
#[tokio::test(start_paused = true)]
async fn two_hundred_payments_through_trouble() {
    let world = Arc::new(World::with(
        Mining::Manual,
        |chain| chain,
        |evm| evm.settle_timeout(Duration::from_secs(600)).batch_max_payments(1),
    ));
    let settling: Vec<_> = (0..200)
        .map(|number| {
            match number % 40 {
                3 => world.devnet.inject("eth_sendRawTransaction", Fault::DropAnswer, 1),
                13 => world.devnet.inject("eth_sendRawTransaction", Fault::Refuse, 1),
                23 => world.devnet.inject("eth_sendRawTransaction", Fault::Status(503), 1),
                33 => {
                    let message = "nonce too low: next nonce 9".to_owned();
                    world.devnet.inject("eth_sendRawTransaction", Fault::Error { code: -32000, message }, 1);
                }
                _ => {}
            }
            world.settling(&pay(number))
        })
        .collect();
    let miner = {
        let world = world.clone();
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(Duration::from_millis(500)).await;
                world.devnet.mine();
            }
        })
    };
    for settling in settling {
        settled(settling.await.unwrap());
    }
    miner.abort();
    assert_eq!(world.earned(), U256::from(200_000));
    assert!(world.devnet.waiting().is_empty());
}
