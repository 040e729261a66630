//! [`PaymentMiddleware`]: a reqwest client that pays (transport specification v2, "Client behaviour").
//!
//! A request is sent as it is. If it is answered 402, extensions may open it (a session), else one payment is signed
//! and the request is sent once more. Never a third time: an answer is an answer, whatever its status.

mod build;
mod error;
mod paying;
mod receipt;

pub use build::{client, client_with, plain_client, redirects};
pub use error::{PaidButLost, PaymentError};
pub use receipt::{Receipt, Represent, present};
/// A reqwest client with middlewares, as [`client()`] makes it.
pub use reqwest_middleware::ClientWithMiddleware as Client;

use crate::header::{self, PAYMENT_REQUIRED, PAYMENT_SIGNATURE, SIGN_IN_WITH_X};
use async_trait::async_trait;
use http::{Extensions, HeaderMap, Method, StatusCode};
use paying::{Session, dispose, origin};
use reqwest::{Request, Response};
use reqwest_middleware::{Error, Middleware, Next};
use std::fmt;
use std::sync::OnceLock;
use tollway_core::PaymentRequired;
use tollway_roles::PaymentClient;
use tollway_roles::client::Errand;

/// The header of version 1, which this client does not write.
const X_PAYMENT: &str = "x-payment";

/// Pays for requests that are answered 402. Put it last, so that it is next to the wire.
///
/// A payment never follows a redirect. Since only a whole reqwest client can be told to follow none,
/// [`new`](Self::new) sends what carries a payment or a session through a client of its own, past middlewares that
/// come after it; [`over`](Self::over) does not.
pub struct PaymentMiddleware {
    payer: PaymentClient,
    route: Route,
}

/// How requests leave that carry a payment or a session.
enum Route {
    /// Like all others: what is beneath follows no redirect with them.
    Chain,
    /// By this client, made when it is first needed.
    Own(OnceLock<Result<reqwest::Client, String>>),
}

impl fmt::Debug for PaymentMiddleware {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PaymentMiddleware").field("payer", &self.payer).finish_non_exhaustive()
    }
}

impl PaymentMiddleware {
    /// A middleware for any reqwest client. Requests that carry a payment or a session leave by a client of their own
    /// that follows no redirects; it has reqwest's defaults for certificates and proxies.
    pub fn new(payer: PaymentClient) -> Self {
        Self { payer, route: Route::Own(OnceLock::new()) }
    }

    /// A middleware for a reqwest client that was built with [`redirects()`] or without any: everything goes through
    /// that client. With any other, a payment may end up where a redirect leads.
    pub fn over(payer: PaymentClient) -> Self {
        Self { payer, route: Route::Chain }
    }

    /// Sends a request that carries something to be kept from strangers.
    async fn send_guarded(
        &self,
        request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> Result<Response, Error> {
        match &self.route {
            Route::Chain => build::guarded(next.run(request, extensions)).await,
            Route::Own(own) => made(own)?.execute(request).await.map_err(Error::from),
        }
    }

    /// The unpaid part: the first request and, if an extension can open the resource, the second. The payment is due
    /// with the third, if any.
    async fn ask(&self, mut request: Request, extensions: &mut Extensions, next: &Next<'_>) -> Result<Asked, Error> {
        let first_origin = origin(request.url());
        let more = self.payer.prepare(&first_origin, request.url().path()).await;
        request.headers_mut().extend(header::secrets(&more));
        let guarded = !more.is_empty() || request.headers().contains_key(SIGN_IN_WITH_X);
        let Some(copy) = request.try_clone() else {
            // A stream can be sent once. Not every request has to be paid for, so try.
            let response = self.send(request, guarded, extensions, next.clone()).await?;
            return match response.status() {
                StatusCode::PAYMENT_REQUIRED => Err(PaymentError::BodyNotRepeatable.into_middleware()),
                _ => Ok(self.done(response, guarded, &first_origin).await),
            };
        };
        let response = self.send(request, guarded, extensions, next.clone()).await?;
        if response.status() != StatusCode::PAYMENT_REQUIRED {
            return Ok(self.done(response, guarded, &first_origin).await);
        }
        let request = follow(copy, &response, &first_origin)?;
        let mut required = challenge(response.headers())?;
        dispose(response).await;
        let opening = self.payer.answer(&required, &first_origin).await;
        if !opening.is_empty()
            && let Some(mut opened) = request.try_clone()
        {
            opened.headers_mut().extend(header::secrets(&opening));
            let response = self.send(opened, true, extensions, next.clone()).await?;
            if response.status() != StatusCode::PAYMENT_REQUIRED {
                return Ok(self.done(response, true, &first_origin).await);
            }
            // A challenge may change while a session is tried; the newest is the one to pay.
            required = challenge(response.headers())?;
            dispose(response).await;
        }
        Ok(Asked::Due(Box::new((request, required, first_origin))))
    }

    /// An answer that needed no payment. Extensions see it if they had a part in the request.
    async fn done(&self, response: Response, guarded: bool, origin: &str) -> Asked {
        if guarded {
            self.payer.opened(origin, &paying::texts(response.headers())).await;
        }
        Asked::Done(response)
    }

    async fn send(
        &self,
        request: Request,
        guarded: bool,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> Result<Response, Error> {
        if guarded { self.send_guarded(request, extensions, next).await } else { next.run(request, extensions).await }
    }
}

/// What came of asking without a payment.
enum Asked {
    /// There is an answer.
    Done(Response),
    /// This request has to be paid, to this origin.
    Due(Box<(Request, PaymentRequired, String)>),
}

#[async_trait]
impl Middleware for PaymentMiddleware {
    async fn handle(&self, request: Request, extensions: &mut Extensions, next: Next<'_>) -> Result<Response, Error> {
        if request.headers().contains_key(PAYMENT_SIGNATURE) || request.headers().contains_key(X_PAYMENT) {
            return Err(PaymentError::AlreadyAttempted.into_middleware());
        }
        let (mut request, paying, session) = match extensions.get::<Represent>().cloned() {
            Some(again) => {
                let session = Session { payer: &self.payer, origin: origin(request.url()) };
                if session.origin != again.origin {
                    let asked = session.origin;
                    return Err(PaymentError::OtherOrigin { paid: again.origin, asked }.into_middleware());
                }
                (request, self.payer.present(again.payment), session)
            }
            None => match self.ask(request, extensions, &next).await? {
                Asked::Done(response) => return Ok(response),
                Asked::Due(due) => {
                    let (request, required, origin) = *due;
                    if let Route::Own(own) = &self.route {
                        // Before anything is signed that could not be sent.
                        made(own)?;
                    }
                    let errand = Errand::new(&origin, request.method().as_str(), request.url().as_str());
                    let errand = errand.body(request.body().and_then(|body| body.as_bytes()).unwrap_or_default());
                    let paid = self.payer.pay_for(&required, &errand).await;
                    let paying = paid.map_err(|why| PaymentError::NotPaid(why).into_middleware())?;
                    (request, paying, Session { payer: &self.payer, origin })
                }
            },
        };
        let payment = paying.payment.clone();
        if let Err(why) = paying::carry(&mut request, &payment) {
            if !paying.again {
                self.payer.unsent(&payment).await;
            }
            return Err(why);
        }
        // A middleware outside of this one may run it again: then with the same payment.
        extensions.insert(Represent::new(payment.clone(), session.origin.clone()));
        match self.send_guarded(request, extensions, next).await {
            Ok(response) => Ok(session.paid(response, payment).await),
            Err(why) => {
                Err(PaymentError::Lost(Box::new(PaidButLost::new(payment, session.origin, why))).into_middleware())
            }
        }
    }
}

/// The client for payments, made when it is first needed.
fn made(own: &OnceLock<Result<reqwest::Client, String>>) -> Result<&reqwest::Client, Error> {
    let client = own.get_or_init(|| build::no_redirects().build().map_err(|why| why.to_string()));
    client.as_ref().map_err(|why| PaymentError::Client(why.clone()).into_middleware())
}

/// The challenge of a 402. Version 2 puts it into the header; a body is never looked at.
fn challenge(headers: &HeaderMap) -> Result<PaymentRequired, Error> {
    match header::find(headers, PAYMENT_REQUIRED) {
        Some(Ok(required)) => Ok(required),
        Some(Err(why)) => Err(PaymentError::BadChallenge(why).into_middleware()),
        None => Err(PaymentError::NoChallenge.into_middleware()),
    }
}

/// The request to pay for, after whatever redirects the client beneath has followed: the payment goes to where the
/// challenge came from, and only if that is the origin that was asked.
fn follow(mut request: Request, response: &Response, first_origin: &str) -> Result<Request, Error> {
    let (asked, answered) = (request.url(), response.url());
    let same = asked.path() == answered.path() && asked.query() == answered.query();
    let safe = request.method() == Method::GET || request.method() == Method::HEAD;
    if origin(answered) != first_origin || !(same || safe) {
        let mut to = answered.clone();
        // What a redirect put there is none of a log's business. Only URLs without a host refuse the other two.
        to.set_query(None);
        let _ = (to.set_username(""), to.set_password(None));
        return Err(PaymentError::Redirected { to: to.to_string() }.into_middleware());
    }
    if !same {
        *request.url_mut() = answered.clone();
    }
    Ok(request)
}
