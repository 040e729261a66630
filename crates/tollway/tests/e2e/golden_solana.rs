//! The recorded exchanges on Solana. Signatures there depend on nothing but what is signed, so what we settle has the
//! recorded name to the letter.

use crate::chains::{Chains, SOLANA};
use crate::golden::{
    answers_the_client, answers_the_server, challenges_as_recorded, pay_the_server, supports_as_recorded,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};
use std::ops::Range;
use tollway::PaymentClient;
use tollway_testkit::golden;

/// Where the parts of a recorded transaction are that no two payments share.
const SIGNATURE: Range<usize> = 65..129;
const COMPUTE_LIMIT: Range<usize> = 427..431;

/// A payment with those parts of its transaction blanked: signature, compute limit, and the memo where it is ours.
fn blanked(mut payment: Value, own_memo: bool) -> Value {
    let transaction = payment["payload"]["transaction"].as_str().unwrap();
    let mut bytes = BASE64.decode(transaction).unwrap();
    assert!(bytes[1..65].iter().all(|byte| *byte == 0), "the fee payer's place is empty");
    assert!(bytes[SIGNATURE].iter().any(|byte| *byte != 0));
    bytes[SIGNATURE].fill(0);
    if own_memo {
        let end = bytes.len() - 1;
        let memo = &mut bytes[end - 32..end];
        assert!(memo.iter().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(byte)), "{memo:?}");
        memo.fill(0);
    } else {
        // Where the memo is the server's, payments differ by what they leave unused.
        assert_eq!(bytes[COMPUTE_LIMIT.start - 1], 2, "the instruction that sets the limit");
        let limit = u32::from_le_bytes(bytes[COMPUTE_LIMIT].try_into().unwrap());
        assert!((20_000..20_000 + 0x4000).contains(&limit), "{limit}");
        bytes[COMPUTE_LIMIT].fill(0);
    }
    payment["payload"]["transaction"] = json!(BASE64.encode(bytes));
    payment
}

/// Our client, with a wallet for each chain, sends what the recorded client sent.
async fn client_alone(name: &str, own_memo: bool) {
    let chains = Chains::start("toy:unused").await;
    // The recorded client preferred Solana where it had the choice.
    let payer = chains
        .solana_wallet(chains.evm_wallet(PaymentClient::builder()))
        .chooser(|_, offers| offers.iter().position(|candidate| candidate.offer.network.as_str() == SOLANA));
    let (sent, recorded) = pay_the_server(name, payer).await;
    assert_eq!(blanked(sent, own_memo), blanked(recorded, own_memo), "{name}: payment");
}

macro_rules! flows {
    ($($test:ident = $flow:literal, own memo $own_memo:literal);+ $(;)?) => {$(
        mod $test {
            use super::*;

            #[tokio::test]
            async fn the_recorded_client_is_answered_as_recorded() {
                let chains = Chains::start("toy:unused").await;
                answers_the_client(&chains.world, $flow).await;
                assert_eq!((chains.paid_on_solana(), chains.world.paid_to_payee()), (1000, 0));
            }

            #[tokio::test]
            async fn the_recorded_server_is_answered_as_recorded() {
                let chains = Chains::start("toy:unused").await;
                answers_the_server(&chains.world, $flow).await;
                assert_eq!((chains.paid_on_solana(), chains.world.paid_to_payee()), (1000, 0));
            }

            #[tokio::test]
            async fn the_recorded_server_is_paid_as_recorded() {
                client_alone($flow, $own_memo).await;
            }
        }
    )+};
}

flows! {
    exact_svm = "exact-svm", own memo true;
    exact_svm_memo = "exact-svm-memo", own memo false;
    multi_svm = "multi-svm", own memo true;
}

/// Row 19 of the table of bad input: the recorded payment with a program's index out of range.
#[tokio::test]
async fn row_19_over_http() {
    let chains = Chains::start("toy:unused").await;
    let mut payment = golden::flow("exact-svm")["http"][1]["request"]["decoded"]["payment-signature"].clone();
    let mut bytes = BASE64.decode(payment["payload"]["transaction"].as_str().unwrap()).unwrap();
    // Before the limit: the program, no accounts, the length of the data and its first byte.
    let program = COMPUTE_LIMIT.start - 4;
    assert_eq!(bytes[program..COMPUTE_LIMIT.start], [5, 0, 5, 2]);
    bytes[program] = 200;
    payment["payload"]["transaction"] = json!(BASE64.encode(bytes));
    let code = "invalid_exact_svm_payload_transaction_could_not_be_decoded";

    let answer = chains.world.present("/svm/exact", &payment).await;
    assert_eq!((answer.status, answer.error().as_str()), (402, code));
    let body = json!({ "x402Version": 2, "paymentPayload": payment, "paymentRequirements": payment["accepted"] });
    let verdict = chains.world.ask_facilitator("/verify", &body).await;
    assert_eq!((verdict.status, &verdict.json()["invalidReason"]), (200, &json!(code)));
    let settled = chains.world.ask_facilitator("/settle", &body).await;
    assert_eq!((settled.status, &settled.json()["errorReason"]), (200, &json!(code)));
    assert_eq!(chains.paid_on_solana(), 0);
}

#[tokio::test]
async fn challenges_and_supported_kinds_are_the_recorded_ones() {
    let chains = Chains::start("toy:unused").await;
    challenges_as_recorded(&chains.world, &["/svm/exact", "/svm/memo", "/multi"]).await;
    supports_as_recorded(&chains.world, SOLANA, "solana:*").await;
}
