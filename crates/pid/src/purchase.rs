//! What a payment under an id is for, and which payment it is.

use crate::{PAYMENT_IDENTIFIER, is_id};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tollway_core::Paid;

/// A SHA-256 digest.
pub(crate) type Hash = [u8; 32];

/// Where an id counts: one payer on one route. Hashed, so that keys take the same room whoever wrote them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Key(Hash);

/// One presentation of a payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Purchase {
    /// What is bought, for how much and from whom.
    pub(crate) fingerprint: Hash,
    /// What was signed for it.
    pub(crate) payment: Hash,
}

/// The id a payment carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Id<'a> {
    None,
    Malformed,
    Some(&'a str),
}

/// Reads the id.
pub(crate) fn id<'a>(paid: &Paid<'a>) -> Id<'a> {
    let extension = paid.raw.extensions.as_ref().and_then(|extensions| extensions.get(PAYMENT_IDENTIFIER));
    match extension.and_then(|extension| extension.pointer("/info/id")) {
        None | Some(Value::Null) => Id::None,
        Some(Value::String(id)) if is_id(id) => Id::Some(id),
        Some(_) => Id::Malformed,
    }
}

/// Parts of any length, so joined that no two lists come to the same.
fn digest<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Hash {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

impl Key {
    pub(crate) fn new(paid: &Paid<'_>, id: &str) -> Self {
        let payer = paid.payer.to_string();
        Self(digest([paid.pattern.as_bytes(), payer.as_bytes(), id.as_bytes()]))
    }
}

impl Purchase {
    pub(crate) fn new(paid: &Paid<'_>) -> Self {
        let (offer, request) = (paid.offer, paid.request);
        let amount = offer.amount.to_be_bytes();
        let fingerprint = digest([
            offer.scheme.as_bytes(),
            offer.network.as_str().as_bytes(),
            offer.asset.as_bytes(),
            &amount,
            offer.pay_to.as_bytes(),
            request.method().as_bytes(),
            request.target().as_bytes(),
            request.query().as_bytes(),
            request.body().unwrap_or_default(),
        ]);
        Self { fingerprint, payment: digest([paid.raw.payload.to_string().as_bytes()]) }
    }
}
