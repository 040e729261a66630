//! Route templates: `/users/:id`, made from a route's pattern, and checked where a stranger made them.

use regex::Regex;
use serde_json::{Map, Value};
use std::fmt::Write;

/// Longest template kept, in bytes.
const MAX_TEMPLATE: usize = 512;
/// Rounds of percent-decoding a template may take until nothing changes.
const MAX_ROUNDS: usize = 5;

/// A template and how to read parameters out of a path.
#[derive(Debug, Clone)]
pub(crate) struct Template {
    pub(crate) text: String,
    pub(crate) names: Vec<String>,
    path: Regex,
}

impl Template {
    /// The template of a route's path, such as `/users/[id]` or `/files/*`. `None` where there is no parameter, and for
    /// a bare `*`.
    pub(crate) fn of(path: &str) -> Option<Self> {
        if path == "*" || path == "/*" {
            return None;
        }
        let (mut text, mut pattern, mut names) = (String::new(), String::from("^"), Vec::new());
        let (body, open) = match path.strip_suffix("/*") {
            Some(body) => (body, true),
            None => (path, false),
        };
        let mut rest = body;
        while let Some(c) = rest.chars().next() {
            let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let (name, len) = match c {
                ':' => {
                    let len = 1 + rest[1..].find(|c| !word(c)).unwrap_or(rest.len() - 1);
                    (rest[1..len].to_owned(), len)
                }
                '[' => match rest.find(']') {
                    Some(end) => (rest[1..end].to_owned(), end + 1),
                    None => (String::new(), 1),
                },
                '*' => (format!("var{}", wildcards(&names) + 1), 1),
                c => (String::new(), c.len_utf8()),
            };
            if name.is_empty() {
                text.push_str(&rest[..len]);
                pattern.push_str(&regex::escape(&rest[..len]));
            } else {
                let _ = write!(text, ":{name}");
                pattern.push_str(if c == '*' { "(.*?)" } else { "([^/]+)" });
                names.push(name);
            }
            rest = &rest[len..];
        }
        if open {
            let name = format!("var{}", wildcards(&names) + 1);
            let _ = write!(text, "/:{name}");
            pattern.push_str("(?:/(.*))?");
            names.push(name);
        }
        if names.is_empty() {
            return None;
        }
        pattern.push_str("/?$");
        let path = Regex::new(&format!("(?is){pattern}")).ok()?;
        Some(Self { text, names, path })
    }

    /// The parameters of a path as it was sent.
    pub(crate) fn params(&self, path: &str) -> Option<Map<String, Value>> {
        let found = self.path.captures(path)?;
        let value = |i: usize| found.get(i + 1).map_or(Value::from(""), |text| Value::from(decoded(text.as_str())));
        Some(self.names.iter().enumerate().map(|(i, name)| (name.clone(), value(i))).collect())
    }
}

/// Parameters that came from a `*`.
fn wildcards(names: &[String]) -> usize {
    names.iter().filter(|name| name.strip_prefix("var").is_some_and(|n| n.parse::<u32>().is_ok())).count()
}

/// A stranger's template, if it may stand in a key and covers the path it came with.
pub(crate) fn accepted<'a>(template: &'a str, path: &str) -> Option<&'a str> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"_/:.-~%".contains(&b);
    if template.len() > MAX_TEMPLATE || !template.starts_with('/') || !template.bytes().all(plain) {
        return None;
    }
    let fixed = fixed_point(template)?;
    if fixed.contains("..") || fixed.contains("://") {
        return None;
    }
    let (own, asked) = (template.trim_end_matches('/').split('/'), path.trim_end_matches('/').split('/'));
    let (own, asked): (Vec<_>, Vec<_>) = (own.collect(), asked.collect());
    // The last parameter may stand for several segments, or for none.
    let open = own.last().is_some_and(|last| last.starts_with(":var"));
    let fits = own.len() == asked.len() || open && asked.len() + 1 >= own.len();
    let covers = own.iter().zip(&asked).all(|(own, asked)| own.contains(':') || decoded(own) == decoded(asked));
    (fits && covers).then_some(template)
}

/// Percent-decodes until nothing changes; `None` if that takes too long.
fn fixed_point(text: &str) -> Option<String> {
    let mut text = text.to_owned();
    for _ in 0..MAX_ROUNDS {
        let next = decoded(&text);
        if next == text {
            return Some(text);
        }
        text = next;
    }
    None
}

/// Percent-decoded once. What is no escape stays as it is, and what is no text is replaced.
pub(crate) fn decoded(text: &str) -> String {
    let hex = |b: Option<&u8>| b.and_then(|b| (*b as char).to_digit(16));
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        match (bytes[at], hex(bytes.get(at + 1)), hex(bytes.get(at + 2))) {
            (b'%', Some(high), Some(low)) => {
                out.push((high * 16 + low) as u8);
                at += 3;
            }
            (byte, ..) => {
                out.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn patterns_become_templates() {
        for (pattern, template) in [
            ("/users/[id]", "/users/:id"),
            ("/users/:id/posts/:post", "/users/:id/posts/:post"),
            ("/files/*", "/files/:var1"),
            ("/a/*/b/*", "/a/:var1/b/:var2"),
        ] {
            assert_eq!(Template::of(pattern).unwrap().text, template);
        }
        for pattern in ["*", "/*", "/plain", "/a:/b"] {
            assert!(Template::of(pattern).is_none(), "{pattern}");
        }
    }

    #[test]
    fn parameters_are_read_decoded() {
        let template = Template::of("/w/:city/*").unwrap();
        assert_eq!(
            json!(template.params("/w/S%C3%A3o%20Paulo/a/b").unwrap()),
            json!({"city": "São Paulo", "var1": "a/b"})
        );
        assert_eq!(json!(template.params("/w/Oslo").unwrap()), json!({"city": "Oslo", "var1": ""}));
        assert!(template.params("/x/Oslo").is_none());
    }

    #[test]
    fn strangers_templates_are_held_to_the_path_they_came_with() {
        for (template, path) in [("/w/:city", "/w/Oslo"), ("/f/:var1", "/f/a/b"), ("/f/:var1", "/f")] {
            assert_eq!(accepted(template, path), Some(template));
        }
        for (template, path) in [
            ("/w/:city", "/other/Oslo"),
            ("/w/:city", "/w/a/b"),
            ("/a/../b", "/a/../b"),
            ("/a/%2e%2e/b", "/a/%2e%2e/b"),
            ("/a/%252525252e", "/a/%252525252e"),
            ("/https://evil", "/https://evil"),
            ("/<b>", "/<b>"),
            ("w", "w"),
        ] {
            assert_eq!(accepted(template, path), None, "{template}");
        }
    }

    proptest! {
        #[test]
        fn anything_may_come(template in "[/:%a-z0-9.]{0,64}", path in "/[/%a-z0-9.]{0,64}") {
            let _ = accepted(&template, &path);
            if let Some(made) = Template::of(&template) {
                let _ = made.params(&path);
            }
        }
    }
}
