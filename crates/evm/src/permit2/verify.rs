//! What the chain's answer means for a permit, in the deployed order (specification §3, "Diagnosis").

use super::check::Examined;
use super::contracts::{is_spent, reverted};
use super::probe::Answer;
use crate::codes;
use alloy::primitives::U256;
use tollway_core::{ErrorCode, Rejected};

/// What the chain knows of an approval that is yet to be sent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Approvable {
    /// Whether its transaction is next in its signer's order.
    pub(super) next: bool,
    /// Whether its signer can pay for its gas.
    pub(super) paid: bool,
}

/// Judges a permit that passed the local checks. `named` says whether a revert may be named by its error, as at
/// settlement; a verification has one code for all of them.
pub(super) fn verdict(
    examined: &Examined,
    amount: U256,
    answer: &Answer,
    approvable: Option<Approvable>,
    named: bool,
) -> Result<(), Rejected> {
    let payer = examined.permit.owner.to_checksum(None);
    let refuse = |code: ErrorCode, why: &str| Err(Rejected::new(code).because(why).payer(&*payer));
    if !answer.asset_has_code {
        return refuse(codes::ASSET_NOT_DEPLOYED, "there is no contract at the asset's address");
    }
    if answer.payer_has_code {
        // An account with code answers for itself, even where its key signed: Permit2 asks it, too.
        if !answer.confirmed {
            return refuse(codes::PERMIT2_SIGNATURE, "the payer's contract did not confirm the signature (EIP-1271)");
        }
    } else if !examined.recovers {
        let why = "the signature is not the payer's (65 bytes, low s, v 27 or 28)";
        return refuse(codes::PERMIT2_SIGNATURE, why);
    }
    if !answer.proxy_has_code {
        return refuse(codes::PERMIT2_PROXY, "the x402 proxy for Permit2 is not deployed on this chain");
    }
    if answer.moved {
        return Ok(());
    }
    if answer.ran {
        let why = "the token let the settlement succeed without moving exactly the amount";
        return refuse(codes::PERMIT2_SIMULATION, why);
    }
    let found = answer.diagnosis.unwrap_or_default();
    if found.bitmap.is_some_and(|word| is_spent(examined.permit.nonce, word)) {
        return refuse(codes::PERMIT2_NONCE, "the permit's nonce was used or invalidated");
    }
    if found.balance.is_some_and(|balance| balance < amount) {
        return refuse(codes::PERMIT2_BALANCE, "the payer has less than the amount");
    }
    if found.allowance.is_some_and(|allowance| allowance < amount) {
        return match approvable {
            // What fails for want of an allowance can be settled after the approval.
            Some(Approvable { next: true, paid: true }) => Ok(()),
            Some(Approvable { next: false, .. }) => {
                refuse(codes::APPROVAL_FAILED, "the approval's nonce is not its signer's next")
            }
            Some(_) => refuse(codes::APPROVAL_FAILED, "the payer has too little of the network's coin to approve"),
            None => refuse(codes::PERMIT2_ALLOWANCE, "the payer must approve Permit2 for the token once"),
        };
    }
    match reverted(found.selector).filter(|_| named) {
        Some(code) => refuse(code, "the settlement would revert"),
        None => refuse(codes::PERMIT2_SIMULATION, "the settlement would revert"),
    }
}
