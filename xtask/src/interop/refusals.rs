//! What must not be paid for is not given, and moves nothing.

use super::payments::{EVM, NOTHING, SVM};
use super::relay::Edit;
use super::world::{Earned, Who, World, present};
use super::{Case, Outcome, Verdict, wire};
use serde_json::{Value, json};
use std::thread;

pub(super) const CASES: &[Case] = &[
    Case { name: "replayed, EIP-3009", run: |world| replayed(world, "/evm/eip3009", EVM) },
    Case { name: "replayed, Permit2", run: |world| replayed(world, "/evm/permit2", EVM) },
    Case { name: "replayed, Solana", run: |world| replayed(world, "/svm/exact", SVM) },
    Case { name: "presented twice at once", run: at_once },
    Case {
        name: "poor, EVM",
        run: |world| cannot_pay(world, "poor", "/evm/eip3009", 402, "invalid_exact_evm_insufficient_balance"),
    },
    Case {
        name: "poor, Solana",
        run: |world| cannot_pay(world, "poor", "/svm/exact", 402, "invalid_exact_svm_transaction_simulation_failed"),
    },
    Case {
        name: "no allowance for Permit2",
        run: |world| cannot_pay(world, "noAllowance", "/evm/permit2", 412, "permit2_allowance_required"),
    },
    Case {
        name: "expired, EIP-3009",
        run: |world| expired(world, "/evm/eip3009", "invalid_exact_evm_payload_authorization_valid_before"),
    },
    Case { name: "expired, Permit2", run: |world| expired(world, "/evm/permit2", "permit2_deadline_expired") },
    Case { name: "wrong network", run: wrong_network },
    Case { name: "signed for another network", run: other_network },
    Case { name: "paid too little", run: too_little },
];

/// What a server says where a payment answers none of its offers.
pub(super) const NO_MATCH: &str = "No matching payment requirements";

/// Presents a payment to the server, which must answer 402 for this reason.
pub(super) fn refused(world: &World, path: &str, payment: &Value, reason: &str) -> Result<(), String> {
    let answer = present(&world.server, path, "payment-signature", &wire::encode(payment))?;
    let challenge = answer.header("payment-required").map(wire::decode).transpose()?.unwrap_or_default();
    match answer.status() == 402 && challenge["error"] == reason {
        true => Ok(()),
        false => {
            Err(format!("the server answered {} and {}, not 402 and {reason}", answer.status(), challenge["error"]))
        }
    }
}

/// Asks the facilitator itself, which must refuse at both doors; gives the reason it has at the first.
pub(super) fn facilitator_says(world: &World, payment: &Value, offer: &Value) -> Result<String, String> {
    let verdict = world.ask("/verify", payment, offer)?;
    let outcome = world.ask("/settle", payment, offer)?;
    match verdict["isValid"] != true && outcome["success"] != true {
        true => Ok(verdict["invalidReason"].as_str().unwrap_or_default().to_owned()),
        false => Err(format!("the facilitator says {verdict} and {outcome}")),
    }
}

fn says(world: &World, payment: &Value, reason: &str) -> Result<(), String> {
    match facilitator_says(world, payment, &payment["accepted"])? {
        said if said == reason => Ok(()),
        said => Err(format!("the facilitator says {said} and not {reason}")),
    }
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

/// A payer that lacks something is told what.
fn cannot_pay(world: &mut World, account: &str, path: &str, status: u16, reason: &str) -> Verdict {
    let (before, key) = (world.earned()?, world.key(account));
    let answer = world.buy(path, &key)?;
    let challenge = answer["headers"]["payment-required"].as_str().map(wire::decode).transpose()?.unwrap_or_default();
    match answer["status"] == status && challenge["error"] == reason {
        true => world.moved(before, NOTHING).map(|()| Outcome::Agrees),
        false => Err(format!(
            "it was answered {} and {}, not {status} and {reason}: {answer}",
            answer["status"], challenge["error"]
        )),
    }
}

/// A signature that is good for a second, shown after it.
fn expired(world: &mut World, path: &str, reason: &str) -> Verdict {
    let before = world.earned()?;
    let hurry: Edit = |challenge| challenge["accepts"][0]["maxTimeoutSeconds"] = json!(1);
    let payment = world.signed(path, &json!({}), Some(hurry))?;
    thread::sleep(std::time::Duration::from_secs(2));
    refused(world, path, &payment, NO_MATCH)?;
    says(world, &payment, reason)?;
    world.moved(before, NOTHING).map(|()| Outcome::Agrees)
}

const ELSEWHERE: Edit = |challenge| challenge["accepts"][0]["network"] = json!("eip155:1");

/// A payment on a network that neither the server nor the facilitator is on.
fn wrong_network(world: &mut World) -> Verdict {
    let before = world.earned()?;
    let payment = world.signed("/evm/eip3009", &json!({}), Some(ELSEWHERE))?;
    refused(world, "/evm/eip3009", &payment, NO_MATCH)?;
    let said = facilitator_says(world, &payment, &payment["accepted"])?;
    world.moved(before, NOTHING)?;
    match (world.cast.facilitator, said.as_str()) {
        (Who::Ours, "invalid_network") => Ok(Outcome::Agrees),
        (Who::Theirs, "") => Ok(Outcome::Deviates("A network nobody serves")),
        _ => Err(format!("the facilitator says {said}")),
    }
}

/// A signature for another network, said to be for this one.
fn other_network(world: &mut World) -> Verdict {
    let before = world.earned()?;
    let own = world.signed("/evm/eip3009", &json!({}), None)?;
    let mut moved = world.signed("/evm/eip3009", &json!({}), Some(ELSEWHERE))?;
    moved["accepted"] = own["accepted"].clone();
    refused(world, "/evm/eip3009", &moved, "invalid_exact_evm_signature")?;
    says(world, &moved, "invalid_exact_evm_signature")?;
    world.moved(before, NOTHING).map(|()| Outcome::Agrees)
}

/// The client is told a lower price than the server asks.
fn too_little(world: &mut World) -> Verdict {
    let before = world.earned()?;
    let cheap: Edit = |challenge| challenge["accepts"][0]["amount"] = json!("1");
    let payment = world.signed("/evm/eip3009", &json!({}), Some(cheap))?;
    refused(world, "/evm/eip3009", &payment, NO_MATCH)?;
    let mut dressed = payment;
    dressed["accepted"]["amount"] = json!("1000");
    let reason = "invalid_exact_evm_payload_authorization_value_mismatch";
    refused(world, "/evm/eip3009", &dressed, reason)?;
    says(world, &dressed, reason)?;
    world.moved(before, NOTHING).map(|()| Outcome::Agrees)
}
