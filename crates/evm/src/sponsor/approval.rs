//! A payer's signed `approve` transaction, as a payment carries it.

use super::{is_address, is_hex, is_number, is_version, text};
use crate::address::parse_address;
use crate::codes;
use crate::permit2::{PERMIT2, Permit};
use crate::signature::Ecdsa;
use alloy::consensus::{Transaction as _, TxEnvelope};
use alloy::eips::eip2718::Decodable2718 as _;
use alloy::primitives::{Address, B256, Bytes, U256};
use alloy::sol_types::SolCall as _;
use tollway_core::{ErrorCode, Object, Rejected};

alloy::sol! {
    function approve(address spender, uint256 amount) external returns (bool);
}

/// What the client adds to the declaration.
pub(super) const MEMBERS: &[&str] = &["from", "asset", "spender", "amount", "signedTransaction", "version"];

/// A transaction that gives Permit2 its allowance, ready to send.
#[derive(Debug, Clone)]
pub(crate) struct Approval {
    pub(crate) raw: Bytes,
    pub(crate) hash: B256,
    /// Its place in the payer's order.
    pub(crate) nonce: u64,
    /// What it may cost the payer at most, in wei.
    pub(crate) cost: U256,
}

/// Checks an approval in the specification's order.
pub(super) fn check(info: &Object, permit: &Permit, chain: u64) -> Result<Approval, Rejected> {
    let refuse = |code: ErrorCode, why: &str| Err(Rejected::new(code).because(why));
    let read = || {
        let address = |member| text(info, member, is_address).and_then(parse_address);
        text(info, "amount", is_number)?;
        text(info, "version", is_version)?;
        let raw = text(info, "signedTransaction", is_hex)?;
        Some((address("from")?, address("asset")?, address("spender")?, raw))
    };
    let Some((from, asset, spender, raw)) = read() else {
        return refuse(codes::APPROVAL_FORMAT, "a member of the approval is missing or of the wrong form");
    };
    if from != permit.owner {
        return refuse(codes::APPROVAL_FROM, "the approval must be the payer's");
    }
    if asset != permit.token {
        return refuse(codes::APPROVAL_ASSET, "the approval must be for the payment's token");
    }
    if spender != PERMIT2 {
        return refuse(codes::APPROVAL_SPENDER, "the approval must name Permit2 as spender");
    }
    let Some((raw, transaction)) = parse(raw).filter(|(_, transaction)| transaction.chain_id() == Some(chain)) else {
        return refuse(codes::APPROVAL_PARSE, "the approval's transaction cannot be read, or is for another chain");
    };
    if transaction.to() != Some(asset) {
        return refuse(codes::APPROVAL_TARGET, "the approval's transaction must call the token");
    }
    let input = transaction.input();
    if input.get(..4) != Some(&approveCall::SELECTOR[..]) {
        return refuse(codes::APPROVAL_SELECTOR, "the approval's transaction must call approve");
    }
    let Ok(call) = approveCall::abi_decode_validate(input) else {
        return refuse(codes::APPROVAL_CALLDATA, "the approval's transaction carries no whole call of approve");
    };
    if call.spender != PERMIT2 {
        return refuse(codes::APPROVAL_TX_SPENDER, "the approval's transaction must approve Permit2");
    }
    match signer(&transaction) {
        None => return refuse(codes::APPROVAL_SIGNATURE, "the approval's transaction has no good signature"),
        Some(signer) if signer != permit.owner => {
            return refuse(codes::APPROVAL_SIGNER, "the approval's transaction must be the payer's");
        }
        Some(_) => {}
    }
    let gas = U256::from(transaction.gas_limit()).saturating_mul(U256::from(transaction.max_fee_per_gas()));
    let cost = gas.saturating_add(transaction.value());
    Ok(Approval { raw, hash: *transaction.tx_hash(), nonce: transaction.nonce(), cost })
}

/// Who signed a transaction. By the C library, which takes a fifth of the time that alloy's own recovery does; nodes take
/// a low s alone, too.
fn signer(transaction: &TxEnvelope) -> Option<Address> {
    let signature = transaction.signature();
    let v = [27 + u8::from(signature.v())];
    let bytes = [&signature.r().to_be_bytes::<32>()[..], &signature.s().to_be_bytes::<32>(), &v].concat();
    Ecdsa::parse(&bytes)?.recover(&transaction.signature_hash())
}

/// Reads a transaction of a kind that does nothing but call.
fn parse(text: &str) -> Option<(Bytes, TxEnvelope)> {
    let raw = Bytes::from(alloy::hex::decode(text).ok()?);
    let mut rest = &raw[..];
    let transaction = TxEnvelope::decode_2718(&mut rest).ok()?;
    let plain = matches!(transaction, TxEnvelope::Legacy(_) | TxEnvelope::Eip2930(_) | TxEnvelope::Eip1559(_));
    (rest.is_empty() && plain).then_some((raw, transaction))
}
