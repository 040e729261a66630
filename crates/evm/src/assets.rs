//! The tokens a dollar price means on each known chain, with what their offers carry.
//!
//! Entry 0 of a chain is its dollar. Names and versions are those of the tokens' EIP-712 domains, which a client holds
//! offers to: they differ from chain to chain even for one issuer.

use tollway_core::{Asset, NetworkId};

/// The member of `extra` that names the transfer method; absent means EIP-3009.
pub(crate) const METHOD: &str = "assetTransferMethod";
/// The name of the transfer method that is not written on the wire.
pub(crate) const EIP3009: &str = "eip3009";

/// How a token is paid with.
enum Method {
    /// `transferWithAuthorization`.
    Eip3009,
    /// Permit2, whose allowance a signature (EIP-2612) can give.
    Permit2,
    /// Permit2, whose allowance only a transaction can give.
    Permit2Approve,
}
use Method::{Eip3009, Permit2, Permit2Approve};

/// Chain id, address, EIP-712 name and version, decimals, ticker, method.
type Row = (u64, &'static str, &'static str, &'static str, u8, &'static str, Method);

/// In the order of the specification's table; of one chain's, the first is its dollar.
#[rustfmt::skip]
const TABLE: &[Row] = &[
    (1, "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48", "USD Coin", "2", 6, "USDC", Eip3009), // Ethereum
    (8453, "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913", "USD Coin", "2", 6, "USDC", Eip3009), // Base
    (84532, "0x036CbD53842c5426634e7929541eC2318f3dCF7e", "USDC", "2", 6, "USDC", Eip3009), // Base Sepolia
    (43114, "0xB97EF9Ef8734C71904D8002F8b6Bc66Dd9c48a6E", "USD Coin", "2", 6, "USDC", Eip3009), // Avalanche
    (137, "0x3c499c542cEF5E3811e1192ce70d8cC03d5c3359", "USD Coin", "2", 6, "USDC", Eip3009), // Polygon
    (42161, "0xaf88d065e77c8cC2239327C5EDb3A432268e5831", "USD Coin", "2", 6, "USDC", Eip3009), // Arbitrum
    (421_614, "0x75faf114eafb1BDbe2F0316DF893fd58CE46AA4d", "USD Coin", "2", 6, "USDC", Eip3009), // Arbitrum Sepolia
    (4326, "0xFAfDdbb3FC7688494971a79cc65DCa3EF82079E7", "MegaUSD", "1", 18, "MegaUSD", Permit2), // MegaETH
    (143, "0x754704Bc059F8C67012fEd69BC8A327a5aafb603", "USDC", "2", 6, "USDC", Eip3009), // Monad
    (988, "0x779Ded0c9e1022225f8E0630b35a9b54bE713736", "USDT0", "1", 6, "USDT0", Eip3009), // Stable
    (2201, "0x78Cf24370174180738C5B8E352B6D14c83a6c9A9", "USDT0", "1", 6, "USDT0", Eip3009), // Stable testnet
    (31612, "0xdD468A1DDc392dcdbEf6db6e34E89AA338F9F186", "Mezo USD", "1", 18, "mUSD", Permit2), // Mezo
    (31611, "0x118917a40FAF1CD7a13dB0Ef56C86De7973Ac503", "Mezo USD", "1", 18, "mUSD", Permit2), // Mezo testnet
    (723_487, "0x33ad9e4BD16B69B5BFdED37D8B5D9fF9aba014Fb", "Stable Coin", "1", 6, "SBC", Permit2), // Radius
    (72344, "0x33ad9e4BD16B69B5BFdED37D8B5D9fF9aba014Fb", "Stable Coin", "1", 6, "SBC", Permit2), // Radius testnet
    (36900, "0x9cb8142aEBBcdc60AF7c97Af897A67A8f3CA71C2", "USDC.e", "2", 6, "USDC.e", Eip3009), // ADI
    (190_415, "0x401eCb1D350407f13ba348573E5630B83638E30D", "Bridged USDC", "2", 6, "USDC.e", Eip3009), // HPP
    (181_228, "0x401eCb1D350407f13ba348573E5630B83638E30D", "Bridged USDC", "2", 6, "USDC.e", Eip3009), // HPP Sepolia
    (50, "0xfA2958CB79b0491CC627c1557F441eF849Ca8eb1", "USDC", "2", 6, "USDC", Eip3009), // XDC
    (51, "0xb5AB69F7bBada22B28e79C8FFAECe55eF1c771D4", "USDC", "2", 6, "USDC", Eip3009), // XDC Apothem
    (38833, "0xA5b8BF902b2844dA17d4506cc827F7F1681735E7", "USDC", "1", 6, "USDC", Permit2Approve), // Igra
    (14, "0xe7cd86e13AC4309349F30B3435a9d337750fC82D", "USD\u{20ae}0", "1", 6, "USDT0", Eip3009), // Flare
    (42220, "0xcebA9300f2b948710d2653dD7B07f33A8B32118C", "USDC", "2", 6, "USDC", Eip3009), // Celo
    (42220, "0x48065fbBE25f71C9282ddf5e1cD6D6A887483D5e", "Tether USD", "1", 6, "USDT", Eip3009),
    (42220, "0xD2ab3C9A02DBBAB236BfEC45D1d755DF4267F771", "Tether America USD", "1", 6, "USAT", Eip3009),
    (11_142_220, "0x01C5C0122039549AD1493B8220cABEdD739BC44E", "USDC", "2", 6, "USDC", Eip3009), // Celo Sepolia
    (1329, "0xe15fC38F6D8c56aF07bbCBe3BAf5708A2Bf42392", "USDC", "2", 6, "USDC", Eip3009), // Sei
    (1328, "0x4fCF1784B31630811181f670Aea7A7bEF803eaED", "USDC", "2", 6, "USDC", Eip3009), // Sei testnet
];

/// The networks of which tokens are known without any configuration.
pub fn known_networks() -> Vec<NetworkId> {
    let mut chains: Vec<u64> = TABLE.iter().map(|row| row.0).collect();
    // One chain's rows are beside each other.
    chains.dedup();
    chains.iter().filter_map(|chain| format!("eip155:{chain}").parse().ok()).collect()
}

/// The known tokens of a chain, its dollar first; empty for a chain nobody listed.
pub(crate) fn known(chain: u64) -> Vec<Asset> {
    TABLE.iter().filter(|row| row.0 == chain).map(asset).collect()
}

/// Every ticker of the table.
pub(crate) fn symbols() -> impl Iterator<Item = &'static str> {
    TABLE.iter().map(|row| row.5)
}

/// Every chain of the table.
#[cfg(test)]
pub(crate) fn chains() -> impl Iterator<Item = u64> {
    TABLE.iter().map(|row| row.0)
}

fn asset((_, address, name, version, decimals, symbol, method): &Row) -> Asset {
    let asset = Asset::new(*address, *symbol, *decimals).dollar();
    let named = |asset: Asset| asset.with_extra("name", *name).with_extra("version", *version);
    match method {
        Eip3009 => named(asset),
        Permit2 => named(asset.with_extra(METHOD, "permit2")),
        // Without EIP-2612 nothing is ever signed in the token's own domain.
        Permit2Approve => asset.with_extra(METHOD, "permit2"),
    }
}

/// How an asset's offers are paid.
pub(crate) fn method(asset: &Asset) -> &str {
    text(asset, METHOD).unwrap_or(EIP3009)
}

/// A text an asset's offers carry.
pub(crate) fn text<'a>(asset: &'a Asset, member: &str) -> Option<&'a str> {
    asset.extra.get(member)?.as_str()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_table_is_the_reference_implementations() {
        let golden = tollway_testkit::golden::vectors::default_assets();
        let networks = golden["evm"].as_object().unwrap();
        let listed: BTreeSet<String> = TABLE.iter().map(|row| format!("eip155:{}", row.0)).collect();
        assert_eq!(listed, networks.keys().cloned().collect::<BTreeSet<_>>());
        for (network, entries) in networks {
            let ours = known(network.strip_prefix("eip155:").unwrap().parse().unwrap());
            let entries = entries.as_array().unwrap();
            assert_eq!(ours.len(), entries.len(), "{network}");
            for (asset, entry) in ours.iter().zip(entries) {
                assert_eq!(asset.address, entry["asset"].as_str().unwrap(), "{network}");
                assert_eq!(asset.symbol, entry["symbol"].as_str().unwrap(), "{network}");
                assert_eq!(Some(u64::from(asset.decimals)), entry["decimals"].as_u64(), "{network}");
                let theirs = entry["assetTransferMethod"].as_str();
                assert_eq!(text(asset, METHOD), theirs, "{network}");
                let named = theirs.is_none() || entry["supportsEip2612"] == true;
                for member in ["name", "version"] {
                    assert_eq!(text(asset, member), entry[member].as_str().filter(|_| named), "{network} {member}");
                }
            }
        }
    }

    #[test]
    fn every_network_is_known_once() {
        let networks = known_networks();
        assert_eq!(networks.len(), networks.iter().collect::<BTreeSet<_>>().len());
        assert_eq!(networks.len(), TABLE.iter().map(|row| row.0).collect::<BTreeSet<_>>().len());
    }

    #[test]
    fn addresses_carry_their_checksum() {
        for row in TABLE {
            assert_eq!(crate::address::parse_address(row.1).unwrap().to_checksum(None), row.1);
        }
    }

    #[test]
    fn an_unknown_chain_has_no_assets() {
        assert!(known(31337).is_empty());
    }
}
