//! `GET /discovery/resources` and `GET /discovery/search`.

use super::Catalogue;
use crate::declared::Kind;
use crate::entry::{Entry, micros};
use crate::store::{Filter, Search};
use crate::text::words;
use serde_json::{Value, json};
use tollway_core::{Fault, Reply, X402_VERSION};

/// Entries on a page if nothing is said, and at most.
const LIMIT: usize = 20;
const MOST: usize = 100;
/// Words of a search that count.
pub(super) const MOST_WORDS: usize = 8;
/// Longest value of a parameter, in bytes.
const MAX_VALUE: usize = 256;

/// A query that cannot be answered, and why.
pub(super) struct Wrong(pub(super) String);

/// One parameter; the first counts.
pub(super) fn parameter<'a>(query: &'a [(String, String)], name: &str) -> Option<&'a str> {
    query.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
}

fn number(query: &[(String, String)], name: &str) -> Result<Option<u64>, Wrong> {
    let wrong = |_| Wrong(format!("{name} is a whole number, 0 at least"));
    parameter(query, name).map(|text| text.parse().map_err(wrong)).transpose()
}

pub(super) fn limit(query: &[(String, String)]) -> Result<usize, Wrong> {
    match number(query, "limit")? {
        None => Ok(LIMIT),
        Some(limit) => match usize::try_from(limit) {
            Ok(limit @ 1..=MOST) => Ok(limit),
            _ => Err(Wrong(format!("limit is 1 to {MOST}"))),
        },
    }
}

pub(super) fn filter(query: &[(String, String)]) -> Result<Filter, Wrong> {
    let text = |name: &str| match parameter(query, name) {
        Some(value) if value.len() > MAX_VALUE => Err(Wrong(format!("{name} is at most {MAX_VALUE} bytes long"))),
        value => Ok(value.map(str::to_owned)),
    };
    let kind = parameter(query, "type")
        .map(|name| Kind::from_name(name).ok_or_else(|| Wrong("type is http or mcp".to_owned())));
    let max_price = parameter(query, "maxPrice")
        .map(|price| micros(price).ok_or_else(|| Wrong("maxPrice is in dollars, such as 0.01".to_owned())));
    Ok(Filter {
        kind: kind.transpose()?,
        pay_to: text("payTo")?,
        scheme: text("scheme")?,
        network: text("network")?,
        asset: text("asset")?,
        extension: text("extensions")?,
        tag: text("tag")?,
        max_price: max_price.transpose()?,
    })
}

fn items(entries: &[Entry]) -> Vec<Value> {
    entries.iter().map(Entry::item).collect()
}

pub(super) fn refused(Wrong(why): Wrong) -> Reply {
    Reply::json(400, json!({ "error": why }).to_string())
}

pub(super) fn broken(why: &Fault) -> Reply {
    tracing::error!(%why, "the catalogue cannot be read");
    Reply::json(503, json!({ "error": "the catalogue cannot be read at the moment; try again" }).to_string())
}

impl Catalogue {
    pub(super) async fn resources(&self, query: &[(String, String)]) -> Reply {
        let read = || Ok((filter(query)?, limit(query)?, number(query, "offset")?.unwrap_or(0)));
        let (filter, limit, offset) = match read() {
            Ok(read) => read,
            Err(wrong) => return refused(wrong),
        };
        match self.inner.store.browse(&filter, limit, offset).await {
            Ok(page) => {
                let pagination = json!({ "limit": limit, "offset": offset, "total": page.total });
                let items = items(&page.entries);
                Reply::json(
                    200,
                    json!({ "x402Version": X402_VERSION, "items": items, "pagination": pagination }).to_string(),
                )
            }
            Err(why) => broken(&why),
        }
    }

    pub(super) async fn search(&self, query: &[(String, String)]) -> Reply {
        let read = || {
            let text =
                parameter(query, "query").ok_or_else(|| Wrong("query is missing: say what to look for".to_owned()))?;
            let after = parameter(query, "cursor").map(|text| {
                u64::from_str_radix(text, 36).map_err(|_| Wrong("cursor is none that was given out here".to_owned()))
            });
            Ok((Search::new(words(text, MOST_WORDS), filter(query)?, limit(query)?, after.transpose()?), text))
        };
        let search = match read() {
            Ok((search, _)) => search,
            Err(wrong) => return refused(wrong),
        };
        if search.words.is_empty() {
            return refused(Wrong("query has no letter and no digit to look for".to_owned()));
        }
        match self.inner.store.search(&search).await {
            Ok(found) => {
                let mut body = json!({
                    "x402Version": X402_VERSION,
                    "resources": items(&found.entries),
                    "pagination": { "limit": search.limit, "cursor": found.next.map(base36) },
                });
                if found.partial {
                    body["partialResults"] = json!(true);
                }
                Reply::json(200, body.to_string())
            }
            Err(why) => broken(&why),
        }
    }
}

/// A position as a cursor.
pub(super) fn base36(mut position: u64) -> String {
    let mut digits = Vec::new();
    loop {
        digits.push(b"0123456789abcdefghijklmnopqrstuvwxyz"[(position % 36) as usize]);
        position /= 36;
        if position == 0 {
            break;
        }
    }
    digits.iter().rev().map(|digit| *digit as char).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_are_read_back() {
        for position in [0, 35, 36, 1 << 48, u64::MAX] {
            assert_eq!(u64::from_str_radix(&base36(position), 36), Ok(position));
        }
    }

    #[test]
    fn parameters_have_limits() {
        let query = |name: &str, value: &str| vec![(name.to_owned(), value.to_owned())];
        for (name, value) in [("limit", "0"), ("limit", "101"), ("limit", "-1"), ("limit", "x")] {
            assert!(limit(&query(name, value)).is_err(), "{value}");
        }
        assert_eq!(limit(&query("limit", "100")).ok(), Some(100));
        assert!(filter(&query("type", "ftp")).is_err());
        assert!(filter(&query("maxPrice", "5 EURC")).is_err());
        assert!(filter(&query("payTo", &"x".repeat(257))).is_err());
        assert_eq!(filter(&query("maxPrice", "$0.01")).ok().and_then(|f| f.max_price), Some(10_000));
    }
}
