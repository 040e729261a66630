//! [`RoutePattern`]: `GET /users/:id`. Which requests a route protects, whatever way their path is spelt.

use regex::Regex;
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

/// A verb (or any) and a path with wildcards: `*` any characters, `:name` or `[name]` one segment, a trailing `/*`
/// also the bare prefix. Letter case does not count (specification, "HTTP transport", route patterns).
#[derive(Clone)]
pub struct RoutePattern {
    text: String,
    verb: Option<String>,
    path: PathMatcher,
}

#[derive(Clone)]
enum PathMatcher {
    /// A path without wildcards, compared without looking at the case of ASCII letters.
    Literal(String),
    /// Everything else. Linear in the length of the path, whatever the pattern.
    Wildcards(Regex),
}

/// Why a text is no route pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PatternError(String);

impl fmt::Display for PatternError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is no route; write `GET /report`, `/files/*` or `POST /users/:id`, not percent-encoded", self.0)
    }
}

impl std::error::Error for PatternError {}

impl RoutePattern {
    /// The pattern as written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The path, if it has no wildcard: the only spelling whose challenge is worth keeping.
    pub(crate) fn literal(&self) -> Option<&str> {
        match &self.path {
            PathMatcher::Literal(path) => Some(path),
            PathMatcher::Wildcards(_) => None,
        }
    }

    /// Whether a request falls under this pattern. `path` has been through [`normalize`].
    pub(crate) fn matches(&self, verb: &str, path: &str) -> bool {
        self.verb.as_deref().is_none_or(|own| own == verb)
            && match &self.path {
                PathMatcher::Literal(own) => own.eq_ignore_ascii_case(path),
                PathMatcher::Wildcards(regex) => regex.is_match(path),
            }
    }
}

impl FromStr for RoutePattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        let error = || PatternError(text.chars().take(64).collect());
        let mut words = text.split_whitespace();
        let (verb, path) = match (words.next(), words.next(), words.next()) {
            (Some(verb), Some(path), None) => (Some(verb), path),
            (Some(path), None, None) => (None, path),
            _ => return Err(error()),
        };
        let verb = verb.filter(|verb| *verb != "*").map(str::to_ascii_uppercase);
        let is_verb = |verb: &String| verb.bytes().all(|b| b.is_ascii_uppercase() || b == b'-');
        if !(path.starts_with('/') || path == "*") || !verb.as_ref().is_none_or(is_verb) {
            return Err(error());
        }
        let path = match to_regex(path) {
            // Requests are matched decoded: such a pattern would cover nothing, and leave free what it is to sell.
            Some(_) if path.contains('%') => return Err(error()),
            // A literal with letters beyond ASCII needs the regex's idea of letter case.
            regex if regex.is_none() && path.is_ascii() => PathMatcher::Literal(normalize(path).into_owned()),
            regex => {
                let regex = regex.unwrap_or_else(|| regex::escape(&normalize(path)));
                PathMatcher::Wildcards(Regex::new(&format!("(?is)^(?:{regex})$")).map_err(|_| error())?)
            }
        };
        Ok(Self { text: text.to_owned(), verb, path })
    }
}

impl fmt::Display for RoutePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for RoutePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The pattern as a regular expression; `None` if it has no wildcard.
fn to_regex(path: &str) -> Option<String> {
    let (body, tail) = match path.strip_suffix("/*") {
        Some(prefix) => (prefix, "(?:/.*)?"),
        None => (path, ""),
    };
    let mut out = String::new();
    let mut wild = !tail.is_empty();
    let mut rest = body;
    while let Some(c) = rest.chars().next() {
        let name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let (piece, len) = match c {
            '*' => (".*", 1),
            ':' => ("[^/]+", 1 + rest[1..].find(|c| !name(c)).unwrap_or(rest.len() - 1)),
            '[' => ("[^/]+", rest.find(']').map_or(1, |end| end + 1)),
            c => ("", c.len_utf8()),
        };
        // A lone `:` or an unclosed or empty bracket is an ordinary character.
        let is_wildcard = !piece.is_empty() && (c == '*' || len > if c == '[' { 2 } else { 1 });
        if is_wildcard {
            out.push_str(piece);
            wild = true;
        } else {
            out.push_str(&regex::escape(&rest[..len]));
        }
        rest = &rest[len..];
    }
    wild.then(|| out + tail)
}

/// One spelling for every path that a router could take for the same resource: query and fragment cut, segments
/// percent-decoded once with slashes inside them kept escaped, slashes collapsed, none at the end.
///
/// A path that is already in that form is borrowed.
pub(crate) fn normalize(path: &str) -> Cow<'_, str> {
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let plain = path.starts_with('/')
        && (path.len() == 1 || !path.ends_with('/'))
        && !path.contains("//")
        && !path.contains(['%', '\\']);
    if plain {
        return Cow::Borrowed(path);
    }
    let mut out = String::with_capacity(path.len());
    for segment in path.split('/').filter(|segment| !segment.is_empty()) {
        out.push('/');
        match percent_decode(segment) {
            Some(decoded) => decoded.chars().for_each(|c| match c {
                '/' => out.push_str("%2F"),
                '\\' => out.push_str("%5C"),
                c => out.push(c),
            }),
            None => out.push_str(segment),
        }
    }
    // No path at all stays none, as the reference reads it; transports give at least a slash.
    if out.is_empty() && !path.is_empty() {
        out.push('/');
    }
    Cow::Owned(out)
}

/// Decodes `%XX`; `None` where an escape is malformed or the result is not UTF-8.
fn percent_decode(segment: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        if byte != b'%' {
            bytes.push(byte);
            rest = tail;
            continue;
        }
        let digit = |i: usize| tail.get(i).and_then(|b| char::from(*b).to_digit(16)).and_then(|d| u8::try_from(d).ok());
        bytes.push((digit(0)? << 4) | digit(1)?);
        rest = &tail[2..];
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_encoded_slash_stays_inside_its_segment() {
        assert_eq!(normalize("/a/b%2Fc"), "/a/b%2Fc");
        assert_eq!(normalize("/a/b%5Cc"), "/a/b%5Cc");
        assert_eq!(normalize("/a/%zz"), "/a/%zz");
        assert_eq!(normalize("//API/%72eport/?x#y"), "/API/report");
        assert!(matches!(normalize("/plain/path"), Cow::Borrowed(_)));
    }

    /// Every combination of the recorded patterns, verbs and paths matches exactly where the reference does.
    #[test]
    fn golden_routes() {
        let golden = include_str!("../../testkit/golden/vectors/routes.json");
        let golden: serde_json::Value = serde_json::from_str(golden).unwrap();
        let texts = |key: &str| golden[key].as_array().unwrap().iter().map(|v| v.as_str().unwrap().to_owned());
        let expected: Vec<_> = golden["matches"].as_array().unwrap().iter().collect();
        let mut matched = 0;
        for pattern in texts("patterns") {
            let parsed: RoutePattern = pattern.parse().unwrap();
            for verb in texts("methods") {
                for path in texts("paths") {
                    let row = serde_json::json!([pattern, verb, path]);
                    let matches = parsed.matches(&verb, &normalize(&path));
                    assert_eq!(matches, expected.contains(&&row), "{row}");
                    matched += usize::from(matches);
                }
            }
        }
        assert_eq!(matched, expected.len());
    }

    #[test]
    fn a_bad_pattern_says_how_to_write_one() {
        for bad in ["", "GET", "GET report", "GET /a /b", "G3T /a", "/a%20b/:id"] {
            let error = bad.parse::<RoutePattern>().unwrap_err().to_string();
            assert!(error.contains("GET /report"), "{bad}");
        }
    }

    #[test]
    fn text_after_a_segment_counts() {
        let pattern: RoutePattern = "/files/:name.json".parse().unwrap();
        assert!(pattern.matches("GET", "/files/a.b.json"));
        assert!(!pattern.matches("GET", "/files/a.txt"));
        assert!(!pattern.matches("GET", "/files/a/b.json"));
    }
}
