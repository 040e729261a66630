//! Three facilitators, two over HTTP and one in this process, and everything that can go wrong with each at every step:
//! money moves at most once, and the route stays up while one of them lives.

use crate::faulty::{Own, Site, Wrong};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tollway_core::{Facilitator, FacilitatorCall, PaymentPayload, PaymentRequirements, Registry};
use tollway_http::{RemoteFacilitator, facilitator_router};
use tollway_roles::server::Finished;
use tollway_roles::{Admission, LocalFacilitator, Refusal, ResourceServer, Route, Way};
use tollway_testkit::{FAKE, FakeChain, FakeClock, FakePayload, FakeRequest, Fate, Script, fixtures};

use FacilitatorCall::{Settle, Supported, Verify};

/// Payments made while something is wrong: enough to open a breaker three times.
const PAYMENTS: usize = 6;
/// Longest wait for one answer of a facilitator. Generous: what hangs does so for ever, what is well is quick.
const LONGEST: Duration = Duration::from_secs(3);

fn registry() -> Registry {
    Registry::builder().plugin(FAKE).plugin(tollway_select::PLUGIN).build().unwrap()
}

/// A shop with three facilitators, `one` and `two` over HTTP and `own` in this process.
pub(crate) struct Shop {
    pub(crate) chain: FakeChain,
    pub(crate) server: ResourceServer,
    pub(crate) sites: [Site; 2],
    pub(crate) own: Arc<Own>,
}

/// What became of a payment that was presented.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    Released,
    /// Nobody knows; the text is what the payer is told.
    Unknown(String),
    /// A new challenge: nothing was sent.
    Challenged,
}

async fn facilitator(network: &str) -> Arc<dyn Facilitator> {
    let builder = LocalFacilitator::builder().registry(registry()).clock(FakeClock::new());
    Arc::new(builder.network(network, json!({})).build().await.unwrap())
}

impl Shop {
    /// `first` is asked first. Unbound, facilitators do not say which signers are theirs, as on chains where that is no
    /// part of the payment.
    pub(crate) async fn open(name: &str, first: &str, unbound: bool, prepare: impl FnOnce(&[Site; 2], &Own)) -> Self {
        let network = format!("fake:{name}");
        let chain = FakeChain::at(&network);
        let sites = [
            Site::serve(facilitator_router(facilitator(&network).await), unbound),
            Site::serve(facilitator_router(facilitator(&network).await), unbound),
        ];
        let own = Own { name: "own", inner: facilitator(&network).await, plan: Default::default(), unbound };
        prepare(&sites, &own);
        let own = Arc::new(own);
        let remote = |site: &Site, name: &str| {
            let builder = RemoteFacilitator::builder(&site.url).name(name);
            builder.timeout(LONGEST).connect_timeout(LONGEST).build().unwrap()
        };
        let section = json!({ "order": [first], "health": { "hedgeAfterMs": 400 } });
        let builder = ResourceServer::builder("https://shop.test")
            .registry(registry())
            .clock(FakeClock::new())
            .facilitator(remote(&sites[0], "one"))
            .facilitator(remote(&sites[1], "two"))
            .facilitator(own.clone())
            .select("priority", section.as_object().unwrap().clone())
            .settle_timeout(LONGEST)
            .route(Route::new("GET /report").accepts(Way::exact(&network, "$0.01", "payee")));
        let server = builder.build().await.unwrap();
        Self { chain, server, sites, own }
    }

    pub(crate) async fn offer(&self) -> PaymentRequirements {
        match self.server.admit(&FakeRequest::get("/report")).await {
            Admission::Refused(Refusal::Challenge(challenge)) => challenge.required().accepts[0].clone(),
            other => panic!("the route is down: {other:?}"),
        }
    }

    pub(crate) async fn payment(&self, nonce: &str, script: Script) -> PaymentPayload {
        let offer = self.offer().await;
        fixtures::fake_payment(&offer, &FakePayload::new("alice", nonce, &offer).scripted(script))
    }

    pub(crate) async fn present(&self, payment: &PaymentPayload) -> End {
        self.present_with(payment, async || {}).await
    }

    /// Presents a payment; `between` runs where the handler would.
    pub(crate) async fn present_with(&self, payment: &PaymentPayload, between: impl AsyncFnOnce()) -> End {
        let refused = |refusal: Refusal| match refusal {
            Refusal::Challenge(_) => End::Challenged,
            Refusal::Failed(receipt) => End::Unknown(receipt.error_reason.unwrap().to_string()),
            Refusal::Unavailable(why) => End::Unknown(why),
            other => panic!("{other:?}"),
        };
        match self.server.admit(&FakeRequest::get("/report").paying(payment)).await {
            Admission::Admitted(admitted) => {
                between().await;
                match admitted.finish(true).await {
                    Finished::Release { receipt: Some(_), .. } => End::Released,
                    Finished::Refused(refusal) => refused(refusal),
                    other => panic!("{other:?}"),
                }
            }
            Admission::Refused(refusal) => refused(refusal),
            other => panic!("{other:?}"),
        }
    }

    fn plan(&self, victim: &str, plan: Option<(FacilitatorCall, Wrong)>) {
        match victim {
            "one" => self.sites[0].plan.set(plan),
            "two" => self.sites[1].plan.set(plan),
            _ => self.own.plan.set(plan),
        }
    }
}

/// One cell: `victim` is asked first, and goes wrong at `step`.
async fn cell(victim: &'static str, step: FacilitatorCall, wrong: Wrong, unbound: bool) {
    let name = format!("matrix-{victim}-{step:?}-{wrong:?}-{unbound}").to_lowercase();
    let shop = Shop::open(&name, victim, unbound, |sites, own| {
        if step == Supported {
            match victim {
                "one" => sites[0].plan.set(Some((step, wrong))),
                "two" => sites[1].plan.set(Some((step, wrong))),
                _ => own.plan.set(Some((step, wrong))),
            }
        }
    })
    .await;
    if step != Supported {
        shop.plan(victim, Some((step, wrong)));
    }
    let mut ends = Vec::new();
    for number in 0..PAYMENTS {
        let payment = shop.payment(&format!("n{number}"), Script::well()).await;
        let end = shop.present(&payment).await;
        ends.push((payment, end));
    }
    shop.chain.auditor().assert_at_most_once();
    let released = ends.iter().filter(|(_, end)| *end == End::Released).count();
    let shown: Vec<_> = ends.iter().map(|(_, end)| end).collect();
    // Before anything is sent, nobody notices. After that one settlement is uncertain until the breaker opens.
    let harmless = step != Settle || (wrong == Wrong::Unsent && unbound);
    match harmless {
        true => assert_eq!(released, PAYMENTS, "{name}: {shown:?}"),
        false => assert!(released >= PAYMENTS - 4, "{name}: {shown:?}"),
    }
    // Mended, it answers for what it was asked, and nobody else does: every payment is released in the end.
    shop.plan(victim, None);
    for (payment, end) in &ends {
        let again = shop.present(payment).await;
        match end {
            End::Released => assert_eq!(again, End::Unknown("duplicate_settlement".to_owned()), "{name}"),
            _ => assert_eq!(again, End::Released, "{name}: {end:?}"),
        }
    }
    let moved = shop.chain.auditor().by_key();
    assert_eq!((moved.len(), moved.values().max()), (PAYMENTS, Some(&1)), "{name}");
}

/// Every cell of one step, all at once.
async fn row(step: FacilitatorCall, wrongs: &[Wrong]) {
    let mut cells = tokio::task::JoinSet::new();
    for victim in ["one", "two", "own"] {
        for wrong in wrongs.iter().copied() {
            // In this process nothing bounds how long the start waits for what is supported but the engine itself.
            if step == Supported && wrong == Wrong::Hangs && victim == "own" {
                continue;
            }
            for unbound in [true, false] {
                cells.spawn(cell(victim, step, wrong, unbound));
            }
        }
    }
    let mut count = 0;
    while let Some(done) = cells.join_next().await {
        done.unwrap();
        count += 1;
    }
    assert!(count >= 6 * wrongs.len() - 2, "{count} cells");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_supported_says_the_others_sell() {
    row(Supported, &[Wrong::Broken, Wrong::Html, Wrong::OkError, Wrong::Hangs, Wrong::Drops, Wrong::Empty]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_verify_answers_another_verdict_is_found() {
    let wrongs = [
        Wrong::Broken,
        Wrong::Html,
        Wrong::OkError,
        Wrong::Unsent,
        Wrong::Hangs,
        Wrong::Drops,
        Wrong::Lies,
        Wrong::Flaps,
    ];
    row(Verify, &wrongs).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_settle_answers_money_moves_at_most_once() {
    let wrongs = [
        Wrong::Broken,
        Wrong::Html,
        Wrong::OkError,
        Wrong::Unsent,
        Wrong::Hangs,
        Wrong::Drops,
        Wrong::DropsAfter,
        Wrong::Lies,
        Wrong::Flaps,
    ];
    row(Settle, &wrongs).await;
}

/// Killed between verify and settle, it provably got nothing: another settles, unless the payment names its signer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_facilitator_killed_between_verify_and_settle() {
    for unbound in [true, false] {
        let mut shop = Shop::open(&format!("killed-{unbound}"), "one", unbound, |_, _| {}).await;
        let payment = shop.payment("n1", Script::well()).await;
        let mut killed = std::mem::replace(&mut shop.sites[0], Site::serve(axum::Router::new(), false));
        let end = shop.present_with(&payment, async move || killed.kill()).await;
        match unbound {
            true => assert_eq!(end, End::Released),
            false => {
                assert!(matches!(&end, End::Unknown(why) if why.contains("`one` could not decide")), "{end:?}");
                assert_eq!(shop.chain.auditor().sends(), 0);
                assert_eq!(shop.present(&payment).await, End::Released, "given back, and presented anew");
            }
        }
        assert_eq!(shop.chain.auditor().transfers().len(), 1);
        for number in 2..6 {
            let payment = shop.payment(&format!("n{number}"), Script::well()).await;
            assert_eq!(shop.present(&payment).await, End::Released, "the route is up");
        }
        shop.chain.auditor().assert_at_most_once();
    }
}

/// Killed while it settles, nobody knows; asked again, it says that it is pending. Nobody else is ever asked.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_facilitator_lost_while_it_settles_leads_to_settlement_pending() {
    let shop = Shop::open("lost", "one", true, |_, _| {}).await;
    let script = Script { fate: vec![Fate::Waiting], ..Script::default() };
    let payment = shop.payment("n1", script).await;
    shop.sites[0].plan.set(Some((Settle, Wrong::DropsAfter)));
    let end = shop.present(&payment).await;
    assert!(matches!(&end, End::Unknown(why) if why.contains("`one` could not decide")), "{end:?}");
    shop.sites[0].plan.set(None);
    for _ in 0..3 {
        assert_eq!(shop.present(&payment).await, End::Unknown("settlement_pending".to_owned()));
    }
    assert_eq!((shop.sites[1].plan.asked(Settle), shop.own.plan.asked(Settle)), (0, 0), "nobody else is asked");
    shop.chain.mine();
    assert_eq!(shop.present(&payment).await, End::Released);
    assert_eq!(shop.chain.auditor().transfers().len(), 1);
}

/// All of them down, and then one back: the route is up again with the first request that meets it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_down_and_one_back() {
    let shop = Shop::open("alldown", "one", true, |_, _| {}).await;
    let payment = shop.payment("n1", Script::well()).await;
    for victim in ["one", "two", "own"] {
        shop.plan(victim, Some((Verify, Wrong::Drops)));
    }
    for _ in 0..4 {
        assert!(matches!(shop.present(&payment).await, End::Unknown(_)));
    }
    shop.plan("two", None);
    assert_eq!(shop.present(&payment).await, End::Released);
    assert_eq!(shop.chain.auditor().transfers().len(), 1);
}
