//! Addresses in text: base58 of exactly 32 bytes. Letter case matters, and every address has one spelling.

use solana_pubkey::Pubkey;
use tollway_core::codes::INVALID_PAYMENT_REQUIREMENTS;
use tollway_core::{PaymentRequirements, Rejected};

/// Longest base58 text of 32 bytes.
const LONGEST: usize = 44;

/// An address, if the text is one.
pub(crate) fn parse_address(text: &str) -> Option<Pubkey> {
    if text.len() > LONGEST {
        return None;
    }
    let address: Pubkey = text.parse().ok()?;
    // Decoders have been lenient before; a second spelling would be a second key.
    (address.to_string() == text).then_some(address)
}

/// Text from a stranger, cut to a length that can be shown.
pub(crate) fn shown(text: &str) -> String {
    text.chars().take(64).collect()
}

/// An address of an offer: `asset` or `payTo`.
pub(crate) fn offer_address(offer: &PaymentRequirements, member: &str) -> Result<Pubkey, Rejected> {
    let text = if member == "asset" { &offer.asset } else { &offer.pay_to };
    parse_address(text).ok_or_else(|| {
        let message = format!("the offer's {member} `{}` is no Solana address", shown(text));
        Rejected::new(INVALID_PAYMENT_REQUIREMENTS).because(message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_base58_of_32_bytes_is_an_address() {
        let good = "4zMMC9srt5Ri5X14GAgXhaHii3GnPAEERYPJgZJDncDU";
        assert_eq!(parse_address(good).unwrap().to_string(), good);
        assert!(parse_address(&"1".repeat(32)).is_some());
        let swapped = good.replace('M', "m");
        assert_ne!(parse_address(&swapped), parse_address(good), "letter case matters");
        for bad in ["", "0x036CbD53842c5426634e7929541eC2318f3dCF7e", &good[..40], &format!("1{good}"), &"1".repeat(31)]
        {
            assert_eq!(parse_address(bad), None, "{bad}");
        }
        for bad in [&"1".repeat(33), &"z".repeat(44), &good.replace('z', "0"), &format!(" {good}"), &"é".repeat(22)] {
            assert_eq!(parse_address(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".{0,80}") {
            let _ = parse_address(&text);
        }

        #[test]
        fn addresses_round_trip(bytes: [u8; 32]) {
            let address = Pubkey::from(bytes);
            prop_assert_eq!(parse_address(&address.to_string()), Some(address));
        }
    }
}
