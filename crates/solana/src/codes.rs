//! The refusal codes of `exact` on Solana, under the names deployed facilitators use.

use tollway_core::ErrorCode;

/// One of the two scheme members is not `exact`.
pub const SCHEME: ErrorCode = ErrorCode::new("invalid_exact_svm_unsupported_scheme");
/// `accepted.network` is not the requirements' network.
pub const NETWORK_MISMATCH: ErrorCode = ErrorCode::new("invalid_exact_svm_network_mismatch");
/// `extra.feePayer` is missing or no text.
pub const MISSING_FEE_PAYER: ErrorCode = ErrorCode::new("invalid_exact_svm_payload_missing_fee_payer");
/// `extra.feePayer` is none of the facilitator's keys.
pub const FEE_PAYER_NOT_MANAGED: ErrorCode = ErrorCode::new("invalid_exact_svm_fee_payer_not_managed_by_facilitator");
/// The text is no base64 of a well-formed transaction.
pub const NOT_DECODED: ErrorCode = ErrorCode::new("invalid_exact_svm_payload_transaction_could_not_be_decoded");
/// More signatures than the facilitator pays for.
pub const EXCESSIVE_SIGNERS: ErrorCode = ErrorCode::new("invalid_exact_svm_payload_excessive_signers");
/// The transaction's fee payer is not `extra.feePayer`.
pub const FEE_PAYER_MISMATCH: ErrorCode = ErrorCode::new("invalid_exact_svm_fee_payer_mismatch");
/// A co-signer's signature is missing or not good.
pub const SIGNATURE: ErrorCode = ErrorCode::new("invalid_exact_svm_payload_signature_invalid");
/// The transaction loads accounts from lookup tables, which are not resolved here.
pub const LOOKUP_TABLES: ErrorCode = ErrorCode::new("invalid_exact_svm_smart_wallet_alt_resolution_not_available");
/// Fewer than 3 or more than 7 instructions.
pub const INSTRUCTIONS_LENGTH: ErrorCode = ErrorCode::new("invalid_exact_svm_payload_transaction_instructions_length");
/// The first instruction sets no compute limit.
pub const COMPUTE_LIMIT: ErrorCode =
    ErrorCode::new("invalid_exact_svm_payload_transaction_instructions_compute_limit_instruction");
/// The compute limit is above the facilitator's.
pub const COMPUTE_LIMIT_TOO_HIGH: ErrorCode =
    ErrorCode::new("invalid_exact_svm_payload_transaction_instructions_compute_limit_instruction_too_high");
/// The second instruction sets no compute price.
pub const COMPUTE_PRICE: ErrorCode =
    ErrorCode::new("invalid_exact_svm_payload_transaction_instructions_compute_price_instruction");
/// The compute price, or price times limit, is above the facilitator's.
pub const COMPUTE_PRICE_TOO_HIGH: ErrorCode =
    ErrorCode::new("invalid_exact_svm_payload_transaction_instructions_compute_price_instruction_too_high");
/// The third instruction is no `TransferChecked` of a token program.
pub const NO_TRANSFER: ErrorCode = ErrorCode::new("invalid_exact_svm_payload_no_transfer_instruction");
/// A key of the facilitator is the transfer's authority, or its fee payer is in an instruction's accounts.
pub const FEE_PAYER_TRANSFERRING: ErrorCode =
    ErrorCode::new("invalid_exact_svm_payload_transaction_fee_payer_transferring_funds");
/// The transfer is of another token than asked for.
pub const MINT_MISMATCH: ErrorCode = ErrorCode::new("invalid_exact_svm_payload_mint_mismatch");
/// The transfer goes elsewhere than to `payTo`'s associated token account.
pub const RECIPIENT_MISMATCH: ErrorCode = ErrorCode::new("invalid_exact_svm_payload_recipient_mismatch");
/// The transfer is not of exactly the amount asked for, or something else would arrive.
pub const AMOUNT_MISMATCH: ErrorCode = ErrorCode::new("invalid_exact_svm_payload_amount_mismatch");
/// The fourth instruction is neither a memo nor a wallet's assertion.
pub const UNKNOWN_FOURTH: ErrorCode = ErrorCode::new("invalid_exact_svm_payload_unknown_fourth_instruction");
/// The fifth instruction is neither a memo nor a wallet's assertion.
pub const UNKNOWN_FIFTH: ErrorCode = ErrorCode::new("invalid_exact_svm_payload_unknown_fifth_instruction");
/// The sixth instruction is neither a memo nor a wallet's assertion.
pub const UNKNOWN_SIXTH: ErrorCode = ErrorCode::new("invalid_exact_svm_payload_unknown_sixth_instruction");
/// The seventh instruction is neither a memo nor a wallet's assertion.
pub const UNKNOWN_SEVENTH: ErrorCode = ErrorCode::new("invalid_exact_svm_payload_unknown_seventh_instruction");
/// An instruction after the third is neither a memo nor a wallet's assertion.
pub const UNKNOWN_OPTIONAL: ErrorCode = ErrorCode::new("invalid_exact_svm_payload_unknown_optional_instruction");
/// The offer asks for a memo and there is not exactly one.
pub const MEMO_COUNT: ErrorCode = ErrorCode::new("invalid_exact_svm_payload_memo_count");
/// The memo is not the one asked for.
pub const MEMO_MISMATCH: ErrorCode = ErrorCode::new("invalid_exact_svm_payload_memo_mismatch");
/// The transaction would fail.
pub const SIMULATION_FAILED: ErrorCode = ErrorCode::new("invalid_exact_svm_transaction_simulation_failed");
/// The token can do something to transfers that the facilitator does not allow. Not among the deployed codes.
pub const MINT_NOT_ALLOWED: ErrorCode = ErrorCode::new("invalid_exact_svm_mint_not_allowed");
/// The facilitator could not sign as fee payer.
pub const SIGNING_FAILED: ErrorCode = ErrorCode::new("invalid_exact_svm_transaction_signing_failed");
/// The transaction was refused, failed on chain, or expired.
pub const TRANSACTION_FAILED: ErrorCode = ErrorCode::new("invalid_exact_svm_transaction_failed");
