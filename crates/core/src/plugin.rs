//! [`Plugin`], [`Build`] and [`Registrar`]: how a crate offers its parts.

use crate::erased::{ClientDyn, FacilitatorDyn, ServerDyn};
use crate::{
    ClientExtension, Clock, EnvironmentSecrets, FacilitatorExtension, FacilitatorSelector, Ledger, Network, NetworkId,
    NetworkPattern, NetworkWords, Scheme, SchemeClient, SchemeFacilitator, SchemeServer, Secrets, ServerExtension,
    Signer, SystemClock, Vocabulary,
};
use async_trait::async_trait;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::any::Any;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

/// A named set of parts. A `const`, so that automatic registration and registration by hand share it.
#[derive(Clone, Copy)]
pub struct Plugin {
    name: &'static str,
    summary: &'static str,
    install: fn(&mut Registrar),
}

impl Plugin {
    /// A plug-in. `name` is its crate's name; `install` hands its parts to the registrar.
    pub const fn new(name: &'static str, summary: &'static str, install: fn(&mut Registrar)) -> Self {
        Self { name, summary, install }
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// What it adds, in one line.
    pub fn summary(&self) -> &'static str {
        self.summary
    }

    pub(crate) fn install(&self) -> Vec<Part> {
        let mut registrar = Registrar { plugin: self.name, parts: Vec::new() };
        (self.install)(&mut registrar);
        registrar.parts
    }
}

impl fmt::Debug for Plugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plugin").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A part that is made from a section of configuration.
pub trait Build: Sized + Send + Sync + 'static {
    /// The section. Say `#[serde(deny_unknown_fields)]`, or a misspelt key is silently ignored.
    type Config: DeserializeOwned + Send;

    /// The section as JSON, with every key a user would set; shown in documentation and tried by the conformance suite.
    const EXAMPLE: &'static str = "{}";

    /// Makes the part.
    ///
    /// # Errors
    /// What is wrong and which key to change.
    fn build(config: Self::Config, cx: BuildContext) -> impl Future<Output = Result<Self, String>> + Send;
}

/// What a role lends to parts that are made for no network in particular: its networks, its keys, its plug-ins.
#[async_trait]
pub trait Host: Send + Sync {
    /// Opens a network, or gives the one that is open.
    ///
    /// # Errors
    /// No plug-in opens it, or it refused its section.
    async fn network(&self, id: &NetworkId) -> Result<Arc<dyn Network>, String>;

    /// The keys configured for a network, in order of preference; opens the network where there are any.
    ///
    /// # Errors
    /// As [`network`](Self::network), or a key cannot be read.
    async fn signers(&self, id: &NetworkId) -> Result<Vec<Arc<dyn Signer>>, String>;

    /// Opens a store that was registered by [`Registrar::store`].
    ///
    /// # Errors
    /// None of that name is registered, or it refused its section.
    async fn store(&self, name: &str, section: Value) -> Result<Arc<dyn Any + Send + Sync>, String>;
}

/// What a part may use while it is made.
#[derive(Clone)]
#[non_exhaustive]
pub struct BuildContext {
    /// The network a scheme or signer is made for.
    pub network: Option<Arc<dyn Network>>,
    /// The keys configured for that network, in order.
    pub signers: Vec<Arc<dyn Signer>>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// What resolves `env:` and `file:` references.
    pub secrets: Arc<dyn Secrets>,
    /// The role an extension is made for.
    pub host: Option<Arc<dyn Host>>,
}

impl BuildContext {
    /// A context with no network, no signers, no host and the system's clock.
    pub fn new() -> Self {
        Self {
            network: None,
            signers: Vec::new(),
            clock: Arc::new(SystemClock),
            secrets: Arc::new(EnvironmentSecrets),
            host: None,
        }
    }

    /// The same context for an extension of a role.
    pub fn with_host(&self, host: Arc<dyn Host>) -> Self {
        Self { host: Some(host), ..self.clone() }
    }

    /// The role an extension is made for.
    ///
    /// # Errors
    /// There is none.
    pub fn host(&self) -> Result<&Arc<dyn Host>, String> {
        self.host.as_ref().ok_or_else(|| "this part is made for a server, a client or a facilitator only".to_owned())
    }

    /// The same context for a scheme of `network`.
    pub fn with_network(&self, network: Arc<dyn Network>) -> Self {
        Self { network: Some(network), ..self.clone() }
    }

    /// The same context with these signers.
    pub fn with_signers(&self, signers: Vec<Arc<dyn Signer>>) -> Self {
        Self { signers, ..self.clone() }
    }

    /// The network as the type its crate made it. A stranger's scheme on a chain asks for that chain's type here.
    ///
    /// # Errors
    /// The network is of another type, or there is none.
    pub fn network<T: Network>(&self) -> Result<Arc<T>, String> {
        let network = self.network.clone().ok_or("this part needs a network, and was made without one")?;
        let id = network.id().clone();
        let any: Arc<dyn Any + Send + Sync> = network;
        any.downcast().map_err(|_| format!("{id} was opened by another plug-in than `{}`", std::any::type_name::<T>()))
    }

    /// The first signer.
    ///
    /// # Errors
    /// None is configured; says how to.
    pub fn signer(&self) -> Result<Arc<dyn Signer>, String> {
        self.signers.first().cloned().ok_or_else(|| {
            let at = self.network.as_ref().map_or_else(|| "the network".to_owned(), |network| network.id().to_string());
            format!("no key is configured for {at}; add signers = {{ \"{at}\" = {{ key = \"env:MY_KEY\" }} }}")
        })
    }
}

impl Default for BuildContext {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for BuildContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BuildContext")
            .field("network", &self.network.as_ref().map(|network| network.id().clone()))
            .field("signers", &self.signers.len())
            .finish_non_exhaustive()
    }
}

pub(crate) type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;
pub(crate) type Factory<T> = fn(Value, BuildContext) -> BoxFuture<Result<Arc<T>, String>>;

/// A factory by kind. Plain data: typed at the author's side, erased here.
#[derive(Clone, Copy)]
pub(crate) enum Maker {
    Network(Factory<dyn Network>),
    Signer(Factory<dyn Signer>),
    Client(Factory<dyn ClientDyn>),
    Server(Factory<dyn ServerDyn>),
    Facilitator(Factory<dyn FacilitatorDyn>),
    ServerExtension(Factory<dyn ServerExtension>),
    ClientExtension(Factory<dyn ClientExtension>),
    FacilitatorExtension(Factory<dyn FacilitatorExtension>),
    Selector(Factory<dyn FacilitatorSelector>),
    Ledger(Factory<dyn Ledger>),
    Store(Factory<dyn Any + Send + Sync>),
}

/// The kinds of parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum PartKind {
    /// A chain.
    Network,
    /// A kind of key.
    Signer,
    /// A scheme's paying side.
    SchemeClient,
    /// A scheme's selling side.
    SchemeServer,
    /// A scheme's settling side.
    SchemeFacilitator,
    /// An extension's server side.
    ServerExtension,
    /// An extension's client side.
    ClientExtension,
    /// An extension's facilitator side.
    FacilitatorExtension,
    /// A choice among facilitators.
    Selector,
    /// A store of claims.
    Ledger,
    /// A store of another kind, for the plug-in that names it.
    Store,
}

impl fmt::Display for PartKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Network => "network",
            Self::Signer => "signer",
            Self::SchemeClient => "scheme client",
            Self::SchemeServer => "scheme server",
            Self::SchemeFacilitator => "scheme facilitator",
            Self::ServerExtension => "server extension",
            Self::ClientExtension => "client extension",
            Self::FacilitatorExtension => "facilitator extension",
            Self::Selector => "facilitator selector",
            Self::Ledger => "ledger",
            Self::Store => "store",
        })
    }
}

/// One registered part.
#[derive(Clone)]
pub struct Part {
    pub(crate) kind: PartKind,
    pub(crate) name: &'static str,
    pub(crate) at: Option<&'static str>,
    pub(crate) route_key: Option<&'static str>,
    pub(crate) example: &'static str,
    pub(crate) plugin: &'static str,
    pub(crate) make: Maker,
    pub(crate) speaks: Option<Speaks>,
}

/// A network part's words, which need no network opened.
#[derive(Clone, Copy)]
pub(crate) struct Speaks {
    pub(crate) words: fn(&NetworkId) -> NetworkWords,
    pub(crate) vocabulary: fn() -> Vocabulary,
}

impl Part {
    /// What it is.
    pub fn kind(&self) -> PartKind {
        self.kind
    }

    /// Its name within the kind: the scheme's, the extension's key, the store's. A network's is its pattern.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The pattern of networks it serves, as registered.
    pub fn at(&self) -> Option<&'static str> {
        self.at
    }

    /// The key of a route's configuration a server extension owns.
    pub fn route_key(&self) -> Option<&'static str> {
        self.route_key
    }

    /// An example of its configuration, as JSON.
    pub fn example(&self) -> &'static str {
        self.example
    }

    /// The plug-in it came from.
    pub fn plugin(&self) -> &'static str {
        self.plugin
    }

    pub(crate) fn pattern(&self) -> Option<NetworkPattern> {
        self.at.and_then(|at| at.parse().ok())
    }

    /// Makes the part and throws it away: whether a configuration is accepted, for conformance suites and
    /// `config check` commands.
    ///
    /// # Errors
    /// As [`Build::build`], or that the configuration is not of the right shape.
    pub async fn try_config(&self, config: Value, cx: BuildContext) -> Result<(), String> {
        match self.make {
            Maker::Network(make) => make(config, cx).await.map(drop),
            Maker::Signer(make) => make(config, cx).await.map(drop),
            Maker::Client(make) => make(config, cx).await.map(drop),
            Maker::Server(make) => make(config, cx).await.map(drop),
            Maker::Facilitator(make) => make(config, cx).await.map(drop),
            Maker::ServerExtension(make) => make(config, cx).await.map(drop),
            Maker::ClientExtension(make) => make(config, cx).await.map(drop),
            Maker::FacilitatorExtension(make) => make(config, cx).await.map(drop),
            Maker::Selector(make) => make(config, cx).await.map(drop),
            Maker::Ledger(make) => make(config, cx).await.map(drop),
            Maker::Store(make) => make(config, cx).await.map(drop),
        }
    }
}

impl fmt::Debug for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} `{}`", self.kind, self.name)?;
        self.at.iter().try_for_each(|at| write!(f, " at {at}"))?;
        write!(f, " from {}", self.plugin)
    }
}

/// Takes the parts of one plug-in.
#[derive(Debug)]
pub struct Registrar {
    plugin: &'static str,
    parts: Vec<Part>,
}

/// A factory for parts of type `B`, erased to `$erased`.
macro_rules! factory {
    ($erased:ty) => {
        |config, cx| {
            Box::pin(async move {
                let config = serde_json::from_value(config).map_err(|why| why.to_string())?;
                let part: Arc<$erased> = Arc::new(B::build(config, cx).await?);
                Ok(part)
            })
        }
    };
}

impl Registrar {
    fn add<B: Build>(
        &mut self,
        kind: PartKind,
        name: &'static str,
        at: Option<&'static str>,
        make: Maker,
    ) -> &mut Part {
        let part =
            Part { kind, name, at, route_key: None, example: B::EXAMPLE, plugin: self.plugin, make, speaks: None };
        self.parts.push(part);
        let last = self.parts.len().saturating_sub(1);
        &mut self.parts[last]
    }

    /// A chain, for an id or for a pattern such as `eip155:*`.
    pub fn network<B: Build + Network>(&mut self, at: &'static str) -> &mut Self {
        let part = self.add::<B>(PartKind::Network, at, Some(at), Maker::Network(factory!(dyn Network)));
        part.speaks = Some(Speaks { words: B::words, vocabulary: B::vocabulary });
        self
    }

    /// A kind of key for a pattern of networks. A configuration that names no kind gets the one called `local`.
    pub fn signer<B: Build + Signer>(&mut self, name: &'static str, at: &'static str) -> &mut Self {
        self.add::<B>(PartKind::Signer, name, Some(at), Maker::Signer(factory!(dyn Signer)));
        self
    }

    /// A scheme's paying side.
    pub fn client<B: Build + SchemeClient>(&mut self, at: &'static str) -> &mut Self {
        let name = <B as SchemeClient>::Scheme::NAME;
        self.add::<B>(PartKind::SchemeClient, name, Some(at), Maker::Client(factory!(dyn ClientDyn)));
        self
    }

    /// A scheme's selling side.
    pub fn server<B: Build + SchemeServer>(&mut self, at: &'static str) -> &mut Self {
        let name = <B as SchemeServer>::Scheme::NAME;
        self.add::<B>(PartKind::SchemeServer, name, Some(at), Maker::Server(factory!(dyn ServerDyn)));
        self
    }

    /// A scheme's settling side.
    pub fn facilitator<B: Build + SchemeFacilitator>(&mut self, at: &'static str) -> &mut Self {
        let name = <B as SchemeFacilitator>::Scheme::NAME;
        self.add::<B>(PartKind::SchemeFacilitator, name, Some(at), Maker::Facilitator(factory!(dyn FacilitatorDyn)));
        self
    }

    /// An extension's server side, under its key on the wire, owning `route_key` in a route's configuration.
    pub fn server_extension<B: Build + ServerExtension>(
        &mut self,
        key: &'static str,
        route_key: &'static str,
    ) -> &mut Self {
        let make = Maker::ServerExtension(factory!(dyn ServerExtension));
        self.add::<B>(PartKind::ServerExtension, key, None, make).route_key = Some(route_key);
        self
    }

    /// An extension's client side.
    pub fn client_extension<B: Build + ClientExtension>(&mut self, key: &'static str) -> &mut Self {
        self.add::<B>(PartKind::ClientExtension, key, None, Maker::ClientExtension(factory!(dyn ClientExtension)));
        self
    }

    /// An extension's facilitator side.
    pub fn facilitator_extension<B: Build + FacilitatorExtension>(&mut self, key: &'static str) -> &mut Self {
        let make = Maker::FacilitatorExtension(factory!(dyn FacilitatorExtension));
        self.add::<B>(PartKind::FacilitatorExtension, key, None, make);
        self
    }

    /// A choice among facilitators.
    pub fn selector<B: Build + FacilitatorSelector>(&mut self, name: &'static str) -> &mut Self {
        self.add::<B>(PartKind::Selector, name, None, Maker::Selector(factory!(dyn FacilitatorSelector)));
        self
    }

    /// A store of claims.
    pub fn ledger<B: Build + Ledger>(&mut self, name: &'static str) -> &mut Self {
        self.add::<B>(PartKind::Ledger, name, None, Maker::Ledger(factory!(dyn Ledger)));
        self
    }

    /// A store whose trait another plug-in defines. `name` begins with what is stored: `sessions/sqlite`. `T` is the
    /// type that plug-in asks for.
    pub fn store<B: Build + Into<T>, T: Any + Send + Sync>(&mut self, name: &'static str) -> &mut Self {
        let make: Factory<dyn Any + Send + Sync> = |config, cx| {
            Box::pin(async move {
                let config = serde_json::from_value(config).map_err(|why| why.to_string())?;
                let store: T = B::build(config, cx).await?.into();
                Ok(Arc::new(store) as Arc<dyn Any + Send + Sync>)
            })
        };
        self.add::<B>(PartKind::Store, name, None, Maker::Store(make));
        self
    }
}

/// Registers a plug-in before `main`, in every program that links its crate. Without the `inventory` feature it
/// expands to nothing.
///
/// A crate that no source names is not linked: a program says `use tollway_evm as _;`, or goes through a facade.
#[cfg(feature = "inventory")]
#[macro_export]
macro_rules! register {
    ($plugin:expr) => {
        $crate::__private::inventory::submit! { $crate::__private::Submitted($plugin) }
    };
}

/// Registers a plug-in before `main`; empty here, since the `inventory` feature is off.
#[cfg(not(feature = "inventory"))]
#[macro_export]
macro_rules! register {
    ($plugin:expr) => {};
}
