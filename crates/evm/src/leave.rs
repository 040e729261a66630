//! Leaving together: waiting payments are tried in one `eth_call`, and those that succeed are sent in one transaction.

use crate::abi::MULTICALL3;
use crate::batch::{SHARED_GAS, Waiting, Way};
use crate::carry::depart;
use crate::chain::Chain;
use crate::gas::Kind;
use crate::lane::{Lane, Unmined};
use crate::order::Order;
use crate::rpc::{Call, CallError, missing, read};
use crate::together::{PaymentCall, Tried, question, shared_call};
use alloy::primitives::{Address, Bytes, U64};
use serde_json::json;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use tollway_core::{Fault, FaultKind};

/// Most gas of a transaction (EIP-7825).
const MOST_GAS: u64 = 16_777_216;

/// Tries payments together and sends those that succeed in one transaction, the others alone.
pub(crate) async fn leave(lane: Arc<Lane>, mut waiting: Vec<Waiting>, place: Unmined) {
    let chain = lane.chain().clone();
    let mut gas = SHARED_GAS;
    let mut quote = None;
    if waiting.len() > 1 {
        let (tried, asked) =
            tokio::join!(try_together(&lane, &waiting), chain.fees.quote(&chain.rpc, chain.blocks.block_time()));
        let (tried, asked) = match tried.and_then(|tried| Ok((tried, asked?))) {
            Ok(both) => both,
            Err(fault) => return refuse(waiting, &fault),
        };
        quote = Some(asked);
        let mut good = Vec::with_capacity(waiting.len());
        for (waiting, taken) in waiting.into_iter().zip(tried) {
            let Some(taken) = taken else {
                let _ = waiting.tell.send(Ok(Way::Alone(lane.announce())));
                continue;
            };
            // What it takes alone is more than it takes in company, so there is room in either number.
            let alone = chain.gas.get(waiting.part.kind()).unwrap_or_default();
            gas = gas.saturating_add(alone.max(taken.saturating_add(taken / 4).saturating_add(10_000)));
            good.push(waiting);
        }
        waiting = good;
    }
    let (Some(quote), true) = (quote, waiting.len() > 1) else {
        if let Some(only) = waiting.pop() {
            let _ = only.tell.send(Ok(Way::Alone(place)));
        }
        return;
    };
    let calls: Vec<&PaymentCall> = waiting.iter().map(|waiting| &waiting.part.call).collect();
    let order = Order::new(&chain, (MULTICALL3, shared_call(&calls)), gas.min(MOST_GAS), quote, waiting.len());
    let claims = waiting.iter().map(|waiting| waiting.ticket.clone()).collect();
    let journey = match order {
        Ok(order) => depart(&lane, order, &waiting[0].ledger, claims, place).await,
        Err(fault) => Err(fault),
    };
    match journey {
        Ok(journey) => {
            for waiting in waiting {
                let _ = waiting.tell.send(Ok(Way::Shared(journey.clone())));
            }
        }
        Err(fault) => refuse(waiting, &fault),
    }
}

/// Tells all of them the same fault.
fn refuse(waiting: Vec<Waiting>, fault: &Fault) {
    for waiting in waiting {
        let mut each = Fault::new(fault.kind, fault.to_string());
        (each.sent, each.retry) = (fault.sent, fault.retry);
        each.held_elsewhere.clone_from(&fault.held_elsewhere);
        let _ = waiting.tell.send(Err(each));
    }
}

/// Asks the chain what each payment would take in company, in one round trip; `None` for one that goes alone. A kind
/// of payment that was not estimated lately is, beside it.
async fn try_together(lane: &Lane, waiting: &[Waiting]) -> Result<Vec<Option<u64>>, Fault> {
    let chain = lane.chain();
    let doing = "asking the chain about payments";
    let calls: Vec<&PaymentCall> = waiting.iter().map(|waiting| &waiting.part.call).collect();
    let unknown: Vec<(Kind, &PaymentCall)> = {
        let mut seen = HashSet::new();
        let parts = waiting.iter().map(|waiting| (waiting.part.kind(), &waiting.part.call));
        parts.filter(|(kind, _)| chain.gas.get(*kind).is_none() && seen.insert(*kind)).collect()
    };
    let mut asked = vec![question(&calls, chain.limits.max_gas, chain.limits.sharing.gas)];
    asked.extend(unknown.iter().map(|(_, call)| estimate(chain, lane.address(), call.to, &call.data)));
    let mut answers = chain.rpc.batch(&asked).await.map_err(|error| chain.rpc.fault(doing, error))?.into_iter();
    let mut next = || answers.next().unwrap_or_else(|| Err(missing()));

    let tried = match next().and_then(|answer| read::<Bytes>(&answer)) {
        Ok(bytes) => Tried::read(&bytes, waiting.len()),
        Err(CallError::Refused { message, .. }) => {
            tracing::warn!(network = %chain.name(), message, "the node did not try payments together; they go alone");
            return Ok(vec![None; waiting.len()]);
        }
        Err(error) => return Err(chain.rpc.fault(doing, error)),
    };
    let tried = tried.ok_or_else(|| {
        let message = format!("{}: {doing}: the node's answer is none of the probe's", chain.name());
        Fault::new(FaultKind::Invalid, message)
    })?;
    if tried.chain != chain.id() {
        return Err(chain.wrong_chain(tried.chain));
    }
    for (kind, _) in unknown {
        if let Ok(gas) = next().and_then(|answer| read::<U64>(&answer)) {
            chain.gas.learn(kind, gas.to());
        }
    }
    if !tried.shares {
        tracing::warn!(network = %chain.name(), "there is no Multicall3; every payment takes a transaction of its own");
        chain.unshared.store(true, Relaxed);
        return Ok(vec![None; waiting.len()]);
    }
    Ok(tried.gas)
}

/// The call that estimates a transaction of a signer.
pub(crate) fn estimate(chain: &Chain, signer: Address, to: Address, data: &Bytes) -> Call {
    let most = U64::from(chain.limits.max_gas);
    Call::new("eth_estimateGas", &[json!({ "from": signer, "to": to, "data": data, "gas": most })])
}
