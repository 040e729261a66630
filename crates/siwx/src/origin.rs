//! [`Origin`]: where a server is, parsed. `api.example.com.evil` begins like `api.example.com` and is another.

use std::fmt;
use url::Url;

/// A scheme, a host and a port.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Origin {
    url: Url,
    text: String,
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Origin {
    /// Reads `https://api.example.com` and the like.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let url = Url::parse(text).ok()?;
        let bare = url.username().is_empty() && url.password().is_none() && url.has_host();
        let origin = url.origin();
        (bare && origin.is_tuple()).then(|| Self { text: origin.ascii_serialization(), url })
    }

    /// Its one spelling.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// The `domain` of its challenges: the host, and the port where it is not the scheme's own.
    pub(crate) fn domain(&self) -> &str {
        self.text.split_once("://").map_or("", |(_, authority)| authority)
    }

    /// Whether a challenge's `domain` is this origin's.
    pub(crate) fn is_domain(&self, domain: &str) -> bool {
        // The URL parser is lenient: it drops line breaks, decodes escapes, and reads a backslash as a slash.
        let plain = !domain.is_empty() && domain.bytes().all(|b| b.is_ascii_graphic() && !b"/\\?#@%".contains(&b));
        plain
            && Url::parse(&format!("{}://{domain}", self.url.scheme()))
                .is_ok_and(|url| url.origin() == self.url.origin())
    }

    /// Whether a URI belongs to this origin.
    pub(crate) fn has(&self, uri: &str) -> bool {
        crate::wire::is_one_line(uri) && Self::parse(uri).is_some_and(|other| other.text == self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn api() -> Origin {
        Origin::parse("https://api.example.com").unwrap()
    }

    #[test]
    fn origins_are_compared_parsed() {
        assert_eq!(api().domain(), "api.example.com");
        for same in ["api.example.com", "API.example.com", "api.example.com:443"] {
            assert!(api().is_domain(same), "{same}");
        }
        for other in [
            "",
            "api.example.com.evil",
            "api.example.co",
            "evil-api.example.com",
            "api.example.com:8443",
            "api.example.com@evil.test",
            "evil.test/api.example.com",
            "api.example.com\n",
            "api.example.com#evil",
            "api.example.com\\.evil.test",
            "%61pi.example.com",
            "api.example.com/",
            " api.example.com",
        ] {
            assert!(!api().is_domain(other), "{other:?}");
        }
    }

    #[test]
    fn uris_are_compared_by_their_origin() {
        for own in ["https://api.example.com", "https://API.EXAMPLE.com:443/x?y#z", "https://api.example.com/é"] {
            assert!(api().has(own), "{own}");
        }
        for other in [
            "http://api.example.com/",
            "https://api.example.com.evil/",
            "https://api.example.com:8443/",
            "https://api.example.com@evil.test/",
            "https://user@api.example.com/",
            "/data",
            "",
            "mailto:a@b.test",
            "https://api.example.com/\nURI: https://evil.test",
            "https://evil.test/https://api.example.com",
        ] {
            assert!(!api().has(other), "{other:?}");
        }
    }

    #[test]
    fn ports_and_addresses() {
        let local = Origin::parse("http://127.0.0.1:4020/").unwrap();
        assert_eq!((local.as_str(), local.domain()), ("http://127.0.0.1:4020", "127.0.0.1:4020"));
        assert!(!local.is_domain("127.0.0.1") && local.is_domain("127.0.0.1:4020"));
        let six = Origin::parse("http://[::1]:8402").unwrap();
        assert!(six.is_domain("[::1]:8402") && !six.is_domain("::1"));
        for bad in ["", "api.example.com", "data:text/plain,x", "https://user@a.test"] {
            assert_eq!(Origin::parse(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".{0,80}") {
            let _ = (api().is_domain(&text), api().has(&text), Origin::parse(&text));
        }
    }
}
