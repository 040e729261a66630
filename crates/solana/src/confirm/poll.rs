//! The one poll of a network: it looks for everything that waits, and ends when nothing does.

use super::guess::Guess;
use super::{Confirmations, Fate};
use crate::rpc::{MOST_STATUSES, Status};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

/// Longest pause between looks for a transaction that is late.
const LATE: Duration = Duration::from_millis(800);

/// What the looks have found of one transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Sight {
    Unseen,
    /// On chain, not as surely as wanted.
    Seen,
    Ended(Fate),
}

/// What is waited for.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    pub(super) transactions: HashMap<String, Waiter>,
    guess: Guess,
    /// Whoever looks; `None` where nothing waits.
    pub(super) looker: Option<JoinHandle<()>>,
}

/// One transaction.
#[derive(Debug)]
pub(super) struct Waiter {
    sight: watch::Sender<Sight>,
    due: Instant,
    pause: Duration,
    /// Whether it has not been looked for at its time yet.
    fresh: bool,
}

impl Confirmations {
    pub(super) fn follow(self: &Arc<Self>, signature: &str, sent: Instant) -> watch::Receiver<Sight> {
        let mut waiting = self.waiting();
        let due = sent + waiting.guess.usual();
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
                    waiting.guess.learn(there.len(), missed.len());
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
}
