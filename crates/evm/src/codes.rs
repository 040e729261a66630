//! The refusal codes of `exact` and `upto` on EVM, under the names deployed facilitators use.

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
/// The factory of an undeployed wallet (EIP-6492) made none at the payer's address.
pub const DEPLOYMENT_FAILED: ErrorCode = ErrorCode::new("smart_wallet_deployment_failed");
/// The payer's wallet is not deployed, and is not deployed here within the payment.
pub const UNDEPLOYED_WALLET: ErrorCode = ErrorCode::new("invalid_exact_evm_payload_undeployed_smart_wallet");
/// The payload is of a kind the offer's asset is not paid by.
pub const UNSUPPORTED_PAYLOAD: ErrorCode = ErrorCode::new("unsupported_payload_type");
/// The offer wants a transfer method that is not served here.
pub const UNSUPPORTED_METHOD: ErrorCode = ErrorCode::new("unsupported_asset_transfer_method");

// Permit2

/// The permit's spender is not the scheme's x402 proxy.
pub const PERMIT2_SPENDER: ErrorCode = ErrorCode::new("invalid_permit2_spender");
/// The permit's witness pays somebody else than `payTo`.
pub const PERMIT2_RECIPIENT: ErrorCode = ErrorCode::new("invalid_permit2_recipient_mismatch");
/// The permit ends within six seconds.
pub const PERMIT2_DEADLINE: ErrorCode = ErrorCode::new("permit2_deadline_expired");
/// The permit begins in the future.
pub const PERMIT2_NOT_YET: ErrorCode = ErrorCode::new("permit2_not_yet_valid");
/// The permitted amount is not exactly the amount asked for.
pub const PERMIT2_AMOUNT: ErrorCode = ErrorCode::new("permit2_amount_mismatch");
/// The permitted token is not the asset.
pub const PERMIT2_TOKEN: ErrorCode = ErrorCode::new("permit2_token_mismatch");
/// The permit's signature is not the payer's.
pub const PERMIT2_SIGNATURE: ErrorCode = ErrorCode::new("invalid_permit2_signature");
/// The chain lacks the x402 proxy.
pub const PERMIT2_PROXY: ErrorCode = ErrorCode::new("permit2_proxy_not_deployed");
/// The permit's nonce was used or invalidated.
pub const PERMIT2_NONCE: ErrorCode = ErrorCode::new("permit2_invalid_nonce");
/// The payer has less than the amount.
pub const PERMIT2_BALANCE: ErrorCode = ErrorCode::new("permit2_insufficient_balance");
/// Permit2 may not spend the payer's tokens. HTTP answers 412.
pub const PERMIT2_ALLOWANCE: ErrorCode = ErrorCode::new("permit2_allowance_required");
/// The settlement would fail for a reason nothing else names.
pub const PERMIT2_SIMULATION: ErrorCode = ErrorCode::new("permit2_simulation_failed");
/// The proxy refuses the amount: it is zero.
pub const PERMIT2_INVALID_AMOUNT: ErrorCode = ErrorCode::new("permit2_invalid_amount");
/// The proxy refuses the recipient.
pub const PERMIT2_DESTINATION: ErrorCode = ErrorCode::new("permit2_invalid_destination");
/// The proxy refuses the payer.
pub const PERMIT2_OWNER: ErrorCode = ErrorCode::new("permit2_invalid_owner");
/// The proxy says that the permit is not valid yet.
pub const PERMIT2_EARLY: ErrorCode = ErrorCode::new("permit2_payment_too_early");
/// The EIP-2612 permit is not of exactly the permitted amount.
pub const PERMIT2_2612_AMOUNT: ErrorCode = ErrorCode::new("permit2_2612_amount_mismatch");

// upto

/// One of the two scheme members is not `upto`.
pub const UPTO_SCHEME: ErrorCode = ErrorCode::new("invalid_upto_evm_scheme");
/// `accepted.network` is not the requirements' network.
pub const UPTO_NETWORK: ErrorCode = ErrorCode::new("invalid_upto_evm_network_mismatch");
/// The permit binds a facilitator that is none of this one's signers.
pub const UPTO_FACILITATOR: ErrorCode = ErrorCode::new("upto_facilitator_mismatch");
/// The charge is above the permitted maximum.
pub const UPTO_EXCEEDS: ErrorCode = ErrorCode::new("invalid_upto_evm_payload_settlement_exceeds_amount");
/// The transaction was mined and did not pay.
pub const UPTO_FAILED: ErrorCode = ErrorCode::new("invalid_upto_evm_transaction_failed");
/// The proxy says that the charge is above the maximum.
pub const UPTO_AMOUNT_EXCEEDS: ErrorCode = ErrorCode::new("upto_amount_exceeds_permitted");
/// The proxy says that the sender is not the facilitator of the permit.
pub const UPTO_UNAUTHORIZED: ErrorCode = ErrorCode::new("upto_unauthorized_facilitator");

// Gas sponsoring

/// A member of the EIP-2612 permit is of the wrong form.
pub const EIP2612_FORMAT: ErrorCode = ErrorCode::new("invalid_eip2612_extension_format");
/// The EIP-2612 permit is of another account than the payer.
pub const EIP2612_FROM: ErrorCode = ErrorCode::new("eip2612_from_mismatch");
/// The EIP-2612 permit is for another token.
pub const EIP2612_ASSET: ErrorCode = ErrorCode::new("eip2612_asset_mismatch");
/// The EIP-2612 permit names another spender than Permit2.
pub const EIP2612_SPENDER: ErrorCode = ErrorCode::new("eip2612_spender_not_permit2");
/// The EIP-2612 permit ends within six seconds.
pub const EIP2612_DEADLINE: ErrorCode = ErrorCode::new("eip2612_deadline_expired");
/// A member of the approval is of the wrong form.
pub const APPROVAL_FORMAT: ErrorCode = ErrorCode::new("invalid_erc20_approval_extension_format");
/// The approval is of another account than the payer.
pub const APPROVAL_FROM: ErrorCode = ErrorCode::new("erc20_approval_from_mismatch");
/// The approval is for another token.
pub const APPROVAL_ASSET: ErrorCode = ErrorCode::new("erc20_approval_asset_mismatch");
/// The approval names another spender than Permit2.
pub const APPROVAL_SPENDER: ErrorCode = ErrorCode::new("erc20_approval_spender_not_permit2");
/// The approval's transaction cannot be read, or is for another chain.
pub const APPROVAL_PARSE: ErrorCode = ErrorCode::new("erc20_approval_tx_parse_failed");
/// The approval's transaction does not call the asset.
pub const APPROVAL_TARGET: ErrorCode = ErrorCode::new("erc20_approval_tx_wrong_target");
/// The approval's transaction does not call `approve`.
pub const APPROVAL_SELECTOR: ErrorCode = ErrorCode::new("erc20_approval_tx_wrong_selector");
/// The approval's transaction approves somebody else than Permit2.
pub const APPROVAL_TX_SPENDER: ErrorCode = ErrorCode::new("erc20_approval_tx_wrong_spender");
/// The approval's transaction carries no whole call of `approve`.
pub const APPROVAL_CALLDATA: ErrorCode = ErrorCode::new("erc20_approval_tx_invalid_calldata");
/// The approval's transaction is of another account than the payer.
pub const APPROVAL_SIGNER: ErrorCode = ErrorCode::new("erc20_approval_tx_signer_mismatch");
/// The approval's transaction is not signed.
pub const APPROVAL_SIGNATURE: ErrorCode = ErrorCode::new("erc20_approval_tx_invalid_signature");
/// The approval's transaction failed, or cannot be mined.
pub const APPROVAL_FAILED: ErrorCode = ErrorCode::new("erc20_approval_tx_failed");
/// The node refused the approval's transaction.
pub const APPROVAL_BROADCAST: ErrorCode = ErrorCode::new("erc20_approval_broadcast_failed");
