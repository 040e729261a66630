//! The named development accounts.
//!
//! **Their keys are published. Never send them anything of worth on a chain that is not this one.**

use std::fmt;

use solana_keypair::Keypair;
use solana_pubkey::Pubkey;

/// An account whose key everybody knows.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct DevAccount {
    /// The role it plays, such as `client`.
    pub name: &'static str,
    /// Where it is.
    pub address: Pubkey,
    seed: &'static str,
}

impl DevAccount {
    /// Its key.
    #[must_use]
    pub fn keypair(&self) -> Keypair {
        let mut seed = [0; 32];
        for (byte, digits) in seed.iter_mut().zip(self.seed.as_bytes().chunks(2)) {
            let digit = |at: usize| char::from(digits[at]).to_digit(16).expect("a test checks every seed of the table");
            *byte = (digit(0) * 16 + digit(1)) as u8;
        }
        Keypair::new_from_array(seed)
    }

    /// The seed of its key in hexadecimal, for tools that take one.
    #[must_use]
    pub const fn seed_hex(&self) -> &'static str {
        self.seed
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

const fn account(name: &'static str, address: &'static str, seed: &'static str) -> DevAccount {
    DevAccount { name, address: Pubkey::from_str_const(address), seed }
}

/// Pays fees. Has SOL.
pub const FACILITATOR: DevAccount = account(
    "facilitator",
    "GGYWSW4X8JEWMH8uz3CokSSGyPAwCLEXtYaz4paCdDdM",
    "0fb4d5af8f14994adf2ee40ff085d378f37f25087ae8d3f23a12efc06519d6ea",
);

/// The usual payer. Has SOL and both tokens.
pub const CLIENT: DevAccount = account(
    "client",
    "F5VXWaBNSv1khZWE1wwCusDZ7o9hp8Nsii9R2j24xuKs",
    "f5ad2a9a826cebc50f7c12f81d9e02bfb0360ac1df7a1e73746e41943b19be18",
);

/// Is paid. Has empty token accounts.
pub const PAY_TO: DevAccount = account(
    "payTo",
    "HzQEyvJr4YZqj6Ga52JBkT7HncThepogpRPjKMTNSxAH",
    "5491200c53b66087fb1e9ef14db2deeb0127a06a8353aa35a56cab9aa0065c32",
);

/// Has empty token accounts and nothing else.
pub const POOR: DevAccount = account(
    "poor",
    "ByXjVUP3m21tpDBs6qyifab27rHJ2FBwEy7Jqyc7N4m7",
    "83ab8f8039a21a11c8027b28cbb4c5b02d10b7b65738a1fb8d33e8a01dee9ad3",
);

/// Meddles. Has SOL and no token account.
pub const STRANGER: DevAccount = account(
    "stranger",
    "4pe5xt1u713tjoBo4W2fQyyhcqmMwyFNKdn7o8fW1NNN",
    "bccb58eaf70354ca03812c022ced8528596a7bb51a9e5a21fea3f90a8d4deb0a",
);

/// Every account above.
pub const ACCOUNTS: [DevAccount; 5] = [FACILITATOR, CLIENT, PAY_TO, POOR, STRANGER];

#[cfg(test)]
mod tests {
    use super::*;
    use solana_keypair::Signer as _;

    #[test]
    fn every_seed_gives_its_address() {
        for account in ACCOUNTS {
            assert_eq!(account.keypair().pubkey(), account.address, "{}", account.name);
            assert_eq!(DevAccount::by_name(account.name), Some(account));
            assert!(!format!("{account:?}").contains(&account.seed[..8]));
        }
    }
}
