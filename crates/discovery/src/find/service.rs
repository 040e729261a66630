//! [`Service`]: one thing that can be bought, as a facilitator lists it.

use super::FindError;
use crate::declared::{Kind, fits};
use crate::template;
use crate::text::{MAX_DESCRIPTION, MAX_URL, one_line};
use serde::Serialize;
use serde_json::{Map, Value, json};
use tollway_core::PaymentRequirements;
use url::Url;

/// Most offers read, and values of one item.
const MAX_OFFERS: usize = 32;
const MAX_NODES: usize = 4096;
const MAX_BYTES: usize = 64 * 1024;

/// What a stranger wrote about a service. For people to read: never for an agent to follow.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Untrusted {
    /// The service's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_name: Option<String>,
    /// What it does, in one line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Tags.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
}

/// One service. Of the same one on several facilitators there is one.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Service {
    /// Its URL, or its URL with a template's parameters.
    pub resource: String,
    /// `http` or `mcp`.
    #[serde(rename = "type", serialize_with = "kind_name")]
    pub kind: Kind,
    /// The verb.
    pub method: String,
    /// The tool's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool: Option<String>,
    /// The lowest price in millionths of a dollar, by this program's own tables.
    pub price_micros: Option<u64>,
    /// How long its answers take, in milliseconds, as its facilitator says.
    pub latency_ms: Option<u64>,
    /// How many of 1000 probes succeed, as its facilitator says.
    pub success: Option<u64>,
    /// Unix second of its last change, as its facilitator says.
    pub updated: Option<u64>,
    /// The facilitators that list it.
    pub listed_by: Vec<String>,
    /// The ways to pay.
    pub accepts: Vec<PaymentRequirements>,
    /// What it says about itself.
    pub untrusted: Untrusted,
    /// What it declares about its input and output.
    #[serde(skip)]
    pub info: Value,
}

fn kind_name<S: serde::Serializer>(kind: &Kind, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(kind.name())
}

/// What to send to a service, beside the payment.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct Input {
    /// Parameters of the path.
    pub path: Map<String, Value>,
    /// Parameters of the query.
    pub query: Map<String, Value>,
    /// The body.
    pub body: Option<Value>,
}

impl Input {
    /// Nothing but a query.
    pub fn query(parameters: Value) -> Self {
        Self { query: object(Some(&parameters)), ..Self::default() }
    }

    /// A body.
    pub fn body(body: Value) -> Self {
        Self { body: Some(body), ..Self::default() }
    }

    /// Sets the path's parameters.
    pub fn path(mut self, parameters: Value) -> Self {
        self.path = object(Some(&parameters));
        self
    }
}

fn object(value: Option<&Value>) -> Map<String, Value> {
    value.and_then(Value::as_object).cloned().unwrap_or_default()
}

/// A value as it stands in a path or a query.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

impl Service {
    /// Reads an item of a facilitator; `None` if it is none.
    pub(super) fn read(item: &Value, facilitator: &str) -> Option<Self> {
        if !fits(item, &mut { MAX_NODES }, &mut { MAX_BYTES }) {
            return None;
        }
        let text = |name: &str| item.get(name).and_then(Value::as_str);
        let resource = text("resource").filter(|url| url.len() <= MAX_URL)?;
        let url: Url = resource.parse().ok()?;
        if !matches!(url.scheme(), "http" | "https") {
            return None;
        }
        let kind = text("type").map_or(Some(Kind::Http), Kind::from_name)?;
        let offers = item.get("accepts")?.as_array()?.iter().take(MAX_OFFERS);
        let accepts: Vec<_> = offers.filter_map(|offer| serde_json::from_value(offer.clone()).ok()).collect();
        if accepts.is_empty() {
            return None;
        }
        // Facilitators of older versions call it `metadata`.
        let bazaar = item.pointer("/extensions/bazaar").or(item.pointer("/metadata/bazaar"));
        let info = bazaar.and_then(|bazaar| bazaar.get("info")).cloned().unwrap_or_else(|| json!({}));
        let input = |name: &str| info.pointer("/input").and_then(|input| input.get(name)).and_then(Value::as_str);
        let method = input("method").unwrap_or("GET").to_owned();
        let tool = input("toolName").map(|tool| one_line(tool, 128));
        let line = |name: &str, most| text(name).map(|text| one_line(text, most)).filter(|text| !text.is_empty());
        let tags = item.get("tags").and_then(Value::as_array).into_iter().flatten().take(5);
        let quality = |name: &str| item.pointer(&format!("/quality/{name}"));
        Some(Self {
            resource: one_line(resource, MAX_URL),
            kind,
            method,
            tool,
            price_micros: None,
            latency_ms: quality("latencyMs").and_then(Value::as_u64),
            success: quality("successRate")
                .and_then(Value::as_f64)
                .filter(|rate| (0.0..=1.0).contains(rate))
                .map(per_mille),
            updated: item.get("lastUpdated").and_then(when),
            listed_by: vec![facilitator.to_owned()],
            accepts,
            untrusted: Untrusted {
                service_name: line("serviceName", 32),
                description: line("description", MAX_DESCRIPTION),
                tags: tags.filter_map(Value::as_str).map(|tag| one_line(tag, 32)).collect(),
            },
            info,
        })
    }

    /// What to send if nothing else is said: the example it declares.
    pub fn example(&self) -> Input {
        let input = self.info.get("input");
        let part = |name: &str| object(input.and_then(|input| input.get(name)));
        let body = input.and_then(|input| input.get("body")).cloned();
        Input { path: part("pathParams"), query: part("queryParams"), body }
    }

    /// The URL to ask with this input.
    ///
    /// # Errors
    /// A parameter of the path is missing.
    pub fn url(&self, input: &Input) -> Result<Url, FindError> {
        let wrong = |why: String| FindError::Setting(format!("{}: {why}", self.resource));
        let mut url: Url = self.resource.parse().map_err(|_| wrong("no URL".to_owned()))?;
        let segments: Vec<String> = url.path().split('/').skip(1).map(template::decoded).collect();
        {
            let mut path = url.path_segments_mut().map_err(|()| wrong("no URL with a path".to_owned()))?;
            path.clear();
            for segment in &segments {
                match segment.strip_prefix(':') {
                    None => drop(path.push(segment)),
                    Some(name) => {
                        let value =
                            input.path.get(name).map(plain).ok_or_else(|| wrong(format!("say what `{name}` is")))?;
                        // A parameter for the rest of a path has slashes; any other must not leave its segment.
                        if name.starts_with("var") {
                            path.extend(value.split('/'));
                        } else {
                            path.push(&value);
                        }
                    }
                }
            }
        }
        if !input.query.is_empty() {
            url.query_pairs_mut().extend_pairs(input.query.iter().map(|(name, value)| (name, plain(value))));
        }
        Ok(url)
    }

    /// The order in which services are tried: those that answer first, of those the cheapest, of those the fastest.
    pub(super) fn rank(&self) -> (bool, u64, u64, u64) {
        let success = self.success.unwrap_or(1000);
        (
            success < 900,
            self.price_micros.unwrap_or(u64::MAX),
            self.latency_ms.unwrap_or(u64::MAX),
            1000 - success.min(1000),
        )
    }
}

/// A share as thousandths. It is in 0..=1, so nothing is lost.
fn per_mille(rate: f64) -> u64 {
    (rate * 1000.0).round() as u64
}

/// `lastUpdated`: seconds by the specification, ISO 8601 by what is deployed.
fn when(value: &Value) -> Option<u64> {
    match value {
        Value::Number(seconds) => seconds.as_u64(),
        Value::String(text) => text.parse::<jiff::Timestamp>().ok().and_then(|at| u64::try_from(at.as_second()).ok()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(resource: &str) -> Service {
        let offer = json!({ "scheme": "exact", "network": "eip155:1", "amount": "1", "asset": "0x1", "payTo": "0x2", "maxTimeoutSeconds": 60 });
        Service::read(
            &json!({ "resource": resource, "accepts": [offer], "lastUpdated": "1970-01-01T00:00:07.000Z" }),
            "f",
        )
        .unwrap()
    }

    #[test]
    fn urls_are_made_from_templates_and_stay_in_their_place() {
        let service = service("https://api.test/w/:city/x");
        assert_eq!(service.updated, Some(7));
        let input = Input::query(json!({ "a": "b c", "n": 1 })).path(json!({ "city": "../../São/Paulo?x" }));
        let url = service.url(&input).unwrap();
        assert_eq!(url.as_str(), "https://api.test/w/..%2F..%2FS%C3%A3o%2FPaulo%3Fx/x?a=b+c&n=1");
        assert!(service.url(&Input::default()).unwrap_err().to_string().contains("city"));
    }

    #[test]
    fn what_is_no_item_is_passed_over() {
        for item in [
            json!(null),
            json!({}),
            json!({ "resource": "ftp://x", "accepts": [] }),
            json!({ "resource": "https://x.test", "accepts": [1] }),
        ] {
            assert!(Service::read(&item, "f").is_none(), "{item}");
        }
    }
}
