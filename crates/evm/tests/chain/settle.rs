//! Settlement: what proves a payment, who may have carried it out instead, and what is not known.

use crate::support::*;
use alloy::primitives::{B256, U256};
use alloy::sol_types::SolStruct as _;
use std::sync::Arc;
use std::time::Duration;
use tollway_core::{FaultKind, Outcome};
use tollway_devnet::accounts::{CLIENT, DEPLOYER, DevAccount, FACILITATOR, PAY_TO, POOR, STRANGER};
use tollway_devnet::contracts::TestUsd;
use tollway_devnet::contracts::addresses::*;
use tollway_devnet::{Fault, Mining};

alloy::sol! {
    struct CancelAuthorization {
        address authorizer;
        bytes32 nonce;
    }
}

/// Tips that put a meddler's transaction before the facilitator's.
pub(crate) const BRIBE: u128 = 1_000_000_000;

/// Carries a payment out in somebody else's name, before the facilitator does.
async fn front_run(world: &World, payment: &Pay, by: &DevAccount) -> B256 {
    let token = TestUsd::new(payment.asset, world.devnet.provider_of(by));
    let pending = token
        .transferWithAuthorization_0(
            payment.from,
            payment.to,
            U256::from(payment.value),
            U256::from(payment.valid_after),
            U256::from(payment.valid_before),
            payment.nonce,
            payment.signature().into(),
        )
        .gas(200_000)
        .max_priority_fee_per_gas(BRIBE)
        .max_fee_per_gas(BRIBE * 10)
        .send()
        .await
        .unwrap();
    *pending.tx_hash()
}

/// Moves a payer's tokens away before the facilitator's transaction.
pub(crate) async fn drain(world: &World, payment: &Pay) {
    let token = TestUsd::new(payment.asset, world.devnet.provider_of(&CLIENT));
    let all = world.devnet.balance_of(payment.asset, CLIENT.address).unwrap();
    let call =
        token.transfer(DEPLOYER.address, all).gas(200_000).max_priority_fee_per_gas(BRIBE).max_fee_per_gas(BRIBE * 10);
    let _ = call.send().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_settlement_is_proven_and_replays_are_refused() {
    let world = World::new();
    let proof = settled(world.settle(&Pay::new(1)).await);
    assert_eq!(proof.payer.as_deref(), Some("0x70997970C51812dc3A010C7d01b50e0d17dc79C8"));
    assert_eq!(proof.amount, None);
    assert_eq!(world.earned(), U256::from(1000));
    let signed = world.ledger.signed();
    assert_eq!(signed.len(), 1);
    assert_eq!(signed[0].hash, proof.transaction);
    assert!(proof.transaction.len() == 66 && proof.transaction.starts_with("0x"), "{}", proof.transaction);
    assert_eq!(signed[0].slot.signer, "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266");
    assert_eq!(signed[0].slot.sequence, Some(0));

    // The ledger forgets; the chain does not.
    let forgetful = World { ledger: Arc::default(), ..world };
    assert_eq!(code(forgetful.settle(&Pay::new(1)).await), "invalid_exact_evm_nonce_already_used");
    assert_eq!(forgetful.earned(), U256::from(1000));
}

/// Without a `/verify` before it (the flow `upfront`) a settlement refuses what a verification would.
#[tokio::test(start_paused = true)]
async fn settling_verifies_by_itself() {
    let world = World::hostile(Mining::Auto);
    let gas = world.devnet.balance(FACILITATOR.address);
    for (payment, refusal) in [
        (Pay::new(1).change(|pay| pay.value = 999), "invalid_exact_evm_payload_authorization_value_mismatch"),
        (Pay::new(1).change(|pay| pay.signer = STRANGER), "invalid_exact_evm_signature"),
        (Pay::new(1).from(POOR.address, POOR), "invalid_exact_evm_insufficient_balance"),
        (Pay::new(1).from(GAS_BURNER_WALLET, STRANGER), "invalid_exact_evm_signature"),
        (Pay::new(1).from(HUGE_ANSWER_WALLET, STRANGER), "invalid_exact_evm_signature"),
        (Pay::new(1).of(STUCK_TOKEN, "Stuck", "1"), "invalid_exact_evm_transaction_simulation_failed"),
        (Pay::new(1).of(FEE_TOKEN, "Fee", "1"), "invalid_exact_evm_transaction_simulation_failed"),
    ] {
        assert_eq!(code(world.settle(&payment).await), refusal);
    }
    assert_eq!(world.devnet.balance(FACILITATOR.address), gas, "no gas was spent");
    assert!(world.ledger.signed().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_contract_wallets_payment_settles() {
    let world = World::new();
    settled(world.settle(&Pay::new(1).from(WALLET_1271, STRANGER)).await);
    assert_eq!(world.earned(), U256::from(1000));
}

#[tokio::test(start_paused = true)]
async fn a_settlement_costs_few_round_trips() {
    let world = World::new();
    settled(world.settle(&Pay::new(1)).await);
    world.devnet.reset_calls();
    settled(world.settle(&Pay::new(2)).await);
    let calls = world.devnet.calls();
    // Probe and estimate in one, the send, a look at the block, the receipt; fees and nonce are known already.
    assert!(calls.round_trips <= 4, "{calls:?}");
    assert_eq!((calls.of("eth_call"), calls.of("eth_estimateGas"), calls.of("eth_sendRawTransaction")), (1, 1, 1));
    assert_eq!((calls.of("eth_feeHistory"), calls.of("eth_getTransactionCount")), (0, 0), "{calls:?}");
    assert_eq!(calls.of("eth_getTransactionReceipt"), 1, "{calls:?}");
}

/// Somebody who saw the authorization carried it out first. The money is where it belongs, and the one who holds the
/// claim is credited with it.
#[tokio::test(start_paused = true)]
async fn attacker_first() {
    let world = Arc::new(World::manual());
    let settling = world.settling(&Pay::new(1));
    world.waiting(1).await;
    let theirs = front_run(&world, &Pay::new(1), &STRANGER).await;
    world.waiting(2).await;
    assert_eq!(world.devnet.mine().transactions[0], theirs);
    let proof = settled(settling.await.unwrap());
    assert_eq!(proof.transaction, theirs.to_string());
    assert_eq!(world.earned(), U256::from(1000), "once");
}

/// Many nodes search few blocks at once.
#[tokio::test(start_paused = true)]
async fn attacker_first_and_a_node_that_searches_little() {
    let world = Arc::new(World::manual());
    for _ in 0..40 {
        world.devnet.mine();
    }
    let settling = world.settling(&Pay::new(1));
    world.waiting(1).await;
    let theirs = front_run(&world, &Pay::new(1), &STRANGER).await;
    world.waiting(2).await;
    let refused = Fault::Error { code: -32005, message: "query exceeds max block range 10".into() };
    world.devnet.inject("eth_getLogs", refused, 3);
    world.devnet.mine();
    assert_eq!(settled(settling.await.unwrap()).transaction, theirs.to_string());
}

#[tokio::test(start_paused = true)]
async fn a_payer_who_cancels_first_has_not_paid() {
    use alloy::signers::SignerSync as _;
    let world = Arc::new(World::manual());
    let payment = Pay::new(1);
    let settling = world.settling(&payment);
    world.waiting(1).await;
    let domain = alloy::sol_types::eip712_domain! {
        name: "USDC", version: "2", chain_id: 84532, verifying_contract: USDC,
    };
    let digest = CancelAuthorization { authorizer: payment.from, nonce: payment.nonce }.eip712_signing_hash(&domain);
    let signature = CLIENT.signer().sign_hash_sync(&digest).unwrap().as_bytes();
    let _ = TestUsd::new(USDC, world.devnet.provider_of(&STRANGER))
        .cancelAuthorization_1(payment.from, payment.nonce, signature.into())
        .gas(200_000)
        .max_priority_fee_per_gas(BRIBE)
        .max_fee_per_gas(BRIBE * 10)
        .send()
        .await
        .unwrap();
    world.waiting(2).await;
    world.devnet.mine();
    let refusal = released(settling.await.unwrap());
    assert_eq!(refusal.code.as_str(), "invalid_exact_evm_nonce_already_used");
    assert_eq!(refusal.transaction, Some(world.ledger.signed()[0].hash.clone()));
    assert_eq!(world.earned(), U256::ZERO);
}

/// Two authorizations with one nonce: what the other one paid to somebody else does not count.
#[tokio::test(start_paused = true)]
async fn the_nonce_used_for_another_payment_has_not_paid() {
    let world = Arc::new(World::manual());
    let settling = world.settling(&Pay::new(1));
    world.waiting(1).await;
    front_run(&world, &Pay::new(1).change(|pay| pay.to = DEPLOYER.address), &STRANGER).await;
    world.waiting(2).await;
    world.devnet.mine();
    let refusal = released(settling.await.unwrap());
    assert_eq!(refusal.code.as_str(), "invalid_exact_evm_nonce_already_used");
    assert_eq!(world.earned(), U256::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_reverted_transaction_releases_the_claim_with_its_hash() {
    let world = Arc::new(World::manual());
    let settling = world.settling(&Pay::new(1));
    world.waiting(1).await;
    drain(&world, &Pay::new(1)).await;
    world.waiting(2).await;
    world.devnet.mine();
    let refusal = released(settling.await.unwrap());
    assert_eq!(refusal.code.as_str(), "invalid_exact_evm_insufficient_balance");
    assert_eq!(refusal.transaction, Some(world.ledger.signed()[0].hash.clone()));
    assert_eq!(refusal.payer.as_deref(), Some("0x70997970C51812dc3A010C7d01b50e0d17dc79C8"));
}

/// The transaction succeeds and nothing happened: no log, no payment.
#[tokio::test(start_paused = true)]
async fn a_silent_token_has_not_paid() {
    let world = Arc::new(World::hostile(Mining::Manual));
    let payment = Pay::new(1).of(SILENT_TOKEN, "Silent", "1");
    let settling = world.settling(&payment);
    world.waiting(1).await;
    drain(&world, &payment).await;
    world.waiting(2).await;
    world.devnet.mine();
    let refusal = released(settling.await.unwrap());
    assert_eq!(refusal.code.as_str(), "invalid_exact_evm_transfer_event_mismatch");
    assert_eq!(refusal.transaction, Some(world.ledger.signed()[0].hash.clone()));
}

/// As above, but the silence hides that somebody else paid with it first.
#[tokio::test(start_paused = true)]
async fn attacker_first_with_a_silent_token() {
    let world = Arc::new(World::hostile(Mining::Manual));
    let payment = Pay::new(1).of(SILENT_TOKEN, "Silent", "1");
    let settling = world.settling(&payment);
    world.waiting(1).await;
    let theirs = front_run(&world, &payment, &STRANGER).await;
    world.waiting(2).await;
    world.devnet.mine();
    assert_eq!(settled(settling.await.unwrap()).transaction, theirs.to_string());
    assert_eq!(world.devnet.balance_of(SILENT_TOKEN, PAY_TO.address).unwrap(), U256::from(1000));
}

#[tokio::test(start_paused = true)]
async fn money_that_moves_without_a_log_is_no_proof() {
    let world = World::hostile(Mining::Auto);
    let refusal = released(world.settle(&Pay::new(1).of(NO_EVENT_TOKEN, "No Event", "1")).await);
    assert_eq!(refusal.code.as_str(), "invalid_exact_evm_transfer_event_mismatch");
}

#[tokio::test(start_paused = true)]
async fn a_block_that_does_not_come_in_time_leaves_it_pending() {
    let world = World::manual();
    let Ok(Outcome::Pending { transaction }) = world.settle(&Pay::new(1)).await else { panic!("not pending") };
    assert_eq!(transaction, world.ledger.signed()[0].hash);
}

/// The node took the transaction and its answer was lost: it was sent all the same.
#[tokio::test(start_paused = true)]
async fn a_dropped_send_answer_is_no_failure() {
    let world = World::new();
    world.devnet.inject("eth_sendRawTransaction", Fault::DropAnswer, 1);
    let proof = settled(world.settle(&Pay::new(1)).await);
    assert_eq!(proof.transaction, world.ledger.signed()[0].hash);
    assert_eq!(world.ledger.signed().len(), 1, "one signature");
    assert_eq!(world.earned(), U256::from(1000));
}

/// The connection broke before the node had it. Nobody can tell the two apart, so the same bytes go again.
#[tokio::test(start_paused = true)]
async fn a_send_that_did_not_arrive_is_sent_again_with_the_same_bytes() {
    let world = World::new();
    world.devnet.inject("eth_sendRawTransaction", Fault::Refuse, 3);
    let proof = settled(world.settle(&Pay::new(1)).await);
    assert_eq!(world.ledger.signed().len(), 1, "one signature");
    assert_eq!(proof.transaction, world.ledger.signed()[0].hash);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_forgets_gets_the_same_bytes_again() {
    let world = Arc::new(World::manual());
    let settling = world.settling(&Pay::new(1));
    world.waiting(1).await;
    assert!(world.devnet.evict(&world.devnet.waiting()[0]));
    world.waiting(1).await;
    world.devnet.mine();
    settled(settling.await.unwrap());
    assert_eq!(world.ledger.signed().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_block_that_is_taken_back_is_waited_for_again() {
    let world = Arc::new(World::manual());
    let settling = world.settling(&Pay::new(1));
    world.waiting(1).await;
    // The receipt is lost on the way, and then the block is gone.
    world.devnet.inject("eth_getTransactionReceipt", Fault::Refuse, 1);
    world.devnet.mine();
    tokio::time::sleep(Duration::from_millis(200)).await;
    if !settling.is_finished() {
        world.devnet.reorg(1).unwrap();
        world.waiting(1).await;
        world.devnet.mine();
    }
    settled(settling.await.unwrap());
    assert_eq!(world.earned(), U256::from(1000));
}

#[tokio::test(start_paused = true)]
async fn trouble_while_the_proof_is_read_is_no_failure() {
    let world = World::new();
    for method in ["eth_getBlockByNumber", "eth_getTransactionReceipt"] {
        world.devnet.inject(method, Fault::Refuse, 2);
        world.devnet.inject(method, Fault::Error { code: -32603, message: "internal error".into() }, 2);
    }
    settled(world.settle(&Pay::new(1)).await);
}

#[tokio::test(start_paused = true)]
async fn a_spike_of_the_base_fee_is_not_paid_above_the_cap() {
    let world = World::with(Mining::Auto, |chain| chain, |evm| evm.max_fee_per_gas(50_000_000));
    world.devnet.set_base_fee(60_000_000);
    let fault = fault(world.settle(&Pay::new(1)).await);
    assert_eq!(fault.kind, FaultKind::Overloaded);
    assert!(fault.retry && fault.message.contains("maxFeePerGas"), "{fault}");
    assert!(world.ledger.signed().is_empty());
    // A payer's verification needs no gas.
    world.verify(&Pay::new(1)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_payment_that_takes_more_gas_than_allowed_is_refused() {
    let world = World::with(Mining::Auto, |chain| chain, |evm| evm.max_gas(50_000));
    assert_eq!(code(world.settle(&Pay::new(1)).await), "invalid_exact_evm_transaction_simulation_failed");
    assert!(world.ledger.signed().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_chain_that_cannot_be_asked_settles_nothing() {
    for method in ["eth_call", "eth_estimateGas", "eth_feeHistory", "eth_getTransactionCount"] {
        let world = World::new();
        world.devnet.inject(method, Fault::Error { code: -32005, message: "limit exceeded".into() }, 1);
        let fault = fault(world.settle(&Pay::new(1)).await);
        assert_eq!((fault.kind, fault.retry), (FaultKind::Unreachable, true), "{method} {fault}");
        assert!(world.ledger.signed().is_empty());
        settled(world.settle(&Pay::new(1)).await);
    }
}
