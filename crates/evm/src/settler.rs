//! Finishing what a crash or a time-out left open: read the outcome from the chain, or send the same bytes again.

use crate::broadcast::{Sent, broadcast};
use crate::chain::{Chain, Stamp, json_number};
use crate::prove::{Expected, conclude, conclude_without};
use crate::receipt::Receipt;
use crate::rpc::{Call, CallError, missing, read};
use alloy::primitives::{B256, Bytes, U64};
use async_trait::async_trait;
use tollway_core::{ClaimKey, ClaimRow, Fault, LedgerHandle, OpenSlot, Outcome, Rejected, Settler, Slot, Ticket};

/// Most blocks searched for a use of a nonce, and the least.
const LONGEST_SEARCH: u64 = 20_000;
const SHORTEST_SEARCH: u64 = 256;

/// Open slots looked through for another slot of a claim.
const MOST_SLOTS: usize = 4096;

/// A claim with what proves it.
struct Open<'a> {
    row: &'a ClaimRow,
    expect: Expected,
}

/// What the chain says of a slot, all as of one block.
struct View {
    stamp: Stamp,
    /// Whether a mined transaction has the slot's nonce.
    taken: bool,
    receipt: Option<Receipt>,
    /// For each claim, whether its nonce is used.
    used: Vec<bool>,
}

#[async_trait]
impl Settler for Chain {
    async fn reconcile(&self, open: &OpenSlot, ledger: &LedgerHandle) -> Result<Vec<(Ticket, Outcome)>, Fault> {
        let Some(newest) = open.attempts.last() else { return Ok(Vec::new()) };
        let slot = &newest.tx().slot;
        let (Some(sequence), true) = (slot.sequence, slot.network == *self.name()) else { return Ok(Vec::new()) };
        // What another mechanism expects is for whoever wrote it.
        let claims: Vec<Open<'_>> = open
            .claims
            .iter()
            .filter_map(|row| {
                let expect = serde_json::from_value(row.claim.expect.clone()).ok()?;
                Some(Open { row, expect })
            })
            .collect();
        if claims.is_empty() {
            return Ok(Vec::new());
        }
        let hashes: Vec<B256> = open.attempts.iter().filter_map(|attempt| attempt.tx().hash.parse().ok()).collect();

        let view = self.view(slot, sequence, &hashes, &claims).await?;
        let mut outcomes = Vec::new();
        let mut undecided = 0usize;
        for (claim, used) in claims.iter().zip(&view.used) {
            match self.judge(&view, claim, *used).await {
                Ok(Some(Outcome::Released(_))) if later(ledger, slot, &claim.row.claim.key).await? => {}
                Ok(Some(outcome)) => outcomes.push((claim.row.ticket(), outcome)),
                Ok(None) => undecided = undecided.saturating_add(1),
                Err(error) => return Err(self.rpc.fault("reading an open settlement", error)),
            }
        }
        if undecided == 0 || view.taken || view.receipt.is_some() {
            return Ok(outcomes);
        }
        match broadcast(&self.rpc, &[newest]).await.pop() {
            Some(Sent::Taken) => {
                tracing::info!(network = %slot.network, hash = newest.tx().hash, "sent an open settlement again");
            }
            answer => {
                tracing::warn!(network = %slot.network, hash = newest.tx().hash, ?answer, "an open settlement was not taken");
                return Ok(outcomes);
            }
        }
        // A chain that mines at once has it by now. On others the next round sees it.
        let again =
            self.receipts(&hashes).await.map_err(|error| self.rpc.fault("reading an open settlement", error))?;
        if let Some(receipt) = again {
            let done: Vec<ClaimKey> = outcomes.iter().map(|(ticket, _): &(Ticket, _)| ticket.key.clone()).collect();
            for claim in claims.iter().filter(|claim| !done.contains(&claim.row.claim.key)) {
                let since = self.since(&view.stamp, claim);
                if let Ok(Some(outcome)) = conclude(&self.rpc, &claim.expect, &receipt, since).await {
                    outcomes.push((claim.row.ticket(), outcome));
                }
            }
        }
        Ok(outcomes)
    }
}

/// Whether a claim is also in a later slot of the signer. A payment that a node refused in one slot was signed for
/// another, and what did not happen in the first says nothing about the second. The last slot speaks for all, since a
/// chain that is past it is past the others.
async fn later(ledger: &LedgerHandle, slot: &Slot, key: &ClaimKey) -> Result<bool, Fault> {
    let open = ledger.open(MOST_SLOTS).await?;
    let others = open.iter().filter(|other| other.claims.iter().any(|row| row.claim.key == *key));
    let mut slots = others.flat_map(|other| &other.attempts).map(|attempt| &attempt.tx().slot);
    Ok(slots.any(|other| (&other.signer, other.sequence) > (&slot.signer, slot.sequence)))
}

impl Chain {
    async fn view(&self, slot: &Slot, sequence: u64, hashes: &[B256], claims: &[Open<'_>]) -> Result<View, Fault> {
        let asked = async {
            let stamp = self.stamp().await?;
            // All at one block: only together do a slot that is taken and a nonce that is unused prove anything.
            let at = json_number(stamp.number);
            let mut calls =
                vec![Call::new("eth_chainId", &()), Call::new("eth_getTransactionCount", &(&slot.signer, &at))];
            calls.extend(claims.iter().map(|claim| claim.expect.state_call(&at)));
            let mut answers = self.rpc.batch(&calls).await?.into_iter();
            let mut next = || answers.next().unwrap_or_else(|| Err(missing()));
            let (id, count): (U64, U64) = (read(&next()?)?, read(&next()?)?);
            let mut used = Vec::with_capacity(claims.len());
            for claim in claims {
                used.push(claim.expect.is_used(&read::<Bytes>(&next()?)?));
            }
            let receipt = self.receipts(hashes).await?;
            Ok::<_, CallError>((id, View { stamp, taken: count.to::<u64>() > sequence, receipt, used }))
        };
        let (id, view) = asked.await.map_err(|error| self.rpc.fault("reading an open settlement", error))?;
        match id.to::<u64>() {
            id if id == self.id() => Ok(view),
            // The nonces of another chain would prove anything.
            other => Err(self.wrong_chain(other)),
        }
    }

    /// The receipt of whichever of these transactions was mined.
    async fn receipts(&self, hashes: &[B256]) -> Result<Option<Receipt>, CallError> {
        let calls: Vec<Call> = hashes.iter().map(|hash| Call::new("eth_getTransactionReceipt", &[hash])).collect();
        for answer in self.rpc.batch(&calls).await? {
            if let Some(receipt) = read(&answer?)? {
                return Ok(Some(receipt));
            }
        }
        Ok(None)
    }

    async fn judge(&self, view: &View, claim: &Open<'_>, used: bool) -> Result<Option<Outcome>, CallError> {
        let (expect, since) = (&claim.expect, self.since(&view.stamp, claim));
        if let Some(receipt) = &view.receipt {
            return conclude(&self.rpc, expect, receipt, since).await;
        }
        if used {
            return conclude_without(&self.rpc, expect, since).await;
        }
        let released = |code, why: &str| {
            let rejected = Rejected::new(code).because(why).payer(expect.from().to_checksum(None));
            Ok(Some(Outcome::Released(rejected)))
        };
        if view.taken {
            let why = "another transaction of the signer took the slot, so this one can never be mined";
            return released(expect.failed_code(), why);
        }
        if let Some(code) = expect.ended(view.stamp.timestamp.to()) {
            return released(code, "the authorization ended before it was mined");
        }
        Ok(None)
    }

    /// A block before the authorization was signed, as far as times between blocks tell.
    fn since(&self, stamp: &Stamp, claim: &Open<'_>) -> u64 {
        let now: u64 = stamp.timestamp.to();
        let signed = claim.row.claim.dead_after.unwrap_or(now);
        let signed = signed.saturating_sub(claim.row.offer.max_timeout_seconds.get());
        let age = u128::from(now.saturating_sub(signed)) * 1000;
        // Eight times as many as there should be: the time between blocks may be a default.
        let blocks = age / self.blocks.block_time().as_millis().max(1) * 8;
        let blocks = u64::try_from(blocks).unwrap_or(u64::MAX).clamp(SHORTEST_SEARCH, LONGEST_SEARCH);
        stamp.number.to::<u64>().saturating_sub(blocks)
    }
}
