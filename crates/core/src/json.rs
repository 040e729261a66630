//! JSON from strangers: bounded depth, `null` read as absent, unknown members kept.

use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::{Map, Value};

/// A JSON object. Members this version does not know stay in one of these and are written back.
pub type Object = Map<String, Value>;

/// Deepest nesting accepted from the network. serde_json's own limit of 128 cannot be lowered, so bytes are scanned first.
pub const MAX_DEPTH: usize = 32;

/// Why bytes from the network were not decoded.
#[derive(Debug)]
#[non_exhaustive]
pub enum JsonError {
    /// Nested deeper than [`MAX_DEPTH`].
    TooDeep,
    /// Not JSON at all: the text is malformed.
    Syntax(serde_json::Error),
    /// JSON, but not of the expected shape.
    Shape(serde_json::Error),
}

impl std::fmt::Display for JsonError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::TooDeep => write!(f, "JSON is nested deeper than {MAX_DEPTH} levels"),
            Self::Syntax(why) => write!(f, "not JSON: {why}"),
            Self::Shape(why) => write!(f, "JSON of the wrong shape: {why}"),
        }
    }
}

impl std::error::Error for JsonError {}

/// Decodes bytes from the network, refusing those nested deeper than [`MAX_DEPTH`] before anything is allocated.
///
/// Integers above `u64::MAX` inside members this version does not know come back as floating point numbers; the
/// protocol carries its amounts as strings.
///
/// # Errors
/// [`JsonError`] tells malformed text from a wrong shape, since transports answer them differently.
pub fn from_slice<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, JsonError> {
    if depth_exceeds(bytes, MAX_DEPTH) {
        return Err(JsonError::TooDeep);
    }
    serde_json::from_slice(bytes).map_err(|why| match serde_json::from_slice::<IgnoredAny>(bytes) {
        // A wrong type is noticed before the rest of the text is read, so only a second look tells the two apart.
        Ok(_) => JsonError::Shape(why),
        Err(syntax) => JsonError::Syntax(syntax),
    })
}

/// Whether brackets outside strings nest deeper than `limit`. One pass over the bytes, no allocation.
fn depth_exceeds(bytes: &[u8], limit: usize) -> bool {
    let (mut depth, mut in_string, mut escaped) = (0usize, false, false);
    for &byte in bytes {
        if in_string {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_string = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => in_string = true,
            b'{' | b'[' => {
                depth = depth.saturating_add(1);
                if depth > limit {
                    return true;
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

/// Whether every value of `part` is present and equal in `whole`: objects are compared member by member and `whole`
/// may carry more, arrays and scalars must be equal.
pub fn is_subset(part: &Value, whole: &Value) -> bool {
    match (part, whole) {
        (Value::Object(part), Value::Object(whole)) => {
            part.iter().all(|(key, value)| whole.get(key).is_some_and(|other| is_subset(value, other)))
        }
        _ => part == whole,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_is_counted_outside_strings() {
        let at_limit = format!("{}{}", "[".repeat(32), "]".repeat(32));
        assert!(from_slice::<Value>(at_limit.as_bytes()).is_ok());
        let deeper = format!("{}{}", "[".repeat(33), "]".repeat(33));
        assert!(matches!(from_slice::<Value>(deeper.as_bytes()), Err(JsonError::TooDeep)));
        let in_text = format!("\"{}\\\"{}\"", "[".repeat(40), "{".repeat(40));
        assert!(from_slice::<Value>(in_text.as_bytes()).is_ok());
    }

    #[test]
    fn syntax_and_shape_are_told_apart() {
        assert!(matches!(from_slice::<u8>(b"{"), Err(JsonError::Syntax(_))));
        assert!(matches!(from_slice::<u8>(b"\"x\""), Err(JsonError::Shape(_))));
    }
}
