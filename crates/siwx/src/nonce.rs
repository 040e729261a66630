//! [`Nonces`]: what makes one challenge unlike any other, and proves that it was made here.

use crate::keys::{Purpose, SEAL, SessionKeys, hex, random};
use std::fmt;
use tollway_core::SignInInfo;

/// Random bytes of a nonce.
const RANDOM: usize = 12;

/// Issues nonces. A server has one; tests and recordings may bring their own.
pub trait Nonces: fmt::Debug + Send + Sync {
    /// Puts a nonce into a challenge that is otherwise complete, and may change its times.
    ///
    /// # Errors
    /// None can be made; the challenge is left out.
    fn issue(&self, challenge: &mut SignInInfo) -> Result<(), String>;

    /// Whether the nonce was issued by this server for exactly this challenge.
    fn is_issued(&self, challenge: &SignInInfo) -> bool;
}

/// Nonces that carry a seal of the whole challenge: nothing is remembered when one is issued, and no field of the
/// challenge can be changed afterwards. 88 hexadecimal digits.
#[derive(Debug, Clone)]
pub struct SealedNonces(SessionKeys);

impl SealedNonces {
    /// Nonces sealed with these keys.
    pub fn new(keys: SessionKeys) -> Self {
        Self(keys)
    }
}

/// Everything a challenge says but its nonce, as a list of parts in a fixed order.
fn parts<'a>(info: &'a SignInInfo, random: &'a [u8]) -> Vec<&'a [u8]> {
    let mut parts = vec![random];
    for text in [&info.domain, &info.uri, &info.version, &info.issued_at] {
        parts.push(text.as_bytes());
    }
    // What is not there is another thing than what is empty.
    for text in [&info.statement, &info.expiration_time, &info.not_before, &info.request_id] {
        parts.push(if text.is_some() { b"1" } else { b"0" });
        parts.push(text.as_deref().unwrap_or_default().as_bytes());
    }
    parts.push(if info.resources.is_some() { b"1" } else { b"0" });
    parts.extend(info.resources.iter().flatten().map(String::as_bytes));
    parts
}

impl Nonces for SealedNonces {
    fn issue(&self, challenge: &mut SignInInfo) -> Result<(), String> {
        let random = random::<RANDOM>()?;
        let seal = self.0.seal(Purpose::Nonce, &parts(challenge, &random));
        challenge.nonce = hex(&random) + &hex(&seal);
        Ok(())
    }

    fn is_issued(&self, challenge: &SignInInfo) -> bool {
        let Some(bytes) = unhex(&challenge.nonce) else { return false };
        let (random, seal) = bytes.split_at(RANDOM);
        self.0.is_sealed(Purpose::Nonce, &parts(challenge, random), seal)
    }
}

/// The bytes of a nonce. One spelling only: a second one could be used a second time.
fn unhex(text: &str) -> Option<[u8; RANDOM + SEAL]> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let mut bytes = [0; RANDOM + SEAL];
    if pairs.len() != bytes.len() || !rest.is_empty() {
        return None;
    }
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte.wrapping_sub(b'0')),
        b'a'..=b'f' => Some(byte.wrapping_sub(b'a').wrapping_add(10)),
        _ => None,
    };
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = (digit(*high)? << 4) | digit(*low)?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tollway_core::Secret;

    fn nonces(letter: &str) -> SealedNonces {
        SealedNonces::new(SessionKeys::new(&[Secret::new(letter.repeat(40))]).unwrap())
    }

    fn challenge() -> SignInInfo {
        let mut info = SignInInfo::default();
        info.domain = "api.example.com".into();
        info.uri = "https://api.example.com/data".into();
        info.version = "1".into();
        info.issued_at = "2026-01-02T03:04:05.678Z".into();
        info.expiration_time = Some("2026-01-02T03:09:05.678Z".into());
        info.resources = Some(vec!["https://api.example.com/data".into()]);
        info
    }

    #[test]
    fn an_unissued_nonce_is_not_believed() {
        let nonces = nonces("k");
        let mut info = challenge();
        nonces.issue(&mut info).unwrap();
        assert!(nonces.is_issued(&info));
        assert!(info.nonce.len() == 88 && info.nonce.bytes().all(|b| b.is_ascii_alphanumeric()));
        assert!(!self::nonces("l").is_issued(&info), "another server's key");
        for nonce in ["", "0123456789abcdef0123456789abcdef", &info.nonce.to_uppercase(), &info.nonce[..86], "é"] {
            let mut forged = info.clone();
            forged.nonce = nonce.to_owned();
            assert!(!nonces.is_issued(&forged), "{nonce}");
        }
    }

    #[test]
    fn no_field_of_a_challenge_can_be_changed() {
        let nonces = nonces("k");
        let mut issued = challenge();
        nonces.issue(&mut issued).unwrap();
        let changes: [fn(&mut SignInInfo); 11] = [
            |info| info.domain = "api.example.com.evil".into(),
            |info| info.uri = "https://api.example.com/other".into(),
            |info| info.version = "2".into(),
            |info| info.issued_at = "2026-01-02T03:04:06.678Z".into(),
            |info| info.expiration_time = Some("2027-01-02T03:09:05.678Z".into()),
            |info| info.expiration_time = None,
            |info| info.statement = Some(String::new()),
            |info| info.not_before = Some("2026-01-01T00:00:00.000Z".into()),
            |info| info.request_id = Some("r".into()),
            |info| info.resources = None,
            |info| info.resources.iter_mut().for_each(|list| list.push("ipfs://x".into())),
        ];
        for (i, change) in changes.iter().enumerate() {
            let mut info = issued.clone();
            change(&mut info);
            assert!(!nonces.is_issued(&info), "change {i}");
        }
        let mut moved = issued.clone();
        moved.request_id = moved.expiration_time.take();
        assert!(!nonces.is_issued(&moved));
    }

    proptest! {
        #[test]
        fn no_nonce_panics_and_none_is_guessed(nonce in "[0-9a-f]{0,100}|.{0,100}") {
            let mut info = challenge();
            info.nonce = nonce;
            prop_assert!(!nonces("k").is_issued(&info));
        }
    }
}
