//! The resource server engine: routes, offers, claims, settlement. It knows no transport.

mod admit;
mod admitted;
mod builder;
mod calls;
mod challenge;
mod charge;
mod claim;
mod explain;
mod gate;
mod heard;
mod hooks;
mod live;
mod offers;
mod refusal;
mod route;

pub use admitted::{Admitted, Finished, Granted};
pub use builder::ResourceServerBuilder;
pub use charge::{Charge, ChargeError, Handled};
pub use hooks::{Canceled, Protected, ServerHook};
pub use refusal::{Challenge, Refusal};
pub use route::{Route, Way};

use crate::pattern::{RoutePattern, normalize};
use crate::prefer::Preferences;
use serde_json::Value;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tollway_core::{
    Asset, Clock, Facilitator, FacilitatorSelector, LedgerHandle, NetworkId, Request, ResourceInfo, ServerExtension,
};

/// A resource server: decides which requests are free, which are paid, and what the rest is answered. Cheap to clone.
///
/// Transports call [`admit`](Self::admit), run the handler, and call [`Admitted::finish`].
#[derive(Clone)]
pub struct ResourceServer {
    engine: Arc<Engine>,
}

impl fmt::Debug for ResourceServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let routes: Vec<_> = self.engine.routes.iter().map(|route| route.pattern.as_str()).collect();
        f.debug_struct("ResourceServer")
            .field("origin", &self.engine.origin)
            .field("routes", &routes)
            .finish_non_exhaustive()
    }
}

/// A route of a server that covers a request, so that it is looked for once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Covering(usize);

/// What a request is answered with.
#[derive(Debug)]
#[non_exhaustive]
pub enum Admission {
    /// No route covers it: run the handler.
    Free,
    /// Run the handler, then call [`Granted::finished`].
    Granted(Granted),
    /// Do not run the handler.
    Refused(Refusal),
    /// Run the handler, then call [`Admitted::finish`].
    Admitted(Admitted),
}

struct Engine {
    origin: String,
    routes: Vec<ReadyRoute>,
    facilitators: Vec<Arc<dyn Facilitator>>,
    selector: Arc<dyn FacilitatorSelector>,
    preferences: Preferences,
    /// Every extension in use on any route.
    extensions: Vec<Arc<dyn ServerExtension>>,
    hooks: Vec<Arc<dyn ServerHook>>,
    ledger: LedgerHandle,
    clock: Arc<dyn Clock>,
    verify_timeout: Duration,
    settle_timeout: Duration,
    live: heard::LiveCell,
}

/// A route with its plug-ins.
struct ReadyRoute {
    pattern: RoutePattern,
    /// The challenge's `resource`, without the URL.
    info: ResourceInfo,
    /// Replaces the URL of the request in the challenge.
    url: Option<String>,
    ways: Vec<offers::ReadyWay>,
    /// Ways that preferences left out, and why.
    disliked: Vec<(String, String)>,
    extensions: Vec<(Arc<dyn ServerExtension>, Value)>,
}

impl ResourceServer {
    /// Starts building one. `origin` is how clients reach it, `https://api.example.com`; it is never taken from a
    /// request.
    pub fn builder(origin: impl Into<String>) -> ResourceServerBuilder {
        ResourceServerBuilder::new(origin.into())
    }

    /// The route that covers a request. Looks at both spellings of the path, so that a transport which asks first cannot
    /// be fooled.
    pub fn covering(&self, request: &dyn Request) -> Option<Covering> {
        self.engine.route(request).map(Covering)
    }

    /// Most bytes of a request's body that its route's extensions have to see before they are asked.
    pub fn reads_body(&self, route: Covering) -> Option<usize> {
        let route = self.engine.routes.get(route.0)?;
        route.extensions.iter().filter_map(|(extension, _)| extension.reads_body()).max()
    }

    /// What is known about an asset some route is paid in, for pages that show prices to people.
    pub fn asset(&self, network: &NetworkId, address: &str) -> Option<&Asset> {
        let mut ways = self.engine.routes.iter().flat_map(|route| &route.ways);
        ways.find(|way| way.network.id() == network)?.network.asset(address)
    }
}

impl Engine {
    /// The first route that covers a request, in the order they were declared.
    fn route(&self, request: &dyn Request) -> Option<usize> {
        let (verb, target, routed) = (request.method(), request.target(), request.routed_target());
        let path = normalize(target);
        let find = |path: &str| self.routes.iter().position(|route| route.pattern.matches(verb, path));
        let found = find(&path);
        if found.is_some() || routed == target {
            return found;
        }
        // The router's own reading is decoded already: no second decode, or an escaped slash would become one.
        let mut plain = String::with_capacity(routed.len());
        for segment in routed.split(['?', '#']).next().unwrap_or_default().split('/').filter(|s| !s.is_empty()) {
            plain.push('/');
            plain.push_str(segment);
        }
        find(if plain.is_empty() { "/" } else { &plain })
    }
}
