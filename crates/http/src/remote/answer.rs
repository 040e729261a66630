//! What an answer of a facilitator means.

use super::call::{Answer, perhaps_sent};
use super::{Operation, Remote};
use crate::header::{self, EXTENSION_RESPONSES};
use http::StatusCode;
use http::header::LOCATION;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tollway_core::{
    Amount, ErrorCode, Failure, Fault, FaultKind, Object, Outcome, PaymentRequirements, Rejected, Result,
    SettleResponse, Settled, SupportedResponse, Verified, VerifyResponse, codes, json,
};

/// Longest code passed on, in characters. It ends up in the payer's header.
const MAX_CODE: usize = 128;
/// Most extensions whose refusals are logged, for one answer.
const MAX_EXTENSIONS: usize = 16;
/// Longest message kept, in characters.
const MAX_MESSAGE: usize = 1024;

pub(super) fn supported(remote: &Remote, answer: &Answer) -> Result<SupportedResponse> {
    if answer.status.is_success() { parse(remote, answer) } else { Err(refused(remote, answer).into()) }
}

pub(super) fn verified(remote: &Remote, answer: &Answer) -> Result<Verified> {
    let response: VerifyResponse = decided(remote, answer)?;
    match (answer.status.is_success(), response.is_valid) {
        (_, false) => {
            let code = response.invalid_reason.unwrap_or(codes::UNEXPECTED_VERIFY_ERROR);
            Err(rejected(code, response.invalid_message, response.payer, None).into())
        }
        (true, true) => {
            let mut verified = Verified::default();
            verified.payer = response.payer;
            verified.extra = response.extra;
            verified.extension_responses = extension_responses(remote, answer);
            Ok(verified)
        }
        (false, true) => Err(contradiction(remote, answer).into()),
    }
}

pub(super) fn settled(remote: &Remote, answer: &Answer, offer: &PaymentRequirements) -> Result<Outcome> {
    let response: SettleResponse = decided(remote, answer)?;
    let lie = |what: &str| {
        let message = format!("the facilitator `{}` answered /settle with {what}", remote.name);
        Err(Failure::from(Fault::new(FaultKind::Invalid, message).maybe_sent()))
    };
    if !response.success {
        let code = response.error_reason.unwrap_or(codes::UNEXPECTED_SETTLE_ERROR);
        return match (code == codes::SETTLEMENT_PENDING, response.transaction.as_str()) {
            (true, "") => lie("a pending settlement that names no transaction"),
            (true, _) => Ok(Outcome::Pending { transaction: response.transaction }),
            (false, _) => {
                Err(rejected(code, response.error_message, response.payer, Some(response.transaction)).into())
            }
        };
    }
    if !answer.status.is_success() {
        return Err(contradiction(remote, answer).into());
    }
    if response.network != offer.network {
        return lie("a receipt for another network");
    }
    // Metered schemes settle nothing where nothing was used, and say so.
    if response.transaction.is_empty() && response.amount != Some(Amount::ZERO) {
        return lie("a receipt that names no transaction");
    }
    let mut settled = Settled::new(response.transaction, "");
    settled.payer = response.payer;
    settled.amount = response.amount;
    settled.extra = response.extra;
    settled.extension_responses = extension_responses(remote, answer);
    Ok(Outcome::Settled(settled))
}

/// What the facilitator's extensions say; nothing if it cannot be read. Refusals are for this server's operator: a
/// listing that never appears is otherwise a riddle.
fn extension_responses(remote: &Remote, answer: &Answer) -> Object {
    let Some(Ok(said)) = header::find::<Object>(&answer.headers, EXTENSION_RESPONSES) else { return Object::new() };
    for (key, response) in said.iter().take(MAX_EXTENSIONS) {
        let member = |name: &str| response.get(name).and_then(Value::as_str).map(loggable);
        if member("status").as_deref() == Some("rejected") {
            let why = member("rejectedReason").or(member("reason")).or(member("code")).unwrap_or_default();
            let key = loggable(key);
            tracing::warn!(facilitator = remote.name, key, why, "the facilitator refused what an extension declares");
        }
    }
    said
}

/// A stranger's text in one line of a log.
fn loggable(text: &str) -> String {
    text.chars().take(MAX_CODE).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// A verdict, whatever the status: facilitators also answer 400 or 500 with one.
fn decided<T: DeserializeOwned>(remote: &Remote, answer: &Answer) -> Result<T> {
    if answer.status.is_success() {
        return parse(remote, answer);
    }
    json::from_slice(&answer.body).map_err(|_| refused(remote, answer).into())
}

fn parse<T: DeserializeOwned>(remote: &Remote, answer: &Answer) -> Result<T> {
    json::from_slice(&answer.body).map_err(|why| {
        let operation = answer.operation;
        let message = format!(
            "the facilitator `{}` answered {operation} with something else than it should ({why}): {}",
            remote.name,
            answer.quote()
        );
        perhaps_sent(operation, Fault::new(FaultKind::Invalid, message)).into()
    })
}

/// What a facilitator of this crate adds to a fault: whether money may be on its way.
#[derive(Deserialize)]
struct Said {
    sent: bool,
}

/// An answer that is no verdict.
fn refused(remote: &Remote, answer: &Answer) -> Fault {
    let Answer { operation, status, headers, .. } = answer;
    let advice = match *status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => "; identify this server with .bearer(…) or .auth(…)".into(),
        StatusCode::NOT_FOUND => format!("; check the base URL {}", remote.base),
        _ if status.is_redirection() => {
            let to = headers.get(LOCATION).and_then(|to| to.to_str().ok()).unwrap_or("somewhere else");
            let to: String = to.chars().take(200).filter(|c| !c.is_control()).collect();
            format!(" to {to}; redirects are not followed, configure the URL that answers")
        }
        _ => String::new(),
    };
    let message =
        format!("the facilitator `{}` answered {operation} with {status}{advice}: {}", remote.name, answer.quote());
    let kind = match *status {
        // Whoever asks what it supports at the wrong place, or without leave, will never be answered.
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND
            if *operation == Operation::Supported =>
        {
            FaultKind::Configuration
        }
        _ if status.is_redirection() && *operation == Operation::Supported => FaultKind::Configuration,
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => FaultKind::Overloaded,
        StatusCode::GATEWAY_TIMEOUT => FaultKind::Timeout,
        _ => FaultKind::Invalid,
    };
    let fault = Fault::new(kind, message);
    let unsent = match json::from_slice::<Said>(&answer.body) {
        Ok(said) => !said.sent,
        Err(_) => never_processed(*status),
    };
    if unsent { fault } else { perhaps_sent(*operation, fault) }
}

/// Whether a status means that the request was turned away before anybody acted on it.
fn never_processed(status: StatusCode) -> bool {
    match status {
        StatusCode::REQUEST_TIMEOUT | StatusCode::CONFLICT | StatusCode::TOO_EARLY => false,
        StatusCode::MOVED_PERMANENTLY | StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT => true,
        _ => status.is_client_error(),
    }
}

fn contradiction(remote: &Remote, answer: &Answer) -> Fault {
    let Answer { operation, status, .. } = answer;
    let message = format!("the facilitator `{}` answered {operation} with {status} and a success", remote.name);
    perhaps_sent(*operation, Fault::new(FaultKind::Invalid, message))
}

fn rejected(code: ErrorCode, message: Option<String>, payer: Option<String>, transaction: Option<String>) -> Rejected {
    let code = match code.as_str() {
        // An empty code would tell the payer nothing.
        "" => codes::UNEXPECTED_VERIFY_ERROR,
        text if text.chars().nth(MAX_CODE).is_some() => {
            ErrorCode::from(text.chars().take(MAX_CODE).collect::<String>())
        }
        _ => code,
    };
    let mut rejected = Rejected::new(code);
    rejected.message = message.map(|text| text.chars().take(MAX_MESSAGE).collect());
    rejected.payer = payer;
    rejected.transaction = transaction.filter(|hash| !hash.is_empty());
    rejected
}
