//! The price language: `"$0.01"`, `"0.5 USDC"`, `0.01`, or an explicit amount of an asset.

use crate::{Amount, Asset, NetworkId, Object};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::Value;
use std::{fmt, str::FromStr};

/// A price as a route states it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Price {
    /// Dollars, or units of an asset named by its ticker; the network's table says which asset and how many decimals.
    Money(Money),
    /// So many atomic units of exactly this asset.
    Asset(AssetAmount),
}

/// A decimal number and, unless it is in dollars, a ticker.
///
/// Text is `$0.01`, `0.01`, `1.50 USDT`; no sign, no exponent, no thousands separator. `USD` is no ticker but the
/// dollar itself. A JSON number is read by its shortest decimal text, never calculated with.
#[derive(Clone, PartialEq, Eq)]
pub struct Money {
    decimal: String,
    symbol: Option<String>,
}

/// Atomic units of a given asset.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AssetAmount {
    /// Atomic units.
    pub amount: Amount,
    /// Token contract or mint.
    pub asset: String,
    /// Scheme-specific members the offer should carry, such as an EIP-712 domain's `name` and `version`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extra: Option<Object>,
}

/// Why a price cannot be understood or converted.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PriceError {
    /// Not of the price language; carries the text, cut short.
    Format(String),
    /// The network's table has no such asset.
    UnknownAsset {
        /// The ticker asked for; `None` is the dollar's default asset.
        symbol: Option<String>,
        /// The network asked.
        network: NetworkId,
        /// The tickers it has.
        known: Vec<String>,
    },
    /// Above 2²⁵⁶ − 1 atomic units.
    TooLarge,
}

impl fmt::Display for PriceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Format(text) => write!(f, "`{text}` is no price; write \"$0.01\", \"0.5 USDC\" or {{amount, asset}}"),
            Self::UnknownAsset { symbol, network, known } => {
                let symbol = symbol.as_deref().unwrap_or("dollar");
                write!(f, "no {symbol} asset is known on {network} ")?;
                match known.as_slice() {
                    [] => f.write_str("(its table is empty)")?,
                    known => write!(f, "(known: {})", known.join(", "))?,
                }
                f.write_str("; give the price as {amount, asset}, or add the asset to the network's configuration")
            }
            Self::TooLarge => f.write_str("the price is above 2^256 atomic units"),
        }
    }
}

impl std::error::Error for PriceError {}

impl Money {
    /// The decimal number as written.
    pub fn decimal(&self) -> &str {
        &self.decimal
    }

    /// The ticker in upper case; `None` means dollars.
    pub fn symbol(&self) -> Option<&str> {
        self.symbol.as_deref()
    }

    /// Converts to atomic units of an asset with this many decimals. Digits beyond them are cut, not rounded.
    ///
    /// # Errors
    /// [`PriceError::TooLarge`] above 2²⁵⁶ − 1.
    pub fn to_amount(&self, decimals: u8) -> Result<Amount, PriceError> {
        let (whole, fraction) = self.decimal.split_once('.').unwrap_or((&self.decimal, ""));
        let fraction = fraction.bytes().chain(std::iter::repeat(b'0')).take(usize::from(decimals));
        whole
            .bytes()
            .chain(fraction)
            .try_fold(Amount::ZERO, |sum, digit| sum.checked_mul_add(10, u64::from(digit.saturating_sub(b'0'))))
            .ok_or(PriceError::TooLarge)
    }

    /// The asset of `assets` this money is in, and how much of it. Entry 0 is the dollar's asset.
    ///
    /// # Errors
    /// [`PriceError::UnknownAsset`] lists the tickers there are.
    pub fn resolve<'a>(&self, network: &NetworkId, assets: &'a [Asset]) -> Result<(&'a Asset, Amount), PriceError> {
        let found = match &self.symbol {
            None => assets.first(),
            Some(symbol) => assets.iter().find(|asset| asset.symbol.eq_ignore_ascii_case(symbol)),
        };
        let asset = found.ok_or_else(|| PriceError::UnknownAsset {
            symbol: self.symbol.clone(),
            network: network.clone(),
            known: assets.iter().map(|asset| asset.symbol.clone()).collect(),
        })?;
        Ok((asset, self.to_amount(asset.decimals)?))
    }
}

impl FromStr for Money {
    type Err = PriceError;

    fn from_str(text: &str) -> Result<Self, PriceError> {
        let error = || PriceError::Format(text.chars().take(64).collect());
        let body = text.trim();
        let body = body.strip_prefix('$').unwrap_or(body).trim_start();
        let (decimal, symbol) = match body.split_once(char::is_whitespace) {
            Some((decimal, symbol)) => (decimal, Some(symbol.trim_start())),
            None => (body, None),
        };
        let (whole, fraction) = decimal.split_once('.').unwrap_or((decimal, "0"));
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        if !digits(whole) || !digits(fraction) || decimal.len() > 2 * Amount::MAX_DIGITS {
            return Err(error());
        }
        let symbol = match symbol {
            Some(symbol) if !is_ticker(symbol) => return Err(error()),
            Some(symbol) if symbol.eq_ignore_ascii_case("USD") => None,
            symbol => symbol.map(str::to_ascii_uppercase),
        };
        Ok(Self { decimal: decimal.to_owned(), symbol })
    }
}

/// A ticker: letters, digits and dots (`USDC.e`), beginning with a letter, at most 16 characters.
fn is_ticker(text: &str) -> bool {
    text.len() <= 16
        && text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.')
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.symbol {
            Some(symbol) => write!(f, "{} {symbol}", self.decimal),
            None => write!(f, "${}", self.decimal),
        }
    }
}

serde_via_text!(Money);

impl FromStr for Price {
    type Err = PriceError;

    fn from_str(text: &str) -> Result<Self, PriceError> {
        text.parse().map(Self::Money)
    }
}

impl Serialize for Price {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Money(money) => serializer.collect_str(money),
            Self::Asset(amount) => amount.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Price {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::String(text) => text.parse().map_err(de::Error::custom),
            // Rust prints a float as the shortest decimal that reads back the same, without exponent.
            Value::Number(number) => match number.as_f64() {
                Some(float) if !number.is_u64() => float.to_string(),
                _ => number.to_string(),
            }
            .parse()
            .map_err(de::Error::custom),
            object @ Value::Object(_) => serde_json::from_value(object).map(Self::Asset).map_err(de::Error::custom),
            other => Err(de::Error::custom(PriceError::Format(other.to_string().chars().take(64).collect()))),
        }
    }
}
