//! Keeping up with facilitators: what they support is asked at start and from time to time, never while a request
//! waits, and offers that changed stay payable for as long as they said.

use super::heard::Heard;
use super::offers::{Kind, LiveWay, ReadyWay, WayOffers};
use super::refusal::{Challenge, Refusal};
use super::{Engine, ResourceServer, challenge};
use crate::setup::SetupError;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::{JoinError, JoinSet};
use tokio::time::timeout;
use tollway_core::{Facilitator, FacilitatorCall, Failure, Fault, FaultKind, NetworkId, Result, SupportedResponse};

/// Longest wait for one facilitator's `/supported`.
const SUPPORTED_TIMEOUT: Duration = Duration::from_secs(30);
/// What the facilitators' answers make of the routes.
pub(super) struct Live {
    pub(super) routes: Vec<LiveRoute>,
}

/// One route, ready to be sold.
#[derive(Clone)]
pub(super) struct LiveRoute {
    pub(super) ways: Vec<LiveWay>,
    /// The answer to every unpaid request, where it is always the same.
    pub(super) challenge: Option<Arc<Challenge>>,
}

/// Why there is no [`Live`].
pub(super) enum SyncError {
    /// No facilitator has ever answered; worth another try.
    Unreachable(String),
    /// A facilitator cannot be asked the way it is configured.
    Configuration(String),
    /// A route that cannot work with what they answered.
    Setup(SetupError),
}

impl SyncError {
    fn log(&self) {
        match self {
            Self::Unreachable(why) => tracing::warn!(%why, "no facilitator can be reached"),
            Self::Configuration(why) => tracing::error!(%why, "a facilitator cannot be asked as it is configured"),
            Self::Setup(why) => tracing::error!(%why, "a route cannot work with what the facilitators support"),
        }
    }
}

/// What each facilitator said, with its place in the configuration.
type Answers = Vec<(usize, Arc<SupportedResponse>)>;
/// What came of asking one of them.
type Answer = (usize, Result<SupportedResponse>);

impl ResourceServer {
    /// The present state. A request waits for facilitators only if none has ever answered.
    pub(super) async fn live(&self) -> Result<Arc<Live>, Refusal> {
        let cell = &self.engine.live;
        if let (Some(live), due) = cell.get() {
            if due {
                self.engine.refresh();
            }
            return Ok(live);
        }
        // In a box of its own: requests that need not wait carry less.
        Box::pin(self.first_live()).await
    }

    /// Asks the facilitators, of which none has answered so far; one request for all that wait.
    async fn first_live(&self) -> Result<Arc<Live>, Refusal> {
        let cell = &self.engine.live;
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
                SyncError::Configuration(_) | SyncError::Setup(_) => Refusal::Internal,
            }
        })
    }
}

impl Engine {
    /// Asks the facilitators whose turn it is in the background, and makes the offers anew as they answer.
    fn refresh(self: &Arc<Self>) {
        let due = self.live.take_due();
        if due.is_empty() {
            return;
        }
        let engine = self.clone();
        tokio::spawn(async move {
            let mut asked = engine.ask(due);
            while let Some(answer) = asked.join_next().await {
                if let Err(why) = engine.hear(answer) {
                    why.log();
                } else if let Err(why) = engine.remake().await {
                    why.log();
                }
            }
        });
    }

    /// Asks all facilitators whose turn it is, waits for all of them, and makes the offers.
    pub(super) async fn sync(self: &Arc<Self>) -> Result<Arc<Live>, SyncError> {
        let mut asked = self.ask(self.live.take_due());
        let (mut silent, mut misconfigured) = (Vec::new(), Vec::new());
        while let Some(answer) = asked.join_next().await {
            match self.hear(answer) {
                Err(SyncError::Configuration(why)) => misconfigured.push(why),
                Err(SyncError::Unreachable(why)) => silent.push(why),
                Err(why) => return Err(why),
                Ok(()) => {}
            }
        }
        if !misconfigured.is_empty() {
            return Err(SyncError::Configuration(misconfigured.join("; ")));
        }
        let nobody = self.live.read(|state| state.heard.iter().all(|heard| heard.said.is_none()));
        if nobody && !self.facilitators.is_empty() {
            return Err(SyncError::Unreachable(silent.join("; ")));
        }
        for why in silent {
            SyncError::Unreachable(why).log();
        }
        self.remake().await
    }

    /// Asks these what they support, all at once.
    fn ask(self: &Arc<Self>, due: Vec<usize>) -> JoinSet<Answer> {
        let mut asked = JoinSet::new();
        for position in due {
            let engine = self.clone();
            asked.spawn(async move {
                let facilitator = &engine.facilitators[position];
                let supported = async {
                    timeout(SUPPORTED_TIMEOUT, facilitator.supported()).await.unwrap_or_else(|_| {
                        let message = format!("no answer in {SUPPORTED_TIMEOUT:?}");
                        Err(Fault::new(FaultKind::Timeout, message).into())
                    })
                };
                (position, engine.call(position, FacilitatorCall::Supported, supported).await)
            });
        }
        asked
    }

    /// Notes what one facilitator answered. A silent one keeps its last answer.
    fn hear(&self, answer: Result<Answer, JoinError>) -> Result<(), SyncError> {
        let panicked = |why: JoinError| SyncError::Unreachable(format!("asking a facilitator ended abnormally: {why}"));
        let (position, said) = answer.map_err(panicked)?;
        match said {
            Ok(said) => {
                self.live.change(|state| state.heard[position].answered(said));
                Ok(())
            }
            Err(why) => {
                self.live.change(|state| state.heard[position].silent());
                let said = format!("{}: {why}", self.facilitators[position].name());
                Err(match why {
                    Failure::Fault(why) if why.kind == FaultKind::Configuration => SyncError::Configuration(said),
                    _ => SyncError::Unreachable(said),
                })
            }
        }
    }

    /// A payment found this facilitator wanting: it is asked soon whether it is back.
    pub(super) fn suspect(&self, position: usize, call: FacilitatorCall) {
        if call != FacilitatorCall::Supported {
            self.live.change(|state| state.heard[position].strike());
        }
    }

    /// A payment found this facilitator well: settled, for a verdict is easy to give.
    pub(super) fn trust(&self, position: usize, call: FacilitatorCall) {
        let suspected = || self.live.read(|state| state.heard[position].is_suspect());
        if call == FacilitatorCall::Settle && suspected() {
            self.live.change(|state| state.heard[position].acquit());
        }
    }

    /// Makes the offers of what was heard last.
    async fn remake(&self) -> Result<Arc<Live>, SyncError> {
        let _making = self.live.making.lock().await;
        let (before, answers) = self.live.read(|state| {
            let heard = state.heard.iter().enumerate();
            let answers: Answers = heard.filter_map(|(i, heard)| Some((i, heard.said.clone()?))).collect();
            (state.live.clone(), answers)
        });
        let mut routes = Vec::with_capacity(self.routes.len());
        let mut useless = false;
        for index in 0..self.routes.len() {
            let old = before.as_ref().map(|live| &live.routes[index]);
            let made = self.sync_route(index, &answers, old).await;
            routes.push(match (made, old) {
                (Ok(route), _) => route,
                (Err(why), None) => return Err(SyncError::Setup(why)),
                // What they say now is of no use to this route: it may be another thing soon.
                (Err(why), Some(old)) => {
                    SyncError::Setup(why).log();
                    useless = true;
                    old.clone()
                }
            });
        }
        let live = Arc::new(Live { routes });
        self.live.change(|state| {
            state.live = Some(live.clone());
            if useless {
                state.heard.iter_mut().for_each(Heard::put_off);
            }
        });
        Ok(live)
    }

    /// One route, of what was heard. At the start every way must work; later a way that nobody settles any more is left
    /// out, as long as another is left.
    async fn sync_route(
        &self,
        index: usize,
        answers: &Answers,
        old: Option<&LiveRoute>,
    ) -> Result<LiveRoute, SetupError> {
        let route = &self.routes[index];
        let mistake = |code, why| SetupError::Route { route: route.pattern.to_string(), code, why };
        let mut ways = Vec::new();
        let (mut unserved, mut disliked) = (Vec::new(), Vec::new());
        for (at, ready) in route.ways.iter().enumerate() {
            let kinds = self.kinds(&ready.way.scheme, ready.network.id(), answers);
            // Who never answered may serve it yet.
            if kinds.is_empty() && answers.len() == self.facilitators.len() {
                let why = self.unserved(ready, answers);
                if old.is_none() {
                    return Err(mistake(Some("missing_facilitator"), why));
                }
                unserved.push(why);
            }
            let fixed: Option<WayOffers> = match ready.is_fixed() {
                true => {
                    let made =
                        ready.offers(&kinds, &self.preferences, &None).await.map_err(|why| mistake(None, why))?;
                    disliked.extend(made.disliked);
                    Some(made.offers.into())
                }
                false => None,
            };
            let former = old.map(|old| self.retire(&old.ways[at], &kinds, ready.longest())).unwrap_or_default();
            ways.push(LiveWay { kinds, fixed, former });
        }
        if !unserved.is_empty() && unserved.len() == route.ways.len() {
            return Err(mistake(Some("missing_facilitator"), unserved.join("; ")));
        }
        for why in unserved {
            tracing::warn!(route = %route.pattern, %why, "a way to pay is not offered any more");
        }
        let nothing = |way: &LiveWay| way.fixed.as_ref().is_some_and(|offers| offers.is_empty());
        if !disliked.is_empty() && ways.iter().all(nothing) {
            return Err(mistake(None, nothing_left(&disliked)));
        }
        let mut live = LiveRoute { ways, challenge: None };
        live.challenge = challenge::fixed(self, route, &live);
        Ok(live)
    }

    fn unserved(&self, ready: &ReadyWay, answers: &Answers) -> String {
        let said: Vec<_> = answers.iter().map(|(i, supported)| offered(&*self.facilitators[*i], supported)).collect();
        format!(
            "no facilitator settles `{}` on {}; {}",
            ready.way.scheme,
            ready.network.id(),
            if said.is_empty() { "none is configured: add .facilitator(…)".to_owned() } else { said.join("; ") }
        )
    }

    /// The facilitators for a scheme on a network, in the order configured.
    fn kinds(&self, scheme: &str, network: &NetworkId, answers: &Answers) -> Vec<Kind> {
        let serving = |(position, said): &(usize, Arc<SupportedResponse>)| {
            let kind = Arc::new(said.kind(scheme, network)?.clone());
            let facilitator = self.facilitators[*position].clone();
            Some(Kind { facilitator, position: *position, kind, said: said.clone() })
        };
        answers.iter().filter_map(serving).collect()
    }

    /// What a way was settled by before, each for as long as an offer made of it a moment ago is payable.
    fn retire(&self, old: &LiveWay, kinds: &[Kind], longest: NonZeroU64) -> Vec<(Kind, u64)> {
        let now = self.clock.now();
        let current =
            |kind: &Kind| kinds.iter().any(|current| current.position == kind.position && current.kind == kind.kind);
        let until = now.saturating_add(longest.get());
        let fresh = old.kinds.iter().map(|kind| (kind.clone(), until));
        let kept = old.former.iter().filter(|(_, until)| *until >= now).cloned();
        fresh.chain(kept).filter(|(kind, _)| !current(kind)).collect()
    }
}

/// What to tell whoever prefers a route away.
pub(super) fn nothing_left(disliked: &[(String, String)]) -> String {
    let reasons: Vec<_> = disliked.iter().map(|(offer, why)| format!("{offer}: {why}")).collect();
    format!("preferences leave no way to pay ({}); change `only` or `avoid`", reasons.join("; "))
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
