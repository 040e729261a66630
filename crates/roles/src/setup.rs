//! What all three builders share: a registry, networks opened once, keys.

use crate::MemoryLedger;
use crate::prefer::{Known, Preferences};
use async_trait::async_trait;
use serde_json::Value;
use std::any::Any;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Weak};
use tokio::sync::Mutex;
use tollway_core::{
    BuildContext, CaipError, Host, Ledger, LedgerConfig, Network, NetworkId, NetworkPattern, PartKind,
    PreferencesConfig, Registry, RegistryError, SharedConfig, Signer,
};

/// Why a role could not be set up. Every text says what to change.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SetupError {
    /// A plug-in is missing, doubled, or refused its section.
    Registry(RegistryError),
    /// A network name that is none.
    Network(CaipError),
    /// A route cannot work as it stands.
    Route {
        /// The route's pattern.
        route: String,
        /// A code of the deployed server where it has one: `missing_scheme`, `missing_facilitator`,
        /// `unsupported_payment_flow`.
        code: Option<&'static str>,
        /// What to change.
        why: String,
    },
    /// Another setting is wrong or missing.
    Setting(String),
}

impl fmt::Display for SetupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Registry(why) => why.fmt(f),
            Self::Network(why) => why.fmt(f),
            Self::Route { route, code: Some(code), why } => write!(f, "route `{route}`: {code}: {why}"),
            Self::Route { route, code: None, why } => write!(f, "route `{route}`: {why}"),
            Self::Setting(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for SetupError {}

impl From<RegistryError> for SetupError {
    fn from(why: RegistryError) -> Self {
        Self::Registry(why)
    }
}

impl From<CaipError> for SetupError {
    fn from(why: CaipError) -> Self {
        Self::Network(why)
    }
}

/// What a builder collects before anything is opened.
#[derive(Clone, Default)]
pub(crate) struct Setup {
    pub(crate) registry: Option<Registry>,
    pub(crate) shared: SharedConfig,
    pub(crate) cx: BuildContext,
    pub(crate) networks: Vec<Arc<dyn Network>>,
    pub(crate) signers: Vec<(NetworkPattern, Arc<dyn Signer>)>,
    /// What is liked best, not yet understood.
    pub(crate) preferences: PreferencesConfig,
    /// The first thing said to the builder that cannot be.
    pub(crate) mistake: Option<SetupError>,
}

impl Setup {
    /// Notes a mistake, so that builder methods need not return results.
    pub(crate) fn note<T, E: Into<SetupError>>(&mut self, result: Result<T, E>) -> Option<T> {
        result.map_err(|why| self.mistake.get_or_insert_with(|| why.into())).ok()
    }

    pub(crate) fn into_parts(self) -> Result<Arc<Parts>, SetupError> {
        if let Some(mistake) = self.mistake {
            return Err(mistake);
        }
        let registry = self.registry.map_or_else(Registry::discover, Ok)?;
        let known = self.networks.iter().map(|network| (network.id().clone(), Arc::downgrade(network))).collect();
        Ok(Arc::new(Parts {
            registry,
            shared: self.shared,
            cx: self.cx,
            signers: self.signers,
            preferences: self.preferences,
            open: Mutex::new(Open { known, kept: self.networks }),
        }))
    }
}

/// A registry with its configuration: opens networks once and makes what stands on them.
pub(crate) struct Parts {
    pub(crate) registry: Registry,
    pub(crate) shared: SharedConfig,
    pub(crate) cx: BuildContext,
    signers: Vec<(NetworkPattern, Arc<dyn Signer>)>,
    preferences: PreferencesConfig,
    open: Mutex<Open>,
}

/// The networks that are open.
struct Open {
    /// All of them. Peers can name any number of networks, so most stay open only for as long as somebody uses them.
    known: HashMap<NetworkId, Weak<dyn Network>>,
    /// Those that are configured or were handed over, which stay open.
    kept: Vec<Arc<dyn Network>>,
}

impl Parts {
    /// A network that is open.
    pub(crate) async fn opened(&self, id: &NetworkId) -> Option<Arc<dyn Network>> {
        self.open.lock().await.known.get(id).and_then(Weak::upgrade)
    }

    /// Opens a network, or gives the one that is open.
    pub(crate) async fn network(&self, id: &NetworkId) -> Result<Arc<dyn Network>, SetupError> {
        let mut open = self.open.lock().await;
        if let Some(network) = open.known.get(id).and_then(Weak::upgrade) {
            return Ok(network);
        }
        let network = self.registry.network(id, self.shared.network(id), self.cx.clone()).await?;
        if self.shared.networks.contains_key(id) {
            open.kept.push(network.clone());
        }
        open.known.retain(|_, network| network.strong_count() > 0);
        open.known.insert(id.clone(), Arc::downgrade(&network));
        Ok(network)
    }

    /// Every network that is configured or was handed over open.
    pub(crate) async fn network_ids(&self) -> Vec<NetworkId> {
        let open = self.open.lock().await;
        let mut ids: Vec<_> = open.kept.iter().map(|network| network.id()).chain(self.shared.networks.keys()).collect();
        ids.sort();
        ids.dedup();
        ids.into_iter().cloned().collect()
    }

    /// Understands the preferences, by the words of the plug-ins, of these networks, and of these facilitators.
    pub(crate) fn preferences(
        &self,
        side: PartKind,
        networks: Vec<Arc<dyn Network>>,
        facilitators: Vec<String>,
    ) -> Result<Preferences, SetupError> {
        let schemes = self.registry.parts().iter().filter(|part| part.kind() == side);
        let mut schemes: Vec<_> = schemes.map(|part| part.name().to_owned()).collect();
        schemes.dedup();
        let known = Known { vocabulary: self.registry.vocabulary(), networks, schemes, facilitators };
        Preferences::parse(&self.preferences, &known).map_err(SetupError::Setting)
    }

    /// The context for a scheme on a network: the network, and the keys configured for it.
    pub(crate) async fn context(&self, network: &Arc<dyn Network>) -> Result<BuildContext, SetupError> {
        let id = network.id();
        let cx = self.cx.with_network(network.clone());
        let mut signers: Vec<_> =
            self.signers.iter().filter(|(at, _)| at.matches(id)).map(|(_, signer)| signer.clone()).collect();
        for config in self.shared.signers.iter().filter(|(at, _)| at.matches(id)).flat_map(|(_, keys)| keys) {
            let section = Value::Object(config.section.clone());
            signers.push(self.registry.signer(&config.kind, id, section, cx.clone()).await?);
        }
        Ok(cx.with_signers(signers))
    }

    /// The context for an extension: it may ask for any network.
    pub(crate) fn extension_context(self: &Arc<Self>) -> BuildContext {
        self.cx.with_host(self.clone())
    }

    /// Whether there is a key for a network.
    pub(crate) fn has_signer(&self, id: &NetworkId) -> bool {
        let mut patterns = self.signers.iter().map(|(at, _)| at).chain(self.shared.signers.keys());
        patterns.any(|at| at.matches(id))
    }
}

#[async_trait]
impl Host for Parts {
    async fn network(&self, id: &NetworkId) -> Result<Arc<dyn Network>, String> {
        Self::network(self, id).await.map_err(|why| why.to_string())
    }

    async fn signers(&self, id: &NetworkId) -> Result<Vec<Arc<dyn Signer>>, String> {
        if !self.has_signer(id) {
            return Ok(Vec::new());
        }
        let network = Host::network(self, id).await?;
        self.context(&network).await.map(|cx| cx.signers).map_err(|why| why.to_string())
    }

    async fn store(&self, name: &str, section: Value) -> Result<Arc<dyn Any + Send + Sync>, String> {
        self.registry.store(name, section, self.cx.clone()).await.map_err(|why| why.to_string())
    }
}

/// Where a role that keeps books keeps them.
#[derive(Default)]
pub(crate) enum Books {
    /// In memory.
    #[default]
    Memory,
    /// In a ledger that was handed over.
    Open(Arc<dyn Ledger>),
    /// In one that is still to be opened.
    Configured(LedgerConfig),
}

impl Books {
    pub(crate) async fn open(self, parts: &Parts) -> Result<Arc<dyn Ledger>, SetupError> {
        match self {
            Self::Memory => Ok(Arc::new(MemoryLedger::new(parts.cx.clock.clone()))),
            Self::Open(ledger) => Ok(ledger),
            Self::Configured(LedgerConfig { kind, section, .. }) => {
                Ok(parts.registry.ledger(&kind, Value::Object(section), parts.cx.clone()).await?)
            }
        }
    }
}

/// The builder methods that all three roles have. The builder has a field `setup`.
macro_rules! shared_methods {
    () => {
        /// Uses these plug-ins instead of all those linked into the program.
        pub fn registry(mut self, registry: tollway_core::Registry) -> Self {
            self.setup.registry = Some(registry);
            self
        }

        /// Configures a network with the section its plug-in reads, such as `json!({ "rpc": "https://…" })`.
        pub fn network(mut self, id: &str, section: serde_json::Value) -> Self {
            if let Some(id) = self.setup.note(id.parse()) {
                self.setup.shared.networks.insert(id, section);
            }
            self
        }

        /// Hands over a network that is already open.
        pub fn open_network(mut self, network: std::sync::Arc<dyn tollway_core::Network>) -> Self {
            self.setup.networks.push(network);
            self
        }

        /// Configures a key for a network or a pattern such as `eip155:*`, by reference: `env:NAME` or `file:PATH`.
        pub fn key(mut self, at: &str, reference: &str) -> Self {
            if let Some(at) = self.setup.note(at.parse()) {
                self.setup.shared.signers.entry(at).or_default().push(tollway_core::SignerConfig::local(reference));
            }
            self
        }

        /// Hands over a signer for a network or a pattern.
        pub fn signer(mut self, at: &str, signer: std::sync::Arc<dyn tollway_core::Signer>) -> Self {
            if let Some(at) = self.setup.note(at.parse()) {
                self.setup.signers.push((at, signer));
            }
            self
        }

        /// Configures a scheme on a network with the section its plug-in reads.
        pub fn scheme(mut self, name: &str, network: &str, section: serde_json::Value) -> Self {
            if let Some(id) = self.setup.note(network.parse()) {
                self.setup.shared.schemes.entry(name.to_owned()).or_default().insert(id, section);
            }
            self
        }

        /// Tells the time by this clock.
        pub fn clock(mut self, clock: std::sync::Arc<dyn tollway_core::Clock>) -> Self {
            self.setup.cx.clock = clock;
            self
        }

        /// Resolves references to secrets this way, instead of from the environment and files.
        pub fn secrets(mut self, secrets: std::sync::Arc<dyn tollway_core::Secrets>) -> Self {
            self.setup.cx.secrets = secrets;
            self
        }
    };
}
pub(crate) use shared_methods;

/// The builder methods of the roles that choose among offers. The builder has a field `setup`.
macro_rules! preference_methods {
    () => {
        /// Likes these best, the first most: networks (`solana`, `eip155:8453`, `testnet`), tickers and addresses of
        /// assets, schemes, facilitators. A word that names nothing is an error when this is built.
        pub fn prefer<W: Into<String>>(mut self, words: impl IntoIterator<Item = W>) -> Self {
            self.setup.preferences.prefer = words.into_iter().map(Into::into).collect();
            self
        }

        /// Never pays or is paid by these.
        pub fn avoid<W: Into<String>>(mut self, words: impl IntoIterator<Item = W>) -> Self {
            self.setup.preferences.avoid = words.into_iter().map(Into::into).collect();
            self
        }

        /// Pays or is paid by these and nothing else. Words of one kind are alternatives, words of different kinds must
        /// all hold.
        pub fn only<W: Into<String>>(mut self, words: impl IntoIterator<Item = W>) -> Self {
            self.setup.preferences.only = words.into_iter().map(Into::into).collect();
            self
        }

        /// Says how much price and speed count among offers that are liked equally.
        pub fn weights(mut self, weights: tollway_core::Weights) -> Self {
            self.setup.preferences.weights = weights;
            self
        }
    };
}
pub(crate) use preference_methods;

/// The preferences a configuration holds.
macro_rules! preferences_of {
    ($config:expr) => {{
        let mut preferences = tollway_core::PreferencesConfig::default();
        preferences.prefer = $config.prefer;
        preferences.avoid = $config.avoid;
        preferences.only = $config.only;
        preferences.weights = $config.weights;
        preferences
    }};
}
pub(crate) use preferences_of;
