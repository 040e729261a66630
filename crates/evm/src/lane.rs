//! [`Lane`]: the order of one signer's transactions on one chain.
//!
//! What is serialised is short: take the next nonce, sign, write to the ledger, queue. Sending is done for all that
//! queued meanwhile, in order and in one request, by whichever settlement gets there first; receipts are waited for
//! outside. So one signer has as many payments in flight as its chain's pool takes.
//!
//! A nonce counts as taken only once its transaction is durable and queued. One that a node refuses is free again and
//! goes to the next transaction; where others behind it would wait for ever, a transaction that does nothing fills it.

use crate::batch::Batch;
use crate::broadcast::{LARGEST_BATCH, Refusal, Sent, broadcast};
use crate::chain::Chain;
use crate::flight::{Flight, Held};
use crate::nonces::Nonces;
use crate::order::Order;
use crate::purse::Purse;
use crate::receipt::Receipt;
use crate::rpc::Call;
use crate::signer::sign_digest;
use alloy::consensus::SignableTransaction as _;
use alloy::eips::eip2718::Encodable2718 as _;
use alloy::primitives::{Address, B256, Signature, U64};
use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Notify, oneshot};
use tollway_core::{Durable, Fault, LedgerHandle, SignedTx, Signer, Slot, Ticket};

/// A signer's transactions on a chain.
pub(crate) struct Lane {
    chain: Arc<Chain>,
    signer: Arc<dyn Signer>,
    address: Address,
    /// What the signer has for gas.
    pub(crate) purse: Purse,
    /// Payments that wait to share a transaction.
    pub(crate) batch: Batch,
    /// Held from taking a nonce until its transaction is queued, so that the queue is in order and has no gaps.
    pub(crate) turn: tokio::sync::Mutex<()>,
    nonces: Mutex<Nonces>,
    queue: Mutex<VecDeque<Queued>>,
    /// Held by whoever sends.
    sending: tokio::sync::Mutex<()>,
    seats: AtomicUsize,
    unmined: AtomicUsize,
    /// Under which the signer is held.
    epoch: AtomicU64,
    /// Told when there is one less unmined.
    pub(crate) landed: Notify,
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

/// A transaction that is about to be sent, or sent and not mined. Counts as long as it lives.
pub(crate) struct Unmined(Arc<Lane>);

impl Drop for Unmined {
    fn drop(&mut self) {
        self.0.unmined.fetch_sub(1, Relaxed);
        self.0.landed.notify_one();
    }
}

struct Queued {
    nonce: u64,
    durable: Durable,
    tell: oneshot::Sender<Sent>,
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
    pub(crate) fn new(chain: Arc<Chain>, signer: Arc<dyn Signer>, address: Address) -> Self {
        Self {
            chain,
            signer,
            address,
            purse: Purse::default(),
            batch: Batch::default(),
            turn: tokio::sync::Mutex::default(),
            nonces: Mutex::default(),
            queue: Mutex::default(),
            sending: tokio::sync::Mutex::default(),
            seats: AtomicUsize::new(0),
            unmined: AtomicUsize::new(0),
            epoch: AtomicU64::new(0),
            landed: Notify::new(),
        }
    }

    pub(crate) fn chain(&self) -> &Arc<Chain> {
        &self.chain
    }

    /// Who pays for gas.
    pub(crate) fn address(&self) -> Address {
        self.address
    }

    /// How many settlements are under way.
    pub(crate) fn busy(&self) -> usize {
        self.seats.load(Relaxed)
    }

    /// How many transactions are about to be sent, or sent and not mined.
    pub(crate) fn unmined(&self) -> usize {
        self.unmined.load(Relaxed)
    }

    /// Takes a seat.
    pub(crate) fn join(self: &Arc<Self>) -> Seat {
        self.seats.fetch_add(1, Relaxed);
        Seat(self.clone())
    }

    /// Announces a transaction.
    pub(crate) fn announce(self: &Arc<Self>) -> Unmined {
        self.unmined.fetch_add(1, Relaxed);
        Unmined(self.clone())
    }

    pub(crate) fn nonces(&self) -> MutexGuard<'_, Nonces> {
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
            Ok(Sent::Taken) => Ok(flight.taken()),
            Ok(Sent::Maybe(why)) => {
                tracing::warn!(network = %self.chain.name(), hash = %flight.hash(), why, "a transaction may not have been sent");
                Ok(flight)
            }
            // What took the slot may be these very bytes, delivered twice on their way.
            Ok(Sent::Refused(Refusal::NonceTooLow, _)) if self.is_mined(flight.hash()).await => Ok(flight.taken()),
            Ok(Sent::Refused(refusal, why)) => {
                let nonce = flight.nonce();
                drop(flight);
                self.refused(nonce, refusal).await;
                Err(NotSent::Refused(refusal, why))
            }
            // Whoever was sending is gone, at a point nobody knows.
            Err(_) => Ok(flight),
        }
    }

    /// Only for whoever holds the turn.
    pub(crate) async fn queue_up(
        self: &Arc<Self>,
        order: &Order,
        ledger: &LedgerHandle,
        claims: &[Ticket],
    ) -> Result<(Flight, oneshot::Receiver<Sent>), Fault> {
        // Before the nonce is chosen: under a new epoch it is another.
        let epoch = self.hold(ledger).await?;
        let known = self.nonces().peek();
        let nonce = match known {
            Some(nonce) => nonce,
            None => self.pending().await?,
        };
        let (hash, durable) = self.write(order, (nonce, epoch), ledger, claims).await?;

        // From here to the end nothing waits, so the nonce is taken and queued, or neither.
        self.nonces().take(nonce);
        let held = Held::new(self.clone(), nonce);
        let watch = self.chain.blocks.watch(hash, order.quote.head);
        let (tell, told) = oneshot::channel();
        let queued = Queued { nonce, durable: durable.clone(), tell };
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).push_back(queued);
        Ok((Flight::new(held, order.clone(), (hash, durable), watch), told))
    }

    /// The signer's epoch, if it is this process that signs with it. Under a new one, others have signed meanwhile.
    ///
    /// # Errors
    /// It is another process's, or the store could not be asked.
    pub(crate) async fn hold(&self, ledger: &LedgerHandle) -> Result<u64, Fault> {
        let epoch = ledger.hold(self.chain.name(), &self.address.to_checksum(None)).await?;
        if self.epoch.swap(epoch, Relaxed) != epoch {
            self.nonces().forget();
        }
        Ok(epoch)
    }

    /// Signs a transaction for a nonce of an epoch and writes it to the ledger: the one place where transactions are made.
    ///
    /// # Errors
    /// The signer or the ledger failed; nothing may be sent.
    pub(crate) async fn write(
        &self,
        order: &Order,
        (nonce, epoch): (u64, u64),
        ledger: &LedgerHandle,
        claims: &[Ticket],
    ) -> Result<(B256, Durable), Fault> {
        let transaction = order.transaction(self.chain.id(), nonce);
        let signature = sign_digest(&*self.signer, self.address, &transaction.signature_hash()).await?;
        let signature = Signature::from_scalars_and_parity(signature.r(), signature.s(), signature.v() == 28);
        let signed = transaction.into_signed(signature);
        let (hash, bytes) = (*signed.hash(), signed.encoded_2718());
        let slot = Slot::new(self.chain.name().clone(), self.address.to_checksum(None), Some(nonce)).with_epoch(epoch);
        let durable = ledger.signed(SignedTx::new(slot, hash.to_string(), bytes), claims).await?;
        Ok((hash, durable))
    }

    /// Sends all that is queued.
    pub(crate) async fn flush(&self) {
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
        let answers = broadcast(&self.chain.rpc, &transactions).await;
        self.chain.blocks.sent();
        for (queued, answer) in batch.into_iter().zip(answers) {
            let _ = queued.tell.send(answer);
        }
    }

    /// Whether a transaction is in a block, as far as the node knows.
    async fn is_mined(&self, hash: B256) -> bool {
        let receipt = self.chain.rpc.call::<Option<Receipt>>(&Call::new("eth_getTransactionReceipt", &[hash])).await;
        matches!(receipt, Ok(Some(_)))
    }

    /// The chain's count of this signer's transactions, mined and waiting.
    pub(crate) async fn pending(&self) -> Result<u64, Fault> {
        let rpc = &self.chain.rpc;
        let call = Call::new("eth_getTransactionCount", &(self.address, "pending"));
        let count: U64 = rpc.call(&call).await.map_err(|error| rpc.fault("asking for the signer's nonce", error))?;
        Ok(count.to())
    }

    /// What a refusal says about the nonces and the purse.
    pub(crate) async fn refused(&self, nonce: u64, refusal: Refusal) {
        self.purse.paid(refusal != Refusal::NoFunds);
        let pending = match refusal {
            Refusal::NonceTooLow | Refusal::NonceTooHigh | Refusal::Occupied => self.pending().await.ok(),
            _ => None,
        };
        self.nonces().refused(nonce, refusal, pending);
    }
}

impl fmt::Debug for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lane")
            .field("network", self.chain.name())
            .field("address", &self.address)
            .field("busy", &self.busy())
            .finish_non_exhaustive()
    }
}
