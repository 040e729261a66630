//! [`Batch`]: payments that wait for one lane, and when they leave together in one transaction of Multicall3.
//!
//! A payment leaves at once when its lane has nothing unmined, alone if nobody else waits. Else it waits for company:
//! the more is unmined, the longer, so that what a lane sends between two blocks is never more than a few
//! transactions, and a payment alone loses a fraction of a block at most. When as much is unmined as nodes let wait for
//! certain, payments wait for a block.
//!
//! **Who may share.** A call in company can take the gas of those behind it: `aggregate3` has no limit of gas per call
//! (63 of 64 parts go to each). So only honest code may run in one:
//! - `exact` by EIP-3009 and by Permit2, of a known token, of a payer without code whose key signed. A contract
//!   wallet's verdict (EIP-1271, EIP-7702) is strangers' code and goes alone. Whoever sends such a payment is all the
//!   same to the token, and to Permit2's proxy: what the payer signed names the recipient and no sender.
//! - Permit2 with a signature for its allowance (`eip2612GasSponsoring`) too: it is one call of the proxy. One that still
//!   needs its approval mined (`erc20ApprovalGasSponsoring`) fails when it is tried, and goes alone after that; so does
//!   whose wallet is to be made (ERC-6492).
//! - `upto` never: its permit binds who calls the proxy, and that would be Multicall3.
//!
//! All are tried together in one `eth_call` first, in their order and each under a limit of gas; what fails there goes
//! alone and gets its own refusal. Should one fail in the transaction all the same, or take others' gas (a payer can
//! get code between two blocks), the others still prove themselves by their logs, and those that would succeed now go
//! again, alone, once. What a burner can waste is the gas of one batch, which is configured.

use crate::carry::Journey;
use crate::gas::{Kind, kind};
use crate::lane::{Lane, Unmined};
use crate::leave::leave;
use crate::limits::Sharing;
use crate::together::{HEAD_BYTES, MOST_BYTES, PaymentCall};
use alloy::primitives::Address;
use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, oneshot};
use tokio::time::{Instant, sleep, timeout};
use tollway_core::{Amount, Fault, FaultKind, LedgerHandle, SettleContext, Ticket};

/// Gas a payment is counted with before any of its kind was estimated.
const TYPICAL_GAS: u64 = 100_000;
/// Gas of the transaction itself and of Multicall3, whatever it carries.
pub(crate) const SHARED_GAS: u64 = 60_000;

/// One payment's part of a transaction that may be shared.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) call: PaymentCall,
    pub(crate) token: Address,
    pub(crate) recipient: Address,
    pub(crate) amount: Amount,
    /// Whether its `Transfer` log alone tells it from others: Permit2 says nothing of the nonce. No other payment with
    /// the same log may then be beside it.
    pub(crate) by_transfer: bool,
}

/// What its logs show of a payment.
type Trace = (Address, Address, Address, Amount);

impl Part {
    fn trace(&self) -> Trace {
        (self.token, self.call.payer, self.recipient, self.amount)
    }

    pub(crate) fn kind(&self) -> Kind {
        kind(self.call.to, &self.call.data, self.token)
    }
}

/// How a payment leaves.
pub(crate) enum Way {
    /// By itself.
    Alone(Unmined),
    /// With others, and it is sent.
    Shared(Journey),
}

/// Payments that wait.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    state: Mutex<State>,
    /// Told when somebody joins.
    news: Notify,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Waiting>,
    last_id: u64,
    /// Whether the task runs that sends them off.
    running: bool,
}

/// A payment that waits.
#[derive(Debug)]
pub(crate) struct Waiting {
    id: u64,
    pub(crate) part: Part,
    pub(crate) ticket: Ticket,
    pub(crate) ledger: LedgerHandle,
    since: Instant,
    pub(crate) tell: oneshot::Sender<Result<Way, Fault>>,
}

impl std::fmt::Debug for Way {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if matches!(self, Self::Alone(_)) { "Alone" } else { "Shared" })
    }
}

impl Batch {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.state().waiting.len()
    }

    /// Takes one out that was not sent off yet; says whether it was there.
    fn withdraw(&self, id: u64) -> bool {
        let mut state = self.state();
        let before = state.waiting.len();
        state.waiting.retain(|waiting| waiting.id != id);
        state.waiting.len() < before
    }

    /// Takes out those that leave now: the first, and what fits beside it.
    fn take(&self, sharing: &Sharing, expected: impl Fn(Kind) -> u64) -> Vec<Waiting> {
        let mut state = self.state();
        let (mut aboard, mut left): (Vec<Waiting>, VecDeque<Waiting>) = Default::default();
        let (mut gas, mut bytes) = (SHARED_GAS, 0usize);
        let (mut traces, mut told_by_transfer) = (HashSet::new(), HashSet::new());
        for waiting in state.waiting.drain(..) {
            if waiting.tell.is_closed() {
                continue;
            }
            let more = expected(waiting.part.kind());
            let size = HEAD_BYTES + waiting.part.call.data.len();
            let trace = waiting.part.trace();
            let mistakable = told_by_transfer.contains(&trace) || waiting.part.by_transfer && traces.contains(&trace);
            let same_books = aboard.first().is_none_or(|first| first.ledger.is(&waiting.ledger));
            let fits = aboard.len() < sharing.payments
                && gas.saturating_add(more) <= sharing.gas
                && bytes.saturating_add(size) <= MOST_BYTES;
            if aboard.is_empty() || fits && same_books && !mistakable {
                (gas, bytes) = (gas.saturating_add(more), bytes.saturating_add(size));
                if waiting.part.by_transfer {
                    told_by_transfer.insert(trace);
                }
                traces.insert(trace);
                aboard.push(waiting);
            } else {
                left.push_back(waiting);
            }
        }
        state.waiting = left;
        aboard
    }
}

/// How long a payment waits for company: nothing while nothing is unmined, and a 128th of the time between blocks for
/// each transaction that is, so that sixteen of them take about one block.
fn linger(unmined: usize, block_time: Duration, fixed: Option<Duration>) -> Duration {
    match (unmined, fixed) {
        (0, _) => Duration::ZERO,
        (_, Some(fixed)) => fixed,
        (unmined, None) => (block_time / 128).saturating_mul(u32::try_from(unmined).unwrap_or(u32::MAX)),
    }
}

/// When the next payments leave.
enum Next {
    Now,
    In(Duration),
    /// When something is mined.
    Landing,
}

/// Lets another task be started, however this one ends.
struct Running(Option<Arc<Lane>>);

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(lane) = &self.0 {
            lane.batch.state().running = false;
        }
    }
}

impl Lane {
    /// Lets a payment leave, in company if there is any. It waits no longer than a settlement may take.
    ///
    /// # Errors
    /// Nothing was sent; or, marked so, nobody knows.
    pub(crate) async fn share(self: &Arc<Self>, part: Part, cx: &SettleContext) -> Result<Way, Fault> {
        if !self.chain().shares() {
            return Ok(Way::Alone(self.announce()));
        }
        let (tell, mut told) = oneshot::channel();
        let id = {
            let mut state = self.batch.state();
            state.last_id = state.last_id.wrapping_add(1);
            let (id, ticket, ledger) = (state.last_id, cx.ticket.clone(), cx.ledger.clone());
            state.waiting.push_back(Waiting { id, part, ticket, ledger, since: Instant::now(), tell });
            if !std::mem::replace(&mut state.running, true) {
                tokio::spawn(send_off(self.clone()));
            }
            id
        };
        self.batch.news.notify_one();
        let answer = match timeout(self.chain().limits.settle_timeout, &mut told).await {
            Ok(answer) => answer,
            Err(_) if self.batch.withdraw(id) => {
                let message = format!(
                    "{}: the payment waited too long behind {} transactions of {} that are not mined; ask again",
                    self.chain().name(),
                    self.unmined(),
                    self.address()
                );
                return Err(Fault::new(FaultKind::Overloaded, message));
            }
            // It is being sent at this moment.
            Err(_) => told.await,
        };
        answer.unwrap_or_else(|_| {
            let message = format!("{}: sending payments together ended abnormally", self.chain().name());
            Err(Fault::new(FaultKind::Internal, message).maybe_sent())
        })
    }

    /// When those who wait leave; `None` where nobody does, and then another task must be started.
    fn next(&self, running: &mut Running) -> Option<Next> {
        let sharing = &self.chain().limits.sharing;
        let mut state = self.batch.state();
        let Some(first) = state.waiting.front() else {
            state.running = false;
            running.0 = None;
            return None;
        };
        let unmined = self.unmined();
        if unmined >= sharing.unmined {
            return Some(Next::Landing);
        }
        let left =
            linger(unmined, self.chain().blocks.block_time(), sharing.wait).saturating_sub(first.since.elapsed());
        Some(if left.is_zero() || state.waiting.len() >= sharing.payments { Next::Now } else { Next::In(left) })
    }
}

/// Sends off those who wait until nobody does.
async fn send_off(lane: Arc<Lane>) {
    let mut running = Running(Some(lane.clone()));
    while let Some(next) = lane.next(&mut running) {
        match next {
            Next::Now => {
                let chain = lane.chain();
                let expected = |kind| chain.gas.get(kind).unwrap_or(TYPICAL_GAS);
                let waiting = lane.batch.take(&chain.limits.sharing, expected);
                if !waiting.is_empty() {
                    // Asking and sending take round trips; those who come meanwhile need not wait for them.
                    tokio::spawn(leave(lane.clone(), waiting, lane.announce()));
                }
            }
            Next::In(pause) => tokio::select! {
                () = sleep(pause) => {}
                () = lane.batch.news.notified() => {}
                () = lane.landed.notified() => {}
            },
            Next::Landing => lane.landed.notified().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payment_waits_the_longer_the_more_is_unmined() {
        let block = Duration::from_secs(1);
        assert_eq!(linger(0, block, None), Duration::ZERO);
        assert_eq!(linger(0, block, Some(block)), Duration::ZERO, "an idle lane never waits");
        assert!(linger(1, block, None) < Duration::from_millis(8));
        let all: Duration = (0..16).map(|unmined| linger(unmined, block, None)).sum();
        assert!(all > block * 9 / 10 && all < block * 11 / 10, "sixteen transactions take about a block: {all:?}");
        assert_eq!(linger(3, block, Some(Duration::from_millis(5))), Duration::from_millis(5));
        assert!(linger(usize::MAX, Duration::from_secs(30), None) > block, "and nothing overflows");
    }
}
