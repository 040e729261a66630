//! The headers of x402 over HTTP: their names, and JSON in base64 (transport specification v2, "Headers").

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt;
use tollway_core::json::{self, JsonError};

/// Longest header of this protocol that is read, in bytes. Payments of several KiB exist; nobody needs more than this.
pub const MAX_HEADER: usize = 16 * 1024;

/// Response, with a 402: how to pay (`PaymentRequired`).
pub const PAYMENT_REQUIRED: HeaderName = HeaderName::from_static("payment-required");
/// Request: the payment (`PaymentPayload`).
pub const PAYMENT_SIGNATURE: HeaderName = HeaderName::from_static("payment-signature");
/// Response: the receipt (`SettleResponse`).
pub const PAYMENT_RESPONSE: HeaderName = HeaderName::from_static("payment-response");
/// Request: proof of a wallet, for sessions.
pub const SIGN_IN_WITH_X: HeaderName = HeaderName::from_static("sign-in-with-x");
/// Both ways: a session in the place of such proofs (Tollway's own, see the page on sessions).
pub const SESSION_TOKEN: HeaderName = HeaderName::from_static("session-token");
/// Facilitator to resource server: what its extensions have to say, by key. Never sent on to the payer.
pub(crate) const EXTENSION_RESPONSES: HeaderName = HeaderName::from_static("extension-responses");
/// Handler to server, never sent on.
pub(crate) const SETTLEMENT_OVERRIDES: HeaderName = HeaderName::from_static("settlement-overrides");
/// Resource server to facilitator: who asks, so that the same one asking again gets the same answer.
pub(crate) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// What a CORS layer must expose, or pages in browsers cannot read what they are asked and what they paid:
/// `CorsLayer::new().expose_headers(EXPOSE_HEADERS).allow_headers(ALLOW_HEADERS)`.
///
/// Put that layer outside the payment layer: preflight requests carry no payment.
pub const EXPOSE_HEADERS: [HeaderName; 3] = [PAYMENT_REQUIRED, PAYMENT_RESPONSE, SESSION_TOKEN];
/// What a CORS layer must allow, or pages in browsers cannot pay.
pub const ALLOW_HEADERS: [HeaderName; 3] = [PAYMENT_SIGNATURE, SIGN_IN_WITH_X, SESSION_TOKEN];

/// Why a header was not read or not written.
#[derive(Debug)]
#[non_exhaustive]
pub enum HeaderError {
    /// Longer than [`MAX_HEADER`]; carries the length in bytes.
    TooLong(usize),
    /// Sent more than once, so that nobody knows which one counts.
    Repeated,
    /// Not standard base64.
    NotBase64,
    /// Not the JSON it should be.
    Json(JsonError),
}

impl fmt::Display for HeaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong(length) => write!(f, "{length} bytes long, at most {MAX_HEADER} are read"),
            Self::Repeated => f.write_str("sent more than once"),
            Self::NotBase64 => f.write_str("not standard base64 (A-Z a-z 0-9 + /, padded with =)"),
            Self::Json(why) => why.fmt(f),
        }
    }
}

impl std::error::Error for HeaderError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Json(why) => Some(why),
            _ => None,
        }
    }
}

/// Written padded; read with or without padding, as the deployed decoder does. Bits beyond the last byte are ignored
/// for the same reason: nothing here is identified by its encoding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Writes a value as the text of a header: JSON, UTF-8, standard base64 with padding.
///
/// # Errors
/// The value cannot be written as JSON; the types of the protocol all can.
pub fn encode<T: Serialize>(value: &T) -> Result<String, HeaderError> {
    let json = serde_json::to_vec(value).map_err(|why| HeaderError::Json(JsonError::Shape(why)))?;
    Ok(BASE64.encode(json))
}

/// Reads the text of a header. Its length is checked before anything is decoded, the depth of the JSON before it is
/// parsed.
///
/// # Errors
/// [`HeaderError`] says which step failed.
pub fn decode<T: DeserializeOwned>(text: &[u8]) -> Result<T, HeaderError> {
    if text.len() > MAX_HEADER {
        return Err(HeaderError::TooLong(text.len()));
    }
    let bytes = BASE64.decode(text).map_err(|_| HeaderError::NotBase64)?;
    json::from_slice(&bytes).map_err(HeaderError::Json)
}

/// Writes a value as a header.
pub(crate) fn value<T: Serialize>(value: &T) -> Result<HeaderValue, HeaderError> {
    // Base64 is always a header's value.
    HeaderValue::try_from(encode(value)?).map_err(|_| HeaderError::NotBase64)
}

/// Reads a header out of many; `None` if it is not there.
pub(crate) fn find<T: DeserializeOwned>(headers: &HeaderMap, name: HeaderName) -> Option<Result<T, HeaderError>> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    Some(if values.next().is_some() { Err(HeaderError::Repeated) } else { decode(value.as_bytes()) })
}

/// Marks a value as one that HTTP stacks must not log or index.
pub(crate) fn sensitive(mut value: HeaderValue) -> HeaderValue {
    value.set_sensitive(true);
    value
}

/// Turns pairs of texts into headers. What is no header is left out: it came from a plug-in, and must not stop a
/// request that is being paid.
pub(crate) fn pairs(pairs: &[(String, String)]) -> impl Iterator<Item = (HeaderName, HeaderValue)> {
    pairs.iter().filter_map(|(name, value)| {
        let header = name.parse::<HeaderName>().ok().zip(value.parse().ok());
        if header.is_none() {
            tracing::warn!(name, "an extension asked for a header that is none; it is left out");
        }
        header
    })
}

/// The same for headers that open something.
pub(crate) fn secrets(list: &[(String, String)]) -> impl Iterator<Item = (HeaderName, HeaderValue)> {
    pairs(list).map(|(name, value)| (name, sensitive(value)))
}
