//! How a devnet is set up.

use std::fmt;
use std::time::Duration;

use alloy::primitives::{Address, Bytes, U256};

use crate::chain::{Chain, Clock, Rules, State, TimeSource, system_time};
use crate::devnet::Devnet;
use crate::error::DevnetError;
use crate::token::{self, Token};
use crate::{contracts, genesis};

/// When blocks are made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mining {
    /// A block for each transaction that can run, before its submission is answered.
    #[default]
    Auto,
    /// A block each time this much real time passed, with whatever waits; empty ones too. Zero counts as a
    /// millisecond.
    Interval(Duration),
    /// A block only on [`Devnet::mine`] or `evm_mine`.
    Manual,
}

/// What genesis writes besides the standard state, in the order given.
enum Step {
    Balance(Address, U256),
    Code(Address, Bytes),
    Storage(Address, U256, U256),
    Token(Address, Token),
    TokenBalance(Address, Address, U256),
    Allowance(Address, Address, Address, U256),
    Hostile,
}

/// Sets up a [`Devnet`].
#[must_use]
pub struct DevnetBuilder {
    rules: Rules,
    mining: Mining,
    base_fee: u64,
    time: TimeSource,
    steps: Vec<Step>,
}

impl Default for DevnetBuilder {
    fn default() -> Self {
        Self {
            rules: Rules {
                chain_id: 84_532,
                block_gas_limit: 120_000_000,
                call_gas_cap: 50_000_000,
                automine: true,
                finality: 0,
            },
            mining: Mining::Auto,
            base_fee: 10_000_000,
            time: system_time(),
            steps: Vec::new(),
        }
    }
}

impl DevnetBuilder {
    /// The chain's id; 84532, Base Sepolia's, where not set.
    pub fn chain_id(mut self, chain_id: u64) -> Self {
        self.rules.chain_id = chain_id;
        self
    }

    /// When blocks are made; [`Mining::Auto`] where not set.
    pub fn mining(mut self, mining: Mining) -> Self {
        self.mining = mining;
        self
    }

    /// Where the chain reads the time, in Unix seconds; the system's clock where not set. The chain asks it for each
    /// block and each call, and never lets a block's time go back, whatever it says.
    pub fn time(mut self, source: TimeSource) -> Self {
        self.time = source;
        self
    }

    /// The first block's base fee, in wei per gas; a hundredth of a gwei where not set. It moves on by EIP-1559.
    pub fn base_fee(mut self, wei: u64) -> Self {
        self.base_fee = wei;
        self
    }

    /// The most gas of one block; 120 million where not set.
    pub fn block_gas_limit(mut self, gas: u64) -> Self {
        self.rules.block_gas_limit = gas;
        self
    }

    /// The most gas of one `eth_call` or `eth_estimateGas`; 50 million where not set.
    pub fn call_gas_cap(mut self, gas: u64) -> Self {
        self.rules.call_gas_cap = gas;
        self
    }

    /// How many blocks the tags `safe` and `finalized` trail behind `latest`; none where not set.
    pub fn finality(mut self, blocks: u64) -> Self {
        self.rules.finality = blocks;
        self
    }

    /// Gives an account ether, in wei.
    pub fn balance(mut self, account: Address, wei: U256) -> Self {
        self.steps.push(Step::Balance(account, wei));
        self
    }

    /// Places runtime code, such as a binding's `DEPLOYED_BYTECODE`.
    pub fn code(mut self, address: Address, runtime: Bytes) -> Self {
        self.steps.push(Step::Code(address, runtime));
        self
    }

    /// Writes one storage slot.
    pub fn storage(mut self, address: Address, slot: U256, value: U256) -> Self {
        self.steps.push(Step::Storage(address, slot, value));
        self
    }

    /// Places another [`TestUsd`](contracts::TestUsd).
    pub fn token(mut self, address: Address, token: Token) -> Self {
        self.steps.push(Step::Token(address, token));
        self
    }

    /// Sets a balance of a token of this crate, in its smallest units.
    pub fn token_balance(mut self, token: Address, holder: Address, amount: U256) -> Self {
        self.steps.push(Step::TokenBalance(token, holder, amount));
        self
    }

    /// Sets an allowance of a token of this crate, in its smallest units.
    pub fn allowance(mut self, token: Address, owner: Address, spender: Address, amount: U256) -> Self {
        self.steps.push(Step::Allowance(token, owner, spender, amount));
        self
    }

    /// Places the hostile tokens and wallets at their [`addresses`](contracts::addresses).
    pub fn hostile_contracts(mut self) -> Self {
        self.steps.push(Step::Hostile);
        self
    }

    /// Makes the genesis block, and starts the miner where the mining has an interval.
    ///
    /// # Errors
    /// [`DevnetError::LongText`] for a token with such a text, [`DevnetError::Io`] where the miner's thread cannot
    /// start.
    pub fn build(mut self) -> Result<Devnet, DevnetError> {
        let mut state = State::new();
        genesis::standard(&mut state)?;
        for step in self.steps {
            match step {
                Step::Balance(account, wei) => state.set_balance(account, wei),
                Step::Code(address, runtime) => state.set_code(address, runtime),
                Step::Storage(address, slot, value) => state.set_storage(address, slot, value),
                Step::Token(address, token) => {
                    state.set_code(address, contracts::TestUsd::DEPLOYED_BYTECODE.clone());
                    token::describe(&mut state, address, &token)?;
                }
                Step::TokenBalance(token, holder, amount) => {
                    token::set_balance(&mut state, token, holder, amount);
                }
                Step::Allowance(token, owner, spender, amount) => {
                    token::set_allowance(&mut state, token, owner, spender, amount);
                }
                Step::Hostile => genesis::hostile(&mut state)?,
            }
        }
        self.rules.automine = self.mining == Mining::Auto;
        let chain = Chain::new(self.rules, state, Clock::new(self.time), self.base_fee);
        Devnet::start(chain, self.mining)
    }
}

impl fmt::Debug for DevnetBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DevnetBuilder")
            .field("rules", &self.rules)
            .field("mining", &self.mining)
            .field("base_fee", &self.base_fee)
            .finish_non_exhaustive()
    }
}
