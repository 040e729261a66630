//! A network is the one that was asked for, and everything on it has one spelling.

use super::Conformance;
use super::junk::Dice;
use super::stage::{Ground, Stage, serves};
use crate::report::Notes;
use std::panic::{AssertUnwindSafe, catch_unwind};
use tollway_core::{Money, Network, PartKind};

pub(super) async fn check(subject: &Conformance, stage: &Stage, notes: &Notes) {
    let mine = |ground: &&Ground| {
        let network = |part: &&tollway_core::Part| part.kind() == PartKind::Network && serves(part, &ground.id);
        stage.parts(subject).any(|part| network(&part))
    };
    // A plug-in without a chain of its own has nothing to show here.
    notes.check("networks: open", true, String::new);
    for ground in stage.grounds.iter().filter(mine) {
        let (id, network) = (&ground.id, &*ground.network);
        notes.check("networks: id", network.id() == id, || format!("asked for {id}, got {}", network.id()));
        assets(ground, notes);
        for (kind, signer) in &ground.signers {
            let address = signer.address();
            let canonical = network.canonical(address).is_ok_and(|canonical| canonical == address);
            notes.check("networks: signer", canonical, || format!("{id}: `{kind}` has the address `{address}`"));
        }
        for address in &subject.addresses {
            let _ = spelling(network, address, notes, true);
        }
        junk(network, notes);
    }
}

fn assets(ground: &Ground, notes: &Notes) {
    let (id, network) = (&ground.id, &*ground.network);
    for asset in network.assets() {
        let at = || format!("{id}: asset {} at `{}`", asset.symbol, asset.address);
        let canonical = spelling(network, &asset.address, notes, true);
        for spelt in std::iter::once(&asset.address).chain(&canonical) {
            let found = network.asset(spelt).is_some_and(|found| found == asset);
            notes.check("networks: asset", found, || format!("{} is not found as `{spelt}`", at()));
        }
        let price = format!("1 {}", asset.symbol).parse::<Money>();
        let priced = price.and_then(|money| money.resolve(id, network.assets()).map(|(found, _)| found == asset));
        notes.check("networks: ticker", matches!(priced, Ok(true)), || {
            format!("{}: a price in `{}` must mean this asset, but gives {priced:?}", at(), asset.symbol)
        });
    }
}

/// The canonical spelling, once it is found to be one.
fn spelling(network: &dyn Network, address: &str, notes: &Notes, valid: bool) -> Option<String> {
    let id = network.id();
    let canonical = |text: &str| catch_unwind(AssertUnwindSafe(|| network.canonical(text)));
    let first = canonical(address);
    notes.check("networks: canonical panics", first.is_ok(), || format!("{id}: on `{}`", address.escape_debug()));
    let first = match first.ok()? {
        Ok(first) => first,
        Err(why) => {
            notes.check("networks: canonical", !valid, || format!("{id}: `{address}` is refused: {why}"));
            return None;
        }
    };
    let again = canonical(&first).ok().and_then(Result::ok);
    notes.check("networks: canonical", again.as_ref() == Some(&first), || {
        let address = address.escape_debug();
        format!("{id}: `{address}` becomes `{first}`, which becomes {again:?}: equal addresses need equal text")
    });
    Some(first)
}

fn junk(network: &dyn Network, notes: &Notes) {
    let empty = network.canonical("").is_err();
    notes.check("networks: canonical", empty, || format!("{}: the empty text is no address", network.id()));
    let mut dice = Dice::new(1);
    for _ in 0..300 {
        let text = dice.text();
        let _ = spelling(network, &text, notes, false);
        let _ = spelling(network, &format!("0x{text}"), notes, false);
    }
}
