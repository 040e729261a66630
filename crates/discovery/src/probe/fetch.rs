//! [`SafeFetch`]: one unpaid request to a stranger's URL. The name is looked up once, the addresses are judged, and
//! the connection goes to one of those judged.

use super::address::{check_url, is_loopback, is_public};
use async_trait::async_trait;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect::Policy;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};
use url::Url;

/// Longest wait for an answer's head, name and connection included.
const TIMEOUT: Duration = Duration::from_secs(8);
/// Longest wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(4);
/// Longest wait for a paid answer: settlement is part of it.
const CALL_TIMEOUT: Duration = Duration::from_secs(120);

/// The head of an answer. Nobody reads the body.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Head {
    /// The status.
    pub status: u16,
    /// `PAYMENT-REQUIRED`, if it is there once.
    pub required: Option<Vec<u8>>,
    /// How long it took, in milliseconds.
    pub latency_ms: u32,
}

impl Head {
    /// A head.
    pub fn new(status: u16, required: Option<Vec<u8>>, latency_ms: u32) -> Self {
        Self { status, required, latency_ms }
    }
}

/// Asks a resource without paying.
#[async_trait]
pub trait Fetch: Send + Sync {
    /// The head of the answer.
    ///
    /// # Errors
    /// Why there is none: it may not be asked, or does not answer.
    async fn head(&self, method: &str, url: &Url) -> Result<Head, String>;
}

/// Looks names up.
#[async_trait]
pub trait Lookup: Send + Sync {
    /// All addresses of a name.
    ///
    /// # Errors
    /// It has none.
    async fn lookup(&self, name: &str) -> io::Result<Vec<IpAddr>>;
}

/// The system's resolver.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemLookup;

#[async_trait]
impl Lookup for SystemLookup {
    async fn lookup(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        Ok(tokio::net::lookup_host((name, 0)).await?.map(|at| at.ip()).collect())
    }
}

/// The resolver a connection is made with: what it gives is what is connected to.
struct Judge {
    lookup: Arc<dyn Lookup>,
    allow_loopback: bool,
}

impl Resolve for Judge {
    fn resolve(&self, name: Name) -> Resolving {
        let (lookup, allow) = (self.lookup.clone(), self.allow_loopback);
        Box::pin(async move {
            let all = lookup.lookup(name.as_str()).await?;
            let fine = |ip: &IpAddr| is_public(*ip) || allow && is_loopback(*ip);
            // One inner address among public ones is a trap, too.
            if all.is_empty() || !all.iter().all(fine) {
                let why = format!("`{}` leads to an address that is not on the public internet", name.as_str());
                return Err(why.into());
            }
            let addresses: Addrs = Box::new(all.into_iter().map(|ip| SocketAddr::new(ip, 0)));
            Ok(addresses)
        })
    }
}

/// Asks over HTTPS; follows no redirect, sends no credentials, uses no proxy and keeps no connection.
pub struct SafeFetch {
    http: reqwest::Client,
    allow_loopback: bool,
}

impl fmt::Debug for SafeFetch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SafeFetch").field("allow_loopback", &self.allow_loopback).finish_non_exhaustive()
    }
}

/// A client that connects to public addresses only, by no proxy, and keeps no connection.
fn judged(lookup: Arc<dyn Lookup>, allow_loopback: bool) -> reqwest::ClientBuilder {
    tollway_http::install_crypto();
    reqwest::Client::builder()
        .user_agent(concat!("tollway-discovery/", env!("CARGO_PKG_VERSION")))
        .no_proxy()
        .referer(false)
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_max_idle_per_host(0)
        .dns_resolver(Judge { lookup, allow_loopback })
}

/// The same for calls to services that strangers list. Addresses written as numbers need [`check_url`] first.
pub(crate) fn safe_client(allow_loopback: bool) -> reqwest::ClientBuilder {
    judged(Arc::new(SystemLookup), allow_loopback).timeout(CALL_TIMEOUT)
}

impl SafeFetch {
    /// With the system's resolver. `allow_loopback` also asks this machine, over plain HTTP: for development only.
    ///
    /// # Errors
    /// The HTTP client cannot be made.
    pub fn new(allow_loopback: bool) -> Result<Self, String> {
        Self::with_lookup(Arc::new(SystemLookup), allow_loopback)
    }

    /// With a resolver of one's own.
    ///
    /// # Errors
    /// The HTTP client cannot be made.
    pub fn with_lookup(lookup: Arc<dyn Lookup>, allow_loopback: bool) -> Result<Self, String> {
        let http = judged(lookup, allow_loopback)
            .redirect(Policy::none())
            .timeout(TIMEOUT)
            .build()
            .map_err(|why| format!("the HTTP client for probes could not be made: {why}"))?;
        Ok(Self { http, allow_loopback })
    }
}

#[async_trait]
impl Fetch for SafeFetch {
    async fn head(&self, method: &str, url: &Url) -> Result<Head, String> {
        check_url(url, self.allow_loopback)?;
        let method = method.parse().map_err(|_| "the verb is none".to_owned())?;
        let started = Instant::now();
        // The declared body stays here: what a stranger wrote is not sent to whom a stranger names.
        let response = self.http.request(method, url.clone()).send().await.map_err(|why| explain(&why))?;
        let took = u32::try_from(started.elapsed().as_millis()).unwrap_or(u32::MAX);
        let mut values = response.headers().get_all(tollway_http::header::PAYMENT_REQUIRED).iter();
        let required = match (values.next(), values.next()) {
            (Some(value), None) => Some(value.as_bytes().to_vec()),
            _ => None,
        };
        Ok(Head { status: response.status().as_u16(), required, latency_ms: took })
    }
}

/// The innermost cause, which says the most; without the URL.
fn explain(why: &reqwest::Error) -> String {
    if why.is_timeout() {
        return format!("it did not answer in {} seconds", TIMEOUT.as_secs());
    }
    let mut cause: &dyn std::error::Error = why;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    crate::text::one_line(&format!("it cannot be asked: {cause}"), 200)
}
