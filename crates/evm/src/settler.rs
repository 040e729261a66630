//! Finishing what a crash or a time-out left open: read the outcome from the chain, or send the same bytes again.

use crate::broadcast::{Refusal, Sent, broadcast};
use crate::carry::depart;
use crate::chain::{Chain, Stamp, json_number};
use crate::finality::Standing;
use crate::lane::Lane;
use crate::lanes::Roster;
use crate::order::Order;
use crate::prove::{Expected, conclude, conclude_without};
use crate::receipt::{Place, Receipt};
use crate::rpc::{Call, CallError, missing, read};
use alloy::primitives::{B256, Bytes, U64};
use async_trait::async_trait;
use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use tollway_core::{
    ClaimKey, ClaimRow, Durable, ErrorCode, Fault, LedgerHandle, OpenSlot, Outcome, Rejected, Settled, Settler, Slot,
    Ticket,
};

/// Most blocks searched for a use of a nonce, and the least.
const LONGEST_SEARCH: u64 = 20_000;
const SHORTEST_SEARCH: u64 = 256;

/// Open slots looked through for another slot of a claim.
const MOST_SLOTS: usize = 4096;

/// A claim with what proves it.
struct Open<'a> {
    row: &'a ClaimRow,
    expect: Expected,
    /// The attempts that carry it, oldest first. Another's receipt says nothing of it.
    hashes: Vec<B256>,
}

/// What is to be said of a claim.
enum Verdict {
    Ended(Outcome),
    /// Another transaction took the slot, and nothing happened in it to the payment, which is as good as it was.
    Stranded,
    /// Nobody knows yet.
    Open,
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
impl Settler for Roster {
    async fn reconcile(&self, open: &OpenSlot, ledger: &LedgerHandle) -> Result<Vec<(Ticket, Outcome)>, Fault> {
        let Some(newest) = open.attempts.last() else { return Ok(Vec::new()) };
        let slot = &newest.tx().slot;
        let chain = self.chain();
        let (Some(sequence), true) = (slot.sequence, slot.network == *chain.name()) else { return Ok(Vec::new()) };
        // What another mechanism expects is for whoever wrote it.
        let claims: Vec<Open<'_>> = open
            .claims
            .iter()
            .filter_map(|row| {
                let expect = serde_json::from_value(row.claim.expect.clone()).ok()?;
                let hashes = open.carrying(&row.claim.key).filter_map(|attempt| attempt.tx().hash.parse().ok());
                Some(Open { row, expect, hashes: hashes.collect() })
            })
            .collect();
        let (mut outcomes, claims) = self.look_back(claims).await?;
        if claims.is_empty() {
            return Ok(outcomes);
        }

        let view = chain.view(slot, sequence, &claims).await?;
        let (mut undecided, mut released, mut stranded) = (Vec::new(), Vec::new(), Vec::new());
        for (claim, used) in claims.iter().zip(&view.used) {
            match chain.judge(&view, claim, *used).await {
                Ok(Verdict::Ended(Outcome::Settled(settled))) => {
                    outcomes.extend(chain.stands(claim, settled, view.receipt.as_ref()).await);
                }
                Ok(Verdict::Ended(Outcome::Released(rejected))) => released.push((claim, rejected)),
                Ok(Verdict::Ended(outcome)) => outcomes.push((claim.row.ticket(), outcome)),
                Ok(Verdict::Stranded) => stranded.push(claim),
                Ok(Verdict::Open) => undecided.push(claim),
                Err(error) => return Err(chain.rpc.fault("reading an open settlement", error)),
            }
        }
        if !released.is_empty() || !stranded.is_empty() {
            // One at a time: whoever asks at the same moment sees what was signed here.
            let _moving = self.moving.lock().await;
            let elsewhere = later(ledger, slot).await?;
            let here = |claim: &Open<'_>| !elsewhere.contains(&claim.row.claim.key);
            let released = released.into_iter().filter(|(claim, _)| here(claim));
            outcomes.extend(released.map(|(claim, why)| (claim.row.ticket(), Outcome::Released(why))));
            stranded.retain(|claim| here(claim));
            outcomes.extend(self.move_on(open, &stranded, ledger).await);
        }
        if undecided.is_empty() || view.taken || view.receipt.is_some() {
            return Ok(outcomes);
        }
        let carries = |attempt: &&Durable| undecided.iter().any(|claim| claim.is_in(attempt));
        let Some(newest) = open.attempts.iter().rev().find(carries) else { return Ok(outcomes) };
        let tickets: Vec<Ticket> =
            undecided.iter().filter(|claim| claim.is_in(newest)).map(|claim| claim.row.ticket()).collect();
        let Some(raised) = self.send_again(newest, &tickets, ledger).await else { return Ok(outcomes) };
        // A chain that mines at once has it by now. On others the next round sees it.
        for claim in undecided.iter_mut().filter(|claim| claim.is_in(newest)) {
            let hashes = claim.hashes.iter().chain(&raised).copied();
            let again = chain.receipts(hashes).await;
            let again = again.map_err(|error| chain.rpc.fault("reading an open settlement", error))?;
            let Some(receipt) = again else { continue };
            match conclude(&chain.rpc, &claim.expect, &receipt, chain.since(&view.stamp, claim)).await {
                Ok(Some(Outcome::Settled(settled))) => {
                    outcomes.extend(chain.stands(claim, settled, Some(&receipt)).await);
                }
                Ok(Some(outcome)) => outcomes.push((claim.row.ticket(), outcome)),
                Ok(None) | Err(_) => {}
            }
        }
        Ok(outcomes)
    }
}

impl Open<'_> {
    /// Whether an attempt carries it.
    fn is_in(&self, attempt: &Durable) -> bool {
        attempt.tx().hash.parse().is_ok_and(|hash| self.hashes.contains(&hash))
    }

    fn released(&self, code: ErrorCode, why: &str) -> Outcome {
        Outcome::Released(Rejected::new(code).because(why).payer(self.expect.from().to_checksum(None)))
    }
}

impl Roster {
    /// Looks at the blocks that claims are known to be in. Answers those that are final, and the claims of which nothing
    /// is known, or whose block the chain took back.
    async fn look_back<'a>(&self, claims: Vec<Open<'a>>) -> Result<(Vec<(Ticket, Outcome)>, Vec<Open<'a>>), Fault> {
        let chain = self.chain();
        let (mut ended, mut left) = (Vec::new(), Vec::new());
        for claim in claims {
            let key = &claim.row.claim.key;
            let Some((settled, place)) = chain.finals.remembered(key) else {
                left.push(claim);
                continue;
            };
            let standing = chain.finals.standing(chain, place).await;
            match standing.map_err(|error| chain.rpc.fault("asking whether a block is final", error))? {
                Standing::Included => {}
                Standing::Final => {
                    chain.finals.forget(key);
                    ended.push((claim.row.ticket(), Outcome::Settled(settled)));
                }
                Standing::Gone => {
                    tracing::warn!(network = %chain.name(), %key, transaction = settled.transaction, "the chain took a payment's block back");
                    chain.finals.forget(key);
                    left.push(claim);
                }
            }
        }
        Ok((ended, left))
    }

    /// Signs payments for the next slot whose own was taken by another transaction, each in the company it was signed in.
    /// Answers those for which nobody here can sign.
    async fn move_on(&self, open: &OpenSlot, stranded: &[&Open<'_>], ledger: &LedgerHandle) -> Vec<(Ticket, Outcome)> {
        let (chain, mut outcomes) = (self.chain(), Vec::new());
        for attempt in &open.attempts {
            let slot = &attempt.tx().slot;
            let newest =
                |claim: &&&Open<'_>| claim.hashes.last().is_some_and(|hash| attempt.tx().hash.parse() == Ok(*hash));
            let claims: Vec<&&Open<'_>> = stranded.iter().filter(newest).collect();
            if claims.is_empty() {
                continue;
            }
            let lane = slot.signer.parse().ok().and_then(|signer| self.known(signer));
            let (Some(lane), Some(order)) = (lane, Order::of(chain, attempt, claims.len())) else {
                let why = "another transaction of the signer took the slot, so this one can never be mined";
                outcomes.extend(
                    claims.iter().map(|claim| (claim.row.ticket(), claim.released(claim.expect.failed_code(), why))),
                );
                continue;
            };
            let tickets = claims.iter().map(|claim| claim.row.ticket()).collect();
            match self.sign_again(&lane, order, tickets, ledger).await {
                Ok(()) => {
                    tracing::warn!(network = %chain.name(), before = %attempt.tx().hash, "payments whose slot was taken were signed for another")
                }
                // The next round tries again.
                Err(why) => {
                    tracing::warn!(network = %chain.name(), before = %attempt.tx().hash, %why, "payments whose slot was taken could not be signed for another")
                }
            }
        }
        outcomes
    }

    async fn sign_again(
        &self,
        lane: &Arc<Lane>,
        order: Order,
        tickets: Vec<Ticket>,
        ledger: &LedgerHandle,
    ) -> Result<(), Fault> {
        let chain = self.chain();
        let quote = chain.fees.quote(&chain.rpc, chain.blocks.block_time()).await?;
        let order = Order::new(chain, (order.to, order.data), order.gas, quote, tickets.len())?;
        // Nobody waits for it but the next round.
        depart(lane, order, ledger, tickets, lane.announce()).await.map(drop)
    }

    /// Sends the same bytes again; where their fee became too low and the signer is one of ours, the same call at a
    /// higher one. Answers the hash of the new attempt, if there is one; `None` where nothing was taken.
    async fn send_again(&self, newest: &Durable, claims: &[Ticket], ledger: &LedgerHandle) -> Option<Vec<B256>> {
        let (chain, slot) = (self.chain(), &newest.tx().slot);
        let (network, hash) = (&slot.network, &newest.tx().hash);
        let answer = broadcast(&chain.rpc, &[newest]).await.pop();
        let order = Order::of(chain, newest, claims.len());
        let quote = chain.fees.quote(&chain.rpc, chain.blocks.block_time()).await.ok();
        let refused = matches!(answer, Some(Sent::Refused(Refusal::FeeTooLow, _)));
        let stuck = refused || order.as_ref().zip(quote).is_some_and(|(order, now)| now.base > order.quote.max_fee);
        let lane = slot.signer.parse().ok().and_then(|signer| self.known(signer));
        if let (Some(order), Some(lane), Some(nonce), Some(quote)) = (&order, &lane, slot.sequence, quote)
            && let Ok(pending) = lane.pending().await
            && pending < nonce
        {
            // It may wait behind one that was never sent, and whose payment was given back before the process died.
            let order = Order { quote, ..order.clone() };
            match open_sequences(ledger, slot).await {
                Ok(known) => lane.fill_inherited((pending, nonce), &order, &known, ledger).await,
                Err(why) => tracing::warn!(%network, %why, "the ledger could not be asked for nonces"),
            }
        }
        if stuck && let (Some(order), Some(lane), Some(nonce)) = (order, lane, slot.sequence) {
            let cover = |worst| chain.spend.reserve(worst).map(drop);
            match lane.raise(&order, nonce, ledger, claims, cover).await {
                Ok((_, (raised, durable))) => {
                    let answer = broadcast(&chain.rpc, &[&durable]).await.pop();
                    tracing::warn!(%network, before = %hash, hash = %raised, ?answer, "an open settlement was sent again at a higher fee");
                    return Some(vec![raised]);
                }
                Err(why) => {
                    tracing::warn!(%network, %hash, why, "an open settlement is stuck, and no more is offered for it")
                }
            }
        }
        match answer {
            Some(Sent::Taken) => {
                tracing::info!(%network, %hash, "sent an open settlement again");
                Some(Vec::new())
            }
            answer => {
                tracing::warn!(%network, %hash, ?answer, "an open settlement was not taken");
                None
            }
        }
    }
}

/// The claims that are in a later slot of the signer, too. A payment that a node refused in one slot was signed for
/// another, and what did not happen in the first says nothing about the second. The last slot speaks for all, since a
/// chain that is past it is past the others.
async fn later(ledger: &LedgerHandle, slot: &Slot) -> Result<HashSet<ClaimKey>, Fault> {
    let is_later = |other: &Slot| (&other.signer, other.sequence) > (&slot.signer, slot.sequence);
    let open = ledger.open(MOST_SLOTS).await?.into_iter();
    let others = open.filter(|other| other.attempts.iter().any(|attempt| is_later(&attempt.tx().slot)));
    Ok(others.flat_map(|other| other.claims).map(|row| row.claim.key).collect())
}

/// The nonces of the signer that are in the books.
async fn open_sequences(ledger: &LedgerHandle, slot: &Slot) -> Result<BTreeSet<u64>, Fault> {
    let open = ledger.open(MOST_SLOTS).await?;
    let slots = open.iter().filter_map(|other| other.attempts.first()).map(|attempt| &attempt.tx().slot);
    Ok(slots
        .filter(|other| other.signer == slot.signer && other.network == slot.network)
        .filter_map(|other| other.sequence)
        .collect())
}

impl Chain {
    async fn view(&self, slot: &Slot, sequence: u64, claims: &[Open<'_>]) -> Result<View, Fault> {
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
            let receipt = self.receipts(claims.iter().flat_map(|claim| &claim.hashes).copied()).await?;
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
    async fn receipts(&self, hashes: impl IntoIterator<Item = B256>) -> Result<Option<Receipt>, CallError> {
        let hashes: BTreeSet<B256> = hashes.into_iter().collect();
        let calls: Vec<Call> = hashes.iter().map(|hash| Call::new("eth_getTransactionReceipt", &[hash])).collect();
        for answer in self.rpc.batch(&calls).await? {
            if let Some(receipt) = read(&answer?)? {
                return Ok(Some(receipt));
            }
        }
        Ok(None)
    }

    /// How a payment stands that is in a block: settled, included, or not to be told yet.
    async fn stands(&self, claim: &Open<'_>, settled: Settled, receipt: Option<&Receipt>) -> Option<(Ticket, Outcome)> {
        if self.finals.at_once() {
            return Some((claim.row.ticket(), Outcome::Settled(settled)));
        }
        let place = match receipt {
            Some(receipt) => self.place(&settled, receipt).await,
            None => self.place_of(&settled).await,
        }?;
        self.finals.remember(&claim.row.claim.key, &settled, place);
        match self.finals.standing(self, place).await.ok()? {
            Standing::Final => {
                self.finals.forget(&claim.row.claim.key);
                Some((claim.row.ticket(), Outcome::Settled(settled)))
            }
            Standing::Included if !self.finals.waits(&claim.expect) => {
                Some((claim.row.ticket(), Outcome::Included(settled)))
            }
            Standing::Included | Standing::Gone => None,
        }
    }

    /// The block a payment is in, by the receipt of our own transaction where that carried it out.
    pub(crate) async fn place(&self, settled: &Settled, receipt: &Receipt) -> Option<Place> {
        match receipt.transaction_hash.to_string() == settled.transaction {
            true => receipt.place(),
            false => self.place_of(settled).await,
        }
    }

    async fn place_of(&self, settled: &Settled) -> Option<Place> {
        let hash: B256 = settled.transaction.parse().ok()?;
        self.receipts([hash]).await.ok()??.place()
    }

    async fn judge(&self, view: &View, claim: &Open<'_>, used: bool) -> Result<Verdict, CallError> {
        let (expect, since) = (&claim.expect, self.since(&view.stamp, claim));
        let own = view.receipt.as_ref().filter(|receipt| claim.hashes.contains(&receipt.transaction_hash));
        let concluded = match own {
            Some(receipt) => conclude(&self.rpc, expect, receipt, since).await?,
            None if used => conclude_without(&self.rpc, expect, since).await?,
            None => match expect.ended(view.stamp.timestamp.to()) {
                Some(code) => Some(claim.released(code, "the authorization ended before it was mined")),
                None if view.taken => return Ok(Verdict::Stranded),
                None => None,
            },
        };
        Ok(concluded.map_or(Verdict::Open, Verdict::Ended))
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
