//! A transaction that is mined and reverts: the reason is read as of its block, and the payment is free again.

use crate::settle::drain;
use crate::support::*;
use std::sync::Arc;
use tollway_core::Rejected;
use tollway_devnet::contracts::addresses::USDC;

/// What is said after `trouble` came before the payment's transaction, in its block.
async fn said(world: &Arc<World>, payment: &Pay, trouble: impl AsyncFnOnce()) -> Rejected {
    let settling = world.settling(payment);
    world.waiting(1).await;
    trouble().await;
    world.devnet.mine();
    let refusal = released(settling.await.unwrap());
    assert_eq!(refusal.transaction, Some(world.ledger.signed().last().unwrap().hash.clone()));
    assert_eq!(refusal.payer, Some(payment.from.to_string()));
    refusal
}

#[tokio::test(start_paused = true)]
async fn money_that_is_gone_is_an_insufficient_balance() {
    let world = Arc::new(World::manual());
    let payment = Pay::new(1);
    let refusal = said(&world, &payment, async || drain(&world, &payment).await).await;
    assert_eq!(refusal.code.as_str(), "invalid_exact_evm_insufficient_balance");
    // The claim is free: with money again, the same payment settles.
    world.devnet.set_token_balance(USDC, payment.from, alloy::primitives::U256::from(1000));
    let settling = world.settling(&payment);
    world.waiting(1).await;
    world.devnet.mine();
    settled(settling.await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn an_authorization_that_ended_before_its_block_is_named() {
    let world = Arc::new(World::manual());
    let late = async || {
        world.devnet.advance(301);
    };
    let refusal = said(&world, &Pay::new(1), late).await;
    assert_eq!(refusal.code.as_str(), "invalid_exact_evm_payload_authorization_valid_before");
}
