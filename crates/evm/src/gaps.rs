//! Filling nonces that a signer's later transactions would wait behind for ever.

use crate::broadcast::Sent;
use crate::flight::Held;
use crate::lane::Lane;
use crate::order::Order;
use alloy::primitives::Bytes;
use std::collections::BTreeSet;
use std::sync::Arc;
use tollway_core::LedgerHandle;

/// Most gaps filled at once.
const MOST_FILLED: usize = 16;

impl Lane {
    /// Fills nonces that others wait behind, after a refusal that was final or changed what is known of the nonces.
    pub(crate) async fn mend(self: &Arc<Self>, order: &Order, ledger: &LedgerHandle) {
        for _ in 0..MOST_FILLED {
            if !self.fill_gap(order, ledger).await {
                return;
            }
        }
    }

    /// Fills nonces before one that waits for no visible reason, where the chain lost them; says whether it did.
    pub(crate) async fn fill_below(self: &Arc<Self>, nonce: u64, order: &Order, ledger: &LedgerHandle) -> bool {
        let Ok(pending) = self.pending().await else { return false };
        let lost = self.nonces().reclaim(pending, nonce, &BTreeSet::new());
        if lost {
            self.mend(order, ledger).await;
        }
        lost
    }

    /// Fills nonces before one that a process before this one left behind, from the chain's count (`pending`) on, but
    /// for those that are in the books: they are sent from there.
    pub(crate) async fn fill_inherited(
        self: &Arc<Self>,
        (pending, nonce): (u64, u64),
        order: &Order,
        known: &BTreeSet<u64>,
        ledger: &LedgerHandle,
    ) {
        let _held = {
            let mut nonces = self.nonces();
            if !nonces.reclaim(pending, nonce, known) {
                return;
            }
            nonces.inherit(nonce);
            Held::new(self.clone(), nonce)
        };
        self.mend(order, ledger).await;
    }

    /// Fills a nonce that others wait behind with a transfer of nothing to the signer itself; says whether it did. If
    /// that is refused too, the nonce stays free for the next payment. It carries no claim, so that nobody takes its fate
    /// for a payment's. It counts as spent and knows no ceiling: what it frees is worth more.
    async fn fill_gap(self: &Arc<Self>, order: &Order, ledger: &LedgerHandle) -> bool {
        let turn = self.turn.lock().await;
        // Asked within the turn, since another payment may just have taken it.
        let gap = self.nonces().gap();
        let Some(nonce) = gap else { return false };
        let network = self.chain().name();
        tracing::warn!(%network, nonce, "filling a gap in the signer's nonces");
        let order = Order { to: self.address(), data: Bytes::new(), ..order.clone() };
        let queued = self.queue_up(&order, ledger, &[]).await;
        drop(turn);
        let filled = match queued {
            Ok((flight, told)) => {
                self.flush().await;
                match told.await {
                    Ok(Sent::Refused(refusal, why)) => {
                        let nonce = flight.nonce();
                        drop(flight);
                        self.refused(nonce, refusal).await;
                        Err(why)
                    }
                    _ => Ok(()),
                }
            }
            Err(fault) => Err(fault.to_string()),
        };
        match &filled {
            Ok(()) => self.chain().spend.count(order.quote.max_fee.saturating_mul(TRANSFER_GAS)),
            Err(why) => tracing::error!(%network, nonce, why, "a gap in the signer's nonces could not be filled"),
        }
        filled.is_ok()
    }
}

/// What a transfer of nothing takes.
const TRANSFER_GAS: u128 = 21_000;
