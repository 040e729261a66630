//! ECDSA signatures over secp256k1 in the one form accepted, recovery, and the other forms a payer may send.
//!
//! Every signature has a second form (`n − s`, the other `v`), and libraries differ in which they take. Here exactly
//! one is taken: 65 bytes `r ‖ s ‖ v`, `s` in the lower half, `v` 27 or 28. A token's own check is as strict.

use crate::erc6492::Deployment;
use alloy::primitives::{Address, B256, Bytes, b256, keccak256};
use secp256k1::ecdsa::{RecoverableSignature, RecoveryId};
use secp256k1::{Message, PublicKey, SECP256K1, SecretKey};

/// Half of the group's order: the highest `s` that is in the lower half.
const HIGHEST_S: B256 = b256!("7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0");
/// Longest signature looked at, in bytes. Contract wallets' signatures can be long, but a payment travels in a header
/// of 16 KiB.
pub(crate) const LONGEST: usize = 4096;

/// The strict form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ecdsa {
    /// `r ‖ s`.
    rs: [u8; 64],
    /// 27 or 28.
    v: u8,
}

impl Ecdsa {
    /// Reads the strict form and no other.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let (rs, v) = bytes.split_first_chunk::<64>()?;
        let [v @ (27 | 28)] = *v else { return None };
        (rs[32..] <= HIGHEST_S[..]).then_some(Self { rs: *rs, v })
    }

    pub(crate) fn r(&self) -> B256 {
        B256::from_slice(&self.rs[..32])
    }

    pub(crate) fn s(&self) -> B256 {
        B256::from_slice(&self.rs[32..])
    }

    pub(crate) fn v(&self) -> u8 {
        self.v
    }

    /// The 65 bytes.
    pub(crate) fn to_bytes(self) -> [u8; 65] {
        let mut bytes = [0; 65];
        bytes[..64].copy_from_slice(&self.rs);
        bytes[64] = self.v;
        bytes
    }

    /// Whose signature of `digest` this is; `None` where it is nobody's.
    pub(crate) fn recover(&self, digest: &B256) -> Option<Address> {
        let id = if self.v == 28 { RecoveryId::One } else { RecoveryId::Zero };
        let signature = RecoverableSignature::from_compact(&self.rs, id).ok()?;
        let key = SECP256K1.recover_ecdsa(Message::from_digest(digest.0), &signature).ok()?;
        Some(address_of(&key))
    }

    /// Signs. The nonce is RFC 6979's, so equal digests have equal signatures; `s` comes out in the lower half.
    pub(crate) fn sign(key: &SecretKey, digest: &[u8; 32]) -> Self {
        let signature = SECP256K1.sign_ecdsa_recoverable(Message::from_digest(*digest), key);
        let (id, rs) = signature.serialize_compact();
        // Identifiers 2 and 3 stand for an `r` above the group's order: no one has ever seen one.
        let v = if i32::from(id) & 1 == 1 { 28 } else { 27 };
        Self { rs, v }
    }
}

/// The address of a public key.
pub(crate) fn address_of(key: &PublicKey) -> Address {
    let hash = keccak256(&key.serialize_uncompressed()[1..]);
    Address::from_word(hash)
}

/// A signature as a payer sent it, read without trusting it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Received {
    /// The signature itself, taken out of its wrapper.
    pub(crate) bytes: Bytes,
    /// What its wrapper says to make the wallet with, where it came in one (ERC-6492).
    pub(crate) deployment: Option<Deployment>,
}

impl Received {
    /// Reads `0x` and hexadecimal digits; `None` for other text, for more than [`LONGEST`] bytes, and for a broken
    /// wrapper. Any length can be right: contract wallets define their own, down to nothing.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix("0x").filter(|digits| !digits.starts_with("0x"))?;
        if digits.len() > 2 * LONGEST {
            return None;
        }
        let bytes = Bytes::from(alloy::hex::decode(digits).ok()?);
        if !Deployment::wraps(&bytes) {
            return Some(Self { bytes, deployment: None });
        }
        let (deployment, bytes) = Deployment::open(&bytes)?;
        Some(Self { bytes, deployment: Some(deployment) })
    }

    /// The strict ECDSA form, where this is of it.
    pub(crate) fn ecdsa(&self) -> Option<Ecdsa> {
        Ecdsa::parse(&self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::erc6492::{self, WRAPPER};
    use crate::test::{CLIENT_KEY, key, vector_a1};
    use alloy::primitives::{U256, address, hex};
    use proptest::prelude::*;

    const DIGEST: B256 = b256!("c72535830abf1dc4187193153665b256d688829ccda7ee169f8821f653253119");
    const SIGNATURE: [u8; 65] = hex!(
        "4c906a47a947ae0d3352d162c153374ae5a94ef8f09a948307cff212aaf893707462a82325b84e3a6fe23cd64944aa1cfd6fbb0addc004e4b369708ab0da17581c"
    );
    const ORDER: U256 = U256::from_be_bytes(hex!("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141"));

    #[test]
    fn the_specification_vector_is_reproduced() {
        let signature = Ecdsa::sign(&key(CLIENT_KEY), &DIGEST);
        assert_eq!(signature.to_bytes(), SIGNATURE);
        assert_eq!(signature.recover(&DIGEST), Some(vector_a1().from));
        assert_eq!(vector_a1().from, address!("70997970C51812dc3A010C7d01b50e0d17dc79C8"));
    }

    #[test]
    fn high_s_is_refused() {
        let mut bytes = SIGNATURE;
        let high = ORDER - U256::from_be_slice(&bytes[32..64]);
        bytes[32..64].copy_from_slice(&high.to_be_bytes::<32>());
        bytes[64] ^= 27 ^ 28;
        assert_eq!(Ecdsa::parse(&bytes), None);
    }

    #[test]
    fn the_highest_low_s_is_taken_and_the_next_is_not() {
        let mut bytes = SIGNATURE;
        bytes[32..64].copy_from_slice(HIGHEST_S.as_slice());
        assert!(Ecdsa::parse(&bytes).is_some());
        let next = U256::from_be_bytes(HIGHEST_S.0) + U256::from(1);
        bytes[32..64].copy_from_slice(&next.to_be_bytes::<32>());
        assert_eq!(Ecdsa::parse(&bytes), None);
    }

    #[test]
    fn other_v_than_27_and_28_is_refused() {
        for v in (0..=255).filter(|v| !matches!(v, 27 | 28)) {
            let mut bytes = SIGNATURE;
            bytes[64] = v;
            assert_eq!(Ecdsa::parse(&bytes), None, "{v}");
        }
    }

    #[test]
    fn compact_and_short_and_long_signatures_are_refused() {
        for length in (0..65).chain(66..200) {
            let bytes: Vec<u8> = SIGNATURE.into_iter().cycle().take(length).collect();
            assert_eq!(Ecdsa::parse(&bytes), None, "{length}");
        }
    }

    #[test]
    fn zero_and_overflowing_numbers_recover_to_nobody() {
        let mut zero_r = SIGNATURE;
        zero_r[..32].fill(0);
        let mut zero_s = SIGNATURE;
        zero_s[32..64].fill(0);
        let mut huge_r = SIGNATURE;
        huge_r[..32].fill(0xff);
        for bytes in [zero_r, zero_s, huge_r] {
            assert_eq!(Ecdsa::parse(&bytes).and_then(|signature| signature.recover(&DIGEST)), None);
        }
    }

    fn wrap(inner: &[u8]) -> String {
        alloy::hex::encode_prefixed(erc6492::wrap(Address::repeat_byte(7), b"deploy", inner))
    }

    #[test]
    fn a_wrapper_is_recognised_and_opened() {
        let received = Received::parse(&wrap(&SIGNATURE)).unwrap();
        assert_eq!(received.deployment.unwrap().factory, Address::repeat_byte(7));
        assert_eq!(received.bytes[..], SIGNATURE);
        let plain = Received::parse(&alloy::hex::encode_prefixed(SIGNATURE)).unwrap();
        assert_eq!((&plain.deployment, plain.ecdsa()), (&None, Ecdsa::parse(&SIGNATURE)));
    }

    #[test]
    fn a_broken_wrapper_is_no_signature() {
        let wrapper = alloy::hex::encode_prefixed(WRAPPER);
        assert_eq!(Received::parse(&wrapper), None);
        let mut text = wrap(&SIGNATURE);
        // The offset of the second member, sent beyond the end.
        text.replace_range(2 + 64..2 + 68, "ffff");
        assert_eq!(Received::parse(&text), None);
    }

    #[test]
    fn text_that_is_no_hex_is_no_signature() {
        for bad in ["", "0x0", "00", "0xzz", "0x0x00", "0xé0"] {
            assert_eq!(Received::parse(bad), None, "{bad}");
        }
        assert_eq!(Received::parse("0x").unwrap().bytes.len(), 0, "a contract may take an empty one");
        assert!(Received::parse(&format!("0x{}", "00".repeat(LONGEST))).is_some());
        assert_eq!(Received::parse(&format!("0x{}", "00".repeat(LONGEST + 1))), None);
    }

    proptest! {
        #[test]
        fn no_signature_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300), digest: [u8; 32]) {
            let _ = Ecdsa::parse(&bytes).and_then(|signature| signature.recover(&B256::new(digest)));
            let _ = Received::parse(&alloy::hex::encode_prefixed(&bytes));
            let _ = Received::parse(&alloy::hex::encode_prefixed([&bytes, WRAPPER.as_slice()].concat()));
        }

        #[test]
        fn no_text_panics(text in "(0x)?.{0,200}") {
            let _ = Received::parse(&text);
        }

        #[test]
        fn what_is_signed_recovers(digest: [u8; 32]) {
            let signature = Ecdsa::sign(&key(CLIENT_KEY), &digest);
            prop_assert_eq!(Ecdsa::parse(&signature.to_bytes()), Some(signature));
            prop_assert_eq!(signature.recover(&B256::new(digest)), Some(vector_a1().from));
        }
    }
}
