//! Origins: where a server is, without what it is asked for.

/// The one spelling of an origin, `scheme://host[:port]`: scheme and host in lower case, no default port, no slash at
/// the end. `None` for what is no origin.
pub(crate) fn normalize(origin: &str) -> Option<String> {
    let (scheme, rest) = origin.split_once("://")?;
    let authority = rest.strip_suffix('/').unwrap_or(rest).to_ascii_lowercase();
    let scheme = scheme.to_ascii_lowercase();
    let letters = scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b));
    if !letters || !scheme.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return None;
    }
    // The colons of an IPv6 address are inside brackets.
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port.parse::<u16>().ok()?)),
        _ => (authority.as_str(), None),
    };
    let address = host.strip_prefix('[').and_then(|inner| inner.strip_suffix(']'));
    let ok = match address {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~".contains(&b)),
    };
    let default = match scheme.as_str() {
        "http" | "ws" => Some(80),
        "https" | "wss" => Some(443),
        _ => None,
    };
    match port {
        _ if !ok => None,
        Some(port) if Some(port) != default => Some(format!("{scheme}://{host}:{port}")),
        _ => Some(format!("{scheme}://{host}")),
    }
}

#[cfg(test)]
mod tests {
    use super::normalize;

    #[test]
    fn one_origin_has_one_spelling() {
        for spelling in
            ["https://a.test", "https://a.test/", "HTTPS://A.Test", "https://a.test:443", "https://A.test:0443/"]
        {
            assert_eq!(normalize(spelling).as_deref(), Some("https://a.test"), "{spelling}");
        }
        assert_eq!(normalize("http://a.test:80").as_deref(), Some("http://a.test"));
        assert_eq!(normalize("http://[::1]:8402/").as_deref(), Some("http://[::1]:8402"));
        assert_eq!(normalize("https://[::1]").as_deref(), Some("https://[::1]"));
        assert_ne!(normalize("http://a.test:443"), normalize("https://a.test:443"));
    }

    #[test]
    fn what_is_more_or_less_than_an_origin_is_none() {
        let bad = [
            "",
            "a.test",
            "https://",
            "https://a.test/x",
            "https://a.test//",
            "https://a.test?x",
            "https://u@a.test",
            "https://a.test:",
            "https://a.test:99999",
            "https://a b",
            "://a.test",
            "https://*.a.test",
            "https://[::1",
        ];
        for text in bad {
            assert_eq!(normalize(text), None, "{text}");
        }
    }
}
