//! The table of bad input: what each row is answered over HTTP.

use crate::support::*;
use http::StatusCode;
use serde_json::{Value, json};
use tollway_http::header::{self, MAX_HEADER, PAYMENT_SIGNATURE};
use tollway_http::plain_client;

/// The shop with an honest facilitator.
async fn site() -> (Site, std::sync::Arc<tollway_testkit::FakeFacilitator>) {
    let network = network();
    let facilitator = fake(&network);
    (Site::serve(app(shop(&network, facilitator.clone()).await)).await, facilitator)
}

async fn present_text(site: &Site, text: &str) -> reqwest::Response {
    plain_client().unwrap().get(site.at("/report")).header(PAYMENT_SIGNATURE, text).send().await.unwrap()
}

async fn present_json(site: &Site, value: &Value) -> reqwest::Response {
    present_text(site, &header::encode(value).unwrap()).await
}

#[tokio::test]
async fn row_1_no_header() {
    let (site, facilitator) = site().await;
    let response = get_plain(&site.at("/report")).await;
    assert_eq!(response.status(), StatusCode::PAYMENT_REQUIRED);
    assert_eq!(reason(response.headers()), "Payment required");
    assert_eq!(response.headers()["cache-control"], "no-store");
    assert_eq!(response.headers()["content-type"], "application/json");
    assert_eq!(response.text().await.unwrap(), "{}");
    assert_eq!(facilitator.verifies(), 0);
}

#[tokio::test]
async fn row_2_undecodable_header_counts_as_unpaid() {
    let (site, facilitator) = site().await;
    let not_utf8 = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, b"\"\xff\xfe\"");
    for text in ["", "!!!", "e30", "bnVsbA==", "W10=", "eyJhIjoi8J-YgCJ9", &not_utf8, &"A".repeat(MAX_HEADER)] {
        let response = present_text(&site, text).await;
        assert_eq!(response.status(), StatusCode::PAYMENT_REQUIRED, "{text}");
        assert_eq!(reason(response.headers()), "Payment required", "{text}");
    }
    // Two headers are as good as none: nobody knows which one counts.
    let payment = header::encode(&pay(&site.offer("/report").await, "n")).unwrap();
    let twice = plain_client().unwrap().get(site.at("/report"));
    let twice = twice.header(PAYMENT_SIGNATURE, &payment).header(PAYMENT_SIGNATURE, &payment);
    assert_eq!(reason(twice.send().await.unwrap().headers()), "Payment required");
    assert_eq!(facilitator.verifies() + facilitator.settles(), 0);
}

#[tokio::test]
async fn row_3_header_above_16_kib() {
    let (site, facilitator) = site().await;
    let response = present_text(&site, &"A".repeat(MAX_HEADER + 1)).await;
    assert_eq!(response.status(), StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    assert!(response.json::<Value>().await.unwrap()["error"].as_str().unwrap().contains("16384"));
    assert_eq!(facilitator.verifies(), 0);
}

#[tokio::test]
async fn row_4_json_deeper_than_32() {
    let (site, facilitator) = site().await;
    let mut payment = serde_json::to_value(pay(&site.offer("/report").await, "n")).unwrap();
    payment["extra"] = (0..40).fold(json!(1), |inner, _| json!([inner]));
    let response = present_json(&site, &payment).await;
    assert_eq!(response.status(), StatusCode::PAYMENT_REQUIRED);
    assert_eq!(reason(response.headers()), "Payment required");
    assert_eq!(facilitator.verifies(), 0);
}

#[tokio::test]
async fn row_5_version_3() {
    let (site, facilitator) = site().await;
    let mut payment = pay(&site.offer("/report").await, "n");
    payment.x402_version = 3;
    let response = site.present("/report", &payment).await;
    assert_eq!(response.status(), StatusCode::PAYMENT_REQUIRED);
    assert_eq!(reason(response.headers()), "invalid_x402_version");
    assert_eq!(facilitator.verifies(), 0);
}

#[tokio::test]
async fn row_6_accepted_is_not_what_was_offered() {
    let (site, facilitator) = site().await;
    let mut offer = site.offer("/report").await;
    offer.pay_to = "mallory".to_owned();
    let response = site.present("/report", &pay(&offer, "n")).await;
    assert_eq!(response.status(), StatusCode::PAYMENT_REQUIRED);
    assert_eq!(reason(response.headers()), "No matching payment requirements");
    assert_eq!(facilitator.verifies(), 0);
}

#[tokio::test]
async fn row_7_amounts_that_are_none_count_as_unpaid() {
    let (site, _) = site().await;
    let payment = serde_json::to_value(pay(&site.offer("/report").await, "n")).unwrap();
    let too_large = "115792089237316195423570985008687907853269984665640564039457584007913129639936";
    for amount in [json!("1e3"), json!("-1"), json!(too_large), json!(10_000), json!("")] {
        let mut payment = payment.clone();
        payment["accepted"]["amount"] = amount.clone();
        let response = present_json(&site, &payment).await;
        assert_eq!(response.status(), StatusCode::PAYMENT_REQUIRED, "{amount}");
        assert_eq!(reason(response.headers()), "Payment required", "{amount}");
    }
}

#[tokio::test]
async fn row_20_concurrent_duplicate_gets_no_challenge() {
    let (site, facilitator) = site().await;
    facilitator.on_settle([tollway_testkit::Answer::After(
        std::time::Duration::from_millis(200),
        Box::new(tollway_testkit::Answer::Yes),
    )]);
    let payment = pay(&site.offer("/report").await, "n");
    let (one, two) = tokio::join!(site.present("/report", &payment), site.present("/report", &payment));
    let (paid, refused) = if one.status() == 200 { (one, two) } else { (two, one) };
    assert_eq!(paid.status(), StatusCode::OK);
    assert_eq!(refused.status(), StatusCode::PAYMENT_REQUIRED);
    assert!(required(refused.headers()).is_none(), "paying again would be wrong");
    assert_eq!(reason(refused.headers()), "duplicate_settlement");
    assert_eq!(refused.headers()["cache-control"], "no-store");
    assert_eq!(facilitator.settles(), 1);
}
