//! Signed payments that somebody changed: refused by the server and at both doors of the facilitator, for the right reason.

use super::payments::NOTHING;
use super::refusals::{NO_MATCH, facilitator_says, refused};
use super::world::{Who, World};
use super::{Case, Outcome, Verdict, wire};
use serde_json::{Value, json};

pub(super) const CASES: &[Case] = &[
    Case { name: "tampered, EIP-3009", run: |world| tampered(world, "/evm/eip3009", EIP3009) },
    Case { name: "tampered, Permit2", run: |world| tampered(world, "/evm/permit2", PERMIT2) },
    Case { name: "tampered, upto", run: |world| tampered(world, "/evm/upto", PERMIT2) },
    Case { name: "tampered, Solana", run: |world| tampered(world, "/svm/exact", SOLANA) },
    Case { name: "tampered, the offer alone", run: other_offer },
];

/// What the facilitator says about a change, and the change.
type Changes = &'static [(&'static str, fn(&mut Value))];

/// Somebody else's address.
const STRANGER: &str = "0x23618e81E3f5cdF7f54C3d65f7FBc0aBf5B21E8f";

const EIP3009: Changes = &[
    (SIGNATURE, |payment| flip(&mut payment["payload"]["signature"])),
    (SIGNATURE, |payment| payment["payload"]["authorization"]["from"] = json!(STRANGER)),
    (SIGNATURE, |payment| flip(&mut payment["payload"]["authorization"]["nonce"])),
    ("invalid_exact_evm_payload_authorization_value_mismatch", |payment| {
        payment["payload"]["authorization"]["value"] = json!("1");
    }),
    ("invalid_exact_evm_recipient_mismatch", |payment| {
        payment["payload"]["authorization"]["to"] = json!(STRANGER);
    }),
];
const SIGNATURE: &str = "invalid_exact_evm_signature";

const PERMIT2: Changes = &[
    ("invalid_permit2_signature", |payment| flip(&mut payment["payload"]["signature"])),
    ("invalid_permit2_signature", |payment| {
        payment["payload"]["permit2Authorization"]["from"] = json!(STRANGER);
    }),
    ("permit2_amount_mismatch", |payment| {
        payment["payload"]["permit2Authorization"]["permitted"]["amount"] = json!("1");
    }),
    ("invalid_permit2_recipient_mismatch", |payment| {
        payment["payload"]["permit2Authorization"]["witness"]["to"] = json!(STRANGER);
    }),
];

const SOLANA: Changes = &[
    // The payer's signature is the second: the first is the fee payer's, still empty.
    ("invalid_exact_svm_payload_signature_invalid", |payment| transaction(payment, |bytes| bytes[1 + 64 + 10] ^= 1)),
    ("invalid_exact_svm_payload_signature_invalid", |payment| {
        transaction(payment, |bytes| {
            let at = bytes.len() - 3;
            bytes[at] ^= 1;
        });
    }),
    ("invalid_exact_svm_payload_transaction_could_not_be_decoded", |payment| {
        transaction(payment, |bytes| bytes.truncate(100));
    }),
];

/// Changes a digit in the middle.
fn flip(text: &mut Value) {
    let old = text.as_str().unwrap_or_default();
    let digit = if old.get(40..41) == Some("0") { "1" } else { "0" };
    *text = json!(format!("{}{digit}{}", old.get(..40).unwrap_or_default(), old.get(41..).unwrap_or_default()));
}

fn transaction(payment: &mut Value, change: impl FnOnce(&mut Vec<u8>)) {
    let old = payment["payload"]["transaction"].as_str().unwrap_or_default();
    payment["payload"]["transaction"] = json!(wire::changed(old, change).unwrap_or_default());
}

fn tampered(world: &mut World, path: &str, changes: Changes) -> Verdict {
    let before = world.earned()?;
    let payment = world.signed(path, &json!({}), None)?;
    let mut outcome = Outcome::Agrees;
    for (code, change) in changes {
        let mut changed = payment.clone();
        change(&mut changed);
        if changed == payment {
            return Err(format!("{code}: nothing was changed"));
        }
        let reason = facilitator_says(world, &changed, &payment["accepted"])?;
        refused(world, path, &changed, &reason)?;
        match reason == *code {
            true => {}
            // What was changed was signed, too.
            false if world.cast.facilitator == Who::Theirs && reason == SIGNATURE => {
                outcome = Outcome::Deviates("Which reason comes first");
            }
            false => return Err(format!("the facilitator says {reason} and not {code}")),
        }
        world.moved(before, NOTHING)?;
    }
    Ok(outcome)
}

/// What the client says it accepted is not what the server offers.
fn other_offer(world: &mut World) -> Verdict {
    let before = world.earned()?;
    for path in ["/evm/eip3009", "/evm/permit2", "/svm/exact"] {
        let payment = world.signed(path, &json!({}), None)?;
        for (member, value) in [("amount", "1"), ("payTo", STRANGER), ("scheme", "upto"), ("asset", STRANGER)] {
            let mut changed = payment.clone();
            changed["accepted"][member] = json!(value);
            refused(world, path, &changed, NO_MATCH)?;
        }
    }
    world.moved(before, NOTHING).map(|()| Outcome::Agrees)
}
