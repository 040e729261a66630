//! [`Lane`]: the order of one signer's transactions on one chain.
//!
//! What is serialised is short: take the next nonce, sign, write to the ledger, queue. Sending is done for all that
//! queued meanwhile, in order and in one request, by whichever settlement gets there first; receipts are waited for
//! outside. So one signer has as many payments in flight as its chain's pool takes.
//!
//! A nonce counts as taken only once its transaction is durable and queued. One that a node refuses is free again and
//! goes to the next transaction; where others behind it would wait for ever, a transaction that does nothing fills it.

use crate::blocks::{Blocks, Watch};
use crate::broadcast::{LARGEST_BATCH, Refusal, Sent, broadcast};
use crate::fees::Quote;
use crate::nonces::Nonces;
use crate::rpc::{Call, Rpc};
use crate::signer::sign_digest;
use alloy::consensus::{SignableTransaction as _, TxEip1559};
use alloy::eips::eip2718::Encodable2718 as _;
use alloy::primitives::{Address, B256, Bytes, Signature, TxKind, U64, U256};
use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;
use tollway_core::{Durable, Fault, LedgerHandle, NetworkId, SignedTx, Signer, Slot, Ticket};

/// Most gaps filled at once.
const MOST_FILLED: usize = 16;

/// A signer's transactions on a chain.
pub(crate) struct Lane {
    network: NetworkId,
    chain: u64,
    rpc: Rpc,
    blocks: Blocks,
    signer: Arc<dyn Signer>,
    address: Address,
    /// Held from taking a nonce until its transaction is queued, so that the queue is in order and has no gaps.
    turn: tokio::sync::Mutex<()>,
    nonces: Mutex<Nonces>,
    queue: Mutex<VecDeque<Queued>>,
    /// Held by whoever sends.
    sending: tokio::sync::Mutex<()>,
    seats: AtomicUsize,
    /// Under which the signer is held.
    epoch: AtomicU64,
}

/// A settlement that has chosen a lane. Counts as long as it lives.
pub(crate) struct Seat(Arc<Lane>);

impl std::ops::Deref for Seat {
    type Target = Arc<Lane>;

    fn deref(&self) -> &Arc<Lane> {
        &self.0
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.seats.fetch_sub(1, Relaxed);
    }
}

/// What to send.
#[derive(Debug, Clone)]
pub(crate) struct Order {
    pub(crate) to: Address,
    pub(crate) data: Bytes,
    pub(crate) gas: u64,
    pub(crate) quote: Quote,
}

struct Queued {
    nonce: u64,
    durable: Durable,
    tell: oneshot::Sender<Sent>,
}

/// A transaction that may be on its way. Its nonce is its own until this is dropped.
pub(crate) struct Flight {
    pub(crate) hash: B256,
    pub(crate) durable: Durable,
    pub(crate) watch: Watch,
    /// Whether the node is known to have it.
    pub(crate) taken: bool,
    /// Keeps the nonce.
    _held: Held,
}

/// A nonce in use.
struct Held {
    lane: Arc<Lane>,
    nonce: u64,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.lane.nonces().release(self.nonce);
    }
}

/// Why nothing was sent.
#[derive(Debug)]
pub(crate) enum NotSent {
    /// The node refused it, in these words.
    Refused(Refusal, String),
    /// It did not get that far.
    Fault(Fault),
}

impl Lane {
    pub(crate) fn new(
        network: NetworkId,
        chain: u64,
        rpc: Rpc,
        blocks: Blocks,
        signer: Arc<dyn Signer>,
        address: Address,
    ) -> Self {
        Self {
            network,
            chain,
            rpc,
            blocks,
            signer,
            address,
            turn: tokio::sync::Mutex::default(),
            nonces: Mutex::default(),
            queue: Mutex::default(),
            sending: tokio::sync::Mutex::default(),
            seats: AtomicUsize::new(0),
            epoch: AtomicU64::new(0),
        }
    }

    /// Who pays for gas.
    pub(crate) fn address(&self) -> Address {
        self.address
    }

    /// How many settlements are under way.
    pub(crate) fn busy(&self) -> usize {
        self.seats.load(Relaxed)
    }

    /// Takes a seat.
    pub(crate) fn join(self: &Arc<Self>) -> Seat {
        self.seats.fetch_add(1, Relaxed);
        Seat(self.clone())
    }

    fn nonces(&self) -> MutexGuard<'_, Nonces> {
        self.nonces.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Signs a transaction, writes it to the ledger with the claims it carries, and sends it. One attempt.
    ///
    /// # Errors
    /// Nothing was sent, certainly.
    pub(crate) async fn send(
        self: &Arc<Self>,
        order: &Order,
        ledger: &LedgerHandle,
        claims: &[Ticket],
    ) -> Result<Flight, NotSent> {
        let turn = self.turn.lock().await;
        let (flight, told) = self.queue_up(order, ledger, claims).await.map_err(NotSent::Fault)?;
        drop(turn);
        self.flush().await;
        match told.await {
            Ok(Sent::Taken) => Ok(Flight { taken: true, ..flight }),
            Ok(Sent::Maybe(why)) => {
                tracing::warn!(network = %self.network, hash = %flight.hash, why, "a transaction may not have been sent");
                Ok(flight)
            }
            Ok(Sent::Refused(refusal, why)) => {
                let nonce = flight._held.nonce;
                drop(flight);
                self.refused(nonce, refusal).await;
                Err(NotSent::Refused(refusal, why))
            }
            // Whoever was sending is gone, at a point nobody knows.
            Err(_) => Ok(flight),
        }
    }

    /// Only for whoever holds the turn.
    async fn queue_up(
        self: &Arc<Self>,
        order: &Order,
        ledger: &LedgerHandle,
        claims: &[Ticket],
    ) -> Result<(Flight, oneshot::Receiver<Sent>), Fault> {
        let epoch = self.hold(ledger).await?;
        let known = self.nonces().peek();
        let nonce = match known {
            Some(nonce) => nonce,
            None => self.pending().await?,
        };
        let (hash, bytes) = self.sign(order, nonce).await?;
        let slot = Slot::new(self.network.clone(), self.address.to_checksum(None), Some(nonce)).with_epoch(epoch);
        let durable = ledger.signed(SignedTx::new(slot, hash.to_string(), bytes), claims).await?;

        // From here to the end nothing waits, so the nonce is taken and queued, or neither.
        self.nonces().take(nonce);
        let held = Held { lane: self.clone(), nonce };
        let watch = self.blocks.watch(hash, order.quote.head);
        let (tell, told) = oneshot::channel();
        let queued = Queued { nonce, durable: durable.clone(), tell };
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).push_back(queued);
        Ok((Flight { hash, durable, watch, taken: false, _held: held }, told))
    }

    /// The signer's epoch, if it is this process that signs with it. Under a new one, others have signed meanwhile.
    async fn hold(&self, ledger: &LedgerHandle) -> Result<u64, Fault> {
        let epoch = ledger.hold(&self.network, &self.address.to_checksum(None)).await?;
        if self.epoch.swap(epoch, Relaxed) != epoch {
            self.nonces().forget();
        }
        Ok(epoch)
    }

    async fn sign(&self, order: &Order, nonce: u64) -> Result<(B256, Vec<u8>), Fault> {
        let transaction = TxEip1559 {
            chain_id: self.chain,
            nonce,
            gas_limit: order.gas,
            max_fee_per_gas: order.quote.max_fee,
            max_priority_fee_per_gas: order.quote.tip,
            to: TxKind::Call(order.to),
            value: U256::ZERO,
            access_list: Default::default(),
            input: order.data.clone(),
        };
        let signature = sign_digest(&*self.signer, self.address, &transaction.signature_hash()).await?;
        let signature = Signature::from_scalars_and_parity(signature.r(), signature.s(), signature.v() == 28);
        let signed = transaction.into_signed(signature);
        Ok((*signed.hash(), signed.encoded_2718()))
    }

    /// Sends all that is queued.
    async fn flush(&self) {
        let _sending = self.sending.lock().await;
        let mut batch: Vec<Queued> = {
            let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
            let count = queue.len().min(LARGEST_BATCH);
            queue.drain(..count).collect()
        };
        if batch.is_empty() {
            return;
        }
        // A freed nonce was queued after higher ones.
        batch.sort_unstable_by_key(|queued| queued.nonce);
        let transactions: Vec<&Durable> = batch.iter().map(|queued| &queued.durable).collect();
        let answers = broadcast(&self.rpc, &transactions).await;
        self.blocks.sent();
        for (queued, answer) in batch.into_iter().zip(answers) {
            let _ = queued.tell.send(answer);
        }
    }

    /// The chain's count of this signer's transactions, mined and waiting.
    async fn pending(&self) -> Result<u64, Fault> {
        let call = Call::new("eth_getTransactionCount", &(self.address, "pending"));
        let count: U64 =
            self.rpc.call(&call).await.map_err(|error| self.rpc.fault("asking for the signer's nonce", error))?;
        Ok(count.to())
    }

    async fn refused(&self, nonce: u64, refusal: Refusal) {
        let pending = match refusal {
            Refusal::NonceTooLow | Refusal::NonceTooHigh | Refusal::Occupied => self.pending().await.ok(),
            _ => None,
        };
        self.nonces().refused(nonce, refusal, pending);
    }

    /// Fills nonces that others wait behind, after a refusal that was final or changed what is known of the nonces.
    pub(crate) async fn mend(self: &Arc<Self>, order: &Order, ledger: &LedgerHandle, claims: &[Ticket]) {
        for _ in 0..MOST_FILLED {
            if !self.fill_gap(order, ledger, claims).await {
                return;
            }
        }
    }

    /// Fills a nonce that others wait behind with a transfer of nothing to the signer itself; says whether it did. If
    /// that is refused too, the nonce stays free for the next payment. In the ledger it goes under the claims of the
    /// payment that was refused, which end soon.
    async fn fill_gap(self: &Arc<Self>, order: &Order, ledger: &LedgerHandle, claims: &[Ticket]) -> bool {
        let turn = self.turn.lock().await;
        // Asked within the turn, since another payment may just have taken it.
        let gap = self.nonces().gap();
        let Some(nonce) = gap else { return false };
        tracing::warn!(network = %self.network, nonce, "filling a gap in the signer's nonces");
        let order = Order { to: self.address, data: Bytes::new(), ..order.clone() };
        let queued = self.queue_up(&order, ledger, claims).await;
        drop(turn);
        let filled = match queued {
            Ok((flight, told)) => {
                self.flush().await;
                match told.await {
                    Ok(Sent::Refused(refusal, why)) => {
                        let nonce = flight._held.nonce;
                        drop(flight);
                        self.refused(nonce, refusal).await;
                        Err(why)
                    }
                    _ => Ok(()),
                }
            }
            Err(fault) => Err(fault.to_string()),
        };
        if let Err(why) = &filled {
            tracing::error!(network = %self.network, nonce, why, "a gap in the signer's nonces could not be filled");
        }
        filled.is_ok()
    }
}

impl fmt::Debug for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lane")
            .field("network", &self.network)
            .field("address", &self.address)
            .field("busy", &self.busy())
            .finish_non_exhaustive()
    }
}
