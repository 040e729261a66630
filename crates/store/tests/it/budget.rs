//! The books of a client in SQLite: the rules of every store of budgets, and agents that are restarted.

use serde_json::json;
use std::path::Path;
use std::sync::Arc;
use tollway_core::{BudgetConfig, BudgetStore, PaymentRequired, Registry, SpendState};
use tollway_roles::client::{Errand, Paying};
use tollway_roles::{PayError, PaymentClient};
use tollway_store::SqliteBudget;
use tollway_testkit::{FAKE, FakeClock, FakeSigner, budget_suite, fixtures};

const ORIGIN: &str = "https://shop.test";

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_store_of_budgets_keeps_the_rules() {
    let folder = tempfile::tempdir().unwrap();
    let next = std::sync::atomic::AtomicUsize::new(0);
    let make = || async {
        let number = next.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        Arc::new(SqliteBudget::open(folder.path().join(format!("{number}.db"))).await.unwrap()) as Arc<dyn BudgetStore>
    };
    budget_suite("sqlite", make).await.assert();
}

/// An agent as its configuration makes it, with 5 cents to spend at all.
async fn agent(path: &Path, clock: &Arc<FakeClock>) -> PaymentClient {
    let mut config = tollway_core::ClientConfig::default();
    let budget: BudgetConfig = serde_json::from_value(json!({
        "limits": { "total": "$0.05" },
        "store": { "kind": "sqlite", "path": path }
    }))
    .unwrap();
    config.budget = Some(budget);
    let registry = Registry::builder().plugin(FAKE).plugin(tollway_store::PLUGIN).build().unwrap();
    let alice = FakeSigner::shared("alice");
    let builder = PaymentClient::builder().config(config).registry(registry).clock(clock.clone());
    builder.signer("fake:*", alice).build().await.unwrap()
}

fn required() -> PaymentRequired {
    fixtures::required("https://shop.test/report", vec![fixtures::offer("fake:store-budget")])
}

async fn get(agent: &PaymentClient, path: &str) -> Result<Paying, PayError> {
    agent.pay_for(&required(), &Errand::new(ORIGIN, "GET", &format!("{ORIGIN}{path}"))).await
}

#[tokio::test]
async fn a_restarted_agent_goes_on_with_what_it_spent_and_lost() {
    let folder = tempfile::tempdir().unwrap();
    let (path, clock) = (folder.path().join("agent.db"), FakeClock::new());
    let mut lost = None;
    for restart in 0..3 {
        let agent = agent(&path, &clock).await;
        let paying = get(&agent, "/lost").await.unwrap();
        assert_eq!(paying.again, restart > 0, "the same payment, again and again");
        assert_eq!(lost.get_or_insert_with(|| paying.payment.clone()), &paying.payment);
        let other = get(&agent, &format!("/{restart}")).await.unwrap();
        let receipt = tollway_core::SettleResponse::settled(other.payment.accepted.network.clone(), "0xabc", None);
        agent.answered(&other.payment, ORIGIN, Some(&receipt), None, &[]).await;
    }
    let agent = agent(&path, &clock).await;
    assert!(get(&agent, "/fifth").await.is_ok());
    let why = get(&agent, "/sixth").await.unwrap_err();
    assert!(matches!(why, PayError::Budget(_)) && why.to_string().contains("$0.05 in total"), "{why}");
    // Both that were lost die, and are given back: the chain says so.
    clock.advance(61);
    assert!(get(&agent, "/sixth").await.is_ok() && get(&agent, "/seventh").await.is_ok());
    assert!(get(&agent, "/eighth").await.is_err());
    drop(agent);
    let rows = SqliteBudget::open(&path).await.unwrap().export(0, 100).await.unwrap();
    let count = |state| rows.iter().filter(|row| row.state == state).count();
    assert_eq!((count(SpendState::Spent), count(SpendState::Released), count(SpendState::Signed)), (3, 2, 2));
}

#[tokio::test]
async fn a_thousand_tasks_share_a_file_and_its_cap() {
    let folder = tempfile::tempdir().unwrap();
    let agent = agent(&folder.path().join("agent.db"), &FakeClock::new()).await;
    let tasks: Vec<_> = (0..1000)
        .map(|task| {
            let agent = agent.clone();
            tokio::spawn(async move { get(&agent, &format!("/{task}")).await.is_ok() })
        })
        .collect();
    let mut paid = 0;
    for task in tasks {
        paid += usize::from(task.await.unwrap());
    }
    assert_eq!(paid, 5);
}
