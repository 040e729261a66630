//! One call to a facilitator: bounded in time and size, with what a failure says about the money.

use super::{Operation, Remote};
use crate::header::{IDEMPOTENCY_KEY, sensitive};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, StatusCode};
use std::time::Duration;
use tokio::time::timeout;
use tollway_core::{Caller, Fault, FaultKind};

/// Longest part of an answer quoted in an error, in characters.
const QUOTED: usize = 200;

/// What a facilitator answered, read to its end.
pub(super) struct Answer {
    pub(super) operation: Operation,
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

impl Answer {
    /// The beginning of the body, fit for a log.
    pub(super) fn quote(&self) -> String {
        let text = String::from_utf8_lossy(&self.body[..self.body.len().min(4 * QUOTED)]);
        text.chars().take(QUOTED).map(|c| if c.is_control() { ' ' } else { c }).collect()
    }
}

impl Remote {
    /// Calls and reads the answer, whatever its status.
    pub(super) async fn call(
        &self,
        operation: Operation,
        body: Option<Vec<u8>>,
        caller: &Caller,
    ) -> Result<Answer, Fault> {
        // Before anything is sent, and bounded by the same time: a vault may hang as a facilitator may.
        let auth = match &self.auth {
            Some(auth) => match timeout(self.timeout, auth.headers(operation)).await {
                Ok(headers) => headers?,
                Err(_) => {
                    let message = format!("no token for the facilitator `{}` in {:?}", self.name, self.timeout);
                    return Err(Fault::new(FaultKind::Timeout, message));
                }
            },
            None => HeaderMap::new(),
        };
        match timeout(self.timeout, self.exchange(operation, body, caller, auth)).await {
            Ok(result) => result,
            Err(_) => Err(self.timed_out(operation, self.timeout)),
        }
    }

    async fn exchange(
        &self,
        operation: Operation,
        body: Option<Vec<u8>>,
        caller: &Caller,
        auth: HeaderMap,
    ) -> Result<Answer, Fault> {
        let url = format!("{}{operation}", self.base);
        let mut request = match body {
            Some(body) => {
                self.http.post(url).header(CONTENT_TYPE, HeaderValue::from_static("application/json")).body(body)
            }
            None => self.http.get(url),
        };
        if let Some(token) = caller.token().and_then(|token| HeaderValue::try_from(token).ok()) {
            request = request.header(IDEMPOTENCY_KEY, sensitive(token));
        }
        let mut response = request.headers(auth).send().await.map_err(|why| self.broken(operation, why))?;
        let (status, headers) = (response.status(), std::mem::take(response.headers_mut()));
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|why| self.broken(operation, why))? {
            if body.len().saturating_add(chunk.len()) > self.max_response {
                let message = format!(
                    "the facilitator `{}` answered {operation} with more than {} bytes; raise .max_response(…) if \
                     that is right",
                    self.name, self.max_response
                );
                return Err(perhaps_sent(operation, Fault::new(FaultKind::Invalid, message)));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer { operation, status, headers, body })
    }

    fn broken(&self, operation: Operation, why: reqwest::Error) -> Fault {
        // The URL is ours and already named; reqwest's own text would repeat it.
        let why = why.without_url();
        let kind = if why.is_timeout() { FaultKind::Timeout } else { FaultKind::Unreachable };
        let message = format!(
            "the facilitator `{}` could not be asked at {}{operation}; check the URL and that it runs",
            self.name, self.base
        );
        let unsent = why.is_connect() || why.is_builder();
        let fault = Fault::new(kind, message).source(why);
        if unsent { fault } else { perhaps_sent(operation, fault) }
    }

    fn timed_out(&self, operation: Operation, longest: Duration) -> Fault {
        let message = format!("the facilitator `{}` did not answer {operation} in {longest:?}", self.name);
        perhaps_sent(operation, Fault::new(FaultKind::Timeout, message))
    }
}

/// Marks a fault of `/settle` as one after which money may be on its way.
pub(super) fn perhaps_sent(operation: Operation, fault: Fault) -> Fault {
    if operation == Operation::Settle { fault.maybe_sent() } else { fault }
}
