//! What is sold is paid for, given, and settled on chain; what is listed can be found.

use super::http::Message;
use super::wire;
use super::world::{Earned, Who, World};
use super::{Case, Outcome, Verdict};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Longest wait for a listing.
const PATIENCE: Duration = Duration::from_secs(30);

/// A thousandth of a dollar, on the EVM and on Solana.
pub(super) const EVM: Earned = [1000, 0, 0];
pub(super) const SVM: Earned = [0, 0, 1000];
pub(super) const NOTHING: Earned = [0, 0, 0];

/// Pays for a path and holds that it was given and that so much moved.
pub(super) fn bought(world: &mut World, path: &str, more: &Value, moves: Earned) -> Result<Value, String> {
    let before = world.earned()?;
    let answer = world.buy(path, more)?;
    if answer["status"] != 200 {
        return Err(format!("{path}: {answer}"));
    }
    let body: Value = serde_json::from_str(answer["body"].as_str().unwrap_or_default()).unwrap_or_default();
    if body != json!({ "ok": true, "route": path.split('?').next() }) {
        return Err(format!("{path} answers {body}"));
    }
    world.moved(before, moves)?;
    let receipt = answer["headers"]["payment-response"].as_str().map(wire::decode).transpose()?;
    match receipt {
        None if moves == NOTHING => {}
        Some(receipt) if receipt["success"] == true => {}
        other => return Err(format!("{path}: the receipt is {other:?}")),
    }
    Ok(answer)
}

fn pays(world: &mut World, path: &str, more: Value, moves: Earned) -> Verdict {
    bought(world, path, &more, moves).map(|_| Outcome::Agrees)
}

fn paid_by(world: &mut World, account: &str, path: &str, moves: Earned) -> Verdict {
    let key = world.key(account);
    pays(world, path, key, moves)
}

pub(super) const CASES: &[Case] = &[
    Case { name: "free", run: |world| pays(world, "/free", json!({}), NOTHING) },
    Case { name: "exact, EIP-3009", run: |world| pays(world, "/evm/eip3009", json!({}), EVM) },
    Case { name: "exact, EIP-3009, settled first", run: |world| pays(world, "/evm/upfront", json!({}), EVM) },
    Case { name: "exact, price per request", run: |world| pays(world, "/dynamic?units=3", json!({}), [3000, 0, 0]) },
    Case { name: "exact, Permit2", run: |world| pays(world, "/evm/permit2", json!({}), EVM) },
    Case {
        name: "exact, Permit2, EIP-2612 sponsored",
        run: |world| paid_by(world, "fresh2612", "/evm/permit2-eip2612", EVM),
    },
    Case {
        name: "exact, Permit2, approval sponsored",
        run: |world| paid_by(world, "freshErc20", "/evm/permit2-erc20", [0, 1000, 0]),
    },
    Case { name: "upto", run: |world| pays(world, "/evm/upto", json!({}), EVM) },
    Case { name: "upto, a part of it", run: |world| pays(world, "/evm/upto?use=7", json!({}), [7, 0, 0]) },
    Case { name: "upto, nothing of it", run: |world| pays(world, "/evm/upto?use=0", json!({}), NOTHING) },
    Case { name: "upto, EIP-2612 sponsored", run: |world| paid_by(world, "freshUpto", "/evm/upto-eip2612", EVM) },
    Case { name: "exact, Solana", run: |world| pays(world, "/svm/exact", json!({}), SVM) },
    Case { name: "exact, Solana, with a memo", run: |world| pays(world, "/svm/memo", json!({}), SVM) },
    Case { name: "two chains, the first", run: |world| pays(world, "/multi", json!({}), EVM) },
    Case { name: "two chains, the one preferred", run: prefers },
    Case { name: "above the default limit", run: dear },
    Case { name: "a handler that fails", run: fails },
    Case { name: "payment-identifier", run: |world| pays(world, "/pid/required", json!({ "paymentId": "auto" }), EVM) },
    Case { name: "payment-identifier left out", run: no_identifier },
    Case { name: "payment-identifier repeated", run: same_identifier },
    Case {
        name: "bazaar, a GET",
        run: |world| listed(world, "/bazaar/weather/Paris?units=metric", json!({}), "/bazaar/weather/:city"),
    },
    Case {
        name: "bazaar, a POST",
        run: |world| {
            listed(world, "/bazaar/echo", json!({ "method": "POST", "body": { "text": "hello" } }), "/bazaar/echo")
        },
    },
];

fn prefers(world: &mut World) -> Verdict {
    let network = world.svm();
    pays(world, "/multi", json!({ "prefer": { "network": network } }), SVM)
}

fn dear(world: &mut World) -> Verdict {
    let before = world.earned()?;
    let answer = world.buy("/evm/big", &json!({ "spend": "default" }))?;
    match &answer["error"] {
        Value::String(_) => world.moved(before, NOTHING)?,
        _ => return Err(format!("it was not refused: {answer}")),
    }
    bought(world, "/evm/big", &json!({}), [5_000_000_000, 0, 0]).map(|_| Outcome::Agrees)
}

fn fails(world: &mut World) -> Verdict {
    let before = world.earned()?;
    let answer = world.buy("/fails", &json!({}))?;
    match answer["status"] == 500 {
        true => world.moved(before, NOTHING).map(|()| Outcome::Agrees),
        false => Err(format!("{answer}")),
    }
}

fn no_identifier(world: &mut World) -> Verdict {
    let before = world.earned()?;
    let answer = world.buy("/pid/required", &json!({}))?;
    match (world.cast.server, answer["status"].as_u64()) {
        (Who::Ours, Some(400)) => world.moved(before, NOTHING).map(|()| Outcome::Agrees),
        (Who::Theirs, Some(200)) => Ok(Outcome::Deviates("Ids are required and not asked for")),
        _ => Err(format!("{answer}")),
    }
}

fn same_identifier(world: &mut World) -> Verdict {
    let before = world.earned()?;
    let id = json!({ "paymentId": "order_0123456789abcdef" });
    for _ in 0..2 {
        let answer = world.buy("/pid/optional", &id)?;
        if answer["status"] != 200 {
            return Err(format!("{answer}"));
        }
    }
    match world.cast.server {
        Who::Ours => world.moved(before, EVM).map(|()| Outcome::Agrees),
        Who::Theirs => {
            world.moved(before, [2000, 0, 0])?;
            Ok(Outcome::Deviates("Ids are carried and not used"))
        }
    }
}

fn listed(world: &mut World, path: &str, more: Value, template: &str) -> Verdict {
    bought(world, path, &more, EVM)?;
    let resource = format!("{}{template}", world.relay.url);
    let until = Instant::now() + PATIENCE;
    loop {
        let answer = Message::request("GET", "/discovery/resources").send(&world.facilitator)?;
        let list: Value = serde_json::from_slice(&answer.body).map_err(|why| format!("/discovery/resources: {why}"))?;
        let mut items = list["items"].as_array().into_iter().flatten();
        if let Some(item) = items.find(|item| item["resource"] == resource) {
            let told = item["serviceName"] == "Interop" && item["accepts"][0]["amount"] == "1000";
            return if told { Ok(Outcome::Agrees) } else { Err(format!("it is listed as {item}")) };
        }
        if Instant::now() > until {
            return Err(format!("{resource} is not among {list}"));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}
