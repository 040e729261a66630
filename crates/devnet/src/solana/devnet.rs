//! The handle to a chain: reading it, steering it, breaking it.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};

use serde_json::Value;
use solana_account::Account;
use solana_pubkey::Pubkey;
use solana_signature::Signature;

use super::builder::{DevnetBuilder, Slots};
use super::chain::{Chain, Commitment};
use super::error::DevnetError;
use super::faults::{Calls, Fault, Watch, lock};
use super::rpc::{self, RpcFailure};
use super::ticker::Ticker;
use super::token::{Holding, Token, token_account};

/// A Solana chain in this process. Clones are handles to the same chain, which ends with the last of them.
#[derive(Clone)]
pub struct Devnet {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    chain: Mutex<Chain>,
    watch: Watch,
    /// Mint → the token, for accounts made later.
    tokens: Mutex<Vec<(Pubkey, Token)>>,
    /// Ends the ticker's thread when dropped.
    ticker: OnceLock<Ticker>,
}

impl Inner {
    pub(crate) fn chain(&self) -> MutexGuard<'_, Chain> {
        lock(&self.chain)
    }
}

impl Devnet {
    /// A chain with everything as [`DevnetBuilder`] has it where nothing is set.
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

    pub(crate) fn start(chain: Chain, slots: Slots) -> Result<Self, DevnetError> {
        let inner = Arc::new(Inner {
            chain: Mutex::new(chain),
            watch: Watch::default(),
            tokens: Mutex::default(),
            ticker: OnceLock::new(),
        });
        if let Slots::Every(interval) = slots {
            let _ = inner.ticker.set(Ticker::start(Arc::downgrade(&inner), interval)?);
        }
        Ok(Self { inner })
    }

    pub(crate) fn chain(&self) -> MutexGuard<'_, Chain> {
        self.inner.chain()
    }

    pub(crate) fn watch(&self) -> &Watch {
        &self.inner.watch
    }

    /// Calls a JSON-RPC method: what both transports do with each request, without their faults.
    ///
    /// # Errors
    /// The JSON-RPC error.
    pub fn handle(&self, method: &str, params: &Value) -> Result<Value, RpcFailure> {
        rpc::handle(self, method, params)
    }

    /// The CAIP-2 id of the network: `solana:` and the first 32 characters of the genesis hash.
    #[must_use]
    pub fn network_id(&self) -> String {
        format!("solana:{}", self.chain().genesis.chars().take(32).collect::<String>())
    }

    /// The current slot.
    #[must_use]
    pub fn slot(&self) -> u64 {
        self.chain().slot(Commitment::Processed)
    }

    /// The current block height. It is not the slot.
    #[must_use]
    pub fn block_height(&self) -> u64 {
        self.chain().height(Commitment::Processed)
    }

    /// Lets slots pass.
    pub fn advance(&self, slots: u64) {
        self.chain().advance(slots);
    }

    /// The newest blockhash, and the last block height at which it is accepted.
    #[must_use]
    pub fn latest_blockhash(&self) -> (String, u64) {
        let (hash, last) = self.chain().blockhash(Commitment::Processed);
        (hash.to_string(), last)
    }

    /// Whether a transaction reached a block and did what it should; `None` where it reached none.
    #[must_use]
    pub fn succeeded(&self, signature: &Signature) -> Option<bool> {
        self.chain().done(signature).map(|(done, _)| done.err.is_none())
    }

    /// How many transactions reached a block.
    #[must_use]
    pub fn transaction_count(&self) -> usize {
        self.chain().history().count()
    }

    /// An account.
    #[must_use]
    pub fn account(&self, address: &Pubkey) -> Option<Account> {
        self.chain().account(address)
    }

    /// Places an account.
    ///
    /// # Errors
    /// The chain does not take it.
    pub fn set_account(&self, address: Pubkey, account: Account) -> Result<(), DevnetError> {
        self.chain().set_account(address, account).map_err(DevnetError::Account)
    }

    /// An account's lamports.
    #[must_use]
    pub fn lamports(&self, address: &Pubkey) -> u64 {
        self.account(address).map_or(0, |account| account.lamports)
    }

    /// Sets an account's lamports.
    ///
    /// # Errors
    /// The chain does not take it.
    pub fn set_lamports(&self, address: Pubkey, lamports: u64) -> Result<(), DevnetError> {
        let mut account = self.account(&address).unwrap_or_default();
        account.lamports = lamports;
        self.set_account(address, account)
    }

    /// Places a token's mint.
    ///
    /// # Errors
    /// The chain does not take it.
    pub fn set_token(&self, mint: Pubkey, token: &Token) -> Result<(), DevnetError> {
        self.place(mint, token.program(), token.mint())?;
        let mut tokens = lock(&self.inner.tokens);
        tokens.retain(|(known, _)| *known != mint);
        tokens.push((mint, token.clone()));
        Ok(())
    }

    /// Sets what a wallet has of a token, in atomic units, making its associated token account where there is none.
    ///
    /// # Errors
    /// There is no such mint.
    pub fn set_token_balance(&self, owner: Pubkey, mint: Pubkey, amount: u64) -> Result<(), DevnetError> {
        let token = self.token(mint)?;
        let address = token_account(owner, mint, token.program());
        self.place(address, token.program(), token.account(mint, owner, amount))
    }

    /// What a wallet has of a token, in atomic units; `None` where it has no account for it.
    #[must_use]
    pub fn token_balance(&self, owner: Pubkey, mint: Pubkey) -> Option<u64> {
        let token = self.token(mint).ok()?;
        let account = self.account(&token_account(owner, mint, token.program()))?;
        Holding::read(&account).map(|holding| holding.amount)
    }

    fn token(&self, mint: Pubkey) -> Result<Token, DevnetError> {
        let tokens = lock(&self.inner.tokens);
        let found = tokens.iter().find(|(known, _)| *known == mint);
        found.map(|(_, token)| token.clone()).ok_or(DevnetError::NoMint(mint))
    }

    /// Places an account of a program, with the lamports it must have.
    fn place(&self, address: Pubkey, owner: Pubkey, data: Vec<u8>) -> Result<(), DevnetError> {
        let lamports = self.chain().rent(data.len());
        self.set_account(address, Account { lamports, data, owner, executable: false, rent_epoch: u64::MAX })
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
        if let Ok(chain) = self.inner.chain.try_lock() {
            shown.field("genesis", &chain.genesis).field("slot", &chain.slot(Commitment::Processed));
        }
        shown.finish_non_exhaustive()
    }
}
