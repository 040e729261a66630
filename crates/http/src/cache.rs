//! `Cache-Control`: nothing that was paid for belongs in a shared cache (transport specification v2, "Cache-Control").

use http::header::CACHE_CONTROL;
use http::{HeaderMap, HeaderValue};

/// Of a 402: another request may be answered otherwise.
pub(crate) const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
const PRIVATE: HeaderValue = HeaderValue::from_static("private");

/// Adds `private` to what the handler said, unless it is there.
pub(crate) fn make_private(headers: &mut HeaderMap) {
    if !headers.contains_key(CACHE_CONTROL) {
        headers.insert(CACHE_CONTROL, PRIVATE);
        return;
    }
    let directives: Option<Vec<&str>> = headers.get_all(CACHE_CONTROL).iter().map(|v| v.to_str().ok()).collect();
    // Directives that are not text mean nothing to any cache.
    let said = directives.unwrap_or_default().join(", ");
    if said.split(',').any(|directive| directive.trim().eq_ignore_ascii_case("private")) {
        return;
    }
    let value = match said.trim() {
        "" => PRIVATE,
        said => HeaderValue::try_from(format!("{said}, private")).unwrap_or(PRIVATE),
    };
    headers.insert(CACHE_CONTROL, value);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_headers_become_one() {
        let mut headers = HeaderMap::new();
        headers.append(CACHE_CONTROL, HeaderValue::from_static("max-age=60"));
        headers.append(CACHE_CONTROL, HeaderValue::from_static("public"));
        make_private(&mut headers);
        assert_eq!(headers.get_all(CACHE_CONTROL).iter().collect::<Vec<_>>(), ["max-age=60, public, private"]);
    }

    #[test]
    fn a_directive_that_hides_one_field_does_not_count() {
        let mut headers = HeaderMap::from_iter([(CACHE_CONTROL, HeaderValue::from_static("private=\"x-a\""))]);
        make_private(&mut headers);
        assert_eq!(headers[CACHE_CONTROL], "private=\"x-a\", private");
    }

    #[test]
    fn golden_cache_control() {
        let rows: Vec<serde_json::Value> =
            serde_json::from_str(include_str!("../../testkit/golden/vectors/cache-control.json")).unwrap();
        assert!(!rows.is_empty());
        for row in rows {
            let mut headers = HeaderMap::new();
            if let Some(said) = row["in"].as_str() {
                headers.insert(CACHE_CONTROL, said.parse().unwrap());
            }
            make_private(&mut headers);
            assert_eq!(headers[CACHE_CONTROL], row["out"].as_str().unwrap(), "{row}");
        }
    }
}
