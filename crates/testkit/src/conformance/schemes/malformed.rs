//! What is no payment gets a refusal: wrong types, missing members, depth, huge numbers, random JSON. Nothing panics.

use super::super::junk::{Dice, indigestible, names, places, with, without, wrong_types};
use super::{Sample, Sides, raw};
use crate::report::Notes;
use serde_json::{Value, json};
use std::sync::Arc;
use tollway_core::{PaymentPayload, PaymentRequirements};

/// Random payloads to try.
const RANDOM: u64 = 500;

pub(super) async fn check(sides: &Sides<'_>, sample: &Sample, notes: &Notes) {
    let payload = &sample.payload;
    let optional =
        |place: &str| sample.optional.iter().any(|open| place == open || place.starts_with(&format!("{open}/")));
    for place in places(payload) {
        let Some(right) = payload.pointer(&place) else { continue };
        for wrong in wrong_types(right) {
            let what = format!("{wrong} at `{place}`");
            try_payload(sides, sample, &with(payload, &place, wrong), !optional(&place), &what, notes);
        }
        if let Some(less) = without(payload, &place) {
            try_payload(sides, sample, &less, !optional(&place), &format!("`{place}` left out"), notes);
        }
        for heavy in indigestible() {
            let what: String = format!("{heavy} at `{place}`").chars().take(100).collect();
            try_payload(sides, sample, &with(payload, &place, heavy), place.is_empty(), &what, notes);
        }
    }
    let (mut dice, names) = (Dice::new(42), names(payload));
    for round in 0..RANDOM {
        let random = dice.json(&names, 4);
        try_payload(sides, sample, &random, true, &format!("random payload {round}: {random}"), notes);
    }
    hostile_offers(sides, sample, notes).await;
}

/// Tries a payload everywhere. What must be refused is refused by the settling side, or where there is none by the claim.
fn try_payload(sides: &Sides<'_>, sample: &Sample, payload: &Value, refused: bool, what: &str, notes: &Notes) {
    try_payment(sides, &raw(sample, payload), &sample.offer, refused, what, notes);
}

fn try_payment(
    sides: &Sides<'_>,
    payment: &PaymentPayload,
    offer: &PaymentRequirements,
    refused: bool,
    what: &str,
    notes: &Notes,
) {
    let claims = sides.claims(payment, offer);
    let opened = sides.open(payment, offer);
    for (side, answer) in &claims {
        notes.check("malformed: panic", answer.is_ok(), || format!("{}: the {side} panics on {what}", sides.at()));
        if refused && opened.is_none() {
            let holds = matches!(answer, Ok(Err(_)) | Err(_));
            notes.check("malformed: accepted", holds, || format!("{}: the {side} accepts {what}", sides.at()));
        }
    }
    if let Some(opened) = &opened {
        notes.check("malformed: panic", opened.is_ok(), || format!("{}: the facilitator panics on {what}", sides.at()));
        let holds = !refused || matches!(opened, Ok(Err(_)) | Err(_));
        notes.check("malformed: accepted", holds, || format!("{}: the facilitator accepts {what}", sides.at()));
        if let Ok(Err(rejected)) = opened {
            let coded = !rejected.code.as_str().is_empty() && !rejected.code.as_str().contains(char::is_whitespace);
            notes.check("malformed: code", coded, || format!("{}: the refusal of {what} has no code", sides.at()));
        }
    }
}

/// Offers are written by strangers too: by servers a client meets, and by callers of a facilitator.
async fn hostile_offers(sides: &Sides<'_>, sample: &Sample, notes: &Notes) {
    let mut offers = Vec::new();
    let extra = sample.offer.extra.clone().map_or_else(|| json!({}), Value::Object);
    for place in places(&extra).into_iter().filter(|place| !place.is_empty()) {
        let Some(right) = extra.pointer(&place) else { continue };
        let bent = wrong_types(right).into_iter().chain(indigestible()).map(|wrong| with(&extra, &place, wrong));
        offers.extend(bent.chain(without(&extra, &place)).filter_map(|extra| with_extra(&sample.offer, &extra)));
    }
    for text in ["", "\0", "0x", "é😀\u{202e}", &"9".repeat(10_000)] {
        let (mut asset, mut pay_to) = (sample.offer.clone(), sample.offer.clone());
        text.clone_into(&mut asset.asset);
        text.clone_into(&mut pay_to.pay_to);
        offers.extend([asset, pay_to]);
    }
    for amount in [tollway_core::Amount::ZERO, tollway_core::Amount::MAX] {
        let mut offer = sample.offer.clone();
        offer.amount = amount;
        offer.max_timeout_seconds = std::num::NonZeroU64::MAX;
        offers.push(offer);
    }
    for offer in offers {
        let wire = serde_json::to_string(&offer).unwrap_or_default();
        let what: String = format!("the offer {wire}").chars().take(300).collect();
        try_payment(sides, &raw(sample, &sample.payload), &offer, false, &what, notes);
        if let (true, Some(client)) = (sample.signs, &sides.client) {
            let client = Arc::clone(client);
            let resource = crate::fixtures::resource("https://conformance.example/");
            let signing = tokio::spawn(async move { client.sign(&offer, &resource).await.map(drop) });
            let panicked = signing.await.is_err_and(|why| why.is_panic());
            notes.check("malformed: panic", !panicked, || format!("{}: signing panics on {what}", sides.at()));
        }
    }
}

fn with_extra(offer: &PaymentRequirements, extra: &Value) -> Option<PaymentRequirements> {
    let mut offer = offer.clone();
    offer.extra = Some(extra.as_object()?.clone());
    Some(offer)
}
