//! Builds a [`ResourceServer`] out of plug-ins and routes. Strict: a route that cannot work is an error here.

use super::calls::InOrder;
use super::heard::LiveCell;
use super::live::{SyncError, nothing_left};
use super::offers::ReadyWay;
use super::{Engine, ReadyRoute, ResourceServer, Route, ServerHook};
use crate::prefer::{Preferences, Subject};
use crate::setup::{Books, Parts, Setup, SetupError, preference_methods, preferences_of, shared_methods};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tollway_core::{
    Binding, Facilitator, FacilitatorSelector, Ledger, LedgerConfig, LedgerHandle, Network, Object, Part, PartKind,
    ResourceInfo, RouteConfig, Scope, SelectorConfig, ServerConfig, ServerExtension,
};

/// Collects what a [`ResourceServer`] needs.
pub struct ResourceServerBuilder {
    setup: Setup,
    origin: String,
    routes: Vec<Route>,
    facilitators: Vec<Arc<dyn Facilitator>>,
    selector: Choice,
    books: Books,
    extensions: BTreeMap<String, Value>,
    /// Those handed over, by the route key each owns.
    made: BTreeMap<String, Arc<dyn ServerExtension>>,
    hooks: Vec<Arc<dyn ServerHook>>,
    verify_timeout: Duration,
    settle_timeout: Duration,
}

/// How to choose among facilitators.
enum Choice {
    /// By the selector `priority`, if it is linked and there is something to choose; else in order.
    Default,
    Open(Arc<dyn FacilitatorSelector>),
    Configured(SelectorConfig),
}

impl Choice {
    /// The selector used where none is named.
    const DEFAULT: &str = "priority";

    async fn open(self, parts: &Parts, facilitators: usize) -> Result<Arc<dyn FacilitatorSelector>, SetupError> {
        let config = match self {
            Self::Open(selector) => return Ok(selector),
            Self::Configured(config) => config,
            Self::Default => {
                let is_default = |part: &Part| part.kind() == PartKind::Selector && part.name() == Self::DEFAULT;
                if facilitators < 2 || !parts.registry.parts().iter().any(is_default) {
                    return Ok(Arc::new(InOrder));
                }
                SelectorConfig::new(Self::DEFAULT, Object::new())
            }
        };
        let section = Value::Object(config.section);
        Ok(parts.registry.selector(&config.kind, section, parts.cx.clone()).await?)
    }
}

impl fmt::Debug for ResourceServerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResourceServerBuilder").field("origin", &self.origin).finish_non_exhaustive()
    }
}

impl ResourceServerBuilder {
    pub(super) fn new(origin: String) -> Self {
        Self {
            setup: Setup::default(),
            origin,
            routes: Vec::new(),
            facilitators: Vec::new(),
            selector: Choice::Default,
            books: Books::Memory,
            extensions: BTreeMap::new(),
            made: BTreeMap::new(),
            hooks: Vec::new(),
            verify_timeout: Duration::from_secs(90),
            settle_timeout: Duration::from_secs(180),
        }
    }

    shared_methods!();
    preference_methods!();

    /// Takes over a whole configuration; later calls add to it.
    pub fn config(mut self, config: ServerConfig) -> Self {
        self.origin = config.origin;
        self.setup.shared = config.shared;
        self.setup.preferences = preferences_of!(config);
        self.selector = config.selector.map_or(Choice::Default, Choice::Configured);
        self.extensions = config.extensions;
        self.books = config.ledger.map_or(Books::Memory, Books::Configured);
        self.routes = config.routes.into_iter().map(Route::from).collect();
        self
    }

    /// Adds a facilitator, under a name of its own. With several, the first that can settle a way is used for it; with a
    /// selector, such as those of `tollway-select`, one that fails is passed over until it is back.
    pub fn facilitator(mut self, facilitator: impl Facilitator + 'static) -> Self {
        self.facilitators.push(Arc::new(facilitator));
        self
    }

    /// Chooses among facilitators otherwise than by their order.
    pub fn selector(mut self, selector: Arc<dyn FacilitatorSelector>) -> Self {
        self.selector = Choice::Open(selector);
        self
    }

    /// Chooses among facilitators by a registered selector, such as `latency`, with the section it reads.
    pub fn select(mut self, kind: &str, section: Object) -> Self {
        self.selector = Choice::Configured(SelectorConfig::new(kind, section));
        self
    }

    /// Adds a route. The first that matches a request counts.
    pub fn route(mut self, route: Route) -> Self {
        self.routes.push(route);
        self
    }

    /// Keeps claims here; in memory if left out.
    pub fn ledger(mut self, ledger: Arc<dyn Ledger>) -> Self {
        self.books = Books::Open(ledger);
        self
    }

    /// Keeps claims in a registered ledger, such as `sqlite`, with the section it reads.
    pub fn ledger_at(mut self, kind: &str, section: Object) -> Self {
        self.books = Books::Configured(LedgerConfig::new(kind, section));
        self
    }

    /// Configures a server extension, by the route key it owns, for all routes that use it.
    pub fn extension(mut self, route_key: &str, section: Value) -> Self {
        self.extensions.insert(route_key.to_owned(), section);
        self
    }

    /// Hands over a server extension, to own this route key in the place of a linked one.
    pub fn use_extension(mut self, route_key: &str, extension: Arc<dyn ServerExtension>) -> Self {
        self.made.insert(route_key.to_owned(), extension);
        self
    }

    /// Adds a hook.
    pub fn hook(mut self, hook: Arc<dyn ServerHook>) -> Self {
        self.hooks.push(hook);
        self
    }

    /// Longest wait for a facilitator's verdict, 90 seconds if left out.
    pub fn verify_timeout(mut self, longest: Duration) -> Self {
        self.verify_timeout = longest;
        self
    }

    /// Longest wait for a settlement, 180 seconds if left out. After it the outcome counts as unknown.
    pub fn settle_timeout(mut self, longest: Duration) -> Self {
        self.settle_timeout = longest;
        self
    }

    /// Makes every plug-in the routes need, asks the facilitators what they support, and checks every route.
    ///
    /// Facilitators that cannot be reached are no error here: they are asked again in the background. Routes that only they
    /// could settle are unavailable until they answer.
    ///
    /// # Errors
    /// A route that cannot work, a plug-in that is missing or refused its section, a facilitator that says this server
    /// is not configured as it should be, a word of the preferences that means nothing.
    pub async fn build(self) -> Result<ResourceServer, SetupError> {
        let origin = check_origin(&self.origin)?;
        let parts = self.setup.into_parts()?;
        let mut extensions =
            Extensions { origin: &origin, sections: self.extensions, made: self.made, uses: BTreeMap::new() };
        for route in &self.routes {
            for (key, section) in &route.config.extensions {
                let uses = extensions.uses.entry(key.clone()).or_default();
                uses.push((route.config.path.clone(), section.clone()));
            }
        }
        let mut routes = Vec::with_capacity(self.routes.len());
        for route in self.routes {
            routes.push(ready_route(&parts, route, &mut extensions).await?);
        }
        let uses = extensions.uses;
        let extensions = extensions.made.into_iter().filter(|(key, _)| uses.contains_key(key));
        let extensions = extensions.map(|(_, extension)| extension).collect();
        check_names(&self.facilitators)?;
        let ways = routes.iter().flat_map(|route| &route.ways);
        let networks = ways.map(|way| way.network.clone()).collect();
        let names = self.facilitators.iter().map(|facilitator| facilitator.name().to_owned()).collect();
        let preferences = parts.preferences(PartKind::SchemeServer, networks, names)?;
        for route in &mut routes {
            leave_out(route, &preferences)?;
        }
        let ledger = self.books.open(&parts).await?;
        let engine = Arc::new(Engine {
            origin,
            routes,
            live: LiveCell::new(self.facilitators.len()),
            selector: self.selector.open(&parts, self.facilitators.len()).await?,
            preferences,
            facilitators: self.facilitators,
            extensions,
            hooks: self.hooks,
            ledger: LedgerHandle::new(ledger, Scope::Server),
            clock: parts.cx.clock.clone(),
            verify_timeout: self.verify_timeout,
            settle_timeout: self.settle_timeout,
        });
        match engine.sync().await {
            Ok(_) => {}
            Err(SyncError::Setup(why)) => return Err(why),
            Err(SyncError::Configuration(why)) => return Err(SetupError::Setting(why)),
            Err(SyncError::Unreachable(why)) => {
                tracing::warn!(%why, "no facilitator can be reached yet; trying again in the background");
                engine.catch_up();
            }
        }
        Ok(ResourceServer { engine })
    }
}

/// Books name the facilitator that was asked: two of one name could be taken for each other.
fn check_names(facilitators: &[Arc<dyn Facilitator>]) -> Result<(), SetupError> {
    let mut names: Vec<_> = facilitators.iter().map(|facilitator| facilitator.name()).collect();
    names.sort_unstable();
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => {
            Err(SetupError::Setting(format!("two facilitators are called `{}`; give one another .name(…)", pair[0])))
        }
        None => Ok(()),
    }
}

/// Takes the ways out of a route that are disliked whoever settles them.
fn leave_out(route: &mut ReadyRoute, preferences: &Preferences) -> Result<(), SetupError> {
    if route.ways.is_empty() {
        return Ok(());
    }
    for way in std::mem::take(&mut route.ways) {
        // Facilitators and assets are not known yet.
        let subject = Subject { open: None, ..way.subject() };
        match preferences.refusal(&subject).filter(|_| !preferences.is_empty()) {
            Some(why) => route.disliked.push((format!("{} on {}", way.way.scheme, way.network.id()), why)),
            None => route.ways.push(way),
        }
    }
    match route.ways.is_empty() {
        true => {
            let why = nothing_left(&route.disliked);
            Err(SetupError::Route { route: route.pattern.to_string(), code: None, why })
        }
        false => Ok(()),
    }
}

/// An origin is a scheme, a host and perhaps a port, and nothing after them.
fn check_origin(origin: &str) -> Result<String, SetupError> {
    let origin = origin.trim_end_matches('/');
    let host = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://")).unwrap_or_default();
    if host.is_empty() || !host.bytes().all(|b| b.is_ascii_graphic() && !b"/?#@\\".contains(&b)) {
        let why =
            format!("the origin `{origin}` must be how clients reach this server, such as `https://api.example.com`");
        return Err(SetupError::Setting(why));
    }
    Ok(origin.to_owned())
}

/// The extensions of a server while its routes are made ready.
struct Extensions<'a> {
    origin: &'a str,
    /// What is configured for all routes, by route key.
    sections: BTreeMap<String, Value>,
    /// Those there are, by route key.
    made: BTreeMap<String, Arc<dyn ServerExtension>>,
    /// Which routes use which, by route key.
    uses: BTreeMap<String, Vec<(String, Value)>>,
}

impl Extensions<'_> {
    /// The part for one use on one route.
    async fn bind(
        &mut self,
        parts: &Arc<Parts>,
        key: &str,
        pattern: &str,
        networks: &[Arc<dyn Network>],
        section: &Value,
    ) -> Result<Arc<dyn ServerExtension>, String> {
        let cx = parts.extension_context();
        let extension = match self.made.get(key) {
            Some(extension) => extension.clone(),
            None => {
                let own = self.sections.get(key).cloned().unwrap_or_else(|| Value::Object(Default::default()));
                let made = parts.registry.server_extension(key, own, cx.clone()).await;
                let made = made.map_err(|why| why.to_string())?;
                self.made.insert(key.to_owned(), made.clone());
                made
            }
        };
        let routes = self.uses.get(key).map(Vec::as_slice).unwrap_or_default();
        let bound = extension.bind(&Binding::new(&cx, self.origin, pattern, networks, section, routes)).await?;
        Ok(bound.unwrap_or(extension))
    }
}

async fn ready_route(
    parts: &Arc<Parts>,
    route: Route,
    extensions: &mut Extensions<'_>,
) -> Result<ReadyRoute, SetupError> {
    let Route { config, ways } = route;
    let mistake = |code, why: String| SetupError::Route { route: config.path.clone(), code, why };
    let pattern = config.path.parse().map_err(|why: crate::PatternError| mistake(None, why.to_string()))?;
    let info = resource_info(&config);
    info.check().map_err(|why| mistake(None, why))?;
    let mut ready_ways = Vec::with_capacity(ways.len());
    for way in ways {
        let id = way.network.parse().map_err(|why: tollway_core::CaipError| mistake(None, why.to_string()))?;
        let network = parts.network(&id).await?;
        let cx = parts.context(&network).await?;
        let section = parts.shared.scheme(&way.scheme, &id);
        let scheme = parts.registry.server(&way.scheme, &id, section, cx).await.map_err(|why| match why {
            why @ tollway_core::RegistryError::Unknown { kind: PartKind::SchemeServer, .. } => {
                mistake(Some("missing_scheme"), why.to_string())
            }
            why => SetupError::Registry(why),
        })?;
        let flows = scheme.flows();
        let flow = way.flow.or_else(|| flows.first().copied()).unwrap_or(tollway_core::Flow::Authorization);
        if !flows.contains(&flow) {
            let known: Vec<_> = flows.iter().map(|flow| flow.name()).collect();
            let why = format!("`{}` cannot be paid `{flow}`; it can be paid {}", way.scheme, known.join(", "));
            return Err(mistake(Some("unsupported_payment_flow"), why));
        }
        let words = parts.registry.network_words(&id);
        let ready = ReadyWay { network, scheme, flow, way, words };
        if let Some(why) = ready.price_mistake() {
            return Err(mistake(None, why));
        }
        ready_ways.push(ready);
    }
    if ready_ways.is_empty() && config.extensions.is_empty() {
        return Err(mistake(None, "it has no way to pay; add .accepts(Way::exact(network, price, payTo))".to_owned()));
    }
    let networks: Vec<_> = ready_ways.iter().map(|ready| ready.network.clone()).collect();
    let mut used = Vec::new();
    for (key, section) in &config.extensions {
        let bound = extensions.bind(parts, key, &config.path, &networks, section).await;
        used.push((bound.map_err(|why| mistake(None, why))?, section.clone()));
    }
    Ok(ReadyRoute { pattern, info, url: config.resource, ways: ready_ways, disliked: Vec::new(), extensions: used })
}

/// The challenge's `resource`. Description and media type are written even when empty, as the deployed server does.
fn resource_info(config: &RouteConfig) -> ResourceInfo {
    let mut info = ResourceInfo::new("");
    info.description = Some(config.description.clone());
    info.mime_type = Some(config.mime_type.clone());
    info.service_name = config.service_name.clone();
    info.tags = config.tags.clone();
    info.icon_url = config.icon_url.clone();
    info
}
