//! [`Inspector`]: what a resource offers, whether it can be paid for, and what is wrong with it.

use crate::declared;
use crate::entry::dollars;
use crate::find::{Assets, Untrusted};
use crate::listing::BAZAAR;
use crate::text::{MAX_DESCRIPTION, one_line};
use reqwest::header::{CACHE_CONTROL, LOCATION};
use serde::Serialize;
use serde_json::Value;
use std::fmt;
use tollway_core::{Object, PaymentRequired, PaymentRequirements, X402_VERSION, json};
use tollway_http::header::{MAX_HEADER, PAYMENT_REQUIRED, decode};
use url::Url;

/// Most of a body looked at, in bytes.
const MAX_BODY: usize = 64 * 1024;
/// Seconds an authorization may be valid that clients sign unless told otherwise.
const LONGEST: u64 = 3600;
/// Millionths of a dollar that clients pay at most unless told otherwise.
const MOST: u64 = 1_000_000;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Severity {
    /// Good to know.
    Note,
    /// Some clients will not pay, or some caches do harm.
    Warning,
    /// It cannot be paid for, or not as it says.
    Error,
}

/// One thing that is wrong, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// A name for it that does not change.
    pub code: &'static str,
    /// What is wrong.
    pub what: String,
    /// What to do.
    pub fix: String,
}

/// One way to pay.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct OfferSeen {
    /// The scheme.
    pub scheme: String,
    /// The network.
    pub network: String,
    /// In dollars, such as `0.001`, where that is known.
    pub dollars: Option<String>,
    /// In whole units of the asset, such as `0.001 USDC`, else in atomic units.
    pub price: String,
    /// Who receives it.
    pub pay_to: String,
    /// Seconds an authorization is valid.
    pub max_timeout_seconds: u64,
    /// When it settles: `authorization` is after the handler.
    pub flow: String,
    /// Whether a client could pay it.
    pub payable: bool,
}

/// What was found out about one resource.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Report {
    /// What was asked.
    pub url: String,
    /// The verb it was asked with.
    pub method: String,
    /// What it answered.
    pub status: u16,
    /// Whether a client could pay for it.
    pub payable: bool,
    /// The ways to pay.
    pub offers: Vec<OfferSeen>,
    /// Keys of the extensions it declares.
    pub extensions: Vec<String>,
    /// What it says about sessions, where it has them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<Value>,
    /// What it says about itself.
    pub untrusted: Untrusted,
    /// What is wrong with it, the worst first.
    pub findings: Vec<Finding>,
}

impl Report {
    /// Whether anything is as bad as this.
    pub fn has(&self, severity: Severity) -> bool {
        self.findings.iter().any(|finding| finding.severity >= severity)
    }

    fn find(&mut self, severity: Severity, code: &'static str, what: impl Into<String>, fix: impl Into<String>) {
        self.findings.push(Finding { severity, code, what: one_line(&what.into(), 400), fix: fix.into() });
    }
}

/// Asks resources and judges their challenges.
pub struct Inspector {
    http: reqwest::Client,
    assets: Assets,
}

impl fmt::Debug for Inspector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inspector").finish_non_exhaustive()
    }
}

impl Inspector {
    /// With the assets of the plug-ins linked. It asks any address, also of this machine.
    ///
    /// # Errors
    /// Two plug-ins bring the same network, or no HTTP client can be made.
    pub fn new() -> Result<Self, String> {
        let assets = Assets::linked().map_err(|why| why.to_string())?;
        let http = tollway_http::plain_client().map_err(|why| why.to_string())?;
        Ok(Self { http, assets })
    }

    /// Asks once, without paying.
    ///
    /// # Errors
    /// The URL is none, or nobody answers.
    pub async fn inspect(&self, method: &str, url: &str) -> Result<Report, String> {
        let url: Url = url.parse().map_err(|_| format!("`{url}` is no URL; write https://api.example.com/report"))?;
        let verb = method.parse().map_err(|_| format!("`{method}` is no verb"))?;
        let response = self.http.request(verb, url.clone()).send().await;
        let mut response = response
            .map_err(|why| format!("{url} does not answer ({}); check the URL and that it runs", why.without_url()))?;
        let mut report = Report {
            url: url.to_string(),
            method: method.to_owned(),
            status: response.status().as_u16(),
            payable: false,
            offers: Vec::new(),
            extensions: Vec::new(),
            session: None,
            untrusted: Untrusted::default(),
            findings: Vec::new(),
        };
        let headers = response.headers().clone();
        let mut body = Vec::new();
        while let Ok(Some(chunk)) = response.chunk().await {
            body.extend_from_slice(&chunk[..chunk.len().min(MAX_BODY - body.len())]);
            if body.len() == MAX_BODY {
                break;
            }
        }
        let text = |name: &reqwest::header::HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
        self.judge_status(&mut report, text(&LOCATION));
        if report.findings.is_empty() {
            match challenge(&mut report, &headers, &body) {
                Some(required) => {
                    if !text(&CACHE_CONTROL).is_some_and(|value| value.contains("no-store")) {
                        report.find(
                            Severity::Warning,
                            "cacheable_challenge",
                            "the challenge may be kept by caches",
                            "answer 402 with Cache-Control: no-store",
                        );
                    }
                    self.judge(&mut report, &url, &required).await;
                }
                None => report.payable = false,
            }
        }
        report.findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
        Ok(report)
    }

    fn judge_status(&self, report: &mut Report, location: Option<&str>) {
        let (code, what, fix) = match report.status {
            402 | 412 => return,
            200..=299 => (
                "free",
                "it answers without asking for payment".to_owned(),
                "put the route behind the payment layer, or ask with the verb that is sold (--method POST)",
            ),
            300..=399 => (
                "redirect",
                format!("it redirects to {}", one_line(location.unwrap_or("somewhere"), 200)),
                "sell the URL that answers; a payment follows no redirect",
            ),
            404 | 405 => {
                ("no_route", format!("it answers {}", report.status), "check the path, and the verb (--method POST)")
            }
            500..=599 => (
                "server_error",
                format!("it answers {}", report.status),
                "look into the server's log; 502 says that its facilitator cannot be reached",
            ),
            status => (
                "not_402",
                format!("it answers {status} before it asks for payment"),
                "put the payment layer in front of what refuses the request",
            ),
        };
        report.find(Severity::Error, code, what, fix);
    }

    async fn judge(&self, report: &mut Report, url: &Url, required: &PaymentRequired) {
        let resource = &required.resource;
        let line = |text: &Option<String>, most| text.as_deref().map(|text| one_line(text, most));
        report.untrusted.service_name = line(&resource.service_name, 32);
        report.untrusted.description = line(&resource.description, MAX_DESCRIPTION);
        report.untrusted.tags = resource.tags.iter().flatten().take(5).map(|tag| one_line(tag, 32)).collect();
        if required.x402_version != X402_VERSION {
            let what = format!("the challenge is of version {}", required.x402_version);
            report.find(Severity::Error, "version", what, "say \"x402Version\": 2");
        }
        match resource.url.parse::<Url>() {
            Ok(own) if own.origin() == url.origin() => {}
            Ok(own) => report.find(
                Severity::Warning,
                "other_origin",
                format!("the challenge is for {}", own.origin().ascii_serialization()),
                "configure the server's origin as clients reach it",
            ),
            Err(_) => report.find(
                Severity::Error,
                "resource_url",
                "resource.url is no URL",
                "give the absolute URL of what is sold",
            ),
        }
        if let Err(why) = resource.check() {
            report.find(Severity::Warning, "resource_info", why, "keep to the limit; catalogues drop what breaks it");
        }
        if resource.description.as_deref().is_none_or(str::is_empty) {
            report.find(
                Severity::Note,
                "no_description",
                "nothing says what is sold",
                "describe the route in one line",
            );
        }
        let empty = Object::new();
        let extensions = required.extensions.as_ref().unwrap_or(&empty);
        report.extensions = extensions.keys().take(64).map(|key| one_line(key, 64)).collect();
        judge_bazaar(report, url, extensions);
        judge_session(report, extensions, required.accepts.is_empty());
        for offer in &required.accepts {
            let seen = self.judge_offer(report, offer).await;
            report.payable |= seen.payable;
            report.offers.push(seen);
        }
        let kind =
            |offer: &PaymentRequirements| (offer.scheme.clone(), offer.network.clone(), offer.asset.to_lowercase());
        let mut kinds: Vec<_> = required.accepts.iter().map(kind).collect();
        kinds.sort();
        if kinds.windows(2).any(|two| two[0] == two[1]) {
            report.find(
                Severity::Warning,
                "twice",
                "the same asset is asked for twice on one network by one scheme",
                "keep one offer of each; clients take the first",
            );
        }
        if required.accepts.is_empty() && report.session.is_none() {
            report.find(
                Severity::Error,
                "no_offer",
                "there is no way to pay",
                "configure `accepts`, and check /supported of the facilitator",
            );
        }
    }

    async fn judge_offer(&self, report: &mut Report, offer: &PaymentRequirements) -> OfferSeen {
        let at = format!("{} on {}", offer.scheme, offer.network);
        let errors = report.findings.iter().filter(|finding| finding.severity == Severity::Error).count();
        let known = self.assets.of_offer(offer).await;
        let price = self.assets.price(offer).await;
        match (self.assets.network(&offer.network).await, &known) {
            (None, _) => report.find(
                Severity::Note,
                "unknown_network",
                format!("{at}: no linked plug-in knows this network"),
                "link the plug-in of its chain to have this offer checked",
            ),
            (Some(network), known) => {
                if let Err(why) = network.canonical(&offer.pay_to) {
                    report.find(
                        Severity::Error,
                        "pay_to",
                        format!("{at}: payTo is no address: {}", why.code),
                        "configure the recipient's address",
                    );
                }
                match known {
                    None => report.find(
                        Severity::Warning,
                        "unknown_asset",
                        format!("{at}: the asset {} is none that is known", one_line(&offer.asset, 96)),
                        "clients pay known assets only, unless told otherwise; offer one of them, too",
                    ),
                    Some((asset, _)) => {
                        let own = offer.extra.clone().unwrap_or_default();
                        // Where a scheme signs by other means, it says so in a member of its own.
                        let wrong =
                            asset.extra.iter().find(|(name, value)| own.get(*name).is_some_and(|own| own != *value));
                        if let Some((name, value)) = wrong {
                            report.find(
                                Severity::Error,
                                "asset_domain",
                                format!("{at}: extra.{name} is not that of {}", asset.symbol),
                                format!("say {name}: {value}, or leave it to the server"),
                            );
                        }
                    }
                }
            }
        }
        if offer.amount.is_zero() {
            report.find(
                Severity::Warning,
                "nothing",
                format!("{at}: it asks for nothing"),
                "give a price, or leave the route free",
            );
        }
        if price.is_some_and(|price| price > MOST) {
            report.find(
                Severity::Warning,
                "above_default_limit",
                format!("{at}: the price is above $1"),
                "clients pay a dollar at most unless told otherwise; sell smaller portions, or tell clients",
            );
        }
        if offer.max_timeout_seconds.get() > LONGEST {
            report.find(
                Severity::Warning,
                "long_authorization",
                format!("{at}: an authorization is to be valid for {} seconds", offer.max_timeout_seconds),
                format!("ask for {LONGEST} seconds at most; clients refuse more"),
            );
        }
        let flow = match offer.flow() {
            Ok(flow) => flow.to_string(),
            Err(name) => {
                let what = format!("{at}: the payment flow `{}` is none", one_line(&name, 32));
                report.find(Severity::Error, "flow", what, "leave extra.paymentFlow out, or say upfront");
                one_line(&name, 32)
            }
        };
        let after = report.findings.iter().filter(|finding| finding.severity == Severity::Error).count();
        let units = match &known {
            Some((asset, _)) => format!("{} {}", offer.amount.to_decimal(asset.decimals), asset.symbol),
            None => format!("{} units of {}", offer.amount, one_line(&offer.asset, 96)),
        };
        OfferSeen {
            scheme: one_line(&offer.scheme, 64),
            network: offer.network.to_string(),
            dollars: price.map(dollars),
            price: units,
            pay_to: one_line(&offer.pay_to, 96),
            max_timeout_seconds: offer.max_timeout_seconds.get(),
            flow,
            payable: after == errors,
        }
    }
}

/// Reads the challenge, or says why there is none.
fn challenge(report: &mut Report, headers: &reqwest::header::HeaderMap, body: &[u8]) -> Option<PaymentRequired> {
    let mut values = headers.get_all(PAYMENT_REQUIRED).iter();
    let Some(value) = values.next() else {
        let version =
            json::from_slice::<Value>(body).ok().and_then(|body| body.get("x402Version").and_then(Value::as_u64));
        match version {
            Some(1) => report.find(
                Severity::Error,
                "version_1",
                "it speaks version 1: the challenge is in the body",
                "answer with the header PAYMENT-REQUIRED of version 2; clients of version 2 read no body",
            ),
            _ => report.find(
                Severity::Error,
                "no_challenge",
                "the 402 has no header PAYMENT-REQUIRED",
                "send it, and let proxies and CORS pass it on",
            ),
        }
        return None;
    };
    if values.next().is_some() {
        let fix = "one payment layer is enough; take the other out";
        report.find(Severity::Error, "two_challenges", "the header PAYMENT-REQUIRED is there twice", fix);
        return None;
    }
    if value.len() > MAX_HEADER / 2 {
        report.find(
            Severity::Warning,
            "large_challenge",
            format!("the challenge takes {} bytes", value.len()),
            format!("clients send it back and servers read {MAX_HEADER} bytes at most; shorten schemas and examples"),
        );
    }
    match decode(value.as_bytes()) {
        Ok(required) => Some(required),
        Err(why) => {
            let what = format!("the challenge cannot be read: {why}");
            report.find(Severity::Error, "bad_challenge", what, "write standard base64 of the JSON of PaymentRequired");
            None
        }
    }
}

fn judge_bazaar(report: &mut Report, url: &Url, extensions: &Object) {
    match extensions.get(BAZAAR) {
        None => report.find(
            Severity::Note,
            "not_listed",
            "no catalogue will list it",
            "describe the route in its section `discovery`",
        ),
        Some(declaration) => {
            if let Err(why) = declared::read(declaration, url) {
                report.find(
                    Severity::Error,
                    "bad_listing",
                    format!("catalogues refuse it: {why}"),
                    "mend what the route's section `discovery` says",
                );
            }
        }
    }
}

fn judge_session(report: &mut Report, extensions: &Object, alone: bool) {
    const SIGN_IN: &str = "sign-in-with-x";
    let Some(declared) = extensions.get(SIGN_IN) else { return };
    let info = declared.get("info");
    let member = |name: &str| info.and_then(|info| info.get(name)).and_then(Value::as_str);
    let chains = declared.get("supportedChains").and_then(Value::as_array).into_iter().flatten().take(32);
    let chains: Vec<_> =
        chains.filter_map(|chain| chain.get("chainId").and_then(Value::as_str)).map(|id| one_line(id, 64)).collect();
    report.session = Some(serde_json::json!({
        "statement": member("statement").map(|text| one_line(text, 200)),
        "expirationTime": member("expirationTime").map(|text| one_line(text, 40)),
        "chains": chains,
        "paysFirst": !alone,
    }));
    if chains.is_empty() {
        report.find(Severity::Error, "no_wallets", "no chain's wallets may sign in", "list supportedChains");
    }
    if member("expirationTime").is_none() {
        report.find(
            Severity::Warning,
            "endless_challenge",
            "a signature for a session never expires",
            "set expirationTime to some minutes",
        );
    }
}
