//! Builds a [`Catalogue`].

use super::config::{CatalogueConfig, StoreConfig};
use super::{Catalogue, Inner};
use crate::find::Assets;
use crate::memory::MemoryCatalogue;
use crate::probe::{Fetch, SafeFetch};
use crate::store::{CatalogueStore, Limits, SharedCatalogue};
use serde_json::Value;
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock};
use tollway_core::{BuildContext, Clock, Host, SystemClock};

/// Shortest time between two probes of a service, in seconds.
const LEAST_EVERY: u64 = 10;

/// Collects what a [`Catalogue`] needs.
#[derive(Default)]
#[must_use]
pub struct CatalogueBuilder {
    config: CatalogueConfig,
    store: Option<Arc<dyn CatalogueStore>>,
    fetch: Option<Arc<dyn Fetch>>,
    clock: Option<Arc<dyn Clock>>,
    host: Option<Arc<dyn Host>>,
}

impl fmt::Debug for CatalogueBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CatalogueBuilder").field("config", &self.config).finish_non_exhaustive()
    }
}

impl CatalogueBuilder {
    /// Takes over a section of configuration, with the store it names.
    ///
    /// # Errors
    /// The store is not registered or cannot be opened.
    pub async fn config(mut self, mut config: CatalogueConfig, cx: &BuildContext) -> Result<Self, String> {
        if let Some(StoreConfig { kind, section }) = config.store.take() {
            let store = cx.host()?.store(&format!("catalogue/{kind}"), Value::Object(section)).await?;
            let shared = store
                .downcast::<SharedCatalogue>()
                .map_err(|_| format!("the store `catalogue/{kind}` is not registered as SharedCatalogue"))?;
            self.store = Some((*shared).clone().into_inner());
        }
        self.config = config;
        self.clock = Some(cx.clock.clone());
        self.host.clone_from(&cx.host);
        Ok(self)
    }

    /// The settings alone.
    pub fn settings(mut self, config: CatalogueConfig) -> Self {
        self.config = config;
        self
    }

    /// Keeps entries here; in memory if left out.
    pub fn store(mut self, store: Arc<dyn CatalogueStore>) -> Self {
        self.store = Some(store);
        self
    }

    /// Asks resources this way, instead of by [`SafeFetch`].
    pub fn fetch(mut self, fetch: Arc<dyn Fetch>) -> Self {
        self.fetch = Some(fetch);
        self
    }

    /// Tells the time by this clock.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Prices offers with the assets of this role's networks.
    pub fn host(mut self, host: Arc<dyn Host>) -> Self {
        self.host = Some(host);
        self
    }

    /// Makes the catalogue. Its work begins with the runtime it is first used in.
    ///
    /// # Errors
    /// A setting that cannot work, or no HTTP client can be made.
    pub fn build(self) -> Result<Catalogue, String> {
        let config = self.config;
        if config.probe_every_seconds < LEAST_EVERY {
            return Err(format!("probeEverySeconds is {LEAST_EVERY} at least"));
        }
        if config.dead_after == 0 || config.per_payer == 0 || config.per_host == 0 {
            return Err("deadAfter, perPayer and perHost are 1 at least".to_owned());
        }
        let fetch = match self.fetch {
            Some(fetch) => fetch,
            None => Arc::new(SafeFetch::new(config.allow_loopback)?),
        };
        let catalogue = Catalogue {
            inner: Arc::new(Inner {
                store: self.store.unwrap_or_else(|| Arc::new(MemoryCatalogue::new())),
                fetch,
                clock: self.clock.unwrap_or_else(|| Arc::new(SystemClock)),
                host: self.host,
                assets: Assets::linked().map_err(|why| why.to_string())?,
                limits: Limits::new(config.per_payer, config.per_host),
                every: config.probe_every_seconds,
                dead_after: config.dead_after,
                allow_loopback: config.allow_loopback,
                page: config.page,
                seen: Mutex::default(),
                queue: OnceLock::new(),
            }),
        };
        catalogue.start();
        Ok(catalogue)
    }
}
