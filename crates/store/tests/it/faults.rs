//! PostgreSQL goes away at the worst moment: nothing is sent that is not written down, nothing stays taken that nobody has,
//! and all goes on when it is back.

use crate::support::*;
use crate::wire::{Fail, Wire};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};
use tollway_core::{
    Caller, ClaimKey, ClaimRow, Facilitator, Failure, Fault, FaultKind, Found, Hold, Ledger, NetworkId, OpenSlot,
    Outcome, PaymentPayload, PaymentRequirements, Registry, Scope, Secret, Sent, SignedTx, SystemClock, Taken, Ticket,
};
use tollway_roles::LocalFacilitator;
use tollway_store::PostgresLedger;
use tollway_testkit::{FAKE, FakeChain, FakeClock, FakePayload, fixtures, postgres};

const SCOPE: Scope = Scope::Facilitator;

async fn open(url: &Secret) -> PostgresLedger {
    PostgresLedger::open(url, PostgresLedger::LEASE, Arc::new(SystemClock)).await.unwrap()
}

/// Does something just before the step of that number.
struct Before<F> {
    ledger: PostgresLedger,
    step: usize,
    steps: AtomicUsize,
    what: F,
}

impl<F: Fn() + Send + Sync> Before<F> {
    fn step(&self) {
        if self.steps.fetch_add(1, SeqCst) == self.step {
            (self.what)();
        }
    }
}

#[tollway_core::async_trait]
impl<F: Fn() + Send + Sync> Ledger for Before<F> {
    async fn take(&self, row: &ClaimRow) -> Result<Taken, Fault> {
        self.step();
        self.ledger.take(row).await
    }

    async fn retake(&self, row: &ClaimRow) -> Result<Option<Found<SignedTx>>, Fault> {
        self.ledger.retake(row).await
    }

    async fn find(&self, scope: Scope, key: &ClaimKey) -> Result<Option<Found<SignedTx>>, Fault> {
        self.ledger.find(scope, key).await
    }

    async fn write_signed(&self, tx: &SignedTx, claims: &[Ticket]) -> Result<(), Fault> {
        self.step();
        self.ledger.write_signed(tx, claims).await
    }

    async fn resolve(&self, scope: Scope, outcomes: &[(Ticket, Outcome)]) -> Result<(), Fault> {
        self.step();
        self.ledger.resolve(scope, outcomes).await
    }

    async fn open(&self, limit: usize) -> Result<Vec<OpenSlot<SignedTx>>, Fault> {
        self.ledger.open(limit).await
    }

    fn is_shared(&self) -> bool {
        self.ledger.is_shared()
    }

    async fn hold(&self, network: &NetworkId, signer: &str) -> Result<Hold, Fault> {
        self.step();
        self.ledger.hold(network, signer).await
    }

    async fn hand_over(&self, ticket: &Ticket, network: &NetworkId, signer: &str) -> Result<bool, Fault> {
        self.ledger.hand_over(ticket, network, signer).await
    }

    async fn handed(&self, limit: usize) -> Result<Vec<ClaimRow>, Fault> {
        self.ledger.handed(limit).await
    }
}

const STEPS: [&str; 4] = ["take", "hold", "write_signed", "resolve"];

async fn facilitator(network: &str, ledger: impl Ledger + 'static) -> LocalFacilitator {
    let registry = Registry::builder().plugin(FAKE).build().unwrap();
    let builder =
        LocalFacilitator::builder().registry(registry).clock(FakeClock::new()).network(network, serde_json::json!({}));
    builder.ledger(Arc::new(ledger)).reconcile_every(Duration::from_millis(200)).build().await.unwrap()
}

fn payment(network: &str, nonce: &str) -> (PaymentPayload, PaymentRequirements, Caller) {
    let offer = fixtures::offer(network);
    let payment = fixtures::fake_payment(&offer, &FakePayload::new("alice", nonce, &offer));
    (payment, offer, fixtures::caller_of(network, nonce))
}

/// Presents a payment again and again, as a client does, until it is settled.
async fn until_settled(facilitator: &LocalFacilitator, network: &str, nonce: &str) {
    let (payment, offer, caller) = payment(network, nonce);
    let begun = Instant::now();
    loop {
        let answer = facilitator.settle(&payment, &offer, &caller).await;
        match answer {
            Ok(Outcome::Settled(_)) => return,
            answer => assert!(begun.elapsed() < Duration::from_secs(60), "{nonce} does not settle: {answer:?}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Stopped at each step of a settlement: no claim, no broadcast, a clear error, and recovery.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_database_that_is_gone_at_any_step_sends_nothing_and_loses_nothing() {
    let Some(cluster) = postgres::start() else { return };
    let url = Secret::new(cluster.database());
    let cluster = Arc::new(cluster);
    for (step, name) in STEPS.iter().enumerate() {
        let network = format!("fake:gone-before-{}", name.replace('_', "-"));
        let (chain, killing) = (FakeChain::at(&network), cluster.clone());
        let ledger =
            Before { ledger: open(&url).await, step, steps: AtomicUsize::new(0), what: move || killing.kill() };
        let facilitator = facilitator(&network, ledger).await;
        let settle = async |nonce| {
            let (payment, offer, caller) = payment(&network, nonce);
            facilitator.settle(&payment, &offer, &caller).await
        };
        let begun = Instant::now();
        let answer = settle("n1").await;
        assert!(begun.elapsed() < Duration::from_secs(15), "{name}: {:?}", begun.elapsed());
        let sends = chain.auditor().sends();
        match (step, answer) {
            // It is on chain, and that is told; that it is written is made good later.
            (3, answer) => {
                assert!(matches!(answer, Ok(Outcome::Settled(_))) && sends == 1, "{name}: {answer:?}, {sends}")
            }
            (_, Err(Failure::Fault(why))) => {
                assert_eq!((why.kind, sends), (FaultKind::Unreachable, 0), "{name}: {why}");
                let text = why.to_string();
                assert!(
                    text.contains("see that it runs and can be reached") && !text.contains("host="),
                    "{name}: {text}"
                );
            }
            (_, answer) => panic!("{name}: {answer:?}"),
        }
        // While it is away nobody gets anything, and nobody waits for long.
        let begun = Instant::now();
        let answer = settle("n2").await;
        assert!(
            matches!(answer, Err(Failure::Fault(_))) && begun.elapsed() < Duration::from_secs(15),
            "{name}: {answer:?}"
        );
        assert_eq!(chain.auditor().sends(), sends);
        cluster.go_on().unwrap();
        for nonce in ["n1", "n2"] {
            until_settled(&facilitator, &network, nonce).await;
        }
        assert_eq!(chain.auditor().transfers().len(), 2, "{name}");
        chain.auditor().assert_at_most_once();
    }
    let ledger = open(&url).await;
    assert!(ledger.open(100).await.unwrap().is_empty(), "nothing is left open");
}

/// The connection breaks at each commit of a settlement, before it arrived or before its answer did; the database is there
/// again at once, or after a while. Money moves once.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_commit_that_is_lost_at_any_step_moves_money_once() {
    let Some(cluster) = postgres::shared() else { return };
    let url = cluster.database();
    let mut tasks = Vec::new();
    for (step, name) in STEPS.iter().enumerate() {
        for (how, fail) in [("commit", Fail::Commit), ("answer", Fail::AnswerToCommit)] {
            for stays_down in [false, true] {
                let wire = Arc::new(Wire::to(cluster));
                let (breaking, url) = (wire.clone(), wire.through(&url));
                let network = format!("fake:lost-{how}-{}-{stays_down}", name.replace('_', "-"));
                tasks.push(tokio::spawn(async move {
                    let what = move || breaking.fail(fail, stays_down);
                    let ledger = Before { ledger: open(&url).await, step, steps: AtomicUsize::new(0), what };
                    let facilitator = facilitator(&network, ledger).await;
                    let healing = wire.clone();
                    let heal = tokio::spawn(async move {
                        // Longer than anybody tries to find out.
                        tokio::time::sleep(Duration::from_secs(8)).await;
                        healing.heal();
                    });
                    until_settled(&facilitator, &network, "n1").await;
                    assert!(wire.has_failed(), "{network}: nothing was lost");
                    heal.await.unwrap();
                    let auditor = FakeChain::at(&network).auditor();
                    assert_eq!(auditor.transfers().len(), 1, "{network}");
                    auditor.assert_at_most_once();
                }));
            }
        }
    }
    for task in tasks {
        task.await.unwrap();
    }
    let ledger = open(&Secret::new(url)).await;
    let begun = Instant::now();
    while !ledger.open(100).await.unwrap().is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", ledger.open(100).await);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// What each call does whose commit was lost while the database is there again at once: it finds what it did.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_lost_commit_is_found_again() {
    let Some(cluster) = postgres::shared() else { return };
    for fail in [Fail::Commit, Fail::AnswerToCommit] {
        let (wire, url) = (Wire::to(cluster), cluster.database());
        let (ledger, other) = (open(&wire.through(&url)).await, open(&Secret::new(&*url)).await);
        let lose = || wire.fail(fail, false);
        assert!(matches!(other.hold(&network(), "signer").await.unwrap(), Hold::Ours { .. }));

        lose();
        let ticket = taken(&ledger, "lost").await;
        assert!(wire.has_failed());
        lose();
        assert!(ledger.hand_over(&ticket, &network(), "signer").await.unwrap());
        assert_eq!(other.handed(10).await.unwrap().len(), 1);
        assert_eq!(other.handed(10).await.unwrap().len(), 0);

        let ticket = taken(&ledger, "signed").await;
        lose();
        assert!(matches!(ledger.hold(&network(), "own").await.unwrap(), Hold::Ours { .. }));
        assert_eq!(other.hold(&network(), "own").await.unwrap(), Hold::Theirs);
        lose();
        let tx = fixtures::signed_tx("own", Some(1), "tx");
        ledger.write_signed(&tx, std::slice::from_ref(&ticket)).await.unwrap();
        assert_eq!(other.open(10).await.unwrap().len(), 1);
        lose();
        let pending = Outcome::Pending { transaction: "tx".to_owned() };
        ledger.resolve(SCOPE, &[(ticket, pending.clone())]).await.unwrap();
        lose();
        let row = fixtures::row(SCOPE, "signed", "mine");
        let found = ledger.retake(&row).await.unwrap().unwrap();
        assert_eq!(found.outcome, Some(pending));
        assert!(other.retake(&row).await.unwrap().is_none(), "handed out twice");
        lose();
        ledger.resolve(SCOPE, &[(found.row.ticket(), settled("tx"))]).await.unwrap();
        assert_eq!(other.take(&row).await.unwrap(), Taken::Again(Some(settled("tx"))));

        // Handed to whoever lost the answer.
        let ticket = taken(&other, "given").await;
        assert!(other.hand_over(&ticket, &network(), "own").await.unwrap());
        lose();
        assert_eq!(ledger.handed(10).await.unwrap().len(), 1);
        assert_eq!(ledger.handed(10).await.unwrap().len(), 0);
        assert!(wire.has_failed());
    }
}

/// The database is back, and soon something is so.
async fn back(wire: &Wire, what: &str, is_so: impl AsyncFn() -> bool) {
    wire.heal();
    let begun = Instant::now();
    while !is_so().await {
        assert!(begun.elapsed() < Duration::from_secs(20), "{what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Nobody can find out in time: the call fails, and once the database is back it has not happened. What may be sent by
/// whoever reads it is told as that.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_stays_in_doubt_is_undone_or_told_as_possible() {
    let Some(cluster) = postgres::shared() else { return };
    let url = cluster.database();
    let other = open(&Secret::new(&*url)).await;
    let other = &other;
    let take = async {
        let wire = Wire::to(cluster);
        let ledger = open(&wire.through(&url)).await;
        wire.fail(Fail::AnswerToCommit, true);
        let fault = ledger.take(&fixtures::row(SCOPE, "doubtful", "mine")).await.unwrap_err();
        assert_eq!(fault.sent, Sent::No, "{fault}");
        back(&wire, "a doubtful claim stays taken", async || {
            matches!(other.take(&fixtures::row(SCOPE, "doubtful", "other")).await, Ok(Taken::New(_)))
        })
        .await;
    };
    let retake = async {
        let wire = Wire::to(cluster);
        let ledger = open(&wire.through(&url)).await;
        let ticket = taken(&ledger, "waiting").await;
        let pending = Outcome::Pending { transaction: "tx".to_owned() };
        ledger.resolve(SCOPE, &[(ticket, pending)]).await.unwrap();
        wire.fail(Fail::AnswerToCommit, true);
        ledger.retake(&fixtures::row(SCOPE, "waiting", "mine")).await.unwrap_err();
        back(&wire, "a doubtful row waits for nobody", async || {
            other.retake(&fixtures::row(SCOPE, "waiting", "mine")).await.is_ok_and(|found| found.is_some())
        })
        .await;
    };
    let sign = async {
        let wire = Wire::to(cluster);
        let ledger = open(&wire.through(&url)).await;
        let ticket = taken(&ledger, "signed").await;
        let tx = fixtures::signed_tx("signer", Some(1), "tx");
        wire.fail(Fail::AnswerToCommit, true);
        let fault = ledger.write_signed(&tx, std::slice::from_ref(&ticket)).await.unwrap_err();
        assert_eq!(fault.sent, Sent::Maybe, "{fault}");
        back(&wire, "what was perhaps signed is lost", async || {
            other.open(10).await.is_ok_and(|open| open.iter().any(|slot| slot.attempts == [tx.clone()]))
        })
        .await;
        // An outcome that could not be told is written when the database is back.
        wire.fail(Fail::Commit, true);
        ledger.resolve(SCOPE, &[(ticket, settled("tx"))]).await.unwrap_err();
        back(&wire, "an outcome is lost", async || {
            let mine = fixtures::row(SCOPE, "signed", "mine");
            other.take(&mine).await.is_ok_and(|taken| taken == Taken::Again(Some(settled("tx"))))
        })
        .await;
    };
    tokio::join!(take, retake, sign);
}

/// A network that swallows everything: every call ends, and all goes on once it does not any more.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_waits_for_ever() {
    let Some(cluster) = postgres::shared() else { return };
    let (wire, url) = (Wire::to(cluster), cluster.database());
    let ledger = open(&wire.through(&url)).await;
    let row = fixtures::row(SCOPE, "slow", "mine");
    ledger.find(SCOPE, &row.claim.key).await.unwrap();
    wire.swallow(true);
    let begun = Instant::now();
    let calls = tokio::join!(
        async { ledger.take(&row).await.map(drop) },
        async { ledger.find(SCOPE, &row.claim.key).await.map(drop) },
        async { ledger.open(10).await.map(drop) },
    );
    for call in [calls.0, calls.1, calls.2] {
        let fault = call.unwrap_err();
        assert!(matches!(fault.kind, FaultKind::Timeout | FaultKind::Unreachable | FaultKind::Overloaded), "{fault}");
    }
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
    wire.swallow(false);
    let begun = Instant::now();
    while ledger.take(&row).await.is_err() {
        assert!(begun.elapsed() < Duration::from_secs(30), "the store does not go on");
    }
}
