//! [`Transfer`]: what the payer of an EIP-3009 transfer signs, for whoever pays by hand.

use alloy::primitives::{Address, B256, Bytes, U256};
use alloy::sol_types::{Eip712Domain, SolStruct as _, SolValue as _};

mod signed {
    alloy::sol! {
        struct TransferWithAuthorization {
            address from;
            address to;
            uint256 value;
            uint256 validAfter;
            uint256 validBefore;
            bytes32 nonce;
        }
    }
}

/// The six members of a `transferWithAuthorization`. Sign its digest with
/// [`DevAccount::sign`](crate::accounts::DevAccount::sign).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// Who pays.
    pub from: Address,
    /// Who is paid.
    pub to: Address,
    /// The token's smallest units.
    pub value: U256,
    /// Unix seconds; good later than this.
    pub valid_after: U256,
    /// Unix seconds; good earlier than this.
    pub valid_before: U256,
    /// What makes it this one.
    pub nonce: B256,
}

impl Transfer {
    /// Its EIP-712 digest for a token with such a domain.
    #[must_use]
    pub fn digest(&self, chain_id: u64, token: Address, name: &str, version: &str) -> B256 {
        let (name, version) = (name.to_owned().into(), version.to_owned().into());
        let domain = Eip712Domain::new(Some(name), Some(version), Some(U256::from(chain_id)), Some(token), None);
        let Self { from, to, value, valid_after, valid_before, nonce } = self.clone();
        let (after, before) = (valid_after, valid_before);
        signed::TransferWithAuthorization { from, to, value, validAfter: after, validBefore: before, nonce }
            .eip712_signing_hash(&domain)
    }
}

/// The signature of a contract wallet that does not exist yet, with the call of its factory that makes it (ERC-6492).
#[must_use]
pub fn wrapped(factory: Address, call: &[u8], signature: &[u8]) -> Vec<u8> {
    let parts = (factory, Bytes::copy_from_slice(call), Bytes::copy_from_slice(signature));
    [parts.abi_encode_params(), [0x64, 0x92].repeat(16)].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accounts::{CLIENT, PAY_TO};
    use crate::contracts::addresses::USDC;
    use alloy::primitives::b256;

    #[test]
    fn a_digest_is_that_of_the_published_vector() {
        let transfer = Transfer {
            from: CLIENT.address,
            to: "0x209693Bc6afc0C5328bA36FaF03C514EF312287C".parse().unwrap(),
            value: U256::from(10_000),
            valid_after: U256::ZERO,
            valid_before: U256::from(1_900_000_000),
            nonce: B256::repeat_byte(0x11),
        };
        let digest = transfer.digest(84532, USDC, "USDC", "2");
        assert_eq!(digest, b256!("c72535830abf1dc4187193153665b256d688829ccda7ee169f8821f653253119"));
        assert_eq!(CLIENT.sign(&digest)[64], 28);
        assert_ne!(digest, Transfer { to: PAY_TO.address, ..transfer }.digest(84532, USDC, "USDC", "2"));
    }
}
