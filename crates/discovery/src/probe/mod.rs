//! Probing: a resource is listed as its own challenge describes it, and only if that challenge pays whom was paid.

mod address;
mod fetch;

pub use address::{check_url, is_public};
pub(crate) use fetch::safe_client;
pub use fetch::{Fetch, Head, Lookup, SafeFetch, SystemLookup};

use crate::declared::{self, Declared};
use crate::listing::BAZAAR;
use crate::text::MAX_URL;
use tollway_core::{PaymentRequired, PaymentRequirements, ResourceInfo};
use url::Url;

/// Most offers of one resource kept.
const MAX_OFFERS: usize = 32;
/// Most extension keys kept.
const MAX_EXTENSIONS: usize = 16;

/// What a challenge confirmed.
#[derive(Debug, Clone)]
pub(crate) struct Confirmed {
    pub(crate) declared: Declared,
    pub(crate) accepts: Vec<PaymentRequirements>,
    pub(crate) resource: ResourceInfo,
    pub(crate) extensions: Vec<String>,
    pub(crate) latency_ms: u32,
}

/// The URL of a resource as a payment names it.
pub(crate) fn read_url(text: &str) -> Result<Url, String> {
    if text.len() > MAX_URL {
        return Err(format!("the resource's URL is longer than {MAX_URL} bytes"));
    }
    let mut url: Url = text.parse().map_err(|_| "the resource's URL is none".to_owned())?;
    url.set_fragment(None);
    Ok(url)
}

/// Asks a resource for its challenge and reads it. `paid` is the offer that somebody paid, if this is about a payment.
pub(crate) async fn probe(
    fetch: &dyn Fetch,
    method: &str,
    url: &Url,
    paid: Option<&PaymentRequirements>,
) -> Result<Confirmed, String> {
    let head = fetch.head(method, url).await?;
    if head.status != 402 {
        return Err(format!("it answers {} and not 402", head.status));
    }
    let header = head.required.ok_or("its 402 carries no challenge")?;
    let required: PaymentRequired =
        tollway_http::header::decode(&header).map_err(|why| format!("its challenge cannot be read: {why}"))?;
    let own = read_url(&required.resource.url)?;
    if own.origin() != url.origin() || own.path() != url.path() {
        return Err(
            "its challenge is for another resource; configure the server's origin as clients reach it".to_owned()
        );
    }
    if let Some(paid) = paid {
        let same = |offer: &PaymentRequirements| {
            offer.scheme == paid.scheme
                && offer.network == paid.network
                && offer.asset.eq_ignore_ascii_case(&paid.asset)
                && offer.pay_to == paid.pay_to
        };
        if !required.accepts.iter().any(same) {
            return Err(
                "its own challenge does not ask for what was paid: another recipient, asset or network".to_owned()
            );
        }
    }
    let extensions = required.extensions.unwrap_or_default();
    let declaration = extensions.get(BAZAAR).ok_or("its own challenge does not ask to be listed")?;
    let declared = declared::read(declaration, url)?;
    if declared.method != method {
        return Err(format!("its challenge is for {} and not for {method}", declared.method));
    }
    let mut accepts = required.accepts;
    accepts.truncate(MAX_OFFERS);
    let keys = extensions.keys().filter(|key| key.len() <= 64 && key.bytes().all(|b| b.is_ascii_graphic()));
    Ok(Confirmed {
        resource: declared::cleaned(&required.resource, url),
        extensions: keys.take(MAX_EXTENSIONS).cloned().collect(),
        declared,
        accepts,
        latency_ms: head.latency_ms,
    })
}
