//! Setting a chain up.

use std::fmt;
use std::time::Duration;

use solana_hash::Hash;
use solana_pubkey::Pubkey;

use super::accounts::{CLIENT, FACILITATOR, PAY_TO, POOR, STRANGER};
use super::chain::Chain;
use super::devnet::Devnet;
use super::error::DevnetError;
use super::token::{PYUSD, Token, USDC};

/// The genesis hash of Solana's devnet, of which the network id `solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1` is the
/// beginning.
const DEVNET_GENESIS: &str = "EtWTRABZaYq6iMfeYKouRu166VU2xqa1wcaWoxPkrZBG";
/// Lamports in a SOL.
const SOL: u64 = 1_000_000_000;
/// What the client has of each token: a million, at six decimals.
const MILLION: u64 = 1_000_000_000_000;

/// When slots pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Slots {
    /// Each transaction ends its slot and is final at once. Nothing expires by itself.
    #[default]
    PerTransaction,
    /// One passes so often; 400 ms is the network's own pace. A transaction is confirmed in the slot after its own.
    Every(Duration),
    /// Only when [`Devnet::advance`] says so.
    Manual,
}

/// Sets a chain up. What is not set is as on Solana's devnet, with the named accounts funded.
#[must_use]
pub struct DevnetBuilder {
    genesis: String,
    blockhash: Option<Hash>,
    slots: Slots,
    confirmed_after: Option<Duration>,
    tokens: Vec<(Pubkey, Token)>,
    balances: Vec<(Pubkey, Pubkey, u64)>,
    lamports: Vec<(Pubkey, u64)>,
}

impl Default for DevnetBuilder {
    fn default() -> Self {
        let mints = [(USDC, Token::new(6)), (PYUSD, Token::new_2022(6))];
        let held = |mint| [(CLIENT.address, mint, MILLION), (PAY_TO.address, mint, 0), (POOR.address, mint, 0)];
        Self {
            genesis: DEVNET_GENESIS.to_owned(),
            blockhash: None,
            slots: Slots::default(),
            confirmed_after: None,
            tokens: mints.into(),
            balances: [held(USDC), held(PYUSD)].concat(),
            lamports: [(FACILITATOR, 100), (CLIENT, 10), (STRANGER, 10)]
                .map(|(account, sol)| (account.address, sol * SOL))
                .into(),
        }
    }
}

impl fmt::Debug for DevnetBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DevnetBuilder")
            .field("genesis", &self.genesis)
            .field("slots", &self.slots)
            .finish_non_exhaustive()
    }
}

impl DevnetBuilder {
    /// The genesis hash, whose first 32 characters are the reference of the network's CAIP-2 id.
    pub fn genesis_hash(mut self, hash: impl Into<String>) -> Self {
        self.genesis = hash.into();
        self
    }

    /// The blockhash the chain begins with, so that transactions recorded elsewhere run on it.
    pub fn blockhash(mut self, first: Hash) -> Self {
        self.blockhash = Some(first);
        self
    }

    /// When slots pass; with each transaction where not set.
    pub fn slots(mut self, slots: Slots) -> Self {
        self.slots = slots;
        self
    }

    /// A transaction is confirmed, and final, so long after it ran, by the machine's clock and whatever the slots do: for
    /// measuring how soon a confirmation is noticed.
    pub fn confirmed_after(mut self, time: Duration) -> Self {
        self.confirmed_after = Some(time);
        self
    }

    /// Places a token; one at the same mint is replaced.
    pub fn token(mut self, mint: Pubkey, token: Token) -> Self {
        self.tokens.push((mint, token));
        self
    }

    /// Gives a wallet an associated token account with so many atomic units.
    pub fn token_balance(mut self, owner: Pubkey, mint: Pubkey, amount: u64) -> Self {
        self.balances.push((owner, mint, amount));
        self
    }

    /// Gives a wallet so many lamports.
    pub fn lamports(mut self, wallet: Pubkey, lamports: u64) -> Self {
        self.lamports.push((wallet, lamports));
        self
    }

    /// Makes the first block.
    ///
    /// # Errors
    /// A balance is of a mint that is not there, or the thread that lets slots pass cannot be had.
    pub fn build(self) -> Result<Devnet, DevnetError> {
        let mut chain = Chain::new(self.genesis, self.blockhash, self.slots == Slots::PerTransaction);
        chain.confirmed_after = self.confirmed_after;
        let devnet = Devnet::start(chain, self.slots)?;
        for (mint, token) in &self.tokens {
            devnet.set_token(*mint, token)?;
        }
        for (owner, mint, amount) in self.balances {
            devnet.set_token_balance(owner, mint, amount)?;
        }
        for (wallet, lamports) in self.lamports {
            devnet.set_lamports(wallet, lamports)?;
        }
        Ok(devnet)
    }
}
