//! The database's URL: read with care, since it holds a password.

use sqlx::postgres::{PgConnectOptions, PgSslMode};
use std::net::IpAddr;
use tollway_core::Secret;
use url::Url;

/// What the driver reads. It would log others with their values.
const KNOWN: [&str; 17] = [
    "application_name",
    "dbname",
    "host",
    "hostaddr",
    "options",
    "password",
    "port",
    "ssl-ca",
    "ssl-cert",
    "ssl-key",
    "ssl-mode",
    "ssl-root-cert",
    "sslcert",
    "sslkey",
    "sslmode",
    "sslrootcert",
    "user",
];

/// How to connect. Encryption is demanded of every server but those of this machine, unless the URL says `sslmode` itself.
///
/// The error says nothing of what the URL holds.
pub(super) fn read(url: &Secret) -> Result<PgConnectOptions, String> {
    let unreadable =
        || "the database's URL cannot be read; write it as postgres://USER:PASSWORD@HOST/DATABASE".to_owned();
    let mut url = Url::parse(url.expose()).map_err(|_| unreadable())?;
    if !matches!(url.scheme(), "postgres" | "postgresql") {
        return Err(unreadable());
    }
    let (known, unknown): (Vec<_>, Vec<_>) = url
        .query_pairs()
        .into_owned()
        .partition(|(key, _)| KNOWN.contains(&key.as_str()) || key.starts_with("options["));
    for (key, _) in unknown {
        tracing::warn!(key, "the database's URL has a parameter that is not known and does nothing");
    }
    let says = |names: [&str; 2]| known.iter().any(|(key, _)| names.contains(&key.as_str()));
    let says_mode = says(["sslmode", "ssl-mode"]) || std::env::var_os("PGSSLMODE").is_some();
    match known.is_empty() {
        true => url.set_query(None),
        false => drop(url.query_pairs_mut().clear().extend_pairs(&known)),
    }
    let options: PgConnectOptions = url.as_str().parse().map_err(|_| unreadable())?;
    let is_near = options.get_socket().is_some() || is_this_machine(options.get_host());
    Ok(match says_mode || is_near {
        true => options,
        false => options.ssl_mode(PgSslMode::Require),
    })
}

/// Folders of sockets are.
fn is_this_machine(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || host.starts_with('/') || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(url: &str) -> PgSslMode {
        read(&Secret::new(url)).unwrap().get_ssl_mode()
    }

    #[test]
    fn encryption_is_demanded_beyond_this_machine() {
        for far in ["postgres://u:p@db.example.org/d", "postgresql://u@10.0.0.1:6432/d?application_name=x"] {
            assert!(matches!(mode(far), PgSslMode::Require), "{far}");
        }
        for near in [
            "postgres://u:p@localhost/d",
            "postgres://u@127.0.0.1/d",
            "postgres://u@[::1]/d",
            "postgres:///d?host=/run",
        ] {
            assert!(matches!(mode(near), PgSslMode::Prefer), "{near}");
        }
        assert!(matches!(mode("postgres://u:p@db.example.org/d?sslmode=disable"), PgSslMode::Disable));
        assert!(matches!(mode("postgres://u:p@db.example.org/d?sslmode=verify-full"), PgSslMode::VerifyFull));
    }

    #[test]
    fn what_is_wrong_is_told_without_the_secret() {
        for url in [
            "",
            "canary",
            "mysql://u:canary@h/d",
            "postgres://u:canary@h:port/d",
            "postgres://u:canary@h/d?sslmode=canary",
        ] {
            let why = read(&Secret::new(url)).unwrap_err();
            assert!(!why.contains("canary") && why.contains("postgres://USER:PASSWORD@HOST/DATABASE"), "{why}");
        }
    }

    #[test]
    fn what_is_unknown_does_not_reach_the_driver() {
        let url = "postgres://u:p@h/d?channel_binding=require&connect_timeout=5&dbname=other&user=somebody";
        let options = read(&Secret::new(url)).unwrap();
        assert_eq!(options.get_database(), Some("other"));
        assert_eq!(options.get_username(), "somebody");
    }
}
