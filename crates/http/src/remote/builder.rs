//! Builds a [`RemoteFacilitator`].

use super::{AuthHeaders, CONNECT_TIMEOUT, MAX_RESPONSE, Operation, Remote, RemoteFacilitator, TIMEOUT};
use crate::header::sensitive;
use async_trait::async_trait;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tollway_core::{Clock, Fault, Secret, SystemClock};
use tollway_roles::SetupError;
use url::{Host, Url};

/// Collects what a [`RemoteFacilitator`] needs.
pub struct RemoteFacilitatorBuilder {
    base: String,
    name: Option<String>,
    timeout: Duration,
    connect_timeout: Duration,
    max_response: usize,
    auth: Option<Arc<dyn AuthHeaders>>,
    clock: Arc<dyn Clock>,
    http: Option<reqwest::ClientBuilder>,
    mistake: Option<SetupError>,
}

impl fmt::Debug for RemoteFacilitatorBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteFacilitatorBuilder").finish_non_exhaustive()
    }
}

impl RemoteFacilitatorBuilder {
    pub(super) fn new(base: &str) -> Self {
        Self {
            base: base.to_owned(),
            name: None,
            timeout: TIMEOUT,
            connect_timeout: CONNECT_TIMEOUT,
            max_response: MAX_RESPONSE,
            auth: None,
            clock: Arc::new(SystemClock),
            http: None,
            mistake: None,
        }
    }

    /// A name for logs and errors, and what payers read when it cannot be reached; the host if left out.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Longest wait for one call, its body included; 90 seconds if left out. A settlement that takes longer counts as
    /// perhaps sent.
    pub fn timeout(mut self, longest: Duration) -> Self {
        self.timeout = longest;
        self
    }

    /// Longest wait for a connection; 10 seconds if left out.
    pub fn connect_timeout(mut self, longest: Duration) -> Self {
        self.connect_timeout = longest;
        self
    }

    /// Longest answer read, in bytes; 256 KiB if left out.
    pub fn max_response(mut self, bytes: usize) -> Self {
        self.max_response = bytes;
        self
    }

    /// Identifies this server before each call.
    pub fn auth(mut self, headers: impl AuthHeaders + 'static) -> Self {
        self.auth = Some(Arc::new(headers));
        self
    }

    /// Identifies this server by one unchanging token, as `Authorization: Bearer …`.
    pub fn bearer(mut self, token: &Secret) -> Self {
        match HeaderValue::try_from(format!("Bearer {}", token.expose())) {
            Ok(value) => self.auth = Some(Arc::new(Bearer(sensitive(value)))),
            Err(_) => {
                let why = "the facilitator's token holds characters that no header can carry".to_owned();
                self.mistake.get_or_insert(SetupError::Setting(why));
            }
        }
        self
    }

    /// Tells the time by this clock, where a facilitator says until when to wait.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Starts from this HTTP client: certificates, proxies. Redirects are turned off and the connect time-out is set
    /// whatever it says.
    pub fn http(mut self, client: reqwest::ClientBuilder) -> Self {
        self.http = Some(client);
        self
    }

    /// Checks the URL and makes the HTTP client. Nothing is sent yet.
    ///
    /// # Errors
    /// What to change.
    pub fn build(self) -> Result<RemoteFacilitator, SetupError> {
        if let Some(mistake) = self.mistake {
            return Err(mistake);
        }
        let (base, host) = check_base(&self.base).map_err(SetupError::Setting)?;
        crate::install_crypto();
        let mut http = self.http.unwrap_or_default();
        if base.starts_with("http:") {
            // What is allowed unencrypted because it stays on this machine must not leave it through a proxy.
            http = http.no_proxy();
        }
        let http = http
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(self.connect_timeout)
            .build()
            .map_err(|why| SetupError::Setting(format!("the HTTP client for {host} could not be made: {why}")))?;
        Ok(RemoteFacilitator {
            remote: Arc::new(Remote {
                name: self.name.unwrap_or(host),
                base,
                http,
                timeout: self.timeout,
                max_response: self.max_response,
                auth: self.auth,
                clock: self.clock,
            }),
        })
    }
}

/// The base URL without a slash at its end, and its host.
fn check_base(text: &str) -> Result<(String, String), String> {
    let wrong = |why: &str| {
        let shown: String = text.chars().take(96).collect();
        Err(format!("`{shown}` cannot be a facilitator's URL: {why}"))
    };
    let Ok(url) = Url::parse(text) else {
        return wrong("write a whole URL such as `https://x402.org/facilitator`");
    };
    if !url.username().is_empty() || url.password().is_some() {
        // Without the text: the password is in it.
        return Err("a facilitator's URL must not hold a password; use .bearer(…) or .auth(…)".to_owned());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return wrong("leave out everything from `?` or `#` on");
    }
    let loopback = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => return wrong("it names no host"),
    };
    match url.scheme() {
        "https" => {}
        "http" if loopback => {}
        "http" => {
            return wrong(
                "over plain http anybody on the way can answer for it; use https (http is for this machine only)",
            );
        }
        _ => return wrong("it must begin with `https://`"),
    }
    let host = url.host_str().unwrap_or_default().to_owned();
    Ok((url.as_str().trim_end_matches('/').to_owned(), host))
}

struct Bearer(HeaderValue);

#[async_trait]
impl AuthHeaders for Bearer {
    async fn headers(&self, _: Operation) -> Result<HeaderMap, Fault> {
        Ok(HeaderMap::from_iter([(AUTHORIZATION, self.0.clone())]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_urls_that_can_be_trusted_with_payments() {
        let fine = [
            ("https://x402.org/facilitator/", "https://x402.org/facilitator"),
            ("https://x402.org", "https://x402.org"),
            ("http://localhost:4022//", "http://localhost:4022"),
            ("http://127.0.0.5:1/a", "http://127.0.0.5:1/a"),
            ("http://[::1]:4022", "http://[::1]:4022"),
        ];
        for (text, base) in fine {
            assert_eq!(check_base(text).unwrap().0, base);
        }
        for (text, advice) in [
            ("http://x402.org", "use https"),
            ("http://127.0.0.1.evil.test", "use https"),
            ("http://localhost.evil.test", "use https"),
            ("ftp://x402.org", "https://"),
            ("x402.org", "whole URL"),
            ("https://x402.org/?a=1", "leave out"),
        ] {
            let error = check_base(text).unwrap_err();
            assert!(error.contains(advice), "{text}: {error}");
        }
        let error = check_base("https://me:hunter2@x402.org").unwrap_err();
        assert!(!error.contains("hunter2") && error.contains("bearer"));
    }
}
