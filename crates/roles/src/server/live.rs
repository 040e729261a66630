//! Keeping up with facilitators: what they support is asked at start and from time to time, never while a request
//! waits, and offers that changed stay payable for as long as they said.

use super::offers::{LiveWay, Offer};
use super::refusal::Refusal;
use super::{Engine, ResourceServer, challenge};
use crate::server::refusal::Challenge;
use crate::setup::SetupError;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::time::{Instant, timeout};
use tollway_core::{Candidate, Facilitator, SupportedResponse};

/// Longest wait for one facilitator's `/supported`.
const SUPPORTED_TIMEOUT: Duration = Duration::from_secs(30);
/// Pause between attempts while no facilitator answers.
const RETRY_PAUSE: Duration = Duration::from_secs(1);
/// Age at which what facilitators said is asked again in the background.
const REFRESH_AFTER: Duration = Duration::from_secs(600);

/// What the facilitators' answers make of the routes.
pub(super) struct Live {
    pub(super) routes: Vec<LiveRoute>,
    made: Instant,
}

/// One route, ready to be sold.
pub(super) struct LiveRoute {
    pub(super) ways: Vec<LiveWay>,
    /// The answer to every unpaid request, where it is always the same.
    pub(super) challenge: Option<Arc<Challenge>>,
    /// Offers made before the last refresh, with the Unix second they end.
    pub(super) retired: Vec<(Arc<Offer>, u64)>,
}

/// The present state and the means to renew it.
#[derive(Default)]
pub(super) struct LiveCell {
    now: RwLock<Option<Arc<Live>>>,
    /// Serialises attempts; holds when the last one failed.
    attempt: tokio::sync::Mutex<Option<Instant>>,
    refreshing: AtomicBool,
}

impl LiveCell {
    fn get(&self) -> Option<Arc<Live>> {
        self.now.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, live: Arc<Live>) {
        *self.now.write().unwrap_or_else(PoisonError::into_inner) = Some(live);
    }
}

/// Why there is no [`Live`].
pub(super) enum SyncError {
    /// No facilitator answered; worth another try.
    Unreachable(String),
    /// A route that cannot work with what they answered.
    Setup(SetupError),
}

impl ResourceServer {
    /// The present state. Asks the facilitators only if none has ever answered.
    pub(super) async fn live(&self) -> Result<Arc<Live>, Refusal> {
        let cell = &self.engine.live;
        if let Some(live) = cell.get() {
            if live.made.elapsed() > REFRESH_AFTER && !cell.refreshing.swap(true, Ordering::AcqRel) {
                let engine = self.engine.clone();
                tokio::spawn(async move {
                    if let Err(SyncError::Unreachable(why)) = engine.sync().await {
                        tracing::warn!(%why, "facilitators could not be asked again; keeping what they said before");
                    }
                    engine.live.refreshing.store(false, Ordering::Release);
                });
            }
            return Ok(live);
        }
        let mut failed = cell.attempt.lock().await;
        if let Some(live) = cell.get() {
            return Ok(live);
        }
        let unavailable = || Refusal::Unavailable("no facilitator can be reached".to_owned());
        if failed.is_some_and(|at| at.elapsed() < RETRY_PAUSE) {
            return Err(unavailable());
        }
        match self.engine.sync().await {
            Ok(live) => Ok(live),
            Err(SyncError::Unreachable(why)) => {
                tracing::warn!(%why, "no facilitator can be reached");
                *failed = Some(Instant::now());
                Err(unavailable())
            }
            Err(SyncError::Setup(why)) => {
                tracing::error!(%why, "a route cannot work with what the facilitators support");
                *failed = Some(Instant::now());
                Err(Refusal::Internal)
            }
        }
    }
}

impl Engine {
    /// Asks every facilitator what it supports and makes the offers anew.
    pub(super) async fn sync(&self) -> Result<Arc<Live>, SyncError> {
        let mut answers = Vec::new();
        let mut silent = Vec::new();
        for facilitator in &self.facilitators {
            match timeout(SUPPORTED_TIMEOUT, facilitator.supported()).await {
                Ok(Ok(supported)) => answers.push((facilitator.clone(), supported)),
                Ok(Err(why)) => silent.push(format!("{}: {why}", facilitator.name())),
                Err(_) => silent.push(format!("{}: no answer in {SUPPORTED_TIMEOUT:?}", facilitator.name())),
            }
        }
        if answers.is_empty() && !self.facilitators.is_empty() {
            return Err(SyncError::Unreachable(silent.join("; ")));
        }
        for why in &silent {
            tracing::warn!(%why, "a facilitator could not be asked what it supports");
        }
        let before = self.live.get();
        let mut routes = Vec::with_capacity(self.routes.len());
        for index in 0..self.routes.len() {
            let old = before.as_ref().map(|live| &live.routes[index]);
            routes.push(self.sync_route(index, &answers, &silent, old).await?);
        }
        let live = Arc::new(Live { routes, made: Instant::now() });
        self.live.set(live.clone());
        Ok(live)
    }

    async fn sync_route(
        &self,
        index: usize,
        answers: &[(Arc<dyn Facilitator>, SupportedResponse)],
        silent: &[String],
        old: Option<&LiveRoute>,
    ) -> Result<LiveRoute, SyncError> {
        let route = &self.routes[index];
        let mistake = |code, why| SyncError::Setup(SetupError::Route { route: route.pattern.to_string(), code, why });
        let mut ways = Vec::new();
        for ready in &route.ways {
            let kinds = self.ranked(&ready.way.scheme, ready.network.id(), answers);
            if kinds.is_empty() && silent.is_empty() {
                let said: Vec<_> =
                    answers.iter().map(|(facilitator, supported)| offered(&**facilitator, supported)).collect();
                let why = format!(
                    "no facilitator settles `{}` on {}; {}",
                    ready.way.scheme,
                    ready.network.id(),
                    if said.is_empty() {
                        "none is configured: add .facilitator(…)".to_owned()
                    } else {
                        said.join("; ")
                    }
                );
                return Err(mistake(Some("missing_facilitator"), why));
            }
            let fixed = match ready.is_fixed() {
                true => Some(ready.offers(&kinds, &None).await.map_err(|why| mistake(None, why))?),
                false => None,
            };
            ways.push(LiveWay { kinds, fixed });
        }
        let retired = old.map(|old| self.retire(old, &ways)).unwrap_or_default();
        let mut live = LiveRoute { ways, challenge: None, retired };
        live.challenge = challenge::fixed(self, route, &live);
        Ok(live)
    }

    /// The facilitators for a scheme on a network: in the order configured, unless a selector knows better.
    fn ranked(
        &self,
        scheme: &str,
        network: &tollway_core::NetworkId,
        answers: &[(Arc<dyn Facilitator>, SupportedResponse)],
    ) -> Vec<(Arc<dyn Facilitator>, tollway_core::SupportedKind)> {
        let serving = answers.iter().enumerate();
        let mut candidates: Vec<_> = serving
            .filter_map(|(i, (facilitator, supported))| {
                supported.kind(scheme, network).map(|kind| Candidate::new(facilitator.name(), i, kind))
            })
            .collect();
        if let Some(selector) = &self.selector {
            selector.rank(&mut candidates);
        }
        candidates.iter().map(|candidate| (answers[candidate.position].0.clone(), candidate.kind.clone())).collect()
    }

    /// Offers that are no longer made, each payable for as long as it said.
    fn retire(&self, old: &LiveRoute, ways: &[LiveWay]) -> Vec<(Arc<Offer>, u64)> {
        let now = self.clock.now();
        let current = |offer: &Offer| {
            let mut made = ways.iter().flat_map(|way| way.fixed.iter().flat_map(|offers| offers.iter()));
            made.any(|new| new.requirements == offer.requirements && new.facilitator.name() == offer.facilitator.name())
        };
        let fresh = old.ways.iter().flat_map(|way| way.fixed.iter().flat_map(|offers| offers.iter()));
        let fresh = fresh.map(|offer| {
            let until = now.saturating_add(offer.requirements.max_timeout_seconds.get());
            (offer.clone(), until)
        });
        let kept = old.retired.iter().filter(|(_, until)| *until >= now).cloned();
        fresh.chain(kept).filter(|(offer, _)| !current(offer)).collect()
    }
}

/// What a facilitator offers, for an error.
fn offered(facilitator: &dyn Facilitator, supported: &SupportedResponse) -> String {
    let kinds: Vec<_> =
        supported.kinds.iter().take(16).map(|kind| format!("{} on {}", kind.scheme, kind.network)).collect();
    format!(
        "`{}` settles {}",
        facilitator.name(),
        if kinds.is_empty() { "nothing".to_owned() } else { kinds.join(", ") }
    )
}
