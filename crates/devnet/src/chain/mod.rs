//! The chain: blocks, the state after the newest, and what waits for the next.

mod block;
mod call;
mod clock;
mod evm;
mod pool;
mod state;
mod submit;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;

use alloy::consensus::{Header, Transaction as _};
use alloy::eips::eip1559::{BaseFeeParams, calc_next_block_base_fee};
use alloy::primitives::{Address, BlockHash, TxHash};
use revm::DatabaseCommit as _;
use revm::ExecuteEvm as _;
use revm::context::ContextTr as _;
use revm::context::result::{EVMError, ExecutionResult, InvalidTransaction, Output};
use revm::database::CacheDB;
use revm::state::EvmState;

pub(crate) use block::Block;
pub(crate) use call::At;
pub use clock::TimeSource;
pub(crate) use clock::{Clock, system_time};
pub(crate) use pool::Waiting;
pub(crate) use state::State;
pub(crate) use submit::decode;

use block::Outcome;
use evm::Scratch;
use pool::Pool;

/// What does not change over a chain's life.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    pub(crate) chain_id: u64,
    pub(crate) block_gas_limit: u64,
    pub(crate) call_gas_cap: u64,
    pub(crate) automine: bool,
    /// How many blocks the safe and the finalized block trail behind the newest.
    pub(crate) finality: u64,
}

/// A chain. Cloning it takes a snapshot: blocks are shared, the state is copied.
#[derive(Clone, Debug)]
pub(crate) struct Chain {
    pub(crate) rules: Arc<Rules>,
    pub(crate) state: State,
    pub(crate) clock: Clock,
    /// By number. Never empty.
    blocks: Vec<Arc<Block>>,
    numbers: HashMap<BlockHash, u64>,
    places: HashMap<TxHash, (u64, usize)>,
    pool: Pool,
    /// Set by a test for the next block.
    base_fee: Option<u64>,
    /// For each time blocks were taken back, the newest number that stayed.
    forks: Vec<u64>,
}

/// A transaction that ran, and what it changed.
struct Executed {
    outcome: Outcome,
    changes: EvmState,
}

/// The best transaction of one sender, ordered by tip and then by arrival.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Head {
    tip: u128,
    arrival: Reverse<u64>,
    sender: Address,
    nonce: u64,
}

impl Chain {
    pub(crate) fn new(rules: Rules, state: State, clock: Clock, base_fee: u64) -> Self {
        let header = block::open_header(None, clock.now(), base_fee, rules.block_gas_limit, 0);
        let genesis = Arc::new(Block::seal(header, Vec::new()));
        Self {
            rules: Arc::new(rules),
            state,
            clock,
            numbers: HashMap::from([(genesis.header.hash, 0)]),
            blocks: vec![genesis],
            places: HashMap::new(),
            pool: Pool::default(),
            base_fee: None,
            forks: Vec::new(),
        }
    }

    pub(crate) fn tip(&self) -> &Arc<Block> {
        self.blocks.last().expect("a chain has its genesis block")
    }

    pub(crate) fn block(&self, number: u64) -> Option<&Arc<Block>> {
        self.blocks.get(usize::try_from(number).ok()?)
    }

    pub(crate) fn block_by_hash(&self, hash: &BlockHash) -> Option<&Arc<Block>> {
        self.block(*self.numbers.get(hash)?)
    }

    /// Where a mined transaction is: its block, and its index there.
    pub(crate) fn find(&self, hash: &TxHash) -> Option<(&Arc<Block>, usize)> {
        let (number, index) = self.places.get(hash)?;
        Some((self.block(*number)?, *index))
    }

    pub(crate) fn waiting(&self, hash: &TxHash) -> Option<&Arc<Waiting>> {
        self.pool.get(hash)
    }

    pub(crate) fn waiting_hashes(&self) -> Vec<TxHash> {
        self.pool.hashes()
    }

    /// Takes a transaction out of the pool, as a node may do at any time.
    pub(crate) fn forget(&mut self, hash: &TxHash) -> bool {
        self.pool.remove(hash)
    }

    /// The sender's next nonce, counting what waits without a gap.
    pub(crate) fn pending_nonce(&self, sender: &Address) -> u64 {
        self.pool.next_nonce(sender, self.state.info(*sender).nonce)
    }

    pub(crate) fn forks(&self) -> &[u64] {
        &self.forks
    }

    pub(crate) fn next_base_fee(&self) -> u64 {
        let tip = &self.tip().header;
        self.base_fee.unwrap_or_else(|| {
            calc_next_block_base_fee(
                tip.gas_used,
                tip.gas_limit,
                tip.base_fee_per_gas.unwrap_or_default(),
                BaseFeeParams::ethereum(),
            )
        })
    }

    pub(crate) fn set_next_base_fee(&mut self, base_fee: u64) {
        self.base_fee = Some(base_fee);
    }

    /// The time the next block would have now. Never before the newest block's.
    pub(crate) fn pending_timestamp(&self) -> u64 {
        self.clock.now().max(self.tip().header.timestamp)
    }

    /// The next block's header, but for what its transactions decide.
    fn open_header(&self) -> Header {
        block::open_header(
            Some(&self.tip().header),
            self.pending_timestamp(),
            self.next_base_fee(),
            self.rules.block_gas_limit,
            self.forks.len() as u64,
        )
    }

    /// Mines one block of what can run.
    pub(crate) fn mine(&mut self) -> Arc<Block> {
        let header = self.open_header();
        let (_, executed) = self.run_pool(&header);
        self.close(header, executed)
    }

    /// Mines blocks until nothing more can run: filling a gap makes more than one transaction ready.
    fn mine_ready(&mut self) {
        loop {
            let header = self.open_header();
            let (_, executed) = self.run_pool(&header);
            if executed.is_empty() {
                return;
            }
            self.close(header, executed);
        }
    }

    fn close(&mut self, header: Header, executed: Vec<Executed>) -> Arc<Block> {
        self.state.begin_block();
        let mut outcomes = Vec::with_capacity(executed.len());
        for done in executed {
            self.state.apply(done.changes);
            self.pool.remove(done.outcome.transaction.tx_hash());
            outcomes.push(done.outcome);
        }
        // Authorizations of EIP-7702 use nonces of accounts that sent nothing.
        let senders: Vec<Address> = self.pool.senders().copied().collect();
        for sender in senders {
            self.pool.advance(&sender, self.state.info(sender).nonce);
        }
        let block = Arc::new(Block::seal(header, outcomes));
        let number = block.header.number;
        for (index, receipt) in block.receipts.iter().enumerate() {
            self.places.insert(receipt.transaction_hash, (number, index));
        }
        self.numbers.insert(block.header.hash, number);
        self.blocks.push(Arc::clone(&block));
        self.base_fee = None;
        block
    }

    /// The block that would be mined now.
    pub(crate) fn pending_block(&self) -> Block {
        let header = self.open_header();
        let (_, executed) = self.run_pool(&header);
        Block::seal(header, executed.into_iter().map(|done| done.outcome).collect())
    }

    /// Runs what waits, best tip first and each sender's in order of nonces, until the block is full. Answers the
    /// state after it all too.
    fn run_pool(&self, header: &Header) -> (Scratch<'_>, Vec<Executed>) {
        let newest = self.state.view(&self.blocks, 0).expect("the newest state is known");
        let mut scratch = CacheDB::new(newest);
        let base_fee = header.base_fee_per_gas.unwrap_or_default();
        let head = |sender: Address, nonce: u64| {
            let waiting = self.pool.at(&sender, nonce)?;
            let tip = waiting.transaction.effective_tip_per_gas(base_fee)?;
            Some(Head { tip, arrival: Reverse(waiting.arrival), sender, nonce })
        };
        let mut heads: BinaryHeap<Head> =
            self.pool.senders().filter_map(|sender| head(*sender, self.state.info(*sender).nonce)).collect();

        let mut executed = Vec::new();
        let mut gas_left = header.gas_limit;
        let mut evm = evm::strict(self.rules.chain_id, header, &mut scratch);
        while let Some(Head { sender, nonce, .. }) = heads.pop() {
            let Some(waiting) = self.pool.at(&sender, nonce) else { continue };
            // A sender whose turn does not come in this block waits with all that follows.
            if waiting.transaction.gas_limit() > gas_left {
                continue;
            }
            match evm.transact(evm::environment(&waiting.transaction)) {
                Ok(done) => {
                    evm.ctx.db_mut().commit(done.state.clone());
                    let outcome = outcome(waiting, done.result);
                    gas_left -= outcome.gas_used.min(gas_left);
                    executed.push(Executed { outcome, changes: done.state });
                }
                Err(EVMError::Transaction(InvalidTransaction::NonceTooLow { .. })) => {}
                Err(_) => continue,
            }
            heads.extend(head(sender, nonce + 1));
        }
        drop(evm);
        (scratch, executed)
    }

    /// Takes the newest `depth` blocks back and forgets their transactions; answers the blocks, oldest first. The caller
    /// has seen that so many can be taken back.
    pub(crate) fn take_back(&mut self, depth: u64) -> Vec<Arc<Block>> {
        let mut gone = Vec::new();
        if depth == 0 {
            return gone;
        }
        for _ in 0..depth.min(self.state.depth()) {
            let Some(block) = self.blocks.pop() else { break };
            self.state.undo_block();
            self.numbers.remove(&block.header.hash);
            for receipt in &block.receipts {
                self.places.remove(&receipt.transaction_hash);
            }
            gone.push(block);
        }
        self.base_fee = None;
        self.mark_fork();
        gone.reverse();
        gone
    }

    /// Notes that blocks above the newest one are not what they were.
    fn mark_fork(&mut self) {
        self.forks.push(self.tip().header.number);
    }

    /// This snapshot, to go on in place of `current`.
    pub(crate) fn restored_over(mut self, current: &Self) -> Self {
        self.forks.clone_from(&current.forks);
        self.mark_fork();
        self
    }
}

fn outcome(waiting: &Waiting, result: ExecutionResult) -> Outcome {
    let success = result.is_success();
    let gas_used = result.gas().tx_gas_used();
    let (logs, created) = match result {
        ExecutionResult::Success { logs, output, .. } => match output {
            Output::Create(_, created) => (logs, created),
            Output::Call(_) => (logs, None),
        },
        ExecutionResult::Revert { .. } | ExecutionResult::Halt { .. } => (Vec::new(), None),
    };
    // A creation names its address even where it failed.
    let created = created.or_else(|| {
        let transaction = &waiting.transaction;
        transaction.is_create().then(|| transaction.signer().create(transaction.nonce()))
    });
    Outcome { transaction: waiting.transaction.clone(), success, gas_used, logs, created }
}
