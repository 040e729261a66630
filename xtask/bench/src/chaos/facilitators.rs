//! The processes that are killed, and the ledger they leave behind.

use crate::child::{self, Served};
use crate::payments::NETWORK;
use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};
use tollway::core::{BuildContext, LedgerConfig, Object};
use tollway::evm::LocalKey;
use tollway::{LocalFacilitator, Registry};
use tollway_devnet::accounts;
use tollway_testkit::postgres::{self, Cluster};

/// Where each process is reached at the moment.
pub(super) type Urls = Arc<Vec<RwLock<String>>>;

/// Environment of a child: what its ledger is opened from, and the database it names.
pub(crate) const LEDGER: &str = "TOLLWAY_CHAOS_LEDGER";
const DATABASE: &str = "DATABASE_URL";
/// The lease of a holder in a shared ledger. A process lives for half of that.
const LEASE_MS: u64 = 1_000;

/// The process that is killed: `settling <rpc>`.
pub(crate) async fn serve(args: &[String]) -> Result<(), String> {
    let rpc = args.first().ok_or("usage: tollway-bench settling <rpc>")?;
    let ledger = std::env::var(LEDGER).map_err(|_| format!("{LEDGER} is not set"))?;
    let ledger: LedgerConfig = serde_json::from_str(&ledger).map_err(|why| format!("{LEDGER}: {why}"))?;
    let key = LocalKey::from_hex(&accounts::FACILITATOR.private_key().to_string())?;
    let registry = Registry::discover().map_err(|why| why.to_string())?;
    let ledger = registry.ledger(&ledger.kind, ledger.section.into(), BuildContext::new()).await;
    let ledger = ledger.map_err(|why| why.to_string())?;
    let engine = LocalFacilitator::builder()
        .network(NETWORK, serde_json::json!({ "rpc": rpc, "blockTimeMs": 100 }))
        .signer(NETWORK, Arc::new(key))
        .ledger(ledger.clone())
        .reconcile_every(Duration::from_secs(1))
        .build()
        .await
        .map_err(|why| why.to_string())?;
    let open = get(async move || match ledger.open(usize::from(u16::MAX)).await {
        Ok(slots) => Ok(slots.len().to_string()),
        Err(why) => Err((StatusCode::INTERNAL_SERVER_ERROR, why.to_string())),
    });
    let router = tollway::http::FacilitatorRouter::local(engine).into_router();
    child::serve(Router::new().route("/open", open).fallback_service(router)).await
}

pub(super) struct Facilitators {
    rpc: String,
    ledger: LedgerConfig,
    /// Removed in the end.
    folder: PathBuf,
    /// The database of a shared ledger, ended with this, and its URL.
    database: Option<(Cluster, String)>,
    urls: Urls,
    running: Vec<Mutex<Option<Served>>>,
}

impl Facilitators {
    pub(super) async fn start(processes: usize, ledger: &str, rpc: &str) -> Result<Self, String> {
        let folder = std::env::temp_dir().join(format!("tollway-chaos-{}", std::process::id()));
        std::fs::create_dir_all(&folder).map_err(|why| format!("{}: {why}", folder.display()))?;
        let cluster = (ledger == "postgres").then(|| postgres::start().ok_or("there is no PostgreSQL")).transpose()?;
        let database = cluster.map(|cluster| {
            let url = cluster.database();
            (cluster, url)
        });
        let ledger = match ledger {
            "postgres" => with("postgres", [("url", format!("env:{DATABASE}").into()), ("leaseMs", LEASE_MS.into())]),
            // Loses what it knows with each kill: shows that the audit would see it.
            "memory" => LedgerConfig::new("memory", Object::new()),
            _ => with("sqlite", [("path", folder.join("ledger.db").display().to_string().into())]),
        };
        let urls = (0..processes).map(|_| RwLock::default()).collect();
        let running = (0..processes).map(|_| Mutex::default()).collect();
        let this = Self { rpc: rpc.to_owned(), ledger, folder, database, urls: Arc::new(urls), running };
        for process in 0..processes {
            this.kill_and_start(process).await?;
        }
        Ok(this)
    }

    pub(super) fn urls(&self) -> Urls {
        self.urls.clone()
    }

    pub(super) async fn kill_and_start(&self, process: usize) -> Result<(), String> {
        // Dropping it sends SIGKILL and waits for its end.
        drop(self.running[process].lock().unwrap_or_else(PoisonError::into_inner).take());
        let ledger = serde_json::to_string(&self.ledger).map_err(|why| why.to_string())?;
        let rpc = self.rpc.clone();
        let url = self.database.as_ref().map(|(_, url)| url.clone()).unwrap_or_default();
        let start = move || Served::start_with(&["settling", &rpc], &[(LEDGER, &ledger), (DATABASE, &url)]);
        let served = tokio::task::spawn_blocking(start).await.map_err(|why| why.to_string())??;
        *self.urls[process].write().unwrap_or_else(PoisonError::into_inner) = served.url.clone();
        *self.running[process].lock().unwrap_or_else(PoisonError::into_inner) = Some(served);
        Ok(())
    }

    /// Waits until no row waits for a transaction any more. Gives how many slots are still open.
    pub(super) async fn wait_until_ended(&self, patience: Duration) -> Result<usize, String> {
        let until = Instant::now() + patience;
        let url = self.urls[0].read().unwrap_or_else(PoisonError::into_inner).clone();
        loop {
            let answer = reqwest::get(format!("{url}/open")).await.map_err(|why| why.to_string())?;
            let text = answer.text().await.map_err(|why| why.to_string())?;
            let open: usize = text.parse().map_err(|_| format!("the ledger cannot be read: {text}"))?;
            if open == 0 || Instant::now() >= until {
                self.stop();
                return Ok(open);
            }
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
    }

    fn stop(&self) {
        for running in &self.running {
            drop(running.lock().unwrap_or_else(PoisonError::into_inner).take());
        }
    }
}

impl Drop for Facilitators {
    fn drop(&mut self) {
        self.stop();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn with<const N: usize>(kind: &str, section: [(&str, serde_json::Value); N]) -> LedgerConfig {
    LedgerConfig::new(kind, section.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
}
