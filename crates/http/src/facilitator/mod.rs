//! [`facilitator_router`]: a facilitator's REST API ("Facilitator REST API").
//!
//! A refusal is an answer: HTTP 200 with `isValid: false` or `success: false`. A body that is no request at all is
//! 400, and a fault is 500 or above, with a text that names no cause: causes are for the log.

mod answer;
mod envelope;

use crate::header::IDEMPOTENCY_KEY;
use crate::status;
use answer::Verdict;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{RawQuery, Request, State};
use axum::response::Response;
use axum::routing::{get, post};
use envelope::Envelope;
use http::{HeaderMap, StatusCode, Uri};
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;
use tollway_core::{Caller, Facilitator, Fault, FaultKind};
use tollway_roles::LocalFacilitator;
use url::form_urlencoded;

/// Longest request body, in bytes, unless configured otherwise. A payment fits a header of 16 KiB.
const MAX_BODY: usize = 64 * 1024;
/// Longest wait for a request body, unless configured otherwise.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest wait for a verdict, unless configured otherwise: below the 90 seconds after which deployed clients give up.
const VERDICT_TIMEOUT: Duration = Duration::from_secs(80);
/// Longest `Idempotency-Key` that is kept, in bytes.
const MAX_KEY: usize = 255;

/// Serves a facilitator under `POST /verify`, `POST /settle` and `GET /supported`, with the default limits.
///
/// Serve it with [`Serve`](crate::Serve), which also bounds how long a peer may take to send its request's head.
pub fn facilitator_router(facilitator: Arc<dyn Facilitator>) -> Router {
    FacilitatorRouter::new(facilitator).into_router()
}

/// A facilitator's REST API with limits of one's own.
#[derive(Clone)]
pub struct FacilitatorRouter {
    facilitator: Arc<dyn Facilitator>,
    /// The same, where it is one whose extensions answer under paths of their own.
    local: Option<LocalFacilitator>,
    max_body: usize,
    body_timeout: Duration,
    verdict_timeout: Duration,
}

impl fmt::Debug for FacilitatorRouter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FacilitatorRouter").field("facilitator", &self.facilitator.name()).finish_non_exhaustive()
    }
}

impl FacilitatorRouter {
    /// Serves any facilitator.
    pub fn new(facilitator: Arc<dyn Facilitator>) -> Self {
        Self {
            facilitator,
            local: None,
            max_body: MAX_BODY,
            body_timeout: BODY_TIMEOUT,
            verdict_timeout: VERDICT_TIMEOUT,
        }
    }

    /// Serves a facilitator of this process, together with what its extensions answer under their own paths.
    pub fn local(facilitator: LocalFacilitator) -> Self {
        Self { local: Some(facilitator.clone()), ..Self::new(Arc::new(facilitator)) }
    }

    /// Longest request body, in bytes; 64 KiB if left out.
    pub fn max_body(mut self, bytes: usize) -> Self {
        self.max_body = bytes;
        self
    }

    /// Longest wait for a request body; 10 seconds if left out.
    pub fn body_timeout(mut self, longest: Duration) -> Self {
        self.body_timeout = longest;
        self
    }

    /// Longest wait for a verdict; 80 seconds if left out. A settlement goes on after it, and the same caller asking
    /// again gets its outcome.
    pub fn verdict_timeout(mut self, longest: Duration) -> Self {
        self.verdict_timeout = longest;
        self
    }

    /// The router.
    pub fn into_router(self) -> Router {
        Router::new()
            .route("/verify", post(verify))
            .route("/settle", post(settle))
            .route("/supported", get(supported))
            .fallback(get(elsewhere))
            .with_state(Arc::new(self))
    }

    /// Reads and decodes a request, or answers it.
    async fn read(&self, verdict: Verdict, body: Body) -> Result<Envelope, Response> {
        let bytes = match timeout(self.body_timeout, to_bytes(body, self.max_body)).await {
            Ok(Ok(bytes)) => bytes,
            Ok(Err(_)) => {
                let why = format!("a request is at most {} bytes long", self.max_body);
                return Err(verdict.malformed(StatusCode::PAYLOAD_TOO_LARGE, "", &why));
            }
            Err(_) => return Err(status::body_too_slow()),
        };
        envelope::read(&bytes).map_err(|wrong| verdict.wrong(&wrong))
    }

    /// Waits for a verdict, but not for ever.
    async fn bounded<T>(&self, verdict: impl Future<Output = tollway_core::Result<T>>) -> tollway_core::Result<T> {
        timeout(self.verdict_timeout, verdict).await.unwrap_or_else(|_| {
            let message = format!("no verdict in {:?}", self.verdict_timeout);
            Err(Fault::new(FaultKind::Timeout, message).maybe_sent().into())
        })
    }
}

async fn verify(State(this): State<Arc<FacilitatorRouter>>, request: Request) -> Response {
    let Envelope { raw, offer, .. } = match this.read(Verdict::Verify, request.into_body()).await {
        Ok(envelope) => envelope,
        Err(answer) => return answer,
    };
    answer::verified(this.bounded(this.facilitator.verify(&raw, &offer)).await)
}

async fn settle(State(this): State<Arc<FacilitatorRouter>>, request: Request) -> Response {
    let caller = caller(request.headers());
    let Envelope { raw, offer, .. } = match this.read(Verdict::Settle, request.into_body()).await {
        Ok(envelope) => envelope,
        Err(answer) => return answer,
    };
    answer::settled(this.bounded(this.facilitator.settle(&raw, &offer, &caller)).await, &offer)
}

async fn supported(State(this): State<Arc<FacilitatorRouter>>) -> Response {
    answer::supported(this.bounded(this.facilitator.supported()).await)
}

/// Paths of extensions, such as `/discovery/resources`.
async fn elsewhere(State(this): State<Arc<FacilitatorRouter>>, uri: Uri, RawQuery(query): RawQuery) -> Response {
    if let Some(local) = &this.local {
        let query = query.unwrap_or_default();
        let query: Vec<_> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        if let Some(reply) = local.get(uri.path(), &query).await {
            return status::from_reply(reply);
        }
    }
    status::error(StatusCode::NOT_FOUND, "a facilitator answers POST /verify, POST /settle and GET /supported")
}

/// Who asks. A key that is too long or no text is no key: its sender is one of the nameless.
fn caller(headers: &HeaderMap) -> Caller {
    let key = headers.get(IDEMPOTENCY_KEY).and_then(|value| value.to_str().ok());
    key.filter(|key| (1..=MAX_KEY).contains(&key.len())).map_or(Caller::ANONYMOUS, Caller::new)
}
