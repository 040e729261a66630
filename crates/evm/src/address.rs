//! Strict text forms of addresses and 32-byte words. Lenient decoding would let one payment have several spellings
//! that different readers take for different payments.

use alloy::primitives::{Address, B256};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serializer};
use std::borrow::Cow;

/// An address: `0x` and exactly 40 hexadecimal digits of either case. The checksum of EIP-55 is not demanded, since
/// deployed peers accept addresses in lower case and with foreign checksums.
pub(crate) fn parse_address(text: &str) -> Option<Address> {
    fixed(text).map(Address::new)
}

fn fixed<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.strip_prefix("0x")?;
    let mut bytes = [0; N];
    // `decode_to_slice` takes a second prefix, which the digits' count rules out.
    (digits.len() == 2 * N && !digits.starts_with("0x")).then_some(())?;
    alloy::hex::decode_to_slice(digits, &mut bytes).ok()?;
    Some(bytes)
}

/// serde: an address in, its EIP-55 form out.
pub(crate) mod checksummed {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(address: &Address, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(address.to_checksum_buffer(None).as_str())
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Address, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        parse_address(&text).ok_or_else(|| D::Error::custom("an address is `0x` and 40 hexadecimal digits"))
    }
}

/// serde: 32 bytes as `0x` and exactly 64 hexadecimal digits, in lower case out.
pub(crate) mod word {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(word: &B256, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{word:#x}"))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<B256, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        let bytes = fixed(&text).ok_or_else(|| D::Error::custom("a nonce is `0x` and 64 hexadecimal digits"))?;
        Ok(B256::new(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_twenty_bytes_of_hex_are_an_address() {
        let good = "0x036CbD53842c5426634e7929541eC2318f3dCF7e";
        let address = parse_address(good).unwrap();
        assert_eq!(address.to_checksum(None), good);
        assert_eq!(parse_address(&good.to_lowercase()), Some(address));
        let prefix_twice = format!("0x0x{}", &good[4..]);
        for bad in ["", "0x", &good[2..], &good[..41], &format!("{good}0"), &prefix_twice, &good.replace("0x", "0X")] {
            assert_eq!(parse_address(bad), None, "{bad}");
        }
        assert_eq!(parse_address("0x036CbD53842c5426634e7929541eC2318f3dCFé"), None);
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".{0,80}") {
            let _ = parse_address(&text);
            let _ = fixed::<32>(&text);
        }

        #[test]
        fn addresses_round_trip(bytes: [u8; 20]) {
            let address = Address::new(bytes);
            prop_assert_eq!(parse_address(&address.to_checksum(None)), Some(address));
            prop_assert_eq!(parse_address(&format!("{address:#x}")), Some(address));
        }
    }
}
