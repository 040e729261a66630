//! What a catalogue does in the background: it asks what was paid for, and asks again what is listed.

use super::seen::{Seen, Verdict};
use super::{Candidate, Catalogue, Inner};
use crate::entry::Entry;
use crate::find::price_on;
use crate::probe::{self, Confirmed};
use crate::store::Put;
use std::collections::HashMap;
use std::sync::{Arc, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};
use tollway_core::{Fault, PaymentRequirements};

/// Most payments waiting to be looked at.
const QUEUE: usize = 1024;
/// Probes under way at once.
const AT_ONCE: usize = 16;
/// How often entries are looked for whose probe is due.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Most entries probed in one round.
const ROUND: usize = 256;
/// Seconds in which a process that took entries to probe has to be done, or another takes them.
const LEASE: u64 = 300;
/// Services that one payer, or payments for one host, may have looked at in an hour.
const PER_HOUR: u32 = 120;
/// Shortest pause before a failed probe is repeated, in seconds.
const LEAST_PAUSE: u64 = 10;

impl Inner {
    pub(super) fn seen(&self) -> MutexGuard<'_, Seen> {
        // A map of verdicts is whole whatever panicked while it was locked.
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Services looked at, by whom they came, within an hour.
#[derive(Default)]
struct Quota {
    hour: u64,
    used: HashMap<String, u32>,
}

impl Quota {
    fn take(&mut self, who: &str, now: u64) -> bool {
        if self.hour != now / 3600 {
            *self = Self { hour: now / 3600, used: HashMap::new() };
        }
        let used = self.used.entry(who.to_owned()).or_default();
        *used = used.saturating_add(1);
        *used <= PER_HOUR
    }
}

impl Catalogue {
    /// Starts the background work, if there is a runtime and it does not run yet.
    pub(super) fn start(&self) {
        if tokio::runtime::Handle::try_current().is_err() {
            return;
        }
        self.inner.queue.get_or_init(|| {
            let (sender, receiver) = mpsc::channel(QUEUE);
            tokio::spawn(candidates(Arc::downgrade(&self.inner), receiver));
            tokio::spawn(rounds(Arc::downgrade(&self.inner)));
            sender
        });
    }

    /// Hands over what a settled payment says. Where too many wait, the next payment says it again.
    pub(super) fn submit(&self, candidate: Candidate) -> Verdict {
        self.start();
        let waiting = Verdict::Waiting { url: candidate.url.clone(), method: candidate.method.clone() };
        match self.inner.queue.get().is_some_and(|queue| queue.try_send(candidate).is_ok()) {
            true => Verdict::Asked,
            false => waiting,
        }
    }

    /// Probes every entry whose time has come, and gives their number. It happens by itself every two seconds.
    ///
    /// # Errors
    /// The store cannot be reached.
    pub async fn round(&self) -> Result<usize, Fault> {
        self.inner.round().await
    }
}

/// Looks at what was paid for, some at once.
async fn candidates(inner: Weak<Inner>, mut queue: mpsc::Receiver<Candidate>) {
    let mut under_way = JoinSet::new();
    let (mut payers, mut hosts) = (Quota::default(), Quota::default());
    while let Some(candidate) = queue.recv().await {
        let Some(inner) = inner.upgrade() else { return };
        let now = inner.clock.now();
        let host = candidate.url.host_str().unwrap_or_default();
        if !payers.take(&candidate.payer, now) || !hosts.take(host, now) {
            let why = "too many services of this payer or host were looked at within the hour";
            inner.seen().note(candidate.mark, Verdict::Refused(why.into()), now);
            continue;
        }
        while under_way.len() >= AT_ONCE {
            under_way.join_next().await;
        }
        while under_way.try_join_next().is_some() {}
        under_way.spawn(async move { inner.look(candidate).await });
    }
}

async fn rounds(inner: Weak<Inner>) {
    let mut ticks = interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let Some(inner) = inner.upgrade() else { return };
        if let Err(why) = inner.round().await {
            tracing::warn!(%why, "the catalogue could not be asked what to probe");
        }
    }
}

impl Inner {
    /// Asks a resource that was paid for, and lists it.
    async fn look(&self, candidate: Candidate) {
        let Candidate { mark, url, method, offer, payer } = candidate;
        let verdict = match probe::probe(&*self.fetch, &method, &url, Some(&offer)).await {
            Ok(confirmed) => {
                let host = url.host_str().unwrap_or_default().to_owned();
                self.list(confirmed, url.as_str(), &host, &payer).await
            }
            Err(why) => Verdict::Refused(why.into()),
        };
        if let Verdict::Refused(why) = &verdict {
            tracing::debug!(%url, %why, "a service is not listed");
        }
        self.seen().note(mark, verdict, self.clock.now());
    }

    /// Writes what a challenge confirmed.
    async fn list(&self, confirmed: Confirmed, url: &str, host: &str, payer: &str) -> Verdict {
        let now = self.clock.now();
        let parsed = probe::read_url(url);
        let Ok(parsed) = parsed else { return Verdict::Refused("the resource's URL is none".into()) };
        let key = confirmed.declared.key(&parsed);
        let found = match self.store.find(&key).await {
            Ok(found) => found,
            Err(why) => return unlisted(&why),
        };
        let mut entry = Entry {
            key,
            mcp: confirmed.declared.tool.is_some(),
            method: confirmed.declared.method.clone(),
            url: url.to_owned(),
            host: host.to_owned(),
            payer: payer.to_owned(),
            price: self.price(&confirmed.accepts).await,
            bazaar: confirmed.declared.shown(),
            accepts: confirmed.accepts,
            resource: confirmed.resource,
            extensions: confirmed.extensions,
            listed: now,
            updated: now,
            probed: now,
            next_probe: now.saturating_add(self.every),
            failures: 0,
            latency_ms: confirmed.latency_ms,
            success: 1000,
        };
        if let Some(old) = found {
            let same = old.accepts == entry.accepts
                && old.bazaar == entry.bazaar
                && ResourceView::of(&old) == ResourceView::of(&entry);
            entry.updated = if same { old.updated } else { now };
            entry.payer = old.payer;
            entry.latency_ms = average(old.latency_ms, confirmed.latency_ms);
            entry.success = average(old.success, 1000);
        }
        match self.store.put(&entry, self.limits).await {
            Ok(Put::Listed) => Verdict::Listed,
            Ok(Put::OverLimit) => Verdict::Refused("this payer or host has as many entries as it may".into()),
            Err(why) => unlisted(&why),
        }
    }

    /// The lowest price in millionths of a dollar, by the assets of this facilitator's networks, else of those linked.
    async fn price(&self, accepts: &[PaymentRequirements]) -> Option<u64> {
        let mut lowest = None;
        for offer in accepts {
            let own = match &self.host {
                Some(host) => host.network(&offer.network).await.ok(),
                None => None,
            };
            let price = match own.and_then(|network| price_on(&*network, offer)) {
                Some(price) => Some(price),
                None => self.assets.price(offer).await,
            };
            lowest = [lowest, price].into_iter().flatten().min();
        }
        lowest
    }

    async fn round(self: &Arc<Self>) -> Result<usize, Fault> {
        let now = self.clock.now();
        let due = self.store.due(now, now.saturating_add(LEASE), ROUND).await?;
        let probed = due.len();
        let mut under_way = JoinSet::new();
        for entry in due {
            while under_way.len() >= AT_ONCE {
                under_way.join_next().await;
            }
            let own = self.clone();
            under_way.spawn(async move { own.again(entry).await });
        }
        while under_way.join_next().await.is_some() {}
        Ok(probed)
    }

    /// Asks a listed resource again.
    async fn again(&self, entry: Entry) {
        let asked = match probe::read_url(&entry.url) {
            Ok(url) => probe::probe(&*self.fetch, &entry.method, &url, None).await.map(|confirmed| (url, confirmed)),
            Err(why) => Err(why),
        };
        let result = match asked {
            Ok((url, confirmed)) if confirmed.declared.key(&url) != entry.key => {
                // It goes by another template now: the old entry is of something that is no more.
                let removed = self.store.remove(&entry.key).await;
                self.list(confirmed, &entry.url, &entry.host, &entry.payer).await;
                removed
            }
            Ok((_, confirmed)) => {
                self.list(confirmed, &entry.url, &entry.host, &entry.payer).await;
                Ok(())
            }
            Err(why) => self.failed(entry, &why).await,
        };
        if let Err(why) = result {
            tracing::warn!(%why, "the catalogue could not write what a probe found");
        }
    }

    /// A probe failed: the entry has some more chances, and then it goes.
    async fn failed(&self, mut entry: Entry, why: &str) -> Result<(), Fault> {
        entry.failures = entry.failures.saturating_add(1);
        if entry.failures >= self.dead_after {
            tracing::info!(key = entry.key, why, "a service is taken out of the catalogue");
            // Whoever pays for it again may bring it back.
            self.seen().forget();
            return self.store.remove(&entry.key).await;
        }
        entry.success = average(entry.success, 0);
        let pause = (self.every / 8).max(LEAST_PAUSE).saturating_mul(u64::from(entry.failures));
        entry.next_probe = self.clock.now().saturating_add(pause);
        self.store.put(&entry, self.limits).await.map(drop)
    }
}

/// The text members that count as a change.
#[derive(PartialEq)]
struct ResourceView<'a>(Option<&'a str>, Option<&'a str>, Option<&'a [String]>, Option<&'a str>);

impl<'a> ResourceView<'a> {
    fn of(entry: &'a Entry) -> Self {
        let info = &entry.resource;
        Self(info.description.as_deref(), info.service_name.as_deref(), info.tags.as_deref(), info.icon_url.as_deref())
    }
}

fn unlisted(why: &Fault) -> Verdict {
    tracing::warn!(%why, "the catalogue could not be written");
    Verdict::Refused("the catalogue cannot be written at the moment".into())
}

/// A moving average over about eight values.
fn average(old: u32, new: u32) -> u32 {
    u32::try_from((u64::from(old) * 7 + u64::from(new)).div_ceil(8)).unwrap_or(u32::MAX)
}
