//! What both servers ask for, and what both facilitators say they support, side by side.

use super::http::Message;
use super::wire;
use super::world::World;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// What is asked for unpaid, by verb and path.
const ASKED: [(&str, &str); 21] = [
    ("GET", "/free"),
    ("GET", "/evm/eip3009"),
    ("GET", "/evm/big"),
    ("GET", "/evm/permit2"),
    ("GET", "/evm/permit2-eip2612"),
    ("GET", "/evm/permit2-erc20"),
    ("GET", "/evm/upto"),
    ("GET", "/evm/upto-eip2612"),
    ("GET", "/evm/upfront"),
    ("GET", "/svm/exact"),
    ("GET", "/svm/memo"),
    ("GET", "/multi"),
    ("GET", "/dynamic?units=25"),
    ("GET", "/fails"),
    ("GET", "/siwx/evm"),
    ("GET", "/siwx/svm"),
    ("GET", "/siwx/auth"),
    ("GET", "/pid/optional"),
    ("GET", "/pid/required"),
    ("GET", "/bazaar/weather/Paris?units=metric"),
    ("POST", "/bazaar/echo"),
];

/// What a server answers to whoever does not pay: status and challenge of each route, without what differs each time.
pub(super) fn challenges(world: &World) -> Result<Value, String> {
    let mut all = Map::new();
    for (verb, path) in ASKED {
        let answer = Message::request(verb, path).json(&json!({})).send(&world.relay.url)?;
        let mut challenge = answer.header("payment-required").map(wire::decode).transpose()?.unwrap_or_default();
        if let Some(info) = challenge.pointer_mut("/extensions/sign-in-with-x/info").and_then(Value::as_object_mut) {
            for member in ["nonce", "issuedAt", "expirationTime"] {
                info.entry(member).and_modify(|value| *value = json!("…"));
            }
        }
        let text = challenge
            .to_string()
            .replace(&world.relay.url, "http://server")
            .replace(world.relay.url.trim_start_matches("http://"), "server");
        let challenge: Value = serde_json::from_str(&text).map_err(|why| why.to_string())?;
        all.insert(path.to_owned(), json!({ "status": answer.status(), "challenge": challenge }));
    }
    Ok(Value::Object(all))
}

/// What a facilitator says it supports.
pub(super) fn supported(world: &World) -> Result<Value, String> {
    let answer = Message::request("GET", "/supported").send(&world.facilitator)?;
    serde_json::from_slice(&answer.body).map_err(|why| format!("/supported: {why}"))
}

/// Where two differ, by JSON pointer. The order of members of an object is none, that of a list of texts or kinds is none
/// either.
pub(super) fn differences(ours: &Value, theirs: &Value, at: &str, found: &mut Vec<String>) {
    match (ours, theirs) {
        (Value::Object(one), Value::Object(other)) => {
            for key in one.keys().chain(other.keys()).collect::<BTreeSet<_>>() {
                let member = |object: &Map<String, Value>| object.get(key).cloned().unwrap_or_default();
                differences(&member(one), &member(other), &format!("{at}/{}", key.replace('/', "~1")), found);
            }
        }
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() && sorted(one) == sorted(other) => {}
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => {
            one.iter()
                .zip(other)
                .enumerate()
                .for_each(|(i, (one, other))| differences(one, other, &format!("{at}/{i}"), found));
        }
        (one, other) if one == other => {}
        (one, other) => found.push(format!("{at}: ours {one}, theirs {other}")),
    }
}

fn sorted(list: &[Value]) -> Vec<String> {
    let mut texts: Vec<_> = list.iter().map(Value::to_string).collect();
    texts.sort();
    texts
}
