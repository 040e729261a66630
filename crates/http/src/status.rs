//! The one place where an outcome becomes a status, headers and a body (transport specification v2, "Status codes",
//! in the column of what is deployed).

use crate::cache::NO_STORE;
use crate::header::{self, HeaderError, MAX_HEADER, PAYMENT_REQUIRED, PAYMENT_RESPONSE, SETTLEMENT_OVERRIDES};
use crate::layer::Pages;
use crate::paywall;
use axum::body::Body;
use axum::response::Response;
use http::header::{
    CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE, DATE, TRANSFER_ENCODING,
};
use http::response::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde_json::json;
use std::sync::Arc;
use tollway_core::{FaultKind, PaymentRequired, Replay, Reply, SettleResponse, codes};
use tollway_roles::server::Challenge;
use tollway_roles::{Refusal, ResourceServer};

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");
/// The default page holds text from configuration only, and no script: a browser may run nothing on it.
const PAGE_POLICY: HeaderValue = HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'");

/// What a challenge becomes over HTTP, rendered once for every request it answers.
struct Rendered {
    status: StatusCode,
    header: Result<HeaderValue, HeaderError>,
}

/// The answer to a request that is not served.
pub(crate) fn refusal(why: Refusal, request: &HeaderMap, pages: &Pages, server: &ResourceServer) -> Response {
    match why {
        Refusal::Challenge(challenge) => pay(&challenge, request, pages, server),
        Refusal::Failed(receipt) => failed(&receipt, pages),
        Refusal::Reply(reply) => from_reply(reply),
        Refusal::Replayed(replay) => replayed(*replay),
        Refusal::Forbidden(why) => error(StatusCode::FORBIDDEN, &why),
        Refusal::Unavailable(why) => error(StatusCode::BAD_GATEWAY, &why),
        _ => internal(),
    }
}

/// 402 with a challenge, or 412 where the payer has to give an allowance first.
fn pay(challenge: &Arc<Challenge>, request: &HeaderMap, pages: &Pages, server: &ResourceServer) -> Response {
    let required = challenge.required();
    let fresh;
    let rendered = match challenge.rendered(render) {
        Some(rendered) => rendered,
        // Rendered by another transport before; that takes a server shared between two.
        None => {
            fresh = render(required);
            &fresh
        }
    };
    let header = match &rendered.header {
        Ok(header) => header.clone(),
        Err(why) => {
            tracing::error!(%why, "a challenge could not be written as a header");
            return internal();
        }
    };
    let mut response = if is_browser(request) {
        let (policy, page) = match &pages.paywall {
            Some(custom) => (None, custom(required)),
            None => (Some(PAGE_POLICY), paywall::page(required, server)),
        };
        let mut response = build(rendered.status, HTML, Body::from(page));
        if let Some(policy) = policy {
            response.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
        }
        response
    } else {
        match &pages.unpaid {
            Some(custom) => custom_body(rendered.status, custom(required)),
            None => build(rendered.status, JSON, Body::from("{}")),
        }
    };
    let headers = response.headers_mut();
    headers.insert(PAYMENT_REQUIRED, header);
    headers.insert(CACHE_CONTROL, NO_STORE);
    response
}

fn render(required: &PaymentRequired) -> Rendered {
    let allowance = required.error.as_deref() == Some(codes::PERMIT2_ALLOWANCE_REQUIRED.as_str());
    let status = if allowance { StatusCode::PRECONDITION_FAILED } else { StatusCode::PAYMENT_REQUIRED };
    let header = header::value(required);
    if let Ok(header) = &header
        && header.len() > MAX_HEADER
    {
        tracing::warn!(
            url = required.resource.url,
            bytes = header.len(),
            "a challenge is longer than the {MAX_HEADER} bytes clients read; offer fewer ways to pay on this route"
        );
    }
    Rendered { status, header }
}

/// 402 with a receipt of failure and without a challenge: paying again would be wrong in two cases of three.
fn failed(receipt: &SettleResponse, pages: &Pages) -> Response {
    let header = match header::value(receipt) {
        Ok(header) => header,
        Err(why) => {
            tracing::error!(%why, "a receipt could not be written as a header");
            return internal();
        }
    };
    let status = StatusCode::PAYMENT_REQUIRED;
    let mut response = match &pages.failed {
        Some(custom) => custom_body(status, custom(receipt)),
        None => build(status, JSON, Body::from("{}")),
    };
    let headers = response.headers_mut();
    headers.insert(PAYMENT_RESPONSE, header);
    headers.insert(CACHE_CONTROL, NO_STORE);
    response
}

/// The answer that was paid for before.
fn replayed(replay: Replay) -> Response {
    let untyped = replay.reply.content_type.is_empty();
    let mut response = from_reply(replay.reply);
    if untyped {
        response.headers_mut().remove(CONTENT_TYPE);
    }
    crate::cache::make_private(response.headers_mut());
    attach_receipt(response.headers_mut(), &replay.receipt);
    response
}

/// Adds the receipt to a paid answer.
pub(crate) fn attach_receipt(headers: &mut HeaderMap, receipt: &SettleResponse) {
    match header::value(receipt) {
        Ok(value) => drop(headers.insert(PAYMENT_RESPONSE, value)),
        // The money moved and the answer is due; the client can look for the transaction itself.
        Err(why) => tracing::error!(%why, "a receipt could not be written as a header"),
    }
}

/// An answer to be given again: all of it that is text, without what belongs to the connection.
pub(crate) fn to_reply(head: &Parts, body: &[u8]) -> Reply {
    let of_connection = [CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, DATE, TRANSFER_ENCODING, SETTLEMENT_OVERRIDES];
    let text = |value: &HeaderValue| value.to_str().map(str::to_owned).ok();
    let mut reply = Reply::json(head.status.as_u16(), body);
    reply.content_type = head.headers.get(CONTENT_TYPE).and_then(text).unwrap_or_default();
    let kept = head.headers.iter().filter(|(name, _)| !of_connection.contains(name));
    reply.attach = kept.filter_map(|(name, value)| Some((name.as_str().to_owned(), text(value)?))).collect();
    reply
}

pub(crate) fn from_reply(reply: Reply) -> Response {
    let Ok(status) = StatusCode::from_u16(reply.status) else {
        tracing::error!(status = reply.status, "an extension answered with a status that is none");
        return internal();
    };
    let media_type = HeaderValue::try_from(&reply.content_type).unwrap_or(JSON);
    let mut response = build(status, media_type, Body::from(reply.body));
    append(response.headers_mut(), header::pairs(&reply.attach));
    response
}

/// 431: the payment header is longer than anybody needs.
pub(crate) fn header_too_long() -> Response {
    let why = format!("the payment header is longer than {MAX_HEADER} bytes");
    error(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, &why)
}

/// 408: the request's body did not arrive.
pub(crate) fn body_too_slow() -> Response {
    error(StatusCode::REQUEST_TIMEOUT, "the body did not arrive in time")
}

/// 413: the request's body is longer than the server reads before it makes an offer.
pub(crate) fn body_too_long(limit: usize) -> Response {
    error(StatusCode::PAYLOAD_TOO_LARGE, &format!("the body is longer than {limit} bytes, or broke off"))
}

/// 500: the handler's answer is longer than the server holds back, so that it cannot be sold this way.
pub(crate) fn answer_too_long(limit: usize) -> Response {
    let why = format!(
        "the answer is longer than the {limit} bytes this server holds back until a payment is settled, or broke off; \
         nothing was charged (server: settle such routes before they run, with Way::upfront, or raise max_held_bytes)"
    );
    error(StatusCode::INTERNAL_SERVER_ERROR, &why)
}

/// 500 without a reason: the log has it.
pub(crate) fn internal() -> Response {
    error(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error")
}

/// A JSON answer with an `error`.
pub(crate) fn error(status: StatusCode, why: &str) -> Response {
    json_response(status, &json!({ "error": why }))
}

/// A JSON answer.
pub(crate) fn json_response(status: StatusCode, body: &serde_json::Value) -> Response {
    json_text(status, body.to_string())
}

/// An answer that is JSON already.
pub(crate) fn json_text(status: StatusCode, body: String) -> Response {
    build(status, JSON, Body::from(body))
}

/// The status of a fault on a facilitator's own routes.
pub(crate) fn of_fault(kind: FaultKind) -> StatusCode {
    match kind {
        FaultKind::Unreachable | FaultKind::Invalid => StatusCode::BAD_GATEWAY,
        FaultKind::Overloaded => StatusCode::SERVICE_UNAVAILABLE,
        FaultKind::Timeout => StatusCode::GATEWAY_TIMEOUT,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// Adds headers without replacing any: there may be several cookies.
pub(crate) fn append(headers: &mut HeaderMap, more: impl Iterator<Item = (HeaderName, HeaderValue)>) {
    for (name, value) in more {
        headers.append(name, value);
    }
}

fn custom_body(status: StatusCode, (media_type, body): (String, String)) -> Response {
    build(status, HeaderValue::try_from(media_type).unwrap_or(JSON), Body::from(body))
}

fn build(status: StatusCode, media_type: HeaderValue, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, media_type);
    response
}

/// A browser asks for HTML and calls itself Mozilla.
fn is_browser(request: &HeaderMap) -> bool {
    let contains = |name: HeaderName, what: &str| {
        request.get(name).and_then(|value| value.to_str().ok()).is_some_and(|value| value.contains(what))
    };
    contains(http::header::ACCEPT, "text/html") && contains(http::header::USER_AGENT, "Mozilla")
}
