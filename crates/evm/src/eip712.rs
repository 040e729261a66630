//! EIP-712 digests of `TransferWithAuthorization` (EIP-3009) with cached domain separators.

use alloy::primitives::{Address, B256, U256, b256, keccak256};
use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

/// Hash of `EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)`.
const DOMAIN_TYPE: B256 = b256!("8b73c3c69bb8fe3d512ecc4cf759cc79239f7b179b0ffacaa9a75d522b39400f");
/// Hash of `TransferWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,
/// bytes32 nonce)`.
const TRANSFER_TYPE: B256 = b256!("7c7c6cdb67a18743f49ec6fa9b35f50d52ed05cbed4cc592e13b44501c1a2267");

/// Most assets the cache remembers, and most domains of one asset. Strangers can make up both, so both are bounded.
const MOST_ASSETS: usize = 1024;
const MOST_DOMAINS: usize = 4;
/// Longest name or version worth remembering, in bytes.
const LONGEST_TEXT: usize = 64;

/// The six signed members of an EIP-3009 transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Transfer {
    pub(crate) from: Address,
    pub(crate) to: Address,
    pub(crate) value: U256,
    pub(crate) valid_after: U256,
    pub(crate) valid_before: U256,
    pub(crate) nonce: B256,
}

impl Transfer {
    /// The struct hash of EIP-712.
    pub(crate) fn struct_hash(&self) -> B256 {
        let mut words = [0; 7 * 32];
        let parts = [
            TRANSFER_TYPE,
            self.from.into_word(),
            self.to.into_word(),
            self.value.into(),
            self.valid_after.into(),
            self.valid_before.into(),
            self.nonce,
        ];
        for (word, part) in words.chunks_exact_mut(32).zip(parts) {
            word.copy_from_slice(part.as_slice());
        }
        keccak256(words)
    }

    /// What the payer signs for a token whose domain has this separator.
    pub(crate) fn digest(&self, separator: &B256) -> B256 {
        let mut text = [0; 66];
        text[..2].copy_from_slice(&[0x19, 0x01]);
        text[2..34].copy_from_slice(separator.as_slice());
        text[34..].copy_from_slice(self.struct_hash().as_slice());
        keccak256(text)
    }
}

/// A domain's name, version and separator.
type Domain = (Box<str>, Box<str>, B256);

/// The domain separators of one chain's tokens. The chain's id comes from the configuration and the contract from the
/// server's own offer, never from the payment.
#[derive(Debug)]
pub(crate) struct Domains {
    chain: u64,
    known: RwLock<HashMap<Address, Vec<Domain>>>,
}

impl Domains {
    pub(crate) fn new(chain: u64) -> Self {
        Self { chain, known: RwLock::default() }
    }

    /// The chain's id.
    pub(crate) fn chain(&self) -> u64 {
        self.chain
    }

    /// The separator of the token at `asset` under a name and a version.
    pub(crate) fn separator(&self, asset: Address, name: &str, version: &str) -> B256 {
        let same = |domain: &&Domain| *domain.0 == *name && *domain.1 == *version;
        {
            let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
            if let Some((_, _, separator)) = known.get(&asset).and_then(|domains| domains.iter().find(same)) {
                return *separator;
            }
        }
        let separator = self.compute(asset, name, version);
        if name.len() <= LONGEST_TEXT && version.len() <= LONGEST_TEXT {
            let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
            if known.len() >= MOST_ASSETS && !known.contains_key(&asset) {
                known.clear();
            }
            let domains = known.entry(asset).or_default();
            if domains.len() >= MOST_DOMAINS {
                domains.clear();
            }
            domains.push((name.into(), version.into(), separator));
        }
        separator
    }

    fn compute(&self, asset: Address, name: &str, version: &str) -> B256 {
        let parts =
            [DOMAIN_TYPE, keccak256(name), keccak256(version), U256::from(self.chain).into(), asset.into_word()];
        keccak256(parts.concat())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test::{GOLDEN_NONCE, golden_flow, vector_a1};
    use alloy::primitives::address;

    const USDC: Address = address!("036CbD53842c5426634e7929541eC2318f3dCF7e");

    #[test]
    fn type_hashes_are_those_of_their_texts() {
        let domain = "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)";
        assert_eq!(DOMAIN_TYPE, keccak256(domain));
        let transfer = "TransferWithAuthorization(address from,address to,uint256 value,uint256 validAfter,\
                        uint256 validBefore,bytes32 nonce)";
        assert_eq!(TRANSFER_TYPE, keccak256(transfer));
    }

    #[test]
    fn the_specification_vector_has_its_digest() {
        let separator = Domains::new(84532).separator(USDC, "USDC", "2");
        let digest = b256!("c72535830abf1dc4187193153665b256d688829ccda7ee169f8821f653253119");
        assert_eq!(vector_a1().digest(&separator), digest);
    }

    #[test]
    fn the_golden_flow_has_its_hashes() {
        let flow = golden_flow();
        let hash = |name: &str| flow["eip712"][name].as_str().unwrap().parse::<B256>().unwrap();
        let message = &flow["eip712"]["message"];
        let text = |name: &str| message[name].as_str().unwrap();
        let transfer = Transfer {
            from: text("from").parse().unwrap(),
            to: text("to").parse().unwrap(),
            value: text("value").parse().unwrap(),
            valid_after: text("validAfter").parse().unwrap(),
            valid_before: text("validBefore").parse().unwrap(),
            nonce: GOLDEN_NONCE,
        };
        let separator = Domains::new(84532).separator(USDC, "USDC", "2");
        assert_eq!(separator, hash("domainSeparator"));
        assert_eq!(transfer.struct_hash(), hash("structHash"));
        assert_eq!(transfer.digest(&separator), hash("digest"));
    }

    #[test]
    fn every_member_of_domain_and_message_changes_the_digest() {
        let domains = Domains::new(84532);
        let plain = vector_a1();
        let digest = plain.digest(&domains.separator(USDC, "USDC", "2"));
        let one = U256::from(1);
        let other = [
            Transfer { from: USDC, ..plain },
            Transfer { to: USDC, ..plain },
            Transfer { value: plain.value + one, ..plain },
            Transfer { valid_after: plain.valid_after + one, ..plain },
            Transfer { valid_before: plain.valid_before + one, ..plain },
            Transfer { nonce: B256::ZERO, ..plain },
        ];
        for transfer in other {
            assert_ne!(transfer.digest(&domains.separator(USDC, "USDC", "2")), digest);
        }
        for separator in [
            domains.separator(USDC, "USD Coin", "2"),
            domains.separator(USDC, "USDC", "1"),
            domains.separator(Address::ZERO, "USDC", "2"),
            Domains::new(8453).separator(USDC, "USDC", "2"),
        ] {
            assert_ne!(plain.digest(&separator), digest);
        }
    }

    #[test]
    fn strangers_cannot_fill_the_cache() {
        let domains = Domains::new(1);
        for i in 0..3000u32 {
            let bytes = keccak256(i.to_be_bytes());
            domains.separator(Address::from_word(bytes), "name", "1");
            domains.separator(USDC, &i.to_string(), "1");
        }
        domains.separator(USDC, &"n".repeat(10_000), "1");
        let known = domains.known.read().unwrap();
        assert!(known.len() <= MOST_ASSETS);
        assert!(known.values().all(|domains| domains.len() <= MOST_DOMAINS));
        assert!(known.values().flatten().all(|(name, ..)| name.len() <= LONGEST_TEXT));
    }
}
