//! Wallets that sign before they exist (ERC-6492): nobody's factory is called but the listed ones, and those by nobody
//! who has anything.

use crate::support::*;
use alloy::primitives::{Address, B256, U256};
use alloy::sol_types::SolCall as _;
use std::sync::Arc;
use tollway_devnet::Mining;
use tollway_devnet::accounts::{CLIENT, FACILITATOR, STRANGER};
use tollway_devnet::contracts::addresses::*;
use tollway_devnet::contracts::{TestUsd, Wallet1271Factory};

/// A world that may call these factories.
fn allowing(mining: Mining, factories: &[Address]) -> World {
    World::with(mining, |chain| chain, |evm| evm.erc6492_factories(factories.iter().copied()))
}

/// A wallet of `stranger` that is not there yet and has money, and a payment of it.
async fn absent(world: &World, salt: u8) -> (Address, Pay) {
    let factory = Wallet1271Factory::new(WALLET_1271_FACTORY, world.devnet.provider());
    let salt = B256::repeat_byte(salt);
    let wallet = factory.addressOf(STRANGER.address, salt).call().await.unwrap();
    world.devnet.set_token_balance(USDC, wallet, U256::from(5000));
    let create = Wallet1271Factory::createCall { owner: STRANGER.address, salt };
    (wallet, Pay::new(1).from(wallet, STRANGER).wrapped(WALLET_1271_FACTORY, &create.abi_encode()))
}

async fn refused_in_one(world: &World, payment: &Pay, code: &str) {
    world.devnet.reset_calls();
    assert_eq!(world.refused(payment).await, code);
    assert_eq!(world.devnet.calls().round_trips, 1);
}

#[tokio::test(start_paused = true)]
async fn without_a_listed_factory_an_absent_wallet_is_refused() {
    let world = World::new();
    let (_, payment) = absent(&world, 1).await;
    refused_in_one(&world, &payment, "eip6492_factory_not_allowed").await;
    assert_eq!(code(world.settle(&payment).await), "eip6492_factory_not_allowed");
    let world = allowing(Mining::Auto, &[Address::repeat_byte(0x66)]);
    let (_, payment) = absent(&world, 1).await;
    refused_in_one(&world, &payment, "eip6492_factory_not_allowed").await;
}

#[tokio::test(start_paused = true)]
async fn a_listed_factorys_wallet_verifies_in_one_round_trip_and_settles() {
    let world = allowing(Mining::Auto, &[WALLET_1271_FACTORY]);
    let (wallet, payment) = absent(&world, 1).await;
    world.devnet.reset_calls();
    assert_eq!(world.verify(&payment).await.unwrap().payer, Some(wallet.to_string()));
    assert_eq!(world.devnet.calls().round_trips, 1);
    assert!(world.devnet.code(wallet).is_empty(), "looking makes nothing");

    let proof = settled(world.settle(&payment).await);
    assert_eq!(proof.payer, Some(wallet.to_string()));
    assert_eq!(proof.transaction, world.ledger.signed()[0].hash);
    assert_eq!(world.ledger.signed().len(), 1, "one transaction makes the wallet and pays");
    assert_eq!(world.earned(), U256::from(1000));
    assert!(!world.devnet.code(wallet).is_empty());
    refused_in_one(&world, &payment, "invalid_exact_evm_nonce_already_used").await;

    // From now on the factory is not called, wrapper or not.
    let plain = Pay::new(2).from(wallet, STRANGER);
    settled(world.settle(&plain).await);
    let wrapped = Pay::new(3).from(wallet, STRANGER).wrapped(WALLET_1271_FACTORY, b"nonsense");
    settled(world.settle(&wrapped).await);
    assert_eq!(world.earned(), U256::from(3000));
}

/// Somebody makes the wallet after the payment was sent: the factory's part fails or does nothing, the payment goes on.
#[tokio::test(start_paused = true)]
async fn a_wallet_somebody_else_makes_first_pays_all_the_same() {
    let world = Arc::new(allowing(Mining::Manual, &[WALLET_1271_FACTORY]));
    let (_, payment) = absent(&world, 1).await;
    let settling = world.settling(&payment);
    world.waiting(1).await;
    let _ = Wallet1271Factory::new(WALLET_1271_FACTORY, world.devnet.provider_of(&STRANGER))
        .create(STRANGER.address, B256::repeat_byte(1))
        .gas(1_000_000)
        .max_priority_fee_per_gas(1_000_000_000)
        .max_fee_per_gas(10_000_000_000)
        .send()
        .await
        .unwrap();
    world.waiting(2).await;
    world.devnet.mine();
    settled(settling.await.unwrap());
    assert_eq!(world.earned(), U256::from(1000));
}

#[tokio::test(start_paused = true)]
async fn a_signature_the_new_wallet_does_not_confirm_is_refused() {
    let world = allowing(Mining::Auto, &[WALLET_1271_FACTORY]);
    let (wallet, payment) = absent(&world, 1).await;
    let create = Wallet1271Factory::createCall { owner: STRANGER.address, salt: B256::repeat_byte(1) }.abi_encode();
    let forged = Pay::new(1).from(wallet, CLIENT).wrapped(WALLET_1271_FACTORY, &create);
    refused_in_one(&world, &forged, "invalid_exact_evm_signature").await;
    // The factory makes a wallet, and another one than the payer's.
    let other = Wallet1271Factory::createCall { owner: STRANGER.address, salt: B256::repeat_byte(2) }.abi_encode();
    let elsewhere = Pay::new(1).from(wallet, STRANGER).wrapped(WALLET_1271_FACTORY, &other);
    refused_in_one(&world, &elsewhere, "smart_wallet_deployment_failed").await;
    let nonsense = Pay::new(1).from(wallet, STRANGER).wrapped(WALLET_1271_FACTORY, b"nonsense");
    refused_in_one(&world, &nonsense, "smart_wallet_deployment_failed").await;
    world.verify(&payment).await.unwrap();
    // Nobody can call it without Multicall3.
    world.devnet.set_code(MULTICALL3, Vec::new());
    refused_in_one(&world, &payment, "smart_wallet_deployment_failed").await;
    assert_eq!(code(world.settle(&payment).await), "smart_wallet_deployment_failed");
    assert!(world.ledger.signed().is_empty());
}

/// The facilitator's account is rich, careless with allowances, and its operator lists the token itself as a factory.
#[tokio::test(start_paused = true)]
async fn a_factory_that_is_the_token_moves_nothing_of_the_facilitators() {
    let world = allowing(Mining::Auto, &[USDC]);
    let rich = U256::from(1_000_000);
    world.devnet.set_token_balance(USDC, FACILITATOR.address, rich);
    world.devnet.set_allowance(USDC, FACILITATOR.address, STRANGER.address, U256::MAX);
    let (from, to, value) = (FACILITATOR.address, STRANGER.address, U256::from(1000));
    let calls = [
        TestUsd::transferCall { to, value }.abi_encode(),
        TestUsd::transferFromCall { from, to, value }.abi_encode(),
        TestUsd::approveCall { spender: to, value }.abi_encode(),
    ];
    let absent = Address::repeat_byte(0x55);
    world.devnet.set_token_balance(USDC, absent, rich);
    let gas = world.devnet.balance(FACILITATOR.address);
    for payer in [absent, STRANGER.address, CLIENT.address] {
        for call in &calls {
            let attack = Pay::new(1).from(payer, STRANGER).wrapped(USDC, call);
            refused_in_one(&world, &attack, "smart_wallet_deployment_failed").await;
            assert_eq!(code(world.settle(&attack).await), "smart_wallet_deployment_failed");
        }
    }
    // The wallet is there, so the call is not made at all.
    let opened = Pay::new(2).from(WALLET_1271, STRANGER).wrapped(USDC, &calls[0]);
    settled(world.settle(&opened).await);
    assert_eq!(world.devnet.balance_of(USDC, FACILITATOR.address).unwrap(), rich);
    assert_eq!(world.devnet.balance_of(USDC, STRANGER.address).unwrap(), U256::ZERO);
    assert_eq!(world.ledger.signed().len(), 1, "the opened one");
    assert!(world.devnet.balance(FACILITATOR.address) < gas);
}

/// With ever more gas allowed: too little for the factory, for both together, enough.
#[tokio::test(start_paused = true)]
async fn making_a_wallet_counts_towards_the_gas_of_a_payment() {
    let mut answers = Vec::new();
    for gas in (100_000..=500_000).step_by(20_000) {
        let world =
            World::with(Mining::Auto, |chain| chain, |evm| evm.erc6492_factories([WALLET_1271_FACTORY]).max_gas(gas));
        let (_, payment) = absent(&world, 1).await;
        let answer = match world.settle(&payment).await {
            Ok(outcome) => settled(Ok(outcome)).transaction[..2].to_owned(),
            refused => code(refused),
        };
        assert_eq!(world.ledger.signed().is_empty(), answer != "0x");
        if answers.last() != Some(&answer) {
            answers.push(answer);
        }
    }
    let codes = ["smart_wallet_deployment_failed", "invalid_exact_evm_transaction_simulation_failed", "0x"];
    assert_eq!(answers, codes);
}

/// A wallet that is made within a payment is sponsored, and days have their end.
#[tokio::test(start_paused = true)]
async fn where_nothing_is_sponsored_no_wallet_is_made() {
    let world = World::with(
        Mining::Auto,
        |chain| chain,
        |evm| evm.erc6492_factories([WALLET_1271_FACTORY]).sponsored_per_payer(0),
    );
    let (wallet, payment) = absent(&world, 1).await;
    refused_in_one(&world, &payment, "invalid_exact_evm_payload_undeployed_smart_wallet").await;
    assert_eq!(code(world.settle(&payment).await), "invalid_exact_evm_payload_undeployed_smart_wallet");
    assert!(world.ledger.signed().is_empty());
    let factory = Wallet1271Factory::new(WALLET_1271_FACTORY, world.devnet.provider_of(&STRANGER));
    let _ = factory.create(STRANGER.address, B256::repeat_byte(1)).send().await.unwrap();
    assert!(!world.devnet.code(wallet).is_empty());
    settled(world.settle(&payment).await);
}
