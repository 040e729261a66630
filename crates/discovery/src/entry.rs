//! [`Entry`]: one service in a catalogue, as its own challenge described it.

use crate::declared::Kind;
use crate::text;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tollway_core::{PaymentRequirements, ResourceInfo, X402_VERSION};

/// One service. Everything a stranger could say is in `resource`, `bazaar` and `accepts`, and was said by the
/// resource's own challenge.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Entry {
    /// Origin and route template or path, and a tool's name: what makes it one entry.
    pub key: String,
    /// Whether it is a tool over MCP.
    pub mcp: bool,
    /// The verb to ask with.
    pub method: String,
    /// The URL to ask, as it was paid for.
    pub url: String,
    /// The host, for quotas.
    pub host: String,
    /// Whose payment brought it, for quotas.
    pub payer: String,
    /// The ways to pay.
    pub accepts: Vec<PaymentRequirements>,
    /// What it says about itself.
    pub resource: ResourceInfo,
    /// What it declares: `info` and `routeTemplate`.
    pub bazaar: Value,
    /// Keys of all extensions it declares.
    pub extensions: Vec<String>,
    /// The lowest price in millionths of a dollar, where it is known.
    pub price: Option<u64>,
    /// Unix second of the first listing.
    pub listed: u64,
    /// Unix second of the last change of what it offers.
    pub updated: u64,
    /// Unix second of the last probe that confirmed it.
    pub probed: u64,
    /// Unix second of the next probe.
    pub next_probe: u64,
    /// Probes that failed since.
    pub failures: u32,
    /// How long an answer takes, in milliseconds: a moving average.
    pub latency_ms: u32,
    /// How many of 1000 probes succeed: a moving average.
    pub success: u32,
}

/// Shelves of the ranking: 0 the best, 15 the worst.
const SHELVES: u32 = 16;

impl Entry {
    /// Its kind.
    pub fn kind(&self) -> Kind {
        if self.mcp { Kind::Mcp } else { Kind::Http }
    }

    /// The shelf it stands on: what was measured decides, and nothing that a stranger wrote.
    pub fn shelf(&self) -> u32 {
        let slow = (self.latency_ms / 10).min(400);
        let score = self.success.min(1000).saturating_sub(slow);
        (SHELVES - 1).saturating_sub(score / (1000 / SHELVES + 1))
    }

    /// Where it stands among all: by shelf, and on a shelf by the order of arrival.
    pub fn position(&self, number: u64) -> u64 {
        u64::from(self.shelf()) << 48 | number & 0xffff_ffff_ffff
    }

    /// The words it is found by.
    pub fn words(&self) -> Vec<String> {
        let resource = &self.resource;
        let tags = resource.tags.iter().flatten().map(String::as_str);
        let texts = resource.service_name.as_deref().into_iter().chain(tags).chain(resource.description.as_deref());
        let tool = self.bazaar.pointer("/info/input/toolName").and_then(Value::as_str);
        let all: Vec<_> = texts.chain(tool).chain([self.key.as_str()]).collect();
        text::words(&all.join(" "), 160)
    }

    /// What the protocol calls a discovery item, with what was measured beside it.
    pub fn item(&self) -> Value {
        let resource = if self.mcp { self.url.as_str() } else { self.key.as_str() };
        let mut item = json!({
            "resource": resource,
            "type": self.kind().name(),
            "x402Version": X402_VERSION,
            "accepts": self.accepts,
            "lastUpdated": iso(self.updated),
            "extensions": { "bazaar": self.bazaar },
            "quality": {
                "confirmed": iso(self.probed),
                "latencyMs": self.latency_ms,
                "successRate": f64::from(self.success.min(1000)) / 1000.0,
            },
        });
        if let Some(price) = self.price {
            item["quality"]["price"] = json!(dollars(price));
        }
        let info = &self.resource;
        let texts = [
            ("description", &info.description),
            ("mimeType", &info.mime_type),
            ("serviceName", &info.service_name),
            ("iconUrl", &info.icon_url),
        ];
        for (name, text) in texts {
            if let Some(text) = text {
                item[name] = json!(text);
            }
        }
        if let Some(tags) = &info.tags {
            item["tags"] = json!(tags);
        }
        item
    }
}

/// A second as the protocol's own implementation writes it.
pub(crate) fn iso(seconds: u64) -> String {
    let at = i64::try_from(seconds).ok().and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
    at.map_or_else(String::new, |at| format!("{at:.3}"))
}

/// Millionths of a dollar as decimal text, without zeros at its end.
pub fn dollars(micros: u64) -> String {
    let text = format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000);
    let cut = text.trim_end_matches('0');
    let least = text.find('.').map_or(0, |point| point + 3);
    text[..cut.len().max(least)].to_owned()
}

/// Decimal text as millionths of a dollar; digits beyond are cut.
pub(crate) fn micros(text: &str) -> Option<u64> {
    let money: tollway_core::Money = text.parse().ok()?;
    if money.symbol().is_some() {
        return None;
    }
    money.to_amount(6).ok()?.to_string().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_and_time_are_written_plainly() {
        for (micros, text) in [(0, "0.00"), (1, "0.000001"), (1000, "0.001"), (10_000, "0.01"), (1_500_000, "1.50")] {
            assert_eq!(dollars(micros), text);
            assert_eq!(super::micros(text), Some(micros));
        }
        assert_eq!(iso(1_750_000_000), "2025-06-15T15:06:40.000Z");
        assert_eq!(iso(u64::MAX), "");
    }
}
