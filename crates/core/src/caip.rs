//! Chain-agnostic names: networks (CAIP-2), accounts (CAIP-10) and the patterns plug-ins register for.

use std::sync::Arc;
use std::{fmt, str::FromStr};

/// Longest network id accepted from the wire, in bytes.
const MAX_NETWORK: usize = 96;
/// Longest account id accepted, in bytes.
const MAX_ACCOUNT: usize = 256;

/// A CAIP-2 network id, `namespace:reference`, such as `eip155:8453`. Cheap to clone.
///
/// As lenient as deployed peers are: any printable ASCII with a colon between two non-empty parts. An offer on a
/// network nobody here knows must still be readable.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NetworkId(Arc<str>);

/// Why a text is no CAIP name; carries the text, cut short.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaipError {
    text: String,
    expected: &'static str,
}

impl CaipError {
    fn new(text: &str, expected: &'static str) -> Self {
        Self { text: text.chars().take(64).collect(), expected }
    }
}

impl fmt::Display for CaipError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is not {}", self.text, self.expected)
    }
}

impl std::error::Error for CaipError {}

impl NetworkId {
    /// The part before the colon: `eip155`.
    pub fn namespace(&self) -> &str {
        self.0.split_once(':').map_or("", |(namespace, _)| namespace)
    }

    /// The part after the colon: `8453`.
    pub fn reference(&self) -> &str {
        self.0.split_once(':').map_or("", |(_, reference)| reference)
    }

    /// The whole id.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for NetworkId {
    type Err = CaipError;

    fn from_str(text: &str) -> Result<Self, CaipError> {
        let error = || CaipError::new(text, "a CAIP-2 network id such as `eip155:8453`");
        let (namespace, reference) = text.split_once(':').ok_or_else(error)?;
        let printable = text.bytes().all(|b| b.is_ascii_graphic() && b != b'*');
        if namespace.is_empty() || reference.is_empty() || !printable || text.len() > MAX_NETWORK {
            return Err(error());
        }
        Ok(Self(text.into()))
    }
}

/// A CAIP-10 account, `namespace:reference:address`. The address is in the network's canonical form
/// (see [`Network::canonical`](crate::Network::canonical)), so equal accounts are equal text.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AccountId {
    network: NetworkId,
    address: Arc<str>,
}

impl AccountId {
    /// An account from its network and its canonical address.
    pub fn new(network: NetworkId, address: &str) -> Self {
        Self { network, address: address.into() }
    }

    /// The network.
    pub fn network(&self) -> &NetworkId {
        &self.network
    }

    /// The address.
    pub fn address(&self) -> &str {
        &self.address
    }
}

impl FromStr for AccountId {
    type Err = CaipError;

    fn from_str(text: &str) -> Result<Self, CaipError> {
        let error = || CaipError::new(text, "a CAIP-10 account such as `eip155:8453:0xab…`");
        let (network, address) = text.rsplit_once(':').ok_or_else(error)?;
        if address.is_empty() || text.len() > MAX_ACCOUNT || !address.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(error());
        }
        Ok(Self::new(network.parse().map_err(|_| error())?, address))
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.network, self.address)
    }
}

/// What a plug-in part is registered for: one network, or all of a namespace (`eip155:*`).
///
/// A pattern says what a part *can* serve. What it *does* serve is configured with exact ids, so a pattern never
/// widens a configuration.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum NetworkPattern {
    /// Exactly this network.
    Exact(NetworkId),
    /// Every network of this namespace.
    Namespace(Arc<str>),
}

impl NetworkPattern {
    /// Whether `network` falls under this pattern.
    pub fn matches(&self, network: &NetworkId) -> bool {
        match self {
            Self::Exact(id) => id == network,
            Self::Namespace(namespace) => network.namespace() == &**namespace,
        }
    }

    /// Whether this names one network. Exact patterns outrank wildcards.
    pub fn is_exact(&self) -> bool {
        matches!(self, Self::Exact(_))
    }
}

impl FromStr for NetworkPattern {
    type Err = CaipError;

    fn from_str(text: &str) -> Result<Self, CaipError> {
        match text.strip_suffix(":*") {
            Some(namespace)
                if !namespace.is_empty() && namespace.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') =>
            {
                Ok(Self::Namespace(namespace.into()))
            }
            Some(_) => Err(CaipError::new(text, "a network pattern such as `eip155:*`")),
            None => text.parse().map(Self::Exact),
        }
    }
}

impl fmt::Display for NetworkPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(id) => fmt::Display::fmt(id, f),
            Self::Namespace(namespace) => write!(f, "{namespace}:*"),
        }
    }
}

impl fmt::Display for NetworkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

serde_via_text!(NetworkId, AccountId, NetworkPattern);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_split() {
        let id: NetworkId = "eip155:84532".parse().unwrap();
        assert_eq!((id.namespace(), id.reference(), id.as_str()), ("eip155", "84532", "eip155:84532"));
        for bad in ["", "eip155", ":1", "eip155:", "eip155:*", "a b:c", "é:1"] {
            assert!(bad.parse::<NetworkId>().is_err(), "{bad}");
        }
        assert!(format!("a:{}", "b".repeat(200)).parse::<NetworkId>().is_err());
    }

    #[test]
    fn accounts_round_trip() {
        let text = "solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1:HzQEyvJr4YZqj6Ga52JBkT7HncThepogpRPjKMTNSxAH";
        assert_eq!(text.parse::<AccountId>().unwrap().to_string(), text);
        assert!("eip155:0xab".parse::<AccountId>().is_err());
    }

    #[test]
    fn patterns_match_what_they_name() {
        let (base, other) = ("eip155:8453".parse().unwrap(), "eip155:84532".parse().unwrap());
        let exact: NetworkPattern = "eip155:8453".parse().unwrap();
        let all: NetworkPattern = "eip155:*".parse().unwrap();
        assert!(exact.matches(&base) && !exact.matches(&other));
        assert!(all.matches(&base) && all.matches(&other));
        assert!(!all.matches(&"solana:x".parse().unwrap()));
        assert!(":*".parse::<NetworkPattern>().is_err());
        assert_eq!(all.to_string(), "eip155:*");
    }
}
