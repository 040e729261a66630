//! `discovery`: searches in a catalogue of 10^3 and of 10^6 entries in SQLite, and what cataloguing costs a verify.

use crate::Load;
use crate::child::Served;
use crate::drive::{self, Kind};
use crate::methods::Method;
use crate::payments::envelope;
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tollway::core::PaymentPayload;
use tollway::discovery::{CatalogueStore, Entry, Filter, Limits, Search, words};
use tollway_devnet::Devnet;
use tollway_store::SqliteCatalogue;

/// Entries written in one transaction.
const AT_ONCE: u64 = 2_000;
/// Searches counted, after some that are not.
const SEARCHES: usize = 4_000;
const WARM_UP: usize = 400;
/// Rounds of the comparison of CPU; the median counts.
const ROUNDS: usize = 5;
/// Distinct payments of that comparison.
const PAYMENTS: usize = 2_000;

/// Words of descriptions, the first in a tenth of all entries, the later the rarer.
const VOCABULARY: [&str; 8] = ["weather", "news", "maps", "stocks", "tides", "snow", "orchids", "zeppelins"];

/// An entry as a catalogue of that size has many.
fn entry(number: u64) -> Result<Entry, String> {
    let mut text = format!("Service {} for everybody, number {number}", number % 977);
    let mut share = 10;
    for word in VOCABULARY {
        if number % share == share / 2 {
            text.push(' ');
            text.push_str(word);
        }
        share = share.saturating_mul(3);
    }
    let network = ["eip155:8453", "eip155:84532", "eip155:137"][(number % 3) as usize];
    let host = format!("s{}.example", number / 4);
    let url = format!("https://{host}/v1/{number}");
    let value = json!({
        "key": url, "mcp": false, "method": "GET", "url": url, "host": host, "payer": format!("0x{:040x}", number / 50),
        "accepts": [{
            "scheme": "exact", "network": network, "amount": (number % 5000).to_string(),
            "asset": "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913", "payTo": format!("0x{:040x}", number / 4),
            "maxTimeoutSeconds": 300, "extra": { "name": "USD Coin", "version": "2" },
        }],
        "resource": { "url": url, "description": text, "serviceName": "Example", "tags": ["data", "api"] },
        "bazaar": { "info": {
            "input": { "type": "http", "method": "GET", "queryParams": { "q": "example" } },
            "output": { "type": "json", "example": { "answer": 42 } },
        } },
        "extensions": ["bazaar"], "price": number % 5000, "listed": number, "updated": number, "probed": number,
        "nextProbe": number + 3600, "failures": 0,
        "latencyMs": 10 + number * 7919 % 3000, "success": 1000 - number * 104_729 % 300,
    });
    serde_json::from_value(value).map_err(|why| why.to_string())
}

async fn filled(path: &Path, entries: u64) -> Result<SqliteCatalogue, String> {
    let store = SqliteCatalogue::open(path).await?;
    let mut number = 0;
    while number < entries {
        let next = (number + AT_ONCE).min(entries);
        let batch = (number..next).map(entry).collect::<Result<Vec<_>, _>>()?;
        store.import(&batch).await.map_err(|why| why.to_string())?;
        number = next;
    }
    Ok(store)
}

/// The searches, in turn: common and rare words, two at once, with a network, with a price, all there is, a later page.
fn search(number: usize) -> Search {
    let word = |n: usize| VOCABULARY[n % VOCABULARY.len()];
    let mut filter = Filter::default();
    let text = match number % 7 {
        0 | 1 => word(number / 7).to_owned(),
        2 => format!("{} {}", word(number / 7), word(number / 7 + 1)),
        3 => {
            filter.network = Some("eip155:8453".to_owned());
            word(number / 7).to_owned()
        }
        4 => {
            filter.max_price = Some(1000);
            word(number / 7).to_owned()
        }
        5 => format!("{}", number % 977),
        _ => "everybody".to_owned(),
    };
    let after = (number % 7 == 6).then_some(1 << 48);
    Search::new(words(&text, 8), filter, 20, after)
}

/// Median and 99th percentile, in microseconds, and how many entries were found in all.
async fn measured(store: &SqliteCatalogue) -> Result<(f64, f64, usize), String> {
    let (mut took, mut found) = (Vec::with_capacity(SEARCHES), 0);
    for number in 0..WARM_UP + SEARCHES {
        let search = search(number);
        let started = Instant::now();
        let answer = store.search(&search).await.map_err(|why| why.to_string())?;
        if number >= WARM_UP {
            took.push(started.elapsed());
            found += answer.entries.len();
        }
    }
    took.sort();
    let at = |share: usize| took[(took.len() * share / 100).min(took.len() - 1)].as_secs_f64() * 1e6;
    Ok((at(50), at(99), found))
}

/// The declaration of a listed route, as its challenge has it.
fn declared(mut payment: PaymentPayload) -> PaymentPayload {
    let declaration: Value = json!({
        "info": {
            "input": { "type": "http", "method": "GET", "queryParams": { "units": "metric" }, "pathParams": { "city": "Paris" } },
            "output": { "type": "json", "example": { "city": "Paris", "degrees": 21 } },
        },
        "routeTemplate": "/weather/:city",
        "schema": {
            "$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object", "required": ["input"],
            "properties": {
                "input": {
                    "type": "object", "required": ["type", "method"], "additionalProperties": false,
                    "properties": {
                        "type": { "type": "string", "const": "http" },
                        "method": { "type": "string", "enum": ["GET"] },
                        "queryParams": {
                            "type": "object", "required": ["units"],
                            "properties": { "units": { "type": "string", "enum": ["metric", "imperial"] } },
                        },
                        "pathParams": { "type": "object", "required": ["city"], "properties": { "city": { "type": "string" } } },
                    },
                },
                "output": {
                    "type": "object", "required": ["type"],
                    "properties": { "type": { "type": "string" }, "example": { "type": "object" } },
                },
            },
        },
    });
    if let Some(resource) = &mut payment.resource {
        resource.url = "https://api.example.com/weather/Paris?units=metric".to_owned();
        resource.description = Some("Weather by city".to_owned());
    }
    payment.extensions.get_or_insert_default().insert("bazaar".to_owned(), declaration);
    payment
}

/// CPU of a verify without and with a catalogue, for payments that declare a listed route; median of some rounds.
async fn cataloguing(load: Load) -> Result<(f64, f64), String> {
    let devnet = Devnet::new().map_err(|why| why.to_string())?;
    let rpc = devnet.serve("127.0.0.1:0").await.map_err(|why| why.to_string())?;
    let payments = Method::Eip3009.sign(&devnet, PAYMENTS).await?;
    let bodies: Arc<Vec<String>> = Arc::new(payments.into_iter().map(|payment| envelope(&declared(payment))).collect());
    let plain = Served::start(&["facilitator", &rpc.url()])?;
    let listing = Served::start(&["facilitator", &rpc.url(), "catalogue"])?;
    let (mut without, mut with) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        for (served, costs) in [(&plain, &mut without), (&listing, &mut with)] {
            let (url, bodies) = (format!("{}/verify", served.url), bodies.clone());
            let verify = Kind::new(200, move |http, i| {
                let body = bodies[i % bodies.len()].clone();
                http.post(&url).header("content-type", "application/json").body(body)
            });
            costs.push(drive::compare(served, load, &[verify]).await?[0].cpu_us);
        }
    }
    let median = |mut costs: Vec<f64>| {
        costs.sort_by(f64::total_cmp);
        costs[costs.len() / 2]
    };
    Ok((median(without), median(with)))
}

/// Measures everything. An error where a goal is missed.
pub(crate) async fn run(load: Load) -> Result<(), String> {
    let folder = std::env::temp_dir().join(format!("tollway-bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder).map_err(|why| why.to_string())?;
    let result = searches(&folder).await;
    let _ = std::fs::remove_dir_all(&folder);
    let ratio = result?;
    let (without, with) = cataloguing(load).await?;
    let more = (with / without - 1.0) * 100.0;
    println!("verify without a catalogue {without:8.1} µs CPU, with one {with:8.1} µs CPU: {more:+.1} %");
    println!("goals: p99 at 10^6 at most 20 × p99 at 10^3; a catalogue adds at most 5 %");
    match (ratio <= 20.0, more <= 5.0) {
        (true, true) => Ok(()),
        _ => Err("a goal is missed".to_owned()),
    }
}

/// Searches at both sizes; the ratio of their 99th percentiles.
async fn searches(folder: &Path) -> Result<f64, String> {
    let mut tails = Vec::new();
    for entries in [1_000, 1_000_000] {
        let path = folder.join(format!("{entries}.db"));
        let started = Instant::now();
        let store = filled(&path, entries).await?;
        let filling: Duration = started.elapsed();
        let (median, tail, found) = measured(&store).await?;
        let size = std::fs::metadata(&path).map(|file| file.len()).unwrap_or_default();
        println!(
            "search among {entries:9} entries   p50 {median:9.0} µs   p99 {tail:9.0} µs   ({:.1} found each, {} MB, filled in {:.0} s)",
            found as f64 / SEARCHES as f64,
            size / 1_000_000,
            filling.as_secs_f64(),
        );
        // One more, to see that what was written is all there.
        let total = store.browse(&Filter::default(), 1, 0).await.map_err(|why| why.to_string())?.total;
        if total != entries {
            return Err(format!("{total} entries are listed, not {entries}"));
        }
        let once_more = entry(entries)?;
        store.put(&once_more, Limits::new(1000, 256)).await.map_err(|why| why.to_string())?;
        tails.push(tail);
    }
    let ratio = tails[1] / tails[0];
    println!("p99 at 10^6 is {ratio:.1} × p99 at 10^3");
    Ok(ratio)
}
