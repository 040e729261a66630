//! The proxies through which x402 pays by Permit2: what they refuse, and in whose name they act.
#![allow(clippy::unwrap_used, reason = "a helper of tests that fails fails the test")]

mod common;

use alloy::primitives::{Address, Bytes, U256, b256, keccak256};
use alloy::rpc::types::TransactionReceipt;
use alloy::signers::SignerSync as _;
use alloy::sol_types::{Revert, SolCall as _, SolError as _, SolStruct as _, eip712_domain};
use common::permit2::{Approval, Call, Payment, exact, refusal, send, upto};
use common::{NOW, devnet, parts};
use tollway_devnet::Devnet;
use tollway_devnet::accounts::{CLIENT, DevAccount, FACILITATOR, FRESH_2612, PAY_TO, STRANGER};
use tollway_devnet::contracts::addresses::{
    EXACT_PERMIT2_PROXY, PERMIT2, PLAIN, UPTO_PERMIT2_PROXY, USDC, WALLET_1271,
};
use tollway_devnet::contracts::{Permit2, TestUsd, X402ExactPermit2Proxy as Exact, X402UptoPermit2Proxy as Upto};

fn earned(devnet: &Devnet) -> U256 {
    devnet.balance_of(USDC, PAY_TO.address).unwrap()
}

async fn allowance(devnet: &Devnet, owner: &DevAccount) -> U256 {
    TestUsd::new(USDC, devnet.provider()).allowance(owner.address, PERMIT2).call().await.unwrap()
}

/// The same payment of 1,000 in both schemes.
fn both(label: &str) -> [Payment; 2] {
    [Payment::exact(label), Payment::upto(label, FACILITATOR.address)]
}

async fn refused(devnet: &Devnet, call: Call, with: [u8; 4]) {
    assert_eq!(refusal(devnet, FACILITATOR.address, call).await, with);
}

#[tokio::test]
async fn the_types_are_those_of_the_protocol() {
    let devnet = devnet();
    let exact_proxy = Exact::new(EXACT_PERMIT2_PROXY, devnet.provider());
    let upto_proxy = Upto::new(UPTO_PERMIT2_PROXY, devnet.provider());
    assert_eq!(exact_proxy.PERMIT2().call().await.unwrap(), PERMIT2);
    assert_eq!(upto_proxy.PERMIT2().call().await.unwrap(), PERMIT2);

    let witness = b256!("0xd97b3239a7f32295517bd14cb074edfdd188dfe5eb42f802bb26d4fd1eb12c37");
    assert_eq!(exact_proxy.WITNESS_TYPEHASH().call().await.unwrap(), witness);
    assert_eq!(keccak256(exact::Witness::eip712_encode_type().as_bytes()), witness);
    let witness = b256!("0xd4171c445a74218b01d4fd8af34ff1106580ea1e36ff837e64484bfaa2253b75");
    assert_eq!(upto_proxy.WITNESS_TYPEHASH().call().await.unwrap(), witness);
    assert_eq!(keccak256(upto::Witness::eip712_encode_type().as_bytes()), witness);

    let permissions = b256!("0x618358ac3db8dc274f0cd8829da7e234bd48cd73c4a740aede1adec9846d06a1");
    assert_eq!(keccak256(exact::TokenPermissions::eip712_encode_type().as_bytes()), permissions);

    // Permit2 puts the proxies' part of the type behind its own.
    let begin = "PermitWitnessTransferFrom(TokenPermissions permitted,address spender,uint256 nonce,uint256 deadline,"
        .to_owned();
    let whole = begin.clone() + &exact_proxy.WITNESS_TYPE_STRING().call().await.unwrap();
    assert_eq!(whole, exact::PermitWitnessTransferFrom::eip712_encode_type());
    assert_eq!(keccak256(whole), b256!("0xebc156cd23678a74c94df13d772ef5478420637f0c94bd10d509e1dc98f521c7"));
    let whole = begin + &upto_proxy.WITNESS_TYPE_STRING().call().await.unwrap();
    assert_eq!(whole, upto::PermitWitnessTransferFrom::eip712_encode_type());
    assert_eq!(keccak256(whole), b256!("0x51dff6974ad4388c499e7fcfe838d2bd767162553a144098ce20ea661d70c2ee"));
}

#[tokio::test]
async fn a_payment_settles_once() {
    for payment in both("once") {
        let devnet = devnet();
        let call = payment.settle(1_000, &payment.signed(&CLIENT));
        let receipt = send(&devnet, &FACILITATOR, call.clone()).await;
        assert!(receipt.status() && receipt.decoded_log::<Exact::Settled>().is_some());
        refused(&devnet, call, Permit2::InvalidNonce::SELECTOR).await;
        // A broken signature makes no other error of it.
        refused(&devnet, payment.settle(1_000, &Bytes::new()), Permit2::InvalidNonce::SELECTOR).await;
        assert_eq!(earned(&devnet), U256::from(1_000));
    }
}

#[tokio::test]
async fn what_was_not_signed_is_refused() {
    let devnet = devnet();
    let other = Address::with_last_byte(9);
    for signed in both("signed") {
        let signature = signed.signed(&CLIENT);
        for altered in [
            Payment { amount: U256::from(999), ..signed.clone() },
            Payment { to: STRANGER.address, ..signed.clone() },
            Payment { token: PLAIN, ..signed.clone() },
            Payment { nonce: signed.nonce + U256::ONE, ..signed.clone() },
            Payment { deadline: signed.deadline + U256::ONE, ..signed.clone() },
            Payment { valid_after: U256::ONE, ..signed.clone() },
            Payment { from: FRESH_2612.address, ..signed.clone() },
        ] {
            refused(&devnet, altered.settle(999, &signature), Permit2::InvalidSigner::SELECTOR).await;
        }
        // Signed for another chain.
        let domain = eip712_domain! { name: "Permit2", chain_id: 1, verifying_contract: PERMIT2, };
        let foreign = CLIENT.signer().sign_hash_sync(&signed.digest_in(&domain)).unwrap().as_bytes();
        refused(&devnet, signed.settle(999, &foreign.into()), Permit2::InvalidSigner::SELECTOR).await;
    }
    // The spender: one proxy's payment is nothing to the other.
    let exact = Payment::exact("signed");
    let upto = Payment { facilitator: Some(FACILITATOR.address), ..exact.clone() };
    refused(&devnet, upto.settle(1, &exact.signed(&CLIENT)), Permit2::InvalidSigner::SELECTOR).await;
    refused(&devnet, exact.settle(1, &upto.signed(&CLIENT)), Permit2::InvalidSigner::SELECTOR).await;
    // The facilitator: naming another one than was signed does not help him.
    let renamed = Payment::upto("signed", other);
    let call = renamed.settle(1, &upto.signed(&CLIENT));
    assert_eq!(refusal(&devnet, other, call).await, Permit2::InvalidSigner::SELECTOR);
    assert!(earned(&devnet).is_zero());
}

#[tokio::test]
async fn time_limits_include_their_second() {
    let devnet = devnet();
    for payment in both("time") {
        let expired = Payment { deadline: U256::from(NOW - 1), ..payment.clone() };
        let data = refusal(&devnet, FACILITATOR.address, expired.settle(1, &expired.signed(&CLIENT))).await;
        assert_eq!(data, Permit2::SignatureExpired { signatureDeadline: expired.deadline }.abi_encode());
        let early = Payment { valid_after: U256::from(NOW + 1), ..payment.clone() };
        refused(&devnet, early.settle(1, &early.signed(&CLIENT)), Exact::PaymentTooEarly::SELECTOR).await;
        let just = Payment {
            valid_after: U256::from(NOW),
            deadline: U256::from(NOW),
            nonce: U256::from(payment.facilitator.is_some()),
            ..payment
        };
        assert!(send(&devnet, &FACILITATOR, just.settle(1_000, &just.signed(&CLIENT))).await.status());
    }
}

#[tokio::test]
async fn nobodies_and_nothings_are_refused() {
    let devnet = devnet();
    for payment in both("nobody") {
        let unsigned = Bytes::new();
        for (altered, error) in [
            (Payment { amount: U256::ZERO, ..payment.clone() }, Exact::InvalidAmount::SELECTOR),
            (Payment { from: Address::ZERO, ..payment.clone() }, Exact::InvalidOwner::SELECTOR),
            (Payment { to: Address::ZERO, ..payment.clone() }, Exact::InvalidDestination::SELECTOR),
        ] {
            let amount = altered.amount.to();
            refused(&devnet, altered.settle(amount, &unsigned), error).await;
        }
    }
}

#[tokio::test]
async fn only_the_signed_facilitator_settles_and_at_most_the_maximum() {
    let devnet = devnet();
    let payment = Payment::upto("bound", FACILITATOR.address);
    let signature = payment.signed(&CLIENT);
    let approval = Approval::first(&CLIENT, 1_000);
    for amount in [1, 1_000] {
        for call in [payment.settle(amount, &signature), payment.settle_with_permit(&approval, amount, &signature)] {
            let data = refusal(&devnet, STRANGER.address, call).await;
            assert_eq!(data, Upto::UnauthorizedFacilitator::SELECTOR);
        }
    }
    refused(&devnet, payment.settle(1_001, &signature), Upto::AmountExceedsPermitted::SELECTOR).await;
    let with_permit = payment.settle_with_permit(&approval, 1_001, &signature);
    refused(&devnet, with_permit, Upto::AmountExceedsPermitted::SELECTOR).await;
    assert!(send(&devnet, &FACILITATOR, payment.settle(1, &signature)).await.status());
    assert_eq!(earned(&devnet), U256::ONE);
    // What was left is not for a second time.
    refused(&devnet, payment.settle(999, &signature), Permit2::InvalidNonce::SELECTOR).await;
    // Anybody settles an exact payment: there is nothing to decide.
    let exact = Payment::exact("anybody");
    assert!(send(&devnet, &STRANGER, exact.settle(1_000, &exact.signed(&CLIENT))).await.status());
}

fn fresh(payment: Payment) -> Payment {
    Payment { from: FRESH_2612.address, ..payment }
}

#[tokio::test]
async fn a_permit_is_used_on_the_way() {
    for payment in both("permit").map(fresh) {
        let devnet = devnet();
        let signature = payment.signed(&FRESH_2612);
        let approval = Approval::first(&FRESH_2612, 1_000);
        let receipt = send(&devnet, &FACILITATOR, payment.settle_with_permit(&approval, 700, &signature)).await;
        assert!(receipt.status() && receipt.decoded_log::<Exact::SettledWithPermit>().is_some());
        assert!(receipt.decoded_log::<Exact::Settled>().is_none() && failure(&receipt).is_none());
        let left = 1_000 - earned(&devnet).to::<u64>();
        assert_eq!(left, if payment.facilitator.is_some() { 300 } else { 0 });
        assert_eq!(allowance(&devnet, &FRESH_2612).await, U256::from(left));
    }
}

/// Why a permit failed.
fn failure(receipt: &TransactionReceipt) -> Option<String> {
    receipt.decoded_log::<Exact::EIP2612PermitFailedWithReason>().map(|log| log.data.reason)
}

#[tokio::test]
async fn a_permit_that_somebody_sent_before_does_no_harm() {
    for payment in both("sent before").map(fresh) {
        let devnet = devnet();
        let approval = Approval::first(&FRESH_2612, 1_000);
        let (v, r, s) = parts(&approval.signature);
        let (owner, value, deadline) = (FRESH_2612.address, approval.value, approval.deadline);
        let permit = TestUsd::permit_1Call { owner, spender: PERMIT2, value, deadline, v, r, s };
        assert!(send(&devnet, &STRANGER, Call { to: USDC, input: permit.abi_encode().into() }).await.status());
        let call = payment.settle_with_permit(&approval, 1_000, &payment.signed(&FRESH_2612));
        let receipt = send(&devnet, &FACILITATOR, call).await;
        assert!(receipt.status());
        assert_eq!(failure(&receipt).unwrap(), "EIP2612: invalid signature");
        assert_eq!(earned(&devnet), U256::from(1_000));
    }
}

#[tokio::test]
async fn a_failed_permit_needs_an_allowance() {
    for payment in both("bad permit") {
        let devnet = devnet();
        // Signed by another, and for a token that knows no permits at all.
        let foreign = Approval::first(&STRANGER, 1_000);
        let without = fresh(payment.clone());
        let call = without.settle_with_permit(&foreign, 1_000, &without.signed(&FRESH_2612));
        let data = refusal(&devnet, FACILITATOR.address, call).await;
        assert_eq!(Revert::abi_decode(&data).unwrap().reason, "TRANSFER_FROM_FAILED");

        devnet.set_allowance(PLAIN, CLIENT.address, PERMIT2, U256::MAX);
        let plain = Payment { token: PLAIN, ..payment };
        let call = plain.settle_with_permit(&foreign, 1_000, &plain.signed(&CLIENT));
        let receipt = send(&devnet, &FACILITATOR, call).await;
        assert!(receipt.status());
        let failed = receipt.decoded_log::<Exact::EIP2612PermitFailedWithData>().unwrap();
        assert_eq!((failed.token, failed.owner, failed.data.data.len()), (PLAIN, CLIENT.address, 0));
    }
}

#[tokio::test]
async fn a_permit_is_for_the_permitted_amount() {
    let devnet = devnet();
    for payment in both("other amount").map(fresh) {
        for value in [999, 1_001] {
            let approval = Approval::first(&FRESH_2612, value);
            let call = payment.settle_with_permit(&approval, 1_000, &payment.signed(&FRESH_2612));
            refused(&devnet, call, Exact::Permit2612AmountMismatch::SELECTOR).await;
        }
    }
}

#[tokio::test]
async fn a_contract_wallet_pays_by_its_owner() {
    for payment in both("wallet") {
        let devnet = devnet();
        devnet.set_allowance(USDC, WALLET_1271, PERMIT2, U256::from(1_000));
        let payment = Payment { from: WALLET_1271, ..payment };
        let foreign = payment.settle(1_000, &payment.signed(&CLIENT));
        refused(&devnet, foreign, Permit2::InvalidContractSignature::SELECTOR).await;
        let call = payment.settle(1_000, &payment.signed(&STRANGER));
        assert!(send(&devnet, &FACILITATOR, call).await.status());
        assert_eq!(earned(&devnet), U256::from(1_000));
    }
}

#[tokio::test]
async fn a_wallet_cannot_come_back_while_it_pays() {
    let devnet = devnet();
    let wallet = Address::with_last_byte(0x42);
    for payment in both("again") {
        let payment = Payment { from: wallet, ..payment };
        let other = Payment { nonce: U256::ZERO, ..payment.clone() };
        devnet.set_code(wallet, calls_back(&other.settle(1_000, &Bytes::new())));
        let call = payment.settle(1_000, &Bytes::new());
        refused(&devnet, call, Exact::ReentrancyGuardReentrantCall::SELECTOR).await;
    }
}

/// Code that makes one call, whoever asks for what, and reverts with the answer.
fn calls_back(call: &Call) -> Bytes {
    let length = u16::try_from(call.input.len()).unwrap().to_be_bytes();
    let mut code = vec![0x61, length[0], length[1], 0x60, 0x33, 0x5f, 0x39]; // CODECOPY of the call behind the code
    code.extend([0x5f, 0x5f, 0x61, length[0], length[1], 0x5f, 0x5f, 0x73]);
    code.extend(call.to);
    code.extend([0x5a, 0xf1]); // CALL with all gas
    code.extend([0x3d, 0x5f, 0x5f, 0x3e, 0x3d, 0x5f, 0xfd]); // RETURNDATACOPY, REVERT
    code.resize(0x33, 0);
    code.extend(&call.input);
    code.into()
}
