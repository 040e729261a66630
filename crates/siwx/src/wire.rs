//! What goes over the wire: the declaration in a challenge, and the proof (specification of the extension
//! `sign-in-with-x`).

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::fmt;
use std::sync::LazyLock;
use tollway_core::{SignInInfo, json};

/// The extension's key, and the header of proofs.
pub const SIGN_IN_WITH_X: &str = "sign-in-with-x";
/// Longest proof read, in bytes.
const LONGEST: usize = 16 * 1024;
/// Most chains of a declaration that are looked at.
pub(crate) const MAX_CHAINS: usize = 32;

/// Padded when written; read with or without, as payment headers are.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// What a server declares: the challenge, and the chains whose wallets may answer it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Declaration {
    /// The challenge.
    pub info: SignInInfo,
    /// Chains, preferred first.
    pub supported_chains: Vec<SupportedChain>,
}

/// A chain whose wallets may sign in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct SupportedChain {
    /// CAIP-2 id.
    pub chain_id: String,
    /// Kind of signature: `eip191`, `ed25519`.
    #[serde(rename = "type")]
    pub kind: String,
    /// A hint to wallets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature_scheme: Option<String>,
}

/// The schema of proofs, as the reference declares it.
static SCHEMA: LazyLock<Value> = LazyLock::new(|| {
    let text = || json!({ "type": "string" });
    let formatted = |format: &str| json!({ "type": "string", "format": format });
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {
            "domain": text(), "address": text(), "statement": text(), "uri": formatted("uri"), "version": text(),
            "chainId": text(), "type": text(), "nonce": text(), "issuedAt": formatted("date-time"),
            "expirationTime": formatted("date-time"), "notBefore": formatted("date-time"), "requestId": text(),
            "resources": { "type": "array", "items": formatted("uri") }, "signature": text(),
        },
        "required": [
            "domain", "address", "uri", "version", "chainId", "type", "nonce", "issuedAt", "signature"
        ],
    })
});

/// The declaration of a challenge.
pub(crate) fn declaration(info: &SignInInfo, chains: &[(String, &'static str)]) -> Value {
    let chains: Vec<_> = chains.iter().map(|(id, kind)| json!({ "chainId": id, "type": kind })).collect();
    json!({ "info": info, "supportedChains": chains, "schema": *SCHEMA })
}

/// A signed challenge: everything the server said, who signed, and the signature.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Proof {
    /// The challenge as it was received.
    #[serde(flatten)]
    pub info: SignInInfo,
    /// The wallet's address.
    pub address: String,
    /// CAIP-2 id of its chain.
    pub chain_id: String,
    /// Kind of signature.
    #[serde(rename = "type")]
    pub kind: String,
    /// A hint that decides nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature_scheme: Option<String>,
    /// The signature as the chain writes it.
    pub signature: String,
}

impl fmt::Debug for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the signature: it opens something until its nonce is used.
        f.debug_struct("Proof").field("chain", &self.chain_id).field("address", &self.address).finish_non_exhaustive()
    }
}

impl Proof {
    /// A proof.
    pub fn new(info: SignInInfo, chain_id: &str, kind: &str, address: &str, signature: String) -> Self {
        Self {
            info,
            address: address.to_owned(),
            chain_id: chain_id.to_owned(),
            kind: kind.to_owned(),
            signature_scheme: None,
            signature,
        }
    }

    /// Writes it as a header: JSON in standard base64.
    ///
    /// # Errors
    /// It cannot be written as JSON, which does not happen.
    pub fn encode(&self) -> Result<String, serde_json::Error> {
        serde_json::to_vec(self).map(|json| BASE64.encode(json))
    }

    /// Reads a header; `None` for what is no proof, which counts as no header.
    pub fn decode(text: &str) -> Option<Self> {
        if text.len() > LONGEST {
            return None;
        }
        json::from_slice(&BASE64.decode(text).ok()?).ok()
    }
}

/// Whether a text can be put into a message without making a line of its own.
pub(crate) fn is_one_line(text: &str) -> bool {
    !text.chars().any(char::is_control)
}

/// Whether all texts of a challenge can.
pub(crate) fn is_plain(info: &SignInInfo) -> bool {
    let SignInInfo { domain, uri, version, nonce, issued_at, .. } = info;
    let optional = [&info.statement, &info.expiration_time, &info.not_before, &info.request_id];
    let texts = [domain, uri, version, nonce, issued_at].into_iter().chain(optional.into_iter().flatten());
    texts.chain(info.resources.iter().flatten()).all(|text| is_one_line(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const VECTORS: &str = include_str!("../../testkit/golden/vectors/siwx.json");

    #[test]
    fn recorded_headers_are_read_and_written_without_loss() {
        let rows: Vec<Value> = serde_json::from_str(VECTORS).unwrap();
        let mut read = 0;
        for row in rows.iter().filter(|row| row["header"].is_string()) {
            let proof = Proof::decode(row["header"].as_str().unwrap()).unwrap();
            assert_eq!(serde_json::to_value(&proof).unwrap(), row["parsed"]["ok"], "{}", row["name"]);
            assert_eq!(Proof::decode(&proof.encode().unwrap()), Some(proof));
            read += 1;
        }
        assert!(read >= 16, "{read}");
    }

    #[test]
    fn what_is_no_proof_counts_as_no_header() {
        let deep = BASE64.encode(format!("{}1{}", "[".repeat(40), "]".repeat(40)));
        let url_safe = "eyJhIjoi8J-YgCJ9";
        for bad in ["", "!!!", "e30=", "bnVsbA==", "W10=", url_safe, &deep, &"A".repeat(LONGEST + 4)] {
            assert_eq!(Proof::decode(bad), None, "{}", &bad[..bad.len().min(40)]);
        }
    }

    #[test]
    fn debug_shows_no_signature() {
        let proof = Proof::new(SignInInfo::default(), "a:b", "k", "alice", "canary".into());
        assert!(!format!("{proof:?}").contains("canary"));
    }

    #[test]
    fn a_line_break_anywhere_is_seen() {
        let info = |uri: &str| {
            SignInInfo::deserialize(json!({
                "domain": "a", "uri": uri, "version": "1", "nonce": "n", "issuedAt": "t", "resources": ["r"]
            }))
            .unwrap()
        };
        assert!(is_plain(&info("https://a.test/é")));
        assert!(!is_plain(&info("https://a.test/\nURI: https://b.test")));
        let mut resources = info("https://a.test/");
        resources.resources = Some(vec!["r\r".into()]);
        assert!(!is_plain(&resources));
    }

    proptest! {
        #[test]
        fn no_header_panics(text in "[A-Za-z0-9+/=]{0,200}|.{0,100}") {
            let _ = Proof::decode(&text);
        }
    }
}
