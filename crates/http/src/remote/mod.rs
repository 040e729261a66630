//! [`RemoteFacilitator`]: a facilitator behind HTTPS ("Facilitator REST API").
//!
//! What comes back is believed only as far as it fits what was asked: a receipt for another network or without a
//! transaction is a fault, and a fault of `/settle` counts as "may have been sent" unless that is impossible.

mod answer;
mod builder;
mod call;
mod retry;

pub use builder::RemoteFacilitatorBuilder;

use async_trait::async_trait;
use http::{HeaderMap, StatusCode};
use serde::Serialize;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tollway_core::{
    Caller, Clock, Facilitator, Fault, FaultKind, Outcome, PaymentPayload, PaymentRequirements, Result,
    SupportedResponse, Verified,
};
use tollway_roles::SetupError;

/// A call to a facilitator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Operation {
    /// `POST /verify`.
    Verify,
    /// `POST /settle`.
    Settle,
    /// `GET /supported`.
    Supported,
}

impl Operation {
    /// The path after the base URL, for tokens that are bound to a path.
    pub fn path(self) -> &'static str {
        match self {
            Self::Verify => "/verify",
            Self::Settle => "/settle",
            Self::Supported => "/supported",
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.path())
    }
}

/// Makes the headers that identify a caller to a facilitator. Asked afresh before every call, since tokens may be
/// short-lived and bound to one path.
#[async_trait]
pub trait AuthHeaders: Send + Sync {
    /// Headers for one call.
    ///
    /// # Errors
    /// No token could be had; the call is not made.
    async fn headers(&self, operation: Operation) -> Result<HeaderMap, Fault>;
}

/// Longest wait for one call, unless configured otherwise. Covers the answer's body.
const TIMEOUT: Duration = Duration::from_secs(90);
/// Longest wait for a connection, unless configured otherwise.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest answer read, in bytes, unless configured otherwise.
const MAX_RESPONSE: usize = 256 * 1024;

/// A facilitator reached over the network. Cheap to clone.
///
/// ```
/// use tollway_http::RemoteFacilitator;
///
/// let facilitator = RemoteFacilitator::new("https://x402.org/facilitator")?;
/// # Ok::<(), tollway_roles::SetupError>(())
/// ```
#[derive(Clone)]
pub struct RemoteFacilitator {
    remote: Arc<Remote>,
}

struct Remote {
    name: String,
    /// Without a slash at its end.
    base: String,
    http: reqwest::Client,
    timeout: Duration,
    max_response: usize,
    auth: Option<Arc<dyn AuthHeaders>>,
    clock: Arc<dyn Clock>,
}

impl fmt::Debug for RemoteFacilitator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteFacilitator")
            .field("name", &self.remote.name)
            .field("base", &self.remote.base)
            .finish_non_exhaustive()
    }
}

/// The body of `/verify` and `/settle`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Ask<'a> {
    x402_version: u64,
    payment_payload: &'a PaymentPayload,
    payment_requirements: &'a PaymentRequirements,
}

impl RemoteFacilitator {
    /// The facilitator at a base URL such as `https://x402.org/facilitator`, with the defaults.
    ///
    /// # Errors
    /// The URL is none, or not of a kind that may be trusted with payments; says what to write instead.
    pub fn new(base: &str) -> Result<Self, SetupError> {
        Self::builder(base).build()
    }

    /// Starts building one for a base URL.
    pub fn builder(base: &str) -> RemoteFacilitatorBuilder {
        RemoteFacilitatorBuilder::new(base)
    }

    fn ask(&self, raw: &PaymentPayload, offer: &PaymentRequirements) -> Result<Vec<u8>, Fault> {
        let ask = Ask { x402_version: raw.x402_version, payment_payload: raw, payment_requirements: offer };
        serde_json::to_vec(&ask)
            .map_err(|why| Fault::new(FaultKind::Internal, "a payment could not be written as JSON").source(why))
    }
}

#[async_trait]
impl Facilitator for RemoteFacilitator {
    fn name(&self) -> &str {
        &self.remote.name
    }

    /// Asked up to three times where the facilitator says 429, as long after as it wants, 30 seconds at most.
    async fn supported(&self) -> Result<SupportedResponse> {
        let remote = &*self.remote;
        let mut attempt = 0;
        loop {
            let answer = remote.call(Operation::Supported, None, &Caller::ANONYMOUS).await?;
            if answer.status != StatusCode::TOO_MANY_REQUESTS || attempt == retry::MAX_RETRIES {
                return answer::supported(remote, &answer);
            }
            let pause = retry::pause(&answer.headers, attempt, remote.clock.now());
            tracing::debug!(facilitator = remote.name, ?pause, "asked too often; asking again");
            tokio::time::sleep(pause).await;
            attempt += 1;
        }
    }

    async fn verify(&self, raw: &PaymentPayload, offer: &PaymentRequirements) -> Result<Verified> {
        let body = self.ask(raw, offer)?;
        let answer = self.remote.call(Operation::Verify, Some(body), &Caller::ANONYMOUS).await?;
        answer::verified(&self.remote, &answer)
    }

    async fn settle(&self, raw: &PaymentPayload, offer: &PaymentRequirements, caller: &Caller) -> Result<Outcome> {
        let body = self.ask(raw, offer)?;
        let answer = self.remote.call(Operation::Settle, Some(body), caller).await?;
        answer::settled(&self.remote, &answer, offer)
    }
}
