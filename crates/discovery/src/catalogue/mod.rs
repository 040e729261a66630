//! [`Catalogue`]: what a facilitator knows about the services it settles for.
//!
//! A payment only says where to look. What is listed is what the resource's own challenge says, when it is asked.

mod answer;
mod builder;
mod config;
mod page;
mod seen;
mod work;

pub use builder::CatalogueBuilder;
pub use config::{CatalogueConfig, StoreConfig};

use crate::declared::{self, Kind};
use crate::find::Assets;
use crate::listing::BAZAAR;
use crate::probe::{self, Fetch};
use crate::store::{CatalogueStore, Limits};
use async_trait::async_trait;
use seen::{Seen, Verdict};
use serde_json::{Value, json};
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock};
use tokio::sync::mpsc;
use tollway_core::{
    Build, BuildContext, Clock, FacilitatorExtension, Host, Observed, PaymentRequirements, Reply, Stage,
};
use url::Url;

/// A facilitator's catalogue and its extension `bazaar`. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Catalogue {
    inner: Arc<Inner>,
}

struct Inner {
    store: Arc<dyn CatalogueStore>,
    fetch: Arc<dyn Fetch>,
    clock: Arc<dyn Clock>,
    host: Option<Arc<dyn Host>>,
    assets: Assets,
    limits: Limits,
    every: u64,
    dead_after: u32,
    allow_loopback: bool,
    page: bool,
    seen: Mutex<Seen>,
    /// To the task that looks at what was paid for; made with it.
    queue: OnceLock<mpsc::Sender<Candidate>>,
}

impl fmt::Debug for Catalogue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Catalogue").finish_non_exhaustive()
    }
}

/// What a payment says about where to look.
#[derive(Debug, Clone)]
struct Candidate {
    /// What the payment's word was remembered by.
    mark: u64,
    url: Url,
    method: String,
    offer: PaymentRequirements,
    payer: String,
}

impl Catalogue {
    /// Starts building one, with a store in memory.
    pub fn builder() -> CatalogueBuilder {
        CatalogueBuilder::default()
    }

    /// The store behind it.
    pub fn store(&self) -> &Arc<dyn CatalogueStore> {
        &self.inner.store
    }
}

/// What a payment claims to be for, checked as far as that needs nobody else.
fn claimed(seen: &Observed<'_>, allow_loopback: bool) -> Result<(Url, String), String> {
    let declaration = seen.raw.extensions.as_ref().and_then(|extensions| extensions.get(BAZAAR));
    let declaration = declaration.ok_or("nothing is declared")?;
    let resource = seen.raw.resource.as_ref().ok_or("the payment names no resource")?;
    let url = probe::read_url(&resource.url)?;
    probe::check_url(&url, allow_loopback)?;
    let declared = declared::read(declaration, &url)?;
    match declared.kind {
        Kind::Http => Ok((url, declared.method)),
        Kind::Mcp => Err("tools over MCP cannot be asked for a challenge by this facilitator yet".to_owned()),
    }
}

#[async_trait]
impl FacilitatorExtension for Catalogue {
    fn key(&self) -> &'static str {
        BAZAAR
    }

    async fn observe(&self, seen: &Observed<'_>) -> Option<Value> {
        let declaration = seen.raw.extensions.as_ref()?.get(BAZAAR)?;
        let inner = &self.inner;
        let resource = seen.raw.resource.as_ref().map(|resource| resource.url.as_str()).unwrap_or_default();
        let now = inner.clock.now();
        let (mark, known) = inner.seen().look(resource, declaration, seen.offer, now);
        let verdict = match known {
            Some(verdict) => verdict,
            None => match claimed(seen, inner.allow_loopback) {
                Ok((url, method)) => Verdict::Waiting { url, method },
                Err(why) => Verdict::Refused(why.into()),
            },
        };
        let verdict = match (verdict, seen.stage) {
            // Money moved, and it is new: now it is worth a look. A payment that only could be made brings nothing in.
            (Verdict::Waiting { url, method }, Stage::Settled) => {
                let payer = seen.payer.unwrap_or_default().to_owned();
                self.submit(Candidate { mark, url, method, offer: seen.offer.clone(), payer })
            }
            (verdict, _) => verdict,
        };
        let response = verdict.response();
        inner.seen().note(mark, verdict, now);
        Some(response)
    }

    async fn get(&self, path: &str, query: &[(String, String)]) -> Option<Reply> {
        match path {
            "/discovery/resources" => Some(self.resources(query).await),
            "/discovery/search" => Some(self.search(query).await),
            "/" | "/discovery" if self.inner.page => Some(self.page(path, query).await),
            _ => None,
        }
    }
}

impl Verdict {
    /// What the resource server is told.
    fn response(&self) -> Value {
        match self {
            Self::Waiting { .. } | Self::Asked => json!({ "status": "processing" }),
            Self::Listed => json!({ "status": "success" }),
            Self::Refused(why) => json!({ "status": "rejected", "rejectedReason": &**why }),
        }
    }
}

impl Build for Catalogue {
    type Config = CatalogueConfig;
    const EXAMPLE: &'static str = r#"{ "probeEverySeconds": 3600, "deadAfter": 4, "perPayer": 1000, "perHost": 256 }"#;

    async fn build(config: CatalogueConfig, cx: BuildContext) -> Result<Self, String> {
        Self::builder().config(config, &cx).await?.build()
    }
}
