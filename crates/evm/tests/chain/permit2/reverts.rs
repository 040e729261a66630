//! A permit's transaction that is mined and reverts: the reason is read as of its block.

use super::*;
use tollway_devnet::contracts::TestUsd;

/// What is said after `trouble` came before the payment's transaction, in its block.
async fn said(world: &Arc<World>, trouble: impl AsyncFnOnce()) -> Rejected {
    let (raw, offer) = pay(world, &CLIENT).await;
    let settling = waiting(world, &raw, &offer).await;
    trouble().await;
    world.devnet.mine();
    let refusal = released(settling.await.unwrap());
    assert_eq!(refusal.transaction, Some(world.ledger.signed()[0].hash.clone()));
    assert_eq!(world.earned(), U256::ZERO);
    refusal
}

#[tokio::test(start_paused = true)]
async fn an_allowance_that_is_taken_back_is_named() {
    let world = Arc::new(World::manual());
    let revoke = async || {
        let token = TestUsd::new(USDC, world.devnet.provider_of(&CLIENT));
        let call = token.approve(PERMIT2, U256::ZERO).gas(200_000);
        let _ = call.max_priority_fee_per_gas(BRIBE).max_fee_per_gas(BRIBE * 10).send().await.unwrap();
    };
    assert_eq!(said(&world, revoke).await.code.as_str(), "permit2_allowance_required");
}

#[tokio::test(start_paused = true)]
async fn money_that_is_gone_is_an_insufficient_balance() {
    let world = Arc::new(World::manual());
    let drain = async || crate::settle::drain(&world, &Pay::new(1)).await;
    assert_eq!(said(&world, drain).await.code.as_str(), "permit2_insufficient_balance");
}

#[tokio::test(start_paused = true)]
async fn a_permit_that_ended_before_its_block_is_named() {
    let world = Arc::new(World::manual());
    let late = async || {
        world.devnet.advance(301);
    };
    assert_eq!(said(&world, late).await.code.as_str(), "permit2_deadline_expired");
}
