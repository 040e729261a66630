//! Why a proof is not believed (specification of the extension `sign-in-with-x`, "Server validation").
//!
//! A client never sees these: it is asked to pay like anybody else. They are for the log, and for tests.

use tollway_core::ErrorCode;

/// `domain` is not the server's.
pub const DOMAIN_MISMATCH: ErrorCode = ErrorCode::new("invalid_siwx_domain_mismatch");
/// `uri` is not of the server's origin.
pub const URI_MISMATCH: ErrorCode = ErrorCode::new("invalid_siwx_uri_mismatch");
/// `issuedAt` is no time.
pub const ISSUED_AT: ErrorCode = ErrorCode::new("invalid_siwx_issued_at");
/// The challenge is too old.
pub const ISSUED_AT_TOO_OLD: ErrorCode = ErrorCode::new("invalid_siwx_issued_at_too_old");
/// The challenge is from the future.
pub const ISSUED_AT_IN_FUTURE: ErrorCode = ErrorCode::new("invalid_siwx_issued_at_in_future");
/// `expirationTime` is no time.
pub const EXPIRATION_TIME: ErrorCode = ErrorCode::new("invalid_siwx_expiration_time");
/// The challenge has ended.
pub const EXPIRED: ErrorCode = ErrorCode::new("invalid_siwx_expired");
/// `notBefore` is no time.
pub const NOT_BEFORE: ErrorCode = ErrorCode::new("invalid_siwx_not_before");
/// The challenge does not count yet.
pub const NOT_YET_VALID: ErrorCode = ErrorCode::new("invalid_siwx_not_yet_valid");
/// The nonce was not issued here, not for this challenge, or was used before.
pub const NONCE: ErrorCode = ErrorCode::new("invalid_siwx_nonce");
/// The route is not opened by wallets of this network.
pub const UNSUPPORTED_CHAIN: ErrorCode = ErrorCode::new("invalid_siwx_unsupported_chain");
/// `chainId` is no network.
pub const CHAIN_ID: ErrorCode = ErrorCode::new("invalid_siwx_chain_id");
/// Whether the signature is good could not be found out.
pub const VERIFIER_ERROR: ErrorCode = ErrorCode::new("invalid_siwx_verifier_error");
