//! Keeping up with facilitators: what they support is asked at start and from time to time, never while a request
//! waits, and offers that changed stay payable for as long as they said.

use super::offers::{Kind, LiveWay};
use super::refusal::Refusal;
use super::{Engine, ResourceServer, challenge};
use crate::server::refusal::Challenge;
use crate::setup::SetupError;
use std::num::NonZeroU64;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::time::{Instant, timeout};
use tollway_core::{Candidate, Facilitator, SupportedResponse};

/// Longest wait for one facilitator's `/supported`.
const SUPPORTED_TIMEOUT: Duration = Duration::from_secs(30);
/// Pause before a facilitator that never answered is asked again.
const RETRY_PAUSE: Duration = Duration::from_secs(1);
/// Pause before a facilitator is asked again whose last answer is still there to be used.
const RETRY_KNOWN_PAUSE: Duration = Duration::from_secs(30);
/// Age at which what a facilitator said is asked again.
const REFRESH_AFTER: Duration = Duration::from_secs(600);

/// What the facilitators' answers make of the routes.
pub(super) struct Live {
    pub(super) routes: Vec<LiveRoute>,
}

/// One route, ready to be sold.
pub(super) struct LiveRoute {
    pub(super) ways: Vec<LiveWay>,
    /// The answer to every unpaid request, where it is always the same.
    pub(super) challenge: Option<Arc<Challenge>>,
}

/// The present state and the means to renew it.
#[derive(Default)]
pub(super) struct LiveCell {
    now: RwLock<State>,
    /// Serialises first attempts, while requests wait for them.
    attempt: tokio::sync::Mutex<()>,
    /// Set while attempts are made in the background.
    refreshing: AtomicBool,
}

#[derive(Default)]
struct State {
    live: Option<Arc<Live>>,
    /// Facilitator by facilitator, in the order configured.
    heard: Vec<Heard>,
}

/// What one facilitator said last, and when to ask it again.
#[derive(Clone)]
struct Heard {
    said: Option<Arc<SupportedResponse>>,
    due: Instant,
}

impl Heard {
    /// Notes an attempt that came to nothing: what was said before still counts.
    fn put_off(&mut self) {
        let pause = if self.said.is_some() { RETRY_KNOWN_PAUSE } else { RETRY_PAUSE };
        self.due = after(pause);
    }
}

fn after(pause: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(pause).unwrap_or(now)
}

impl LiveCell {
    /// The present state, and whether some facilitator is to be asked again.
    fn get(&self) -> (Option<Arc<Live>>, bool) {
        let state = self.now.read().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        (state.live.clone(), state.heard.iter().any(|heard| heard.due <= now))
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        // What changes here is whole whatever panics elsewhere.
        change(&mut self.now.write().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Marks a refresh as under way; ends when it does, by a panic too.
struct Refreshing(Arc<Engine>);

impl Drop for Refreshing {
    fn drop(&mut self) {
        self.0.live.refreshing.store(false, Ordering::Release);
    }
}

/// Why there is no [`Live`].
pub(super) enum SyncError {
    /// No facilitator has ever answered; worth another try.
    Unreachable(String),
    /// A route that cannot work with what they answered.
    Setup(SetupError),
}

impl SyncError {
    fn log(&self) {
        match self {
            Self::Unreachable(why) => tracing::warn!(%why, "no facilitator can be reached"),
            Self::Setup(why) => tracing::error!(%why, "a route cannot work with what the facilitators support"),
        }
    }
}

type Answers = Vec<(Arc<dyn Facilitator>, Arc<SupportedResponse>)>;

impl ResourceServer {
    /// The present state. A request waits for facilitators only if none has ever answered.
    pub(super) async fn live(&self) -> Result<Arc<Live>, Refusal> {
        let cell = &self.engine.live;
        if let (Some(live), due) = cell.get() {
            if due && !cell.refreshing.swap(true, Ordering::AcqRel) {
                let refreshing = Refreshing(self.engine.clone());
                tokio::spawn(async move {
                    if let Err(why) = refreshing.0.sync().await {
                        why.log();
                    }
                });
            }
            return Ok(live);
        }
        let _attempt = cell.attempt.lock().await;
        match cell.get() {
            (Some(live), _) => return Ok(live),
            (None, false) => return Err(Refusal::Unavailable("no facilitator can be reached".to_owned())),
            (None, true) => {}
        }
        self.engine.sync().await.map_err(|why| {
            why.log();
            match why {
                SyncError::Unreachable(_) => Refusal::Unavailable("no facilitator can be reached".to_owned()),
                SyncError::Setup(_) => Refusal::Internal,
            }
        })
    }
}

impl Engine {
    /// Asks the facilitators whose turn it is what they support, and makes the offers anew.
    pub(super) async fn sync(&self) -> Result<Arc<Live>, SyncError> {
        let silent = self.ask().await;
        let (before, heard) = self.live.change(|state| (state.live.clone(), state.heard.clone()));
        let said = self.facilitators.iter().zip(&heard);
        let answers: Answers =
            said.filter_map(|(facilitator, heard)| Some((facilitator.clone(), heard.said.clone()?))).collect();
        if answers.is_empty() && !self.facilitators.is_empty() {
            return Err(SyncError::Unreachable(silent.join("; ")));
        }
        for why in &silent {
            tracing::warn!(%why, "a facilitator could not be asked what it supports");
        }
        let live = self.make(&answers, before).await.inspect_err(|_| {
            // What they say now is of no use: it may be another thing soon.
            self.live.change(|state| state.heard.iter_mut().for_each(Heard::put_off));
        })?;
        self.live.change(|state| state.live = Some(live.clone()));
        Ok(live)
    }

    async fn make(&self, answers: &Answers, before: Option<Arc<Live>>) -> Result<Arc<Live>, SyncError> {
        let mut routes = Vec::with_capacity(self.routes.len());
        for index in 0..self.routes.len() {
            let old = before.as_ref().map(|live| &live.routes[index]);
            routes.push(self.sync_route(index, answers, old).await?);
        }
        Ok(Arc::new(Live { routes }))
    }

    /// Asks the facilitators whose turn it is; says which were silent. A silent one keeps its last answer.
    async fn ask(&self) -> Vec<String> {
        let now = Instant::now();
        let due: Vec<_> = self.live.change(|state| {
            state.heard.resize(self.facilitators.len(), Heard { said: None, due: now });
            // Noted before, so that an attempt nobody sees the end of is an attempt too.
            let due = state.heard.iter_mut().enumerate().filter(|(_, heard)| heard.due <= now);
            due.map(|(index, heard)| (index, heard.put_off()).0).collect()
        });
        let mut silent = Vec::new();
        for index in due {
            let facilitator = &self.facilitators[index];
            let answer = match timeout(SUPPORTED_TIMEOUT, facilitator.supported()).await {
                Ok(answer) => answer.map_err(|why| format!("{}: {why}", facilitator.name())),
                Err(_) => Err(format!("{}: no answer in {SUPPORTED_TIMEOUT:?}", facilitator.name())),
            };
            let answer = answer.map_err(|why| silent.push(why));
            self.live.change(|state| match answer {
                Ok(said) => state.heard[index] = Heard { said: Some(Arc::new(said)), due: after(REFRESH_AFTER) },
                Err(()) => state.heard[index].put_off(),
            });
        }
        silent
    }

    async fn sync_route(
        &self,
        index: usize,
        answers: &Answers,
        old: Option<&LiveRoute>,
    ) -> Result<LiveRoute, SyncError> {
        let route = &self.routes[index];
        let mistake = |code, why| SyncError::Setup(SetupError::Route { route: route.pattern.to_string(), code, why });
        let mut ways = Vec::new();
        for (at, ready) in route.ways.iter().enumerate() {
            let kinds = self.ranked(&ready.way.scheme, ready.network.id(), answers);
            // Who never answered may serve it yet.
            if kinds.is_empty() && answers.len() == self.facilitators.len() {
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
            let former = old.map(|old| self.retire(&old.ways[at], &kinds, ready.longest())).unwrap_or_default();
            ways.push(LiveWay { kinds, fixed, former });
        }
        let mut live = LiveRoute { ways, challenge: None };
        live.challenge = challenge::fixed(self, route, &live);
        Ok(live)
    }

    /// The facilitators for a scheme on a network: in the order configured, unless a selector knows better.
    fn ranked(&self, scheme: &str, network: &tollway_core::NetworkId, answers: &Answers) -> Vec<Kind> {
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

    /// What a way was settled by before, each for as long as an offer made of it a moment ago is payable.
    fn retire(&self, old: &LiveWay, kinds: &[Kind], longest: NonZeroU64) -> Vec<(Kind, u64)> {
        let now = self.clock.now();
        let current = |(facilitator, kind): &Kind| {
            kinds.iter().any(|(current, same)| current.name() == facilitator.name() && same == kind)
        };
        let until = now.saturating_add(longest.get());
        let fresh = old.kinds.iter().map(|kind| (kind.clone(), until));
        let kept = old.former.iter().filter(|(_, until)| *until >= now).cloned();
        fresh.chain(kept).filter(|(kind, _)| !current(kind)).collect()
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
