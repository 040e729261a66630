//! Searches find words, hold to filters, rank by what was measured, and give pages.

use super::{entry, given, keys, put};
use crate::report::Notes;
use std::sync::Arc;
use tollway_discovery::{CatalogueStore, Entry, Filter, Kind, Search, words as to_words};

async fn search(store: &Arc<dyn CatalogueStore>, text: &str, filter: Filter, notes: &Notes) -> Vec<Entry> {
    let search = Search::new(to_words(text, 8), filter, 100, None);
    given(store.search(&search).await, notes, "search").map(|found| found.entries).unwrap_or_default()
}

pub(super) async fn words(store: &Arc<dyn CatalogueStore>, notes: &Notes) {
    for (number, text) in
        [(1, "Weather in Oslo, daily"), (2, "weather-maps"), (3, "Größe der Stadt"), (4, "whether or not")]
    {
        put(store, &entry(number, text), notes).await;
    }
    for (text, expected) in [
        ("WEATHER", vec![1, 2]),
        ("weather oslo", vec![1]),
        ("oslo weather", vec![1]),
        ("größe", vec![3]),
        ("wea", vec![]),
        ("weather snow", vec![]),
        ("blue", vec![1, 2, 3, 4]),
        ("h3", vec![3]),
        ("", vec![1, 2, 3, 4]),
    ] {
        let found = search(store, text, Filter::default(), notes).await;
        let expected: Vec<_> = expected.iter().map(|number| format!("https://h{number}.test/a")).collect();
        notes.check("searching: words", keys(&found) == expected, || format!("`{text}`: {:?}", keys(&found)));
    }
    let changed = entry(1, "now about trains");
    put(store, &changed, notes).await;
    let found = search(store, "oslo", Filter::default(), notes).await;
    notes.check("searching: what changed is forgotten", found.is_empty(), || format!("{:?}", keys(&found)));
    let found = search(store, "trains", Filter::default(), notes).await;
    notes.check("searching: what changed is found", found == [changed], || format!("{found:?}"));
}

pub(super) async fn filters(store: &Arc<dyn CatalogueStore>, notes: &Notes) {
    let plain = entry(1, "x");
    let mut other = entry(2, "x");
    let mut offer = other.accepts[0].clone();
    offer.network = crate::fixtures::network("solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1");
    offer.scheme = "upto".to_owned();
    offer.pay_to = "PayTo".to_owned();
    other.accepts.push(offer);
    other.extensions = vec!["bazaar".to_owned(), "sign-in-with-x".to_owned()];
    other.resource.tags = Some(vec!["Red".to_owned()]);
    other.mcp = true;
    other.price = None;
    for entry in [&plain, &other] {
        put(store, entry, notes).await;
    }
    let with = |set: &dyn Fn(&mut Filter)| {
        let mut filter = Filter::default();
        set(&mut filter);
        filter
    };
    let text = |text: &str| Some(text.to_owned());
    let cases = [
        (with(&|f| f.kind = Some(Kind::Http)), vec![1]),
        (with(&|f| f.network = text("eip155:8453")), vec![1, 2]),
        (with(&|f| f.network = text("solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1")), vec![2]),
        (with(&|f| f.scheme = text("upto")), vec![2]),
        (with(&|f| f.pay_to = text("0xdef")), vec![1, 2]),
        (with(&|f| f.pay_to = text("payto")), vec![2]),
        (with(&|f| f.asset = text("0XABC")), vec![1, 2]),
        (with(&|f| f.extension = text("sign-in-with-x")), vec![2]),
        (with(&|f| f.tag = text("blue")), vec![1]),
        (with(&|f| f.tag = text("RED")), vec![2]),
        (with(&|f| f.max_price = Some(1000)), vec![1]),
        (with(&|f| f.max_price = Some(999)), vec![]),
        // Two things asked of an offer hold for one and the same.
        (
            with(&|f| {
                f.scheme = text("upto");
                f.network = text("eip155:8453");
            }),
            vec![],
        ),
        (with(&|f| f.network = text("x' OR 1=1 --")), vec![]),
    ];
    for (filter, expected) in cases {
        let expected: Vec<_> = expected.iter().map(|number| format!("https://h{number}.test/a")).collect();
        for words in ["", "x"] {
            let found = search(store, words, filter.clone(), notes).await;
            notes.check("searching: filters", keys(&found) == expected, || format!("{filter:?}: {:?}", keys(&found)));
        }
        let browsed = given(store.browse(&filter, 10, 0).await, notes, "browse").unwrap_or_default();
        let right = keys(&browsed.entries) == expected && browsed.total == expected.len() as u64;
        notes.check("browsing: filters", right, || format!("{filter:?}: {:?}", keys(&browsed.entries)));
    }
}

pub(super) async fn ranked(store: &Arc<dyn CatalogueStore>, notes: &Notes) {
    for (number, success, latency) in [(1, 100, 10), (2, 1000, 3000), (3, 1000, 10), (4, 1000, 10)] {
        let mut one = entry(number, "weather weather weather");
        one.success = success;
        one.latency_ms = latency;
        put(store, &one, notes).await;
    }
    let found = search(store, "weather", Filter::default(), notes).await;
    let expected = ["https://h3.test/a", "https://h4.test/a", "https://h2.test/a", "https://h1.test/a"];
    notes.check("ranking: by what was measured", keys(&found) == expected, || format!("{:?}", keys(&found)));
    let mut better = entry(1, "weather");
    better.success = 1000;
    put(store, &better, notes).await;
    let found = search(store, "weather", Filter::default(), notes).await;
    notes.check("ranking: moves with it", found.first().map(|entry| &*entry.key) == Some("https://h1.test/a"), || {
        format!("{:?}", keys(&found))
    });
}

pub(super) async fn paged(store: &Arc<dyn CatalogueStore>, notes: &Notes) {
    for number in 0..25 {
        let mut one = entry(number, if number % 5 == 0 { "rare" } else { "common" });
        one.success = 1000 - u32::try_from(number % 3).unwrap_or_default() * 300;
        put(store, &one, notes).await;
    }
    for (text, expected) in [("", 25), ("common", 20), ("rare", 5)] {
        let (mut seen, mut after, mut pages) = (Vec::new(), None, 0);
        loop {
            let search = Search::new(to_words(text, 8), Filter::default(), 4, after);
            let Some(found) = given(store.search(&search).await, notes, "search") else { return };
            notes.check("paging: no more than asked for", found.entries.len() <= 4, || {
                format!("{}", found.entries.len())
            });
            seen.extend(found.entries.into_iter().map(|entry| entry.key));
            after = found.next;
            pages += 1;
            if after.is_none() || pages > 20 {
                break;
            }
        }
        let listed = seen.len();
        seen.sort();
        seen.dedup();
        notes.check("paging: everything once", listed == expected && seen.len() == expected, || {
            format!("`{text}`: {listed} listed, {} different, of {expected}", seen.len())
        });
    }
}

pub(super) async fn hostile_words(store: &Arc<dyn CatalogueStore>, notes: &Notes) {
    put(store, &entry(1, "plain and near"), notes).await;
    for text in [
        "\"",
        "a\" OR \"plain",
        "plain*",
        "NOT plain",
        "plain AND (",
        "text: plain",
        "'; DROP TABLE entries; --",
        "\u{0}",
    ] {
        let found = search(store, text, Filter::default(), notes).await;
        let right = found.len() <= 1;
        notes.check("searching: words are words", right, || format!("`{text}`"));
    }
    let raw = vec!["plain\" OR \"x".to_owned(), "near".to_owned()];
    let answer = store.search(&Search::new(raw, Filter::default(), 5, None)).await;
    let none = matches!(&answer, Ok(found) if found.entries.is_empty());
    notes.check("searching: words are no syntax", none, || format!("{answer:?}"));
    let still = search(store, "plain", Filter::default(), notes).await.len();
    notes.check("searching: nothing was harmed", still == 1, || format!("{still}"));
}

/// What is rare and far down is found, however many do not fit.
pub(super) async fn needles(store: &Arc<dyn CatalogueStore>, notes: &Notes) {
    for number in 0..300 {
        let mut one = entry(number, "hay");
        one.price = Some(if number == 299 { 1 } else { 1000 });
        put(store, &one, notes).await;
    }
    let mut cheap = Filter::default();
    cheap.max_price = Some(10);
    let found = search(store, "hay", cheap, notes).await;
    notes.check("searching: far down", keys(&found) == ["https://h299.test/a"], || format!("{:?}", keys(&found)));
}
