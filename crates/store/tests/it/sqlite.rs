//! The ledger in SQLite: the rules, a crash, a second process, files that are none.

use crate::support::*;
use crate::{compare, every};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tempfile::TempDir;
use tollway_core::{Clock, Hold, Ledger, Outcome, Scope, SystemClock, Taken};
use tollway_roles::MemoryLedger;
use tollway_store::SqliteLedger;
use tollway_testkit::{FakeClock, SharedLedger, fixtures, ledger_suite, shared_ledger_suite};

async fn open(folder: &TempDir) -> SqliteLedger {
    SqliteLedger::open(folder.path().join("ledger.db"), FakeClock::new()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_ledger_in_sqlite_keeps_the_rules() {
    let folder = TempDir::new().unwrap();
    let count = AtomicUsize::new(0);
    let make = || async {
        let number = count.fetch_add(1, Ordering::SeqCst);
        let path = folder.path().join(format!("{number}.db"));
        Arc::new(SqliteLedger::open(path, Arc::new(SystemClock)).await.unwrap()) as Arc<dyn Ledger>
    };
    ledger_suite("sqlite", make).await.assert();
}

/// Two holders of one file in one process.
struct Two {
    first: Arc<SqliteLedger>,
    second: Arc<SqliteLedger>,
    _folder: TempDir,
}

#[tollway_core::async_trait]
impl SharedLedger for Two {
    fn first(&self) -> Arc<dyn Ledger> {
        self.first.clone()
    }

    fn second(&self) -> Arc<dyn Ledger> {
        self.second.clone()
    }

    async fn kill_first(&self) {
        self.first.leave();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_ledger_in_sqlite_keeps_the_rules_of_a_shared_one() {
    let make = || async {
        let folder = TempDir::new().unwrap();
        let (first, second) = (Arc::new(open(&folder).await), Arc::new(open(&folder).await));
        assert!(first.is_shared() && second.is_shared());
        Two { first, second, _folder: folder }
    };
    shared_ledger_suite("sqlite", make).await.assert();
}

#[test]
fn sqlite_answers_as_memory_does() {
    let folder = TempDir::new().unwrap();
    let files = AtomicUsize::new(0);
    compare::sequences(64, 2, async |acts| {
        let path = folder.path().join(format!("{}.db", files.fetch_add(1, Ordering::SeqCst)));
        let clock = FakeClock::new();
        let first = MemoryLedger::new(clock.clone());
        let memory = [first.beside(), first];
        let open = async || Arc::new(SqliteLedger::open(&path, clock.clone()).await.unwrap());
        let stores = [open().await, open().await];
        let erased: Vec<_> = stores.iter().map(|store| store.clone() as Arc<dyn Ledger>).collect();
        compare::compare(&acts, &clock, &memory, &erased, async |who| stores[who].leave()).await;
    });
}

/// What one connection of another program says about the file.
async fn count(path: &Path, table: &'static str) -> i64 {
    let options = SqliteConnectOptions::new().filename(path).read_only(true);
    let mut connection = options.connect().await.unwrap();
    let statement = format!("SELECT count(*) FROM {table}");
    sqlx::query_scalar(sqlx::AssertSqlSafe(statement)).fetch_one(&mut connection).await.unwrap()
}

async fn run(path: &Path, statement: &'static str) {
    let options = SqliteConnectOptions::new().filename(path).create_if_missing(true);
    let mut connection = options.connect().await.unwrap();
    sqlx::query(statement).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

async fn refused(path: &Path) -> String {
    SqliteLedger::open(path, Arc::new(SystemClock)).await.unwrap_err()
}

#[tokio::test]
async fn what_was_answered_is_there_after_the_store_was_dropped() {
    let folder = TempDir::new().unwrap();
    let mut signed = fixtures::signed_tx("signer", Some(1), "tx");
    {
        let ledger = open(&folder).await;
        let Hold::Ours { epoch } = ledger.hold(&network(), "signer").await.unwrap() else { panic!("held by nobody") };
        signed.slot.epoch = epoch;
        let ticket = taken(&ledger, "signed").await;
        ledger.write_signed(&signed, &[ticket]).await.unwrap();
        let ticket = taken(&ledger, "settled").await;
        ledger.resolve(Scope::Facilitator, &[(ticket, settled("tx"))]).await.unwrap();
        taken(&ledger, "left").await;
    }
    let ledger = open(&folder).await;
    let again = async |name| ledger.take(&fixtures::row(Scope::Facilitator, name, "mine")).await.unwrap();
    assert_eq!(again("settled").await, Taken::Again(Some(settled("tx"))));
    // Its holder is gone: nobody knows what became of what it signed, and what it did not sign is free.
    let unknown = Outcome::Pending { transaction: String::new() };
    assert_eq!(again("signed").await, Taken::Again(Some(unknown)));
    assert!(matches!(again("left").await, Taken::New(_)));
    let open = ledger.open(10).await.unwrap();
    assert_eq!(open.len(), 1);
    assert_eq!(open[0].attempts, [signed.clone()]);
    let Hold::Ours { epoch } = ledger.hold(&network(), "signer").await.unwrap() else { panic!("held by nobody") };
    assert!(epoch > signed.slot.epoch, "a new opening is a new epoch");
}

#[tokio::test]
async fn another_process_is_told_what_to_do() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("ledger.db");
    // The lock is the operating system's and belongs to whoever opened the file: this is as good as a process.
    let lock = std::fs::File::create(folder.path().join("ledger.db.lock")).unwrap();
    lock.lock().unwrap();
    let why = refused(&path).await;
    assert!(why.contains("ledger.db is open in another process") && why.contains("a file of its own"), "{why}");
    drop(lock);
    SqliteLedger::open(&path, Arc::new(SystemClock)).await.unwrap();
}

#[tokio::test]
async fn a_file_that_is_none_is_refused_and_left_alone() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("ledger.db");
    let text = "this is no database, however long it is. ".repeat(100);
    std::fs::write(&path, &text).unwrap();
    let why = refused(&path).await;
    assert!(why.contains("ledger.db is no SQLite database, or is damaged") && why.contains("backup"), "{why}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);

    let path = folder.path().join("other.db");
    run(&path, "CREATE TABLE somebodys (text TEXT)").await;
    let before = std::fs::read(&path).unwrap();
    let why = refused(&path).await;
    assert!(why.contains("other.db is a database of another program"), "{why}");
    assert_eq!(std::fs::read(&path).unwrap(), before);

    let why = refused(&folder.path().join("nowhere/ledger.db")).await;
    assert!(why.contains("nowhere") && why.contains("create it first"), "{why}");
}

#[tokio::test]
async fn a_file_of_a_newer_version_is_refused() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("ledger.db");
    drop(SqliteLedger::open(&path, Arc::new(SystemClock)).await.unwrap());
    run(&path, "INSERT INTO tollway_migrations VALUES (99, 'later', '2030-01-01', TRUE, x'00', 0)").await;
    let why = refused(&path).await;
    assert!(why.contains("was written by a newer Tollway: it has migration 99"), "{why}");
    run(&path, "DELETE FROM tollway_migrations WHERE version = 99").await;
    run(&path, "UPDATE tollway_migrations SET checksum = x'00'").await;
    let why = refused(&path).await;
    assert!(why.contains("migration 1 of") && why.contains("written by another build"), "{why}");
}

#[tokio::test]
async fn a_damaged_row_harms_no_other() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("ledger.db");
    let ledger = Arc::new(open(&folder).await);
    every::a_damaged_row_harms_no_other(ledger, async || run(&path, "UPDATE claims SET record = 'damaged'").await)
        .await;
}

#[cfg(unix)]
#[tokio::test]
async fn nobody_else_may_read_the_file() {
    use std::os::unix::fs::PermissionsExt;
    let folder = TempDir::new().unwrap();
    let ledger = open(&folder).await;
    taken(&ledger, "any").await;
    for name in ["ledger.db", "ledger.db-wal"] {
        let mode = std::fs::metadata(folder.path().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{name} has mode {mode:o}");
    }
}

#[tokio::test]
async fn a_row_comes_back_as_it_was() {
    let folder = TempDir::new().unwrap();
    every::a_row_comes_back_as_it_was(async || open(&folder).await).await;
}

/// Tables do not grow for ever: as fast as payments come, those whose time has passed go.
#[tokio::test]
async fn what_is_finished_and_dead_is_forgotten() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("ledger.db");
    let clock = FakeClock::new();
    let ledger = SqliteLedger::open(&path, clock.clone()).await.unwrap();
    for round in 0..5 {
        for number in 0..40 {
            let mut row = fixtures::row(Scope::Facilitator, &format!("{round}-{number}"), "mine");
            row.claim = row.claim.dead_after(clock.now() + 60);
            let ticket = ledger.take(&row).await.unwrap().ticket().unwrap();
            let tx = fixtures::signed_tx("signer", Some(round * 40 + number), &format!("tx-{round}-{number}"));
            ledger.write_signed(&tx, std::slice::from_ref(&ticket)).await.unwrap();
            ledger.resolve(Scope::Facilitator, &[(ticket, settled("tx"))]).await.unwrap();
        }
        assert_eq!(count(&path, "claims").await, 40, "round {round}");
        assert_eq!(count(&path, "attempts").await + count(&path, "carried").await, 0);
        clock.advance(60 + 601);
    }
}

#[tokio::test]
async fn what_a_dead_process_left_is_forgotten_in_time() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("ledger.db");
    let clock = FakeClock::new();
    let open = async || SqliteLedger::open(&path, clock.clone()).await.unwrap();
    {
        let ledger = open().await;
        taken(&ledger, "unsigned").await;
        let ticket = taken(&ledger, "signed").await;
        ledger.write_signed(&fixtures::signed_tx("signer", Some(1), "tx"), &[ticket]).await.unwrap();
        ledger.take(&fixtures::row(Scope::Server, "served", "mine")).await.unwrap();
    }
    let ledger = open().await;
    let mut left = Vec::new();
    for (name, wait) in [("soon", 0), ("later", 601), ("last", 24 * 3600)] {
        clock.advance(wait);
        taken(&ledger, name).await;
        left.push(count(&path, "claims").await);
    }
    // The unsigned one after ten minutes, the server's after a day, the signed one never.
    assert_eq!(left, [4, 4, 4]);
    let found = async |scope, name: &str| ledger.find(scope, &fixtures::claim(name).key).await.unwrap().is_some();
    assert!(found(Scope::Facilitator, "signed").await);
    assert!(!found(Scope::Facilitator, "unsigned").await && !found(Scope::Server, "served").await);
}

#[tokio::test]
async fn who_leaves_has_taken_nothing() {
    let folder = TempDir::new().unwrap();
    every::who_leaves_has_taken_nothing(Arc::new(open(&folder).await)).await;
}
