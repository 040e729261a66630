//! Carrying payments out, whatever their mechanism: sign, write down, send, wait for the block, prove.
//!
//! Until a transaction is handed to the node, whatever goes wrong is a refusal or a fault and its payments are free
//! again. From then on there are only outcomes, and what is not known is `Pending`. A transaction is watched over by a
//! task of its own for as long as somebody waits for it: one payment, or all that share it.

use crate::batch::{Part, Way};
use crate::broadcast::Refusal;
use crate::chain::Chain;
use crate::finality::Standing;
use crate::flight::Flight;
use crate::lane::{Lane, NotSent, Seat, Unmined};
use crate::order::Order;
use crate::prove::{Expected, conclude};
use crate::receipt::Receipt;
use crate::spend::Reserved;
use alloy::primitives::B256;
use std::sync::Arc;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tollway_core::{
    ClaimKey, Fault, FaultKind, LedgerHandle, NetworkId, Outcome, Result, SettleContext, Settled, Ticket,
};

/// How often a transaction is signed anew for a node that refuses it.
const MOST_ATTEMPTS: usize = 4;
/// Blocks before the payment was asked about in which a use of its nonce is still looked for: the node that told of
/// the newest block may have been ahead of the one that was asked.
const MARGIN: u64 = 16;

/// A transaction on its way, as one who waits for it sees it.
#[derive(Debug, Clone)]
pub(crate) struct Journey {
    progress: watch::Receiver<Progress>,
    /// A block at which the payments' nonces were not used.
    since: u64,
}

/// How far a transaction got.
#[derive(Debug, Clone)]
enum Progress {
    /// Its newest attempt.
    Sent(B256),
    Mined(Arc<Receipt>),
}

impl Journey {
    /// The receipt, once it is mined; `None` where whoever watched over it is gone.
    async fn receipt(&mut self) -> Option<Arc<Receipt>> {
        let mined = self.progress.wait_for(|progress| matches!(progress, Progress::Mined(_))).await.ok()?;
        match &*mined {
            Progress::Mined(receipt) => Some(receipt.clone()),
            Progress::Sent(_) => None,
        }
    }
}

/// Carries one payment out. `part` is given where it may share a transaction; `prepare` asks the chain about it and what
/// it takes to carry it out alone, and is not asked where it need not.
///
/// # Errors
/// Nothing was sent.
pub(crate) async fn carry_out(
    lane: &Seat,
    part: Option<Part>,
    prepare: impl Future<Output = Result<Order>> + Send,
    expect: &Expected,
    cx: &SettleContext,
) -> Result<Outcome> {
    // Where another process signs, that one does the asking too.
    lane.hold(&cx.ledger).await?;
    let way = match part {
        Some(part) => lane.share(part, cx).await?,
        None => Way::Alone(lane.announce()),
    };
    let (place, before) = match way {
        Way::Alone(place) => (place, None),
        Way::Shared(journey) => match arrive(lane.chain(), journey, expect, &cx.claim.key).await {
            // The call failed in company. Its neighbours may be to blame: one that burns gas leaves little for those
            // behind it. A payment that would succeed now goes once more, alone.
            Outcome::Released(refused) => (lane.announce(), Some(Outcome::Released(refused))),
            outcome => return Ok(outcome),
        },
    };
    let order = match (prepare.await, before) {
        (Ok(order), _) => order,
        (Err(_), Some(before)) => return Ok(before),
        (Err(failure), None) => return Err(failure),
    };
    let journey = depart(lane, order, &cx.ledger, vec![cx.ticket.clone()], place).await?;
    Ok(arrive(lane.chain(), journey, expect, &cx.claim.key).await)
}

/// Sends a transaction and leaves it to a task of its own.
///
/// # Errors
/// Nothing was sent.
pub(crate) async fn depart(
    lane: &Arc<Lane>,
    mut order: Order,
    ledger: &LedgerHandle,
    claims: Vec<Ticket>,
    place: Unmined,
) -> Result<Journey, Fault> {
    let mut reserved = lane.chain().spend.reserve(order.worst())?;
    let mut attempts = 0;
    let sent = send(lane, &mut order, &mut attempts, &mut reserved, ledger, &claims).await;
    if attempts > 1 || sent.is_err() {
        // A refusal can leave a hole that other settlements' transactions wait behind.
        lane.mend(&order, ledger).await;
    }
    let flight = match sent {
        Ok(flight) => flight,
        Err(fault) => {
            reserved.cost(0);
            return Err(fault);
        }
    };
    let since = order.quote.head.saturating_sub(MARGIN);
    let (tell, progress) = watch::channel(Progress::Sent(flight.hash()));
    let watching = Watching { flight, ledger: ledger.clone(), claims, reserved, place, tell };
    tokio::spawn(watching.run(lane.clone(), order.quote.max_fee));
    Ok(Journey { progress, since })
}

/// Sends a transaction, signed anew where the node refuses it for its nonce or its fee.
async fn send(
    lane: &Arc<Lane>,
    order: &mut Order,
    attempts: &mut usize,
    reserved: &mut Reserved,
    ledger: &LedgerHandle,
    claims: &[Ticket],
) -> Result<Flight, Fault> {
    let chain = lane.chain();
    loop {
        *attempts += 1;
        let (refusal, why) = match lane.send(order, ledger, claims).await {
            Ok(flight) => return Ok(flight),
            Err(NotSent::Fault(fault)) => return Err(fault),
            Err(NotSent::Refused(refusal, why)) => (refusal, why),
        };
        tracing::warn!(network = %chain.name(), ?refusal, why, "the node refused a transaction");
        match refusal {
            _ if *attempts >= MOST_ATTEMPTS => {}
            Refusal::NonceTooLow | Refusal::NonceTooHigh | Refusal::Occupied => continue,
            Refusal::FeeTooLow => {
                chain.fees.forget().await;
                *order = order.raised(&chain.fees.quote(&chain.rpc, chain.blocks.block_time()).await?);
                reserved.cover(order.worst())?;
                continue;
            }
            Refusal::NoFunds | Refusal::Unreachable | Refusal::Other => {}
        }
        return Err(refused(chain.name(), &lane.address().to_checksum(None), refusal, &why));
    }
}

fn refused(network: &NetworkId, signer: &str, refusal: Refusal, why: &str) -> Fault {
    let (kind, advice) = match refusal {
        Refusal::NoFunds => {
            (FaultKind::Configuration, format!("send some of the network's coin to {signer}, which pays for gas"))
        }
        Refusal::Unreachable => (FaultKind::Unreachable, "check the network's `rpc`".to_owned()),
        Refusal::FeeTooLow => (FaultKind::Overloaded, "wait, or raise maxFeePerGas".to_owned()),
        Refusal::NonceTooLow | Refusal::NonceTooHigh | Refusal::Occupied => {
            (FaultKind::Overloaded, format!("let no other program send from {signer}"))
        }
        Refusal::Other => (FaultKind::Invalid, "nothing was sent".to_owned()),
    };
    Fault::new(kind, format!("{network}: the node refused the payment's transaction: {why}; {advice}"))
}

/// What it takes to watch over a transaction.
struct Watching {
    flight: Flight,
    ledger: LedgerHandle,
    claims: Vec<Ticket>,
    reserved: Reserved,
    place: Unmined,
    tell: watch::Sender<Progress>,
}

impl Watching {
    /// Until it is mined, or nobody waits for it any more: then it is the reconciler's.
    async fn run(mut self, lane: Arc<Lane>, max_fee: u128) {
        if lane.purse.due() {
            let lane = lane.clone();
            tokio::spawn(async move { lane.look_into_purse(max_fee).await });
        }
        let told = |hash| {
            self.tell.send_replace(Progress::Sent(hash));
        };
        let mined = tokio::select! {
            receipt = self.flight.mined(&self.ledger, &self.claims, &mut self.reserved, told) => Some(receipt),
            () = self.tell.closed() => None,
        };
        drop(self.place);
        let Some(receipt) = mined else { return };
        if let Some(wei) = receipt.cost() {
            self.reserved.cost(wei);
        }
        self.tell.send_replace(Progress::Mined(Arc::new(receipt)));
    }
}

/// Waits for the transaction's block and reads a payment's outcome. Whatever is not known in time is pending.
async fn arrive(chain: &Chain, mut journey: Journey, expect: &Expected, key: &ClaimKey) -> Outcome {
    let mut progress = journey.progress.clone();
    let outcome = timeout(chain.limits.settle_timeout, async {
        let Some(receipt) = journey.receipt().await else { return std::future::pending().await };
        loop {
            match conclude(&chain.rpc, expect, &receipt, journey.since).await {
                Ok(Some(Outcome::Settled(settled))) => match stay(chain, &receipt, expect, key, settled).await {
                    Some(outcome) => return outcome,
                    None => return std::future::pending().await,
                },
                Ok(Some(outcome)) => return outcome,
                Ok(None) => {}
                Err(error) => {
                    tracing::warn!(hash = %receipt.transaction_hash, %error, "a payment's proof could not be read");
                }
            }
            sleep(chain.blocks.block_time()).await;
        }
    });
    match outcome.await {
        Ok(outcome) => outcome,
        Err(_) => {
            let hash = match &*progress.borrow_and_update() {
                Progress::Sent(hash) => *hash,
                Progress::Mined(receipt) => receipt.transaction_hash,
            };
            Outcome::Pending { transaction: hash.to_string() }
        }
    }
}

/// Whether a payment that is in a block is answered now, or when that is final; `None` where the chain took the block
/// back, and only the reconciler knows what next.
async fn stay(
    chain: &Chain,
    receipt: &Receipt,
    expect: &Expected,
    key: &ClaimKey,
    settled: Settled,
) -> Option<Outcome> {
    let finals = &chain.finals;
    if finals.at_once() {
        return Some(Outcome::Settled(settled));
    }
    let place = chain.place(&settled, receipt).await;
    if let Some(place) = place {
        finals.remember(key, &settled, place);
    }
    if !finals.waits(expect) {
        return Some(Outcome::Included(settled));
    }
    loop {
        match finals.standing(chain, place?).await {
            Ok(Standing::Final) => {
                finals.forget(key);
                return Some(Outcome::Settled(settled));
            }
            Ok(Standing::Included) => {}
            Ok(Standing::Gone) => return None,
            Err(error) => tracing::warn!(transaction = settled.transaction, %error, "a block could not be asked for"),
        }
        sleep(chain.blocks.block_time()).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_tell_what_to_do() {
        let network = "eip155:8453".parse().unwrap();
        let text = |refusal| refused(&network, "0xsigner", refusal, "words").to_string();
        assert!(text(Refusal::NoFunds).contains("to 0xsigner, which pays for gas"));
        assert!(text(Refusal::FeeTooLow).contains("maxFeePerGas"));
        assert!(text(Refusal::Occupied).contains("no other program"));
    }
}
