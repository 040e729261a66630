//! Budgets and lost answers over HTTP.

use crate::support::*;
use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::any;
use http::{HeaderMap, StatusCode};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tollway_core::{Amount, BudgetConfig, BudgetStore, SpendState};
use tollway_http::header::{self, PAYMENT_REQUIRED, PAYMENT_SIGNATURE};
use tollway_http::{Client, PaymentError, client_with};
use tollway_roles::PayError;
use tollway_roles::client::{MemoryBudget, PaymentClientBuilder};
use tollway_testkit::{FakeFacilitator, fixtures};

fn budget(total: &str) -> BudgetConfig {
    let mut budget = BudgetConfig::default();
    budget.limits.total = Some(total.parse().unwrap());
    budget
}

async fn patient(payer: PaymentClientBuilder, patience: Duration) -> Client {
    let builder = reqwest::Client::builder().timeout(patience);
    client_with(payer.build().await.unwrap(), builder).unwrap()
}

const LONG: Duration = Duration::from_secs(60);

/// Says 402 to everything, paid or not, and counts the payments it was shown.
#[derive(Clone)]
struct Insatiable {
    challenge: String,
    paid: Arc<AtomicUsize>,
}

async fn never_satisfied(State(server): State<Insatiable>, headers: HeaderMap) -> Response {
    if headers.contains_key(PAYMENT_SIGNATURE) {
        server.paid.fetch_add(1, Ordering::SeqCst);
    }
    let mut response = Response::new(axum::body::Body::from("{}"));
    *response.status_mut() = StatusCode::PAYMENT_REQUIRED;
    response.headers_mut().insert(PAYMENT_REQUIRED, server.challenge.parse().unwrap());
    response
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_thousand_tasks_against_a_server_that_always_says_402_stay_under_the_cap() {
    let offer = fixtures::offer(&network());
    let required = fixtures::required("https://shop.test/", vec![offer]);
    let paid = Arc::new(AtomicUsize::new(0));
    let state = Insatiable { challenge: header::encode(&required).unwrap(), paid: paid.clone() };
    let site = Arc::new(Site::serve(Router::new().fallback(never_satisfied).with_state(state)).await);
    let store = Arc::new(MemoryBudget::new());
    let http = patient(payer().budget(budget("$0.25")).budget_store(store.clone()), LONG).await;
    let tasks: Vec<_> = (0..1000)
        .map(|task| {
            let (http, site) = (http.clone(), site.clone());
            tokio::spawn(async move {
                match http.get(site.at(&format!("/{task}"))).send().await {
                    Ok(response) => assert_eq!(response.status(), StatusCode::PAYMENT_REQUIRED),
                    Err(why) => match PaymentError::of(&why) {
                        Some(PaymentError::NotPaid(PayError::Budget(why))) => {
                            assert!(why.contains("$0.25 in total"), "{why}");
                        }
                        _ => panic!("{why}"),
                    },
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(paid.load(Ordering::SeqCst), 25, "of a cent each, and not one more");
    let rows = store.export(0, 2000).await.unwrap();
    let total = rows.iter().try_fold(Amount::ZERO, |sum, row| sum.checked_add(row.spend.offer.amount)).unwrap();
    assert_eq!((rows.len(), total), (25, Amount::from(250_000)));
    assert!(rows.iter().all(|row| row.state == SpendState::Refused), "it could still settle them");
}

/// What becomes of an answer that is lost.
#[derive(Clone, Copy)]
enum Lost {
    Breaks,
    Hangs,
}

/// A line to the shop that loses so many answers to paid requests.
async fn losing(shop: &Site, answers: Arc<AtomicUsize>, how: Lost) -> Site {
    let upstream = shop.url.clone();
    let forward = move |headers: HeaderMap| {
        let (upstream, answers) = (upstream.clone(), answers.clone());
        async move {
            let paid = headers.contains_key(PAYMENT_SIGNATURE);
            let request = tollway_http::plain_client().unwrap().get(format!("{upstream}/report")).headers(headers);
            let answer = request.send().await.unwrap();
            let left = || answers.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
            if paid && left().is_ok() {
                match how {
                    Lost::Breaks => panic!("the line goes dead"),
                    Lost::Hangs => std::future::pending().await,
                }
            }
            (answer.status(), answer.headers().clone())
        }
    };
    Site::serve(Router::new().route("/report", any(forward))).await
}

#[tokio::test]
async fn when_every_answer_is_dropped_nothing_is_paid_twice() {
    let network = network();
    let facilitator: Arc<FakeFacilitator> = fake(&network);
    let shop = Site::serve(app(shop(&network, facilitator.clone()).await)).await;
    let dropping = Arc::new(AtomicUsize::new(usize::MAX));
    let front = losing(&shop, dropping.clone(), Lost::Breaks).await;
    let store = Arc::new(MemoryBudget::new());
    let agent = || payer().budget(budget("$1")).budget_store(store.clone());
    // Every third time the agent is another process with the same books.
    let mut http = patient(agent(), LONG).await;
    for attempt in 0..7 {
        if attempt % 3 == 2 {
            http = patient(agent(), LONG).await;
        }
        let why = http.get(front.at("/report")).send().await.unwrap_err();
        assert!(PaymentError::lost(&why).is_some(), "{why}");
    }
    assert_eq!(facilitator.moved(), 1);
    assert_eq!(store.export(0, 100).await.unwrap().len(), 1, "one payment was ever signed");
    // The line is up again: the shop says how it was settled, and the books know it.
    dropping.store(0, Ordering::SeqCst);
    let http = patient(agent(), LONG).await;
    let answer = http.get(front.at("/report")).send().await.unwrap();
    assert_eq!(reason(answer.headers()), "duplicate_settlement");
    let told = receipt(answer.headers()).unwrap();
    assert!(!told.transaction.is_empty(), "the original receipt's transaction");
    let rows = store.export(0, 100).await.unwrap();
    assert_eq!((rows.len(), rows[0].state, &rows[0].transaction), (1, SpendState::Spent, &told.transaction));
    // Its fate is known: whoever asks now buys anew.
    assert_eq!(http.get(front.at("/report")).send().await.unwrap().status(), StatusCode::OK);
    assert_eq!(facilitator.moved(), 2);
}

#[tokio::test]
async fn after_a_time_out_the_same_payment_is_presented_again() {
    let network = network();
    let facilitator: Arc<FakeFacilitator> = fake(&network);
    let shop = Site::serve(app(shop(&network, facilitator.clone()).await)).await;
    let front = losing(&shop, Arc::new(AtomicUsize::new(2)), Lost::Hangs).await;
    let store = Arc::new(MemoryBudget::new());
    let agent = || payer().budget(budget("$1")).budget_store(store.clone());
    // Long enough for everything that is answered.
    let hasty = patient(agent(), Duration::from_secs(2)).await;
    for _ in 0..2 {
        let why = hasty.get(front.at("/report")).send().await.unwrap_err();
        assert!(PaymentError::lost(&why).is_some(), "{why}");
    }
    let answer = hasty.get(front.at("/report")).send().await.unwrap();
    assert_eq!(reason(answer.headers()), "duplicate_settlement");
    let rows = store.export(0, 10).await.unwrap();
    assert_eq!((facilitator.moved(), rows.len(), rows[0].state), (1, 1, SpendState::Spent));
}

#[tokio::test]
async fn an_answer_without_a_receipt_counts_as_paid() {
    let required = fixtures::required("https://shop.test/", vec![fixtures::offer(&network())]);
    let challenge = header::encode(&required).unwrap();
    let quiet = move |headers: HeaderMap| {
        let challenge = challenge.clone();
        async move {
            match headers.contains_key(PAYMENT_SIGNATURE) {
                true => (StatusCode::OK, HeaderMap::new()),
                false => {
                    let challenge = (PAYMENT_REQUIRED, challenge.parse().unwrap());
                    (StatusCode::PAYMENT_REQUIRED, HeaderMap::from_iter([challenge]))
                }
            }
        }
    };
    let site = Site::serve(Router::new().fallback(quiet)).await;
    let store = Arc::new(MemoryBudget::new());
    let http = patient(payer().budget_store(store.clone()), LONG).await;
    for _ in 0..2 {
        assert_eq!(http.get(site.at("/x")).send().await.unwrap().status(), StatusCode::OK);
    }
    let rows = store.export(0, 10).await.unwrap();
    assert_eq!(rows.iter().map(|row| row.state).collect::<Vec<_>>(), [SpendState::Spent; 2]);
}
