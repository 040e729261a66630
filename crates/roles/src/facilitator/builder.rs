//! Builds a [`LocalFacilitator`] out of plug-ins.

use super::{Engine, FacilitatorHook, LocalFacilitator, Served, keeper};
use crate::setup::{Books, Setup, SetupError, shared_methods};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tollway_core::{
    FacilitatorConfig, FacilitatorExtension, Ledger, LedgerConfig, LedgerHandle, Object, PartKind, Scope,
};

/// How often open settlements are looked after, if nothing else is said.
const RECONCILE_EVERY: Duration = Duration::from_secs(10);
/// How long a settlement in another process is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// Collects what a [`LocalFacilitator`] needs.
#[derive(Default)]
pub struct LocalFacilitatorBuilder {
    setup: Setup,
    name: Option<String>,
    books: Books,
    extensions: BTreeMap<String, Value>,
    /// Those handed over.
    made: Vec<Arc<dyn FacilitatorExtension>>,
    hooks: Vec<Arc<dyn FacilitatorHook>>,
    reconcile_every: Option<Duration>,
}

impl fmt::Debug for LocalFacilitatorBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalFacilitatorBuilder").finish_non_exhaustive()
    }
}

impl LocalFacilitatorBuilder {
    shared_methods!();

    /// Takes over a whole configuration; later calls add to it.
    pub fn config(mut self, config: FacilitatorConfig) -> Self {
        self.setup.shared = config.shared;
        self.extensions = config.extensions;
        self.books = config.ledger.map_or(Books::Memory, Books::Configured);
        self
    }

    /// A name for logs and errors; `local` if left out.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Keeps claims and signed transactions here; in memory if left out.
    pub fn ledger(mut self, ledger: Arc<dyn Ledger>) -> Self {
        self.books = Books::Open(ledger);
        self
    }

    /// Keeps claims and signed transactions in a registered ledger, such as `sqlite`, with the section it reads.
    pub fn ledger_at(mut self, kind: &str, section: Object) -> Self {
        self.books = Books::Configured(LedgerConfig::new(kind, section));
        self
    }

    /// Adds a registered extension, with the section it reads.
    pub fn extension(mut self, key: &str, section: Value) -> Self {
        self.extensions.insert(key.to_owned(), section);
        self
    }

    /// Hands over an extension, in the place of a linked one of the same key.
    pub fn use_extension(mut self, extension: Arc<dyn FacilitatorExtension>) -> Self {
        self.made.push(extension);
        self
    }

    /// How often settlements that a crash or a time-out left open are looked after; every 10 seconds if left out. It is
    /// done once at the start in any case.
    pub fn reconcile_every(mut self, every: Duration) -> Self {
        match every.is_zero() {
            true => drop(self.setup.note(Err::<(), _>(SetupError::Setting(
                "open settlements cannot be looked after every 0 seconds; say how often".to_owned(),
            )))),
            false => self.reconcile_every = Some(every),
        }
        self
    }

    /// Adds a hook.
    pub fn hook(mut self, hook: Arc<dyn FacilitatorHook>) -> Self {
        self.hooks.push(hook);
        self
    }

    /// Opens every network configured and makes every scheme registered for it.
    ///
    /// # Errors
    /// Whatever is missing or refused its section; there is no half-built facilitator.
    pub async fn build(self) -> Result<LocalFacilitator, SetupError> {
        let parts = self.setup.into_parts()?;
        let mut sides = BTreeMap::new();
        for id in parts.network_ids().await {
            let network = parts.network(&id).await?;
            let cx = parts.context(&network).await?;
            let mut schemes = BTreeMap::new();
            for name in parts.registry.schemes(PartKind::SchemeFacilitator, &id) {
                let section = parts.shared.scheme(name, &id);
                schemes.insert(name, parts.registry.facilitator(name, &id, section, cx.clone()).await?);
            }
            sides.insert(id, Served { network, schemes, looks: Default::default() });
        }
        if sides.is_empty() {
            let why =
                "a facilitator needs a network; add .network(\"eip155:84532\", json!({ \"rpc\": \"https://…\" }))";
            return Err(SetupError::Setting(why.to_owned()));
        }
        let mut extensions = self.made;
        for (key, section) in self.extensions {
            if extensions.iter().any(|made| made.key() == key) {
                continue;
            }
            let cx = parts.extension_context();
            extensions.push(parts.registry.facilitator_extension(&key, section, cx).await?);
        }
        let ledger = self.books.open(&parts).await?;
        let engine = Arc::new(Engine {
            name: self.name.unwrap_or_else(|| "local".to_owned()),
            sides,
            extensions,
            hooks: self.hooks,
            ledger: LedgerHandle::new(ledger, Scope::Facilitator),
            under_way: Mutex::default(),
            patience: PATIENCE,
        });
        keeper::start(&engine, self.reconcile_every.unwrap_or(RECONCILE_EVERY));
        Ok(LocalFacilitator { engine })
    }
}
