//! The tokens a dollar price means on each known cluster, and the token program of each.
//!
//! Entry 0 of a cluster is its dollar. The program is what the mint account's owner must be; clients and facilitators
//! hold the chain to it.

use crate::address::parse_address;
use crate::programs::{TOKEN, TOKEN_2022};
use solana_pubkey::Pubkey;
use std::time::Duration;
use tollway_core::{Asset, NetworkWords, Realm, Vocabulary};

/// First 32 base58 characters of each cluster's genesis hash.
pub(crate) const MAINNET: &str = "5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp";
pub(crate) const DEVNET: &str = "EtWTRABZaYq6iMfeYKouRu166VU2xqa1";
pub(crate) const TESTNET: &str = "4uhcVJyU9pJkvQyS88uRDiswHXSCkY3z";

/// A token with what offers do not carry.
#[derive(Debug, Clone)]
pub(crate) struct Token {
    pub(crate) asset: Asset,
    pub(crate) mint: Pubkey,
    /// The token program, where it is known beforehand.
    pub(crate) program: Option<Pubkey>,
    /// Whether it is of the table below: an issuer whose powers over the token are public, and accepted.
    pub(crate) listed: bool,
}

/// Mint, ticker, token program. All have 6 decimals.
type Row = (&'static str, &'static str, Pubkey);

#[rustfmt::skip]
const ON_MAINNET: &[Row] = &[
    ("EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v", "USDC", TOKEN),
    ("Es9vMFrzaCERmJfrF4H2FYD4KCoNkY11McCe8BenwNYB", "USDT", TOKEN),
    ("2u1tszSeqZ3qBWF3uNGPFc8TzMk2tdiwknnRMWGWjGWH", "USDG", TOKEN_2022),
    ("2b1kV6DkPAnxd5ixfnxCpjxmKwqjjaYmCZfHsFu24GXo", "PYUSD", TOKEN_2022),
    ("CASHx9KJUStyftLFWGvEVf59SGeG9sh5FfcnZMVPCASH", "CASH", TOKEN_2022),
];

#[rustfmt::skip]
const ON_TEST_CLUSTERS: &[Row] = &[
    ("4zMMC9srt5Ri5X14GAgXhaHii3GnPAEERYPJgZJDncDU", "USDC", TOKEN),
    ("4F6PM96JJxngmHnZLBh9n58RH4aTVNWvDs2nuwrT5BP7", "USDG", TOKEN_2022),
    ("CXk2AMBfi3TwaEL2468s6zP8xq9NxTXjp9gjMgzeUynM", "PYUSD", TOKEN_2022),
];

/// The known tokens of a cluster, its dollar first; empty for a cluster nobody listed.
pub(crate) fn known(genesis: &str) -> Vec<Token> {
    let rows = match genesis {
        MAINNET => ON_MAINNET,
        DEVNET | TESTNET => ON_TEST_CLUSTERS,
        _ => &[],
    };
    let token = |(mint, symbol, program): &Row| {
        let asset = Asset::new(*mint, *symbol, 6).dollar();
        Some(Token { asset, mint: parse_address(mint)?, program: Some(*program), listed: true })
    };
    rows.iter().filter_map(token).collect()
}

/// What people call a cluster, and whether what is paid there is worth anything.
pub(crate) fn words(genesis: &str) -> NetworkWords {
    // Confirmed by two thirds of the stake in about half a second.
    let words = |name| NetworkWords::named([name]).pace(Duration::from_millis(500));
    match genesis {
        MAINNET => words("solana-mainnet").realm(Realm::Mainnet),
        DEVNET => words("solana-devnet").realm(Realm::Testnet),
        TESTNET => words("solana-testnet").realm(Realm::Testnet),
        _ => NetworkWords::default(),
    }
}

/// All of them, and every ticker above.
pub(crate) fn vocabulary() -> Vocabulary {
    let names = ["solana-mainnet", "solana-devnet", "solana-testnet"];
    Vocabulary::new(names, ON_MAINNET.iter().chain(ON_TEST_CLUSTERS).map(|row| row.1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_the_reference_implementations() {
        let golden = tollway_testkit::golden::vectors::default_assets();
        let networks = golden["svm"].as_object().unwrap();
        assert_eq!(networks.len(), 3);
        for (network, entries) in networks {
            let ours = known(network.strip_prefix("solana:").unwrap());
            let entries = entries.as_array().unwrap();
            assert_eq!(ours.len(), entries.len(), "{network}");
            for (token, entry) in ours.iter().zip(entries) {
                assert_eq!(token.asset.address, entry["asset"].as_str().unwrap());
                assert_eq!(token.asset.symbol, entry["symbol"].as_str().unwrap());
                assert_eq!(Some(u64::from(token.asset.decimals)), entry["decimals"].as_u64());
                assert_eq!(token.program.unwrap().to_string(), entry["tokenProgram"].as_str().unwrap());
                assert!(token.asset.extra.is_empty());
            }
        }
    }

    #[test]
    fn clusters_say_whether_they_are_real() {
        for (genesis, realm) in [(MAINNET, Realm::Mainnet), (DEVNET, Realm::Testnet), (TESTNET, Realm::Testnet)] {
            let words = words(genesis);
            assert_eq!(words.realm, Some(realm));
            assert!(vocabulary().names.contains(&words.names[0]));
        }
        assert_eq!(words("11111111111111111111111111111111").realm, None);
    }

    #[test]
    fn an_unknown_cluster_has_no_assets() {
        assert!(known("11111111111111111111111111111111").is_empty());
    }
}
