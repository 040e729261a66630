//! What an operator sponsors in a day has an end, and a spike of the base fee is nobody's to sponsor.

use super::sponsor::enriched;
use super::*;
use std::sync::atomic::Ordering::SeqCst;
use tollway_core::FaultKind;
use tollway_devnet::accounts::{FRESH_2612, FRESH_ERC20, FRESH_UPTO};
use tollway_evm::EvmBuilder;

fn world(evm: impl FnOnce(EvmBuilder) -> EvmBuilder) -> World {
    World::with(Mining::Auto, |chain| chain, evm)
}

/// Pays once, sponsored.
async fn sponsored(world: &World, payer: &DevAccount, asset: Address) -> Result<Outcome, Failure> {
    let (raw, offer) = enriched(world, payer, asset).await;
    settle(world, &*world.side, &raw, &offer).await
}

#[tokio::test(start_paused = true)]
async fn a_payer_is_sponsored_so_often_in_a_day() {
    let world = world(|evm| evm.sponsored_per_payer(2));
    for _ in 0..2 {
        settled(sponsored(&world, &FRESH_2612, USDC).await);
    }
    let (raw, offer) = enriched(&world, &FRESH_2612, USDC).await;
    assert_eq!(refused(&world, &raw, &offer, 1).await, "permit2_allowance_required");
    assert_eq!(code(settle(&world, &*world.side, &raw, &offer).await), "permit2_allowance_required");
    assert_eq!((world.ledger.signed().len(), world.earned()), (2, U256::from(2000)));
    // Others have days of their own, and so has whoever does not need it.
    settled(sponsored(&world, &FRESH_UPTO, USDC).await);
    let (raw, offer) = pay(&world, &CLIENT).await;
    settled(settle(&world, &*world.side, &raw, &offer).await);
    world.devnet.set_allowance(USDC, FRESH_2612.address, PERMIT2, U256::MAX);
    let (raw, offer) = pay(&world, &FRESH_2612).await;
    settled(settle(&world, &*world.side, &raw, &offer).await);

    world.clock.0.fetch_add(86_400, SeqCst);
    world.devnet.set_allowance(USDC, FRESH_2612.address, PERMIT2, U256::ZERO);
    settled(sponsored(&world, &FRESH_2612, USDC).await);
}

#[tokio::test(start_paused = true)]
async fn all_sponsored_payments_of_a_day_have_so_much_gas() {
    let world = world(|evm| evm.max_gas(300_000).sponsored_gas(599_999));
    settled(sponsored(&world, &FRESH_2612, USDC).await);
    let refusal = sponsored(&world, &FRESH_UPTO, USDC).await;
    assert_eq!(code(refusal), "permit2_allowance_required");
    assert_eq!(world.ledger.signed().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_approval_is_not_sent_where_nothing_is_sponsored() {
    let world = world(|evm| evm.sponsored_per_payer(0));
    assert_eq!(code(sponsored(&world, &FRESH_ERC20, PLAIN).await), "permit2_allowance_required");
    assert_eq!(world.devnet.calls().of("eth_sendRawTransaction"), 0);
}

/// Nothing is sent while gas is dearer than allowed, and nothing of the payer's day is taken.
#[tokio::test(start_paused = true)]
async fn a_spike_of_the_base_fee_sponsors_nothing_and_takes_nothing_of_the_day() {
    let world = world(|evm| evm.sponsored_per_payer(1).max_fee_per_gas(50_000_000));
    world.devnet.set_base_fee(60_000_000);
    for _ in 0..3 {
        let fault = fault(sponsored(&world, &FRESH_2612, USDC).await);
        assert_eq!((fault.kind, fault.retry), (FaultKind::Overloaded, true), "{fault}");
    }
    // The node refuses what was signed: that is not sent either.
    world.devnet.set_base_fee(10_000_000);
    let broke = tollway_devnet::Fault::Error { code: -32000, message: "insufficient funds for gas".into() };
    world.devnet.inject("eth_sendRawTransaction", broke, 1);
    fault(sponsored(&world, &FRESH_2612, USDC).await);
    assert_eq!(world.earned(), U256::ZERO);
    settled(sponsored(&world, &FRESH_2612, USDC).await);
    assert_eq!(code(sponsored(&world, &FRESH_2612, USDC).await), "permit2_allowance_required");
}
