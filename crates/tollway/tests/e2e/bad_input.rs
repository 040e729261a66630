//! The table of bad input, through the whole stack. Each test is named after its row; a refused payment moves no money.

use crate::world::{Answer, World};
use serde_json::{Value, json};
use tollway::http::header;
use tollway_devnet::accounts::{CLIENT, NO_ALLOWANCE, POOR};
use tollway_devnet::contracts::addresses::{PERMIT2, USDC};
use tollway_testkit::FakeClock;

const PATH: &str = "/evm/eip3009";

/// Presents a tampered payment; the server asks for payment again and says this. Nothing moves.
async fn refused(tamper: impl FnOnce(&mut Value), error: &str) {
    let world = World::at(FakeClock::START).await;
    let mut payment = world.signed_by(CLIENT, PATH).await;
    tamper(&mut payment);
    let answer = world.present(PATH, &payment).await;
    assert_eq!((answer.status, answer.error().as_str()), (402, error), "{}", String::from_utf8_lossy(&answer.body));
    assert_eq!(answer.headers["cache-control"], "no-store");
    assert_eq!(world.paid_to_payee(), 0);
}

/// Asks the facilitator about a tampered payment and offer.
async fn facilitator_says(tamper: impl FnOnce(&mut Value)) -> Answer {
    let world = World::at(FakeClock::START).await;
    let payment = world.signed_by(CLIENT, PATH).await;
    let mut body = json!({ "x402Version": 2, "paymentPayload": payment, "paymentRequirements": payment["accepted"] });
    tamper(&mut body);
    let verdict = world.ask_facilitator("/verify", &body).await;
    let settled = world.ask_facilitator("/settle", &body).await;
    assert_eq!(settled.status, verdict.status);
    assert_eq!(settled.json()["success"], false);
    assert_eq!(settled.json()["errorReason"], verdict.json()["invalidReason"]);
    assert_eq!(world.paid_to_payee(), 0);
    verdict
}

fn authorization(payment: &mut Value) -> &mut Value {
    &mut payment["payload"]["authorization"]
}

#[tokio::test]
async fn row_1_no_header_is_a_challenge() {
    let world = World::at(FakeClock::START).await;
    let answer = world.get(PATH, &[]).await;
    assert_eq!((answer.status, answer.error().as_str()), (402, "Payment required"));
    assert_eq!(world.get("/free", &[]).await.status, 200);
}

#[tokio::test]
async fn row_2_an_undecodable_header_is_a_challenge() {
    let world = World::at(FakeClock::START).await;
    for garbage in ["", "!!!", "e30=", "bnVsbA==", "W10=", "eyJhIjoi8J-YgCJ9", "e3snfQ=="] {
        let answer = world.get(PATH, &[("payment-signature", garbage)]).await;
        assert_eq!((answer.status, answer.error().as_str()), (402, "Payment required"), "{garbage}");
    }
}

#[tokio::test]
async fn row_3_a_header_above_16_kib_is_too_large() {
    let world = World::at(FakeClock::START).await;
    let answer = world.get(PATH, &[("payment-signature", &"A".repeat(16 * 1024 + 1))]).await;
    assert_eq!(answer.status, 431);
}

#[tokio::test]
async fn row_4_json_deeper_than_32_is_refused() {
    refused(
        |payment| payment["payload"]["deep"] = (0..40).fold(json!(1), |inner, _| json!([inner])),
        "Payment required",
    )
    .await;
    let verdict = facilitator_says(|body| {
        body["paymentPayload"]["payload"]["deep"] = (0..40).fold(json!(1), |inner, _| json!([inner]));
    });
    assert_eq!(verdict.await.status, 400);
}

#[tokio::test]
async fn row_5_version_3_is_refused() {
    refused(|payment| payment["x402Version"] = json!(3), "invalid_x402_version").await;
    let verdict = facilitator_says(|body| body["paymentPayload"]["x402Version"] = json!(3)).await;
    assert_eq!(verdict.json()["invalidReason"], "invalid_x402_version");
}

#[tokio::test]
async fn row_6_accepted_that_was_not_offered_is_refused() {
    for (member, value) in
        [("amount", json!("999")), ("payTo", json!(CLIENT.address)), ("maxTimeoutSeconds", json!(301))]
    {
        refused(|payment| payment["accepted"][member] = value, "No matching payment requirements").await;
    }
}

#[tokio::test]
async fn row_7_amounts_that_are_none_are_invalid_payloads() {
    let too_large = format!("1{}", "0".repeat(78));
    for amount in ["1e3", "-1", &too_large] {
        let verdict = facilitator_says(|body| {
            authorization(&mut body["paymentPayload"])["value"] = json!(amount);
        });
        let verdict = verdict.await;
        assert_eq!(
            (verdict.status, verdict.json()["invalidReason"].clone()),
            (200, json!("invalid_payload")),
            "{amount}"
        );
        let verdict = facilitator_says(|body| {
            body["paymentRequirements"]["amount"] = json!(amount);
            body["paymentPayload"]["accepted"]["amount"] = json!(amount);
        });
        assert_eq!(verdict.await.json()["invalidReason"], "invalid_payload", "{amount}");
        refused(|payment| authorization(payment)["value"] = json!(amount), "invalid_payload").await;
    }
}

#[tokio::test]
async fn row_8_an_unknown_network_is_invalid_network() {
    let verdict = facilitator_says(|body| {
        body["paymentRequirements"]["network"] = json!("eip155:1");
        body["paymentPayload"]["accepted"]["network"] = json!("eip155:1");
    });
    assert_eq!(verdict.await.json()["invalidReason"], "invalid_network");
}

#[tokio::test]
async fn row_9_an_unknown_scheme_is_unsupported_scheme() {
    let verdict = facilitator_says(|body| {
        body["paymentRequirements"]["scheme"] = json!("barter");
        body["paymentPayload"]["accepted"]["scheme"] = json!("barter");
    });
    assert_eq!(verdict.await.json()["invalidReason"], "unsupported_scheme");
}

/// The order of the curve, from which a high s is made.
fn high_s(signature: &str) -> String {
    use alloy_numbers::{N, sub};
    let bytes: Vec<u8> = (2..132).step_by(2).map(|i| u8::from_str_radix(&signature[i..i + 2], 16).unwrap()).collect();
    let mut flipped = bytes.clone();
    flipped[32..64].copy_from_slice(&sub(&N, &bytes[32..64]));
    flipped[64] = if bytes[64] == 27 { 28 } else { 27 };
    flipped.iter().fold("0x".to_owned(), |text, byte| format!("{text}{byte:02x}"))
}

/// Just enough arithmetic to flip an s.
mod alloy_numbers {
    pub(super) const N: [u8; 32] = [
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe, 0xba, 0xae,
        0xdc, 0xe6, 0xaf, 0x48, 0xa0, 0x3b, 0xbf, 0xd2, 0x5e, 0x8c, 0xd0, 0x36, 0x41, 0x41,
    ];

    pub(super) fn sub(a: &[u8; 32], b: &[u8]) -> [u8; 32] {
        let (mut out, mut borrow) = ([0; 32], 0i16);
        for i in (0..32).rev() {
            let digit = i16::from(a[i]) - i16::from(b[i]) - borrow;
            borrow = i16::from(digit < 0);
            out[i] = digit.rem_euclid(256) as u8;
        }
        out
    }
}

#[tokio::test]
async fn row_10_a_high_s_is_a_bad_signature() {
    refused(
        |payment| {
            let flipped = high_s(payment["payload"]["signature"].as_str().unwrap());
            payment["payload"]["signature"] = json!(flipped);
        },
        "invalid_exact_evm_signature",
    )
    .await;
}

#[tokio::test]
async fn row_11_a_value_beside_the_amount_is_a_mismatch() {
    for value in ["999", "1001"] {
        refused(
            |payment| authorization(payment)["value"] = json!(value),
            "invalid_exact_evm_payload_authorization_value_mismatch",
        )
        .await;
    }
    // Properly signed for another amount: the payment of one route presented as that of another.
    let world = World::at(FakeClock::START).await;
    let mut payment = world.signed_by(CLIENT, "/dear").await;
    payment["accepted"]["amount"] = json!("1000");
    let answer = world.present(PATH, &payment).await;
    assert_eq!(answer.error(), "invalid_exact_evm_payload_authorization_value_mismatch");
    assert_eq!(world.paid_to_payee(), 0);
}

#[tokio::test]
async fn row_12_another_recipient_is_a_mismatch() {
    // Signed properly for somebody else: our own client, given a challenge with another payee.
    let world = World::at(FakeClock::START).await;
    let payment =
        world.signed_for(CLIENT, PATH, |required| required["accepts"][0]["payTo"] = json!(POOR.address)).await;
    let answer = world.present(PATH, &payment).await;
    assert_eq!(answer.error(), "No matching payment requirements");
    let mut disguised = payment;
    disguised["accepted"]["payTo"] = json!(crate::world::PAYEE);
    let answer = world.present(PATH, &disguised).await;
    assert_eq!(answer.error(), "invalid_exact_evm_recipient_mismatch");
    assert_eq!(world.paid_to_payee(), 0);
}

#[tokio::test]
async fn row_13_valid_for_less_than_six_seconds_is_expired() {
    let world = World::at(FakeClock::START).await;
    let payment = world.signed_by(CLIENT, PATH).await;
    world.clock.advance(295);
    let answer = world.present(PATH, &payment).await;
    assert_eq!(answer.error(), "invalid_exact_evm_payload_authorization_valid_before");
    assert_eq!(world.paid_to_payee(), 0);
    // Six seconds are enough.
    let payment = world.signed_by(CLIENT, PATH).await;
    world.clock.advance(294);
    assert_eq!(world.present(PATH, &payment).await.status, 200);
}

#[tokio::test]
async fn row_14_valid_after_in_the_future_is_not_yet_valid() {
    refused(
        |payment| authorization(payment)["validAfter"] = json!((FakeClock::START + 100).to_string()),
        "invalid_exact_evm_payload_authorization_valid_after",
    )
    .await;
}

#[tokio::test]
async fn row_15_a_used_nonce_is_refused() {
    let world = World::at(FakeClock::START).await;
    let payment = world.signed_by(CLIENT, PATH).await;
    assert_eq!(world.present(PATH, &payment).await.status, 200);
    // A server with books of its own finds it used on chain.
    let server = world.another_server().await;
    let header = header::encode(&payment).unwrap();
    let answer = World::get_from(&server, PATH, &[("payment-signature", &header)]).await;
    assert_eq!((answer.status, answer.error().as_str()), (402, "invalid_exact_evm_nonce_already_used"));
    assert_eq!(world.paid_to_payee(), 1000);
}

#[tokio::test]
async fn row_16_a_poor_payer_has_insufficient_funds() {
    let world = World::at(FakeClock::START).await;
    let payment = world.signed_by(POOR, PATH).await;
    let answer = world.present(PATH, &payment).await;
    assert_eq!((answer.status, answer.error().as_str()), (402, "invalid_exact_evm_insufficient_balance"));
    assert_eq!(world.paid_to_payee(), 0);
}

#[tokio::test]
async fn row_17_without_an_allowance_for_permit2_412_is_answered() {
    let world = World::at(FakeClock::START).await;
    let payment = world.signed_by(NO_ALLOWANCE, "/evm/permit2").await;
    let answer = world.present("/evm/permit2", &payment).await;
    assert_eq!((answer.status, answer.error().as_str()), (412, "permit2_allowance_required"));
    assert_eq!(world.paid_to_payee(), 0);
    world.devnet.set_allowance(USDC, NO_ALLOWANCE.address, PERMIT2, "1000".parse().unwrap());
    assert_eq!(world.present("/evm/permit2", &payment).await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn row_20_a_thousand_copies_at_once_release_once_and_get_no_challenge() {
    let world = World::at(FakeClock::START).await;
    let payment = world.signed_by(CLIENT, PATH).await;
    let header = header::encode(&payment).unwrap();
    let client = tollway::http::plain_client().unwrap();
    let tasks: Vec<_> = (0..1000)
        .map(|_| {
            let request = client.get(format!("{}{PATH}", world.server)).header("payment-signature", &header);
            tokio::spawn(async move { Answer::of(request.send().await.unwrap()).await })
        })
        .collect();
    let mut released = 0;
    for task in tasks {
        let answer = task.await.unwrap();
        let receipt = answer.receipt().unwrap();
        if answer.status == 200 {
            released += 1;
            continue;
        }
        assert_eq!(answer.status, 402);
        assert_eq!(receipt.error_reason.unwrap().as_str(), "duplicate_settlement");
        assert!(!answer.headers.contains_key("payment-required"), "no challenge");
    }
    assert_eq!(released, 1);
    assert_eq!(world.paid_to_payee(), 1000);
}
