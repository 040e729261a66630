//! Two worlds of failure: [`Rejected`] is an answer of the protocol, [`Fault`] means nobody could decide.

use crate::NetworkId;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;

/// A machine-readable reason. Open: schemes bring their own, unknown ones pass through unchanged.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ErrorCode(Cow<'static, str>);

impl ErrorCode {
    /// A code known at compile time.
    pub const fn new(code: &'static str) -> Self {
        Self(Cow::Borrowed(code))
    }

    /// The code as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for ErrorCode {
    fn from(code: String) -> Self {
        Self(Cow::Owned(code))
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The codes every transport and engine uses (specification v2, "Errors", and the deployed server's phrases).
/// Schemes keep their own codes in their own crates.
pub mod codes {
    use super::ErrorCode;

    /// The payload is not of the scheme's shape.
    pub const INVALID_PAYLOAD: ErrorCode = ErrorCode::new("invalid_payload");
    /// The requirements are not of the scheme's shape.
    pub const INVALID_PAYMENT_REQUIREMENTS: ErrorCode = ErrorCode::new("invalid_payment_requirements");
    /// No such network here.
    pub const INVALID_NETWORK: ErrorCode = ErrorCode::new("invalid_network");
    /// `accepted` and the requirements name different schemes.
    pub const INVALID_SCHEME: ErrorCode = ErrorCode::new("invalid_scheme");
    /// The network is known, this scheme on it is not.
    pub const UNSUPPORTED_SCHEME: ErrorCode = ErrorCode::new("unsupported_scheme");
    /// Not version 2.
    pub const INVALID_X402_VERSION: ErrorCode = ErrorCode::new("invalid_x402_version");
    /// Verification could not be decided.
    pub const UNEXPECTED_VERIFY_ERROR: ErrorCode = ErrorCode::new("unexpected_verify_error");
    /// Settlement could not be decided and nothing was sent.
    pub const UNEXPECTED_SETTLE_ERROR: ErrorCode = ErrorCode::new("unexpected_settle_error");
    /// Sent, outcome unknown. Ask again with the same payment.
    pub const SETTLEMENT_PENDING: ErrorCode = ErrorCode::new("settlement_pending");
    /// Somebody already presented this payment.
    pub const DUPLICATE_SETTLEMENT: ErrorCode = ErrorCode::new("duplicate_settlement");
    /// An `Idempotency-Key` that was used for another payment (409).
    pub const IDEMPOTENCY_KEY_REUSED: ErrorCode = ErrorCode::new("idempotency_key_reused");
    /// An echoed extension lost or changed something.
    pub const EXTENSION_ECHO_MISMATCH: ErrorCode = ErrorCode::new("extension_echo_mismatch");
    /// Payer lacks an allowance; HTTP answers 412 instead of 402.
    pub const PERMIT2_ALLOWANCE_REQUIRED: ErrorCode = ErrorCode::new("permit2_allowance_required");
    /// The proof of a wallet is not of a form its network knows.
    pub const INVALID_SIWX_MALFORMED_SIGNATURE: ErrorCode = ErrorCode::new("invalid_siwx_malformed_signature");
    /// The proof of a wallet is not the wallet's.
    pub const INVALID_SIWX_SIGNATURE: ErrorCode = ErrorCode::new("invalid_siwx_signature");
    /// The phrase of a first challenge.
    pub const PAYMENT_REQUIRED: ErrorCode = ErrorCode::new("Payment required");
    /// `accepted` is no offer of this route.
    pub const NO_MATCHING_REQUIREMENTS: ErrorCode = ErrorCode::new("No matching payment requirements");
}

/// The protocol's "no": the payment was looked at and refused.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Rejected {
    /// Why, for machines.
    pub code: ErrorCode,
    /// Why, for people.
    pub message: Option<String>,
    /// Address of the payer, once it is known.
    pub payer: Option<String>,
    /// The transaction that failed on chain, if one was sent.
    pub transaction: Option<String>,
}

impl Rejected {
    /// A refusal with nothing but its code.
    pub const fn new(code: ErrorCode) -> Self {
        Self { code, message: None, payer: None, transaction: None }
    }

    /// Adds words for people.
    pub fn because(mut self, message: impl Into<String>) -> Self {
        self.message = Some(message.into());
        self
    }

    /// Adds the payer.
    pub fn payer(mut self, payer: impl Into<String>) -> Self {
        self.payer = Some(payer.into());
        self
    }

    /// Adds the transaction that failed.
    pub fn transaction(mut self, hash: impl Into<String>) -> Self {
        self.transaction = Some(hash.into());
        self
    }
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.message {
            Some(message) => write!(f, "{}: {message}", self.code),
            None => fmt::Display::fmt(&self.code, f),
        }
    }
}

impl std::error::Error for Rejected {}

/// What kind of thing went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FaultKind {
    /// Something is not configured, or wrongly.
    Configuration,
    /// A peer (node, facilitator, store) could not be reached or refused the call.
    Unreachable,
    /// A peer did not answer in time.
    Timeout,
    /// A peer answered something that cannot be right.
    Invalid,
    /// Too much is waiting already.
    Overloaded,
    /// A defect here.
    Internal,
}

/// Whether money may be on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// Certainly nothing was sent: the claim can be released and another facilitator tried.
    No,
    /// It may have been: only the ledger's reconciler or a later look at the chain can tell.
    Maybe,
}

/// Nobody could decide. The text is for the operator's log and never shown to a payer.
#[derive(Debug)]
#[non_exhaustive]
pub struct Fault {
    /// What kind of thing went wrong.
    pub kind: FaultKind,
    /// What happened and what to do about it.
    pub message: String,
    /// Whether money may be on its way.
    pub sent: Sent,
    /// Whether the same call may succeed later without any change.
    pub retry: bool,
    /// The signer that another process holds, where that is why nothing was done here: the payment is handed over.
    pub held_elsewhere: Option<Box<(NetworkId, String)>>,
    /// The cause.
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Fault {
    /// A fault before anything was sent. Worth a retry unless it is about configuration or a defect.
    pub fn new(kind: FaultKind, message: impl Into<String>) -> Self {
        let retry = !matches!(kind, FaultKind::Configuration | FaultKind::Internal);
        Self { kind, message: message.into(), sent: Sent::No, retry, held_elsewhere: None, source: None }
    }

    /// The payment has to be signed by `signer`, which [`Ledger::hold`](crate::Ledger::hold) says is another process's.
    pub fn held_elsewhere(network: NetworkId, signer: impl Into<String>) -> Self {
        let signer = signer.into();
        let message = format!("{signer} on {network} is held by another process");
        Self { held_elsewhere: Some(Box::new((network, signer))), ..Self::new(FaultKind::Overloaded, message) }
    }

    /// Marks that money may be on its way.
    pub fn maybe_sent(mut self) -> Self {
        self.sent = Sent::Maybe;
        self
    }

    /// Adds the cause.
    pub fn source(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        self.source.iter().try_for_each(|source| write!(f, ": {source}"))
    }
}

impl std::error::Error for Fault {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|source| &**source as &(dyn std::error::Error + 'static))
    }
}

/// Either world.
#[derive(Debug)]
pub enum Failure {
    /// The protocol's "no".
    Rejected(Rejected),
    /// Nobody could decide.
    Fault(Fault),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rejected(rejected) => fmt::Display::fmt(rejected, f),
            Self::Fault(fault) => fmt::Display::fmt(fault, f),
        }
    }
}

impl std::error::Error for Failure {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Rejected(_) => None,
            Self::Fault(fault) => std::error::Error::source(fault),
        }
    }
}

impl From<Rejected> for Failure {
    fn from(rejected: Rejected) -> Self {
        Self::Rejected(rejected)
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// A result whose error is a [`Failure`].
pub type Result<T, E = Failure> = std::result::Result<T, E>;
