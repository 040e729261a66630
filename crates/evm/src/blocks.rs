//! One watcher per chain: learns of blocks, and fetches the receipts of the transactions somebody waits for.
//!
//! It runs only while somebody waits. A block's list of hashes says which of the waiting transactions it holds, so a
//! block costs one call, and one more for all its receipts together. Where the node announces blocks (`heads`) it looks
//! when one comes. Elsewhere how often it looks follows the chain: it learns the time between blocks, rests for most of
//! it, then looks often.

use crate::heads::Heads;
use crate::receipt::Receipt;
use crate::rpc::{Call, CallError, Rpc, read};
use alloy::primitives::{B256, U64, U256};
use serde::Deserialize;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

/// Most receipts asked for in one request. Those of shared transactions are large.
const LARGEST_BATCH: usize = 16;
/// Receipts are asked for outright every so many blocks, whatever the lists said: nodes behind one address disagree.
const DUE: u64 = 16;
/// Bounds of the time between blocks that is believed.
const FASTEST: Duration = Duration::from_millis(10);
const SLOWEST: Duration = Duration::from_secs(30);
/// Longest rest after calls that failed.
const LONGEST_REST: Duration = Duration::from_secs(5);

/// The blocks of one chain. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Blocks(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    rpc: Rpc,
    state: Mutex<State>,
    news: Notify,
    heads: Option<Heads>,
}

#[derive(Debug)]
struct State {
    waiting: HashMap<B256, Waiting>,
    /// Whether the task runs.
    running: bool,
    last: Option<Last>,
    /// When somebody last looked.
    looked: Option<Instant>,
    block_time: Duration,
}

#[derive(Debug)]
struct Waiting {
    /// The transaction is in no block up to this one.
    absent: u64,
    /// The block at which its receipt was last asked for outright.
    asked: u64,
    tell: mpsc::UnboundedSender<Receipt>,
}

/// The newest block seen.
#[derive(Debug, Clone, Copy)]
struct Last {
    number: u64,
    hash: B256,
    base_fee: Option<u128>,
    at: Instant,
    /// Whether it was looked for just before too, so that `at` is when it came.
    sharp: bool,
}

/// A block, as far as it is read.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Block {
    number: U64,
    hash: B256,
    parent_hash: B256,
    #[serde(default)]
    base_fee_per_gas: Option<U256>,
    #[serde(default)]
    transactions: HashSet<B256>,
}

/// Waits for one of the transactions of a nonce. The wait ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Watch {
    hashes: Vec<B256>,
    tell: mpsc::UnboundedSender<Receipt>,
    receipts: mpsc::UnboundedReceiver<Receipt>,
    shared: Arc<Shared>,
}

impl Watch {
    /// The receipt, once a transaction is in a block. Waits for as long as the caller lets it.
    pub(crate) async fn receipt(&mut self) -> Receipt {
        match self.receipts.recv().await {
            Some(receipt) => receipt,
            // Never: a sender is kept here.
            None => std::future::pending().await,
        }
    }

    /// Waits for this transaction too, as for the others. See [`Blocks::watch`].
    pub(crate) fn also(&mut self, hash: B256, absent: u64) {
        self.hashes.push(hash);
        Shared::wait(&self.shared, hash, Waiting { absent, asked: absent, tell: self.tell.clone() });
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        for hash in &self.hashes {
            state.waiting.remove(hash);
        }
    }
}

impl Blocks {
    /// `block_time` is where learning begins.
    pub(crate) fn new(rpc: Rpc, block_time: Duration, heads: Option<Heads>) -> Self {
        let block_time = block_time.clamp(FASTEST, SLOWEST);
        let state = State { waiting: HashMap::new(), running: false, last: None, looked: None, block_time };
        Self(Arc::new(Shared { rpc, state: Mutex::new(state), news: Notify::new(), heads }))
    }

    /// The time between blocks, as far as it is known.
    pub(crate) fn block_time(&self) -> Duration {
        self.0.state().block_time
    }

    /// Begins to wait for a transaction that no block up to `absent` can hold, because it was not sent before. Must
    /// be called within a runtime.
    pub(crate) fn watch(&self, hash: B256, absent: u64) -> Watch {
        let (tell, receipts) = mpsc::unbounded_channel();
        let mut watch = Watch { hashes: Vec::new(), tell, receipts, shared: self.0.clone() };
        watch.also(hash, absent);
        watch
    }

    /// The newest block's number, where one was seen.
    pub(crate) fn number(&self) -> Option<u64> {
        Some(self.0.state().last?.number)
    }

    /// The newest block's base fee in wei per gas, where one was seen.
    pub(crate) fn base_fee(&self) -> Option<u128> {
        self.0.state().last?.base_fee
    }

    /// Says that something was sent, so that a look is worth while before the next block is expected.
    pub(crate) fn sent(&self) {
        self.0.news.notify_one();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait(shared: &Arc<Self>, hash: B256, waiting: Waiting) {
        let mut state = shared.state();
        state.waiting.insert(hash, waiting);
        if !std::mem::replace(&mut state.running, true) {
            tokio::spawn(Self::run(shared.clone()));
        }
    }

    async fn run(shared: Arc<Self>) {
        match &shared.heads {
            // Heard only while somebody waits: nodes charge for what they announce.
            Some(heads) => tokio::select! {
                () = Self::look_out(shared.clone()) => {}
                () = heads.listen() => {}
            },
            None => Self::look_out(shared).await,
        }
    }

    /// Looks for as long as somebody waits.
    async fn look_out(shared: Arc<Self>) {
        let mut running = Running(Some(shared.clone()));
        let mut failures = 0u32;
        // The block after which a look was taken before the next one was due.
        let mut early = None;
        let mut told = false;
        loop {
            {
                let mut state = shared.state();
                if state.waiting.is_empty() {
                    // In one step with the look at who waits, so that whoever comes next starts another task.
                    state.running = false;
                    running.0 = None;
                    return;
                }
            }
            let rest = match shared.look(std::mem::take(&mut told)).await {
                Ok(complete) => {
                    failures = 0;
                    shared.rest(complete)
                }
                Err(error) => {
                    failures = failures.saturating_add(1);
                    tracing::warn!(%error, "blocks could not be asked for");
                    shared.step().saturating_mul(1 << failures.min(8)).min(LONGEST_REST)
                }
            };
            let newest = shared.state().last.map(|last| last.number);
            tokio::select! {
                () = tokio::time::sleep(rest) => {}
                () = shared.head() => told = true,
                // Some chains make a block when something is sent. One look per block finds out.
                () = shared.news.notified(), if early != newest => {
                    early = newest;
                    tokio::time::sleep(rest.min(shared.step())).await;
                }
            }
        }
    }

    /// How long between looks while a block is due.
    fn step(&self) -> Duration {
        step(self.state().block_time)
    }

    /// How long until the next look. Where it is known when the last block came, until shortly before the next one is
    /// due; a look too early costs a call, one too late costs every payer's time.
    fn rest(&self, complete: bool) -> Duration {
        let step = self.step();
        let announced = self.heads.as_ref().is_some_and(Heads::is_live);
        let state = self.state();
        match state.last {
            // A connection can fall silent.
            _ if complete && announced => state.block_time.saturating_mul(2).max(step),
            Some(last) if complete && last.sharp => {
                let early = step.saturating_mul(2).saturating_add(last.at.elapsed());
                state.block_time.saturating_sub(early).max(step)
            }
            _ => step,
        }
    }

    /// Waits until the node announces a block.
    async fn head(&self) {
        match &self.heads {
            Some(heads) => heads.next().await,
            None => std::future::pending().await,
        }
    }

    /// Looks once, `told` by the node or not; answers whether it got all it asked for.
    async fn look(&self, told: bool) -> Result<bool, CallError> {
        let block: Block = self.rpc.call(&Call::new("eth_getBlockByNumber", &("latest", false))).await?;
        let (_, wanted) = self.take_note(&block, told);
        let mut complete = true;
        for hashes in wanted.chunks(LARGEST_BATCH) {
            let calls: Vec<Call> = hashes.iter().map(|hash| Call::new("eth_getTransactionReceipt", &[hash])).collect();
            for (hash, answer) in hashes.iter().zip(self.rpc.batch(&calls).await?) {
                match answer.and_then(|answer| read::<Option<Receipt>>(&answer)) {
                    Ok(Some(receipt)) => {
                        if let Some(waiting) = self.state().waiting.remove(hash) {
                            let _ = waiting.tell.send(receipt);
                        }
                    }
                    // Where the block lists it and the receipt is not there yet, the next look asks again.
                    Ok(None) if block.transactions.contains(hash) => complete = false,
                    Ok(None) => self.absent(hash, block.number.to()),
                    Err(error) => {
                        complete = false;
                        tracing::warn!(%error, "a receipt could not be asked for");
                    }
                }
            }
        }
        Ok(complete)
    }

    fn absent(&self, hash: &B256, block: u64) {
        if let Some(waiting) = self.state().waiting.get_mut(hash) {
            waiting.absent = block;
            waiting.asked = block;
        }
    }

    /// Notes a block, `told` by the node or looked for; answers whether it is new and whose receipts to ask for.
    fn take_note(&self, block: &Block, told: bool) -> (bool, Vec<B256>) {
        let mut state = self.state();
        let number: u64 = block.number.to();
        let now = Instant::now();
        let last = state.last;
        let sharp = {
            let step = step(state.block_time);
            let looked = state.looked.replace(now);
            told || looked.is_some_and(|looked| now.duration_since(looked) <= step.saturating_mul(3))
        };
        let new = last.is_none_or(|last| last.number < number || (last.number == number && last.hash != block.hash));
        // A chain that changed its mind may have moved a transaction to a block whose list was read before.
        let reorganised = last.is_some_and(|last| {
            new && (last.number == number
                || last.number.checked_add(1) == Some(number) && last.hash != block.parent_hash)
        });
        if new {
            if let Some(last) = last.filter(|last| sharp && last.sharp) {
                state.learn(last, number, now);
            }
            let base_fee = block.base_fee_per_gas.and_then(|fee| u128::try_from(fee).ok());
            state.last = Some(Last { number, hash: block.hash, base_fee, at: now, sharp });
        }
        let mut wanted = Vec::new();
        for (hash, waiting) in &mut state.waiting {
            let listed = block.transactions.contains(hash);
            let missed = number > waiting.absent.saturating_add(1);
            let due = number.saturating_sub(waiting.asked) >= DUE;
            if listed || missed || reorganised || due {
                wanted.push(*hash);
            } else {
                waiting.absent = waiting.absent.max(number);
            }
        }
        (new, wanted)
    }
}

fn step(block_time: Duration) -> Duration {
    (block_time / 20).clamp(Duration::from_millis(2), Duration::from_millis(500))
}

/// Lets another task be started where this one ended in disorder.
struct Running(Option<Arc<Shared>>);

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(shared) = &self.0 {
            shared.state().running = false;
        }
    }
}

impl State {
    /// Moves the believed time between blocks a quarter of the way to what was seen.
    fn learn(&mut self, last: Last, number: u64, now: Instant) {
        let blocks = u32::try_from(number.saturating_sub(last.number)).unwrap_or(u32::MAX);
        if let Some(seen) = now.duration_since(last.at).checked_div(blocks) {
            self.block_time = (self.block_time.saturating_mul(3).saturating_add(seen) / 4).clamp(FASTEST, SLOWEST);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test::{Silent, rpc_over};

    fn blocks() -> Blocks {
        Blocks::new(rpc_over(Silent), Duration::from_secs(2), None)
    }

    fn block(number: u64, parent: u8, hash: u8, transactions: &[B256]) -> Block {
        Block {
            number: U64::from(number),
            hash: B256::repeat_byte(hash),
            parent_hash: B256::repeat_byte(parent),
            base_fee_per_gas: None,
            transactions: transactions.iter().copied().collect(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn only_what_a_block_lists_is_asked_for() {
        let blocks = blocks();
        let (ours, other) = (B256::repeat_byte(1), B256::repeat_byte(2));
        let _watch = blocks.watch(ours, 10);
        let shared = &blocks.0;
        assert_eq!(shared.take_note(&block(11, 10, 11, &[other]), false), (true, vec![]));
        assert_eq!(shared.take_note(&block(11, 10, 11, &[other]), false), (false, vec![]), "the same block again");
        assert_eq!(shared.take_note(&block(12, 11, 12, &[other, ours]), false), (true, vec![ours]));
        assert_eq!(shared.take_note(&block(12, 11, 12, &[other, ours]), false), (false, vec![ours]), "no receipt yet");
    }

    #[tokio::test(start_paused = true)]
    async fn missed_blocks_and_changes_of_mind_are_asked_about() {
        let blocks = blocks();
        let ours = B256::repeat_byte(1);
        let _watch = blocks.watch(ours, 10);
        let shared = &blocks.0;
        assert_eq!(shared.take_note(&block(13, 12, 13, &[]), false), (true, vec![ours]), "11 and 12 were missed");
        shared.absent(&ours, 13);
        assert_eq!(shared.take_note(&block(14, 13, 14, &[]), false), (true, vec![]));
        assert_eq!(shared.take_note(&block(14, 13, 99, &[]), false), (true, vec![ours]), "another block 14");
        assert_eq!(
            shared.take_note(&block(15, 14, 15, &[]), false),
            (true, vec![ours]),
            "its parent is not the one seen"
        );
        assert_eq!(shared.take_note(&block(12, 11, 12, &[]), false), (false, vec![]), "a node that is behind");
    }

    #[tokio::test(start_paused = true)]
    async fn receipts_are_asked_for_outright_now_and_then() {
        let blocks = blocks();
        let _watch = blocks.watch(B256::repeat_byte(1), 0);
        let asked: Vec<u64> = (1..=40u8)
            .filter(|number| {
                let (_, wanted) = blocks.0.take_note(&block((*number).into(), number - 1, *number, &[]), false);
                wanted.iter().for_each(|hash| blocks.0.absent(hash, (*number).into()));
                !wanted.is_empty()
            })
            .map(u64::from)
            .collect();
        assert_eq!(asked, [16, 32]);
    }

    #[tokio::test(start_paused = true)]
    async fn the_time_between_blocks_is_learnt() {
        let blocks = blocks();
        // Looked for every five milliseconds, one comes every quarter of a second.
        for look in 0..2001u64 {
            let number = look / 50;
            let hash = u8::try_from(number).unwrap();
            blocks.0.take_note(&block(number, hash.saturating_sub(1), hash, &[]), false);
            tokio::time::advance(Duration::from_millis(5)).await;
        }
        let learnt = blocks.block_time();
        assert!((240..260).contains(&learnt.as_millis()), "{learnt:?}");
        assert!(blocks.0.rest(true) > Duration::from_millis(100), "nothing is due for a while");
        assert!(blocks.0.rest(false) < Duration::from_millis(20), "but something is missing");
        // After a long silence nobody knows when the block came.
        tokio::time::advance(Duration::from_secs(600)).await;
        blocks.0.take_note(&block(41, 40, 41, &[]), false);
        assert_eq!(blocks.block_time(), learnt);
        assert!(blocks.0.rest(true) < Duration::from_millis(20));
    }

    #[tokio::test(start_paused = true)]
    async fn the_watcher_stops_when_nobody_waits() {
        let blocks = blocks();
        let watch = blocks.watch(B256::repeat_byte(1), 0);
        assert!(blocks.0.state().running);
        drop(watch);
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert!(!blocks.0.state().running);
        let _again = blocks.watch(B256::repeat_byte(1), 0);
        assert!(blocks.0.state().running);
    }
}
