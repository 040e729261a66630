//! The body of `/verify` and `/settle`, and what is wrong with one that cannot be read.

use serde::Deserialize;
use serde_json::Value;
use tollway_core::json::{self, JsonError};
use tollway_core::{ErrorCode, PaymentPayload, PaymentRequirements, X402_VERSION, codes};

/// A payment and the offer it answers.
#[derive(Deserialize)]
pub(super) struct Envelope {
    #[serde(rename = "x402Version", default)]
    version: Option<u64>,
    #[serde(rename = "paymentPayload")]
    pub(super) raw: PaymentPayload,
    #[serde(rename = "paymentRequirements")]
    pub(super) offer: PaymentRequirements,
}

/// Why a body was not read.
pub(super) struct Wrong {
    /// Whether the body is no request at all, as opposed to a request with a malformed payment in it.
    pub(super) no_request: bool,
    pub(super) code: ErrorCode,
    pub(super) why: String,
    /// The network the request names, as far as it can be made out.
    pub(super) network: String,
}

/// The same without looking inside.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Loose {
    #[serde(default)]
    x402_version: Value,
    payment_payload: Value,
    payment_requirements: Value,
}

/// Reads a request. The version in the envelope may be left out; the payment's own counts then.
pub(super) fn read(bytes: &[u8]) -> Result<Envelope, Wrong> {
    match json::from_slice::<Envelope>(bytes) {
        Ok(envelope) => match envelope.version {
            None | Some(X402_VERSION) => Ok(envelope),
            Some(version) => Err(wrong_version(&Value::from(version), envelope.offer.network.to_string())),
        },
        Err(JsonError::Shape(why)) => Err(explain(bytes, &why.to_string())),
        Err(why) => Err(no_request(why.to_string())),
    }
}

/// Looks again at JSON that is no request for version 2: it may be one for another version, or a request with a
/// malformed payment.
fn explain(bytes: &[u8], why: &str) -> Wrong {
    let Ok(loose) = json::from_slice::<Loose>(bytes) else { return no_request(why.to_owned()) };
    let networks = [&loose.payment_requirements["network"], &loose.payment_payload["accepted"]["network"]];
    let network = networks.into_iter().find_map(Value::as_str).unwrap_or_default();
    let network: String = network.chars().take(96).collect();
    let version = match &loose.x402_version {
        Value::Null => &loose.payment_payload["x402Version"],
        version => version,
    };
    if !version.is_null() && *version != X402_VERSION {
        return wrong_version(version, network);
    }
    let objects = loose.payment_payload.is_object() && loose.payment_requirements.is_object();
    Wrong { no_request: !objects, code: codes::INVALID_PAYLOAD, why: why.to_owned(), network }
}

fn no_request(why: String) -> Wrong {
    Wrong { no_request: true, code: codes::INVALID_PAYLOAD, why, network: String::new() }
}

fn wrong_version(version: &Value, network: String) -> Wrong {
    let shown: String = version.to_string().chars().take(32).collect();
    let why = format!("this facilitator speaks x402 version {X402_VERSION}, not {shown}");
    Wrong { no_request: false, code: codes::INVALID_X402_VERSION, why, network }
}
