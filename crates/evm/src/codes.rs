//! The refusal codes of `exact` on EVM, under the names deployed facilitators use.

use tollway_core::ErrorCode;

/// One of the two scheme members is not `exact`.
pub const SCHEME: ErrorCode = ErrorCode::new("invalid_exact_evm_scheme");
/// `extra.name` or `extra.version` is missing.
pub const MISSING_DOMAIN: ErrorCode = ErrorCode::new("invalid_exact_evm_missing_eip712_domain");
/// `accepted.network` is not the requirements' network.
pub const NETWORK_MISMATCH: ErrorCode = ErrorCode::new("invalid_exact_evm_network_mismatch");
/// The signature is not the payer's.
pub const SIGNATURE: ErrorCode = ErrorCode::new("invalid_exact_evm_signature");
/// The authorization pays somebody else than `payTo`.
pub const RECIPIENT: ErrorCode = ErrorCode::new("invalid_exact_evm_recipient_mismatch");
/// The authorization ends within six seconds.
pub const VALID_BEFORE: ErrorCode = ErrorCode::new("invalid_exact_evm_payload_authorization_valid_before");
/// The authorization begins in the future.
pub const VALID_AFTER: ErrorCode = ErrorCode::new("invalid_exact_evm_payload_authorization_valid_after");
/// The authorized value is not exactly the amount asked for.
pub const VALUE: ErrorCode = ErrorCode::new("invalid_exact_evm_payload_authorization_value_mismatch");
/// There is no contract at the asset's address.
pub const ASSET_NOT_DEPLOYED: ErrorCode = ErrorCode::new("asset_not_deployed_contract");
/// The asset has no `authorizationState`, so it is no EIP-3009 token.
pub const EIP3009_NOT_SUPPORTED: ErrorCode = ErrorCode::new("invalid_exact_evm_eip3009_not_supported");
/// The authorization was used or cancelled before.
pub const NONCE_USED: ErrorCode = ErrorCode::new("invalid_exact_evm_nonce_already_used");
/// The token's name is not `extra.name`.
pub const TOKEN_NAME: ErrorCode = ErrorCode::new("invalid_exact_evm_token_name_mismatch");
/// The token's version is not `extra.version`.
pub const TOKEN_VERSION: ErrorCode = ErrorCode::new("invalid_exact_evm_token_version_mismatch");
/// The payer has less than the amount. The specification's own name for it is `insufficient_funds`.
pub const INSUFFICIENT_BALANCE: ErrorCode = ErrorCode::new("invalid_exact_evm_insufficient_balance");
/// The transfer would fail for a reason nothing else names.
pub const SIMULATION_FAILED: ErrorCode = ErrorCode::new("invalid_exact_evm_transaction_simulation_failed");
/// The transaction was mined and reverted.
pub const TRANSACTION_FAILED: ErrorCode = ErrorCode::new("invalid_exact_evm_transaction_failed");
/// The transaction was mined and its logs do not say that the money moved.
pub const TRANSFER_MISMATCH: ErrorCode = ErrorCode::new("invalid_exact_evm_transfer_event_mismatch");
/// The signature wants a contract deployed (EIP-6492) by a factory that is not allowed here.
pub const FACTORY_NOT_ALLOWED: ErrorCode = ErrorCode::new("eip6492_factory_not_allowed");
/// The payload is of a kind the offer's asset is not paid by.
pub const UNSUPPORTED_PAYLOAD: ErrorCode = ErrorCode::new("unsupported_payload_type");
/// The offer wants a transfer method that is not served here.
pub const UNSUPPORTED_METHOD: ErrorCode = ErrorCode::new("unsupported_asset_transfer_method");
