//! From a facilitator's verdict to its answer over HTTP.

use super::envelope::Wrong;
use crate::header::{self, EXTENSION_RESPONSES, MAX_HEADER};
use crate::status::{self, json_response};
use axum::response::Response;
use http::StatusCode;
use serde::Serialize;
use serde_json::{Value, json};
use tollway_core::{
    ErrorCode, Failure, Fault, FaultKind, Object, Outcome, PaymentRequirements, Rejected, Result, Sent, SettleResponse,
    SupportedResponse, Verified, VerifyResponse, codes,
};

/// Longest explanation sent, in characters. It may quote what the peer wrote.
const MAX_WHY: usize = 300;

/// Which of the two shapes a refusal takes.
#[derive(Clone, Copy)]
pub(super) enum Verdict {
    Verify,
    Settle,
}

impl Verdict {
    /// The refusal of a request that could not be read.
    pub(super) fn wrong(self, wrong: &Wrong) -> Response {
        let status = if wrong.no_request { StatusCode::BAD_REQUEST } else { StatusCode::OK };
        self.refusal(status, &wrong.code, &wrong.network, &wrong.why)
    }

    /// The refusal of a request that was not even looked at.
    pub(super) fn malformed(self, status: StatusCode, network: &str, why: &str) -> Response {
        self.refusal(status, &codes::INVALID_PAYLOAD, network, why)
    }

    /// By hand where the types would not do: the network of a request that could not be read may be none.
    fn refusal(self, status: StatusCode, code: &ErrorCode, network: &str, why: &str) -> Response {
        let why: String = why.chars().take(MAX_WHY).collect();
        let body = match self {
            Self::Verify => json!({ "isValid": false, "invalidReason": code, "invalidMessage": why }),
            Self::Settle => json!({
                "success": false, "errorReason": code, "errorMessage": why, "transaction": "", "network": network,
            }),
        };
        json_response(status, &body)
    }
}

pub(super) fn verified(result: Result<Verified>) -> Response {
    match result {
        Ok(verified) => {
            let mut response = VerifyResponse::valid(verified.payer);
            response.extra = verified.extra;
            with_responses(ok(&response), &verified.extension_responses)
        }
        Err(Failure::Rejected(why)) => ok(&VerifyResponse::invalid(why.code, why.message, why.payer)),
        Err(Failure::Fault(why)) => fault(&why, false),
    }
}

pub(super) fn settled(result: Result<Outcome>, offer: &PaymentRequirements) -> Response {
    let network = || offer.network.clone();
    match result {
        Ok(Outcome::Settled(settled) | Outcome::Included(settled) | Outcome::Undelivered(settled)) => {
            let mut response = SettleResponse::settled(network(), settled.transaction, settled.payer);
            response.amount = settled.amount;
            response.extra = settled.extra;
            with_responses(ok(&response), &settled.extension_responses)
        }
        Ok(Outcome::Pending { transaction }) if transaction.is_empty() => {
            // Without a hash nobody could look for it, and the protocol has no word for that.
            let message = "a settlement is pending and has no transaction yet";
            fault(&Fault::new(FaultKind::Timeout, message).maybe_sent(), true)
        }
        Ok(Outcome::Pending { transaction }) => {
            ok(&SettleResponse::failed(network(), codes::SETTLEMENT_PENDING, transaction))
        }
        Ok(Outcome::Released(why)) | Err(Failure::Rejected(why)) => {
            let Rejected { code, message, payer, transaction, .. } = why;
            let status = if code == codes::IDEMPOTENCY_KEY_REUSED { StatusCode::CONFLICT } else { StatusCode::OK };
            let mut response = SettleResponse::failed(network(), code, transaction.unwrap_or_default());
            response.error_message = message;
            response.payer = payer;
            with_status(status, &response)
        }
        Err(Failure::Fault(why)) => fault(&why, true),
    }
}

pub(super) fn supported(result: Result<SupportedResponse>) -> Response {
    match result {
        Ok(response) => ok(&response),
        Err(Failure::Rejected(why)) => status::error(StatusCode::BAD_GATEWAY, why.code.as_str()),
        Err(Failure::Fault(why)) => fault(&why, false),
    }
}

/// Adds what the facilitator's extensions say. Too much of it is left out: a payment does not fail over it.
fn with_responses(mut response: Response, said: &Object) -> Response {
    if !said.is_empty() {
        match header::value(said) {
            Ok(value) if value.len() <= MAX_HEADER => {
                response.headers_mut().insert(EXTENSION_RESPONSES, value);
            }
            _ => tracing::warn!("extensions have too much to say for a header; it is left out"),
        }
    }
    response
}

fn ok<T: Serialize>(response: &T) -> Response {
    with_status(StatusCode::OK, response)
}

fn with_status<T: Serialize>(status: StatusCode, response: &T) -> Response {
    match serde_json::to_string(response) {
        Ok(body) => status::json_text(status, body),
        Err(why) => {
            tracing::error!(%why, "an answer could not be written as JSON");
            status::internal()
        }
    }
}

/// A fault, without its text: that may name nodes, paths and keys. `settling` adds whether money may be on its way,
/// which lets a resource server give a payment back at once that was certainly not sent.
fn fault(why: &Fault, settling: bool) -> Response {
    tracing::error!(%why, "a facilitator could not decide");
    let text = match why.kind {
        FaultKind::Unreachable | FaultKind::Invalid => "the network could not be asked; try again",
        FaultKind::Timeout => "no verdict in time; ask again with the same payment",
        FaultKind::Overloaded => "too much is waiting already; try again later",
        _ => "Internal Server Error",
    };
    let mut body = json!({ "error": text });
    if settling && let Value::Object(members) = &mut body {
        members.insert("sent".to_owned(), Value::Bool(why.sent == Sent::Maybe));
    }
    json_response(status::of_fault(why.kind), &body)
}
