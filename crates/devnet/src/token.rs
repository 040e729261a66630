//! Writing the storage of this crate's tokens directly: genesis has no owner who could mint.

use alloy::primitives::{Address, B256, U256, keccak256};
use alloy::sol_types::SolValue as _;

use crate::chain::State;
use crate::error::DevnetError;

/// What tells one token from another. All text fits one storage slot: at most 31 bytes each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// Also the EIP-712 domain's name.
    pub name: String,
    /// Its ticker.
    pub symbol: String,
    /// The EIP-712 domain's version; a plain token has none and ignores it.
    pub version: String,
    /// How many decimal places one whole unit has.
    pub decimals: u8,
}

impl Token {
    /// A token with these texts.
    #[must_use]
    pub fn new(name: &str, symbol: &str, version: &str, decimals: u8) -> Self {
        Self { name: name.to_owned(), symbol: symbol.to_owned(), version: version.to_owned(), decimals }
    }

    /// The USDC of Base Sepolia: `USDC`, version 2, 6 decimals.
    #[must_use]
    pub fn usdc() -> Self {
        Self::new("USDC", "USDC", "2", 6)
    }
}

// The slots of TestUsd and PlainToken.
const NAME: u64 = 0;
const SYMBOL: u64 = 1;
const VERSION: u64 = 2;
const DECIMALS: u64 = 3;
const TOTAL_SUPPLY: u64 = 4;
const BALANCES: u64 = 5;
const ALLOWANCES: u64 = 6;

pub(crate) fn describe(state: &mut State, address: Address, token: &Token) -> Result<(), DevnetError> {
    for (slot, text) in [(NAME, &token.name), (SYMBOL, &token.symbol), (VERSION, &token.version)] {
        let value = short_text(text).ok_or_else(|| DevnetError::LongText(text.clone()))?;
        state.set_storage(address, U256::from(slot), value);
    }
    state.set_storage(address, U256::from(DECIMALS), U256::from(token.decimals));
    Ok(())
}

/// Sets a balance and moves the total supply along.
pub(crate) fn set_balance(state: &mut State, token: Address, holder: Address, amount: U256) {
    let (slot, supply) = (mapped(holder, U256::from(BALANCES)), U256::from(TOTAL_SUPPLY));
    let others = state.storage(token, supply).saturating_sub(state.storage(token, slot));
    state.set_storage(token, slot, amount);
    state.set_storage(token, supply, others.saturating_add(amount));
}

pub(crate) fn set_allowance(state: &mut State, token: Address, owner: Address, spender: Address, amount: U256) {
    state.set_storage(token, mapped(spender, mapped(owner, U256::from(ALLOWANCES))), amount);
}

/// Where Solidity keeps the entry of a mapping at `slot`.
fn mapped(key: Address, slot: U256) -> U256 {
    keccak256((key, slot).abi_encode()).into()
}

/// How Solidity keeps a text of up to 31 bytes: left-aligned, with twice its length in the last byte.
fn short_text(text: &str) -> Option<U256> {
    let mut word = B256::ZERO;
    word.get_mut(..31)?.get_mut(..text.len())?.copy_from_slice(text.as_bytes());
    word.0[31] = u8::try_from(text.len() * 2).ok()?;
    Some(word.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_texts_of_one_slot_fit() {
        assert!(short_text(&"x".repeat(31)).is_some());
        assert!(short_text(&"x".repeat(32)).is_none());
        let error = describe(
            &mut State::new(),
            Address::ZERO,
            &Token::new("a name that does not fit into one word", "N", "1", 6),
        );
        assert!(matches!(error, Err(DevnetError::LongText(_))));
    }

    #[test]
    fn the_supply_is_the_sum_of_the_balances() {
        let mut state = State::new();
        let (token, a, b) = (Address::ZERO, Address::with_last_byte(1), Address::with_last_byte(2));
        for (holder, amount) in [(a, 5_u64), (b, 7), (a, 1)] {
            set_balance(&mut state, token, holder, U256::from(amount));
        }
        assert_eq!(state.storage(token, U256::from(TOTAL_SUPPLY)), U256::from(8));
    }
}
