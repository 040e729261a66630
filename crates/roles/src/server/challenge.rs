//! Making challenges: what is sold, the offers, the extensions' declarations.

use super::live::LiveRoute;
use super::offers::Offer;
use super::refusal::{Challenge, Refusal};
use super::{Engine, ReadyRoute};
use std::sync::Arc;
use tollway_core::{Declaring, ErrorCode, Object, PaymentRequired, PaymentRequirements, Request, ResourceInfo, codes};

/// The offers of a request, way by way; the first of each way is the one advertised.
pub(super) type Offers = Vec<Arc<[Arc<Offer>]>>;

/// The challenge of a route whose offers never change, for its plainest spelling. `None` where challenges differ, and
/// where there is nothing to offer yet.
pub(super) fn fixed(engine: &Engine, route: &ReadyRoute, live: &LiveRoute) -> Option<Arc<Challenge>> {
    let path = route.pattern.literal()?;
    let hints = route.ways.iter().any(|ready| !ready.scheme.dynamic_extra().is_empty());
    if hints || route.extensions.iter().any(|(extension, _)| extension.dynamic()) {
        return None;
    }
    let offers: Offers = live.ways.iter().map(|way| way.fixed.clone()).collect::<Option<_>>()?;
    if nothing(&offers) {
        return None;
    }
    let url = route.url.clone().unwrap_or_else(|| format!("{}{path}", engine.origin));
    Some(Arc::new(Challenge::new(required(route, url, &offers, &codes::PAYMENT_REQUIRED))))
}

/// Whether there are ways to pay and no offer for any of them. An empty `accepts` would say that the resource cannot be
/// paid for.
pub(super) fn nothing(offers: &Offers) -> bool {
    !offers.is_empty() && offers.iter().all(|offers| offers.is_empty())
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
    Refusal::Challenge(Arc::new(Challenge::new(required(route, url, offers, error))))
}

fn required(route: &ReadyRoute, url: String, offers: &Offers, error: &ErrorCode) -> PaymentRequired {
    let mut resource = route.info.clone();
    resource.url = url;
    let mut accepts = Vec::with_capacity(offers.len());
    for offer in offers.iter().filter_map(|offers| offers.first()) {
        let mut requirements = offer.requirements.clone();
        if !offer.scheme.dynamic_extra().is_empty() {
            offer.scheme.refresh(&mut requirements);
        }
        accepts.push(requirements);
    }
    let extensions = declarations(route, &resource, &accepts);
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
