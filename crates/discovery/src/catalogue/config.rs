//! [`CatalogueConfig`]: the facilitator's section `bazaar`.

use serde::Deserialize;
use tollway_core::Object;

/// The section of the facilitator's extension.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
#[non_exhaustive]
pub struct CatalogueConfig {
    /// Where entries are kept; in memory if left out.
    pub store: Option<StoreConfig>,
    /// Also lists services of this machine, over plain HTTP. For development only.
    pub allow_loopback: bool,
    /// Seconds between two probes of a service; 3600 if left out, 10 at least.
    pub probe_every_seconds: u64,
    /// Probes that fail in a row before a service is taken out; 4 if left out.
    pub dead_after: u32,
    /// Most services that one payer's payments bring; 1000 if left out.
    pub per_payer: usize,
    /// Most services of one host; 256 if left out.
    pub per_host: usize,
    /// Whether `GET /` answers with a page for people; yes if left out.
    pub page: bool,
}

impl Default for CatalogueConfig {
    fn default() -> Self {
        Self {
            store: None,
            allow_loopback: false,
            probe_every_seconds: 3600,
            dead_after: 4,
            per_payer: 1000,
            per_host: 256,
            page: true,
        }
    }
}

/// A store by name.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct StoreConfig {
    /// Its name: `memory`, or what a linked plug-in brings.
    pub kind: String,
    /// What that kind reads.
    #[serde(flatten)]
    pub section: Object,
}

impl std::fmt::Debug for StoreConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Not the values: a database's URL holds a password.
        f.debug_struct("StoreConfig").field("kind", &self.kind).finish_non_exhaustive()
    }
}
