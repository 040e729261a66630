//! The named development accounts.
//!
//! **Their keys are published: they are the well-known accounts of every local development chain. Never send them
//! anything of worth on a chain that is not this one.**

use std::fmt;

use alloy::primitives::{Address, B256, address, b256};
use alloy::signers::SignerSync as _;
use alloy::signers::local::PrivateKeySigner;

/// An account whose key everybody knows.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct DevAccount {
    /// The role it plays, such as `client`.
    pub name: &'static str,
    /// Where it is.
    pub address: Address,
    key: B256,
}

impl DevAccount {
    /// A signer with this account's key.
    #[must_use]
    pub fn signer(&self) -> PrivateKeySigner {
        PrivateKeySigner::from_bytes(&self.key).expect("a test checks every key of the table")
    }

    /// Signs a digest: `r`, `s` and `v`, which is 27 or 28.
    #[must_use]
    pub fn sign(&self, digest: &B256) -> [u8; 65] {
        self.signer().sign_hash_sync(digest).expect("a key in memory always signs").as_bytes()
    }

    /// The key itself, for tools that take one on their command line.
    #[must_use]
    pub const fn private_key(&self) -> B256 {
        self.key
    }

    /// The account with this name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        ACCOUNTS.iter().find(|account| account.name == name).copied()
    }
}

/// Without the key: published or not, habits matter.
impl fmt::Debug for DevAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DevAccount").field("name", &self.name).field("address", &self.address).finish_non_exhaustive()
    }
}

const fn account(name: &'static str, address: Address, key: B256) -> DevAccount {
    DevAccount { name, address, key }
}

/// Sends transactions and pays gas. Has ether.
pub const FACILITATOR: DevAccount = account(
    "facilitator",
    address!("0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"),
    b256!("0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"),
);

/// The usual payer. Has ether, both tokens, and an unlimited allowance for Permit2 in USDC.
pub const CLIENT: DevAccount = account(
    "client",
    address!("0x70997970C51812dc3A010C7d01b50e0d17dc79C8"),
    b256!("0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d"),
);

/// The usual payee. Has nothing at first, so that its balance is what it earned.
pub const PAY_TO: DevAccount = account(
    "payTo",
    address!("0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC"),
    b256!("0x5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a"),
);

/// Has nothing and never will.
pub const POOR: DevAccount = account(
    "poor",
    address!("0x90F79bf6EB2c4f870365E785982E1f101E93b906"),
    b256!("0x7c852118294e51e653712a81e05800f419141751be58f605c371e15141b007a6"),
);

/// Has USDC but no ether and no allowance: can approve Permit2 only by an EIP-2612 permit.
pub const FRESH_2612: DevAccount = account(
    "fresh2612",
    address!("0x15d34AAf54267DB7D7c367839AAf71A00a2C6A65"),
    b256!("0x47e179ec197488593b187f80a00eb0da91f1b9d0b13f8733639f19c30a34926a"),
);

/// Has the plain token and a little ether for its first approval.
pub const FRESH_ERC20: DevAccount = account(
    "freshErc20",
    address!("0x9965507D1a55bcC2695C58ba16FB37d819B0A4dc"),
    b256!("0x8b3a350cf5c34c9194ca85829a2df0ec3153be0318b5e2d3348e872092edffba"),
);

/// Has USDC but no ether and no allowance, like `fresh2612`.
pub const FRESH_UPTO: DevAccount = account(
    "freshUpto",
    address!("0x976EA74026E726554dB657fA54763abd0C3a0aa9"),
    b256!("0x92db14e403b83dfe3df233f83dfa3a0d7096f21ca9b0d6d6b8d88b2b4ec1564e"),
);

/// Has USDC and ether, and is meant never to approve Permit2.
pub const NO_ALLOWANCE: DevAccount = account(
    "noAllowance",
    address!("0x14dC79964da2C08b23698B3D3cc7Ca32193d9955"),
    b256!("0x4bbbf85ce3377467afe5d46f804f221813b2bb87f24d81f60f1fcdbf7cbf4356"),
);

/// Has ether. Owns the contract wallet; otherwise the third party who meddles.
pub const STRANGER: DevAccount = account(
    "stranger",
    address!("0x23618e81E3f5cdF7f54C3d65f7FBc0aBf5B21E8f"),
    b256!("0xdbda1821b80551c9d65939329250298aa3472ba22feea921c0cf5d620ea67b97"),
);

/// Has ether, for deploying contracts and for funding others.
pub const DEPLOYER: DevAccount = account(
    "deployer",
    address!("0xa0Ee7A142d267C1f36714E4a8F75612F20a79720"),
    b256!("0x2a871d0798f97d79848a013d4936a73bf4cc922c825d33c1cf7073dff6d409c6"),
);

/// All of them.
pub const ACCOUNTS: [DevAccount; 10] =
    [FACILITATOR, CLIENT, PAY_TO, POOR, FRESH_2612, FRESH_ERC20, FRESH_UPTO, NO_ALLOWANCE, STRANGER, DEPLOYER];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_belongs_to_its_address() {
        for account in ACCOUNTS {
            assert_eq!(account.signer().address(), account.address, "{}", account.name);
            assert_eq!(DevAccount::by_name(account.name), Some(account));
        }
    }

    #[test]
    fn debug_tells_no_key() {
        let shown = format!("{:?} {:?}", CLIENT, CLIENT.signer());
        assert!(!shown.contains("59c6995e"), "{shown}");
    }
}
