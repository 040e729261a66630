//! Payments that clients of the reference implementation signed, settled by their recorded signatures.
#![allow(clippy::unwrap_used, reason = "a helper of tests that fails fails the test")]

mod common;

use std::sync::Arc;

use alloy::primitives::{Address, B256, Bytes, Signature, U256, b256, hex};
use alloy::providers::Provider as _;
use alloy::rpc::types::TransactionRequest;
use alloy::sol_types::{Revert, SolError as _};
use common::permit2::{Approval, Call, Payment, refusal, send};
use serde::Deserialize;
use tollway_devnet::accounts::{CLIENT, DEPLOYER, FACILITATOR, FRESH_2612, FRESH_ERC20, FRESH_UPTO, NO_ALLOWANCE};
use tollway_devnet::contracts::addresses::{PERMIT2, PLAIN, USDC};
use tollway_devnet::contracts::{Permit2, PlainToken, TestUsd, X402ExactPermit2Proxy, X402UptoPermit2Proxy};
use tollway_devnet::{Devnet, DevnetBuilder};

/// Some minute of the recording: the payments are valid for five, and the last deadline is 1795188023.
const RECORDED: u64 = 1_795_187_800;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Recorded {
    flow: String,
    digest: B256,
    /// What the server asked for at settlement.
    charged: String,
    signature: Bytes,
    permit2_authorization: Authorization,
    permit: Option<RecordedPermit>,
    /// A signed transaction.
    approval: Option<Bytes>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Authorization {
    from: Address,
    permitted: Permitted,
    spender: Address,
    nonce: String,
    deadline: String,
    witness: Witness,
}

#[derive(Deserialize)]
struct Permitted {
    token: Address,
    amount: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Witness {
    to: Address,
    facilitator: Option<Address>,
    valid_after: String,
}

#[derive(Deserialize)]
struct RecordedPermit {
    amount: String,
    deadline: String,
    signature: Bytes,
}

impl Recorded {
    fn payment(&self) -> Payment {
        let signed = &self.permit2_authorization;
        let payment = Payment {
            from: signed.from,
            token: signed.permitted.token,
            amount: number(&signed.permitted.amount),
            nonce: number(&signed.nonce),
            deadline: number(&signed.deadline),
            to: signed.witness.to,
            facilitator: signed.witness.facilitator,
            valid_after: number(&signed.witness.valid_after),
        };
        assert_eq!(payment.spender(), signed.spender, "{}", self.flow);
        payment
    }

    fn charged(&self) -> u64 {
        self.charged.parse().unwrap()
    }

    /// What the facilitator sent.
    fn call(&self) -> Call {
        match &self.permit {
            None => self.payment().settle(self.charged(), &self.signature),
            Some(permit) => {
                let approval = Approval {
                    value: number(&permit.amount),
                    deadline: number(&permit.deadline),
                    signature: Signature::from_raw(&permit.signature).unwrap(),
                };
                self.payment().settle_with_permit(&approval, self.charged(), &self.signature)
            }
        }
    }
}

fn number(decimal: &str) -> U256 {
    decimal.parse().unwrap()
}

fn recorded(flow: &str) -> Recorded {
    all().into_iter().find(|recorded| recorded.flow == flow).unwrap()
}

fn all() -> Vec<Recorded> {
    serde_json::from_str(include_str!("recorded/permit2.json")).unwrap()
}

fn builder() -> DevnetBuilder {
    Devnet::builder().time(Arc::new(|| RECORDED))
}

/// Settles as recorded; answers what the payee got.
async fn settle(devnet: &Devnet, recorded: &Recorded) -> U256 {
    let payment = recorded.payment();
    let receipt = send(devnet, &FACILITATOR, recorded.call()).await;
    assert!(receipt.status(), "{}", recorded.flow);
    if recorded.permit.is_some() {
        assert!(receipt.decoded_log::<X402ExactPermit2Proxy::SettledWithPermit>().is_some());
    } else {
        assert!(receipt.decoded_log::<X402ExactPermit2Proxy::Settled>().is_some());
    }
    let moved = receipt.logs().iter().find_map(|log| log.log_decode::<TestUsd::Transfer>().ok()).unwrap();
    assert_eq!((moved.address(), moved.inner.from, moved.inner.to), (payment.token, payment.from, payment.to));
    let data = refusal(devnet, FACILITATOR.address, recorded.call()).await;
    assert_eq!(data, Permit2::InvalidNonce::SELECTOR, "{} settled twice", recorded.flow);
    devnet.balance_of(payment.token, payment.to).unwrap()
}

#[tokio::test]
async fn their_digests_and_domain_are_ours() {
    let recorded = all();
    assert_eq!(recorded.len(), 7);
    for recorded in recorded {
        assert_eq!(recorded.payment().digest(), recorded.digest, "{}", recorded.flow);
    }
    let devnet = builder().build().unwrap();
    assert_eq!(
        Permit2::new(PERMIT2, devnet.provider()).DOMAIN_SEPARATOR().call().await.unwrap(),
        b256!("0x010f27a92fb9a32622f44f001dc4d15706a85b33499cfc2ce9033113ab26592c")
    );
}

#[tokio::test]
async fn permit2_settles() {
    let devnet = builder().build().unwrap();
    let recorded = recorded("exact-evm-permit2");
    assert_eq!(recorded.permit2_authorization.from, CLIENT.address);
    assert_eq!(settle(&devnet, &recorded).await, U256::from(1_000));
}

#[tokio::test]
async fn permit2_with_a_permit_settles() {
    let devnet = builder().build().unwrap();
    let recorded = recorded("exact-evm-permit2-eip2612");
    assert!(devnet.balance(FRESH_2612.address).is_zero());
    // Without the permit there is no allowance.
    let plain = recorded.payment().settle(1_000, &recorded.signature);
    assert_eq!(reason(&refusal(&devnet, FACILITATOR.address, plain).await), "TRANSFER_FROM_FAILED");
    assert_eq!(settle(&devnet, &recorded).await, U256::from(1_000));
    let usdc = TestUsd::new(USDC, devnet.provider());
    assert!(usdc.allowance(FRESH_2612.address, PERMIT2).call().await.unwrap().is_zero());
}

#[tokio::test]
async fn permit2_with_an_approving_transaction_settles() {
    for funded in [true, false] {
        let devnet = builder().build().unwrap();
        let recorded = recorded("exact-evm-permit2-erc20-approval");
        let approval = recorded.approval.clone().unwrap();
        if !funded {
            devnet.set_balance(FRESH_ERC20.address, U256::ZERO);
            let error = devnet.provider().send_raw_transaction(&approval).await.unwrap_err().to_string();
            assert!(error.contains("insufficient funds for gas * price + value"), "{error}");
            // The most the approval can cost: its 70,000 gas at its 1.277957003 gwei.
            let cost = U256::from(70_000_u64 * 1_277_957_003);
            let fund = TransactionRequest::default().to(FRESH_ERC20.address).value(cost);
            devnet.provider_of(&DEPLOYER).send_transaction(fund).await.unwrap().get_receipt().await.unwrap();
        }
        let sent = devnet.provider().send_raw_transaction(&approval).await.unwrap();
        assert!(sent.get_receipt().await.unwrap().status());
        let plain = PlainToken::new(PLAIN, devnet.provider());
        assert_eq!(plain.allowance(FRESH_ERC20.address, PERMIT2).call().await.unwrap(), U256::MAX);
        assert_eq!(settle(&devnet, &recorded).await, U256::from(1_000));
    }
}

#[tokio::test]
async fn permit2_without_allowance_pays_nothing() {
    let devnet = builder().build().unwrap();
    let recorded = recorded("exact-evm-permit2-no-allowance");
    let payment = recorded.payment();
    assert!(devnet.balance_of(USDC, NO_ALLOWANCE.address).unwrap() >= payment.amount);
    assert_eq!(reason(&refusal(&devnet, FACILITATOR.address, recorded.call()).await), "TRANSFER_FROM_FAILED");
    assert!(!send(&devnet, &FACILITATOR, recorded.call()).await.status());
    // Nor is its nonce used up, so that it settles once there is an allowance.
    devnet.set_allowance(USDC, NO_ALLOWANCE.address, PERMIT2, payment.amount);
    assert_eq!(settle(&devnet, &recorded).await, payment.amount);
}

#[tokio::test]
async fn upto_settles_what_was_charged() {
    let devnet = builder().build().unwrap();
    let recorded = recorded("upto-evm-permit2");
    assert_eq!(settle(&devnet, &recorded).await, U256::from(700));
}

#[tokio::test]
async fn upto_with_a_permit_settles_what_was_charged() {
    let devnet = builder().build().unwrap();
    let recorded = recorded("upto-evm-permit2-eip2612");
    assert!(devnet.balance(FRESH_UPTO.address).is_zero());
    assert_eq!(settle(&devnet, &recorded).await, U256::from(1_000));
    // The permit was for the maximum.
    let usdc = TestUsd::new(USDC, devnet.provider());
    assert_eq!(usdc.allowance(FRESH_UPTO.address, PERMIT2).call().await.unwrap(), U256::from(1_000));
}

#[tokio::test]
async fn upto_cannot_settle_zero() {
    let devnet = builder().build().unwrap();
    let recorded = recorded("upto-evm-zero");
    assert_eq!(recorded.charged(), 0);
    let data = refusal(&devnet, FACILITATOR.address, recorded.call()).await;
    assert_eq!(data, X402UptoPermit2Proxy::InvalidAmount::SELECTOR);
    // The signature itself is good.
    let maximum = recorded.payment().settle(2_000, &recorded.signature);
    assert!(send(&devnet, &FACILITATOR, maximum).await.status());
}

/// One payment in either scheme with the digests and signatures that the reference packages make.
#[tokio::test]
async fn the_documented_vectors_settle() {
    let payment = Payment {
        amount: U256::from(10_000),
        nonce: U256::from(12_345),
        deadline: U256::from(1_900_000_000),
        to: Address::new(hex!("209693Bc6afc0C5328bA36FaF03C514EF312287C")),
        ..Payment::exact("vector")
    };
    let upto = Payment { facilitator: Some(CLIENT.address), ..payment.clone() };
    assert_eq!(payment.digest(), b256!("0xdcdd1f2d3ac888232f890192db9e2f2b48d849f01aab9c2ffc381bd6153617ac"));
    assert_eq!(upto.digest(), b256!("0xc1f90f3cefa68803f37abae5b213c1069ce806329bb1a0ccba05443161786183"));
    let exact_signature = Bytes::from(hex!(
        "5f336ac9ef6c0e5f035a312c234393a815594f9371e31e4146a36469979b53c1089cb39e8adf96b8bf726c89dd7eadf94f110890fd2142ee93a52ec8d576130b1b"
    ));
    let upto_signature = Bytes::from(hex!(
        "f19492b52b218a040bbfb7a6af713717c71c207e531613c5c0d887bc051bd6ba27d701744bac7c3d519ceb7413d8c8c63e27f4a9134b397eec66ca7527859a2a1b"
    ));
    assert_eq!(payment.signed(&CLIENT), exact_signature);
    assert_eq!(upto.signed(&CLIENT), upto_signature);
    // Both have the same nonce, so each gets a chain of its own.
    for call in [payment.settle(10_000, &exact_signature), upto.settle(10_000, &upto_signature)] {
        let devnet = builder().build().unwrap();
        assert!(send(&devnet, &CLIENT, call).await.status());
        assert_eq!(devnet.balance_of(USDC, payment.to).unwrap(), payment.amount);
    }
}

fn reason(data: &[u8]) -> String {
    Revert::abi_decode(data).unwrap().reason
}
