//! Verification: one round trip whatever the verdict, and each verdict of the specification.

use crate::support::*;
use alloy::primitives::{Address, U256};
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;
use tollway_core::FaultKind;
use tollway_devnet::accounts::{CLIENT, NO_ALLOWANCE, POOR, STRANGER};
use tollway_devnet::contracts::addresses::*;
use tollway_devnet::{Fault, Mining};

/// Refused with this code, and for one round trip.
async fn refused_in_one(world: &World, payment: &Pay, code: &str) {
    world.devnet.reset_calls();
    assert_eq!(world.refused(payment).await, code);
    assert_eq!(world.devnet.calls().round_trips, 1);
}

/// Refused with this code, without asking the chain.
async fn refused_locally(world: &World, payment: &Pay, code: &str) {
    world.devnet.reset_calls();
    assert_eq!(world.refused(payment).await, code);
    assert_eq!(world.devnet.calls().round_trips, 0);
}

#[tokio::test(start_paused = true)]
async fn a_valid_payment_costs_one_round_trip() {
    let world = World::new();
    for nonce in 1..=3 {
        world.devnet.reset_calls();
        let verified = world.verify(&Pay::new(nonce)).await.unwrap();
        assert_eq!(verified.payer.as_deref(), Some("0x70997970C51812dc3A010C7d01b50e0d17dc79C8"));
        let calls = world.devnet.calls();
        assert_eq!((calls.round_trips, calls.of("eth_call"), calls.total()), (1, 1, 1));
    }
    assert_eq!(world.earned(), U256::ZERO, "nothing moved");
}

#[tokio::test(start_paused = true)]
async fn row_10_high_s_odd_v_compact_and_short_signatures_are_refused() {
    let world = World::new();
    let good = Pay::new(1);
    let bytes = good.ecdsa();
    let mut high = bytes.clone();
    let order = "0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141".parse::<U256>().unwrap();
    high[32..64].copy_from_slice(&(order - U256::from_be_slice(&bytes[32..64])).to_be_bytes::<32>());
    high[64] ^= 27 ^ 28;
    let mut parity = bytes.clone();
    parity[64] -= 27;
    let mut odd = bytes.clone();
    odd[64] = 29;
    let mut compact = bytes[..64].to_vec();
    compact[32] |= (bytes[64] - 27) << 7;
    let long = [&bytes[..], &[0]].concat();
    for forged in [high, parity, odd, compact, bytes[..10].to_vec(), Vec::new(), long, vec![0; 65], vec![0xff; 65]] {
        let payment = good.clone().change(|pay| pay.signature = Some(forged));
        refused_in_one(&world, &payment, "invalid_exact_evm_signature").await;
    }
    let somebody_elses = good.clone().change(|pay| pay.signer = STRANGER);
    refused_in_one(&world, &somebody_elses, "invalid_exact_evm_signature").await;
    let endless = good.change(|pay| pay.signature = Some(vec![0; 5000]));
    refused_locally(&world, &endless, "invalid_exact_evm_signature").await;
}

#[tokio::test(start_paused = true)]
async fn rows_11_to_14_cost_no_round_trip() {
    let world = World::new();
    type Change = fn(&mut Pay);
    let rows: [(&str, Change); 5] = [
        ("invalid_exact_evm_payload_authorization_value_mismatch", |pay| pay.value = 999),
        ("invalid_exact_evm_payload_authorization_value_mismatch", |pay| pay.value = 1001),
        ("invalid_exact_evm_recipient_mismatch", |pay| pay.to = STRANGER.address),
        ("invalid_exact_evm_payload_authorization_valid_before", |pay| pay.valid_before = NOW + 5),
        ("invalid_exact_evm_payload_authorization_valid_after", |pay| pay.valid_after = NOW + 1),
    ];
    for (code, change) in rows {
        refused_locally(&world, &Pay::new(1).change(change), code).await;
    }
}

#[tokio::test(start_paused = true)]
async fn row_15_used_nonce() {
    let world = World::new();
    settled(world.settle(&Pay::new(1)).await);
    refused_in_one(&world, &Pay::new(1), "invalid_exact_evm_nonce_already_used").await;
    world.verify(&Pay::new(2)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn row_16_poor_payer_is_insufficient_balance() {
    let world = World::new();
    let poor = Pay::new(1).from(POOR.address, POOR);
    refused_in_one(&world, &poor, "invalid_exact_evm_insufficient_balance").await;
    world.devnet.set_token_balance(USDC, POOR.address, U256::from(999));
    refused_in_one(&world, &poor, "invalid_exact_evm_insufficient_balance").await;
    world.devnet.set_token_balance(USDC, POOR.address, U256::from(1000));
    world.verify(&poor).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_asset_must_be_a_token_with_eip_3009_under_its_own_name() {
    let world = World::new();
    let nowhere = Pay::new(1).of(Address::repeat_byte(0x77), "USDC", "2");
    refused_in_one(&world, &nowhere, "asset_not_deployed_contract").await;
    let plain = Pay::new(1).of(PLAIN, "PLAIN", "1");
    refused_in_one(&world, &plain, "invalid_exact_evm_eip3009_not_supported").await;
    let wallet = Pay::new(1).of(WALLET_1271, "USDC", "2");
    refused_in_one(&world, &wallet, "invalid_exact_evm_eip3009_not_supported").await;
    let renamed = Pay::new(1).of(USDC, "USD Coin", "2");
    refused_in_one(&world, &renamed, "invalid_exact_evm_token_name_mismatch").await;
    let other_version = Pay::new(1).of(USDC, "USDC", "1");
    refused_in_one(&world, &other_version, "invalid_exact_evm_token_version_mismatch").await;
}

#[tokio::test(start_paused = true)]
async fn a_contract_wallet_answers_for_itself() {
    let world = World::new();
    let owned = Pay::new(1).from(WALLET_1271, STRANGER);
    world.devnet.reset_calls();
    let verified = world.verify(&owned).await.unwrap();
    assert_eq!(verified.payer, Some(WALLET_1271.to_string()));
    assert_eq!(world.devnet.calls().round_trips, 1);
    let not_owned = Pay::new(1).from(WALLET_1271, CLIENT);
    refused_in_one(&world, &not_owned, "invalid_exact_evm_signature").await;
    let garbage = Pay::new(1).from(WALLET_1271, STRANGER).change(|pay| pay.signature = Some(vec![1; 130]));
    refused_in_one(&world, &garbage, "invalid_exact_evm_signature").await;
}

/// A delegated account (EIP-7702) has code, so its key alone is not believed.
#[tokio::test(start_paused = true)]
async fn a_delegated_account_is_asked_and_its_key_is_not_believed() {
    let world = World::hostile(Mining::Auto);
    let delegate = |to: Address| [&[0xef, 0x01, 0x00][..], to.as_slice()].concat();
    world.devnet.set_code(CLIENT.address, delegate(REVERTING_WALLET));
    refused_in_one(&world, &Pay::new(1), "invalid_exact_evm_signature").await;
    // This wallet, without an owner in storage, takes the account's own key.
    world.devnet.set_code(CLIENT.address, delegate(WALLET_1271));
    world.verify(&Pay::new(1)).await.unwrap();
    settled(world.settle(&Pay::new(1)).await);
}

#[tokio::test(start_paused = true)]
async fn gas_burning_megabyte_and_lying_wallets_are_refused_in_one_round_trip() {
    let world = World::hostile(Mining::Auto);
    for wallet in [
        GAS_BURNER_WALLET,
        HUGE_ANSWER_WALLET,
        PADDED_MAGIC_WALLET,
        DIRTY_MAGIC_WALLET,
        SHORT_MAGIC_WALLET,
        REVERTING_WALLET,
    ] {
        let payment = Pay::new(1).from(wallet, STRANGER);
        refused_in_one(&world, &payment, "invalid_exact_evm_signature").await;
    }
}

#[tokio::test(start_paused = true)]
async fn row_18_foreign_6492_factory() {
    use alloy::sol_types::SolCall as _;
    let world = World::new();
    let steal = tollway_devnet::contracts::TestUsd::transferCall { to: STRANGER.address, value: U256::from(1) };
    let absent = Pay::new(1).from(Address::repeat_byte(0x55), STRANGER).wrapped(USDC, &steal.abi_encode());
    refused_in_one(&world, &absent, "eip6492_factory_not_allowed").await;
    assert_eq!(code(world.settle(&absent).await), "eip6492_factory_not_allowed");
    let key_account = Pay::new(1).wrapped(USDC, &steal.abi_encode());
    refused_in_one(&world, &key_account, "eip6492_factory_not_allowed").await;
    assert!(world.ledger.signed().is_empty());
    assert_eq!(world.devnet.balance_of(USDC, STRANGER.address).unwrap(), U256::ZERO);
}

/// A wallet that is deployed by now still gets wrapped signatures from old clients: the wrapper is opened.
#[tokio::test(start_paused = true)]
async fn a_wrapper_around_a_deployed_wallets_signature_is_opened() {
    let world = World::new();
    let payment = Pay::new(1).from(WALLET_1271, STRANGER).wrapped(WALLET_1271_FACTORY, b"deploy");
    world.verify(&payment).await.unwrap();
    settled(world.settle(&payment).await);
}

/// An honest token reverts where this one does nothing, successfully.
#[tokio::test(start_paused = true)]
async fn silent_token() {
    let world = World::hostile(Mining::Auto);
    let pay = |nonce| Pay::new(nonce).of(SILENT_TOKEN, "Silent", "1");
    world.verify(&pay(1)).await.unwrap();
    settled(world.settle(&pay(1)).await);
    refused_in_one(&world, &pay(1), "invalid_exact_evm_nonce_already_used").await;
    let poor = pay(2).from(POOR.address, POOR);
    refused_in_one(&world, &poor, "invalid_exact_evm_transaction_simulation_failed").await;
}

#[tokio::test(start_paused = true)]
async fn tokens_that_move_less_than_the_value_are_refused() {
    let world = World::hostile(Mining::Auto);
    for (token, name) in [(STUCK_TOKEN, "Stuck"), (FEE_TOKEN, "Fee")] {
        let payment = Pay::new(1).of(token, name, "1");
        refused_in_one(&world, &payment, "invalid_exact_evm_transaction_simulation_failed").await;
    }
}

#[tokio::test(start_paused = true)]
async fn paying_oneself_and_paying_nothing_are_payments() {
    let world = World::new();
    let oneself = Pay::new(1).change(|pay| (pay.to, pay.pay_to) = (CLIENT.address, CLIENT.address));
    world.verify(&oneself).await.unwrap();
    let nothing = Pay::new(2).change(|pay| (pay.value, pay.amount) = (0, 0));
    world.verify(&nothing).await.unwrap();
}

/// The facilitator's clock and the chain's need not agree.
#[tokio::test(start_paused = true)]
async fn lying_time() {
    let world = World::new();
    let payment = Pay::new(1);
    // The chain is past the end, the facilitator is not.
    world.devnet.advance(400);
    refused_in_one(&world, &payment, "invalid_exact_evm_transaction_simulation_failed").await;
    assert_eq!(code(world.settle(&payment).await), "invalid_exact_evm_transaction_simulation_failed");
    // The facilitator is past the end.
    let world = World::new();
    world.clock.0.store(NOW + 295, SeqCst);
    refused_locally(&world, &payment, "invalid_exact_evm_payload_authorization_valid_before").await;
    // The facilitator's clock is behind by years.
    world.clock.0.store(0, SeqCst);
    let begins = payment.change(|pay| pay.valid_after = NOW - 10);
    refused_locally(&world, &begins, "invalid_exact_evm_payload_authorization_valid_after").await;
}

#[tokio::test(start_paused = true)]
async fn a_node_in_trouble_is_a_fault_and_no_verdict() {
    let world = World::new();
    let trouble = [
        (Fault::DropAnswer, FaultKind::Unreachable),
        (Fault::Refuse, FaultKind::Unreachable),
        (Fault::Status(503), FaultKind::Unreachable),
        (Fault::Status(429), FaultKind::Overloaded),
        (Fault::Status(401), FaultKind::Configuration),
        (Fault::Error { code: -32005, message: "limit exceeded".into() }, FaultKind::Unreachable),
        (Fault::Delay(Duration::from_secs(60)), FaultKind::Timeout),
    ];
    for (planned, kind) in trouble {
        world.devnet.inject("eth_call", planned, 1);
        let fault = crate::support::fault(world.verify(&Pay::new(1)).await);
        assert_eq!((fault.kind, fault.sent), (kind, tollway_core::Sent::No), "{fault}");
        assert!(fault.message.starts_with("eip155:84532: "), "{fault}");
    }
    world.verify(&Pay::new(1)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_node_of_another_chain_is_a_configuration_fault() {
    let world = World::with(Mining::Auto, |chain| chain.chain_id(8453), |evm| evm);
    let fault = crate::support::fault(world.verify(&Pay::new(1)).await);
    assert_eq!(fault.kind, FaultKind::Configuration);
    assert!(fault.message.contains("chain 8453"), "{fault}");
    let fault = crate::support::fault(world.settle(&Pay::new(1)).await);
    assert_eq!(fault.kind, FaultKind::Configuration);
    assert!(world.ledger.signed().is_empty());
}

#[tokio::test(start_paused = true)]
async fn many_payers_are_told_apart() {
    let world = World::new();
    world.verify(&Pay::new(1)).await.unwrap();
    world.verify(&Pay::new(1).from(NO_ALLOWANCE.address, NO_ALLOWANCE)).await.unwrap();
    let mixed = Pay::new(1).from(NO_ALLOWANCE.address, CLIENT);
    assert_eq!(world.refused(&mixed).await, "invalid_exact_evm_signature");
}
