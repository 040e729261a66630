//! Which addresses a probe may connect to: public ones, by what they mean and not by how they are written.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use url::{Host, Url};

/// Whether an address belongs to the public internet.
pub fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => public_v4(ip),
        IpAddr::V6(ip) => public_v6(ip),
    }
}

fn public_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    let special = match (a, b, c) {
        // This network, loopback, private, multicast and reserved.
        (0 | 10 | 127 | 224..=255, ..) => true,
        // Shared by providers; link-local, where clouds keep their credentials; private.
        (100, 64..=127, _) | (169, 254, _) | (172, 16..=31, _) | (192, 168, _) => true,
        // Protocol assignments, documentation, relays, benchmarks.
        (192, 0, 0 | 2) | (192, 88, 99) | (198, 18..=19, _) | (198, 51, 100) | (203, 0, 113) => true,
        _ => false,
    };
    !special
}

fn public_v6(ip: Ipv6Addr) -> bool {
    let s = ip.segments();
    let inner = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        public_v4(Ipv4Addr::new(a, b, c, d))
    };
    match s {
        // IPv4 in disguise is judged by what it hides: translated, and 6to4.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => inner(high, low),
        [0x2002, high, low, ..] => inner(high, low),
        // Teredo, ORCHID, benchmarks, documentation: nothing that serves.
        [0x2001, 0..=0x1ff, ..] | [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => false,
        // All that is global is in 2000::/3. Mapped and compatible IPv4, loopback, unique local, link-local, site-local
        // and multicast are not.
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

/// Whether a URL may be asked before any name is looked up.
///
/// # Errors
/// Why not.
pub fn check_url(url: &Url, allow_loopback: bool) -> Result<(), String> {
    if !url.username().is_empty() || url.password().is_some() {
        return Err("the URL holds a user's name or password".to_owned());
    }
    let literal = match url.host() {
        None => return Err("the URL has no host".to_owned()),
        Some(Host::Domain(name)) => {
            let name = name.trim_end_matches('.');
            let local = name == "localhost" || name.ends_with(".localhost");
            if local && allow_loopback {
                return Ok(());
            }
            let inside = ["local", "localhost", "internal", "intranet", "lan", "home", "corp", "arpa", "onion"];
            let last = name.rsplit('.').next().unwrap_or_default();
            if !name.contains('.') || inside.contains(&last) {
                return Err(format!("`{name}` is no name of the public internet"));
            }
            None
        }
        Some(Host::Ipv4(ip)) => Some(IpAddr::V4(ip)),
        Some(Host::Ipv6(ip)) => Some(IpAddr::V6(ip)),
    };
    if let Some(ip) = literal {
        if allow_loopback && is_loopback(ip) {
            return Ok(());
        }
        if !is_public(ip) {
            return Err(format!("{ip} is no address of the public internet"));
        }
    }
    match (url.scheme(), url.port()) {
        ("https", None | Some(443 | 1024..)) => Ok(()),
        ("https", Some(port)) => Err(format!("port {port} belongs to another protocol")),
        _ => Err("only https is listed".to_owned()),
    }
}

/// Loopback, also where it is written as IPv6.
pub(crate) fn is_loopback(ip: IpAddr) -> bool {
    ip.to_canonical().is_loopback()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn disguises_of_inner_addresses() {
        for text in [
            "https://127.0.0.1/",
            "https://2130706433/",
            "https://0x7f.1/",
            "https://0177.0.0.1/",
            "https://127.1/",
            "https://0/",
            "https://[::1]/",
            "https://[::]/",
            "https://[::ffff:127.0.0.1]/",
            "https://[::127.0.0.1]/",
            "https://[64:ff9b::7f00:1]/",
            "https://[64:ff9b::a9fe:a9fe]/",
            "https://[2002:7f00:1::]/",
            "https://[2002:a00:1::1]/",
            "https://[2001::1]/",
            "https://169.254.169.254/",
            "https://0xa9fea9fe/",
            "https://10.0.0.1/",
            "https://172.16.0.1/",
            "https://192.168.1.1/",
            "https://100.64.0.1/",
            "https://[fe80::1]/",
            "https://[fd00:ec2::254]/",
            "https://[fec0::1]/",
            "https://[ff02::1]/",
            "https://198.18.0.1/",
            "https://255.255.255.255/",
            "https://224.0.0.1/",
            "https://①②⑦.⓪.⓪.①/",
            "https://localhost/",
            "https://localhost./",
            "https://a.localhost/",
            "https://metadata.google.internal/",
            "https://printer.local/",
            "https://intranet/",
        ] {
            let url: Url = text.parse().unwrap();
            assert!(check_url(&url, false).is_err(), "{text} is {url}");
        }
        for text in ["https://93.184.216.34/", "https://api.example.com:8443/x", "https://[2606:4700::1111]/"] {
            check_url(&text.parse().unwrap(), false).unwrap();
        }
    }

    #[test]
    fn other_protocols_and_passwords() {
        for text in [
            "http://api.example.com/",
            "ftp://api.example.com/",
            "https://u:p@api.example.com/",
            "file:///etc/passwd",
            "https://api.example.com:22/",
            "https://api.example.com:25/",
            "http://192.168.1.1/",
        ] {
            assert!(check_url(&text.parse().unwrap(), true).is_err(), "{text}");
        }
        for text in ["http://127.0.0.1:4020/", "http://localhost:1/", "http://[::1]:4020/"] {
            check_url(&text.parse().unwrap(), true).unwrap();
            assert!(check_url(&text.parse().unwrap(), false).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn however_an_inner_address_is_written(octets in any::<[u8; 4]>()) {
            let v4 = Ipv4Addr::from(octets);
            let mapped = is_public(IpAddr::V6(v4.to_ipv6_mapped()));
            prop_assert!(!mapped);
            let [a, b, c, d] = octets.map(u16::from);
            let translated = Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, a << 8 | b, c << 8 | d);
            prop_assert_eq!(is_public(translated.into()), is_public(v4.into()));
            prop_assert!(!(v4.is_private() || v4.is_loopback() || v4.is_link_local()) || !is_public(v4.into()));
        }
    }
}
