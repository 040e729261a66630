//! What people call the known chains, and whether what is paid there is worth anything.

use std::time::Duration;
use tollway_core::{NetworkWords, Realm, Vocabulary};

/// What the namespace is called outside of CAIP-2.
const EVERYDAY: &str = "evm";

/// Chain id, name, realm, milliseconds between blocks where that is well known.
type Row = (u64, &'static str, Realm, Option<u64>);

use Realm::{Mainnet as Main, Testnet as Test};

#[rustfmt::skip]
const CHAINS: &[Row] = &[
    (1, "ethereum", Main, Some(12_000)), (11_155_111, "sepolia", Test, Some(12_000)),
    (8453, "base", Main, Some(2000)), (84532, "base-sepolia", Test, Some(2000)),
    (10, "optimism", Main, Some(2000)), (11_155_420, "optimism-sepolia", Test, Some(2000)),
    (42161, "arbitrum", Main, Some(250)), (421_614, "arbitrum-sepolia", Test, Some(250)),
    (137, "polygon", Main, Some(2000)), (80002, "polygon-amoy", Test, Some(2000)),
    (43114, "avalanche", Main, None), (43113, "avalanche-fuji", Test, None),
    (4326, "megaeth", Main, None), (143, "monad", Main, None),
    (988, "stable", Main, None), (2201, "stable-testnet", Test, None),
    (31612, "mezo", Main, None), (31611, "mezo-testnet", Test, None),
    (723_487, "radius", Main, None), (72344, "radius-testnet", Test, None),
    (36900, "adi", Main, None),
    (190_415, "hpp", Main, None), (181_228, "hpp-sepolia", Test, None),
    (50, "xdc", Main, Some(2000)), (51, "xdc-apothem", Test, Some(2000)),
    (38833, "igra", Main, None), (14, "flare", Main, None),
    (42220, "celo", Main, Some(1000)), (11_142_220, "celo-sepolia", Test, Some(1000)),
    (1329, "sei", Main, None), (1328, "sei-testnet", Test, None),
    (31337, "local", Test, None),
];

/// The words of a chain; of one that nobody listed, only those of the namespace.
pub(crate) fn words(chain: &str) -> NetworkWords {
    let known = chain.parse().ok().and_then(|id: u64| CHAINS.iter().find(|row| row.0 == id));
    match known {
        Some((_, name, realm, pace)) => {
            let words = NetworkWords::named([EVERYDAY, name]).realm(*realm);
            pace.map(Duration::from_millis).into_iter().fold(words, NetworkWords::pace)
        }
        None => NetworkWords::named([EVERYDAY]),
    }
}

/// All of them, with these tickers.
pub(crate) fn vocabulary(symbols: impl IntoIterator<Item = &'static str>) -> Vocabulary {
    Vocabulary::new(CHAINS.iter().map(|row| row.1).chain([EVERYDAY]), symbols)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_chain_has_one_name_and_every_name_one_chain() {
        let ids: BTreeSet<_> = CHAINS.iter().map(|row| row.0).collect();
        let names: BTreeSet<_> = CHAINS.iter().map(|row| row.1).collect();
        assert_eq!((ids.len(), names.len()), (CHAINS.len(), CHAINS.len()));
        assert!(names.iter().all(|name| name.bytes().all(|b| b.is_ascii_lowercase() || b == b'-')));
    }

    #[test]
    fn every_chain_with_a_dollar_says_whether_it_is_real() {
        for chain in crate::assets::chains() {
            assert!(words(&chain.to_string()).realm.is_some(), "{chain}");
        }
    }

    #[test]
    fn an_unknown_chain_is_neither() {
        assert_eq!(words("424242"), NetworkWords::named(["evm"]));
        assert_eq!(words("base"), NetworkWords::named(["evm"]));
    }
}
