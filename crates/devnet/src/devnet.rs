//! The handle to a chain: reading it, steering it, breaking it.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use alloy::eips::eip2718::Encodable2718 as _;
use alloy::primitives::{Address, B256, BlockHash, Bytes, TxHash, U256};
use alloy::rpc::json_rpc::ResponsePayload;
use alloy::rpc::types::TransactionRequest;
use alloy::sol_types::SolCall;
use serde_json::value::RawValue;

use crate::builder::{DevnetBuilder, Mining};
use crate::chain::{At, Chain};
use crate::contracts::TestUsd::{authorizationStateCall, balanceOfCall};
use crate::error::DevnetError;
use crate::faults::{Calls, Fault, Watch};
use crate::miner::Miner;
use crate::rpc::{self, Filters};
use crate::token;

/// The most snapshots kept; the oldest goes first.
const MAX_SNAPSHOTS: usize = 32;

/// An EVM chain in this process. Clones are handles to the same chain, which ends with the last of them.
#[derive(Clone)]
pub struct Devnet {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    chain: RwLock<Chain>,
    watch: Watch,
    filters: Mutex<Filters>,
    snapshots: Mutex<Snapshots>,
    /// Ends the miner's thread when dropped.
    miner: OnceLock<Miner>,
}

#[derive(Default)]
struct Snapshots {
    taken: Vec<(u64, Chain)>,
    last_id: u64,
}

/// A mined block in short.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Mined {
    /// Its number.
    pub number: u64,
    /// Its hash.
    pub hash: BlockHash,
    /// Its time, in Unix seconds.
    pub timestamp: u64,
    /// What it holds, in its order.
    pub transactions: Vec<TxHash>,
}

impl Devnet {
    /// A chain with everything as [`DevnetBuilder`] has it where nothing is set: Base Sepolia's id, a block for each
    /// transaction, the system's clock.
    ///
    /// # Errors
    /// As [`DevnetBuilder::build`], though none of its reasons applies here.
    pub fn new() -> Result<Self, DevnetError> {
        Self::builder().build()
    }

    /// Sets a chain up.
    pub fn builder() -> DevnetBuilder {
        DevnetBuilder::default()
    }

    pub(crate) fn start(chain: Chain, mining: Mining) -> Result<Self, DevnetError> {
        let inner = Arc::new(Inner {
            chain: RwLock::new(chain),
            watch: Watch::new(),
            filters: Mutex::default(),
            snapshots: Mutex::default(),
            miner: OnceLock::new(),
        });
        if let Mining::Interval(interval) = mining {
            let miner = Miner::start(Arc::downgrade(&inner), interval)?;
            let _ = inner.miner.set(miner);
        }
        Ok(Self { inner })
    }

    #[cfg(test)]
    pub(crate) fn downgrade(&self) -> std::sync::Weak<Inner> {
        Arc::downgrade(&self.inner)
    }

    pub(crate) fn chain(&self) -> RwLockReadGuard<'_, Chain> {
        self.inner.chain.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn chain_mut(&self) -> RwLockWriteGuard<'_, Chain> {
        self.inner.chain.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn watch(&self) -> &Watch {
        &self.inner.watch
    }

    /// Lock the chain first, here as everywhere.
    pub(crate) fn filters(&self) -> MutexGuard<'_, Filters> {
        lock(&self.inner.filters)
    }

    /// Calls a JSON-RPC method: what both transports do with each request, without their faults.
    #[must_use]
    pub fn handle(&self, method: &str, params: Option<&RawValue>) -> ResponsePayload {
        rpc::handle(self, method, params)
    }

    /// The chain's id.
    #[must_use]
    pub fn chain_id(&self) -> u64 {
        self.chain().rules.chain_id
    }

    /// The newest block's number.
    #[must_use]
    pub fn block_number(&self) -> u64 {
        self.chain().tip().header.number
    }

    /// The time the next block would have now, in Unix seconds; also the time of calls at the newest block.
    #[must_use]
    pub fn timestamp(&self) -> u64 {
        self.chain().pending_timestamp()
    }

    /// The next block's base fee, in wei per gas.
    #[must_use]
    pub fn base_fee(&self) -> u64 {
        self.chain().next_base_fee()
    }

    /// Sets the next block's base fee, in wei per gas. Later ones move on from it by EIP-1559.
    pub fn set_base_fee(&self, wei: u64) {
        self.chain_mut().set_next_base_fee(wei);
    }

    /// Mines a block of what can run, be it nothing.
    pub fn mine(&self) -> Mined {
        self.inner.mine()
    }

    /// Lets time pass, in seconds.
    pub fn advance(&self, seconds: u64) {
        self.chain_mut().clock.advance(seconds);
    }

    /// Sets the time, in Unix seconds; it goes on from there as its source does.
    ///
    /// # Errors
    /// [`DevnetError::Past`] where the newest block is later.
    pub fn set_time(&self, timestamp: u64) -> Result<(), DevnetError> {
        let mut chain = self.chain_mut();
        let newest = chain.tip().header.timestamp;
        if timestamp < newest {
            return Err(DevnetError::Past { asked: timestamp, newest });
        }
        chain.clock.set(timestamp);
        Ok(())
    }

    /// The hashes of the transactions that wait for a block, in order of arrival.
    #[must_use]
    pub fn waiting(&self) -> Vec<TxHash> {
        self.chain().waiting_hashes()
    }

    /// Forgets a waiting transaction, as nodes do when they are short of room; says whether it was there.
    pub fn evict(&self, transaction: &TxHash) -> bool {
        self.chain_mut().forget(transaction)
    }

    /// Takes the newest blocks back, with everything since the one before them that was written to the state, and
    /// forgets their transactions. Answers those, encoded and in order, for who wants to send some again. Mine or send
    /// to make the blocks that replace them; their hashes differ in any case.
    ///
    /// # Errors
    /// [`DevnetError::TooDeep`] where the chain is too short or keeps too little.
    pub fn reorg(&self, blocks: u64) -> Result<Vec<Bytes>, DevnetError> {
        let mut chain = self.chain_mut();
        let possible = chain.state.depth();
        if blocks > possible {
            return Err(DevnetError::TooDeep { asked: blocks, possible });
        }
        let gone = chain.take_back(blocks);
        let transactions = gone.iter().flat_map(|block| &block.transactions);
        Ok(transactions.map(|transaction| transaction.inner.encoded_2718().into()).collect())
    }

    /// Remembers the chain as it is; answers what to call it in [`revert`](Self::revert).
    #[must_use]
    pub fn snapshot(&self) -> u64 {
        let chain = self.chain().clone();
        let mut snapshots = lock(&self.inner.snapshots);
        snapshots.last_id += 1;
        let id = snapshots.last_id;
        snapshots.taken.push((id, chain));
        if snapshots.taken.len() > MAX_SNAPSHOTS {
            snapshots.taken.remove(0);
        }
        id
    }

    /// Goes back to a snapshot, which is used up with all that were taken after it; says whether it was there.
    pub fn revert(&self, snapshot: u64) -> bool {
        let mut chain = self.chain_mut();
        let mut snapshots = lock(&self.inner.snapshots);
        let Some(at) = snapshots.taken.iter().position(|(id, _)| *id == snapshot) else {
            return false;
        };
        if let Some((_, taken)) = snapshots.taken.drain(at..).next() {
            *chain = taken.restored_over(&chain);
        }
        true
    }

    /// An account's ether, in wei.
    #[must_use]
    pub fn balance(&self, account: Address) -> U256 {
        self.chain().state.info(account).balance
    }

    /// Sets an account's ether, in wei. This and the writes below change the state after the newest block; a reorg of
    /// that block takes them back too.
    pub fn set_balance(&self, account: Address, wei: U256) {
        self.chain_mut().state.set_balance(account, wei);
    }

    /// Sets an account's nonce.
    pub fn set_nonce(&self, account: Address, nonce: u64) {
        self.chain_mut().state.set_nonce(account, nonce);
    }

    /// The runtime code at an address.
    #[must_use]
    pub fn code(&self, address: Address) -> Bytes {
        let code = self.chain().state.info(address).code;
        code.map(|code| code.original_bytes()).unwrap_or_default()
    }

    /// Places runtime code, such as a binding's `DEPLOYED_BYTECODE`; empty code makes a plain account of it.
    pub fn set_code(&self, address: Address, runtime: impl Into<Bytes>) {
        self.chain_mut().state.set_code(address, runtime.into());
    }

    /// One storage slot.
    #[must_use]
    pub fn storage(&self, address: Address, slot: U256) -> U256 {
        self.chain().state.storage(address, slot)
    }

    /// Writes one storage slot.
    pub fn set_storage(&self, address: Address, slot: U256, value: U256) {
        self.chain_mut().state.set_storage(address, slot, value);
    }

    /// Sets a balance of one of this crate's tokens, in its smallest units.
    pub fn set_token_balance(&self, token: Address, holder: Address, amount: U256) {
        token::set_balance(&mut self.chain_mut().state, token, holder, amount);
    }

    /// Sets an allowance of one of this crate's tokens, in its smallest units.
    pub fn set_allowance(&self, token: Address, owner: Address, spender: Address, amount: U256) {
        token::set_allowance(&mut self.chain_mut().state, token, owner, spender, amount);
    }

    /// A balance of any ERC-20 token, in its smallest units.
    ///
    /// # Errors
    /// [`DevnetError::Contract`] where there is no such token.
    pub fn balance_of(&self, token: Address, holder: Address) -> Result<U256, DevnetError> {
        self.ask(token, balanceOfCall { owner: holder })
    }

    /// Whether an EIP-3009 authorization is used or cancelled.
    ///
    /// # Errors
    /// [`DevnetError::Contract`] where there is no token with EIP-3009.
    pub fn authorization_state(&self, token: Address, authorizer: Address, nonce: B256) -> Result<bool, DevnetError> {
        self.ask(token, authorizationStateCall { authorizer, nonce })
    }

    fn ask<C: SolCall>(&self, address: Address, call: C) -> Result<C::Return, DevnetError> {
        let wrong =
            |message: String| DevnetError::Contract { address, message: format!("{}: {message}", C::SIGNATURE) };
        let request = TransactionRequest::default().to(address).input(call.abi_encode().into());
        let answer = self
            .chain()
            .scene(At::Latest)
            .and_then(|scene| scene.call(request))
            .map_err(|failure| wrong(failure.message.into_owned()))?;
        C::abi_decode_returns(&answer).map_err(|error| wrong(error.to_string()))
    }

    /// What was asked over all transports since the beginning or the last [`reset_calls`](Self::reset_calls).
    #[must_use]
    pub fn calls(&self) -> Calls {
        self.watch().calls()
    }

    /// Counts from zero again.
    pub fn reset_calls(&self) {
        self.watch().reset();
    }

    /// Makes the next `times` calls of a method fail, over whatever transport; `*` stands for every method. Faults
    /// planned earlier go first.
    pub fn inject(&self, method: &str, fault: Fault, times: u32) {
        self.watch().plan(method, fault, times);
    }

    /// Plans no fault any more.
    pub fn clear_faults(&self) {
        self.watch().clear();
    }
}

/// In short: a chain's whole content helps nobody.
impl fmt::Debug for Devnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Devnet");
        // Whoever holds the chain may want to print the handle.
        if let Ok(chain) = self.inner.chain.try_read() {
            shown.field("chain_id", &chain.rules.chain_id);
            shown.field("block_number", &chain.tip().header.number);
        }
        shown.finish_non_exhaustive()
    }
}

impl Inner {
    pub(crate) fn mine(&self) -> Mined {
        let block = self.chain.write().unwrap_or_else(PoisonError::into_inner).mine();
        Mined {
            number: block.header.number,
            hash: block.header.hash,
            timestamp: block.header.timestamp,
            transactions: block.receipts.iter().map(|receipt| receipt.transaction_hash).collect(),
        }
    }
}

/// A panic in one test's thread must not make every later call of the others panic too.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
