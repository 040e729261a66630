//! [`Flight`]: a transaction on its way, with those that replaced it.
//!
//! The same bytes are sent again now and then: a node may have lost them, or never got them, and the signer's later
//! transactions would wait behind the hole. Where its fee became too low, the same call is signed again for the same
//! nonce with a higher fee, up to the cap: another attempt in the ledger, written before it is sent. Of the attempts
//! at one nonce one is mined, and whichever it is, is found.

use crate::blocks::Watch;
use crate::broadcast::{Sent, broadcast};
use crate::lane::Lane;
use crate::order::Order;
use crate::receipt::Receipt;
use crate::spend::Reserved;
use alloy::primitives::B256;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};
use tollway_core::{Durable, LedgerHandle, Ticket};

/// How long after a send that may have failed the bytes are sent again, and the least time after one that did not.
const UNSURE: Duration = Duration::from_millis(500);
const SURE: Duration = Duration::from_secs(5);
/// Blocks in which a transaction that nothing stands before should be mined; after so many its tip is too low.
const SLOW_BLOCKS: u64 = 24;

/// A nonce in use. It is its transaction's own until this is dropped.
pub(crate) struct Held {
    lane: Arc<Lane>,
    nonce: u64,
}

impl Held {
    pub(crate) fn new(lane: Arc<Lane>, nonce: u64) -> Self {
        Self { lane, nonce }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.lane.nonces().release(self.nonce);
    }
}

/// A transaction that may be on its way.
pub(crate) struct Flight {
    held: Held,
    order: Order,
    /// What was signed, oldest first. Never empty.
    first: (B256, Durable),
    raised: Vec<(B256, Durable)>,
    watch: Watch,
    /// Whether the node is known to have the newest.
    taken: bool,
    /// Whether it was said that no higher fee may be offered.
    capped: bool,
}

impl Flight {
    pub(crate) fn new(held: Held, order: Order, first: (B256, Durable), watch: Watch) -> Self {
        Self { held, order, first, raised: Vec::new(), watch, taken: false, capped: false }
    }

    /// Notes that the node has it.
    pub(crate) fn taken(mut self) -> Self {
        self.taken = true;
        self
    }

    pub(crate) fn nonce(&self) -> u64 {
        self.held.nonce
    }

    fn newest(&self) -> &(B256, Durable) {
        self.raised.last().unwrap_or(&self.first)
    }

    /// The newest attempt's hash.
    pub(crate) fn hash(&self) -> B256 {
        self.newest().0
    }

    /// The receipt of whichever attempt is mined. `told` hears the hash of each new attempt.
    pub(crate) async fn mined(
        &mut self,
        ledger: &LedgerHandle,
        claims: &[Ticket],
        reserved: &mut Reserved,
        told: impl Fn(B256),
    ) -> Receipt {
        let lane = self.held.lane.clone();
        let blocks = &lane.chain().blocks;
        let sure = || SURE.max(blocks.block_time() * 8);
        let mut patience = if self.taken { sure() } else { UNSURE };
        let mut again = Instant::now() + patience;
        let mut since = self.order.quote.head;
        loop {
            let pause = (blocks.block_time() * 2).max(UNSURE).min(again.saturating_duration_since(Instant::now()));
            tokio::select! {
                receipt = self.watch.receipt() => return receipt,
                () = sleep(pause) => {}
            }
            // No block takes it, or nobody cares to though nothing stands before it.
            let quote = self.order.quote;
            let too_low = blocks.base_fee().is_some_and(|base| base > quote.max_fee);
            let newest = blocks.number().unwrap_or_default();
            let ignored = newest > since.saturating_add(SLOW_BLOCKS) && lane.nonces().is_first(self.nonce());
            if ignored {
                since = newest;
                if lane.fill_below(self.nonce(), &self.order, ledger).await {
                    continue;
                }
            }
            if (too_low || ignored) && self.raise(ledger, claims, reserved).await {
                told(self.hash());
                patience = if self.taken { sure() } else { UNSURE };
                again = Instant::now() + patience;
                continue;
            }
            if Instant::now() < again {
                continue;
            }
            match broadcast(&lane.chain().rpc, &[&self.newest().1]).await.pop() {
                Some(Sent::Taken) => patience = sure(),
                answer => {
                    tracing::warn!(hash = %self.hash(), ?answer, "a transaction that was sent again was not taken");
                    patience = patience.saturating_mul(2).min(SURE);
                }
            }
            again = Instant::now() + patience;
        }
    }

    /// Offers more for the same nonce; says whether it did.
    async fn raise(&mut self, ledger: &LedgerHandle, claims: &[Ticket], reserved: &mut Reserved) -> bool {
        let lane = &self.held.lane;
        let raised = lane.raise(&self.order, self.held.nonce, ledger, claims, |worst| reserved.cover(worst)).await;
        let (order, (hash, durable)) = match raised {
            Ok(raised) => raised,
            Err(why) => {
                if !std::mem::replace(&mut self.capped, true) {
                    let network = lane.chain().name();
                    tracing::warn!(%network, hash = %self.hash(), why, "a transaction is stuck, and no more is offered for it");
                }
                return false;
            }
        };
        self.watch.also(hash, order.quote.head);
        let answer = broadcast(&lane.chain().rpc, &[&durable]).await.pop();
        lane.chain().blocks.sent();
        tracing::warn!(network = %lane.chain().name(), before = %self.hash(), %hash, ?answer, "a stuck transaction was replaced by a dearer one");
        self.taken = answer == Some(Sent::Taken);
        self.order = order;
        self.raised.push((hash, durable));
        true
    }
}

impl Lane {
    /// Signs the same call for the same nonce at a higher fee, and writes it down. `cover` sets the worst case aside.
    ///
    /// # Errors
    /// Why it stays as it is.
    pub(crate) async fn raise(
        &self,
        order: &Order,
        nonce: u64,
        ledger: &LedgerHandle,
        claims: &[Ticket],
        cover: impl FnOnce(u128) -> Result<(), tollway_core::Fault>,
    ) -> Result<(Order, (B256, Durable)), String> {
        let chain = self.chain();
        let now = chain.fees.quote(&chain.rpc, chain.blocks.block_time()).await.map_err(|fault| fault.to_string())?;
        let raised = order.raised(&now);
        if !raised.replaces(order) {
            return Err(format!(
                "the cap of {} wei per gas is reached; raise maxFeePerGas or maxFeePerPayment",
                order.cap
            ));
        }
        let epoch = self.hold(ledger).await.map_err(|fault| fault.to_string())?;
        cover(raised.worst()).map_err(|fault| fault.to_string())?;
        let written = self.write(&raised, (nonce, epoch), ledger, claims).await.map_err(|fault| fault.to_string())?;
        Ok((raised, written))
    }
}
