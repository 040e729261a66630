//! A process with a ledger on disk is killed, or stands still for too long: what it was told is durable is there, the next
//! one goes on, and the former signs nothing any more. Has a `main` of its own, since it starts itself as the process to kill.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![allow(clippy::print_stdout, reason = "the child tells its parent when it is ready")]

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tollway_core::{Hold, Ledger, NetworkId, Outcome, Scope, Secret, Settled, SystemClock, Taken};
use tollway_store::{PostgresLedger, SqliteLedger};
use tollway_testkit::{fixtures, postgres};

const CHILD: &str = "child-of-killed";
/// Payments the child takes before it tells, and goes on with until it is killed.
const BEFORE: usize = 50;
/// Of ledgers in PostgreSQL.
const LEASE: Duration = Duration::from_secs(1);
const URL: &str = "postgres:";

/// Opens the ledger at a path or a URL.
async fn open(place: &str) -> Result<Box<dyn Ledger>, String> {
    let clock = Arc::new(SystemClock);
    Ok(match place.starts_with(URL) {
        true => Box::new(PostgresLedger::open(&Secret::new(place), LEASE, clock).await?),
        false => Box::new(SqliteLedger::open(place, clock).await?),
    })
}

fn network() -> NetworkId {
    fixtures::network("fake:fixture")
}

fn settled() -> Outcome {
    Outcome::Settled(Settled::new("tx", "alice"))
}

/// Takes, signs and settles until it is refused, and tells each payment that is written: every third is settled, every
/// third signed, every third only taken.
async fn child(place: &str) {
    let ledger = open(place).await.unwrap();
    let Hold::Ours { epoch } = ledger.hold(&network(), "signer").await.unwrap() else { panic!("held by nobody") };
    println!("epoch {epoch}");
    for number in 0u64.. {
        let row = fixtures::row(Scope::Facilitator, &format!("n{number}"), "mine");
        let ticket = ledger.take(&row).await.unwrap().ticket().unwrap();
        if number % 3 > 0 {
            let mut tx = fixtures::signed_tx("signer", Some(number), &format!("tx-{number}"));
            tx.slot.epoch = epoch;
            if let Err(why) = ledger.write_signed(&tx, std::slice::from_ref(&ticket)).await {
                println!("refused {number}: {why}");
                return;
            }
        }
        if number % 3 > 1 {
            ledger.resolve(Scope::Facilitator, &[(ticket, settled())]).await.unwrap();
        }
        println!("{number}");
    }
}

struct Running {
    child: Child,
    lines: Box<dyn Iterator<Item = String>>,
    epoch: u64,
    told: usize,
}

impl Running {
    /// A child that has told of some payments.
    fn start(place: &str) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        let mut child = command.args([CHILD, place]).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let epoch = lines.next().unwrap().strip_prefix("epoch ").unwrap().parse().unwrap();
        let mut this = Self { child, lines: Box::new(lines), epoch, told: 0 };
        while this.told < BEFORE {
            this.told = this.lines.next().unwrap().parse::<usize>().unwrap() + 1;
        }
        this
    }

    /// Sends it a signal.
    fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }
}

/// The signer, once nobody alive holds it. A process that stands still in the middle of a transaction is in the way until
/// the database ends that.
async fn hold(ledger: &dyn Ledger) -> u64 {
    let begun = Instant::now();
    loop {
        if let Ok(Hold::Ours { epoch }) = ledger.hold(&network(), "signer").await {
            return epoch;
        }
        assert!(begun.elapsed() < LEASE * 20, "the signer does not move on");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn killed(place: &str) {
    let mut running = Running::start(place);
    if !place.starts_with(URL) {
        // It is alive: nobody else may have the file.
        let why = open(place).await.err().unwrap();
        assert!(why.contains("is open in another process"), "{why}");
    }
    running.child.kill().unwrap();
    running.child.wait().unwrap();
    // What it had told before it was killed counts, too.
    let told = running.lines.last().map_or(running.told, |last| last.parse().unwrap_or(running.told) + 1);

    let ledger = open(place).await.unwrap();
    let newer = hold(&*ledger).await;
    assert!(newer > running.epoch, "epoch {} of the killed one, {newer} of the next", running.epoch);
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
    println!("{}: killed after {told} payments: every one is as it was told", kind(place));
}

/// It stands still for longer than its lease, and does not know when it goes on.
async fn paused(place: &str) {
    let mut running = Running::start(place);
    running.signal("-STOP");
    let ledger = open(place).await.unwrap();
    let begun = Instant::now();
    let newer = hold(&*ledger).await;
    let after = begun.elapsed();
    assert!(newer > running.epoch, "epoch {} of the paused one, {newer} of the next", running.epoch);
    let before = ledger.open(usize::MAX).await.unwrap().len();
    running.signal("-CONT");
    let refused = running.lines.find(|line| line.starts_with("refused ")).expect("a former holder signs");
    assert!(refused.contains("has a newer holder"), "{refused}");
    assert!(running.child.wait().unwrap().success());
    assert_eq!(ledger.open(usize::MAX).await.unwrap().len(), before, "a former holder wrote");
    println!("{}: paused, followed after {after:.0?}, and refused when it went on", kind(place));
}

fn kind(place: &str) -> &str {
    place.split_once(':').map_or("sqlite", |(kind, _)| kind)
}

async fn parent() {
    let folder = TempDir::new().unwrap();
    killed(&folder.path().join("ledger.db").display().to_string()).await;
    if let Some(cluster) = postgres::shared() {
        killed(&cluster.database()).await;
        paused(&cluster.database()).await;
    }
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let mut args = std::env::args().skip_while(|arg| arg != CHILD);
    match (args.next(), args.next()) {
        (Some(_), Some(place)) => runtime.block_on(child(&place)),
        _ => runtime.block_on(parent()),
    }
}
