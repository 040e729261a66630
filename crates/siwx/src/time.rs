//! Times and durations as texts.

use jiff::{Span, SpanRelativeTo, Timestamp};

/// RFC 3339 with milliseconds, as the challenges of deployed servers have it.
pub(crate) fn write(millis: u64) -> String {
    let stamp = i64::try_from(millis).ok().and_then(|millis| Timestamp::from_millisecond(millis).ok());
    format!("{:.3}", stamp.unwrap_or(Timestamp::MAX))
}

/// The Unix second of an RFC 3339 time; `None` for other text and for times before 1970.
pub(crate) fn read(text: &str) -> Option<u64> {
    // The parser knows more forms than the protocol does.
    let shape =
        text.len() <= 40 && text.contains(['T', 't']) && text.bytes().all(|byte| b"0123456789TtZz:.+-".contains(&byte));
    let stamp: Timestamp = shape.then(|| text.parse().ok())??;
    u64::try_from(stamp.as_second()).ok()
}

/// The seconds of a duration such as `15m`, `1h 30m` or `30d`.
///
/// # Errors
/// It is none, or shorter than a second; says how to write one.
pub(crate) fn duration(text: &str) -> Result<u64, String> {
    let advice = || format!("`{text}` is no duration; write it as 15m, 1h, 1h 30m or 30d");
    let span: Span = text.parse().map_err(|_| advice())?;
    let length = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| advice())?;
    u64::try_from(length.as_secs()).ok().filter(|seconds| *seconds > 0).ok_or_else(advice)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn times_are_written_as_the_reference_writes_them() {
        assert_eq!(write(1_795_187_723_949), "2026-11-20T15:15:23.949Z");
        assert_eq!(write(1_795_187_723_000), "2026-11-20T15:15:23.000Z");
        assert_eq!(read("2026-11-20T15:15:23.949Z"), Some(1_795_187_723));
        assert_eq!(read("2026-11-20T16:15:23+01:00"), Some(1_795_187_723));
    }

    #[test]
    fn other_texts_are_no_times() {
        for bad in [
            "",
            "now",
            "2026-11-20",
            "2026-11-20 15:15:23Z",
            "1795187723",
            "2026-13-20T15:15:23Z",
            "1969-01-01T00:00:00Z",
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn durations() {
        for (text, seconds) in [("1h", 3600), ("15m", 900), ("1h 30m", 5400), ("30d", 2_592_000), ("2s", 2)] {
            assert_eq!(duration(text), Ok(seconds), "{text}");
        }
        for bad in ["", "0s", "5", "1 month", "-1h", "soon", "1ms"] {
            assert!(duration(bad).unwrap_err().contains("15m"), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(text in ".{0,60}", millis: u64) {
            let _ = (read(&text), duration(&text), write(millis));
        }

        #[test]
        fn what_is_written_is_read(seconds in 0u64..250_000_000_000, millis in 0u64..1000) {
            prop_assert_eq!(read(&write(seconds * 1000 + millis)), Some(seconds));
        }
    }
}
