//! Whoever signs in comes back without paying, once for each signature.

use super::payments::{EVM, NOTHING, SVM, bought};
use super::world::{Earned, World, present};
use super::{Case, Outcome, Verdict};
use serde_json::json;

pub(super) const CASES: &[Case] = &[
    Case { name: "sign-in, EVM, after paying", run: |world| returns(world, "/siwx/evm", "evm", EVM) },
    Case { name: "sign-in, Solana, after paying", run: |world| returns(world, "/siwx/svm", "svm", SVM) },
    Case { name: "sign-in alone, EVM", run: |world| enters(world, "evm") },
    Case { name: "sign-in alone, Solana", run: |world| enters(world, "svm") },
    Case { name: "sign-in without a purchase", run: stranger },
    Case { name: "sign-in presented again", run: again },
];

fn returns(world: &mut World, path: &str, wallet: &str, price: Earned) -> Verdict {
    bought(world, path, &json!({}), price)?;
    bought(world, path, &json!({ "siwx": [wallet] }), NOTHING)?;
    bought(world, path, &json!({}), price).map(|_| Outcome::Agrees)
}

fn enters(world: &mut World, wallet: &str) -> Verdict {
    bought(world, "/siwx/auth", &json!({ "siwx": [wallet] }), NOTHING).map(|_| Outcome::Agrees)
}

/// A wallet that has paid for nothing signs in, and pays after all.
fn stranger(world: &mut World) -> Verdict {
    let mut more = world.key("noAllowance");
    more["siwx"] = json!(["evm"]);
    bought(world, "/siwx/evm", &more, EVM).map(|_| Outcome::Agrees)
}

/// A signature that has opened the route opens it no more.
fn again(world: &mut World) -> Verdict {
    let relay = world.relay.clone();
    let (entered, seen) = relay.watching(|| enters(world, "evm"));
    entered?;
    let proof = seen.iter().find_map(|request| request.header("sign-in-with-x")).ok_or("no signature was seen")?;
    match present(&world.server, "/siwx/auth", "sign-in-with-x", proof)?.status() {
        200 => Err("a signature was good twice".to_owned()),
        _ => Ok(Outcome::Agrees),
    }
}
