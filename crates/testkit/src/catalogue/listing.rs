//! What is written is read back, in order, within limits, and taken out when it is dead.

use super::{NOW, ROOMY, entry, given, keys, put};
use crate::report::Notes;
use std::sync::Arc;
use tollway_discovery::{CatalogueStore, Filter, Limits, Put};

pub(super) async fn written_and_read_back(store: &Arc<dyn CatalogueStore>, notes: &Notes) {
    let one = entry(1, "a \"quoted\" ünïcode 'text' \u{1f600}");
    let found = given(store.find(&one.key).await, notes, "find");
    notes.check("entries: none at first", found == Some(None), || format!("{found:?}"));
    let wrote = put(store, &one, notes).await;
    notes.check("entries: listed", wrote == Some(Put::Listed), || format!("{wrote:?}"));
    let found = given(store.find(&one.key).await, notes, "find").flatten();
    notes.check("entries: read back whole", found.as_ref() == Some(&one), || format!("{found:?}"));
}

pub(super) async fn replaced_in_its_place(store: &Arc<dyn CatalogueStore>, notes: &Notes) {
    for number in 1..=3 {
        put(store, &entry(number, "same"), notes).await;
    }
    let mut changed = entry(1, "other");
    changed.listed = NOW + 50;
    changed.updated = NOW + 50;
    // At its limits already, and still replaced.
    let wrote = given(store.put(&changed, Limits::new(1, 1)).await, notes, "put");
    notes.check("replacing: needs no room", wrote == Some(Put::Listed), || format!("{wrote:?}"));
    let Some(page) = given(store.browse(&Filter::default(), 10, 0).await, notes, "browse") else { return };
    let expected = ["https://h1.test/a", "https://h2.test/a", "https://h3.test/a"];
    notes
        .check("replacing: keeps its number", keys(&page.entries) == expected, || format!("{:?}", keys(&page.entries)));
    let first = page.entries.first();
    let kept = first.is_some_and(|entry| entry.listed == NOW && entry.updated == NOW + 50);
    notes.check("replacing: keeps the day it was listed", kept, || format!("{first:?}"));
}

pub(super) async fn taken_out(store: &Arc<dyn CatalogueStore>, notes: &Notes) {
    let one = entry(1, "gone");
    put(store, &one, notes).await;
    for _ in 0..2 {
        given(store.remove(&one.key).await, notes, "remove");
        let found = given(store.find(&one.key).await, notes, "find");
        notes.check("removing: gone", found == Some(None), || format!("{found:?}"));
    }
    let total = given(store.browse(&Filter::default(), 10, 0).await, notes, "browse").map(|page| page.total);
    notes.check("removing: not counted", total == Some(0), || format!("{total:?}"));
    let due = given(store.due(u64::MAX >> 1, NOW, 10).await, notes, "due").map(|due| due.len());
    notes.check("removing: not probed", due == Some(0), || format!("{due:?}"));
}

pub(super) async fn limits(store: &Arc<dyn CatalogueStore>, notes: &Notes) {
    let mut listed = 0;
    for number in 1..=5 {
        let wrote = given(store.put(&entry(number, "x"), Limits::new(3, ROOMY)).await, notes, "put");
        listed += usize::from(wrote == Some(Put::Listed));
    }
    notes.check("limits: by payer", listed == 3, || format!("{listed} of one payer, 3 allowed"));
    let mut other = entry(9, "x");
    other.payer = "bob".to_owned();
    other.host = "h1.test".to_owned();
    let wrote = given(store.put(&other, Limits::new(3, 1)).await, notes, "put");
    notes.check("limits: by host", wrote == Some(Put::OverLimit), || format!("{wrote:?}"));
    given(store.remove("https://h1.test/a").await, notes, "remove");
    let wrote = given(store.put(&other, Limits::new(3, 1)).await, notes, "put");
    notes.check("limits: what goes makes room", wrote == Some(Put::Listed), || format!("{wrote:?}"));
}

pub(super) async fn limits_in_parallel(store: &Arc<dyn CatalogueStore>, notes: &Notes) {
    let tasks: Vec<_> = (0..32)
        .map(|number| {
            let store = store.clone();
            tokio::spawn(async move { store.put(&entry(number, "x"), Limits::new(5, ROOMY)).await })
        })
        .collect();
    let mut listed = 0;
    for task in tasks {
        listed += usize::from(matches!(task.await, Ok(Ok(Put::Listed))));
    }
    notes.check("limits: in parallel", listed == 5, || format!("{listed} listed, 5 allowed"));
}

pub(super) async fn browsed(store: &Arc<dyn CatalogueStore>, notes: &Notes) {
    for number in 1..=7 {
        let mut one = entry(number, "x");
        one.mcp = number % 2 == 0;
        put(store, &one, notes).await;
    }
    for (limit, offset, expected) in [(3, 0, 3), (3, 6, 1), (3, 7, 0), (10, 1 << 40, 0)] {
        let Some(page) = given(store.browse(&Filter::default(), limit, offset).await, notes, "browse") else { return };
        let right = page.entries.len() == expected && page.total == 7;
        notes.check("browsing: pages", right, || {
            format!("{limit} from {offset}: {} of {}", page.entries.len(), page.total)
        });
    }
    let mut tools = Filter::default();
    tools.kind = Some(tollway_discovery::Kind::Mcp);
    let Some(page) = given(store.browse(&tools, 2, 1).await, notes, "browse") else { return };
    let right = page.total == 3 && keys(&page.entries) == ["https://h4.test/a", "https://h6.test/a"];
    notes.check("browsing: filtered pages", right, || format!("{:?} of {}", keys(&page.entries), page.total));
}

pub(super) async fn due(store: &Arc<dyn CatalogueStore>, notes: &Notes) {
    for number in 1..=5 {
        let mut one = entry(number, "x");
        one.next_probe = NOW + 100 - number;
        put(store, &one, notes).await;
    }
    let none = given(store.due(NOW + 94, NOW + 500, 10).await, notes, "due").map(|due| due.len());
    notes.check("probing: not before its time", none == Some(0), || format!("{none:?}"));
    let Some(due) = given(store.due(NOW + 100, NOW + 500, 3).await, notes, "due") else { return };
    let expected = ["https://h5.test/a", "https://h4.test/a", "https://h3.test/a"];
    notes.check("probing: the longest waiting first", keys(&due) == expected, || format!("{:?}", keys(&due)));
    let Some(due) = given(store.due(NOW + 100, NOW + 500, 10).await, notes, "due") else { return };
    let expected = ["https://h2.test/a", "https://h1.test/a"];
    notes.check("probing: taken once", keys(&due) == expected, || format!("{:?}", keys(&due)));
    let again = given(store.due(NOW + 500, NOW + 900, 10).await, notes, "due").map(|due| due.len());
    notes.check("probing: given up for lost", again == Some(5), || format!("{again:?}"));
}

pub(super) async fn due_once(store: &Arc<dyn CatalogueStore>, notes: &Notes) {
    for number in 0..40 {
        put(store, &entry(number, "x"), notes).await;
    }
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move { store.due(NOW + 100, NOW + 500, 10).await })
        })
        .collect();
    let mut all = Vec::new();
    for task in tasks {
        if let Ok(Ok(due)) = task.await {
            all.extend(due.into_iter().map(|entry| entry.key));
        }
    }
    let taken = all.len();
    all.sort();
    all.dedup();
    notes.check("probing: by one of several", taken == 40 && all.len() == 40, || {
        format!("{taken} taken, {} different, of 40", all.len())
    });
}
