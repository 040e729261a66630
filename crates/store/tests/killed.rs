//! A process with the ledger in SQLite is killed: what it was told is durable is there, and the next one goes on at once.
//! Has a `main` of its own, since it starts itself as the process to kill.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![allow(clippy::print_stdout, reason = "the child tells its parent when it is ready")]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use tempfile::TempDir;
use tollway_core::{Hold, Ledger, NetworkId, Outcome, Scope, Settled, SystemClock, Taken};
use tollway_store::SqliteLedger;
use tollway_testkit::fixtures;

const CHILD: &str = "child-of-killed";
/// Payments the child takes before it tells, and goes on with until it is killed.
const BEFORE: usize = 50;

async fn open(path: &Path) -> Result<SqliteLedger, String> {
    SqliteLedger::open(path, Arc::new(SystemClock)).await
}

fn network() -> NetworkId {
    fixtures::network("fake:fixture")
}

fn settled() -> Outcome {
    Outcome::Settled(Settled::new("tx", "alice"))
}

/// Takes, signs and settles without end, and tells each payment that is written: every third is settled, every third
/// signed, every third only taken.
async fn child(path: &Path) {
    let ledger = open(path).await.unwrap();
    let Hold::Ours { epoch } = ledger.hold(&network(), "signer").await.unwrap() else { panic!("held by nobody") };
    println!("epoch {epoch}");
    for number in 0u64.. {
        let row = fixtures::row(Scope::Facilitator, &format!("n{number}"), "mine");
        let ticket = ledger.take(&row).await.unwrap().ticket().unwrap();
        if number % 3 > 0 {
            let mut tx = fixtures::signed_tx("signer", Some(number), &format!("tx-{number}"));
            tx.slot.epoch = epoch;
            ledger.write_signed(&tx, std::slice::from_ref(&ticket)).await.unwrap();
        }
        if number % 3 > 1 {
            ledger.resolve(Scope::Facilitator, &[(ticket, settled())]).await.unwrap();
        }
        println!("{number}");
    }
}

fn start(path: &Path) -> (Child, impl Iterator<Item = String>) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    let mut child = command.args([CHILD.as_ref(), path.as_os_str()]).stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    (child, lines)
}

async fn parent() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("ledger.db");
    let (mut child, mut lines) = start(&path);
    let epoch: u64 = lines.next().unwrap().strip_prefix("epoch ").unwrap().parse().unwrap();
    let mut told = 0;
    while told < BEFORE {
        told = lines.next().unwrap().parse::<usize>().unwrap() + 1;
    }

    // It is alive: nobody else may have the file.
    let why = open(&path).await.unwrap_err();
    assert!(why.contains("is open in another process"), "{why}");

    child.kill().unwrap();
    child.wait().unwrap();
    // What it had told before it was killed counts, too.
    let told = lines.last().map_or(told, |last| last.parse::<usize>().unwrap_or(told) + 1);
    assert!(told >= BEFORE);

    let ledger = open(&path).await.unwrap();
    let unknown = Outcome::Pending { transaction: String::new() };
    let open_slots = ledger.open(usize::MAX).await.unwrap();
    for number in 0..told {
        let row = fixtures::row(Scope::Facilitator, &format!("n{number}"), "mine");
        let waits = open_slots.iter().any(|slot| slot.claims[0].claim.key == row.claim.key);
        let taken = ledger.take(&row).await.unwrap();
        match number % 3 {
            0 => assert!(matches!(taken, Taken::New(_)) && !waits, "n{number}, taken by the dead, is {taken:?}"),
            1 => assert!(taken == Taken::Again(Some(unknown.clone())) && waits, "n{number}, signed, is {taken:?}"),
            _ => assert!(taken == Taken::Again(Some(settled())) && !waits, "n{number}, settled, is {taken:?}"),
        }
    }
    let Hold::Ours { epoch: newer } = ledger.hold(&network(), "signer").await.unwrap() else { panic!("held") };
    assert!(newer > epoch, "epoch {epoch} of the killed one, {newer} of the next");
    println!("killed after {told} payments: every one is as it was told");
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let mut args = std::env::args_os().skip_while(|arg| arg != CHILD);
    match (args.next(), args.next()) {
        (Some(_), Some(path)) => runtime.block_on(child(Path::new(&path))),
        _ => runtime.block_on(parent()),
    }
}
