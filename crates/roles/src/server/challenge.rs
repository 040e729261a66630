//! Making challenges: what is sold, the offers, the extensions' declarations.

use super::live::LiveRoute;
use super::offers::{Offer, Several, WayOffers};
use super::refusal::{Challenge, Refusal};
use super::{Engine, ReadyRoute};
use std::cmp::Reverse;
use std::sync::Arc;
use tollway_core::{Declaring, ErrorCode, Object, PaymentRequired, PaymentRequirements, Request, ResourceInfo, codes};

/// The offers of a request, way by way, in the order configured.
pub(super) type Offers = Vec<WayOffers>;

/// The challenge of a route whose offers never change, for its plainest spelling. `None` where challenges differ, and
/// where there is nothing to offer yet.
pub(super) fn fixed(engine: &Engine, route: &ReadyRoute, live: &LiveRoute) -> Option<Arc<Challenge>> {
    let path = route.pattern.literal()?;
    let hints = route.ways.iter().any(|ready| !ready.scheme.dynamic_extra().is_empty());
    if hints || route.extensions.iter().any(|(extension, _)| extension.dynamic()) {
        return None;
    }
    let offers: Offers = live.ways.iter().map(|way| way.fixed.clone()).collect::<Option<_>>()?;
    // Which facilitator's offer is advertised is another question each time, where it makes a difference.
    if nothing(&offers) || !offers.iter().all(alike) {
        return None;
    }
    let url = route.url.clone().unwrap_or_else(|| format!("{}{path}", engine.origin));
    let made = ranked(engine, offers.iter().filter_map(|offers| offers.first()).cloned().collect());
    Some(Arc::new(Challenge::new(required(route, url, &offers, made, &codes::PAYMENT_REQUIRED))))
}

/// Whether all facilitators of a way ask for the very same: whoever settles it is chosen when it is paid.
fn alike(way: &WayOffers) -> bool {
    way.windows(2).all(|pair| pair[0].requirements == pair[1].requirements)
}

/// Whether the kept challenge of a route says what a fresh one would.
pub(super) fn is_current(engine: &Engine, route: &ReadyRoute) -> bool {
    route.ways.len() < 2 || (0..engine.facilitators.len()).all(|position| engine.selector.available(position))
}

/// Whether there are ways to pay and no offer for any of them. An empty `accepts` would say that the resource cannot be
/// paid for.
pub(super) fn nothing(offers: &Offers) -> bool {
    !offers.is_empty() && offers.iter().all(|offers| offers.is_empty())
}

/// What a challenge offers: each way by the facilitator that is best now, the ways best first. A way that nobody
/// available settles is left out where there are others.
fn advertised(engine: &Engine, offers: &Offers) -> Vec<Arc<Offer>> {
    let available = |offer: &Arc<Offer>| engine.selector.available(offer.position);
    let mut best = Vec::with_capacity(offers.len());
    for way in offers {
        match &**way {
            [only] => best.push(only.clone()),
            // To be asked the price is nobody's turn.
            several if alike(way) => {
                let first = several.iter().min_by_key(|offer| (!available(offer), Reverse(offer.liking.preferred)));
                best.extend(first.cloned());
            }
            several => {
                let mut several: Several = several.iter().cloned().collect();
                engine.order(&mut several);
                best.extend(several.into_iter().next());
            }
        }
    }
    if best.len() > 1 && best.iter().any(available) {
        best.retain(available);
    }
    ranked(engine, best)
}

/// The offers of different ways, best first.
fn ranked(engine: &Engine, offers: Vec<Arc<Offer>>) -> Vec<Arc<Offer>> {
    if engine.preferences.is_empty() {
        return offers;
    }
    let likings: Vec<_> = offers.iter().map(|offer| &offer.liking).collect();
    engine.preferences.order(&likings).into_iter().map(|at| offers[at].clone()).collect()
}

/// One offer for each way, always the same one: what extensions make their declarations from, and judge echoes by.
pub(super) fn samples(offers: &Offers) -> Vec<PaymentRequirements> {
    offers.iter().filter_map(|offers| offers.first()).map(|offer| offer.requirements.clone()).collect()
}

/// A challenge for one request.
pub(super) fn fresh(
    engine: &Engine,
    route: &ReadyRoute,
    request: &dyn Request,
    offers: &Offers,
    error: &ErrorCode,
) -> Refusal {
    let url = route.url.clone().unwrap_or_else(|| request.resource(&engine.origin));
    Refusal::Challenge(Arc::new(Challenge::new(required(route, url, offers, advertised(engine, offers), error))))
}

fn required(
    route: &ReadyRoute,
    url: String,
    offers: &Offers,
    made: Vec<Arc<Offer>>,
    error: &ErrorCode,
) -> PaymentRequired {
    let mut resource = route.info.clone();
    resource.url = url;
    let mut accepts = Vec::with_capacity(made.len());
    for offer in made {
        let mut requirements = offer.requirements.clone();
        if !offer.scheme.dynamic_extra().is_empty() {
            offer.scheme.refresh(&mut requirements);
        }
        accepts.push(requirements);
    }
    let extensions = declarations(route, &resource, &samples(offers));
    let mut required = PaymentRequired::new(error.as_str(), resource, accepts);
    required.extensions = (!extensions.is_empty()).then_some(extensions);
    required
}

/// What the route's extensions declare.
pub(super) fn declarations(route: &ReadyRoute, resource: &ResourceInfo, accepts: &[PaymentRequirements]) -> Object {
    let declare = |(extension, section): &(Arc<dyn tollway_core::ServerExtension>, serde_json::Value)| {
        let declared = extension.declare(&Declaring::new(resource, accepts, section, route.pattern.as_str()));
        declared.map(|declared| (extension.key().to_owned(), declared))
    };
    route.extensions.iter().filter_map(declare).collect()
}
