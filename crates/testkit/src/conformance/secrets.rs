//! A canary key: it shows in no error, no `Debug` and nothing that goes over the wire.

use super::Conformance;
use super::configuration::attempt;
use super::junk::{places, with};
use super::stage::{Ground, Stage, example, serves, with_id};
use crate::FakeSecrets;
use crate::report::Notes;
use serde_json::Value;
use std::sync::Arc;
use tollway_core::{BuildContext, NetworkPattern, PartKind, Signable};

/// A secret that is no valid key anywhere.
const NO_KEY: &str = "canary-that-is-no-key-c0ffee00c0ffee";

pub(super) async fn check(subject: &Conformance, stage: &Stage, notes: &Notes) {
    let clean = |rule: &'static str, text: &str, at: &dyn Fn() -> String| {
        notes.check(rule, !leaks(text, &subject.canary), || format!("{} shows the key: {text}", at()));
    };
    let registry = &stage.registry;
    clean("secrets: debug", &format!("{:?} {registry:?}", subject.plugin), &|| "the registry".to_owned());
    for part in stage.parts(subject) {
        let Ok(section) = example(part) else { continue };
        for (id, cx) in stage.contexts(subject, part) {
            let section = with_id(section.clone(), part, id.as_ref());
            for place in secret_places(&section) {
                // Somebody writes the key where a reference to it belongs.
                let literal = with(&section, &place, Value::String(subject.canary.clone()));
                match attempt(part, &literal, &cx).await {
                    Ok(()) => notes.check("secrets: literal", false, || {
                        format!("{part:?} accepts a key itself at `{place}`; ask for a reference with `SecretRef`")
                    }),
                    Err(why) => clean("secrets: error", &why, &|| format!("{part:?}, given the key at `{place}`,")),
                }
            }
            let mut no_key = cx.clone();
            no_key.secrets = FakeSecrets::new(NO_KEY).shared();
            if let Err(why) = attempt(part, &section, &no_key).await {
                notes.check("secrets: error", !leaks(&why, NO_KEY), || {
                    format!("{part:?}, given a key that is none, shows it: {why}")
                });
            }
        }
    }
    for ground in &stage.grounds {
        signers(ground, &clean).await;
        sides(subject, stage, ground, &clean).await;
    }
    for (at, example, exhibit) in &subject.exhibits {
        let pattern = at.parse::<NetworkPattern>();
        let ground = stage.grounds.iter().find(|ground| pattern.as_ref().is_ok_and(|at| at.matches(&ground.id)));
        let cx = ground.map_or_else(|| subject.context(), |ground| ground.cx.clone());
        let mut section: Value = serde_json::from_str(example).unwrap_or_default();
        let is_network =
            stage.parts(subject).any(|part| part.kind() == PartKind::Network && part.example() == *example);
        if let (true, Some(ground), Some(members)) = (is_network, ground, section.as_object_mut()) {
            members.insert("id".to_owned(), Value::String(ground.id.to_string()));
        }
        if let Some(shown) = notes.take("secrets: debug", exhibit(section, cx).await, || format!("a part at {at}")) {
            clean("secrets: debug", &shown, &|| format!("a part at {at}"));
        }
    }
}

type Clean<'a> = dyn Fn(&'static str, &str, &dyn Fn() -> String) + 'a;

async fn signers(ground: &Ground, clean: &Clean<'_>) {
    for (kind, signer) in &ground.signers {
        let at = || format!("the signer `{kind}` on {}", ground.id);
        clean("secrets: address", signer.address(), &at);
        for what in [Signable::Digest(&[7; 32]), Signable::Message(b"message"), Signable::Message(b"")] {
            match signer.sign(what).await {
                Ok(signature) => clean("secrets: signature", &String::from_utf8_lossy(&signature), &at),
                Err(fault) => clean("secrets: error", &format!("{fault} {fault:?}"), &at),
            }
        }
    }
}

/// What the sides of a scheme say in public.
async fn sides(subject: &Conformance, stage: &Stage, ground: &Ground, clean: &Clean<'_>) {
    let made = stage.parts(subject).filter(|part| serves(part, &ground.id));
    for part in made {
        let section = example(part).unwrap_or_default();
        let at = || format!("{part:?}");
        let cx: BuildContext = ground.cx.clone();
        if part.kind() == PartKind::SchemeFacilitator
            && let Ok(side) = stage.registry.facilitator(part.name(), &ground.id, section.clone(), cx.clone()).await
        {
            let said = format!("{:?} {:?} {:?}", side.kind_extra(), side.signers(), side.extensions());
            clean("secrets: kind", &said, &at);
        }
        if part.kind() == PartKind::SchemeClient
            && let Ok(side) = stage.registry.client(part.name(), &ground.id, section, cx).await
        {
            for sample in subject.samples.iter().filter(|sample| sample.signs && sample.offer.scheme == side.scheme()) {
                let resource = crate::fixtures::resource("https://conformance.example/");
                match Arc::clone(&side).sign(&sample.offer, &resource).await {
                    Ok(signed) => clean("secrets: payload", &signed.payload.to_string(), &at),
                    Err(why) => clean("secrets: error", &format!("{why} {why:?}"), &at),
                }
            }
        }
    }
}

/// Places of an example that hold a reference to a secret.
fn secret_places(section: &Value) -> Vec<String> {
    let refers = |place: &String| {
        let text = section.pointer(place).and_then(Value::as_str);
        text.is_some_and(|text| text.starts_with("env:") || text.starts_with("file:"))
    };
    places(section).into_iter().filter(refers).collect()
}

/// Whether a text holds the key, whatever the letter case, with or without its prefix, or as a list of bytes. A third of
/// it is enough to be a leak; less may be chance.
fn leaks(text: &str, key: &str) -> bool {
    let (text, key) = (text.to_lowercase(), key.to_lowercase());
    let key = key.strip_prefix("0x").unwrap_or(&key);
    let bytes =
        (0..key.len()).step_by(2).filter_map(|at| u8::from_str_radix(key.get(at..at.saturating_add(2))?, 16).ok());
    let bytes: Vec<String> = bytes.map(|byte| byte.to_string()).collect();
    let squeezed: String = text.chars().filter(|letter| !letter.is_whitespace()).collect();
    let third = |length: usize| (length / 3).max(8).min(length).max(1);
    let letters: Vec<char> = key.chars().collect();
    letters.windows(third(letters.len())).any(|window| text.contains(&window.iter().collect::<String>()))
        || bytes.windows(third(bytes.len())).any(|window| squeezed.contains(&window.join(",")))
}
