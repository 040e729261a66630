//! How long to wait when a facilitator says 429 ("GET /supported").

use http::HeaderMap;
use http::header::RETRY_AFTER;
use std::time::{Duration, UNIX_EPOCH};

/// Attempts after the first.
pub(super) const MAX_RETRIES: u32 = 2;
/// Longest pause, whatever the facilitator asks for.
const LONGEST: Duration = Duration::from_secs(30);

/// The pause before the next attempt: what `Retry-After` says, in seconds or as a date, else 1 s, 2 s, 4 s.
pub(super) fn pause(headers: &HeaderMap, attempt: u32, now: u64) -> Duration {
    let asked = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()).map(str::trim);
    let asked = asked.and_then(|text| match text.parse::<u64>() {
        Ok(seconds) => Some(seconds),
        Err(_) => {
            let date = httpdate::parse_http_date(text).ok()?.duration_since(UNIX_EPOCH).ok()?;
            Some(date.as_secs().saturating_sub(now))
        }
    });
    let seconds = asked.unwrap_or_else(|| 1u64.checked_shl(attempt).unwrap_or(u64::MAX));
    Duration::from_secs(seconds).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(text: &str) -> Duration {
        pause(&HeaderMap::from_iter([(RETRY_AFTER, text.parse().unwrap())]), 0, 784_111_777)
    }

    #[test]
    fn seconds_dates_and_neither() {
        assert_eq!(asked("7"), Duration::from_secs(7));
        assert_eq!(asked("Sun, 06 Nov 1994 08:49:42 GMT"), Duration::from_secs(5));
        assert_eq!(asked("Sun, 06 Nov 1994 08:00:00 GMT"), Duration::ZERO, "a date that has passed");
        assert_eq!(asked("soon"), Duration::from_secs(1));
        assert_eq!(pause(&HeaderMap::new(), 1, 0), Duration::from_secs(2));
    }

    #[test]
    fn never_longer_than_half_a_minute() {
        for text in ["31", "99999999999999999999", "18446744073709551615", "Fri, 31 Dec 9999 23:59:59 GMT"] {
            assert!(asked(text) <= LONGEST, "{text}");
        }
        assert_eq!(pause(&HeaderMap::new(), 200, 0), LONGEST);
    }
}
