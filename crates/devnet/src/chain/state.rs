//! Accounts, and how they were some blocks ago.
//!
//! The state is one flat map, as at the newest block. Each block adds an undo layer: what every account and slot it
//! changed had been before. Reading at an older block looks the layers through, and taking a block back applies its
//! layer, so neither costs a copy of the state.

use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::sync::Arc;

use alloy::primitives::{Address, B256, Bytes, U256};
use revm::DatabaseRef;
use revm::bytecode::Bytecode;
use revm::primitives::{StorageKey, StorageValue};
use revm::state::{AccountInfo, EvmState};

use super::block::Block;

/// For how many blocks back state can be read and blocks can be taken back.
pub(crate) const HISTORY: usize = 1024;

#[derive(Clone, Debug, Default)]
struct Account {
    info: AccountInfo,
    storage: HashMap<U256, U256>,
}

/// What one block changed, as it was before.
#[derive(Clone, Debug, Default)]
struct Undo {
    accounts: HashMap<Address, Option<AccountInfo>>,
    storage: HashMap<(Address, U256), U256>,
}

#[derive(Clone, Debug)]
pub(crate) struct State {
    accounts: HashMap<Address, Account>,
    /// Oldest first; the last one belongs to the newest block. Never empty.
    layers: VecDeque<Undo>,
}

impl State {
    pub(crate) fn new() -> Self {
        Self { accounts: HashMap::new(), layers: VecDeque::from([Undo::default()]) }
    }

    /// Opens the layer of a new block; every later write belongs to it.
    pub(crate) fn begin_block(&mut self) {
        self.layers.push_back(Undo::default());
        if self.layers.len() > HISTORY {
            self.layers.pop_front();
        }
    }

    /// How many blocks can be taken back.
    pub(crate) fn depth(&self) -> u64 {
        self.layers.len() as u64 - 1
    }

    /// Takes the newest block back. The caller has seen that [`depth`](Self::depth) is not zero.
    pub(crate) fn undo_block(&mut self) {
        let Some(layer) = self.layers.pop_back() else { return };
        for (address, info) in layer.accounts {
            match info {
                Some(info) => self.accounts.entry(address).or_default().info = info,
                None => {
                    self.accounts.remove(&address);
                }
            }
        }
        for ((address, slot), value) in layer.storage {
            // An account that goes takes its storage along.
            if let Some(account) = self.accounts.get_mut(&address) {
                write(&mut account.storage, slot, value);
            }
        }
    }

    pub(crate) fn info(&self, address: Address) -> AccountInfo {
        self.accounts.get(&address).map(|account| account.info.clone()).unwrap_or_default()
    }

    pub(crate) fn storage(&self, address: Address, slot: U256) -> U256 {
        self.accounts.get(&address).and_then(|account| account.storage.get(&slot).copied()).unwrap_or_default()
    }

    pub(crate) fn set_balance(&mut self, address: Address, balance: U256) {
        self.set_info(address, AccountInfo { balance, ..self.info(address) });
    }

    pub(crate) fn set_nonce(&mut self, address: Address, nonce: u64) {
        self.set_info(address, AccountInfo { nonce, ..self.info(address) });
    }

    pub(crate) fn set_code(&mut self, address: Address, code: Bytes) {
        let info = self.info(address);
        let code = Bytecode::new_raw_checked(code.clone()).unwrap_or_else(|_| Bytecode::new_legacy(code));
        // Contracts begin at nonce 1 (EIP-161); plain and delegated accounts count what they sent.
        let account = code.is_empty() || code.is_eip7702();
        let nonce = if account { info.nonce } else { info.nonce.max(1) };
        let info = AccountInfo { nonce, ..info }.with_code_and_hash(code.clone(), code.hash_slow());
        self.set_info(address, info);
    }

    pub(crate) fn set_storage(&mut self, address: Address, slot: U256, value: U256) {
        if !self.accounts.contains_key(&address) {
            self.set_info(address, AccountInfo::default());
        }
        let Some(account) = self.accounts.get_mut(&address) else { return };
        let before = write(&mut account.storage, slot, value);
        if let Some(layer) = self.layers.back_mut() {
            layer.storage.entry((address, slot)).or_insert(before);
        }
    }

    fn set_info(&mut self, address: Address, info: AccountInfo) {
        let before = self.accounts.get(&address).map(|account| account.info.clone());
        if let Some(layer) = self.layers.back_mut() {
            layer.accounts.entry(address).or_insert(before);
        }
        self.accounts.entry(address).or_default().info = info;
    }

    fn remove(&mut self, address: Address) {
        let Some(account) = self.accounts.remove(&address) else { return };
        if let Some(layer) = self.layers.back_mut() {
            layer.accounts.entry(address).or_insert(Some(account.info));
            for (slot, before) in account.storage {
                layer.storage.entry((address, slot)).or_insert(before);
            }
        }
    }

    /// Writes what a transaction changed.
    pub(crate) fn apply(&mut self, changes: EvmState) {
        for (address, account) in changes {
            if !account.is_touched() {
                continue;
            }
            if account.is_selfdestructed() || account.is_empty() {
                self.remove(address);
                continue;
            }
            let mut info = account.info;
            if info.code.is_none() {
                info.code = self.info(address).code;
            }
            self.set_info(address, info);
            for (slot, value) in account.storage.iter().filter(|(_, value)| value.is_changed()) {
                self.set_storage(address, *slot, value.present_value);
            }
        }
    }

    /// The state as it was `back` blocks before the newest one; `None` where that is no longer known.
    pub(crate) fn view<'a>(&'a self, blocks: &'a [Arc<Block>], back: u64) -> Option<View<'a>> {
        let known = usize::try_from(back).ok()?;
        let first = self.layers.len().checked_sub(known).filter(|first| *first > 0)?;
        Some(View { state: self, first, blocks })
    }
}

/// Zero is absence, so that a map of nonces that were used and undone does not grow.
fn write(storage: &mut HashMap<U256, U256>, slot: U256, value: U256) -> U256 {
    let before = if value.is_zero() { storage.remove(&slot) } else { storage.insert(slot, value) };
    before.unwrap_or_default()
}

/// The state at one block, to be read by the EVM.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View<'a> {
    state: &'a State,
    /// The first layer that came after the block.
    first: usize,
    blocks: &'a [Arc<Block>],
}

impl View<'_> {
    pub(crate) fn info(&self, address: Address) -> Option<AccountInfo> {
        self.state
            .layers
            .range(self.first..)
            .find_map(|layer| layer.accounts.get(&address).cloned())
            .unwrap_or_else(|| self.state.accounts.get(&address).map(|account| account.info.clone()))
    }

    pub(crate) fn storage(&self, address: Address, slot: U256) -> U256 {
        self.state
            .layers
            .range(self.first..)
            .find_map(|layer| layer.storage.get(&(address, slot)).copied())
            .unwrap_or_else(|| self.state.storage(address, slot))
    }
}

impl DatabaseRef for View<'_> {
    type Error = Infallible;

    fn basic_ref(&self, address: Address) -> Result<Option<AccountInfo>, Self::Error> {
        Ok(self.info(address))
    }

    fn code_by_hash_ref(&self, _: B256) -> Result<Bytecode, Self::Error> {
        // Every account above carries its code, so nobody asks.
        Ok(Bytecode::default())
    }

    fn storage_ref(&self, address: Address, slot: StorageKey) -> Result<StorageValue, Self::Error> {
        Ok(self.storage(address, slot))
    }

    fn block_hash_ref(&self, number: u64) -> Result<B256, Self::Error> {
        let block = usize::try_from(number).ok().and_then(|number| self.blocks.get(number));
        Ok(block.map(|block| block.header.hash).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Address = Address::with_last_byte(1);
    const SLOT: U256 = U256::ONE;

    fn number(value: u64) -> U256 {
        U256::from(value)
    }

    #[test]
    fn older_blocks_are_read_through_the_layers() {
        let mut state = State::new();
        for block in 1..=3 {
            state.begin_block();
            state.set_balance(A, number(block * 10));
            state.set_storage(A, SLOT, number(block));
        }
        for (back, balance, slot) in [(0, 30, 3), (1, 20, 2), (2, 10, 1)] {
            let view = state.view(&[], back).unwrap();
            assert_eq!(view.info(A).unwrap().balance, number(balance));
            assert_eq!(view.storage(A, SLOT), number(slot));
        }
        let genesis = state.view(&[], 3).unwrap();
        assert!(genesis.info(A).is_none());
        assert!(genesis.storage(A, SLOT).is_zero());
        assert!(state.view(&[], 4).is_none());
    }

    #[test]
    fn a_block_taken_back_leaves_nothing() {
        let mut state = State::new();
        state.set_balance(A, number(5));
        state.begin_block();
        state.set_balance(A, number(6));
        state.set_storage(A, SLOT, number(7));
        state.set_code(Address::with_last_byte(2), Bytes::from_static(&[0]));
        state.undo_block();
        assert_eq!(state.info(A).balance, number(5));
        assert!(state.storage(A, SLOT).is_zero());
        assert_eq!(state.accounts.len(), 1);
        assert_eq!(state.depth(), 0);
    }

    #[test]
    fn history_is_bounded() {
        let mut state = State::new();
        for _ in 0..HISTORY + 10 {
            state.begin_block();
        }
        assert_eq!(state.layers.len(), HISTORY);
        assert!(state.view(&[], HISTORY as u64).is_none());
        assert!(state.view(&[], HISTORY as u64 - 1).is_some());
    }
}
