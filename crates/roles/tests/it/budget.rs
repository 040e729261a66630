//! What a client may spend, and what it does about answers that are lost.

use crate::support::registry;
use async_trait::async_trait;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tollway_core::{
    Amount, AssetLimits, BudgetConfig, BudgetStore, Fate, Fault, FaultKind, Limits, PaymentRequired,
    PaymentRequirements, Reserved, SettleResponse, SignedSpend, Spend, SpendKey, SpendRow, codes,
};
use tollway_roles::client::{
    Approver, Candidate, Errand, ExportFormat, MemoryBudget, Paying, PaymentClientBuilder, Purchase,
};
use tollway_roles::{PayError, PaymentClient};
use tollway_testkit::{EURO, FakeClock, FakeSigner, budget_suite, fixtures};

const ORIGIN: &str = "https://shop.test";
/// One cent.
const CENT: u64 = 10_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_books_in_memory_keep_the_rules() {
    budget_suite("memory", || async { Arc::new(MemoryBudget::new()) as Arc<dyn BudgetStore> }).await.assert();
}

/// One agent: the clock and the books outlive its restarts.
struct Agent {
    clock: Arc<FakeClock>,
    store: Arc<MemoryBudget>,
    client: PaymentClient,
}

fn builder(clock: &Arc<FakeClock>) -> PaymentClientBuilder {
    let alice = FakeSigner::shared("alice");
    PaymentClient::builder().registry(registry()).clock(clock.clone()).signer("fake:*", alice)
}

impl Agent {
    async fn with(budget: BudgetConfig) -> Self {
        Self::made(|builder| builder.budget(budget)).await
    }

    async fn made(more: impl FnOnce(PaymentClientBuilder) -> PaymentClientBuilder) -> Self {
        // A full hour, so that windows begin with the test.
        let clock = FakeClock::at(FakeClock::START / 86_400 * 86_400);
        let store = Arc::new(MemoryBudget::new());
        let client = more(builder(&clock).budget_store(store.clone())).build().await.unwrap();
        Self { clock, store, client }
    }

    /// The process ended, and another goes on with its books.
    async fn restarted(self, budget: BudgetConfig) -> Self {
        let client = builder(&self.clock).budget_store(self.store.clone()).budget(budget).build().await.unwrap();
        Self { client, ..self }
    }

    async fn pay(&self, origin: &str, offer: &PaymentRequirements) -> Result<Paying, PayError> {
        self.client.pay_for(&required(offer), &Errand::new(origin, "GET", &format!("{origin}/{}", unique()))).await
    }

    /// How many payments of this offer fit.
    async fn fits(&self, origin: &str, offer: &PaymentRequirements) -> usize {
        let mut paid = 0;
        while paid < 50 && self.pay(origin, offer).await.is_ok() {
            paid += 1;
        }
        paid
    }

    /// The same request again.
    async fn fetch(&self, offer: &PaymentRequirements) -> Result<Paying, PayError> {
        self.client.pay_for(&required(offer), &report()).await
    }

    async fn answered(&self, paying: &Paying, receipt: Option<&SettleResponse>, refused: bool) {
        let challenge = refused.then(|| required(&paying.payment.accepted));
        self.client.answered(&paying.payment, ORIGIN, receipt, challenge.as_ref(), &[]).await;
    }
}

fn report() -> Errand<'static> {
    Errand::new(ORIGIN, "GET", "https://shop.test/report?secret=1")
}

fn unique() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    NEXT.fetch_add(1, Ordering::SeqCst)
}

fn network() -> String {
    format!("fake:budget-{}", unique())
}

fn cents(network: &str, cents: u64) -> PaymentRequirements {
    let mut offer = fixtures::offer(network);
    offer.amount = Amount::from(cents * CENT);
    offer
}

fn required(offer: &PaymentRequirements) -> PaymentRequired {
    fixtures::required("https://shop.test/report", vec![offer.clone()])
}

fn limits(set: impl FnOnce(&mut Limits)) -> BudgetConfig {
    let mut config = BudgetConfig::default();
    set(&mut config.limits);
    config
}

fn money(text: &str) -> Option<tollway_core::Money> {
    Some(text.parse().unwrap())
}

fn receipt(paying: &Paying) -> SettleResponse {
    SettleResponse::settled(paying.payment.accepted.network.clone(), "0xabc", None)
}

#[tokio::test]
async fn a_limit_per_hour_is_renewed_with_the_hour() {
    let agent = Agent::with(limits(|limits| limits.per_hour = money("$0.03"))).await;
    let offer = cents(&network(), 1);
    assert_eq!(agent.fits(ORIGIN, &offer).await, 3);
    agent.clock.advance(3599);
    let why = agent.pay(ORIGIN, &offer).await.unwrap_err().to_string();
    assert!(why.contains("$0.03 in one hour") && why.contains("$0 of it are left"), "{why}");
    agent.clock.advance(1);
    assert_eq!(agent.fits(ORIGIN, &offer).await, 3);
}

#[tokio::test]
async fn limits_per_day_and_in_total_add_up_over_networks() {
    let budget = limits(|limits| {
        limits.per_day = money("$0.05");
        limits.total = money("$0.08");
    });
    let agent = Agent::with(budget).await;
    let (one, other) = (cents(&network(), 1), cents(&network(), 2));
    assert_eq!(agent.fits(ORIGIN, &other).await, 2);
    assert_eq!(agent.fits("https://elsewhere.test", &one).await, 1);
    agent.clock.advance(86_400);
    assert_eq!(agent.fits(ORIGIN, &one).await, 3, "three cents are left of the total");
    agent.clock.advance(365 * 86_400);
    let why = agent.pay(ORIGIN, &one).await.unwrap_err().to_string();
    assert!(why.contains("$0.08 in total"), "{why}");
}

#[tokio::test]
async fn a_limit_per_host_is_for_each_host() {
    let mut budget = BudgetConfig::default();
    budget.per_host.per_day = money("$0.02");
    let agent = Agent::with(budget).await;
    let offer = cents(&network(), 1);
    assert_eq!(agent.fits(ORIGIN, &offer).await, 2);
    assert_eq!(agent.fits("HTTPS://Shop.test:443", &offer).await, 0, "however it is spelt");
    assert_eq!(agent.fits("https://elsewhere.test", &offer).await, 2);
    let why = agent.pay(ORIGIN, &offer).await.unwrap_err().to_string();
    assert!(why.contains("to this origin"), "{why}");
}

#[tokio::test]
async fn a_limit_per_payment_leaves_the_cheaper_offer() {
    let agent = Agent::with(limits(|limits| limits.per_payment = money("$0.01"))).await;
    let network = network();
    let both = fixtures::required("https://shop.test/report", vec![cents(&network, 2), cents(&network, 1)]);
    let paid = agent.client.pay_for(&both, &report()).await.unwrap();
    assert_eq!(paid.payment.accepted.amount, Amount::from(CENT));
    let why = agent.pay(ORIGIN, &cents(&network, 2)).await.unwrap_err().to_string();
    assert!(why.contains("$0.02 is above the budget's $0.01"), "{why}");
}

#[tokio::test]
async fn an_asset_by_itself_has_limits_in_its_own_units() {
    let network = network();
    let mut euro = cents(&network, 1);
    euro.asset = EURO.to_owned();
    euro.amount = Amount::from(7);
    let spend_limit = tollway_roles::client::SpendLimit::per_payment("$1".parse().unwrap());
    let spend_limit = spend_limit.asset(&network, EURO, Amount::from(100));
    let dollars = limits(|limits| limits.total = money("$1"));
    let budget = dollars.clone();
    let agent = Agent::made(|builder| builder.spend_limit(spend_limit.clone()).budget(budget)).await;
    let why = agent.pay(ORIGIN, &euro).await.unwrap_err().to_string();
    assert!(why.contains("add it to the budget's assets"), "{why}");

    let mut listed = dollars.clone();
    let mut asset = AssetLimits::new(network.parse().unwrap(), EURO.to_ascii_uppercase());
    asset.per_day = Some(Amount::from(20));
    listed.assets = vec![asset];
    let agent = Agent::made(|builder| builder.spend_limit(spend_limit.clone()).budget(listed)).await;
    assert_eq!(agent.fits(ORIGIN, &euro).await, 2);
    assert_eq!(agent.fits(ORIGIN, &cents(&network, 50)).await, 2, "dollars are counted by themselves");

    let mut ticker = dollars;
    ticker.limits.per_hour = money("0.21 FEUR");
    let agent = Agent::made(|builder| builder.spend_limit(spend_limit).budget(ticker)).await;
    assert_eq!(agent.fits(ORIGIN, &euro).await, 3, "FEUR has two decimals");
}

#[tokio::test]
async fn only_hosts_and_payees_that_are_listed() {
    let mut budget = BudgetConfig::default();
    budget.hosts = Some(vec!["https://shop.test/".to_owned()]);
    budget.payees = Some(vec!["PAYEE".to_owned()]);
    let agent = Agent::with(budget).await;
    let offer = cents(&network(), 1);
    assert!(agent.pay(ORIGIN, &offer).await.is_ok());
    let why = agent.pay("https://shop.test.evil", &offer).await.unwrap_err().to_string();
    assert!(why.contains("not among the budget's hosts"), "{why}");
    let mut swapped = offer;
    swapped.pay_to = "mallory".to_owned();
    let why = agent.pay(ORIGIN, &swapped).await.unwrap_err().to_string();
    assert!(why.contains("not among the budget's payees"), "{why}");
    let mut nonsense = BudgetConfig::default();
    nonsense.hosts = Some(vec!["shop.test".to_owned()]);
    let why = builder(&FakeClock::new()).budget(nonsense).build().await.unwrap_err().to_string();
    assert!(why.contains("https://api.example.com"), "{why}");
}

/// Says yes as often as it is told to.
#[derive(Clone)]
struct Says(Arc<AtomicUsize>);

#[async_trait]
impl Approver for Says {
    async fn approve(&self, _: &Purchase<'_>, candidate: &Candidate) -> Result<(), String> {
        let left = self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        left.map(drop).map_err(|_| format!("nobody approved {}", candidate.offer.amount))
    }
}

#[tokio::test]
async fn above_the_threshold_the_application_is_asked() {
    let mut budget = limits(|limits| limits.total = money("$0.20"));
    budget.approve_above = money("$0.05");
    let why = builder(&FakeClock::new()).budget(budget.clone()).build().await.unwrap_err().to_string();
    assert!(why.contains("approver"), "{why}");
    let says = Says(Arc::new(AtomicUsize::new(1)));
    let agent = Agent::made(|builder| builder.budget(budget).approver(says.clone())).await;
    let network = network();
    assert_eq!(agent.fits(ORIGIN, &cents(&network, 5)).await, 4, "nobody is asked up to the threshold");
    assert_eq!(says.0.load(Ordering::SeqCst), 1);
    let agent = agent.restarted(limits(|limits| limits.total = money("$5"))).await;
    assert!(agent.pay(ORIGIN, &cents(&network, 6)).await.is_ok());

    let mut budget = limits(|limits| limits.total = money("$1"));
    budget.approve_above = money("$0.05");
    let agent = Agent::made(|builder| builder.budget(budget).approver(says)).await;
    assert!(agent.pay(ORIGIN, &cents(&network, 6)).await.is_ok());
    let why = agent.pay(ORIGIN, &cents(&network, 6)).await.unwrap_err().to_string();
    assert!(why.contains("nobody approved 60000"), "{why}");
    assert_eq!(agent.store.export(0, 100).await.unwrap().len(), 1, "what is not approved is not reserved");
}

#[tokio::test]
async fn a_restarted_agents_budget_holds() {
    let budget = || limits(|limits| limits.total = money("$0.05"));
    let agent = Agent::with(budget()).await;
    let offer = cents(&network(), 1);
    let paid = agent.pay(ORIGIN, &offer).await.unwrap();
    agent.answered(&paid, Some(&receipt(&paid)), false).await;
    assert!(agent.pay(ORIGIN, &offer).await.is_ok(), "one whose answer never comes");
    let agent = agent.restarted(budget()).await;
    assert_eq!(agent.fits(ORIGIN, &offer).await, 3);
    let agent = agent.restarted(budget()).await;
    assert_eq!(agent.fits(ORIGIN, &offer).await, 0);
    // A limit that is set later knows what was spent before.
    let stricter = limits(|limits| limits.per_day = money("$0.06"));
    assert_eq!(agent.restarted(stricter).await.fits(ORIGIN, &offer).await, 1);
}

#[tokio::test]
async fn what_is_proven_dead_counts_no_more_and_what_is_not_does() {
    let agent = Agent::with(limits(|limits| limits.total = money("$0.02"))).await;
    let offer = cents(&network(), 1);
    let refused = agent.pay(ORIGIN, &offer).await.unwrap();
    agent.answered(&refused, None, true).await;
    let spent = agent.pay(ORIGIN, &offer).await.unwrap();
    agent.answered(&spent, Some(&receipt(&spent)), false).await;
    drop((refused, spent));
    assert_eq!(agent.fits(ORIGIN, &offer).await, 0, "the server could still settle what it refused");
    agent.clock.advance(60);
    assert_eq!(agent.fits(ORIGIN, &offer).await, 0, "at its last second, too");
    agent.clock.advance(1);
    assert_eq!(agent.fits(ORIGIN, &offer).await, 1, "it died; what was spent stays spent");
}

#[tokio::test]
async fn a_lost_answer_is_asked_for_with_the_same_payment_after_a_restart_too() {
    let agent = Agent::with(BudgetConfig::default()).await;
    let offer = cents(&network(), 1);
    let first = agent.fetch(&offer).await.unwrap();
    assert!(!first.again);
    let concurrent = agent.fetch(&offer).await.unwrap();
    assert_ne!(concurrent.payment, first.payment, "while a call waits, the same request is another purchase");
    agent.answered(&concurrent, Some(&receipt(&concurrent)), false).await;
    let payment = first.payment.clone();
    drop((first, concurrent));
    let again = agent.fetch(&offer).await.unwrap();
    assert!(again.again);
    assert_eq!(again.payment, payment);
    // The server does not know it. That is no proof that it will not be settled.
    agent.answered(&again, None, true).await;
    drop(again);
    let agent = agent.restarted(BudgetConfig::default()).await;
    let again = agent.fetch(&offer).await.unwrap();
    assert_eq!((again.again, &again.payment), (true, &payment));
    let mut told = SettleResponse::failed(offer.network.clone(), codes::DUPLICATE_SETTLEMENT, "");
    agent.answered(&again, Some(&told), false).await;
    told.transaction = "0xdef".to_owned();
    agent.answered(&again, Some(&told), false).await;
    drop(again);
    assert!(!agent.fetch(&offer).await.unwrap().again, "its fate is known: this is another purchase");
    let rows = agent.store.find(SpendKey::Payment("nobody")).await.unwrap();
    assert!(rows.is_empty());
    assert!(agent.store.export(0, 10).await.unwrap().iter().any(|row| row.transaction == "0xdef"));
}

#[tokio::test]
async fn another_method_address_or_body_is_another_purchase() {
    let agent = Agent::with(BudgetConfig::default()).await;
    let offer = cents(&network(), 1);
    drop(agent.fetch(&offer).await.unwrap());
    let url = "https://shop.test/report?secret=1";
    for errand in [
        Errand::new(ORIGIN, "POST", url),
        Errand::new(ORIGIN, "GET", "https://shop.test/report?secret=2"),
        Errand::new(ORIGIN, "GET", url).body(b"x"),
    ] {
        assert!(!agent.client.pay_for(&required(&offer), &errand).await.unwrap().again, "{errand:?}");
    }
    assert!(agent.fetch(&offer).await.unwrap().again);
}

#[tokio::test]
async fn nothing_else_is_signed_before_a_lost_payment_is_proven_dead() {
    let agent = Agent::with(BudgetConfig::default()).await;
    let network = network();
    let offer = cents(&network, 1);
    drop(agent.fetch(&offer).await.unwrap());
    // The price went up: the lost payment is of no use here, and could be settled all the same.
    let dearer = cents(&network, 2);
    assert!(matches!(agent.fetch(&dearer).await, Err(PayError::Unsettled { .. })));
    agent.clock.advance(60);
    assert!(agent.fetch(&dearer).await.is_err());
    agent.clock.advance(1);
    assert!(!agent.fetch(&dearer).await.unwrap().again);
}

#[tokio::test]
async fn what_the_chain_says_was_spent_is_told_once() {
    let network = network();
    let facilitator = crate::support::local(&network).await;
    let agent = Agent::with(limits(|limits| limits.total = money("$0.02"))).await;
    agent.clock.set(FakeClock::START);
    let offer = cents(&network, 1);
    let paid = agent.fetch(&offer).await.unwrap();
    let caller = fixtures::caller("shop");
    tollway_core::Facilitator::settle(&facilitator, &paid.payment, &offer, &caller).await.unwrap();
    drop(paid);
    agent.clock.advance(61);
    assert!(matches!(agent.fetch(&offer).await, Err(PayError::PaidBefore { proven: true })));
    assert!(!agent.fetch(&offer).await.unwrap().again, "whoever asks again wants to pay again");
    assert_eq!(agent.fits(ORIGIN, &offer).await, 0);
}

#[tokio::test]
async fn a_scheme_that_does_not_sign_costs_nothing() {
    let agent = Agent::made(|builder| {
        builder.budget(limits(|limits| limits.total = money("$0.01"))).hook(Arc::new(Stops(AtomicUsize::new(1))))
    })
    .await;
    let offer = cents(&network(), 1);
    assert!(agent.pay(ORIGIN, &offer).await.is_err());
    assert_eq!(agent.fits(ORIGIN, &offer).await, 1);
}

/// Stops the first payments after they were signed.
struct Stops(AtomicUsize);

#[async_trait]
impl tollway_roles::client::ClientHook for Stops {
    async fn signed(&self, _: &Purchase<'_>, _: &tollway_core::PaymentPayload) -> Result<(), String> {
        match self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)) {
            Ok(_) => Err("stopped".to_owned()),
            Err(_) => Ok(()),
        }
    }
}

/// Books that cannot be written any more from some call on.
struct Broken {
    books: MemoryBudget,
    sign_fails: bool,
}

fn broken() -> Fault {
    Fault::new(FaultKind::Unreachable, "the disk is full")
}

#[async_trait]
impl BudgetStore for Broken {
    async fn reserve(&self, spend: &Spend) -> Result<Reserved, Fault> {
        if self.sign_fails { self.books.reserve(spend).await } else { Err(broken()) }
    }

    async fn sign(&self, _: &str, _: &SignedSpend, _: u64) -> Result<(), Fault> {
        Err(broken())
    }

    async fn resolve(&self, id: &str, fate: &Fate, now: u64) -> Result<(), Fault> {
        self.books.resolve(id, fate, now).await
    }

    async fn find(&self, by: SpendKey<'_>) -> Result<Vec<SpendRow>, Fault> {
        self.books.find(by).await
    }

    async fn open(&self, after: u64, limit: usize) -> Result<Vec<SpendRow>, Fault> {
        self.books.open(after, limit).await
    }

    async fn export(&self, after: u64, limit: usize) -> Result<Vec<SpendRow>, Fault> {
        self.books.export(after, limit).await
    }

    async fn counted(&self, key: &str) -> Result<Amount, Fault> {
        self.books.counted(key).await
    }
}

#[tokio::test]
async fn what_cannot_be_written_down_is_not_sent() {
    for sign_fails in [false, true] {
        let store = Arc::new(Broken { books: MemoryBudget::new(), sign_fails });
        let client = builder(&FakeClock::new()).budget_store(store).build().await.unwrap();
        let why = client.pay(&required(&cents(&network(), 1)), ORIGIN).await.unwrap_err();
        assert!(matches!(why, PayError::Books(_)), "{why}");
    }
}

#[tokio::test]
async fn the_ledger_of_payments_is_exported() {
    let agent = Agent::with(BudgetConfig::default()).await;
    let network = network();
    let export = async |format| {
        let mut out = Vec::new();
        agent.client.export(format, &mut out).await.unwrap();
        String::from_utf8(out).unwrap()
    };
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(&export(ExportFormat::Json).await).unwrap(),
        serde_json::json!([])
    );
    let paid = agent.fetch(&cents(&network, 1)).await.unwrap();
    let mut told = receipt(&paid);
    told.transaction = "=HYPERLINK(\"http://evil\")\n,0xabc".to_owned();
    agent.answered(&paid, Some(&told), false).await;
    let _waiting = agent.pay("https://elsewhere.test", &cents(&network, 2)).await.unwrap();

    let csv = export(ExportFormat::Csv).await;
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    assert_eq!(reader.headers().unwrap().iter().next_back(), Some("transaction"));
    let lines: Vec<csv::StringRecord> = reader.records().collect::<Result<_, _>>().unwrap();
    assert_eq!(lines.len(), 2);
    assert_eq!((&lines[0][3], &lines[0][4], &lines[0][9]), ("spent", ORIGIN, "10000"));
    assert!(lines[0][11].starts_with("'=") && !lines[0][11].contains('\n'), "{}", &lines[0][11]);
    assert_eq!((&lines[1][3], &lines[1][9]), ("signed", "20000"));
    let json: serde_json::Value = serde_json::from_str(&export(ExportFormat::Json).await).unwrap();
    assert_eq!(json.as_array().unwrap().len(), 2);
    assert_eq!(json[0]["resource"], "https://shop.test/report", "without the query");
    let signature = paid.payment.payload["signature"].as_str().unwrap();
    assert!(!csv.contains(signature) && !json.to_string().contains(signature), "a payment is as good as money");
    assert!(!format!("{paid:?} {:?}", agent.store).contains(signature));
}

#[test]
fn a_budget_is_configured_as_it_reads() {
    let config: BudgetConfig = serde_json::from_value(serde_json::json!({
        "limits": { "perPayment": "$0.10", "perHour": "$1", "perDay": "$5", "total": "$100" },
        "perHost": { "perDay": "$1" },
        "assets": [{ "network": "fake:x", "asset": "feur", "perDay": "500" }],
        "hosts": ["https://api.example.com"],
        "payees": ["payee"],
        "approveAbove": "$1",
        "store": { "kind": "memory" },
        "agent": "reader"
    }))
    .unwrap();
    assert_eq!(config.limits.per_day, money("$5"));
    let misspelt = serde_json::json!({ "limits": { "perWeek": "$1" } });
    assert!(serde_json::from_value::<BudgetConfig>(misspelt).unwrap_err().to_string().contains("perWeek"));
}
