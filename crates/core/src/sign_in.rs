//! [`SignIn`]: proving that a wallet is one's own (CAIP-122). A chain's part in sessions.

use crate::{AccountId, Result, Signer};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};

/// What a wallet signs to sign in, as the server wrote it (specification of the extension `sign-in-with-x`, `info`).
/// Times are texts, since the very characters are signed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct SignInInfo {
    /// Host and port of whoever asks.
    pub domain: String,
    /// What is signed in to.
    pub uri: String,
    /// Version of the message: `1`.
    pub version: String,
    /// Fresh per challenge.
    pub nonce: String,
    /// When the challenge was made, RFC 3339.
    pub issued_at: String,
    /// One line for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statement: Option<String>,
    /// When it ends, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expiration_time: Option<String>,
    /// When it begins to count, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<String>,
    /// The server's name for the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// URIs the sign-in is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Vec<String>>,
}

/// A wallet that proved to be its owner's.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SignedIn {
    /// The account, canonical.
    pub account: AccountId,
    /// Whether the same address is the same owner's on every network of the namespace: true of keys, false of
    /// contracts, which may be somebody else's elsewhere.
    pub everywhere: bool,
}

impl SignedIn {
    /// An account that is proven on its own network only.
    pub fn new(account: AccountId) -> Self {
        Self { account, everywhere: false }
    }

    /// The same, proven by a key that is the owner's on every network of the namespace.
    pub fn everywhere(mut self) -> Self {
        self.everywhere = true;
        self
    }
}

/// How wallets of a network sign in.
///
/// Who checks a challenge's domain, times and nonce is the extension; the network knows the message and the signature.
#[async_trait]
pub trait SignIn: Send + Sync {
    /// The `type` of its signatures on the wire: `eip191`, `ed25519`.
    fn kind(&self) -> &'static str;

    /// A wallet's signature of the challenge, as text for the wire.
    ///
    /// # Errors
    /// The challenge cannot be written as a message of this network, or the signer did not sign.
    async fn sign(&self, info: &SignInInfo, signer: &(dyn Signer + 'static)) -> Result<String>;

    /// Whose signature it is. Every field of `info` is a stranger's.
    ///
    /// # Errors
    /// It is not the address's ([`codes::INVALID_SIWX_SIGNATURE`](crate::codes::INVALID_SIWX_SIGNATURE) and its like), or the chain could not be asked.
    async fn verify(&self, info: &SignInInfo, address: &str, signature: &str) -> Result<SignedIn>;
}
