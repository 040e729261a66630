//! Making reqwest clients that can be trusted with payments.

use super::PaymentMiddleware;
use reqwest::redirect::Policy;
use reqwest_middleware::ClientWithMiddleware;
use std::future::Future;
use std::time::Duration;
use tollway_roles::{PaymentClient, SetupError};

/// Longest wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest wait for a whole answer. Settlement is part of it, and may take minutes on a slow chain.
const TIMEOUT: Duration = Duration::from_secs(300);
/// Most redirects followed.
const MAX_REDIRECTS: usize = 10;

tokio::task_local! {
    /// Set while a request is under way that must not be redirected.
    static GUARDED: ();
}

/// Runs a request during which [`redirects`] follows nothing.
pub(super) async fn guarded<F: Future>(request: F) -> F::Output {
    GUARDED.scope((), request).await
}

/// The redirect policy of clients that pay, for a `reqwest::ClientBuilder`: within the same origin only, and not at
/// all while a payment or a session is on board. Other redirects are handed to the caller as they are.
pub fn redirects() -> Policy {
    Policy::custom(|attempt| {
        let same = attempt.previous().first().is_some_and(|first| first.origin() == attempt.url().origin());
        let guarded = GUARDED.try_with(|()| ()).is_ok();
        if guarded || !same || attempt.previous().len() > MAX_REDIRECTS { attempt.stop() } else { attempt.follow() }
    })
}

/// A client builder whose client follows no redirects at all.
pub(super) fn no_redirects() -> reqwest::ClientBuilder {
    crate::install_crypto();
    reqwest::Client::builder().redirect(Policy::none()).connect_timeout(CONNECT_TIMEOUT).timeout(TIMEOUT)
}

/// A reqwest client that pays nothing and follows no redirects: for requests that carry a payment already.
///
/// # Errors
/// The system's certificates could not be read.
pub fn plain_client() -> Result<reqwest::Client, SetupError> {
    no_redirects().build().map_err(|why| not_made(&why))
}

fn not_made(why: &reqwest::Error) -> SetupError {
    SetupError::Setting(format!("the HTTP client could not be made: {why}"))
}

/// A reqwest client that pays: 10 seconds for a connection, 300 for an answer, redirects by [`redirects`].
///
/// # Errors
/// The system's certificates could not be read.
pub fn client(payer: PaymentClient) -> Result<ClientWithMiddleware, SetupError> {
    crate::install_crypto();
    let builder = reqwest::Client::builder().connect_timeout(CONNECT_TIMEOUT).timeout(TIMEOUT);
    client_with(payer, builder)
}

/// The same from a builder of one's own: time-outs, certificates, proxies. Its redirect policy is replaced.
///
/// # Errors
/// The builder cannot make a client.
pub fn client_with(payer: PaymentClient, builder: reqwest::ClientBuilder) -> Result<ClientWithMiddleware, SetupError> {
    crate::install_crypto();
    let http = builder.redirect(redirects()).build().map_err(|why| not_made(&why))?;
    Ok(reqwest_middleware::ClientBuilder::new(http).with(PaymentMiddleware::over(payer)).build())
}
