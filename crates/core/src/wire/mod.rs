//! The x402 V2 types under the protocol's own names (specification v2, "Types").
//!
//! Every type keeps the JSON members it does not know in `other` and writes them back. Absent optional members are
//! omitted, and `null` is read as absent.

mod payload;
mod required;
mod requirements;
mod response;
mod supported;

pub use payload::PaymentPayload;
pub use required::{PaymentRequired, ResourceInfo};
pub use requirements::{Flow, PaymentRequirements};
pub use response::{SettleResponse, VerifyResponse};
pub use supported::{SupportedKind, SupportedResponse};

use serde::{Deserialize, Deserializer};

/// The protocol version these types speak.
pub const X402_VERSION: u64 = 2;

/// Reads `null` as the type's default, so that a peer's `"extensions": null` means "absent".
fn null_as_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}
