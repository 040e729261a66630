//! [`LocalKey`]: a private key in this process, signer kind `local`.

use async_trait::async_trait;
use solana_keypair::Keypair;
use solana_keypair::Signer as _;
use solana_pubkey::Pubkey;
use solana_signature::Signature;
use std::any::Any;
use std::fmt;
use tollway_core::{Build, BuildContext, Fault, FaultKind, KeyConfig, Signable, Signer};

/// A key held in memory. The key is overwritten when this is dropped, and no `Debug` or error shows it.
pub struct LocalKey {
    keypair: Keypair,
    address: String,
}

impl LocalKey {
    /// A key from text in one of three forms: the base58 of 64 bytes that wallets export, the JSON array of 64 numbers
    /// that `solana-keygen` writes, or 64 hexadecimal digits of a 32-byte seed, with or without `0x`.
    ///
    /// # Errors
    /// The text is no private key, or its public half does not belong to its private one. The error does not repeat it.
    pub fn from_text(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let keypair = if text.starts_with('[') {
            from_json(text)
        } else if let Some(mut seed) = from_hex(text) {
            let keypair = Keypair::new_from_array(seed);
            wipe(&mut seed);
            Some(keypair)
        } else {
            Keypair::try_from_base58_string(text).ok()
        };
        keypair.map(Self::from_keypair).ok_or_else(|| {
            "a Solana private key is base58 of 64 bytes, a JSON array of 64 numbers, or 64 hexadecimal digits of a \
             seed, and its public half must match"
                .to_owned()
        })
    }

    /// A key of the Solana SDK's own type.
    pub fn from_keypair(keypair: Keypair) -> Self {
        let address = keypair.pubkey().to_string();
        Self { keypair, address }
    }
}

fn from_json(text: &str) -> Option<Keypair> {
    let mut bytes: Vec<u8> = serde_json::from_str(text).ok()?;
    let keypair = Keypair::try_from(&bytes[..]).ok();
    wipe(&mut bytes);
    keypair
}

fn from_hex(text: &str) -> Option<[u8; 32]> {
    let digits = text.strip_prefix("0x").unwrap_or(text).as_bytes();
    let (pairs, rest) = digits.as_chunks::<2>();
    let mut seed = [0; 32];
    if pairs.len() != seed.len() || !rest.is_empty() {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    for (byte, [high, low]) in seed.iter_mut().zip(pairs) {
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(seed)
}

/// Overwrites bytes in a way the optimiser may not leave out.
fn wipe(bytes: &mut [u8]) {
    bytes.fill(0);
    std::hint::black_box(bytes);
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
        let bytes = match what {
            Signable::Digest(digest) => &digest[..],
            Signable::Message(message) => message,
            _ => return Err(Fault::new(FaultKind::Configuration, "a local Solana key cannot sign this kind of thing")),
        };
        Ok(self.keypair.sign_message(bytes).as_ref().to_vec())
    }
}

impl Build for LocalKey {
    type Config = KeyConfig;
    const EXAMPLE: &'static str = r#"{ "key": "env:SOLANA_KEY" }"#;

    async fn build(config: KeyConfig, cx: BuildContext) -> Result<Self, String> {
        let secret = cx.secrets.resolve(&config.key)?;
        Self::from_text(secret.expose()).map_err(|why| format!("{:?}: {why}", config.key))
    }
}

/// Whether a signature over a message is good, by the strict rules: no small-order keys, one form for each signature.
pub(crate) fn is_good(signature: &[u8; 64], signer: &Pubkey, message: &[u8]) -> bool {
    Signature::from(*signature).verify(signer.as_ref(), message)
}

/// Asks a signer to sign a message, and checks what it answers: a device or a remote service may hold another key.
///
/// # Errors
/// The signer failed, or answered something that is not its own signature.
pub(crate) async fn sign_message(
    signer: &(dyn Signer + 'static),
    address: &Pubkey,
    message: &[u8],
) -> Result<[u8; 64], Fault> {
    let bytes = signer.sign(Signable::Message(message)).await?;
    let any: &dyn Any = signer;
    // What a key in this process answers is its own signature.
    let trusted = any.downcast_ref::<LocalKey>().is_some_and(|local| local.keypair.pubkey() == *address);
    let signature = <[u8; 64]>::try_from(&bytes[..]).ok().filter(|bytes| trusted || is_good(bytes, address, message));
    signature.ok_or_else(|| {
        let message = format!(
            "the signer of {} did not answer its own ed25519 signature of 64 bytes; check which key it holds",
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
    use crate::test::{CLIENT_SEED, OneSecret, block_on};
    use std::sync::Arc;
    use tollway_core::Secret;

    const CLIENT: &str = "F5VXWaBNSv1khZWE1wwCusDZ7o9hp8Nsii9R2j24xuKs";
    const CLIENT_BASE58: &str =
        "5utVawEuFCkMFZ8z84DviZKSX5Dx5TiNMrRNE4kNvJsTjexvo5Tbpcb8dasQ48N7y7W9mnJAjqAfNMdKRnkbem4R";

    #[test]
    fn all_three_forms_give_the_same_key() {
        let from_seed = LocalKey::from_text(CLIENT_SEED).unwrap();
        assert_eq!(from_seed.address(), CLIENT);
        assert_eq!(LocalKey::from_text(&format!("0x{}", CLIENT_SEED.to_uppercase())).unwrap().address(), CLIENT);
        assert_eq!(LocalKey::from_text(CLIENT_BASE58).unwrap().address(), CLIENT);
        let json = serde_json::to_string(&from_seed.keypair.to_bytes().to_vec()).unwrap();
        assert_eq!(LocalKey::from_text(&format!("{json}\n")).unwrap().address(), CLIENT);
    }

    #[test]
    fn what_is_no_key_is_refused_without_repeating_it() {
        let json = serde_json::to_string(&vec![7; 64]).unwrap();
        let cut = &CLIENT_BASE58[..80];
        let canary = format!("canary{}", &CLIENT_SEED[6..]);
        for bad in ["", "0x", "[]", "[1,2", &json, cut, &CLIENT_SEED[..63], &canary, CLIENT, "é"] {
            let error = LocalKey::from_text(bad).map(|_| ()).unwrap_err();
            assert!(!error.contains("canary") && !error.contains("5utV"), "{error}");
        }
    }

    #[test]
    fn debug_shows_no_key() {
        let shown = format!("{:?}", LocalKey::from_text(CLIENT_SEED).unwrap());
        assert!(shown.contains(CLIENT) && !shown.contains("f5ad2a9a") && !shown.contains("245, 173"), "{shown}");
    }

    #[test]
    fn the_example_is_accepted_and_unknown_keys_are_not() {
        let mut cx = BuildContext::new();
        cx.secrets = Arc::new(OneSecret(Secret::new(CLIENT_BASE58)));
        let config = serde_json::from_str(LocalKey::EXAMPLE).unwrap();
        block_on(LocalKey::build(config, cx)).unwrap();
        assert!(serde_json::from_str::<KeyConfig>(r#"{"key":"env:A","__unknown__":1}"#).is_err());
    }

    #[test]
    fn a_signer_with_another_key_is_found_out() {
        #[derive(Debug)]
        struct Liar(LocalKey);
        #[async_trait]
        impl Signer for Liar {
            fn address(&self) -> &str {
                "GGYWSW4X8JEWMH8uz3CokSSGyPAwCLEXtYaz4paCdDdM"
            }
            async fn sign(&self, what: Signable<'_>) -> Result<Vec<u8>, Fault> {
                self.0.sign(what).await
            }
        }
        let liar = Liar(LocalKey::from_text(CLIENT_SEED).unwrap());
        let claimed = liar.address().parse().unwrap();
        let fault = block_on(sign_message(&liar, &claimed, b"message")).unwrap_err();
        assert!(fault.message.contains("GGYW"), "{fault}");
        let honest = LocalKey::from_text(CLIENT_SEED).unwrap();
        let address = CLIENT.parse().unwrap();
        let signature = block_on(sign_message(&honest, &address, b"message")).unwrap();
        assert!(is_good(&signature, &address, b"message"));
        assert!(!is_good(&signature, &address, b"massage") && !is_good(&signature, &claimed, b"message"));
        assert!(!is_good(&[0; 64], &address, b"message"));
        let other = block_on(sign_message(&honest, &claimed, b"message"));
        assert!(other.is_err(), "its own key, asked for another address");
    }
}
