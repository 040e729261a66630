//! Sending transactions and learning what becomes of them: one question to the node for all that wait.
//!
//! When to look is learned. A settlement is first looked for when most have been confirmed before, and a little more
//! often than not it is there; after that every look includes everything that waits. So one payment alone costs one or
//! two looks, and a thousand at once cost as many as one, in steps of 256. A burst is looked for when the last of it is
//! due.

use crate::expiry::Expiry;
use crate::rpc::{CallError, MOST_STATUSES, Rpc, Sent, Status};
use solana_pubkey::Pubkey;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, Semaphore, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until};
use tollway_core::Durable;

/// Where learning begins, and its limits.
const FIRST_GUESS: Duration = Duration::from_millis(400);
const SHORTEST: Duration = Duration::from_millis(20);
const LONGEST: Duration = Duration::from_secs(15);
/// How the guess moves, in thousandths of itself: up where it was too early, down where it was not, each time in a row
/// half as much again.
const UP: u32 = 25;
const DOWN: u32 = 3;
const DOWN_MOST: u32 = 150;
/// A look was not too early where it missed at most one for so many that were there.
const ENOUGH: usize = 8;
/// Longest pause between looks for a transaction that is late.
const LATE: Duration = Duration::from_millis(800);
/// How long a transaction nobody has seen waits to be sent again.
const RESEND: Duration = Duration::from_secs(2);
/// Every so many rounds of that, whether its time has passed is asked, too.
const ROUNDS: u32 = 2;
/// Most transactions for which either is done at once, and how long one's turn lasts at least: a node that is down must
/// not be flooded by what waits for it.
const AT_ONCE: usize = 8;
const TURN: Duration = Duration::from_millis(250);
/// Longest time that is waited for anything: a point in time that far off can still be named.
const EVER: Duration = Duration::from_secs(24 * 3600);

/// What became of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is on chain and did what it should.
    Landed,
    /// It is on chain and failed.
    Failed(String),
    /// The node would not take it.
    Refused(String),
    /// It never was on chain and never will be.
    Expired,
    /// Nobody knows yet.
    Unknown,
}

/// What the looks have found of one transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Sight {
    Unseen,
    /// On chain, not as surely as wanted.
    Seen,
    Ended(Fate),
}

/// Follows the transactions of one network.
#[derive(Debug)]
pub(crate) struct Confirmations {
    rpc: Rpc,
    pub(crate) expiry: Expiry,
    /// Least time between two looks.
    pause: Duration,
    /// Longest wait for one transaction.
    patience: Duration,
    waiting: Mutex<Waiting>,
    wake: Notify,
    /// Permits for calls beyond the first send and the shared looks.
    spare: Semaphore,
}

#[derive(Debug)]
struct Waiting {
    transactions: HashMap<String, Waiter>,
    /// How long confirmation usually takes, and how far that is lowered next.
    usual: Duration,
    down: u32,
    /// Whoever looks; `None` where nothing waits.
    looker: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Waiter {
    sight: watch::Sender<Sight>,
    due: Instant,
    pause: Duration,
    /// Whether it has not been looked for at its time yet.
    fresh: bool,
}

impl Confirmations {
    pub(crate) fn new(rpc: Rpc, pause: Duration, patience: Duration) -> Self {
        let waiting = Waiting { transactions: HashMap::new(), usual: FIRST_GUESS, down: DOWN, looker: None };
        Self {
            rpc,
            expiry: Expiry::default(),
            pause: pause.min(EVER),
            patience: patience.min(EVER),
            waiting: Mutex::new(waiting),
            wake: Notify::new(),
            spare: Semaphore::new(AT_ONCE),
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        // Every change below is complete before anything can panic.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a transaction and waits for its end, sending the same bytes again while nobody has seen it.
    pub(crate) async fn send(self: &Arc<Self>, transaction: &Durable, blockhash: &Pubkey) -> Fate {
        let start = Instant::now();
        if let Sent::No(why) = self.rpc.broadcast(transaction).await {
            return Fate::Refused(why);
        }
        let signature = &*transaction.tx().hash;
        let mut sight = self.follow(signature, start);
        let end = start + self.patience;
        let mut round = 0u32;
        loop {
            round = round.saturating_add(1);
            let pause = (Instant::now() + RESEND).min(end);
            tokio::select! {
                ended = sight.wait_for(|sight| matches!(sight, Sight::Ended(_))) => {
                    return match ended.as_deref() {
                        Ok(Sight::Ended(fate)) => fate.clone(),
                        // Whoever looked is gone, with its runtime.
                        _ => Fate::Unknown,
                    };
                }
                () = sleep_until(pause) => {}
            }
            // Where too many are late already, this one has its turn another time.
            let spare = self.spare.try_acquire().ok().filter(|_| *sight.borrow() == Sight::Unseen);
            if spare.is_some() && round.is_multiple_of(ROUNDS) && self.has_expired(signature, blockhash).await {
                self.forget(signature);
                return Fate::Expired;
            }
            if Instant::now() >= end {
                self.forget(signature);
                return Fate::Unknown;
            }
            if spare.is_some() {
                // What comes of it is seen like the rest.
                let turn = async {
                    self.rpc.broadcast(transaction).await;
                    sleep(TURN).await;
                };
                tokio::select! {
                    () = turn => {}
                    _ = sight.wait_for(|sight| matches!(sight, Sight::Ended(_))) => {}
                }
            }
        }
    }

    /// Looks once for a transaction that somebody else may have sent, however long ago.
    ///
    /// # Errors
    /// The node could not be asked.
    pub(crate) async fn look(&self, signature: &str, blockhash: &Pubkey) -> Result<Fate, CallError> {
        match self.status(signature).await? {
            Some(status) => Ok(self.fate(&status).unwrap_or(Fate::Unknown)),
            None => {
                let passed = self.expiry.has_passed(&self.rpc, blockhash).await?;
                // It may have landed between the first look and the last block it could be in.
                let status = if passed { self.status(signature).await? } else { None };
                Ok(match status {
                    Some(status) => self.fate(&status).unwrap_or(Fate::Unknown),
                    None if passed => Fate::Expired,
                    None => Fate::Unknown,
                })
            }
        }
    }

    async fn status(&self, signature: &str) -> Result<Option<Status>, CallError> {
        Ok(self.rpc.statuses(&[signature], true).await?.pop().flatten())
    }

    /// What a status says for certain.
    pub(crate) fn fate(&self, status: &Status) -> Option<Fate> {
        // A failure that is not sure yet may still turn out otherwise on another fork.
        status.is(self.rpc.commitment()).then(|| match &status.err {
            None => Fate::Landed,
            Some(why) => Fate::Failed(crate::rpc::cut(&why.to_string())),
        })
    }

    async fn has_expired(&self, signature: &str, blockhash: &Pubkey) -> bool {
        let passed = self.expiry.has_passed(&self.rpc, blockhash).await;
        matches!(passed, Ok(true)) && matches!(self.status(signature).await, Ok(None))
    }

    fn forget(&self, signature: &str) {
        self.waiting().transactions.remove(signature);
    }

    fn follow(self: &Arc<Self>, signature: &str, sent: Instant) -> watch::Receiver<Sight> {
        let mut waiting = self.waiting();
        let due = sent + waiting.usual;
        // The same transaction may be waited for twice: by a settlement that was given up, and by its repetition.
        let (sender, receiver) = watch::channel(Sight::Unseen);
        let receiver = match waiting.transactions.get(signature) {
            Some(waiter) => waiter.sight.subscribe(),
            None => {
                let waiter = Waiter { sight: sender, due, pause: self.pause, fresh: true };
                waiting.transactions.insert(signature.to_owned(), waiter);
                receiver
            }
        };
        // A looker that is finished and still here was cut off, with its runtime or by a panic.
        if waiting.looker.as_ref().is_some_and(|looker| !looker.is_finished()) {
            self.wake.notify_one();
        } else {
            let this = self.clone();
            waiting.looker = Some(tokio::spawn(async move { this.watch().await }));
        }
        receiver
    }

    /// Looks until nothing waits.
    async fn watch(&self) {
        let mut last = None;
        loop {
            let Some(due) = self.next() else { return };
            let at = last.map_or(due, |last: Instant| due.max(last + self.pause));
            tokio::select! {
                () = sleep_until(at) => {}
                // Something new waits, which may be due earlier.
                () = self.wake.notified() => continue,
            }
            last = Some(Instant::now());
            self.look_for_all().await;
        }
    }

    /// When the next look is due. `None` where nothing waits: then looking ends, in the same breath.
    fn next(&self) -> Option<Instant> {
        let mut waiting = self.waiting();
        waiting.transactions.retain(|_, waiter| !waiter.sight.is_closed());
        let due = || waiting.transactions.values().map(|waiter| waiter.due);
        let Some(first) = due().min() else {
            waiting.looker = None;
            return None;
        };
        // A burst is looked for when the last of it is due, rather than at its first and again a whole pause later.
        let burst = first + self.pause / 2;
        due().filter(|due| *due <= burst).max()
    }

    async fn look_for_all(&self) {
        let all: Vec<String> = self.waiting().transactions.keys().cloned().collect();
        for some in all.chunks(MOST_STATUSES) {
            let signatures: Vec<&str> = some.iter().map(String::as_str).collect();
            match self.rpc.statuses(&signatures, false).await {
                Ok(statuses) => {
                    let now = Instant::now();
                    let mut waiting = self.waiting();
                    let looks = some.iter().zip(statuses);
                    let first =
                        looks.filter_map(|(signature, status)| waiting.found(signature, status.as_ref(), self, now));
                    let (there, missed): (Vec<bool>, Vec<bool>) = first.partition(|there| *there);
                    waiting.learn(there.len(), missed.len());
                }
                Err(why) => {
                    tracing::warn!(network = %self.rpc.network(), %why, "settlements under way could not be looked at");
                    let late = Instant::now() + LATE;
                    let mut waiting = self.waiting();
                    for signature in some {
                        waiting.transactions.get_mut(signature).iter_mut().for_each(|waiter| waiter.due = late);
                    }
                }
            }
        }
    }
}

impl Waiting {
    /// Takes in what a look found of one transaction. Where it was the first look at its time, says whether it was there.
    fn found(&mut self, signature: &str, status: Option<&Status>, of: &Confirmations, now: Instant) -> Option<bool> {
        let waiter = self.transactions.get_mut(signature)?;
        if let Some(fate) = status.and_then(|status| of.fate(status)) {
            let first = waiter.fresh;
            waiter.sight.send_replace(Sight::Ended(fate));
            self.transactions.remove(signature);
            return first.then_some(true);
        }
        // What was seen on a fork that is gone is unseen again.
        let sight = if status.is_some() { Sight::Seen } else { Sight::Unseen };
        waiter.sight.send_if_modified(|known| std::mem::replace(known, sight.clone()) != sight);
        if waiter.due > now {
            return None;
        }
        waiter.due = now + waiter.pause;
        waiter.pause = (waiter.pause + waiter.pause / 4).min(LATE.max(of.pause));
        std::mem::take(&mut waiter.fresh).then_some(false)
    }

    /// Moves the guess by one step for one look, however many it was for.
    fn learn(&mut self, there: usize, missed: usize) {
        if missed > there / ENOUGH {
            self.usual = (self.usual + self.usual * UP / 1000).min(LONGEST);
            self.down = DOWN;
        } else if there > 0 {
            self.usual = (self.usual - self.usual * self.down / 1000).max(SHORTEST);
            self.down = (self.down + self.down.div_ceil(2)).min(DOWN_MOST);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test::{Script, rpc_over};
    use serde_json::{Value, json};
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
    use tollway_core::{LedgerHandle, Scope, SignedTx, Slot};

    async fn durable(number: usize) -> Durable {
        let slot = Slot::new("solana:x".parse().unwrap(), "payer", None);
        let handle = LedgerHandle::new(Arc::new(tollway_roles::MemoryLedger::default()), Scope::Facilitator);
        handle.signed(SignedTx::new(slot, format!("signature-{number}"), vec![1]), &[]).await.unwrap()
    }

    /// A chain that confirms a transaction so many milliseconds after it was sent, and loses the first sends.
    struct Chain {
        script: Script,
        sent: Arc<Mutex<HashMap<String, Instant>>>,
    }

    fn chain(latency: u64, lost: usize) -> (Chain, Arc<Confirmations>) {
        let script = Script::default();
        let sent: Arc<Mutex<HashMap<String, Instant>>> = Arc::default();
        let (arrived, seen) = (sent.clone(), sent.clone());
        let (mut sends, start) = (0, Instant::now());
        // What was sent is not in the parameters in a readable form: one test, one transaction, or all at once.
        script.on("sendTransaction", move |_| {
            sends += 1;
            if sends > lost {
                arrived.lock().unwrap().entry("any".to_owned()).or_insert_with(Instant::now);
            }
            Ok(json!("signature"))
        });
        script.on("getSignatureStatuses", move |params| {
            let there =
                seen.lock().unwrap().get("any").is_some_and(|at| at.elapsed() >= Duration::from_millis(latency));
            let status = if there { json!({ "err": null, "confirmationStatus": "confirmed" }) } else { Value::Null };
            let count = params[0].as_array().unwrap().len();
            assert!(count <= MOST_STATUSES, "{count} at once, {:?} in", start.elapsed());
            Ok(json!({ "context": { "slot": 1 }, "value": vec![status; count] }))
        });
        let rpc = rpc_over(script.clone());
        let confirmations = Confirmations::new(rpc, Duration::from_millis(100), Duration::from_secs(60));
        (Chain { script, sent }, Arc::new(confirmations))
    }

    #[tokio::test(start_paused = true)]
    async fn one_payment_takes_a_send_and_a_few_looks() {
        let (chain, confirmations) = chain(500, 0);
        let start = Instant::now();
        assert_eq!(confirmations.send(&durable(0).await, &Pubkey::default()).await, Fate::Landed);
        assert!(start.elapsed() < Duration::from_millis(620), "{:?}", start.elapsed());
        assert_eq!(chain.script.calls("sendTransaction"), 1);
        assert_eq!(chain.script.calls("getSignatureStatuses"), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn when_to_look_is_learned() {
        let (chain, confirmations) = chain(500, 0);
        let mut times = Vec::new();
        let rounds = 300;
        for number in 0..rounds {
            chain.sent.lock().unwrap().clear();
            let start = Instant::now();
            assert_eq!(confirmations.send(&durable(number).await, &Pubkey::default()).await, Fate::Landed);
            times.push(start.elapsed());
        }
        let mut last = times.split_off(100);
        last.sort();
        assert!(last[last.len() / 2] <= Duration::from_millis(520), "{:?}", last[last.len() / 2]);
        let looks = chain.script.calls("getSignatureStatuses");
        assert!(looks < rounds * 3 / 2, "{looks} looks for {rounds}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_thousand_at_once_share_their_looks() {
        let (chain, confirmations) = chain(500, 0);
        let mut tasks = Vec::new();
        for number in 0..1000 {
            let (confirmations, durable) = (confirmations.clone(), durable(number).await);
            tasks.push(tokio::spawn(async move { confirmations.send(&durable, &Pubkey::default()).await }));
        }
        for task in tasks {
            assert_eq!(task.await.unwrap(), Fate::Landed);
        }
        let looks = chain.script.calls("getSignatureStatuses");
        assert!(looks <= 3 * 1000usize.div_ceil(MOST_STATUSES), "{looks}");
        assert_eq!(chain.script.calls("sendTransaction"), 1000);
        tokio::time::sleep(Duration::from_secs(3600)).await;
        assert_eq!(chain.script.calls("getSignatureStatuses"), looks, "nobody looks when nothing waits");
    }

    /// A burst takes a while to send, and the last of it is confirmed as much later than the first.
    #[tokio::test(start_paused = true)]
    async fn a_burst_is_looked_for_when_most_of_it_is_there() {
        const BURST: usize = 64;
        let (chain, confirmations) = chain(500, 0);
        let sent = chain.sent.clone();
        chain.script.on("getSignatureStatuses", move |params| {
            let sent = sent.lock().unwrap();
            let there = |name: &Value| sent[name.as_str().unwrap()].elapsed() >= Duration::from_millis(500);
            let status = |name| there(name).then(|| json!({ "err": null, "confirmationStatus": "confirmed" }));
            let statuses: Vec<_> = params[0].as_array().unwrap().iter().map(status).collect();
            Ok(json!({ "context": { "slot": 1 }, "value": statuses }))
        });
        let mut times = Vec::new();
        for round in 0..40 {
            let mut tasks = Vec::new();
            for number in 0..BURST {
                let durable = durable(round * BURST + number).await;
                let start = Instant::now();
                chain.sent.lock().unwrap().insert(durable.tx().hash.clone(), start);
                let confirmations = confirmations.clone();
                tasks.push(tokio::spawn(async move {
                    assert_eq!(confirmations.send(&durable, &Pubkey::default()).await, Fate::Landed);
                    start.elapsed()
                }));
                sleep(Duration::from_millis(1)).await;
            }
            for task in tasks {
                let time = task.await.unwrap();
                times.extend((round >= 20).then_some(time));
            }
        }
        times.sort();
        let (median, last) = (times[times.len() / 2], times[times.len() - 1]);
        let looks = chain.script.calls("getSignatureStatuses");
        assert!(median <= Duration::from_millis(540), "{median:?}, at most {last:?}");
        assert!(last <= Duration::from_millis(620), "{last:?}");
        assert!(looks <= 40 * 3, "{looks}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_lost_transaction_is_sent_again() {
        let (chain, confirmations) = chain(500, 1);
        let start = Instant::now();
        assert_eq!(confirmations.send(&durable(0).await, &Pubkey::default()).await, Fate::Landed);
        assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
        assert_eq!(chain.script.calls("sendTransaction"), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_broken_connection_after_sending_is_no_refusal() {
        let (chain, confirmations) = chain(500, 0);
        let arrived = chain.sent.clone();
        chain.script.on("sendTransaction", move |_| {
            arrived.lock().unwrap().entry("any".to_owned()).or_insert_with(Instant::now);
            Err((0, "connection reset".to_owned()))
        });
        assert_eq!(confirmations.send(&durable(0).await, &Pubkey::default()).await, Fate::Landed);
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_is_one() {
        let (chain, confirmations) = chain(500, 0);
        chain.script.on("sendTransaction", |_| Err((-32003, "signature verification failure".to_owned())));
        let fate = confirmations.send(&durable(0).await, &Pubkey::default()).await;
        assert!(matches!(fate, Fate::Refused(why) if why.contains("-32003")));
        assert_eq!(chain.script.calls("getSignatureStatuses"), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_on_chain_is_told() {
        let (chain, confirmations) = chain(500, 0);
        chain.script.on("getSignatureStatuses", |_| {
            let status =
                json!({ "err": { "InstructionError": [2, { "Custom": 1 }] }, "confirmationStatus": "confirmed" });
            Ok(json!({ "context": { "slot": 1 }, "value": [status] }))
        });
        let fate = confirmations.send(&durable(0).await, &Pubkey::default()).await;
        assert!(matches!(fate, Fate::Failed(why) if why.contains("Custom")));
    }

    /// A chain whose height grows by two a second, that has not seen the transaction.
    fn never(chain: &Chain, last_valid: u64) -> Arc<AtomicU64> {
        let start = Instant::now();
        let offset = Arc::new(AtomicU64::new(0));
        let (a, b) = (offset.clone(), offset.clone());
        let height = move |offset: &AtomicU64| start.elapsed().as_secs() * 2 + offset.load(Relaxed);
        chain.script.on("getBlockHeight", move |params| {
            let behind = if params[0]["commitment"] == "finalized" { 32 } else { 0 };
            Ok(json!(height(&a).saturating_sub(behind)))
        });
        chain.script.on("isBlockhashValid", move |_| {
            Ok(json!({ "context": { "slot": 1 }, "value": height(&b) <= last_valid }))
        });
        chain.script.on("getSignatureStatuses", |params| {
            let count = params[0].as_array().unwrap().len();
            Ok(json!({ "context": { "slot": 1 }, "value": vec![Value::Null; count] }))
        });
        offset
    }

    #[tokio::test(start_paused = true)]
    async fn what_expired_is_known_to_have_when_its_last_block_is_final() {
        let (chain, confirmations) = chain(500, usize::MAX);
        never(&chain, 10);
        let start = Instant::now();
        confirmations.expiry.seen(&Pubkey::default());
        assert_eq!(confirmations.send(&durable(0).await, &Pubkey::default()).await, Fate::Expired);
        // Past height 10 plus the lag that is allowed for, and final: 10 + 32 + 32 blocks of half a second.
        let took = start.elapsed().as_secs();
        assert!((37..=50).contains(&took), "{took}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_could_still_land_is_unknown_and_not_expired() {
        let (chain, confirmations) = chain(500, usize::MAX);
        never(&chain, 150);
        let start = Instant::now();
        assert_eq!(confirmations.send(&durable(0).await, &Pubkey::default()).await, Fate::Unknown);
        assert_eq!(start.elapsed(), Duration::from_secs(60));
        assert!(chain.script.calls("sendTransaction") >= 20, "it was sent again all the while");
        assert!(confirmations.waiting().transactions.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn landing_in_the_last_block_is_not_missed() {
        let (chain, confirmations) = chain(500, usize::MAX);
        let offset = never(&chain, 10);
        confirmations.expiry.seen(&Pubkey::default());
        offset.store(1000, Relaxed);
        assert!(matches!(confirmations.look("s", &Pubkey::default()).await, Ok(Fate::Unknown)));
        offset.store(2000, Relaxed);
        // Seen by the first look no more than by the chain's short memory, and by the thorough one after all.
        let mut asked = 0;
        chain.script.on("getSignatureStatuses", move |params| {
            assert_eq!(params[1]["searchTransactionHistory"], true);
            asked += 1;
            let status = json!({ "err": null, "confirmationStatus": "finalized" });
            Ok(json!({ "context": { "slot": 1 }, "value": [if asked > 1 { status } else { Value::Null }] }))
        });
        assert!(matches!(confirmations.look("s", &Pubkey::default()).await, Ok(Fate::Landed)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_node_that_fails_for_a_while_is_asked_again() {
        let (chain, confirmations) = chain(500, 0);
        let mut failures = 5;
        let status = json!({ "err": null, "confirmationStatus": "confirmed" });
        chain.script.on("getSignatureStatuses", move |_| {
            failures -= 1;
            if failures > 0 {
                return Err((0, "connection reset".to_owned()));
            }
            Ok(json!({ "context": { "slot": 1 }, "value": [status] }))
        });
        chain.script.on("isBlockhashValid", |_| Ok(json!({ "context": { "slot": 1 }, "value": true })));
        assert_eq!(confirmations.send(&durable(0).await, &Pubkey::default()).await, Fate::Landed);
    }

    #[tokio::test(start_paused = true)]
    async fn a_node_that_is_down_is_not_flooded() {
        let (chain, confirmations) = chain(500, usize::MAX);
        never(&chain, u64::MAX);
        let script = chain.script.clone();
        chain.script.on("getSignatureStatuses", |_| Err((0, "down".to_owned())));
        let mut tasks = Vec::new();
        for number in 0..1000 {
            let (confirmations, durable) = (confirmations.clone(), durable(number).await);
            tasks.push(tokio::spawn(async move { confirmations.send(&durable, &Pubkey::default()).await }));
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        let before = script.total();
        tokio::time::sleep(Duration::from_secs(20)).await;
        let calls = script.total() - before;
        // Eight at once, four times a second, with a question for some: not a thousand every two seconds.
        assert!(calls < 1500, "{calls} calls in 20 seconds");
        tasks.iter().for_each(JoinHandle::abort);
    }

    #[test]
    fn a_looker_that_went_with_its_runtime_is_replaced() {
        let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        let first = runtime();
        let (_, confirmations) = {
            let _inside = first.enter();
            chain(500, 0)
        };
        first.block_on(async {
            let (confirmations, durable) = (confirmations.clone(), durable(0).await);
            tokio::spawn(async move { confirmations.send(&durable, &Pubkey::default()).await });
            tokio::time::sleep(Duration::from_millis(100)).await;
        });
        assert!(confirmations.waiting().looker.is_some());
        drop(first);
        let fate = runtime().block_on(async { confirmations.send(&durable(1).await, &Pubkey::default()).await });
        assert_eq!(fate, Fate::Landed);
    }
}
