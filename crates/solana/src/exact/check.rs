//! Everything that can be said about a payment without asking the chain, in the specification's order (§4, path 1).
//!
//! The facilitator signs this transaction as the account that pays for it. So what matters most is that the
//! transaction can do nothing with that account but pay a bounded fee: every instruction is on a short list, by program
//! and by first byte, and the fee payer is in no instruction's accounts.

use super::types::{Examined, LONGEST_MEMO};
use super::{AUTHORITY, Exact, TRANSFER};
use crate::address::{offer_address, parse_address, shown};
use crate::codes;
use crate::message::{Instruction, Transaction};
use crate::programs::{
    COMPUTE_BUDGET, LIGHTHOUSE, MEMO, SET_LIMIT, SET_PRICE, TRANSFER_CHECKED, is_token, token_account,
};
use crate::signer::is_good;
use solana_pubkey::Pubkey;
use tollway_core::{ErrorCode, NetworkId, Payment, Rejected, Scheme};

/// What a facilitator accepts.
#[derive(Debug, Clone)]
pub(super) struct Rules {
    /// Its keys, each of which may be the fee payer.
    pub(super) keys: Vec<Pubkey>,
    /// Most signatures it pays for.
    pub(super) max_signatures: usize,
    /// Most compute units, if limited beyond what the network allows.
    pub(super) max_compute_units: Option<u32>,
    /// Most micro-lamports for a compute unit.
    pub(super) max_compute_unit_price: u64,
    /// Most lamports for all of them together.
    pub(super) max_priority_fee: u64,
}

/// Most instructions, and the least: limit, price, transfer.
const MOST_INSTRUCTIONS: usize = 7;
const LEAST_INSTRUCTIONS: usize = 3;
/// Codes of the instructions after the transfer.
const UNKNOWN: [ErrorCode; 4] =
    [codes::UNKNOWN_FOURTH, codes::UNKNOWN_FIFTH, codes::UNKNOWN_SIXTH, codes::UNKNOWN_SEVENTH];

/// Checks a payment locally and leaves what it found in the payload.
pub(super) fn check(payment: &Payment<'_, Exact>, network: &NetworkId, rules: &Rules) -> Result<(), Rejected> {
    examine(payment, network, rules).map(|examined| {
        // A payload that was checked before keeps what was found then.
        let _ = payment.payload.examined.set(examined);
    })
}

/// The part that needs neither keys nor a transaction: rows 1 to 3.
pub(super) fn offer_and_accepted<'a>(payment: &'a Payment<'_, Exact>) -> Result<&'a str, Rejected> {
    let (offer, accepted) = (payment.offer, &payment.raw.accepted);
    if accepted.scheme != Exact::NAME || offer.scheme != Exact::NAME {
        return Err(Rejected::new(codes::SCHEME));
    }
    if accepted.network != offer.network {
        return Err(Rejected::new(codes::NETWORK_MISMATCH));
    }
    payment.extra.fee_payer.as_deref().ok_or_else(|| {
        Rejected::new(codes::MISSING_FEE_PAYER).because("the offer's extra needs the facilitator's feePayer")
    })
}

fn examine(payment: &Payment<'_, Exact>, network: &NetworkId, rules: &Rules) -> Result<Examined, Rejected> {
    let offer = payment.offer;
    let named = offer_and_accepted(payment)?;
    if offer.network != *network {
        return Err(Rejected::new(codes::NETWORK_MISMATCH));
    }
    let fee_payer = parse_address(named);
    let ours = fee_payer.and_then(|payer| Some((rules.keys.iter().position(|key| *key == payer)?, payer)));
    let (signer, fee_payer) = ours.ok_or_else(|| {
        let message = format!("`{}` is no fee payer of this facilitator", shown(named));
        Rejected::new(codes::FEE_PAYER_NOT_MANAGED).because(message)
    })?;
    let transaction =
        payment.payload.decoded().map_err(|why| Rejected::new(codes::NOT_DECODED).because(why.to_string()))?;
    signatures(transaction, &fee_payer, rules)?;
    if transaction.has_lookups() {
        let message = "the transaction loads accounts from lookup tables; name all of them in the message";
        return Err(Rejected::new(codes::LOOKUP_TABLES).because(message));
    }

    let instructions: Vec<Instruction<'_>> = transaction.instructions().take(MOST_INSTRUCTIONS + 1).collect();
    if !(LEAST_INSTRUCTIONS..=MOST_INSTRUCTIONS).contains(&instructions.len()) {
        let message = format!("a payment has {LEAST_INSTRUCTIONS} to {MOST_INSTRUCTIONS} instructions");
        return Err(Rejected::new(codes::INSTRUCTIONS_LENGTH).because(message));
    }
    compute(&instructions, rules)?;
    let (first, rest) = instructions.split_at(LEAST_INSTRUCTIONS);
    let transfer = &first[TRANSFER];
    let (authority, amount) = read_transfer(transaction, transfer)?;
    let payer = |rejected: Rejected| rejected.payer(authority.to_string());
    if rules.keys.contains(&authority) {
        let message = "the transfer's authority is a key of the facilitator";
        return Err(payer(Rejected::new(codes::FEE_PAYER_TRANSFERRING).because(message)));
    }
    isolated(transaction, first, &fee_payer).map_err(payer)?;
    let (mint, destination) = receives(payment, transaction, transfer).map_err(payer)?;
    if Some(amount) != offer.amount.to_u64() {
        let message = format!("the transfer must be of exactly {}", offer.amount);
        return Err(payer(Rejected::new(codes::AMOUNT_MISMATCH).because(message)));
    }
    for (position, instruction) in rest.iter().enumerate() {
        if instruction.program != MEMO && instruction.program != LIGHTHOUSE {
            let code = UNKNOWN.get(position).cloned().unwrap_or(codes::UNKNOWN_OPTIONAL);
            let message = format!("after the transfer, {} may not be called", instruction.program);
            return Err(payer(Rejected::new(code).because(message)));
        }
    }
    isolated(transaction, rest, &fee_payer).map_err(payer)?;
    memo(payment.extra.memo.as_deref(), rest).map_err(payer)?;
    Ok(Examined { signer, fee_payer, authority, mint, amount, destination, hash: transaction.message_hash() })
}

/// Rows 6 to 8: who signs, and whether they did.
fn signatures(transaction: &Transaction, fee_payer: &Pubkey, rules: &Rules) -> Result<(), Rejected> {
    let count = transaction.signatures().len();
    if count > rules.max_signatures {
        let message = format!("{count} signatures are required, this facilitator pays for {}", rules.max_signatures);
        return Err(Rejected::new(codes::EXCESSIVE_SIGNERS).because(message));
    }
    if transaction.key(0) != Some(*fee_payer) {
        let message = format!("the transaction's fee payer must be {fee_payer}");
        return Err(Rejected::new(codes::FEE_PAYER_MISMATCH).because(message));
    }
    // The fee payer's own is still to come, whatever is in its place now.
    let bad = transaction.signatures().skip(1).find(|(key, bytes)| !is_good(bytes, key, transaction.message()));
    match bad {
        Some((key, _)) => Err(Rejected::new(codes::SIGNATURE).because(format!("the signature of {key} is not good"))),
        None => Ok(()),
    }
}

/// The first two instructions: how much work at which price, and that the product is not too dear.
fn compute(instructions: &[Instruction<'_>], rules: &Rules) -> Result<(), Rejected> {
    let argument = |position: usize, first: u8| {
        let instruction = instructions.get(position).filter(|it| it.program == COMPUTE_BUDGET)?;
        instruction.data.split_first().filter(|(byte, _)| **byte == first).map(|(_, argument)| argument)
    };
    let limit = argument(0, SET_LIMIT).and_then(|bytes| bytes.try_into().ok()).map(u32::from_le_bytes);
    let limit = limit.ok_or_else(|| {
        Rejected::new(codes::COMPUTE_LIMIT).because("the first instruction must be ComputeBudget's SetComputeUnitLimit")
    })?;
    if let Some(most) = rules.max_compute_units.filter(|most| limit > *most) {
        let message = format!("{limit} compute units are more than {most}");
        return Err(Rejected::new(codes::COMPUTE_LIMIT_TOO_HIGH).because(message));
    }
    let price = argument(1, SET_PRICE).and_then(|bytes| bytes.try_into().ok()).map(u64::from_le_bytes);
    let price = price.ok_or_else(|| {
        Rejected::new(codes::COMPUTE_PRICE)
            .because("the second instruction must be ComputeBudget's SetComputeUnitPrice")
    })?;
    if price > rules.max_compute_unit_price {
        let message = format!("{price} micro-lamports a unit are more than {}", rules.max_compute_unit_price);
        return Err(Rejected::new(codes::COMPUTE_PRICE_TOO_HIGH).because(message));
    }
    let fee = (u128::from(price) * u128::from(limit)).div_ceil(1_000_000);
    if fee > u128::from(rules.max_priority_fee) {
        let message =
            format!("{limit} units at {price} micro-lamports are {fee} lamports, more than {}", rules.max_priority_fee);
        return Err(Rejected::new(codes::COMPUTE_PRICE_TOO_HIGH).because(message));
    }
    Ok(())
}

/// The third instruction: its authority and its amount.
fn read_transfer(transaction: &Transaction, transfer: &Instruction<'_>) -> Result<(Pubkey, u64), Rejected> {
    let refused = || {
        let message = format!("instruction {} must be TransferChecked of a token program", TRANSFER + 1);
        Rejected::new(codes::NO_TRANSFER).because(message)
    };
    let authority = transfer.accounts.get(AUTHORITY).and_then(|index| transaction.key(*index)).ok_or_else(refused)?;
    match transfer.data {
        // The amount, the decimals, and what the programs do not read.
        [TRANSFER_CHECKED, a, b, c, d, e, f, g, h, _, ..] if is_token(&transfer.program) => {
            Ok((authority, u64::from_le_bytes([*a, *b, *c, *d, *e, *f, *g, *h])))
        }
        _ => Err(refused()),
    }
}

/// The fee payer is in no instruction's accounts, by address and not by index: a list may name an account twice.
fn isolated(transaction: &Transaction, instructions: &[Instruction<'_>], fee_payer: &Pubkey) -> Result<(), Rejected> {
    let mut used = instructions.iter().flat_map(|instruction| instruction.accounts);
    if used.any(|index| transaction.key(*index) == Some(*fee_payer)) {
        let message = "the fee payer may pay the fee and nothing else, and is among an instruction's accounts";
        return Err(Rejected::new(codes::FEE_PAYER_TRANSFERRING).because(message));
    }
    Ok(())
}

/// That the transfer is of the offer's token to the offer's recipient; the mint and the destination's index.
fn receives(
    payment: &Payment<'_, Exact>,
    transaction: &Transaction,
    transfer: &Instruction<'_>,
) -> Result<(Pubkey, u8), Rejected> {
    let [source, mint_index, destination, ..] = *transfer.accounts else {
        return Err(Rejected::new(codes::NO_TRANSFER));
    };
    let mint = offer_address(payment.offer, "asset")?;
    if transaction.key(mint_index) != Some(mint) {
        return Err(Rejected::new(codes::MINT_MISMATCH).because(format!("the transfer must be of {mint}")));
    }
    let pay_to = offer_address(payment.offer, "payTo")?;
    let wanted = token_account(&pay_to, &mint, &transfer.program);
    let receiver = transaction.key(destination);
    if receiver.is_none() || receiver != wanted || transaction.key(source) == receiver {
        let message = format!("the transfer must go to the associated token account of {pay_to}, from another");
        return Err(Rejected::new(codes::RECIPIENT_MISMATCH).because(message));
    }
    Ok((mint, destination))
}

fn memo(wanted: Option<&str>, rest: &[Instruction<'_>]) -> Result<(), Rejected> {
    let Some(wanted) = wanted else { return Ok(()) };
    if wanted.len() > LONGEST_MEMO {
        let message = format!("the offer's memo is longer than {LONGEST_MEMO} bytes");
        return Err(Rejected::new(tollway_core::codes::INVALID_PAYMENT_REQUIREMENTS).because(message));
    }
    let mut memos = rest.iter().filter(|instruction| instruction.program == MEMO);
    let (Some(memo), None) = (memos.next(), memos.next()) else {
        return Err(Rejected::new(codes::MEMO_COUNT).because("there must be exactly one memo"));
    };
    if memo.data != wanted.as_bytes() {
        return Err(Rejected::new(codes::MEMO_MISMATCH).because("the memo is not the one asked for"));
    }
    Ok(())
}
