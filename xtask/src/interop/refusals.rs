//! What must not be paid for is not given, and moves nothing.

use super::payments::{EVM, NOTHING, SVM};
use super::world::{Earned, World, present};
use super::{Case, Outcome, Verdict, wire};
use serde_json::{Value, json};
use std::thread;

pub(super) const CASES: &[Case] = &[
    Case { name: "tampered, EIP-3009", run: |world| tampered(world, "/evm/eip3009", EIP3009) },
    Case { name: "tampered, Permit2", run: |world| tampered(world, "/evm/permit2", PERMIT2) },
    Case { name: "tampered, upto", run: |world| tampered(world, "/evm/upto", PERMIT2) },
    Case { name: "tampered, Solana", run: |world| tampered(world, "/svm/exact", SOLANA) },
    Case { name: "replayed, EIP-3009", run: |world| replayed(world, "/evm/eip3009", EVM) },
    Case { name: "replayed, Permit2", run: |world| replayed(world, "/evm/permit2", EVM) },
    Case { name: "replayed, Solana", run: |world| replayed(world, "/svm/exact", SVM) },
    Case { name: "presented twice at once", run: at_once },
    Case { name: "poor, EVM", run: |world| poor(world, "/evm/eip3009") },
    Case { name: "poor, Solana", run: |world| poor(world, "/svm/exact") },
    Case { name: "no allowance for Permit2", run: |world| cannot_pay(world, "noAllowance", "/evm/permit2") },
    Case { name: "expired, EIP-3009", run: |world| expired(world, "/evm/eip3009") },
    Case { name: "expired, Permit2", run: |world| expired(world, "/evm/permit2") },
    Case { name: "wrong network", run: wrong_network },
    Case { name: "paid too little", run: too_little },
];

/// Names of what is changed in a payment, and how.
type Changes = &'static [(&'static str, fn(&mut Value))];

fn flip(text: &mut Value) {
    let old = text.as_str().unwrap_or_default().to_owned();
    // In the middle of a signature.
    let digit = if old.get(40..41) == Some("0") { "1" } else { "0" };
    *text = json!(format!("{}{digit}{}", old.get(..40).unwrap_or_default(), old.get(41..).unwrap_or_default()));
}

/// Somebody else's address.
const STRANGER: &str = "0x23618e81E3f5cdF7f54C3d65f7FBc0aBf5B21E8f";

const EIP3009: Changes = &[
    ("signature", |payment| flip(&mut payment["payload"]["signature"])),
    ("value", |payment| payment["payload"]["authorization"]["value"] = json!("1")),
    ("recipient", |payment| payment["payload"]["authorization"]["to"] = json!(STRANGER)),
    ("payer", |payment| payment["payload"]["authorization"]["from"] = json!(STRANGER)),
    ("nonce", |payment| flip(&mut payment["payload"]["authorization"]["nonce"])),
    ("offer", |payment| payment["accepted"]["amount"] = json!("1")),
];

const PERMIT2: Changes = &[
    ("signature", |payment| flip(&mut payment["payload"]["signature"])),
    ("value", |payment| payment["payload"]["permit2Authorization"]["permitted"]["amount"] = json!("1")),
    ("recipient", |payment| payment["payload"]["permit2Authorization"]["witness"]["to"] = json!(STRANGER)),
    ("payer", |payment| payment["payload"]["permit2Authorization"]["from"] = json!(STRANGER)),
    ("offer", |payment| payment["accepted"]["amount"] = json!("1")),
];

const SOLANA: Changes = &[
    // The payer's signature is the second: the first is the fee payer's, still empty.
    ("signature", |payment| transaction(payment, |bytes| bytes[1 + 64 + 10] ^= 1)),
    ("last instruction", |payment| {
        transaction(payment, |bytes| {
            let at = bytes.len() - 3;
            bytes[at] ^= 1;
        })
    }),
    ("cut short", |payment| transaction(payment, |bytes| bytes.truncate(100))),
    ("offer", |payment| payment["accepted"]["amount"] = json!("1")),
];

fn transaction(payment: &mut Value, change: impl FnOnce(&mut Vec<u8>)) {
    let old = payment["payload"]["transaction"].as_str().unwrap_or_default();
    payment["payload"]["transaction"] = json!(wire::changed(old, change).unwrap_or_default());
}

/// Presents a payment to the server and holds that it was refused.
fn refused(world: &World, path: &str, payment: &Value, what: &str) -> Result<(), String> {
    match present(&world.server, path, "payment-signature", &wire::encode(payment))?.status() {
        400..=499 => Ok(()),
        status => Err(format!("{what}: the server answered {status}")),
    }
}

/// Asks the facilitator itself, and holds that it refuses at both doors.
fn refused_by_facilitator(world: &World, payment: &Value, offer: &Value) -> Result<(), String> {
    let verdict = world.ask("/verify", payment, offer)?;
    let outcome = world.ask("/settle", payment, offer)?;
    match verdict["isValid"] != true && outcome["success"] != true {
        true => Ok(()),
        false => Err(format!("the facilitator says {verdict} and {outcome}")),
    }
}

fn tampered(world: &mut World, path: &str, changes: Changes) -> Verdict {
    let before = world.earned()?;
    let payment = world.signed(path, &json!({}), None)?;
    for (what, change) in changes {
        let mut changed = payment.clone();
        change(&mut changed);
        if changed == payment {
            return Err(format!("{what}: nothing was changed"));
        }
        refused(world, path, &changed, what)?;
        refused_by_facilitator(world, &changed, &payment["accepted"]).or_else(|why| match *what {
            // The facilitator holds to the offer that the server gives it, and that is as it was.
            "offer" => Ok(()),
            _ => Err(format!("{what}: {why}")),
        })?;
        if *what == "offer" {
            continue;
        }
        world.moved(before, NOTHING)?;
    }
    Ok(Outcome::Agrees)
}

fn replayed(world: &mut World, path: &str, price: Earned) -> Verdict {
    let before = world.earned()?;
    let relay = world.relay.clone();
    let (answer, seen) = relay.watching(|| world.buy(path, &json!({})));
    let answer = answer?;
    let payment = seen.iter().find_map(|request| request.header("payment-signature")).ok_or("nothing was paid")?;
    if answer["status"] != 200 {
        return Err(format!("{answer}"));
    }
    for _ in 0..2 {
        let status = present(&world.server, path, "payment-signature", payment)?.status();
        if status < 400 {
            return Err(format!("presented again, it was answered {status}"));
        }
    }
    world.moved(before, price).map(|()| Outcome::Agrees)
}

/// Of two that present the same payment at the same time, one is served.
fn at_once(world: &mut World) -> Verdict {
    let before = world.earned()?;
    let payment = wire::encode(&world.signed("/evm/eip3009", &json!({}), None)?);
    let server = world.server.as_str();
    let statuses = thread::scope(|scope| {
        let present = || present(server, "/evm/eip3009", "payment-signature", &payment).map(|answer| answer.status());
        let other = scope.spawn(present);
        Ok::<_, String>([present()?, other.join().map_err(|_| "a thread ended")??])
    })?;
    world.moved(before, EVM)?;
    match statuses.iter().filter(|status| **status == 200).count() {
        1 => Ok(Outcome::Agrees),
        _ => Err(format!("they were answered {statuses:?}")),
    }
}

fn poor(world: &mut World, path: &str) -> Verdict {
    cannot_pay(world, "poor", path)
}

fn cannot_pay(world: &mut World, account: &str, path: &str) -> Verdict {
    let (before, key) = (world.earned()?, world.key(account));
    let answer = world.buy(path, &key)?;
    let refused = answer["error"].is_string() || answer["status"] == 402 || answer["status"] == 412;
    match refused {
        true => world.moved(before, NOTHING).map(|()| Outcome::Agrees),
        false => Err(format!("{answer}")),
    }
}

fn expired(world: &mut World, path: &str) -> Verdict {
    let before = world.earned()?;
    let hurry: super::relay::Edit = |challenge| {
        for offer in challenge["accepts"].as_array_mut().into_iter().flatten() {
            offer["maxTimeoutSeconds"] = json!(1);
        }
    };
    let payment = world.signed(path, &json!({}), Some(hurry))?;
    thread::sleep(std::time::Duration::from_secs(2));
    refused(world, path, &payment, "expired")?;
    refused_by_facilitator(world, &payment, &payment["accepted"])?;
    world.moved(before, NOTHING).map(|()| Outcome::Agrees)
}

fn wrong_network(world: &mut World) -> Verdict {
    let before = world.earned()?;
    let elsewhere: super::relay::Edit = |challenge| challenge["accepts"][0]["network"] = json!("eip155:1");
    let payment = world.signed("/evm/eip3009", &json!({}), Some(elsewhere))?;
    refused(world, "/evm/eip3009", &payment, "for another network")?;
    refused_by_facilitator(world, &payment, &payment["accepted"])?;
    // The same signature, said to be for this network.
    let mut moved = payment;
    moved["accepted"]["network"] = world.signed("/evm/eip3009", &json!({}), None)?["accepted"]["network"].clone();
    refused(world, "/evm/eip3009", &moved, "signed for another network")?;
    refused_by_facilitator(world, &moved, &moved["accepted"])?;
    world.moved(before, NOTHING).map(|()| Outcome::Agrees)
}

/// The client is told a lower price than the server asks.
fn too_little(world: &mut World) -> Verdict {
    let before = world.earned()?;
    let cheap: super::relay::Edit = |challenge| challenge["accepts"][0]["amount"] = json!("1");
    let payment = world.signed("/evm/eip3009", &json!({}), Some(cheap))?;
    refused(world, "/evm/eip3009", &payment, "too little")?;
    let mut dressed = payment;
    dressed["accepted"]["amount"] = json!("1000");
    refused(world, "/evm/eip3009", &dressed, "too little, dressed up")?;
    refused_by_facilitator(world, &dressed, &dressed["accepted"])?;
    world.moved(before, NOTHING).map(|()| Outcome::Agrees)
}
