//! [`Paid`] and [`Session`]: axum extractors that tell a handler who paid, or who came with a session.

use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use http::StatusCode;
use http::request::Parts;
use std::convert::Infallible;
use tollway_core::{AccountId, Amount, NetworkId};

/// Who pays for this request, and how much.
///
/// In the authorization flow the payment is verified and will be settled once the handler has answered below 400; in
/// the upfront flow it is settled. Take `Option<Paid>` on routes that a session or a hook may open without payment.
///
/// ```
/// use tollway_http::Paid;
///
/// async fn report(paid: Paid) -> String {
///     format!("{} paid {} units", paid.payer, paid.amount)
/// }
/// # let _: axum::routing::MethodRouter = axum::routing::get(report);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Paid {
    /// Who pays, as the signature says and not as the client claims.
    pub payer: AccountId,
    /// The network of the payment.
    pub network: NetworkId,
    /// Atomic units of the offer's asset.
    pub amount: Amount,
    /// Hash of the transaction, where the payment is settled already.
    pub transaction: Option<String>,
}

const NOT_PAID: (StatusCode, &str) = (
    StatusCode::INTERNAL_SERVER_ERROR,
    "this handler asks who paid, and nobody did: put its route behind PaymentLayer with a rule that covers it, or take Option<Paid>",
);

impl<S: Send + Sync> FromRequestParts<S> for Paid {
    type Rejection = (StatusCode, &'static str);

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        parts.extensions.get::<Self>().cloned().ok_or(NOT_PAID)
    }
}

impl<S: Send + Sync> OptionalFromRequestParts<S> for Paid {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Infallible> {
        Ok(parts.extensions.get::<Self>().cloned())
    }
}

/// Who this request is served for without a payment, where a session opened it. On routes that are opened by sign-in
/// alone, take `Session`; on routes that are paid for as well, `Option<Session>` beside `Option<Paid>`.
///
/// ```
/// use tollway_http::Session;
///
/// async fn purchases(session: Session) -> String {
///     format!("what {} bought", session.account)
/// }
/// # let _: axum::routing::MethodRouter = axum::routing::get(purchases);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Session {
    /// The account that signed in.
    pub account: AccountId,
}

const NO_SESSION: (StatusCode, &str) = (
    StatusCode::INTERNAL_SERVER_ERROR,
    "this handler asks who signed in, and nobody did: put its route behind PaymentLayer with a session, or take Option<Session>",
);

impl<S: Send + Sync> FromRequestParts<S> for Session {
    type Rejection = (StatusCode, &'static str);

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        parts.extensions.get::<Self>().cloned().ok_or(NO_SESSION)
    }
}

impl<S: Send + Sync> OptionalFromRequestParts<S> for Session {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Infallible> {
        Ok(parts.extensions.get::<Self>().cloned())
    }
}
