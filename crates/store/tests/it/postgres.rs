//! The ledger in PostgreSQL: the rules, several holders, leases, and what is left over.

use crate::support::*;
use crate::{compare, every};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tollway_core::{Build, BuildContext, Clock, Hold, Ledger, Outcome, Scope, Secret, SystemClock, Taken};
use tollway_roles::MemoryLedger;
use tollway_store::PostgresLedger;
use tollway_testkit::postgres::{Cluster, shared};
use tollway_testkit::{FakeClock, FakeSecrets, SharedLedger, fixtures, ledger_suite, shared_ledger_suite};

async fn open(url: &str) -> PostgresLedger {
    PostgresLedger::open(&Secret::new(url), PostgresLedger::LEASE, FakeClock::new()).await.unwrap()
}

async fn open_for(url: &str, lease: Duration) -> PostgresLedger {
    PostgresLedger::open(&Secret::new(url), lease, Arc::new(SystemClock)).await.unwrap()
}

/// What another connection of the database says.
fn ask(cluster: &Cluster, url: &str, statement: &str) -> String {
    cluster.ask(url.split(['/', '?']).nth(3).unwrap(), statement).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_ledger_in_postgres_keeps_the_rules() {
    let Some(cluster) = shared() else { return };
    let make = || async {
        let url = Secret::new(cluster.database());
        let ledger = PostgresLedger::open(&url, PostgresLedger::LEASE, Arc::new(SystemClock)).await;
        Arc::new(ledger.unwrap()) as Arc<dyn Ledger>
    };
    ledger_suite("postgres", make).await.assert();
}

/// Two holders of one database.
struct Two {
    first: Arc<PostgresLedger>,
    second: Arc<PostgresLedger>,
}

impl Two {
    async fn open(url: &str) -> Self {
        Self { first: Arc::new(open(url).await), second: Arc::new(open(url).await) }
    }
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
        self.first.leave().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_ledger_in_postgres_keeps_the_rules_of_a_shared_one() {
    let Some(cluster) = shared() else { return };
    shared_ledger_suite("postgres", || async { Two::open(&cluster.database()).await }).await.assert();
}

#[test]
fn postgres_answers_as_memory_does() {
    let Some(cluster) = shared() else { return };
    compare::sequences(48, 2, async |acts| {
        let (url, clock) = (Secret::new(cluster.database()), FakeClock::new());
        let first = MemoryLedger::new(clock.clone());
        let memory = [first.beside(), first];
        let open = async || Arc::new(PostgresLedger::open(&url, PostgresLedger::LEASE, clock.clone()).await.unwrap());
        let stores = [open().await, open().await];
        let erased: Vec<_> = stores.iter().map(|store| store.clone() as Arc<dyn Ledger>).collect();
        compare::compare(&acts, &clock, &memory, &erased, async |who| stores[who].leave().await).await;
    });
}

#[tokio::test]
async fn a_row_comes_back_as_it_was() {
    let Some(cluster) = shared() else { return };
    let url = cluster.database();
    every::a_row_comes_back_as_it_was(async || open(&url).await).await;
}

#[tokio::test]
async fn who_leaves_has_taken_nothing() {
    let Some(cluster) = shared() else { return };
    every::who_leaves_has_taken_nothing(Arc::new(open(&cluster.database()).await)).await;
}

#[tokio::test]
async fn a_damaged_row_harms_no_other() {
    let Some(cluster) = shared() else { return };
    let url = cluster.database();
    let damage = async || drop(ask(cluster, &url, "UPDATE claims SET record = 'damaged'"));
    every::a_damaged_row_harms_no_other(Arc::new(open(&url).await), damage).await;
}

/// A thousand callers through two holders, each of which shares transactions: one wins, and neither waits for the other.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_a_thousand_in_two_stores_one_takes() {
    let Some(cluster) = shared() else { return };
    let two = Two::open(&cluster.database()).await;
    for round in 0..3 {
        let takers: Vec<_> = (0..1000)
            .map(|taker| {
                let ledger = if taker % 2 == 0 { two.first() } else { two.second() };
                let row = fixtures::row(Scope::Facilitator, &format!("crowd-{round}"), &format!("caller-{taker}"));
                tokio::spawn(async move { ledger.take(&row).await.unwrap() })
            })
            .collect();
        let mut new = 0;
        for taker in takers {
            match taker.await.unwrap() {
                Taken::New(_) => new += 1,
                Taken::Foreign => {}
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(new, 1, "round {round}");
    }
}

/// Many payments in many orders: whoever locks what the other wants waits, and nobody fails.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_stores_are_not_in_each_others_way() {
    let Some(cluster) = shared() else { return };
    let two = Two::open(&cluster.database()).await;
    let workers: Vec<_> = (0..40u64)
        .map(|worker| {
            let ledger = if worker % 2 == 0 { two.first() } else { two.second() };
            tokio::spawn(async move {
                let mut won = Vec::new();
                for step in 0..60 {
                    let number = (worker * 7 + step * 13) % 97;
                    // Tokens are shared too, so that their index is fought for.
                    let mut row = fixtures::row(Scope::Facilitator, &format!("n{number}"), "");
                    row.caller = tollway_core::Caller::new(format!("token-{}", number.min(90)));
                    let Taken::New(ticket) = ledger.take(&row).await.unwrap() else { continue };
                    let tx =
                        fixtures::signed_tx(&format!("signer-{worker}"), Some(step), &format!("tx-{worker}-{step}"));
                    ledger.write_signed(&tx, std::slice::from_ref(&ticket)).await.unwrap();
                    let outcome = if step % 3 == 0 { released() } else { settled("tx") };
                    let kept = step % 3 > 0;
                    ledger.resolve(Scope::Facilitator, &[(ticket, outcome)]).await.unwrap();
                    won.extend(kept.then_some(number));
                }
                won
            })
        })
        .collect();
    let mut settled = std::collections::BTreeSet::new();
    for worker in workers {
        for number in worker.await.unwrap() {
            assert!(settled.insert(number), "n{number} was settled twice");
        }
    }
    assert!(!settled.is_empty());
    assert!(two.first().open(1000).await.unwrap().is_empty(), "every transaction ended with its claims");
}

/// Of one transaction's two claims each store ends one, at the same time: nothing is left of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_two_stores_end_together_is_gone() {
    let Some(cluster) = shared() else { return };
    let two = Two::open(&cluster.database()).await;
    for round in 0..50 {
        let (one, other) = (format!("one-{round}"), format!("other-{round}"));
        let tickets = [taken(&*two.first, &one).await, taken(&*two.second, &other).await];
        let tx = fixtures::signed_tx("signer", Some(round), &format!("tx-{round}"));
        two.first.write_signed(&tx, &tickets).await.unwrap();
        let [one, other] = tickets.map(|ticket| [(ticket, settled("tx"))]);
        let ended =
            tokio::join!(two.first.resolve(Scope::Facilitator, &one), two.second.resolve(Scope::Facilitator, &other));
        ended.0.unwrap();
        ended.1.unwrap();
        assert!(two.first.open(10).await.unwrap().is_empty(), "round {round}");
    }
}

/// A new signer is asked for by all at once: one has it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_new_signer_has_one_holder() {
    let Some(cluster) = shared() else { return };
    let url = cluster.database();
    let mut stores = Vec::new();
    for _ in 0..6 {
        stores.push(Arc::new(open(&url).await));
    }
    for round in 0..10 {
        let asking: Vec<_> = stores
            .iter()
            .map(|store| {
                let store = store.clone();
                tokio::spawn(async move { store.hold(&network(), &format!("signer-{round}")).await.unwrap() })
            })
            .collect();
        let mut ours = 0;
        for one in asking {
            ours += usize::from(one.await.unwrap() != Hold::Theirs);
        }
        assert_eq!(ours, 1, "round {round}");
    }
}

/// Who leaves is followed at once, who is not heard of after its lease, and a former one signs nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_signer_moves_on() {
    let Some(cluster) = shared() else { return };
    let url = cluster.database();
    let lease = Duration::from_millis(500);
    let wait = async |ledger: &PostgresLedger| {
        let begun = Instant::now();
        loop {
            if let Hold::Ours { epoch } = ledger.hold(&network(), "signer").await.unwrap() {
                return (epoch, begun.elapsed());
            }
            assert!(begun.elapsed() < Duration::from_secs(20), "the signer does not move on");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let long = Duration::from_secs(60);
    let (first, second) = (open_for(&url, long).await, open_for(&url, lease).await);
    let (epoch, _) = wait(&first).await;
    assert_eq!(second.hold(&network(), "signer").await.unwrap(), Hold::Theirs);
    drop(first);
    let (next, after) = wait(&second).await;
    assert!(next > epoch && after < Duration::from_secs(10), "epoch {next} after {after:?}, with a lease of a minute");

    // Its lease is kept for as long as it lives, however long that is.
    let third = open_for(&url, long).await;
    tokio::time::sleep(lease * 3).await;
    assert_eq!(third.hold(&network(), "signer").await.unwrap(), Hold::Theirs);
    drop(second);
    let (epoch, _) = wait(&third).await;

    // It is not heard of, and does not know: as one that is paused.
    let ticket = taken(&third, "slow").await;
    ask(cluster, &url, "UPDATE holders SET until = '-infinity'");
    let fourth = open_for(&url, long).await;
    let (last, _) = wait(&fourth).await;
    assert!(last > epoch, "epoch {epoch} was followed by {last}");
    let mut late = fixtures::signed_tx("signer", Some(1), "tx-late");
    late.slot.epoch = epoch;
    let why = third.write_signed(&late, std::slice::from_ref(&ticket)).await.unwrap_err().to_string();
    assert!(why.contains("has a newer holder"), "{why}");
    assert_eq!(third.hold(&network(), "signer").await.unwrap(), Hold::Theirs);
    // What nobody took over is still its own.
    let tx = fixtures::signed_tx("other-signer", Some(1), "tx");
    third.write_signed(&tx, &[ticket]).await.unwrap();
}

#[tokio::test]
async fn what_is_finished_and_dead_is_forgotten() {
    let Some(cluster) = shared() else { return };
    let (url, clock) = (cluster.database(), FakeClock::new());
    let ledger = PostgresLedger::open(&Secret::new(&*url), PostgresLedger::LEASE, clock.clone()).await.unwrap();
    for round in 0..3 {
        for number in 0..40 {
            let mut row = fixtures::row(Scope::Facilitator, &format!("{round}-{number}"), "mine");
            row.claim = row.claim.dead_after(clock.now() + 60);
            let ticket = ledger.take(&row).await.unwrap().ticket().unwrap();
            let tx = fixtures::signed_tx("signer", Some(round * 40 + number), &format!("tx-{round}-{number}"));
            ledger.write_signed(&tx, std::slice::from_ref(&ticket)).await.unwrap();
            ledger.resolve(Scope::Facilitator, &[(ticket, settled("tx"))]).await.unwrap();
        }
        let left =
            "SELECT (SELECT count(*) FROM claims), (SELECT count(*) FROM attempts), (SELECT count(*) FROM carried)";
        assert_eq!(ask(cluster, &url, left), "40|0|0", "round {round}");
        clock.advance(60 + 601);
    }
}

/// What the dead left is forgotten in time: unsigned after ten minutes, a server's after a day, signed never.
#[tokio::test]
async fn what_a_dead_process_left_is_forgotten_in_time() {
    let Some(cluster) = shared() else { return };
    let (url, clock) = (cluster.database(), FakeClock::new());
    {
        let ledger = open(&url).await;
        taken(&ledger, "unsigned").await;
        let ticket = taken(&ledger, "signed").await;
        ledger.write_signed(&fixtures::signed_tx("signer", Some(1), "tx"), &[ticket]).await.unwrap();
        ledger.take(&fixtures::row(Scope::Server, "served", "mine")).await.unwrap();
        ledger.leave().await;
    }
    let ledger = PostgresLedger::open(&Secret::new(&*url), Duration::from_millis(200), clock.clone()).await.unwrap();
    let begun = Instant::now();
    while ask(cluster, &url, "SELECT count(*) FROM holders") != "1" {
        assert!(begun.elapsed() < Duration::from_secs(20), "the dead are not buried");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let mut left = Vec::new();
    for (name, wait) in [("soon", 0), ("later", 601), ("last", 24 * 3600)] {
        clock.advance(wait);
        taken(&ledger, name).await;
        left.push(ask(cluster, &url, "SELECT count(*) FROM claims"));
    }
    assert_eq!(left, ["4", "4", "4"]);
    let found = async |scope, name: &str| ledger.find(scope, &fixtures::claim(name).key).await.unwrap().is_some();
    assert!(found(Scope::Facilitator, "signed").await);
    assert!(!found(Scope::Facilitator, "unsigned").await && !found(Scope::Server, "served").await);
    let unknown = Outcome::Pending { transaction: String::new() };
    let signed = ledger.take(&fixtures::row(Scope::Facilitator, "signed", "mine")).await.unwrap();
    assert_eq!(signed, Taken::Again(Some(unknown)));
}

#[tokio::test]
async fn its_section_is_read_and_its_secret_kept() {
    let Some(cluster) = shared() else { return };
    let mut cx = BuildContext::new();
    cx.secrets = FakeSecrets::new("nothing").with("env:DATABASE_URL", cluster.database()).shared();
    let section = |text: &str| serde_json::from_str::<<PostgresLedger as Build>::Config>(text);
    let ledger = PostgresLedger::build(section(PostgresLedger::EXAMPLE).unwrap(), cx.clone()).await.unwrap();
    assert!(ledger.is_shared());
    assert!(!format!("{ledger:?}").contains("host="), "{ledger:?}");
    let literal = section(r#"{ "url": "postgres://u:hunter2@h/d" }"#).unwrap();
    assert!(!format!("{literal:?}").contains("hunter2"));
    let why = PostgresLedger::build(literal, cx.clone()).await.unwrap_err();
    assert!(why.contains("must be a reference") && !why.contains("hunter2"), "{why}");
    let hasty = section(r#"{ "url": "env:DATABASE_URL", "connections": 2, "leaseMs": 99 }"#).unwrap();
    let why = PostgresLedger::build(hasty, cx).await.unwrap_err();
    assert!(why.contains("`leaseMs` is at least 100"), "{why}");
    for bad in ["{}", r#"{ "url": "env:A", "lease": 1 }"#, r#"{ "url": "env:A", "connections": 0 }"#] {
        assert!(section(bad).is_err(), "{bad}");
    }
}
