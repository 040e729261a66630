//! A paying process is killed in the middle of its payments, on the embedded chain: the next one keeps to the same budget,
//! and presents again what was paid before instead of paying again. Has a `main` of its own, since it starts itself as the
//! process to kill.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![allow(clippy::print_stdout, reason = "the child tells its parent what it did")]

use async_trait::async_trait;
use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::get;
use serde_json::json;
use std::io::{BufRead, BufReader, Lines};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tollway::core::{BudgetConfig, BudgetStore, PaymentPayload, SettleResponse, SpendRow, SpendState};
use tollway::evm::LocalKey;
use tollway::http::{PaymentError, PaymentLayer, header};
use tollway::roles::PayError;
use tollway::roles::client::{ClientHook, Purchase};
use tollway::store::SqliteBudget;
use tollway::{LocalFacilitator, PaymentClient, ResourceServer, Route, Way};
use tollway_devnet::contracts::addresses::USDC;
use tollway_devnet::{Devnet, accounts};

const CHILD: &str = "child-of-killed";
const NETWORK: &str = "eip155:84532";
const PAYEE: &str = "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC";
/// Atomic units of what each payment is for: a cent.
const CENT: u64 = 10_000;

fn key(account: &accounts::DevAccount) -> Arc<LocalKey> {
    Arc::new(LocalKey::from_hex(&account.private_key().to_string()).unwrap())
}

/// Tells that a payment was signed, and goes no further: it is not written down yet.
struct Stops;

#[async_trait]
impl ClientHook for Stops {
    async fn signed(&self, _: &Purchase<'_>, _: &PaymentPayload) -> Result<(), String> {
        println!("signed");
        std::future::pending().await
    }
}

/// Buys one item after the other, from `first` on, and tells how it went, until the budget is used up.
async fn child(books: &str, total: &str, shop: &str, first: usize, stops: bool) {
    let budget: BudgetConfig =
        serde_json::from_value(json!({ "limits": { "total": total }, "store": { "kind": "sqlite", "path": books } }))
            .unwrap();
    let mut payer = PaymentClient::builder().signer("eip155:*", key(&accounts::CLIENT)).budget(budget);
    if stops {
        payer = payer.hook(Arc::new(Stops));
    }
    let http = tollway::http::client(payer.build().await.unwrap()).unwrap();
    let mut item = first;
    loop {
        match http.get(format!("{shop}/items/{item}")).send().await {
            Ok(answer) if answer.status() == 200 => println!("paid {item}"),
            Ok(answer) => {
                let told = answer.headers().get("payment-response").unwrap();
                let told: SettleResponse = header::decode(told.as_bytes()).unwrap();
                if told.transaction.is_empty() {
                    // It is still being settled, for the process that was killed.
                    tokio::time::sleep(Duration::from_millis(10)).await;
                    continue;
                }
                println!("told {item} {} {}", told.error_reason.unwrap(), told.transaction);
            }
            Err(why) => match PaymentError::of(&why) {
                Some(PaymentError::NotPaid(PayError::Budget(why))) => return println!("budget {item} {why}"),
                _ => panic!("item {item}: {why}"),
            },
        }
        item += 1;
    }
}

/// What the line between the agents and the shop does with a payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line {
    Open,
    /// It never arrives.
    HoldsRequests,
    /// It is settled and the answer never arrives.
    HoldsAnswers,
}

#[derive(Clone)]
struct Front {
    line: Arc<Mutex<Line>>,
    seen: mpsc::UnboundedSender<PaymentPayload>,
}

async fn pass(State(front): State<Front>, request: Request, next: Next) -> Response {
    let payment = request.headers().get("payment-signature").map(|text| header::decode(text.as_bytes()).unwrap());
    let Some(payment) = payment else { return next.run(request).await };
    let line = *front.line.lock().unwrap();
    if line == Line::HoldsRequests {
        front.seen.send(payment).unwrap();
        return std::future::pending().await;
    }
    let answer = next.run(request).await;
    front.seen.send(payment).unwrap();
    if line == Line::HoldsAnswers { std::future::pending().await } else { answer }
}

/// A chain, a facilitator on it, and a shop.
struct World {
    devnet: Devnet,
    url: String,
    line: Arc<Mutex<Line>>,
    seen: mpsc::UnboundedReceiver<PaymentPayload>,
}

impl World {
    async fn new() -> Self {
        tollway::http::install_crypto();
        let devnet = Devnet::new().unwrap();
        let rpc = devnet.serve("127.0.0.1:0").await.unwrap();
        let facilitator = LocalFacilitator::builder()
            .network(NETWORK, json!({ "rpc": rpc.url(), "blockTimeMs": 20 }))
            .signer(NETWORK, key(&accounts::FACILITATOR))
            .build()
            .await
            .unwrap();
        // The chain lives for as long as the process.
        std::mem::forget(rpc);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = ResourceServer::builder(&url)
            .facilitator(facilitator)
            .route(Route::new("GET /items/*").accepts(Way::exact(NETWORK, "$0.01", PAYEE)))
            .build()
            .await
            .unwrap();
        let (line, (tell, seen)) = (Arc::new(Mutex::new(Line::Open)), mpsc::unbounded_channel());
        let front = Front { line: line.clone(), seen: tell };
        let shop = Router::new()
            .route("/items/{item}", get(|| async { "the item" }))
            .layer(PaymentLayer::new(server))
            .layer(from_fn_with_state(front, pass));
        tokio::spawn(async move { axum::serve(listener, shop).await.unwrap() });
        Self { devnet, url, line, seen }
    }

    fn set(&self, line: Line) {
        *self.line.lock().unwrap() = line;
    }

    /// Payments that arrived at the payee.
    fn moved(&self) -> u64 {
        let balance = self.devnet.balance_of(USDC, PAYEE.parse().unwrap()).unwrap();
        balance.to::<u64>() / CENT
    }
}

/// A child, and what it tells.
struct Agent {
    process: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Agent {
    fn start(books: &Path, total: &str, world: &World, first: usize, stops: bool) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.arg(CHILD).arg(books).args([total, &world.url, &first.to_string(), &stops.to_string()]);
        let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        Self { process, lines }
    }

    /// The next thing it tells; `None` once it has ended.
    fn tells(&mut self) -> Option<String> {
        self.lines.next().map(Result::unwrap)
    }

    /// Kills it, with a signal it cannot see, and gives what it had told before.
    fn kill(mut self) -> Vec<String> {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        self.lines.map_while(Result::ok).collect()
    }

    /// Waits for its own end, and gives what it told.
    fn ends(mut self) -> Vec<String> {
        let told = self.lines.by_ref().map(Result::unwrap).collect();
        assert!(self.process.wait().unwrap().success(), "{told:?}");
        told
    }
}

async fn rows(books: &Path) -> Vec<SpendRow> {
    SqliteBudget::open(books).await.unwrap().export(0, 1000).await.unwrap()
}

fn count(rows: &[SpendRow], state: SpendState) -> u64 {
    rows.iter().filter(|row| row.state == state).count() as u64
}

/// Killed at each step of a payment, by turns.
async fn a_client_killed_at_every_step_keeps_its_budget_and_pays_once(world: &mut World, folder: &Path) {
    let books = folder.join("steps.db");
    let start = |world: &World, first, stops| Agent::start(&books, "$0.05", world, first, stops);

    // Signed, and nothing written down: nobody was given the signature.
    let mut agent = start(world, 0, true);
    assert_eq!(agent.tells().as_deref(), Some("signed"));
    agent.kill();
    let after = rows(&books).await;
    assert_eq!((count(&after, SpendState::Reserved), after.len()), (1, 1), "what may have been signed is reserved");

    // Sent, and lost on the way there.
    world.set(Line::HoldsRequests);
    let agent = start(world, 1, false);
    let first = world.seen.recv().await.unwrap();
    agent.kill();
    assert_eq!(world.moved(), 0);

    // The next process presents the same payment, which is settled, and its answer is lost.
    world.set(Line::HoldsAnswers);
    let agent = start(world, 1, false);
    let second = world.seen.recv().await.unwrap();
    agent.kill();
    assert_eq!((second.payload, world.moved()), (first.payload.clone(), 1), "presented again, not paid again");

    // The next hears how that was settled, and goes on with what is left of the budget.
    world.set(Line::Open);
    let told = start(world, 1, false).ends();
    assert_eq!(world.seen.recv().await.unwrap().payload, first.payload);
    let words: Vec<Vec<&str>> = told.iter().map(|line| line.split(' ').take(3).collect()).collect();
    assert_eq!(words[0], ["told", "1", "duplicate_settlement"], "{told:?}");
    assert!(told[0].split(' ').nth(3).is_some_and(|hash| hash.starts_with("0x")), "the original receipt: {told:?}");
    assert_eq!(words[1..4], [["paid", "2"], ["paid", "3"], ["paid", "4"]], "{told:?}");
    assert_eq!((words[4][0], words.len()), ("budget", 5), "{told:?}");
    assert!(told[4].contains("$0.05 in total") && told[4].contains("$0 of it are left"), "{told:?}");
    assert_eq!(world.moved(), 4);
    let after = rows(&books).await;
    assert_eq!((count(&after, SpendState::Spent), count(&after, SpendState::Reserved), after.len()), (4, 1, 5));
    while world.seen.try_recv().is_ok() {}
}

/// Killed again and again, whenever it is.
async fn a_client_killed_at_any_moment_never_passes_its_cap(world: &mut World, folder: &Path) {
    const CAP: u64 = 25;
    let books = folder.join("moments.db");
    let before = world.moved();
    let (mut next, mut kills) = (0, 0u64);
    let ended = loop {
        // After so many it may go on to its end.
        let mut agent = Agent::start(&books, "$0.25", world, next, false);
        if kills == 40 {
            break agent.ends();
        }
        let mut told = Vec::from_iter(agent.tells());
        tokio::time::sleep(Duration::from_millis(kills * 7 % 40)).await;
        told.extend(agent.kill());
        kills += 1;
        if let Some(last) = told.iter().position(|line| line.starts_with("budget")) {
            break told.split_off(last);
        }
        let done = told.last().and_then(|line| line.split(' ').nth(1)).map(|item| item.parse::<usize>().unwrap() + 1);
        next = done.unwrap_or(next);
        assert!(world.moved() - before <= CAP);
    };
    assert!(ended.last().unwrap().starts_with("budget"), "{ended:?}");
    let bought = ended.last().unwrap().split(' ').nth(1).unwrap().parse::<u64>().unwrap();
    let rows = rows(&books).await;
    let moved = world.moved() - before;
    println!("killed {kills} times: {bought} items, {moved} payments, {} reserved", count(&rows, SpendState::Reserved));
    assert!(kills >= 5, "it was killed often enough to mean something: {kills}");
    // Killed after its books were closed and before it told, it buys that item anew: it knew that it had it.
    assert!((bought..=bought + kills).contains(&moved), "no item was paid for again because its answer was lost");
    assert_eq!(count(&rows, SpendState::Spent), moved, "the books know of every payment");
    assert_eq!(moved + count(&rows, SpendState::Reserved), CAP, "and the budget is used up to the last cent");
    assert_eq!(rows.len() as u64, CAP);
}

async fn parent() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::new().await;
    a_client_killed_at_every_step_keeps_its_budget_and_pays_once(&mut world, folder.path()).await;
    a_client_killed_at_any_moment_never_passes_its_cap(&mut world, folder.path()).await;
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let args: Vec<String> = std::env::args().skip_while(|arg| arg != CHILD).skip(1).collect();
    match args.as_slice() {
        [books, total, shop, first, stops] => {
            runtime.block_on(child(books, total, shop, first.parse().unwrap(), stops.parse().unwrap()));
        }
        _ => runtime.block_on(parent()),
    }
}
