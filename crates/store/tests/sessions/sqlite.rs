//! Sessions in SQLite.

use crate::SQLITE;
use crate::support::{self, ENDS, NOW, account, bought, calls_left, draw};
use serde_json::json;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, query_scalar};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tempfile::TempDir;
use tollway_core::{PaymentRequired, Registry};
use tollway_roles::server::Finished;
use tollway_roles::{Admission, PaymentClient, Refusal, ResourceServer, Route, Way};
use tollway_siwx::{Entered, Entry, Left, Revocation, SessionStore, Shown, Token};
use tollway_store::SqliteSessions;
use tollway_testkit::{FAKE, FakeFacilitator, FakeRequest, FakeSigner, block_on, session_suite};

async fn open(path: &Path) -> SqliteSessions {
    SqliteSessions::open(path).await.unwrap()
}

fn file(folder: &TempDir) -> PathBuf {
    folder.path().join("sessions.db")
}

/// Rows of a table, read beside the store.
async fn rows(path: &Path, table: &str) -> i64 {
    let mut beside = SqliteConnectOptions::new().filename(path).read_only(true).connect().await.unwrap();
    let count = sqlx::AssertSqlSafe(format!("SELECT count(*) FROM {table}"));
    query_scalar(count).fetch_one(&mut beside).await.unwrap()
}

#[test]
fn the_suite_for_all_stores() {
    let (folder, number) = (TempDir::new().unwrap(), AtomicUsize::new(0));
    let make = || async {
        let path = folder.path().join(format!("{}.db", number.fetch_add(1, Ordering::SeqCst)));
        Arc::new(open(&path).await) as Arc<dyn SessionStore>
    };
    let report = block_on(session_suite("sqlite", make));
    assert!(report.checks > 150, "only {} checks ran", report.checks);
    report.assert();
}

#[test]
fn everything_survives_a_restart() {
    let folder = TempDir::new().unwrap();
    let path = file(&folder);
    // Each in a runtime of its own, as processes have.
    block_on(async {
        let store = open(&path).await;
        store.record(&bought("calls", ENDS, Left::Calls(3)), NOW).await.unwrap();
        assert!(store.share("calls", &account("alice"), &account("bob"), NOW).await.unwrap());
        draw(&store, "alice").await;
        let spent = [account("carol")];
        store.enter(&Entry::new(NOW, &spent).showing(Shown::new("used", ENDS))).await.unwrap();
        store.revoke(&Revocation::new("stolen", NOW, ENDS), NOW).await.unwrap();
    });
    block_on(async {
        let store = open(&path).await;
        let carol = [account("carol")];
        let again = store.enter(&Entry::new(NOW, &carol).showing(Shown::new("used", ENDS))).await.unwrap();
        assert_eq!(again, Entered::NonceUsed);
        let stolen = store.enter(&Entry::new(NOW, &carol).with(Token::new("stolen", NOW))).await.unwrap();
        assert_eq!(stolen, Entered::Revoked);
        assert_eq!(calls_left(&store).await, 2);
        for who in ["bob", "alice"] {
            assert!(matches!(draw(&store, who).await, Entered::In(Some(_))), "{who}");
        }
        assert_eq!(draw(&store, "bob").await, Entered::NotEntitled);
    });
}

#[test]
fn a_file_opened_twice_is_one_store_and_anothers_file_is_left_alone() {
    let folder = TempDir::new().unwrap();
    let path = file(&folder);
    block_on(async {
        let (one, other) = (open(&path).await, open(&path).await);
        one.record(&bought("calls", ENDS, Left::Calls(1000)), NOW).await.unwrap();
        let draws: Vec<_> = (0..200)
            .map(|n| {
                let store = if n % 2 == 0 { one.clone() } else { other.clone() };
                tokio::spawn(async move { draw(&store, "alice").await })
            })
            .collect();
        for entered in draws {
            assert!(matches!(entered.await.unwrap(), Entered::In(Some(_))));
        }
        assert_eq!((calls_left(&one).await, calls_left(&other).await), (800, 800));
    });
    let text = folder.path().join("text.db");
    std::fs::write(&text, "no database at all, but long enough to look like one to somebody").unwrap();
    let why = block_on(SqliteSessions::open(&text)).unwrap_err();
    assert!(why.contains("name another file"), "{why}");
    assert!(std::fs::read_to_string(&text).unwrap().starts_with("no database"));
}

#[test]
fn a_caller_that_leaves_takes_nothing_along() {
    let folder = TempDir::new().unwrap();
    let path = file(&folder);
    block_on(async { support::a_caller_that_leaves_takes_nothing_along(Arc::new(open(&path).await)).await });
}

#[test]
fn what_has_ended_is_forgotten() {
    let folder = TempDir::new().unwrap();
    let path = file(&folder);
    block_on(async {
        let store = open(&path).await;
        for n in 0..150 {
            let (now, name) = (NOW + 10 * n, format!("n{n}"));
            store.record(&bought(&name, now + 10, Left::Time), now).await.unwrap();
            store.share(&name, &account("alice"), &account("bob"), now).await.unwrap();
            store.enter(&Entry::new(now, &[account("bob")]).showing(Shown::new(&name, now + 10))).await.unwrap();
            store.revoke(&Revocation::new(&name, now, now + 10), now).await.unwrap();
        }
        for table in ["entitlements", "entitled", "nonces", "revocations"] {
            let left = rows(&path, table).await;
            assert!((1..=20).contains(&left), "{left} rows of {table} are left");
        }
    });
}

/// A server as its configuration makes it.
async fn server(path: &Path) -> ResourceServer {
    let registry = Registry::builder().plugin(FAKE).plugin(tollway_siwx::PLUGIN).plugin(SQLITE).build().unwrap();
    let route = Route::new("GET /report").accepts(Way::exact("fake:one", "$0.01", "payee"));
    ResourceServer::builder("https://shop.test")
        .registry(registry)
        .facilitator(FakeFacilitator::serving("exact", "fake:one"))
        .extension("session", json!({ "store": { "kind": "sqlite", "path": path } }))
        .route(route.extension("session", json!({ "calls": 1 })))
        .build()
        .await
        .unwrap()
}

async fn challenge(server: &ResourceServer, request: &FakeRequest) -> PaymentRequired {
    match server.admit(request).await {
        Admission::Refused(Refusal::Challenge(challenge)) => challenge.required().clone(),
        other => panic!("{other:?}"),
    }
}

/// Comes back with a signature; says whether that opened the route.
async fn comes_back(server: &ResourceServer, client: &PaymentClient) -> bool {
    let required = challenge(server, &FakeRequest::get("/report")).await;
    let proof = client.answer(&required, "https://shop.test").await.remove(0);
    match server.admit(&FakeRequest::get("/report").with_credential(&proof.0, &proof.1)).await {
        Admission::Granted(granted) => granted.finished(true).await.is_empty(),
        _ => false,
    }
}

#[tokio::test]
async fn who_paid_before_a_restart_comes_back_after_it() {
    let folder = TempDir::new().unwrap();
    let path = file(&folder);
    let registry = Registry::builder().plugin(FAKE).plugin(tollway_siwx::PLUGIN).build().unwrap();
    let client = PaymentClient::builder().registry(registry).signer("fake:*", FakeSigner::shared("alice"));
    let client = client.build().await.unwrap();
    let first = server(&path).await;
    let required = challenge(&first, &FakeRequest::get("/report")).await;
    let payment = client.pay(&required, "https://shop.test").await.unwrap();
    let Admission::Admitted(admitted) = first.admit(&FakeRequest::get("/report").paying(&payment)).await else {
        panic!("the payment was not taken");
    };
    assert!(matches!(admitted.finish(true).await, Finished::Release { receipt: Some(_), .. }));
    drop(first);
    let second = server(&path).await;
    assert!(comes_back(&second, &client).await, "one call was paid for beside the first");
    assert!(!comes_back(&second, &client).await, "and no more");
}
