//! [`PaymentService`]: one request through the engine and the handler.

use super::{Config, Paid, PaymentFuture, Session};
use crate::header::{self, MAX_HEADER, PAYMENT_SIGNATURE, SESSION_TOKEN, SETTLEMENT_OVERRIDES, SIGN_IN_WITH_X};
use crate::request::HttpRequest;
use crate::{cache, status};
use axum::body::{Body, HttpBody, to_bytes};
use axum::extract::Request;
use axum::response::Response;
use http::request::Parts;
use http::{HeaderMap, Method};
use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::timeout;
use tollway_roles::server::{Charge, ChargeError, Covering, Handled};
use tollway_roles::{Admission, Admitted, Finished, ResourceServer};
use tower::Service;

/// Longest wait for a body that is read before the engine is asked.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// A service behind a [`PaymentLayer`](super::PaymentLayer).
#[derive(Clone)]
pub struct PaymentService<S> {
    inner: S,
    server: ResourceServer,
    config: Arc<Config>,
}

impl<S> fmt::Debug for PaymentService<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PaymentService").field("server", &self.server).finish_non_exhaustive()
    }
}

impl<S> PaymentService<S> {
    pub(super) fn new(inner: S, server: ResourceServer, config: Arc<Config>) -> Self {
        Self { inner, server, config }
    }
}

impl<S> Service<Request> for PaymentService<S>
where
    S: Service<Request, Response = Response> + Clone + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
{
    type Response = Response;
    type Error = S::Error;
    type Future = PaymentFuture<S::Future, S::Error>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let (parts, body) = request.into_parts();
        let Some(covered) = covered(&self.server, &parts) else {
            return PaymentFuture::free(self.inner.call(Request::from_parts(parts, body)));
        };
        // The clone has not been polled for readiness; the one that has been is the one to call.
        let clone = self.inner.clone();
        let inner = std::mem::replace(&mut self.inner, clone);
        let sale = Sale { server: self.server.clone(), config: self.config.clone(), inner };
        PaymentFuture::covered(Box::pin(sale.run(parts, body, covered)))
    }
}

/// A request that a rule covers.
#[derive(Clone, Copy)]
struct Covered {
    route: Covering,
    /// Whether that is a rule for GET covering a HEAD: axum answers HEAD by the GET handler, and what a GET has to pay for
    /// must not be had that way.
    head_as_get: bool,
}

fn covered(server: &ResourceServer, parts: &Parts) -> Option<Covered> {
    if let Some(route) = server.covering(&HttpRequest::new(parts)) {
        return Some(Covered { route, head_as_get: false });
    }
    let head = || server.covering(&HttpRequest::new(parts).head_as_get(true));
    let route = (parts.method == Method::HEAD).then(head).flatten()?;
    Some(Covered { route, head_as_get: true })
}

/// What it takes to serve one covered request.
struct Sale<S> {
    server: ResourceServer,
    config: Arc<Config>,
    inner: S,
}

impl<S> Sale<S>
where
    S: Service<Request, Response = Response> + Send,
    S::Future: Send,
    S::Error: Send,
{
    /// Everything this holds gives back what it took when it is dropped: a client that leaves or a handler that
    /// panics needs no care here.
    ///
    /// A block and not an `async fn`, which would hold its arguments twice: every covered request pays for its size.
    #[expect(clippy::manual_async_fn, reason = "arguments are held once")]
    fn run(
        mut self,
        mut parts: Parts,
        body: Body,
        Covered { route, head_as_get }: Covered,
    ) -> impl Future<Output = Result<Response, S::Error>> + Send {
        async move {
            if parts.headers.get_all(PAYMENT_SIGNATURE).iter().any(|value| value.len() > MAX_HEADER) {
                return Ok(status::header_too_long());
            }
            let (read, body) = match self.config.read_bodies.or_else(|| self.server.reads_body(route)) {
                None => (None, body),
                // In a box of its own, so that those whose body is not read carry less.
                Some(limit) => match Box::pin(timeout(BODY_TIMEOUT, to_bytes(body, limit))).await {
                    Ok(Ok(bytes)) => (Some(bytes.clone()), Body::from(bytes)),
                    Ok(Err(_)) => return Ok(status::body_too_long(limit)),
                    Err(_) => return Ok(status::body_too_slow()),
                },
            };
            let admission = {
                let view = HttpRequest::new(&parts).head_as_get(head_as_get).with_body(read);
                self.server.admit_by(route, &view).await
            };
            match admission {
                Admission::Free => self.inner.call(Request::from_parts(parts, body)).await,
                Admission::Granted(granted) => {
                    hide_credentials(&mut parts.headers);
                    if let Some(account) = granted.account() {
                        parts.extensions.insert(Session { account: account.clone() });
                    }
                    let mut response = self.inner.call(Request::from_parts(parts, body)).await?;
                    let served = is_served(&response);
                    let attach = granted.finished(served).await;
                    status::append(response.headers_mut(), header::pairs(&attach));
                    if served || !attach.is_empty() {
                        // Opened for one client: no more public than what was paid for.
                        cache::make_private(response.headers_mut());
                    }
                    Ok(response)
                }
                Admission::Refused(why) => Ok(self.refusal(why, &parts.headers)),
                // In a box of its own, so that those who are only told the price carry less.
                Admission::Admitted(admitted) => Box::pin(self.sell(admitted, parts, body)).await,
                _ => Ok(status::internal()),
            }
        }
    }

    /// Runs the handler for a paid request, holds its answer back until the payment is settled, and releases it.
    async fn sell(mut self, admitted: Admitted, mut parts: Parts, body: Body) -> Result<Response, S::Error> {
        let settled = admitted.receipt().map(|receipt| receipt.transaction.clone());
        let upfront = settled.is_some();
        // The answer to a HEAD is no answer to the GET it is sold as.
        let kept = admitted.keeps_answers().filter(|_| parts.method != Method::HEAD);
        hide_credentials(&mut parts.headers);
        parts.extensions.insert(Paid {
            payer: admitted.payer().clone(),
            network: admitted.offer().network.clone(),
            amount: admitted.offer().amount,
            transaction: settled,
        });
        let response = match self.inner.call(Request::from_parts(parts, body)).await {
            Ok(response) => response,
            Err(why) => {
                admitted.finish(false).await;
                return Err(why);
            }
        };
        let served = is_served(&response);
        let mut answer = None;
        // What is settled already may stream, unless an extension wants it and it says that it is short.
        let short = |most: usize| response.body().size_hint().upper().is_some_and(|upper| upper <= most as u64);
        let mut response = if !served || upfront && !kept.is_some_and(short) {
            response
        } else {
            let (head, body) = response.into_parts();
            let limit = self.config.held_bytes;
            match to_bytes(body, limit).await {
                Ok(bytes) => {
                    answer = kept.filter(|most| bytes.len() <= *most).map(|_| status::to_reply(&head, &bytes));
                    Response::from_parts(head, Body::from(bytes))
                }
                Err(why) => {
                    admitted.finish(false).await;
                    tracing::error!(
                        %why,
                        limit,
                        "an answer could not be held back until its payment is settled; settle this route before it \
                         runs (Way::upfront), or raise PaymentLayer::max_held_bytes"
                    );
                    return Ok(status::answer_too_long(limit));
                }
            }
        };
        let handled = match charge(&response) {
            Ok(Some(charge)) if served => Handled::charged(charge),
            Ok(_) => Handled::from(served),
            Err(why) => {
                admitted.finish(false).await;
                tracing::error!(%why, "a handler named a charge that is none; nothing was charged");
                return Ok(status::internal());
            }
        };
        match admitted.finish(handled.answering(answer)).await {
            Finished::Release { receipt, attach } => {
                let headers = response.headers_mut();
                status::append(headers, header::pairs(&attach));
                if served {
                    cache::make_private(headers);
                }
                if let Some(receipt) = receipt {
                    status::attach_receipt(headers, &receipt);
                }
                Ok(response)
            }
            // No page for browsers: what is refused after the handler is never a challenge.
            Finished::Refused(why) => Ok(self.refusal(why, &HeaderMap::new())),
            _ => Ok(status::internal()),
        }
    }

    fn refusal(&self, why: tollway_roles::Refusal, request: &HeaderMap) -> Response {
        status::refusal(why, request, &self.config.pages, &self.server)
    }
}

/// What the handler says the request costs: a [`Charge`] among the response's extensions, or the header
/// `Settlement-Overrides` of the deployed server.
fn charge(response: &Response) -> Result<Option<Charge>, ChargeError> {
    if let Some(charge) = response.extensions().get::<Charge>() {
        return Ok(Some(charge.clone()));
    }
    let Some(header) = response.headers().get(SETTLEMENT_OVERRIDES) else { return Ok(None) };
    let wrong = || ChargeError::Format(String::from_utf8_lossy(header.as_bytes()).chars().take(64).collect());
    let overrides: serde_json::Value = serde_json::from_slice(header.as_bytes()).map_err(|_| wrong())?;
    match overrides.get("amount") {
        Some(amount) => amount.as_str().ok_or_else(wrong)?.parse().map(Some),
        None => Ok(None),
    }
}

/// Takes out of a request what is good for money or access: a handler that passes requests on must not pass it on.
fn hide_credentials(headers: &mut HeaderMap) {
    for name in [PAYMENT_SIGNATURE, SIGN_IN_WITH_X, SESSION_TOKEN] {
        headers.remove(name);
    }
}

/// Below 400 the handler did what is sold.
fn is_served(response: &Response) -> bool {
    response.status().as_u16() < 400
}
