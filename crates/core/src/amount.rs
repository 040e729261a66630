//! [`Amount`]: a checked 256-bit count of atomic units, written as a decimal string on the wire.

use std::{fmt, str::FromStr};

/// Atomic units of an asset (one USDC is 1 000 000 of them), from zero to 2²⁵⁶ − 1.
///
/// Arithmetic is checked; there is no conversion to or from floating point. The text form is canonical: digits
/// only, no sign, no exponent, no leading zero. A JSON number is refused.
///
/// ```
/// use tollway_core::Amount;
/// let price: Amount = "10000".parse()?;
/// assert_eq!(price.checked_add(Amount::from(5)), Some(Amount::from(10_005)));
/// assert!("1e3".parse::<Amount>().is_err());
/// # Ok::<(), tollway_core::AmountError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Amount {
    /// Little-endian 64-bit limbs.
    limbs: [u64; 4],
}

/// Why a text is not an [`Amount`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum AmountError {
    /// Empty, or something other than ASCII digits, or a leading zero.
    NotDecimal,
    /// Above 2²⁵⁶ − 1.
    TooLarge,
}

impl fmt::Display for AmountError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotDecimal => "an amount is a string of decimal digits in atomic units, such as \"10000\"",
            Self::TooLarge => "an amount must be below 2^256",
        })
    }
}

impl std::error::Error for AmountError {}

impl Amount {
    /// Nothing.
    pub const ZERO: Self = Self { limbs: [0; 4] };
    /// 2²⁵⁶ − 1.
    pub const MAX: Self = Self { limbs: [u64::MAX; 4] };
    /// Digits of [`Amount::MAX`].
    pub(crate) const MAX_DIGITS: usize = 78;

    /// Whether this is zero.
    pub fn is_zero(&self) -> bool {
        self.limbs == [0; 4]
    }

    /// The sum, or `None` above 2²⁵⁶ − 1.
    pub fn checked_add(self, other: Self) -> Option<Self> {
        let mut limbs = [0; 4];
        let mut carry = false;
        for (i, limb) in limbs.iter_mut().enumerate() {
            (*limb, carry) = self.limbs[i].carrying_add(other.limbs[i], carry);
        }
        (!carry).then_some(Self { limbs })
    }

    /// The difference, or `None` below zero.
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        let mut limbs = [0; 4];
        let mut borrow = false;
        for (i, limb) in limbs.iter_mut().enumerate() {
            (*limb, borrow) = self.limbs[i].borrowing_sub(other.limbs[i], borrow);
        }
        (!borrow).then_some(Self { limbs })
    }

    /// `self × factor + addend`, or `None` above 2²⁵⁶ − 1.
    pub(crate) fn checked_mul_add(self, factor: u64, addend: u64) -> Option<Self> {
        let mut limbs = [0; 4];
        let mut carry = addend;
        for (i, limb) in limbs.iter_mut().enumerate() {
            (*limb, carry) = self.limbs[i].carrying_mul(factor, carry);
        }
        (carry == 0).then_some(Self { limbs })
    }

    /// The same worth in units of which one whole has `to` digits after the point instead of `from`; `None` above
    /// 2²⁵⁶ − 1, and where units of `to` are too coarse to say it.
    ///
    /// ```
    /// # use tollway_core::Amount;
    /// assert_eq!(Amount::from(150).rescale(2, 6), Some(Amount::from(1_500_000)));
    /// assert_eq!(Amount::from(155).rescale(2, 1), None);
    /// ```
    pub fn rescale(mut self, from: u8, to: u8) -> Option<Self> {
        for _ in from..to {
            self = self.checked_mul_add(10, 0)?;
        }
        for _ in to..from {
            if self.div_small(10) != 0 {
                return None;
            }
        }
        Some(self)
    }

    /// So many hundredths of a percent of this, rounded down; at most all of it.
    ///
    /// ```
    /// # use tollway_core::Amount;
    /// assert_eq!(Amount::from(1001).share(5000), Amount::from(500));
    /// assert_eq!(Amount::MAX.share(10_000), Amount::MAX);
    /// ```
    pub fn share(self, hundredths: u16) -> Self {
        const WHOLE: u64 = 10_000;
        let hundredths = u64::from(hundredths).min(WHOLE);
        // In two parts, since the product with the whole may not fit: every unit that divides evenly, and the rest.
        let mut even = self;
        let rest = even.div_small(WHOLE);
        let rest = rest.saturating_mul(hundredths) / WHOLE;
        even.checked_mul_add(hundredths, rest).unwrap_or(self)
    }

    /// Big-endian bytes, as EVM words and most chains want them.
    pub fn to_be_bytes(self) -> [u8; 32] {
        let mut bytes = [0; 32];
        for (chunk, limb) in bytes.chunks_exact_mut(8).zip(self.limbs.iter().rev()) {
            chunk.copy_from_slice(&limb.to_be_bytes());
        }
        bytes
    }

    /// From big-endian bytes.
    pub fn from_be_bytes(bytes: [u8; 32]) -> Self {
        let mut limbs = [0; 4];
        for (limb, chunk) in limbs.iter_mut().rev().zip(bytes.chunks_exact(8)) {
            *limb = chunk.iter().fold(0, |word, byte| (word << 8) | u64::from(*byte));
        }
        Self { limbs }
    }

    /// The value, where it fits 64 bits (every Solana amount does).
    pub fn to_u64(self) -> Option<u64> {
        (self.limbs[1..] == [0; 3]).then_some(self.limbs[0])
    }

    /// Divides in place and returns the remainder.
    fn div_small(&mut self, divisor: u64) -> u64 {
        let mut rest = 0u128;
        for limb in self.limbs.iter_mut().rev() {
            let wide = (rest << 64) | u128::from(*limb);
            // The quotient of a value below divisor × 2^64 fits 64 bits.
            *limb = (wide / u128::from(divisor)) as u64;
            rest = wide % u128::from(divisor);
        }
        rest as u64
    }

    /// The amount in whole units with `decimals` digits after the point, trailing zeros cut: for people, not for the wire.
    ///
    /// ```
    /// # use tollway_core::Amount;
    /// assert_eq!(Amount::from(1_500_000).to_decimal(6), "1.5");
    /// ```
    pub fn to_decimal(self, decimals: u8) -> String {
        let digits = self.to_string();
        let decimals = usize::from(decimals);
        let padded = format!("{digits:0>width$}", width = decimals.saturating_add(1));
        let (whole, fraction) = padded.split_at(padded.len().saturating_sub(decimals));
        match fraction.trim_end_matches('0') {
            "" => whole.to_owned(),
            fraction => format!("{whole}.{fraction}"),
        }
    }
}

impl Ord for Amount {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.limbs.iter().rev().cmp(other.limbs.iter().rev())
    }
}

impl PartialOrd for Amount {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl From<u64> for Amount {
    fn from(value: u64) -> Self {
        Self { limbs: [value, 0, 0, 0] }
    }
}

impl FromStr for Amount {
    type Err = AmountError;

    fn from_str(text: &str) -> Result<Self, AmountError> {
        let canonical = text == "0" || !text.starts_with('0');
        if text.is_empty() || !canonical || !text.bytes().all(|b| b.is_ascii_digit()) {
            return Err(AmountError::NotDecimal);
        }
        if text.len() > Self::MAX_DIGITS {
            return Err(AmountError::TooLarge);
        }
        text.bytes()
            .try_fold(Self::ZERO, |sum, digit| sum.checked_mul_add(10, u64::from(digit.saturating_sub(b'0'))))
            .ok_or(AmountError::TooLarge)
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const CHUNK: u64 = 10_000_000_000_000_000_000;
        let mut rest = *self;
        let mut chunks = [0u64; 5];
        let mut used = 0usize;
        for chunk in &mut chunks {
            *chunk = rest.div_small(CHUNK);
            used = used.saturating_add(1);
            if rest.is_zero() {
                break;
            }
        }
        let mut text = String::with_capacity(Self::MAX_DIGITS);
        for (i, chunk) in chunks[..used].iter().rev().enumerate() {
            let piece = if i == 0 { chunk.to_string() } else { format!("{chunk:019}") };
            text.push_str(&piece);
        }
        f.pad_integral(true, "", &text)
    }
}

serde_via_text!(Amount);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MAX: &str = "115792089237316195423570985008687907853269984665640564039457584007913129639935";

    #[test]
    fn limits() {
        assert_eq!(MAX.parse::<Amount>().unwrap(), Amount::MAX);
        assert_eq!(Amount::MAX.to_string(), MAX);
        let above = "115792089237316195423570985008687907853269984665640564039457584007913129639936";
        assert_eq!(above.parse::<Amount>(), Err(AmountError::TooLarge));
        assert_eq!("9".repeat(500).parse::<Amount>(), Err(AmountError::TooLarge));
        assert_eq!(Amount::MAX.checked_add(Amount::from(1)), None);
        assert_eq!(Amount::ZERO.checked_sub(Amount::from(1)), None);
    }

    #[test]
    fn only_canonical_text() {
        for bad in ["", "1e3", "-1", "+1", "01", " 1", "1.0", "0x10", "١"] {
            assert_eq!(bad.parse::<Amount>(), Err(AmountError::NotDecimal), "{bad}");
        }
        assert!(serde_json::from_str::<Amount>("1000").is_err(), "a JSON number");
        assert_eq!(serde_json::from_str::<Amount>("\"1000\"").unwrap(), Amount::from(1000));
    }

    #[test]
    fn decimal_form() {
        assert_eq!(Amount::from(1).to_decimal(6), "0.000001");
        assert_eq!(Amount::from(10_000_000).to_decimal(6), "10");
        assert_eq!(Amount::from(7).to_decimal(0), "7");
    }

    proptest! {
        #[test]
        fn text_and_bytes_round_trip(bytes: [u8; 32]) {
            let amount = Amount::from_be_bytes(bytes);
            prop_assert_eq!(amount.to_be_bytes(), bytes);
            prop_assert_eq!(amount.to_string().parse::<Amount>(), Ok(amount));
        }

        #[test]
        fn sums_and_order_agree_with_u128(a: u64, b: u64) {
            let sum = Amount::from(a).checked_add(Amount::from(b)).unwrap();
            prop_assert_eq!(sum.to_string(), (u128::from(a) + u128::from(b)).to_string());
            prop_assert_eq!(sum.checked_sub(Amount::from(a)), Some(Amount::from(b)));
            prop_assert_eq!(Amount::from(a).cmp(&Amount::from(b)), a.cmp(&b));
        }

        #[test]
        fn no_text_panics(text in ".*") {
            let _ = text.parse::<Amount>();
        }
    }
}
