//! [`Charge`]: what a metered request really costs, told by its handler.

use std::fmt;
use std::str::FromStr;
use tollway_core::{Amount, Money, Network, PaymentRequirements, PriceError, Reply};

/// What to charge for a request whose scheme authorizes a maximum. Read from the same texts as the deployed server's
/// `Settlement-Overrides`: `"1234"` atomic units, `"50%"` of the authorized amount (two digits after the point at most,
/// rounded down), `"$0.05"`.
///
/// ```
/// use tollway_roles::server::Charge;
/// let half: Charge = "50%".parse()?;
/// assert_eq!(half.to_string(), "50%");
/// # Ok::<(), tollway_roles::server::ChargeError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Charge {
    /// Atomic units.
    Amount(Amount),
    /// Hundredths of a percent of the authorized amount, at most 10 000.
    Share(u16),
    /// Dollars, or units of the asset that is paid in.
    Money(Money),
}

/// Why something cannot be charged.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChargeError {
    /// Not one of the three forms; carries the text, cut short.
    Format(String),
    /// More than the payer authorized.
    AboveAuthorized {
        /// What was to be charged, in atomic units.
        charge: Amount,
        /// What was authorized.
        authorized: Amount,
    },
    /// Money in an asset whose decimals nobody knows.
    UnknownAsset(String),
    /// Money in another asset than is paid in.
    OtherAsset(String),
    /// The scheme charges what it says and nothing else.
    NotMetered(String),
    /// The price cannot be converted.
    Price(PriceError),
}

impl fmt::Display for ChargeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Format(text) => write!(f, "`{text}` is no charge; write \"1234\", \"50%\" or \"$0.05\""),
            Self::AboveAuthorized { charge, authorized } => {
                write!(f, "{charge} units are to be charged and only {authorized} are authorized")
            }
            Self::UnknownAsset(asset) => {
                write!(f, "the decimals of {asset} are not known; charge atomic units, or add the asset to its network")
            }
            Self::OtherAsset(symbol) => write!(f, "the request is not paid in {symbol}"),
            Self::NotMetered(scheme) => {
                write!(f, "`{scheme}` settles its price and nothing else; sell the route by a scheme such as `upto`")
            }
            Self::Price(why) => why.fmt(f),
        }
    }
}

impl std::error::Error for ChargeError {}

impl Charge {
    /// Nothing: the request was not worth it.
    pub const NOTHING: Self = Self::Amount(Amount::ZERO);

    /// A share of the authorized amount in percent, at most 100.
    pub fn percent(percent: u8) -> Self {
        Self::Share(u16::from(percent.min(100)).saturating_mul(100))
    }

    /// The charge in atomic units of the asset that is paid in.
    pub(super) fn resolve(&self, offer: &PaymentRequirements, network: &dyn Network) -> Result<Amount, ChargeError> {
        let charge = match self {
            Self::Amount(amount) => *amount,
            Self::Share(share) => offer.amount.share(*share),
            Self::Money(money) => {
                let asset =
                    network.asset(&offer.asset).ok_or_else(|| ChargeError::UnknownAsset(offer.asset.clone()))?;
                match money.symbol() {
                    Some(symbol) if !symbol.eq_ignore_ascii_case(&asset.symbol) => {
                        return Err(ChargeError::OtherAsset(symbol.to_owned()));
                    }
                    _ => money.to_amount(asset.decimals).map_err(ChargeError::Price)?,
                }
            }
        };
        match charge > offer.amount {
            true => Err(ChargeError::AboveAuthorized { charge, authorized: offer.amount }),
            false => Ok(charge),
        }
    }
}

impl FromStr for Charge {
    type Err = ChargeError;

    fn from_str(text: &str) -> Result<Self, ChargeError> {
        let error = || ChargeError::Format(text.chars().take(64).collect());
        if let Ok(amount) = text.parse() {
            return Ok(Self::Amount(amount));
        }
        if let Some(percent) = text.strip_suffix('%') {
            let (whole, fraction) = percent.split_once('.').unwrap_or((percent, ""));
            let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
            if whole.is_empty() || whole.len() > 3 || fraction.len() > 2 || !digits(whole) || !digits(fraction) {
                return Err(error());
            }
            let share = format!("{whole}{fraction:0<2}").parse::<u32>().map_err(|_| error())?;
            return u16::try_from(share).ok().filter(|share| *share <= 10_000).map(Self::Share).ok_or_else(error);
        }
        match text.starts_with('$') || text.contains(char::is_whitespace) {
            true => text.parse().map(Self::Money).map_err(|_| error()),
            false => Err(error()),
        }
    }
}

impl fmt::Display for Charge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Amount(amount) => amount.fmt(f),
            Self::Share(share) => match (share / 100, share % 100) {
                (whole, 0) => write!(f, "{whole}%"),
                (whole, rest) => write!(f, "{whole}.{rest:02}%"),
            },
            Self::Money(money) => money.fmt(f),
        }
    }
}

/// What a handler made of a paid request. `true` and `false` say whether it answered below 400.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Handled {
    /// Whether the handler answered below 400.
    pub served: bool,
    /// What to charge, if not the whole authorized amount.
    pub charge: Option<Charge>,
    /// The answer, where [`Admitted::keeps_answers`](super::Admitted::keeps_answers) asks for it.
    pub answer: Option<Reply>,
}

impl Handled {
    /// Served, and to be charged like this.
    pub fn charged(charge: Charge) -> Self {
        Self { served: true, charge: Some(charge), answer: None }
    }

    /// Hands over the answer itself.
    pub fn answering(mut self, answer: Option<Reply>) -> Self {
        self.answer = answer;
        self
    }
}

impl From<bool> for Handled {
    fn from(served: bool) -> Self {
        Self { served, charge: None, answer: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_forms() {
        assert_eq!("1234".parse(), Ok(Charge::Amount(Amount::from(1234))));
        assert_eq!("50%".parse(), Ok(Charge::Share(5000)));
        assert_eq!("33.3%".parse(), Ok(Charge::Share(3330)));
        assert_eq!("0.05%".parse(), Ok(Charge::Share(5)));
        assert_eq!("100%".parse(), Ok(Charge::percent(100)));
        assert!(matches!("$0.05".parse(), Ok(Charge::Money(_))));
        for bad in ["", "%", "101%", "100.01%", "1.234%", "-1%", "0.05", "1e3", "$", "-1", "half"] {
            assert!(bad.parse::<Charge>().is_err(), "{bad}");
        }
    }
}
