//! One request from the door to the handler: gate, decode, match, claim, verify.

use super::admitted::{Admitted, Deal};
use super::challenge::{self, Offers};
use super::claim::{ClaimGuard, Claimed, released};
use super::live::LiveRoute;
use super::offers::{Kind, Offer, ReadyWay, Several, WayOffers};
use super::refusal::Refusal;
use super::{Admission, Covering, Engine, ReadyRoute, ResourceServer};
use crate::random;
use std::any::Any;
use std::sync::Arc;
use tollway_core::{
    Caller, Claim, ClaimRow, ErrorCode, Failure, Fault, FaultKind, Flow, Gate, Outcome, PaymentPayload, Request, Scope,
    SettleResponse, Settled, X402_VERSION, codes, echo_is_faithful, matches_offer,
};

impl ResourceServer {
    /// Decides about a request. Dropping the future at any point, or what it returns, leaves no claim behind.
    pub async fn admit(&self, request: &dyn Request) -> Admission {
        match self.covering(request) {
            Some(route) => self.admit_by(route, request).await,
            None => Admission::Free,
        }
    }

    /// The same for a request whose route is known: [`covering`](Self::covering) of this very server found it.
    pub async fn admit_by(&self, route: Covering, request: &dyn Request) -> Admission {
        match self.door(request, route.0).await {
            Ok(admission) => admission,
            Err(refusal) => Admission::Refused(refusal),
        }
    }

    async fn door(&self, request: &dyn Request, index: usize) -> Result<Admission, Refusal> {
        let engine = &self.engine;
        let route = &engine.routes[index];
        if let Some(granted) = self.gates(index, request).await? {
            return Ok(Admission::Granted(granted));
        }
        let live = self.live()?;
        let live = &live.routes[index];
        let Some(raw) = request.payment() else { return Err(unpaid(engine, route, live, request).await?) };
        // In a box of its own, so that those who do not pay carry less.
        Box::pin(self.paid(request, index, live, raw)).await.map(Admission::Admitted)
    }

    /// A request that carries a payment.
    async fn paid(
        &self,
        request: &dyn Request,
        index: usize,
        live: &LiveRoute,
        raw: PaymentPayload,
    ) -> Result<Admitted, Refusal> {
        let engine = &self.engine;
        let route = &engine.routes[index];
        let offers = resolve(engine, route, live, request).await?;
        let refuse = |error: &ErrorCode| challenge::fresh(engine, route, request, &offers, error);
        if raw.x402_version != X402_VERSION {
            return Err(refuse(&codes::INVALID_X402_VERSION));
        }
        let mut found = find_offers(&offers, &raw);
        if found.is_empty() {
            let former = former(engine, route, live, request, engine.clock.now()).await?;
            found = find_offers(&former, &raw);
        }
        engine.order(&mut found);
        let mut found = found.into_iter();
        let offer = found.next().ok_or_else(|| refuse(&codes::NO_MATCHING_REQUIREMENTS))?;
        if !echo_holds(engine, route, request, &offers, &raw) {
            return Err(refuse(&codes::EXTENSION_ECHO_MISMATCH));
        }
        let claim = offer.scheme.claim(&raw, &offer.requirements).map_err(|why| refuse(&why.code))?;
        let shared = !(engine.hooks.is_empty() && route.extensions.is_empty());
        let mut deal = Deal {
            server: self.clone(),
            index,
            request: shared.then(|| request.to_shared()),
            raw: Arc::new(raw),
            offer,
            others: found.collect(),
            payer: claim.payer.clone(),
            charged: None,
            held: Vec::new(),
        };
        let mut held: Vec<Arc<dyn Any + Send + Sync>> = Vec::new();
        if let Some(paid) = deal.paid() {
            for (extension, section) in &route.extensions {
                match extension.before_payment(&paid, section).await {
                    Ok(Gate::Pass) => {}
                    Ok(Gate::Answer(reply)) => return Err(Refusal::Reply(reply)),
                    Ok(Gate::Hold(hold)) => held.push(Arc::from(hold)),
                    Ok(Gate::Replay(replay)) => {
                        if !replay.proven
                            && let Err(why) = deal.verify().await
                        {
                            return Err(deal.refusal(why, &offers, request));
                        }
                        return Err(Refusal::Replayed(replay));
                    }
                    // A payment cannot be traded for a grant: it was not asked for.
                    Ok(_) => tracing::warn!(key = extension.key(), "an extension granted a request that is being paid"),
                    Err(why) => return Err(deal.refusal(why, &offers, request)),
                }
            }
        }
        deal.held = held;
        let row = deal.row(claim).map_err(internal)?;
        match ClaimGuard::take(engine.ledger.clone(), row).await.map_err(internal)? {
            Claimed::Foreign => Err(deal.foreign()),
            Claimed::Spent(settled) => Err(deal.spent(settled)),
            // Paid, and nobody was told: the receipt is already there.
            Claimed::Again(guard, _, Outcome::Undelivered(settled)) => Ok(deal.redeliver(guard, settled)),
            // Sent before: verifying would only find the nonce used, and only who may have sent it knows more.
            Claimed::Again(guard, row, _) => {
                deal.ask(row.facilitator.as_deref())?;
                // A metered request costs what its handler says, also the second time.
                match deal.offer.scheme.metered() {
                    true => Ok(deal.verified(guard, row.caller)),
                    false => deal.proceed(guard, row.caller).await,
                }
            }
            Claimed::New(mut guard, mut caller) if deal.offer.flow == Flow::Authorization => {
                match deal.verify().await {
                    Ok(0) => Ok(deal.verified(guard, caller)),
                    // Who verified is who settles.
                    Ok(other) => {
                        deal.turn_to(other);
                        let claim = deal.offer.scheme.claim(&deal.raw, &deal.offer.requirements);
                        let row = deal.row(claim.map_err(|why| refuse(&why.code))?).map_err(internal)?;
                        caller = guard.pass_on(row).await.map_err(internal)?.ok_or_else(|| deal.foreign())?;
                        Ok(deal.verified(guard, caller))
                    }
                    Err(why) => {
                        guard.resolve(released(codes::UNEXPECTED_VERIFY_ERROR)).await;
                        Err(deal.refusal(why, &offers, request))
                    }
                }
            }
            Claimed::New(guard, caller) => deal.proceed(guard, caller).await,
        }
    }
}

/// The challenge for a request without payment: the one kept for the route, or a fresh one.
async fn unpaid(
    engine: &Engine,
    route: &ReadyRoute,
    live: &LiveRoute,
    request: &dyn Request,
) -> Result<Refusal, Refusal> {
    if let Some(kept) = &live.challenge
        && request.query().is_empty()
        && Some(request.target()) == route.pattern.literal()
        && challenge::is_current(engine, route)
    {
        return Ok(Refusal::Challenge(kept.clone()));
    }
    // In a box of its own: most challenges are kept.
    let offers = Box::pin(resolve(engine, route, live, request)).await?;
    Ok(challenge::fresh(engine, route, request, &offers, &codes::PAYMENT_REQUIRED))
}

/// The offers of this request: those kept, and those priced for it.
pub(super) async fn resolve(
    engine: &Engine,
    route: &ReadyRoute,
    live: &LiveRoute,
    request: &dyn Request,
) -> Result<Offers, Refusal> {
    let mut offers = Vec::with_capacity(live.ways.len());
    let shared = live.ways.iter().any(|way| way.fixed.is_none()).then(|| request.to_shared());
    for (ready, way) in route.ways.iter().zip(&live.ways) {
        offers.push(match &way.fixed {
            Some(fixed) => fixed.clone(),
            None => price(engine, route, ready, &way.kinds, &shared).await?,
        });
    }
    match challenge::nothing(&offers) {
        true => Err(Refusal::Unavailable("no facilitator for this resource can be reached".to_owned())),
        false => Ok(offers),
    }
}

/// The offers made to this request a moment ago, before a facilitator said something else about itself.
async fn former(
    engine: &Engine,
    route: &ReadyRoute,
    live: &LiveRoute,
    request: &dyn Request,
    now: u64,
) -> Result<Offers, Refusal> {
    let mut offers = Vec::new();
    let shared = live.ways.iter().any(|way| !way.former.is_empty()).then(|| request.to_shared());
    for (ready, way) in route.ways.iter().zip(&live.ways) {
        let payable = way.former.iter().filter(|(_, until)| *until >= now);
        let kinds: Vec<_> = payable.map(|(kind, _)| kind.clone()).collect();
        if !kinds.is_empty() {
            offers.push(price(engine, route, ready, &kinds, &shared).await?);
        }
    }
    Ok(offers)
}

async fn price(
    engine: &Engine,
    route: &ReadyRoute,
    ready: &ReadyWay,
    kinds: &[Kind],
    request: &Option<Arc<dyn Request>>,
) -> Result<WayOffers, Refusal> {
    let made = ready.offers(kinds, &engine.preferences, request).await.map_err(|why| {
        tracing::error!(route = %route.pattern, %why, "a request could not be priced");
        Refusal::Internal
    })?;
    Ok(made.offers.into())
}

/// The offers a payment answers: the first that matches, and those of other facilitators that ask for the very same.
fn find_offers(offers: &Offers, raw: &PaymentPayload) -> Several {
    let matches = |offer: &&Arc<Offer>| matches_offer(&offer.requirements, &raw.accepted, offer.scheme.dynamic_extra());
    for way in offers {
        if let Some(first) = way.iter().find(matches) {
            return way.iter().filter(|offer| offer.requirements == first.requirements).cloned().collect();
        }
    }
    Several::new()
}

fn echo_holds(
    engine: &Engine,
    route: &ReadyRoute,
    request: &dyn Request,
    offers: &Offers,
    raw: &PaymentPayload,
) -> bool {
    if engine.extensions.is_empty() || raw.extensions.is_none() {
        return true;
    }
    let mut resource = route.info.clone();
    resource.url = route.url.clone().unwrap_or_else(|| request.resource(&engine.origin));
    let declared = challenge::declarations(route, &resource, &challenge::samples(offers));
    engine.extensions.iter().all(|extension| {
        let key = extension.key();
        echo_is_faithful(key, declared.get(key), raw.extensions.as_ref(), &extension.echo())
    })
}

pub(super) fn internal(why: Fault) -> Refusal {
    tracing::error!(%why, "a paid request could not be handled");
    Refusal::Internal
}

impl Deal {
    /// Asks for a verdict, with the hooks around it; says who gave it: 0 is the offer's facilitator, see
    /// [`ask_any`](Self::ask_any).
    async fn verify(&self) -> Result<usize, Failure> {
        let engine = &self.server.engine;
        let paid = self.paid();
        let hooks = engine.hooks.iter().zip(std::iter::repeat(paid)).filter_map(|(hook, paid)| Some((hook, paid?)));
        let mut stand_in = None;
        for (hook, paid) in hooks.clone() {
            stand_in = hook.before_verify(&paid).await?;
            if stand_in.is_some() {
                break;
            }
        }
        let asked = match stand_in {
            Some(verified) => Ok((0, verified)),
            None => self.ask_any().await,
        };
        let (winner, verified) = match asked {
            Ok(verdict) => verdict,
            Err(why) => {
                let mut recovered = None;
                for (hook, paid) in hooks.clone() {
                    recovered = hook.recover_verify(&paid, &why).await;
                    if recovered.is_some() {
                        break;
                    }
                }
                (0, recovered.ok_or(why)?)
            }
        };
        for (hook, paid) in hooks {
            hook.verified(&paid, &verified).await?;
        }
        Ok(winner)
    }

    /// A row that says who is asked now.
    pub(super) fn row(&self, claim: Claim) -> Result<ClaimRow, Fault> {
        let caller = Caller::new(random::token()?);
        let row = ClaimRow::new(Scope::Server, claim, (*self.raw).clone(), self.offer.requirements.clone(), caller);
        Ok(row.asking(self.offer.facilitator.name()))
    }

    /// The answer to a payment that is somebody else's, or is being served.
    pub(super) fn foreign(&self) -> Refusal {
        let network = self.offer.requirements.network.clone();
        Refusal::Failed(Box::new(SettleResponse::failed(network, codes::DUPLICATE_SETTLEMENT, "")))
    }

    /// The answer to whoever presents a payment for the same purchase again: how it was settled, and nothing else.
    fn spent(&self, settled: Settled) -> Refusal {
        let network = self.offer.requirements.network.clone();
        let mut receipt = SettleResponse::failed(network, codes::DUPLICATE_SETTLEMENT, settled.transaction);
        receipt.payer = settled.payer;
        Refusal::Failed(Box::new(receipt))
    }

    /// Turns to the facilitator that was asked before. Any other could send the payment a second time.
    fn ask(&mut self, name: Option<&str>) -> Result<(), Refusal> {
        self.others.clear();
        let Some(name) = name.filter(|name| *name != self.offer.facilitator.name()) else { return Ok(()) };
        let mut configured = self.server.engine.facilitators.iter().enumerate();
        let Some((position, facilitator)) = configured.find(|(_, facilitator)| facilitator.name() == name) else {
            tracing::error!(facilitator = name, "a payment is pending with a facilitator that is no longer configured");
            return Err(Refusal::Unavailable(format!("the facilitator `{name}` cannot be asked")));
        };
        self.offer = Arc::new(Offer { facilitator: facilitator.clone(), position, ..(*self.offer).clone() });
        Ok(())
    }

    /// What a failure before settlement is answered with.
    fn refusal(&self, why: Failure, offers: &Offers, request: &dyn Request) -> Refusal {
        let engine = &self.server.engine;
        match why {
            Failure::Rejected(why) => challenge::fresh(engine, self.route(), request, offers, &why.code),
            Failure::Fault(why) => self.unavailable(&why),
        }
    }

    pub(super) fn unavailable(&self, why: &Fault) -> Refusal {
        let name = self.offer.facilitator.name();
        tracing::error!(facilitator = name, %why, "a facilitator could not decide");
        match why.kind {
            FaultKind::Internal | FaultKind::Configuration => Refusal::Internal,
            _ => self.undecided(),
        }
    }

    pub(super) fn undecided(&self) -> Refusal {
        let name = self.offer.facilitator.name();
        Refusal::Unavailable(format!("the facilitator `{name}` could not decide; try again with the same payment"))
    }
}
