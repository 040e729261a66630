//! [`LocalKey`]: a private key in this process, signer kind `local`.

use crate::signature::{Ecdsa, address_of};
use alloy::primitives::{Address, keccak256};
use async_trait::async_trait;
use secp256k1::{PublicKey, SECP256K1, SecretKey};
use serde::Deserialize;
use std::any::Any;
use std::fmt;
use tollway_core::{Build, BuildContext, Fault, FaultKind, SecretRef, Signable, Signer};

/// A key held in memory. Signatures are deterministic (RFC 6979). The key is overwritten when this is dropped and no
/// `Debug` or error shows it.
pub struct LocalKey {
    secret: SecretKey,
    address: String,
}

impl LocalKey {
    /// A key from its 64 hexadecimal digits, with or without `0x`.
    ///
    /// # Errors
    /// The text is no private key. The error does not repeat it.
    pub fn from_hex(text: &str) -> Result<Self, String> {
        const EXPECTED: &str = "an EVM private key is 64 hexadecimal digits, with or without 0x";
        let digits = text.strip_prefix("0x").unwrap_or(text);
        let mut bytes = [0; 32];
        if digits.len() != 64 || digits.starts_with("0x") {
            return Err(EXPECTED.to_owned());
        }
        let parsed = alloy::hex::decode_to_slice(digits, &mut bytes)
            .map_err(|_| EXPECTED.to_owned())
            .and_then(|()| SecretKey::from_byte_array(bytes).map_err(|_| "the EVM private key is out of range".into()));
        wipe(&mut bytes);
        let secret = parsed?;
        let address = address_of(&PublicKey::from_secret_key(SECP256K1, &secret));
        Ok(Self { secret, address: address.to_checksum(None) })
    }
}

/// Overwrites bytes in a way the optimiser may not leave out.
fn wipe(bytes: &mut [u8; 32]) {
    bytes.fill(0);
    std::hint::black_box(bytes);
}

impl Drop for LocalKey {
    fn drop(&mut self) {
        self.secret.non_secure_erase();
    }
}

impl fmt::Debug for LocalKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalKey").field("address", &self.address).finish_non_exhaustive()
    }
}

#[async_trait]
impl Signer for LocalKey {
    fn address(&self) -> &str {
        &self.address
    }

    async fn sign(&self, what: Signable<'_>) -> Result<Vec<u8>, Fault> {
        let digest = match what {
            Signable::Digest(digest) => *digest,
            Signable::Message(text) => {
                let prefix = format!("\x19Ethereum Signed Message:\n{}", text.len());
                keccak256([prefix.as_bytes(), text].concat()).0
            }
            _ => return Err(Fault::new(FaultKind::Configuration, "a local EVM key cannot sign this kind of thing")),
        };
        Ok(Ecdsa::sign(&self.secret, &digest).to_bytes().to_vec())
    }
}

/// The section of a signer of kind `local`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[non_exhaustive]
pub struct LocalKeyConfig {
    /// Where the private key is: `env:NAME` or `file:PATH`.
    pub key: SecretRef,
}

impl Build for LocalKey {
    type Config = LocalKeyConfig;
    const EXAMPLE: &'static str = r#"{ "key": "env:EVM_KEY" }"#;

    async fn build(config: LocalKeyConfig, cx: BuildContext) -> Result<Self, String> {
        let secret = cx.secrets.resolve(&config.key)?;
        Self::from_hex(secret.expose()).map_err(|why| format!("{:?}: {why}", config.key))
    }
}

/// Asks a signer for an ECDSA signature of a digest and reads it strictly: what a device or a remote service answers
/// may be of another form, or another key's.
///
/// # Errors
/// The signer failed, or answered something that is not its own signature in the strict form.
pub(crate) async fn sign_digest(signer: &dyn Signer, address: Address, digest: &[u8; 32]) -> Result<Ecdsa, Fault> {
    let bytes = signer.sign(Signable::Digest(digest)).await?;
    // A key of our own needs no checking, and checking takes as long as signing.
    let any: &dyn Any = signer;
    let own = any.is::<LocalKey>();
    let right = |signature: &Ecdsa| own || signature.recover(&(*digest).into()) == Some(address);
    let signature = Ecdsa::parse(&bytes).filter(right);
    signature.ok_or_else(|| {
        let message = format!(
            "the signer of {} did not answer its own signature (65 bytes, low s, v 27 or 28); check which key it holds",
            signer.address()
        );
        let mut fault = Fault::new(FaultKind::Invalid, message);
        fault.retry = false;
        fault
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test::{CLIENT_KEY, OneSecret, block_on};
    use std::sync::Arc;
    use tollway_core::Secret;

    #[test]
    fn the_key_gives_its_address() {
        let key = LocalKey::from_hex(CLIENT_KEY).unwrap();
        assert_eq!(key.address(), "0x70997970C51812dc3A010C7d01b50e0d17dc79C8");
        assert_eq!(LocalKey::from_hex(&CLIENT_KEY[2..]).unwrap().address(), key.address());
    }

    #[test]
    fn what_is_no_key_is_refused_without_repeating_it() {
        let zero = "0".repeat(64);
        let canary = format!("{}canary", &CLIENT_KEY[2..60]);
        for bad in ["", "0x", &zero, &"f".repeat(64), &CLIENT_KEY[..65], &canary, &format!("0x{CLIENT_KEY}")] {
            let error = LocalKey::from_hex(bad).unwrap_err();
            assert!(!error.contains("canary") && !error.contains("59c6995e"), "{error}");
        }
    }

    #[test]
    fn debug_shows_no_key() {
        let key = LocalKey::from_hex(CLIENT_KEY).unwrap();
        let shown = format!("{key:?}");
        assert!(shown.contains(key.address()) && !shown.contains("59c6995e"), "{shown}");
    }

    #[test]
    fn the_example_is_accepted_and_unknown_keys_are_not() {
        let mut cx = BuildContext::new();
        cx.secrets = Arc::new(OneSecret(Secret::new(CLIENT_KEY)));
        let config = serde_json::from_str(LocalKey::EXAMPLE).unwrap();
        block_on(LocalKey::build(config, cx)).unwrap();
        assert!(serde_json::from_str::<LocalKeyConfig>(r#"{"key":"env:A","__unknown__":1}"#).is_err());
    }

    #[test]
    fn messages_are_signed_by_eip_191() {
        let key = LocalKey::from_hex(CLIENT_KEY).unwrap();
        let signature = block_on(key.sign(Signable::Message(b"hello"))).unwrap();
        let digest = alloy::primitives::eip191_hash_message(b"hello");
        assert_eq!(Ecdsa::parse(&signature).unwrap().recover(&digest), key.address.parse().ok());
    }

    #[test]
    fn a_signer_with_another_key_is_found_out() {
        #[derive(Debug)]
        struct Liar(LocalKey);
        #[async_trait]
        impl Signer for Liar {
            fn address(&self) -> &str {
                "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
            }
            async fn sign(&self, what: Signable<'_>) -> Result<Vec<u8>, Fault> {
                self.0.sign(what).await
            }
        }
        let liar = Liar(LocalKey::from_hex(CLIENT_KEY).unwrap());
        let claimed = liar.address().parse().unwrap();
        let fault = block_on(sign_digest(&liar, claimed, &[7; 32])).unwrap_err();
        assert!(fault.message.contains("0xf39F"), "{fault}");
    }
}
