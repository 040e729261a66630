//! The key of a payment: the same for everybody, whatever its text looks like, and another for another payment.

use super::super::junk::with;
use super::{Sample, Sides, raw};
use crate::report::Notes;
use serde_json::{Value, json};
use tollway_core::{Claim, PaymentPayload};

pub(super) fn check(sides: &Sides<'_>, sample: &Sample, notes: &Notes) {
    let Some(claim) = valid(sides, sample, notes) else { return };
    form(sides, sample, &claim, notes);
    everywhere_the_same(sides, sample, &claim, notes);
    told_apart(sides, sample, &claim, notes);
}

/// The claim of the sample, on which all sides must agree.
fn valid(sides: &Sides<'_>, sample: &Sample, notes: &Notes) -> Option<Claim> {
    let payment = raw(sample, &sample.payload);
    let mut agreed: Option<Claim> = None;
    let mut answers = sides.claims(&payment, &sample.offer);
    answers.extend(sides.open(&payment, &sample.offer).map(|opened| ("facilitator", opened)));
    for (side, answer) in answers {
        let at = || format!("{}: the {side}", sides.at());
        let claim = match answer {
            Ok(Ok(claim)) => claim,
            other => {
                notes.check("claims: valid", false, || format!("{} refuses the sample: {other:?}", at()));
                continue;
            }
        };
        let same = agreed.as_ref().is_none_or(|agreed| *agreed == claim);
        notes.check("claims: sides agree", same, || format!("{} says {claim:?}, others say {agreed:?}", at()));
        agreed.get_or_insert(claim);
    }
    agreed
}

fn form(sides: &Sides<'_>, sample: &Sample, claim: &Claim, notes: &Notes) {
    let (key, network) = (claim.key.as_str(), &sample.offer.network);
    notes.check("claims: key", key.starts_with(&format!("{network}/")), || {
        format!("{}: the key `{key}` must begin with its network; use `ClaimKey::new`", sides.at())
    });
    for place in &sample.signatures {
        let signature = sample.payload.pointer(place).and_then(Value::as_str).unwrap_or_default();
        let core = signature.strip_prefix("0x").unwrap_or(signature).to_lowercase();
        let free = core.len() < 8 || !key.to_lowercase().contains(&core);
        notes.check("claims: signature in the key", free, || {
            format!("{}: `{key}` holds the signature, which anybody can change", sides.at())
        });
    }
    let payer = &claim.payer;
    let canonical = sides.ground.network.canonical(payer.address()).is_ok_and(|address| address == payer.address());
    notes.check("claims: payer", payer.network() == network && canonical, || {
        format!("{}: the payer `{payer}` is not a canonical account of {network}", sides.at())
    });
}

/// Expects the key of one payment in another spelling. A refusal is as good: then there is no second key.
fn same(
    sides: &Sides<'_>,
    sample: &Sample,
    payment: &PaymentPayload,
    claim: &Claim,
    how: (&'static str, &str),
    notes: &Notes,
) {
    let mut answers = sides.claims(payment, &sample.offer);
    answers.extend(sides.open(payment, &sample.offer).map(|opened| ("facilitator", opened)));
    for (side, answer) in answers {
        let (rule, what) = how;
        let holds = match &answer {
            Ok(Ok(other)) => other.key == claim.key && other.payer == claim.payer,
            Ok(Err(_)) => true,
            Err(_) => false,
        };
        notes.check(rule, holds, || {
            format!("{}: {what} must leave the {side}'s key `{}` alone, but gives {answer:?}", sides.at(), claim.key)
        });
    }
}

fn everywhere_the_same(sides: &Sides<'_>, sample: &Sample, claim: &Claim, notes: &Notes) {
    let again = raw(sample, &sample.payload);
    for _ in 0..8 {
        same(sides, sample, &again, claim, ("claims: deterministic", "asking again"), notes);
    }
    // What the client wrote around its payload is nobody's identity.
    let mut around = again;
    around.resource = Some(crate::fixtures::resource("https://elsewhere.example/"));
    around.extensions = json!({ "x": { "info": {} } }).as_object().cloned();
    around.other.insert("more".to_owned(), json!(1));
    around.accepted = around.accepted.with_extra("more", 1);
    around.accepted.pay_to = "somebody-else".to_owned();
    around.accepted.amount = tollway_core::Amount::from(1);
    same(sides, sample, &around, claim, ("claims: client's words", "what stands beside the payload"), notes);

    let mut more = sample.payload.clone();
    if let Some(members) = more.as_object_mut() {
        members.insert("__more__".to_owned(), json!("more"));
    }
    same(sides, sample, &raw(sample, &more), claim, ("claims: unknown member", "a member nobody knows"), notes);

    for (name, payload) in &sample.same {
        same(sides, sample, &raw(sample, payload), claim, ("claims: other clothes", name), notes);
    }
    for place in &sample.any_case {
        let text = sample.payload.pointer(place).and_then(Value::as_str);
        notes.check("sample: places", text.is_some(), || format!("{}: no text at `{place}`", sides.at()));
        for spelt in text.into_iter().flat_map(spellings) {
            let payload = with(&sample.payload, place, json!(spelt));
            let what = format!("`{spelt}` at `{place}`");
            same(sides, sample, &raw(sample, &payload), claim, ("claims: letter case", &what), notes);
        }
    }
    for place in &sample.signatures {
        let Some(signature) = sample.payload.pointer(place) else {
            notes.check("sample: places", false, || format!("{}: nothing at `{place}`", sides.at()));
            continue;
        };
        for junk in junk_signatures(signature) {
            let payment = raw(sample, &with(&sample.payload, place, junk.clone()));
            let what = format!("`{junk}` at `{place}`");
            same(sides, sample, &payment, claim, ("claims: junk signature", &what), notes);
            let refused = sample.checked_on_chain
                || sides.open(&payment, &sample.offer).is_none_or(|opened| matches!(opened, Ok(Err(_))));
            notes.check("claims: junk signature passes", refused, || {
                format!("{}: {what} passes the local checks and could occupy the claim of another", sides.at())
            });
        }
    }
}

fn told_apart(sides: &Sides<'_>, sample: &Sample, claim: &Claim, notes: &Notes) {
    for (place, other) in &sample.identity {
        let payment = raw(sample, &with(&sample.payload, place, other.clone()));
        for (side, answer) in sides.claims(&payment, &sample.offer) {
            let apart = matches!(&answer, Ok(Ok(other)) if other.key != claim.key);
            notes.check("claims: identity", apart, || {
                format!("{}: `{place}` makes the payment, but with {other} the {side} says {answer:?}", sides.at())
            });
        }
    }
    let mut elsewhere = sample.offer.clone();
    elsewhere.network = crate::fixtures::network(&format!("{}:elsewhere", elsewhere.network.namespace()));
    for (side, answer) in sides.claims(&raw(sample, &sample.payload), &elsewhere) {
        let apart = !matches!(&answer, Ok(Ok(other)) if other.key == claim.key) && answer.is_ok();
        notes.check("claims: network", apart, || {
            format!("{}: the {side} gives a payment on another network the same key: {answer:?}", sides.at())
        });
    }
}

/// The same letters in other cases. A `0x` stays: without it the text is another kind of text.
fn spellings(text: &str) -> Vec<String> {
    let (prefix, rest) = if text.starts_with("0x") { text.split_at(2) } else { ("", text) };
    let mixed = rest.chars().enumerate().map(|(at, letter)| match at % 2 {
        0 => letter.to_ascii_uppercase(),
        _ => letter.to_ascii_lowercase(),
    });
    let all = [rest.to_ascii_lowercase(), rest.to_ascii_uppercase(), mixed.collect()];
    all.into_iter().filter(|spelt| spelt != rest).map(|spelt| format!("{prefix}{spelt}")).collect()
}

/// What an attacker writes where a signature is. All differ from the genuine one in more than spelling.
fn junk_signatures(genuine: &Value) -> Vec<Value> {
    let text = genuine.as_str().unwrap_or_default();
    let flip = |at: usize| {
        let other = |letter: char| if letter == '1' { '2' } else { '1' };
        text.chars().enumerate().map(|(i, letter)| if i == at { other(letter) } else { letter }).collect::<String>()
    };
    let middle = text.chars().count() / 2;
    let zeros: String = text.chars().enumerate().map(|(i, letter)| if i < 2 { letter } else { '0' }).collect();
    let junk = [String::new(), flip(middle), flip(middle.saturating_add(1)), zeros, format!("{text}00")];
    junk.into_iter().filter(|junk| junk != text).map(Value::from).collect()
}
