//! [`SessionKeys`]: the secrets that nonces and tokens are sealed with (HMAC-SHA256).

use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use std::fmt;
use tollway_core::Secret;

/// Bytes of a seal.
pub(crate) const SEAL: usize = 32;
/// Least characters of a secret.
const SHORTEST: usize = 32;
/// Most secrets: each that does not fit costs a computation.
const MOST: usize = 8;

/// What is sealed: a seal of one thing is none of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    Nonce,
    Token,
}

impl Purpose {
    fn label(self) -> &'static [u8] {
        match self {
            Self::Nonce => b"tollway sign-in nonce v1",
            Self::Token => b"tollway session token v1",
        }
    }
}

/// Keys for seals. The first seals, all of them are believed: to rotate, put a new one in front, and take the old one
/// away when everything sealed with it has ended.
#[derive(Clone)]
pub struct SessionKeys(Vec<Hmac<Sha256>>);

impl fmt::Debug for SessionKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionKeys({})", self.0.len())
    }
}

impl SessionKeys {
    /// Keys out of secrets of at least 32 characters, the newest first.
    ///
    /// # Errors
    /// There is none, one is too short, or there are more than eight.
    pub fn new(secrets: &[Secret]) -> Result<Self, String> {
        if secrets.is_empty() || secrets.len() > MOST {
            return Err(format!("give 1 to {MOST} session keys, the newest first"));
        }
        let key = |secret: &Secret| {
            let text = secret.expose();
            if text.len() < SHORTEST {
                return Err(format!(
                    "a session key is a secret of at least {SHORTEST} characters, such as `openssl rand -hex 32` prints"
                ));
            }
            // Any length is a key for HMAC.
            Hmac::<Sha256>::new_from_slice(text.as_bytes()).map_err(|why| why.to_string())
        };
        secrets.iter().map(key).collect::<Result<_, _>>().map(Self)
    }

    /// A key of this process alone: what it seals is believed by no other, and not after a restart.
    ///
    /// # Errors
    /// The operating system gives no random bytes.
    pub fn random() -> Result<Self, String> {
        Self::new(&[Secret::new(random_hex::<32>()?)])
    }

    /// Seals parts with the newest key. Each part's length is sealed too, so that no two lists of parts are alike.
    pub(crate) fn seal(&self, purpose: Purpose, parts: &[&[u8]]) -> [u8; SEAL] {
        // There is always a key.
        self.0.first().map_or([0; SEAL], |key| fed(key, purpose, parts).finalize().into_bytes().into())
    }

    /// Whether a seal is one of these keys'. In a time that does not depend on where it differs.
    pub(crate) fn is_sealed(&self, purpose: Purpose, parts: &[&[u8]], seal: &[u8]) -> bool {
        seal.len() == SEAL && self.0.iter().any(|key| fed(key, purpose, parts).verify_slice(seal).is_ok())
    }
}

fn fed(key: &Hmac<Sha256>, purpose: Purpose, parts: &[&[u8]]) -> Hmac<Sha256> {
    let mut mac = key.clone();
    mac.update(purpose.label());
    for part in parts {
        mac.update(&(part.len() as u64).to_be_bytes());
        mac.update(part);
    }
    mac
}

/// Random bytes.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], String> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|why| format!("the operating system gave no random bytes: {why}"))?;
    Ok(bytes)
}

/// Random bytes as hexadecimal digits.
pub(crate) fn random_hex<const N: usize>() -> Result<String, String> {
    random::<N>().map(|bytes| hex(&bytes))
}

/// Bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from(b"0123456789abcdef"[usize::from(nibble & 15)]);
    let mut text = String::with_capacity(bytes.len().saturating_mul(2));
    for byte in bytes {
        text.push(digit(byte >> 4));
        text.push(digit(*byte));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(letter: &str) -> Secret {
        Secret::new(letter.repeat(32))
    }

    #[test]
    fn a_seal_is_good_for_what_was_sealed_and_for_nothing_else() {
        let keys = SessionKeys::new(&[secret("a")]).unwrap();
        let seal = keys.seal(Purpose::Token, &[b"ab", b"c"]);
        assert!(keys.is_sealed(Purpose::Token, &[b"ab", b"c"], &seal));
        assert!(!keys.is_sealed(Purpose::Nonce, &[b"ab", b"c"], &seal));
        assert!(!keys.is_sealed(Purpose::Token, &[b"a", b"bc"], &seal), "lengths are sealed");
        assert!(!keys.is_sealed(Purpose::Token, &[b"ab", b"c"], &seal[..31]));
        assert!(!keys.is_sealed(Purpose::Token, &[b"ab", b"c"], &[]));
        for at in 0..SEAL {
            let mut other = seal;
            other[at] ^= 1;
            assert!(!keys.is_sealed(Purpose::Token, &[b"ab", b"c"], &other), "byte {at}");
        }
    }

    #[test]
    fn keys_rotate() {
        let old = SessionKeys::new(&[secret("a")]).unwrap();
        let both = SessionKeys::new(&[secret("b"), secret("a")]).unwrap();
        let new = SessionKeys::new(&[secret("b")]).unwrap();
        let sealed = |keys: &SessionKeys| keys.seal(Purpose::Nonce, &[b"x"]);
        assert!(both.is_sealed(Purpose::Nonce, &[b"x"], &sealed(&old)));
        assert_eq!(sealed(&both), sealed(&new), "the newest seals");
        assert!(!new.is_sealed(Purpose::Nonce, &[b"x"], &sealed(&old)));
    }

    #[test]
    fn secrets_are_long_and_never_shown() {
        for bad in [vec![], vec![Secret::new("canary-too-short")], vec![secret("a"); 9]] {
            let error = SessionKeys::new(&bad).unwrap_err();
            assert!(!error.contains("canary") && error.contains("key"), "{error}");
        }
        assert_eq!(format!("{:?}", SessionKeys::new(&[secret("canary ")]).unwrap()), "SessionKeys(1)");
    }

    #[test]
    fn hexadecimal() {
        assert_eq!(hex(&[0, 0x0f, 0xa0, 0xff]), "000fa0ff");
    }
}
