//! Everything that can be said about a permit without asking the chain, in the deployed order (specification §3,
//! "Verify"; `upto`, "Verify").

use super::contracts::Permit;
use super::{METHOD, PermitView};
use crate::codes;
use crate::exact::types::word_of;
use crate::exact::{TIME_BUFFER, offer_address};
use crate::lanes::Lanes;
use crate::signature::Received;
use crate::sponsor::{Sponsor, sponsored};
use alloy::primitives::{Address, B256, Bytes, U256};
use tollway_core::{ErrorCode, NetworkId, Rejected};

/// What the local checks found.
#[derive(Debug, Clone)]
pub(crate) struct Examined {
    pub(super) permit: Permit,
    pub(super) digest: B256,
    pub(super) signature: Bytes,
    /// Whether it is the payer's own ECDSA signature. If not, the payer may still be a contract that accepts it.
    pub(super) recovers: bool,
    /// How Permit2 gets its allowance, where it has none.
    pub(super) sponsor: Sponsor,
}

/// Checks a permit and leaves what it found in the payload. `now` is in Unix seconds.
pub(super) fn check(
    view: &PermitView<'_>,
    network: &NetworkId,
    chain: u64,
    lanes: &Lanes,
    now: u64,
) -> Result<(), Rejected> {
    let examined = examine(view, network, chain, lanes, now).map_err(|rejected| rejected.payer(view.payer()))?;
    // A payload that was checked before keeps what was found then.
    let _ = view.examined.set(Box::new(examined));
    Ok(())
}

fn examine(
    view: &PermitView<'_>,
    network: &NetworkId,
    chain: u64,
    lanes: &Lanes,
    now: u64,
) -> Result<Examined, Rejected> {
    let (kind, permit, offer, accepted) = (view.kind, view.permit, view.offer, &view.raw.accepted);
    let refuse = |code: ErrorCode, why: &str| Err(Rejected::new(code).because(why));

    if accepted.scheme != kind.scheme || offer.scheme != kind.scheme {
        return Err(Rejected::new(kind.scheme_code.clone()));
    }
    if accepted.network != offer.network || offer.network != *network {
        return Err(Rejected::new(kind.network_code.clone()));
    }
    // `upto` knows no other method, so an offer need not say it.
    if view.extra.asset_transfer_method.as_deref().unwrap_or(if kind.metered { METHOD } else { "" }) != METHOD {
        return refuse(codes::UNSUPPORTED_PAYLOAD, "the offer does not ask for the transfer method permit2");
    }
    let asset = offer_address(offer, "asset")?;
    let pay_to = offer_address(offer, "payTo")?;

    if permit.spender != kind.proxy {
        return refuse(codes::PERMIT2_SPENDER, "the permit's spender must be the scheme's x402 proxy");
    }
    if permit.to != pay_to {
        return refuse(codes::PERMIT2_RECIPIENT, "the permit's witness must pay payTo");
    }
    if permit.facilitator.is_some_and(|facilitator| !lanes.has(facilitator)) {
        return refuse(codes::UPTO_FACILITATOR, "the permit binds a facilitator that is not one of this one's signers");
    }
    if permit.deadline < U256::from(now.saturating_add(TIME_BUFFER)) {
        let message = format!("the permit must stay valid for {TIME_BUFFER} seconds from {now}");
        return Err(Rejected::new(codes::PERMIT2_DEADLINE).because(message));
    }
    if permit.valid_after > U256::from(now) {
        return refuse(codes::PERMIT2_NOT_YET, "the permit is not valid yet");
    }
    let asked = word_of(offer.amount);
    if kind.metered && asked > permit.amount && offer.amount != accepted.amount {
        return refuse(codes::UPTO_EXCEEDS, "the charge is above the permitted maximum");
    }
    // At settlement a metered offer carries the charge; that its amount at verification is the maximum, verifying checks.
    if asked > permit.amount || (!kind.metered && asked != permit.amount) {
        return refuse(codes::PERMIT2_AMOUNT, "the permit must be of exactly the amount");
    }
    if permit.token != asset {
        return refuse(codes::PERMIT2_TOKEN, "the permit must be for the offer's asset");
    }
    if permit.amount.is_zero() {
        return refuse(codes::PERMIT2_INVALID_AMOUNT, "the proxy moves no amount of zero");
    }
    if permit.to.is_zero() {
        return refuse(codes::PERMIT2_DESTINATION, "the proxy pays nothing to the zero address");
    }

    let digest = permit.digest(chain);
    let signature = Received::parse(view.signature).filter(|signature| signature.deployment.is_none());
    let Some(signature) = signature else {
        let why = "the signature is no hexadecimal text of one, or is wrapped (EIP-6492), which Permit2 cannot read";
        return refuse(codes::PERMIT2_SIGNATURE, why);
    };
    let recovered = signature.ecdsa().and_then(|plain| plain.recover(&digest));
    let recovers = recovered == Some(permit.owner) && permit.owner != Address::ZERO;
    let sponsor = sponsored(view.extensions(), &permit, chain, now)?;
    Ok(Examined { permit, digest, signature: signature.bytes, recovers, sponsor })
}
