//! Payment by Permit2: the payer signs a transfer for Permit2 with an x402 proxy as its spender and the recipient as
//! its witness, and the proxy carries it out (specification `exact` on EVM, §3, and `upto` on EVM).
//!
//! `exact` and `upto` share all of it: what differs is a [`Kind`].

mod check;
mod contracts;
mod probe;
mod prove;
mod settle;
mod sign;
mod types;
mod verify;
mod within;

pub(crate) use contracts::{PERMIT2, Permit, Permit2612, hash_words};
pub(crate) use prove::PermitExpect;
pub(crate) use settle::Permits;
pub(crate) use sign::{permit_state, sign};
pub(crate) use types::NOT_UPTO;
pub use types::{
    Permit2Authorization, Permit2Payload, Permitted, UptoAuthorization, UptoPayload, UptoWitness, Witness,
};

use crate::codes;
use crate::exact::{Exact, Extra};
use crate::upto::Upto;
use alloy::primitives::{Address, address};
use check::Examined;
use std::sync::OnceLock;
use tollway_core::{
    AccountId, Amount, Claim, ClaimKey, ErrorCode, Object, Payment, PaymentPayload, PaymentRequirements,
};

/// The name of the transfer method on the wire, and of the mechanism in claim keys.
pub(crate) const METHOD: &str = "permit2";

/// What the two schemes differ in.
#[derive(Debug)]
pub(crate) struct Kind {
    pub(crate) scheme: &'static str,
    /// The only spender a permit may name.
    pub(crate) proxy: Address,
    /// Whether less than the permitted amount may be taken, and only by the facilitator the permit names.
    pub(crate) metered: bool,
    scheme_code: ErrorCode,
    network_code: ErrorCode,
    failed_code: ErrorCode,
    mismatch_code: ErrorCode,
}

pub(crate) static EXACT: Kind = Kind {
    scheme: "exact",
    proxy: address!("402085c248EeA27D92E8b30b2C58ed07f9E20001"),
    metered: false,
    scheme_code: codes::UNSUPPORTED_PAYLOAD,
    network_code: codes::NETWORK_MISMATCH,
    failed_code: codes::TRANSACTION_FAILED,
    mismatch_code: codes::TRANSFER_MISMATCH,
};

pub(crate) static UPTO: Kind = Kind {
    scheme: "upto",
    proxy: address!("4020A4f3b7b90ccA423B9fabCc0CE57C6C240002"),
    metered: true,
    scheme_code: codes::UPTO_SCHEME,
    network_code: codes::UPTO_NETWORK,
    failed_code: codes::UPTO_FAILED,
    mismatch_code: codes::UPTO_FAILED,
};

/// A payment by Permit2 of either scheme.
#[derive(Debug)]
pub(crate) struct PermitView<'a> {
    kind: &'static Kind,
    offer: &'a PaymentRequirements,
    raw: &'a PaymentPayload,
    extra: &'a Extra,
    permit: Permit,
    signature: &'a str,
    examined: &'a OnceLock<Box<Examined>>,
}

impl<'a> PermitView<'a> {
    pub(crate) fn exact(payment: &'a Payment<'_, Exact>, payload: &'a Permit2Payload) -> Self {
        Self {
            kind: &EXACT,
            offer: payment.offer,
            raw: payment.raw,
            extra: &payment.extra,
            permit: payload.permit2_authorization.permit(),
            signature: &payload.signature,
            examined: &payload.examined,
        }
    }

    pub(crate) fn upto(payment: &'a Payment<'_, Upto>) -> Self {
        Self {
            kind: &UPTO,
            offer: payment.offer,
            raw: payment.raw,
            extra: &payment.extra,
            permit: payment.payload.permit2_authorization.permit(),
            signature: &payment.payload.signature,
            examined: &payment.payload.examined,
        }
    }

    fn extensions(&self) -> Option<&Object> {
        self.raw.extensions.as_ref()
    }

    fn payer(&self) -> String {
        self.permit.owner.to_checksum(None)
    }

    /// What is to be moved: at settlement of a metered payment the charge, else all of it.
    fn charge(&self) -> Amount {
        self.offer.amount
    }

    /// The payment's identity: `<network>/permit2/<owner>/<nonce>`. Permit2 accepts a nonce once, whatever the token.
    pub(crate) fn claim(&self, token: Address) -> Claim {
        let network = &self.offer.network;
        let parts = [format!("{:#x}", self.permit.owner), self.permit.nonce.to_string()];
        let key = ClaimKey::new(network, METHOD, &parts.each_ref().map(String::as_str));
        let claim = Claim::new(key, AccountId::new(network.clone(), &self.payer()));
        let claim = claim.expect(PermitExpect::new(self.kind, token, &self.permit, self.charge()).into_value());
        // An end beyond what a signed 64-bit number holds is no time.
        match u64::try_from(self.permit.deadline).ok().filter(|end| i64::try_from(*end).is_ok()) {
            Some(end) => claim.dead_after(end),
            None => claim,
        }
    }
}
