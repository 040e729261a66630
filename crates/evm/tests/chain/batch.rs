//! Payments that share a transaction: each is proven by itself, and none suffers from its neighbours.

use crate::support::*;
use alloy::primitives::{Address, B256, Bytes, U256};
use alloy::providers::Provider as _;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tollway_core::{Failure, FaultKind, Ledger as _, Outcome, Sent};
use tollway_devnet::accounts::{CLIENT, DEPLOYER, DevAccount, FRESH_2612, FRESH_UPTO, NO_ALLOWANCE, POOR, STRANGER};
use tollway_devnet::contracts::addresses::*;
use tollway_devnet::contracts::{GasBurnerWallet, Multicall3, TestUsd};
use tollway_devnet::{DevnetBuilder, Fault, Mining, Token};

type Settling = tokio::task::JoinHandle<Result<Outcome, Failure>>;

/// Payments of `client` with nonces from this number on.
fn pays(from: u16, count: u16) -> Vec<Pay> {
    (from..from + count).map(|number| Pay::new(0).change(|pay| pay.nonce = B256::from(U256::from(number)))).collect()
}

fn of(account: DevAccount, nonce: u8) -> Pay {
    Pay::new(nonce).from(account.address, account)
}

/// Lets a payment be in flight, so that the next ones wait for company, and settles those.
async fn in_company(world: &Arc<World>, payments: &[Pay]) -> Vec<Settling> {
    let first = world.settling(&Pay::new(0xff));
    world.waiting(1).await;
    let mut settling = vec![first];
    settling.extend(payments.iter().map(|payment| world.settling(payment)));
    settling
}

async fn outcomes(settling: Vec<Settling>) -> Vec<Result<Outcome, Failure>> {
    let mut outcomes = Vec::new();
    for settling in settling {
        outcomes.push(settling.await.unwrap());
    }
    outcomes
}

async fn target(world: &World, hash: &str) -> (Option<Address>, u64) {
    let hash: B256 = hash.parse().unwrap();
    let receipt = world.devnet.provider().get_transaction_receipt(hash).await.unwrap().unwrap();
    (receipt.to, receipt.gas_used)
}

#[tokio::test(start_paused = true)]
async fn fifty_waiting_payments_share_one_transaction_and_each_is_proven() {
    let world = Arc::new(World::manual());
    let settling = in_company(&world, &pays(1, 50)).await;
    world.waiting(2).await;
    assert_eq!(world.devnet.mine().transactions.len(), 2);
    let proofs: Vec<_> = outcomes(settling).await.into_iter().map(settled).collect();
    assert_eq!(world.earned(), U256::from(51_000));
    assert_eq!(world.ledger.nonces(), [0, 1]);
    let hashes: BTreeSet<&str> = proofs[1..].iter().map(|proof| &*proof.transaction).collect();
    assert_eq!(hashes.into_iter().collect::<Vec<_>>(), [&*world.ledger.signed()[1].hash]);
    assert!(world.handle().open(10).await.unwrap().is_empty(), "every claim ended");

    let (to, gas) = target(&world, &proofs[1].transaction).await;
    assert_eq!(to, Some(MULTICALL3));
    assert!(gas / 50 <= 43_000, "{} gas for each", gas / 50);
    let (to, alone) = target(&world, &proofs[0].transaction).await;
    assert_eq!(to, Some(USDC), "a lone payment goes direct");
    assert!(alone > 60_000, "{alone}");
}

#[tokio::test(start_paused = true)]
async fn payments_in_company_cost_less_than_a_call_each() {
    let world = Arc::new(World::manual());
    let warm = world.settling(&Pay::new(0xfe));
    world.waiting(1).await;
    world.devnet.mine();
    settled(warm.await.unwrap());
    world.devnet.reset_calls();
    let settling = in_company(&world, &pays(1, 63)).await;
    world.waiting(2).await;
    world.devnet.mine();
    outcomes(settling).await.into_iter().map(settled).for_each(drop);
    let calls = world.devnet.calls();
    assert!(calls.total() <= 64, "{calls:?}");
    assert_eq!((calls.of("eth_estimateGas"), calls.of("eth_sendRawTransaction")), (0, 2), "{calls:?}");
}

#[tokio::test(start_paused = true)]
async fn more_than_fits_takes_several_transactions() {
    for sharing in [
        |evm: tollway_evm::EvmBuilder| evm.batch_max_payments(10),
        // Nine at 100 000 each, before anything is known of the token.
        |evm: tollway_evm::EvmBuilder| evm.batch_max_gas(1_000_000),
    ] {
        let world = Arc::new(World::with(Mining::Manual, |chain| chain, sharing));
        let settling: Vec<_> = pays(1, 25).iter().map(|payment| world.settling(payment)).collect();
        world.waiting(3).await;
        world.devnet.mine();
        outcomes(settling).await.into_iter().map(settled).for_each(drop);
        assert_eq!(world.earned(), U256::from(25_000));
        assert_eq!(world.ledger.nonces(), [0, 1, 2]);
    }
}

/// One that would fail is found when all are tried, goes alone and gets the refusal it would have got alone.
#[tokio::test(start_paused = true)]
async fn what_would_fail_is_left_behind_with_its_own_refusal() {
    let world = Arc::new(World::manual());
    let mut payments = pays(1, 4);
    payments.insert(2, of(POOR, 1));
    payments.push(of(NO_ALLOWANCE, 2).change(|pay| pay.valid_after = NOW));
    let settling = in_company(&world, &payments).await;
    world.waiting(2).await;
    world.devnet.mine();
    let mut outcomes = outcomes(settling).await;
    // `validAfter` is now: good by the clock, and not yet by the token, which wants it to be past.
    assert_eq!(code(outcomes.pop().unwrap()), "invalid_exact_evm_transaction_simulation_failed");
    assert_eq!(code(outcomes.remove(3)), "invalid_exact_evm_insufficient_balance");
    outcomes.into_iter().map(settled).for_each(drop);
    assert_eq!(world.earned(), U256::from(5000));
}

/// A payer's money is gone before the block: that call fails and no other.
#[tokio::test(start_paused = true)]
async fn one_bad_payment_never_fails_its_neighbours() {
    let world = Arc::new(World::manual());
    let mut payments = pays(1, 9);
    payments.insert(4, of(NO_ALLOWANCE, 1));
    let settling = in_company(&world, &payments).await;
    world.waiting(2).await;
    world.devnet.set_token_balance(USDC, NO_ALLOWANCE.address, U256::ZERO);
    world.devnet.mine();
    let mut outcomes = outcomes(settling).await;
    let refusal = released(outcomes.remove(5));
    assert_eq!(refusal.code.as_str(), "invalid_exact_evm_insufficient_balance");
    assert_eq!(refusal.transaction, Some(world.ledger.signed()[1].hash.clone()));
    assert_eq!(refusal.payer, Some(NO_ALLOWANCE.address.to_string()));
    outcomes.into_iter().map(settled).for_each(drop);
    assert_eq!(world.earned(), U256::from(10_000));
    assert_eq!(world.ledger.nonces(), [0, 1], "nothing was sent again");
}

/// A payer without code gets some before the block, which burns all the gas it is given, and nothing is left for
/// anybody. His neighbours go again, alone, and settle; what is wasted is what one transaction may cost.
#[tokio::test(start_paused = true)]
async fn a_payer_that_burns_gas_delays_its_neighbours_by_a_block_and_no_more() {
    let world = Arc::new(World::manual());
    let mut payments = pays(1, 8);
    payments.insert(2, of(NO_ALLOWANCE, 1));
    let settling = in_company(&world, &payments).await;
    world.waiting(2).await;
    world.devnet.set_code(NO_ALLOWANCE.address, GasBurnerWallet::DEPLOYED_BYTECODE.clone());
    world.devnet.mine();
    world.waiting(8).await;
    assert_eq!(world.earned(), U256::from(1000));
    world.devnet.mine();
    let mut outcomes = outcomes(settling).await;
    assert_eq!(released(outcomes.remove(3)).code.as_str(), "invalid_exact_evm_signature");
    let proofs: Vec<_> = outcomes.into_iter().map(settled).collect();
    assert_eq!(world.earned(), U256::from(9000), "once each");
    let hashes: BTreeSet<_> = proofs.iter().map(|proof| &proof.transaction).collect();
    assert_eq!(hashes.len(), 9, "each alone");
    assert!(world.handle().open(10).await.unwrap().is_empty());
}

/// A payer with code is never called in company, whatever it answers today.
#[tokio::test(start_paused = true)]
async fn contract_wallets_and_unknown_tokens_go_alone() {
    let token = Address::with_last_byte(0x77);
    let odd = |chain: DevnetBuilder| chain.token(token, Token::new("Odd", "ODD", "1", 6));
    let world = Arc::new(World::with(Mining::Manual, odd, |evm| evm));
    world.devnet.set_token_balance(token, CLIENT.address, U256::from(1_000_000));
    let wallet = Pay::new(1).from(WALLET_1271, STRANGER);
    let unknown = Pay::new(2).of(token, "Odd", "1");
    let settling = in_company(&world, &[wallet, unknown, Pay::new(3), Pay::new(4)]).await;
    world.waiting(4).await;
    world.devnet.mine();
    let proofs: Vec<_> = outcomes(settling).await.into_iter().map(settled).collect();
    assert_eq!(target(&world, &proofs[1].transaction).await.0, Some(USDC));
    assert_eq!(target(&world, &proofs[2].transaction).await.0, Some(token));
    assert_eq!(proofs[3].transaction, proofs[4].transaction);
}

/// Delegated accounts (EIP-7702) have keys that sign, and code that is asked instead.
#[tokio::test(start_paused = true)]
async fn a_delegated_account_goes_alone() {
    let world = Arc::new(World::manual());
    let delegation = Bytes::from([&[0xef, 0x01, 0x00][..], WALLET_1271.as_slice()].concat());
    world.devnet.set_code(NO_ALLOWANCE.address, delegation);
    world.devnet.set_storage(NO_ALLOWANCE.address, U256::ZERO, NO_ALLOWANCE.address.into_word().into());
    let settling = in_company(&world, &[of(NO_ALLOWANCE, 1), Pay::new(2), Pay::new(3)]).await;
    world.waiting(3).await;
    world.devnet.mine();
    let proofs: Vec<_> = outcomes(settling).await.into_iter().map(settled).collect();
    assert_eq!(target(&world, &proofs[1].transaction).await.0, Some(USDC));
    assert_eq!(proofs[2].transaction, proofs[3].transaction);
}

/// Two payments whose `Transfer` logs are the same, and money for one of them.
#[tokio::test(start_paused = true)]
async fn of_two_equal_payments_only_the_one_that_ran_is_credited() {
    let world = Arc::new(World::manual());
    let settling = in_company(&world, &[of(NO_ALLOWANCE, 1), of(NO_ALLOWANCE, 2), Pay::new(3)]).await;
    world.waiting(2).await;
    world.devnet.set_token_balance(USDC, NO_ALLOWANCE.address, U256::from(1999));
    world.devnet.mine();
    let mut outcomes = outcomes(settling).await;
    settled(outcomes.remove(1));
    assert_eq!(released(outcomes.remove(1)).code.as_str(), "invalid_exact_evm_insufficient_balance");
    assert_eq!(world.earned(), U256::from(3000));
}

/// The payer carries two authorizations out in one transaction: one pays the shop, the other, under the nonce of a
/// second payment to the shop, pays himself. The shop's one transfer is credited once.
#[tokio::test(start_paused = true)]
async fn a_transfer_beside_a_nonce_that_paid_somebody_else_is_not_credited_twice() {
    let world = Arc::new(World::unshared());
    let settling: Vec<_> = [Pay::new(1), Pay::new(2)].iter().map(|payment| world.settling(payment)).collect();
    world.waiting(2).await;
    let call = |payment: &Pay| Multicall3::Call3 {
        target: USDC,
        allowFailure: false,
        callData: alloy::sol_types::SolCall::abi_encode(&TestUsd::transferWithAuthorization_0Call {
            from: payment.from,
            to: payment.to,
            value: U256::from(payment.value),
            validAfter: U256::from(payment.valid_after),
            validBefore: U256::from(payment.valid_before),
            nonce: payment.nonce,
            signature: payment.signature().into(),
        })
        .into(),
    };
    let to_himself = Pay::new(2).change(|pay| pay.to = DEPLOYER.address);
    let pending = Multicall3::new(MULTICALL3, world.devnet.provider_of(&STRANGER))
        .aggregate3(vec![call(&Pay::new(1)), call(&to_himself)])
        .gas(400_000)
        .max_priority_fee_per_gas(1_000_000_000)
        .max_fee_per_gas(10_000_000_000)
        .send()
        .await
        .unwrap();
    world.waiting(3).await;
    assert_eq!(world.devnet.mine().transactions[0], *pending.tx_hash());
    let mut outcomes = outcomes(settling).await;
    assert_eq!(released(outcomes.remove(1)).code.as_str(), "invalid_exact_evm_nonce_already_used");
    assert_eq!(settled(outcomes.remove(0)).transaction, pending.tx_hash().to_string());
    assert_eq!(world.earned(), U256::from(1000));
}

/// Somebody carries one of them out first: it is settled by theirs, and its neighbours by ours.
#[tokio::test(start_paused = true)]
async fn attacker_first_in_company() {
    let world = Arc::new(World::manual());
    let settling = in_company(&world, &[Pay::new(1), Pay::new(2), Pay::new(3)]).await;
    world.waiting(2).await;
    let payment = Pay::new(2);
    let theirs = TestUsd::new(USDC, world.devnet.provider_of(&STRANGER))
        .transferWithAuthorization_0(
            payment.from,
            payment.to,
            U256::from(payment.value),
            U256::ZERO,
            U256::from(payment.valid_before),
            payment.nonce,
            payment.signature().into(),
        )
        .gas(200_000)
        .max_priority_fee_per_gas(1_000_000_000)
        .max_fee_per_gas(10_000_000_000)
        .send()
        .await
        .unwrap();
    world.waiting(3).await;
    world.devnet.mine();
    let proofs: Vec<_> = outcomes(settling).await.into_iter().map(settled).collect();
    assert_eq!(proofs[2].transaction, theirs.tx_hash().to_string());
    assert_eq!(proofs[1].transaction, proofs[3].transaction);
    assert_eq!(world.earned(), U256::from(4000));
}

#[tokio::test(start_paused = true)]
async fn a_chain_without_multicall3_settles_one_by_one() {
    let world = Arc::new(World::manual());
    world.devnet.set_code(MULTICALL3, Bytes::new());
    assert!(world.evm.status().unwrap().shares);
    let settling = in_company(&world, &pays(1, 4)).await;
    world.waiting(5).await;
    world.devnet.mine();
    outcomes(settling).await.into_iter().map(settled).for_each(drop);
    assert!(!world.evm.status().unwrap().shares, "it is not tried again");
}

#[tokio::test(start_paused = true)]
async fn a_node_that_does_not_try_payments_together_gets_them_one_by_one() {
    let world = Arc::new(World::manual());
    let first = world.settling(&Pay::new(0xff));
    world.waiting(1).await;
    let refused = Fault::Error { code: -32000, message: "max initcode size exceeded".into() };
    world.devnet.inject("eth_call", refused, 1);
    let mut settling = vec![first];
    settling.extend(pays(1, 3).iter().map(|payment| world.settling(payment)));
    world.waiting(4).await;
    world.devnet.mine();
    outcomes(settling).await.into_iter().map(settled).for_each(drop);
}

#[tokio::test(start_paused = true)]
async fn a_chain_that_cannot_be_asked_sends_none_of_them() {
    for method in ["eth_call", "eth_feeHistory"] {
        let world = Arc::new(World::manual());
        world.devnet.inject(method, Fault::Refuse, 1);
        let settling: Vec<_> = pays(1, 3).iter().map(|payment| world.settling(payment)).collect();
        for outcome in outcomes(settling).await {
            let fault = fault(outcome);
            assert_eq!((fault.kind, fault.sent), (FaultKind::Unreachable, Sent::No), "{fault}");
        }
        assert!(world.ledger.signed().is_empty());
    }
}

/// Each ledger is told of its own payments only.
#[tokio::test(start_paused = true)]
async fn payments_of_two_ledgers_share_nothing() {
    let world = World::manual();
    let other = World {
        devnet: world.devnet.clone(),
        evm: world.evm.clone(),
        side: world.side.clone(),
        ledger: Arc::default(),
        clock: world.clock.clone(),
    };
    let (world, other) = (Arc::new(world), Arc::new(other));
    let mut settling = in_company(&world, &pays(1, 3)).await;
    settling.extend(pays(4, 3).iter().map(|payment| other.settling(payment)));
    world.waiting(3).await;
    world.devnet.mine();
    outcomes(settling).await.into_iter().map(settled).for_each(drop);
    assert_eq!((world.ledger.signed().len(), other.ledger.signed().len()), (2, 1));
}

/// As much is unmined as may be: the others wait for a block. Those that wait too long were certainly not sent.
#[tokio::test(start_paused = true)]
async fn a_full_lane_makes_payments_wait_and_says_so() {
    let narrow = |evm: tollway_evm::EvmBuilder| evm.max_unmined(1).batch_max_payments(2);
    let world = Arc::new(World::with(Mining::Manual, |chain| chain, narrow));
    let settling = in_company(&world, &pays(1, 4)).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(world.devnet.waiting().len(), 1);
    let signer = world.evm.status().unwrap().signers.remove(0);
    assert_eq!((signer.unmined, signer.waiting), (1, 4));

    // The first is given up as pending after ten seconds; two of the four go in its place.
    let outcomes = outcomes(settling).await;
    let pending = |outcome: &Result<Outcome, Failure>| matches!(outcome, Ok(Outcome::Pending { .. }));
    assert_eq!(outcomes.iter().map(pending).collect::<Vec<_>>(), [true, true, true, false, false]);
    for outcome in outcomes.into_iter().skip(3) {
        let fault = fault(outcome);
        assert_eq!((fault.kind, fault.sent, fault.retry), (FaultKind::Overloaded, Sent::No, true));
        assert!(fault.message.contains("waited too long"), "{fault}");
    }
    world.devnet.mine();
    assert_eq!(world.reconcile().await.len(), 3);
    assert_eq!(world.earned(), U256::from(3000));
}

/// A settlement whose caller is gone before it was sent is not sent.
#[tokio::test(start_paused = true)]
async fn who_leaves_while_waiting_is_not_sent() {
    let world = Arc::new(World::with(Mining::Manual, |chain| chain, |evm| evm.max_unmined(1)));
    let settling = in_company(&world, &pays(1, 3)).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    settling[2].abort();
    tokio::task::yield_now().await;
    world.devnet.mine();
    world.waiting(1).await;
    world.devnet.mine();
    let mut settling = settling;
    assert!(settling.remove(2).await.unwrap_err().is_cancelled());
    outcomes(settling).await.into_iter().map(settled).for_each(drop);
    assert_eq!(world.earned(), U256::from(3000));
}

/// The process dies between writing and sending: the same bytes go out after the start, and each claim ends by its own
/// logs.
#[tokio::test(start_paused = true)]
async fn a_crash_with_payments_in_company_loses_none_and_doubles_none() {
    let world = Arc::new(World::manual());
    let mut payments = pays(1, 5);
    payments.push(of(FRESH_2612, 1));
    let first = world.settling(&Pay::new(0xff));
    world.waiting(1).await;
    world.ledger.trouble(Trouble::Crash);
    let settling: Vec<_> = payments.iter().map(|payment| world.settling(payment)).collect();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!((world.ledger.signed().len(), world.devnet.waiting().len()), (2, 1));
    settling.iter().for_each(Settling::abort);
    world.devnet.set_token_balance(USDC, FRESH_2612.address, U256::ZERO);
    world.devnet.mine();
    settled(first.await.unwrap());

    let restarted = world.restarted();
    assert!(restarted.reconcile().await.is_empty(), "sent again");
    world.devnet.mine();
    let outcomes = restarted.reconcile().await;
    let hash = &world.ledger.signed()[1].hash;
    let done = |outcome: &Outcome| matches!(outcome, Outcome::Settled(settled) if settled.transaction == *hash);
    assert_eq!(outcomes.iter().filter(|outcome| done(outcome)).count(), 5);
    let freed = |outcome: &Outcome| matches!(outcome, Outcome::Released(refused) if refused.code.as_str() == "invalid_exact_evm_transaction_failed");
    assert_eq!(outcomes.iter().filter(|outcome| freed(outcome)).count(), 1);
    assert_eq!(world.earned(), U256::from(6000));
    assert!(world.handle().open(10).await.unwrap().is_empty());
}

/// Payers of all kinds together, in a lane that mines as it goes.
#[tokio::test(start_paused = true)]
async fn several_payers_settle_on_a_chain_that_mines_at_once() {
    let world = Arc::new(World::new());
    let mut payments = pays(1, 30);
    for (at, account) in [NO_ALLOWANCE, FRESH_2612, FRESH_UPTO].into_iter().enumerate() {
        payments.insert(at * 7, of(account, 1));
    }
    let settling: Vec<_> = payments.iter().map(|payment| world.settling(payment)).collect();
    outcomes(settling).await.into_iter().map(settled).for_each(drop);
    assert_eq!(world.earned(), U256::from(33_000));
    assert!(world.ledger.open(10).await.unwrap().is_empty());
}
