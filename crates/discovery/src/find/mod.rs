//! [`Finder`]: discover, choose, pay. One query over one or several facilitators.

mod assets;
mod call;
mod query;
mod service;

pub use assets::Assets;
pub(crate) use assets::price_on;
pub use call::Bought;
pub use query::Query;
pub use service::{Input, Service, Untrusted};

use crate::probe::safe_client;
use crate::text::{one_line, words};
use reqwest::StatusCode;
use serde_json::Value;
use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tollway_core::{RegistryError, json};
use url::Url;

/// Longest wait for one answer of a facilitator.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Longest answer read, in bytes.
const MAX_ANSWER: usize = 4 * 1024 * 1024;
/// Items asked for at once, and pages of a facilitator.
const ON_A_PAGE: usize = 100;
const MOST_PAGES: usize = 3;

/// Why nothing was found or nothing was bought. Every text says what to change.
#[derive(Debug)]
#[non_exhaustive]
pub enum FindError {
    /// A setting or a query that cannot work.
    Setting(String),
    /// No facilitator answered; each with its reason.
    Unreachable(Vec<(String, String)>),
    /// Nothing could be bought; each service that was tried with its reason.
    Nothing(Vec<(String, String)>),
    /// A payment was made, or may have been, and the answer is an error.
    Paid(reqwest_middleware::Error),
}

impl fmt::Display for FindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |f: &mut fmt::Formatter<'_>, all: &[(String, String)]| {
            all.iter().try_for_each(|(who, why)| write!(f, "\n  {who}: {why}"))
        };
        match self {
            Self::Setting(why) => f.write_str(why),
            Self::Unreachable(all) => {
                f.write_str("no facilitator could be asked; check the URLs")?;
                list(f, all)
            }
            Self::Nothing(all) if all.is_empty() => {
                f.write_str("nothing is listed that fits; use other words, or allow a higher price")
            }
            Self::Nothing(all) => {
                f.write_str("nothing that is listed could be bought")?;
                list(f, all)
            }
            Self::Paid(why) => write!(f, "the request was paid and failed: {why}"),
        }
    }
}

impl std::error::Error for FindError {}

impl From<RegistryError> for FindError {
    fn from(why: RegistryError) -> Self {
        Self::Setting(why.to_string())
    }
}

/// What a query found.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Services {
    /// The services, best first: those that answer, of those the cheapest, of those the fastest.
    pub services: Vec<Service>,
    /// Facilitators that did not answer, each with its reason.
    pub failures: Vec<(String, String)>,
}

impl Services {
    /// The best.
    pub fn best(&self) -> Option<&Service> {
        self.services.first()
    }
}

/// Searches the catalogues of facilitators. Cheap to clone.
///
/// ```no_run
/// # async fn run(payer: tollway_roles::PaymentClient) -> Result<(), tollway_discovery::find::FindError> {
/// use tollway_discovery::{Finder, Query};
///
/// let finder = Finder::new(["https://x402.org/facilitator"])?;
/// let bought = finder.call(&Query::text("weather").max_price("$0.01"), &payer).await?;
/// println!("{} said {:?}", bought.service.resource, bought.response.text().await);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Finder {
    facilitators: Vec<String>,
    http: reqwest::Client,
    assets: Arc<Assets>,
    allow_loopback: bool,
}

impl Finder {
    /// Over these facilitators, by their base URLs.
    ///
    /// # Errors
    /// None is given, one is no URL, or two plug-ins bring the same network.
    pub fn new<T: Into<String>>(facilitators: impl IntoIterator<Item = T>) -> Result<Self, FindError> {
        let facilitators: Vec<String> = facilitators.into_iter().map(Into::into).collect();
        if facilitators.is_empty() {
            return Err(FindError::Setting(
                "name a facilitator to search, such as https://x402.org/facilitator".to_owned(),
            ));
        }
        let read = |base: &String| match base.parse::<Url>() {
            Ok(url) if matches!(url.scheme(), "http" | "https") => Ok(base.trim_end_matches('/').to_owned()),
            _ => {
                Err(FindError::Setting(format!("`{base}` is no facilitator's URL; write https://x402.org/facilitator")))
            }
        };
        let facilitators = facilitators.iter().map(read).collect::<Result<_, _>>()?;
        tollway_http::install_crypto();
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).timeout(TIMEOUT).build();
        let http = http.map_err(|why| FindError::Setting(format!("the HTTP client could not be made: {why}")))?;
        Ok(Self { facilitators, http, assets: Arc::new(Assets::linked()?), allow_loopback: false })
    }

    /// Also calls services of this machine. For development.
    pub fn allow_loopback(mut self) -> Self {
        self.allow_loopback = true;
        self
    }

    /// Prices with these assets, instead of those of the plug-ins linked.
    pub fn assets(mut self, assets: Assets) -> Self {
        self.assets = Arc::new(assets);
        self
    }

    /// What all facilitators list that fits, merged, best first.
    ///
    /// # Errors
    /// The query cannot work, or no facilitator answered.
    pub async fn find(&self, query: &Query) -> Result<Services, FindError> {
        let most = query.most()?;
        let mut asked = JoinSet::new();
        for base in &self.facilitators {
            let (http, base, query) = (self.http.clone(), base.clone(), query.clone());
            asked.spawn(async move {
                let answer = listed(&http, &base, &query, most).await;
                (base, answer)
            });
        }
        let (mut merged, mut failures) = (HashMap::new(), Vec::new());
        while let Some(done) = asked.join_next().await {
            match done {
                Ok((base, Ok(items))) => {
                    for service in items.iter().filter_map(|item| Service::read(item, &base)) {
                        merge(&mut merged, service);
                    }
                }
                Ok((base, Err(why))) => failures.push((base, why)),
                Err(why) => failures.push(("a facilitator".to_owned(), why.to_string())),
            }
        }
        failures.sort();
        if failures.len() == self.facilitators.len() {
            return Err(FindError::Unreachable(failures));
        }
        let mut services = Vec::new();
        for mut service in merged.into_values() {
            if self.fits(&mut service, query, most).await {
                services.push(service);
            }
        }
        services.sort_by(|a, b| a.rank().cmp(&b.rank()).then_with(|| a.resource.cmp(&b.resource)));
        Ok(Services { services, failures })
    }

    /// Whether a service is what was asked for: facilitators may ignore what they do not know. Offers that do not fit
    /// go, and the price is of those that stay.
    async fn fits(&self, service: &mut Service, query: &Query, most: Option<u64>) -> bool {
        let tags = &service.untrusted.tags;
        let tagged =
            query.tags.is_empty() || query.tags.iter().any(|tag| tags.iter().any(|own| own.eq_ignore_ascii_case(tag)));
        if !tagged || query.kind.is_some_and(|kind| kind != service.kind) {
            return false;
        }
        let mut kept = Vec::new();
        let mut lowest: Option<u64> = None;
        for offer in std::mem::take(&mut service.accepts) {
            if !query.networks.is_empty() && !query.networks.iter().any(|id| id == offer.network.as_str()) {
                continue;
            }
            let known = self.assets.of_offer(&offer).await;
            let named = |name: &String| {
                name.eq_ignore_ascii_case(&offer.asset)
                    || known.as_ref().is_some_and(|(asset, _)| name.eq_ignore_ascii_case(&asset.symbol))
            };
            if !query.assets.is_empty() && !query.assets.iter().any(named) {
                continue;
            }
            let price = self.assets.price(&offer).await;
            if most.is_some_and(|most| price.is_none_or(|price| price > most)) {
                continue;
            }
            lowest = [lowest, price].into_iter().flatten().min();
            kept.push(offer);
        }
        service.price_micros = lowest;
        service.accepts = kept;
        !service.accepts.is_empty()
    }
}

/// Adds a service to those found. Where several facilitators list it, the one that saw it change last is believed.
fn merge(merged: &mut HashMap<(String, Option<String>), Service>, service: Service) {
    match merged.entry((service.resource.clone(), service.tool.clone())) {
        Slot::Vacant(slot) => drop(slot.insert(service)),
        Slot::Occupied(mut slot) => {
            let known = slot.get_mut();
            let mut by = std::mem::take(&mut known.listed_by);
            by.extend(service.listed_by.iter().filter(|name| !by.contains(name)).cloned().collect::<Vec<_>>());
            by.sort();
            if service.updated > known.updated {
                *known = service;
            }
            known.listed_by = by;
        }
    }
}

/// What one facilitator lists: by its search, or where it has none, by its whole list and a search here.
async fn listed(http: &reqwest::Client, base: &str, query: &Query, most: Option<u64>) -> Result<Vec<Value>, String> {
    let text = query.text.trim();
    if !text.is_empty() {
        let items = pages(http, base, "search", query, most).await?;
        if let Some(items) = items {
            return Ok(items);
        }
    }
    let items = pages(http, base, "resources", query, most).await?.ok_or("it has no catalogue")?;
    let wanted = words(text, 8);
    Ok(items.into_iter().filter(|item| wanted.is_empty() || mentions(item, &wanted)).collect())
}

/// Whether all words occur in what a service says about itself.
fn mentions(item: &Value, wanted: &[String]) -> bool {
    let text = |name: &str| item.get(name).and_then(Value::as_str).unwrap_or_default();
    let tags = item.get("tags").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    let all: Vec<_> = ["resource", "description", "serviceName"].map(text).into_iter().chain(tags).collect();
    let own = words(&one_line(&all.join(" "), 4096), 256);
    wanted.iter().all(|word| own.contains(word))
}

/// The pages of one list; `None` if the facilitator has no such list.
async fn pages(
    http: &reqwest::Client,
    base: &str,
    list: &str,
    query: &Query,
    most: Option<u64>,
) -> Result<Option<Vec<Value>>, String> {
    let mut url: Url = format!("{base}/discovery/{list}").parse().map_err(|_| "no URL".to_owned())?;
    {
        let mut pairs = url.query_pairs_mut();
        if list == "search" {
            pairs.append_pair("query", query.text.trim());
        }
        pairs.append_pair("limit", &ON_A_PAGE.to_string());
        if let Some(kind) = query.kind {
            pairs.append_pair("type", kind.name());
        }
        if let [network] = query.networks.as_slice() {
            pairs.append_pair("network", network);
        }
        if let [tag] = query.tags.as_slice() {
            pairs.append_pair("tag", tag);
        }
        if let Some(most) = most {
            pairs.append_pair("maxPrice", &crate::entry::dollars(most));
        }
    }
    let mut items = Vec::new();
    let mut next: Option<(&str, String)> = None;
    for _ in 0..MOST_PAGES {
        let mut page = url.clone();
        if let Some((name, value)) = &next {
            page.query_pairs_mut().append_pair(name, value);
        }
        let Some(mut answer) = ask(http, page).await? else {
            return Ok(if items.is_empty() { None } else { Some(items) });
        };
        let found = match answer.get_mut("resources").or(None).map(Value::take) {
            Some(found) => found,
            None => answer.get_mut("items").map(Value::take).ok_or("its answer lists nothing")?,
        };
        let Value::Array(found) = found else { return Err("its answer lists nothing".to_owned()) };
        let count = found.len();
        items.extend(found);
        next = match (list, answer.pointer("/pagination/cursor").and_then(Value::as_str)) {
            ("search", Some(cursor)) if !cursor.is_empty() && count > 0 => Some(("cursor", cursor.to_owned())),
            ("resources", _) if count == ON_A_PAGE => Some(("offset", items.len().to_string())),
            _ => break,
        };
    }
    Ok(Some(items))
}

/// One answer of a facilitator; `None` if it does not know the path.
async fn ask(http: &reqwest::Client, url: Url) -> Result<Option<Value>, String> {
    let broken = |why: reqwest::Error| one_line(&why.without_url().to_string(), 200);
    let mut response = http.get(url).send().await.map_err(broken)?;
    match response.status() {
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED => return Ok(None),
        status if !status.is_success() => return Err(format!("it answers {status}")),
        _ => {}
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(broken)? {
        if body.len() + chunk.len() > MAX_ANSWER {
            return Err(format!("its answer is longer than {MAX_ANSWER} bytes"));
        }
        body.extend_from_slice(&chunk);
    }
    json::from_slice(&body).map(Some).map_err(|why| one_line(&why.to_string(), 200))
}

/// The HTTP client for calls to services.
fn for_services(allow_loopback: bool) -> reqwest::ClientBuilder {
    safe_client(allow_loopback)
}
