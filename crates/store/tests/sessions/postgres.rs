//! Sessions in PostgreSQL. Several servers share them.

use crate::support::{self, ENDS, NOW, account, bought, calls_left, draw};
use std::num::NonZeroU32;
use std::sync::Arc;
use tollway_core::Secret;
use tollway_siwx::{Entered, Entry, Left, Revocation, SessionStore, Shown, Token};
use tollway_store::PostgresSessions;
use tollway_testkit::postgres::{self, Cluster};
use tollway_testkit::session_suite;

const CONNECTIONS: NonZeroU32 = NonZeroU32::new(8).unwrap();

async fn open(url: &str) -> PostgresSessions {
    PostgresSessions::open(&Secret::new(url), CONNECTIONS).await.unwrap()
}

/// Two servers on one database.
async fn two(cluster: &Cluster) -> [PostgresSessions; 2] {
    let url = cluster.database();
    [open(&url).await, open(&url).await]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_suite_for_all_stores() {
    let Some(cluster) = postgres::shared() else { return };
    let make = || async { Arc::new(open(&cluster.database()).await) as Arc<dyn SessionStore> };
    let report = session_suite("postgres", make).await;
    assert!(report.checks > 150, "only {} checks ran", report.checks);
    report.assert();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_thousand_uses_of_a_nonce_at_two_servers_one_opens() {
    let Some(cluster) = postgres::shared() else { return };
    let stores = two(cluster).await;
    let entries: Vec<_> = (0..1000)
        .map(|n| {
            let store = stores[n % 2].clone();
            tokio::spawn(async move {
                store.enter(&Entry::new(NOW, &[account("alice")]).showing(Shown::new("the-nonce", ENDS))).await.unwrap()
            })
        })
        .collect();
    let mut opened = 0;
    for entry in entries {
        match entry.await.unwrap() {
            Entered::In(None) => opened += 1,
            other => assert_eq!(other, Entered::NonceUsed),
        }
    }
    assert_eq!(opened, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_thousand_calls_at_two_servers_a_hundred_that_were_paid_for_pass() {
    let Some(cluster) = postgres::shared() else { return };
    let stores = two(cluster).await;
    stores[0].record(&bought("hundred", ENDS, Left::Calls(100)), NOW).await.unwrap();
    let calls: Vec<_> = (0..1000)
        .map(|n| {
            let store = stores[n % 2].clone();
            tokio::spawn(async move { draw(&store, "alice").await })
        })
        .collect();
    let mut drawn = Vec::new();
    for call in calls {
        match call.await.unwrap() {
            Entered::In(Some(one)) => drawn.push(one),
            other => assert_eq!(other, Entered::NotEntitled),
        }
    }
    assert_eq!(drawn.len(), 100);
    // Drawn at one server, given back at the other.
    for (n, drawn) in drawn.iter().take(9).enumerate() {
        stores[n % 2].give_back(drawn).await.unwrap();
    }
    assert_eq!(calls_left(&stores[1]).await, 9);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_entitlements_of_several_wallets_are_drawn_at_two_servers_without_a_deadlock() {
    let Some(cluster) = postgres::shared() else { return };
    let stores = two(cluster).await;
    for (id, calls) in [("one", 60), ("two", 60), ("three", 60)] {
        stores[0].record(&bought(id, ENDS, Left::Calls(calls)), NOW).await.unwrap();
        assert!(stores[1].share(id, &account("alice"), &account("bob"), NOW).await.unwrap());
    }
    let calls: Vec<_> = (0..400)
        .map(|n| {
            let (store, who) = (stores[n % 2].clone(), ["alice", "bob"][n / 2 % 2]);
            tokio::spawn(async move { matches!(draw(&store, who).await, Entered::In(Some(_))) })
        })
        .collect();
    let mut passed = 0;
    for call in calls {
        passed += usize::from(call.await.unwrap());
    }
    assert_eq!(passed, 180);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_server_revokes_and_records_the_other_knows() {
    let Some(cluster) = postgres::shared() else { return };
    let [one, other] = two(cluster).await;
    let alice = [account("alice")];
    one.revoke(&Revocation::new("stolen", NOW, ENDS), NOW).await.unwrap();
    let shown = other.enter(&Entry::new(NOW, &alice).with(Token::new("stolen", NOW))).await.unwrap();
    assert_eq!(shown, Entered::Revoked);
    let tasks: Vec<_> = (0..20)
        .map(|n| {
            let store = if n % 2 == 0 { one.clone() } else { other.clone() };
            tokio::spawn(async move { store.record(&bought("payment", ENDS, Left::Calls(2)), NOW).await })
        })
        .collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    assert_eq!(calls_left(&other).await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_that_leaves_takes_nothing_along() {
    let Some(cluster) = postgres::shared() else { return };
    support::a_caller_that_leaves_takes_nothing_along(Arc::new(open(&cluster.database()).await)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_has_ended_is_forgotten() {
    let Some(cluster) = postgres::shared() else { return };
    let url = cluster.database();
    let store = open(&url).await;
    for n in 0..100 {
        let (now, name) = (NOW + 10 * n, format!("n{n}"));
        store.record(&bought(&name, now + 10, Left::Time), now).await.unwrap();
        store.enter(&Entry::new(now, &[account("bob")]).showing(Shown::new(&name, now + 10))).await.unwrap();
        store.revoke(&Revocation::new(&name, now, now + 10), now).await.unwrap();
    }
    let database = url.split(['/', '?']).nth(3).unwrap();
    for table in ["entitlements", "entitled", "nonces", "revocations"] {
        let left: i64 = cluster.ask(database, &format!("SELECT count(*) FROM {table}")).unwrap().parse().unwrap();
        assert!((1..=20).contains(&left), "{left} rows of {table} are left");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_goes_away_is_told_and_comes_back() {
    let Some(cluster) = postgres::start() else { return };
    let store = open(&cluster.database()).await;
    store.record(&bought("calls", ENDS, Left::Calls(3)), NOW).await.unwrap();
    draw(&store, "alice").await;
    cluster.kill();
    let (accounts, scopes) = ([account("alice")], [support::report()]);
    let entry = Entry::new(NOW, &accounts).drawing(tollway_siwx::Draw::new(&scopes));
    let why = store.enter(&entry).await.unwrap_err().to_string();
    assert!(why.contains("see that it runs"), "{why}");
    cluster.go_on().unwrap();
    assert_eq!(calls_left(&store).await, 2, "what was answered is there, and no more was taken");
    assert!(matches!(draw(&store, "alice").await, Entered::In(Some(_))));
}
