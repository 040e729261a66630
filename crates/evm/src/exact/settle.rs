//! Settling: ask the chain once more, sign, write down, send, wait for the block, prove (specification §2, "Settle").
//!
//! Until the transaction is handed to the node, whatever goes wrong is a refusal or a fault and the payment is free
//! again. From then on there are only outcomes, and what is not known is `Pending`.

use super::Exact;
use super::facilitator::ExactFacilitator;
use super::types::{Eip3009Payload, Examined};
use super::verify::verdict;
use crate::broadcast::{Refusal, Sent, broadcast};
use crate::chain::Chain;
use crate::codes;
use crate::lane::{Flight, NotSent, Order, Seat};
use crate::prove::{Expect, Expected, conclude};
use crate::receipt::Receipt;
use crate::rpc::{Call, CallError, missing, read};
use alloy::primitives::{Address, Bytes, U64};
use serde_json::json;
use std::time::Duration;
use tokio::time::{sleep, timeout};
use tollway_core::{
    ErrorCode, Failure, Fault, FaultKind, NetworkId, Outcome, Payment, Rejected, Result, SettleContext, Ticket,
};

/// How often a transaction is signed anew for a node that refuses it.
const MOST_ATTEMPTS: usize = 4;
/// Blocks before the payment was asked about in which a use of its nonce is still looked for: the node that told of
/// the newest block may have been ahead of the one that was asked.
const MARGIN: u64 = 16;
/// How long after a send that may have failed the bytes are sent again, and the least time after one that did not.
const UNSURE: Duration = Duration::from_millis(500);
const SURE: Duration = Duration::from_secs(5);

pub(super) async fn settle(
    side: &ExactFacilitator,
    payment: &Payment<'_, Exact>,
    transfer: &Eip3009Payload,
    cx: &SettleContext,
) -> Result<Outcome> {
    let chain = side.network.chain()?;
    let examined = side.examined(payment, transfer)?;
    let lane = side.lanes.least_busy()?;
    let order = prepare(chain, payment, transfer, examined, lane.address()).await?;
    let expect = Expected::Eip3009(Expect::new(examined.asset, &transfer.authorization));
    carry_out(chain, &lane, order, &expect, cx).await
}

/// Signs, writes down, sends, waits and proves, whatever the mechanism.
///
/// # Errors
/// Nothing was sent.
pub(crate) async fn carry_out(
    chain: &Chain,
    lane: &Seat,
    mut order: Order,
    expect: &Expected,
    cx: &SettleContext,
) -> Result<Outcome> {
    let claims = [cx.ticket.clone()];
    let mut attempts = 0;
    let sent = send(chain, lane, &mut order, &mut attempts, cx, &claims).await;
    if attempts > 1 || sent.is_err() {
        // A refusal can leave a hole that other settlements' transactions wait behind.
        lane.mend(&order, &cx.ledger, &claims).await;
    }
    let flight = sent?;
    Ok(follow(chain, flight, expect, order.quote.head.saturating_sub(MARGIN)).await)
}

/// Sends a payment's transaction, signed anew where the node refuses it for its nonce or its fee.
async fn send(
    chain: &Chain,
    lane: &Seat,
    order: &mut Order,
    attempts: &mut usize,
    cx: &SettleContext,
    claims: &[Ticket],
) -> Result<Flight> {
    loop {
        *attempts += 1;
        let (refusal, why) = match lane.send(order, &cx.ledger, claims).await {
            Ok(flight) => return Ok(flight),
            Err(NotSent::Fault(fault)) => return Err(fault.into()),
            Err(NotSent::Refused(refusal, why)) => (refusal, why),
        };
        tracing::warn!(network = %chain.name(), ?refusal, why, "the node refused a transaction");
        match refusal {
            _ if *attempts >= MOST_ATTEMPTS => {}
            Refusal::NonceTooLow | Refusal::NonceTooHigh | Refusal::Occupied => continue,
            Refusal::FeeTooLow => {
                dearer(chain, order).await?;
                continue;
            }
            Refusal::NoFunds | Refusal::Unreachable | Refusal::Other => {}
        }
        return Err(refused(chain.name(), &lane.address().to_checksum(None), refusal, &why));
    }
}

/// Asks the chain about the payment and what it takes to carry it out, in one round trip, and the fees beside it.
async fn prepare(
    chain: &Chain,
    payment: &Payment<'_, Exact>,
    payload: &Eip3009Payload,
    examined: &Examined,
    signer: Address,
) -> Result<Order> {
    let transfer = payload.authorization.transfer();
    let question = ExactFacilitator::question(chain, examined, &transfer);
    let data = Bytes::from(question.transfer_call());
    let most = U64::from(chain.limits.max_gas);
    let estimate = json!({ "from": signer, "to": examined.asset, "data": data, "gas": most });
    let calls = [question.call(), Call::new("eth_estimateGas", &[estimate])];
    let (answers, quote) =
        tokio::join!(chain.rpc.batch(&calls), chain.fees.quote(&chain.rpc, chain.blocks.block_time()));
    let mut answers = answers.map_err(|error| chain.rpc.fault("asking the chain about a payment", error))?.into_iter();
    let mut next = || answers.next().unwrap_or_else(|| Err(missing()));

    let answer = chain.probed(next().and_then(|answer| read(&answer)))?;
    verdict(payment, payload, examined, &answer)?;
    if let Some(deployment) = examined.deployment().filter(|_| answer.deployed) {
        return deployment.order(chain, signer, transfer.from, (examined.asset, &data), quote?).await;
    }
    let gas = next()
        .and_then(|answer| read::<U64>(&answer))
        .map_err(|error| unestimated(chain, payload.authorization.from, codes::SIMULATION_FAILED, error))?;
    Ok(Order { to: examined.asset, data, gas: gas_limit(gas.to(), chain.limits.max_gas), quote: quote? })
}

/// An estimate with a fifth of room, for state that changes until the block; never above the cap.
pub(crate) fn gas_limit(estimate: u64, most: u64) -> u64 {
    estimate.saturating_add(estimate / 5).min(most)
}

/// Why the gas of a payment that would succeed could not be estimated.
pub(crate) fn unestimated(chain: &Chain, payer: Address, reverted: ErrorCode, error: CallError) -> Failure {
    let reverts = |code: i64, words: &str| {
        code == 3 || ["revert", "gas required exceeds", "out of gas"].iter().any(|part| words.contains(part))
    };
    match &error {
        CallError::Refused { code, message } if reverts(*code, &message.to_lowercase()) => {
            let most = chain.limits.max_gas;
            Rejected::new(reverted)
                .because(format!("the transfer reverts, or takes more than {most} gas"))
                .payer(payer.to_checksum(None))
                .into()
        }
        _ => chain.rpc.fault("estimating a payment's gas", error).into(),
    }
}

/// Offers more, since the node found the fee too low: what it costs now, and at least an eighth more than before.
async fn dearer(chain: &Chain, order: &mut Order) -> Result<(), Fault> {
    chain.fees.forget().await;
    let now = chain.fees.quote(&chain.rpc, chain.blocks.block_time()).await?;
    let raised = |fee: u128| fee.saturating_add(fee / 8);
    order.quote.tip = now.tip.max(raised(order.quote.tip));
    order.quote.max_fee = chain.fees.capped(now.max_fee.max(raised(order.quote.max_fee)));
    order.quote.tip = order.quote.tip.min(order.quote.max_fee);
    Ok(())
}

fn refused(network: &NetworkId, signer: &str, refusal: Refusal, why: &str) -> Failure {
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
    Fault::new(kind, format!("{network}: the node refused the payment's transaction: {why}; {advice}")).into()
}

/// Waits for the transaction's block and reads the outcome. Whatever is not known in time is pending.
async fn follow(chain: &Chain, mut flight: Flight, expect: &Expected, since: u64) -> Outcome {
    let hash = flight.hash;
    let outcome = timeout(chain.limits.settle_timeout, async {
        let receipt = mined(chain, &mut flight).await;
        loop {
            match conclude(&chain.rpc, expect, &receipt, since).await {
                Ok(Some(outcome)) => return outcome,
                Ok(None) => {}
                Err(error) => tracing::warn!(%hash, %error, "a payment's proof could not be read"),
            }
            sleep(chain.blocks.block_time()).await;
        }
    });
    outcome.await.unwrap_or_else(|_| Outcome::Pending { transaction: hash.to_string() })
}

/// The receipt, once there is one. Meanwhile the same bytes are sent again now and then: a node may have lost them,
/// or never got them, and the signer's later transactions would wait behind the hole.
async fn mined(chain: &Chain, flight: &mut Flight) -> Receipt {
    let mut patience = if flight.taken { SURE.max(chain.blocks.block_time() * 8) } else { UNSURE };
    loop {
        tokio::select! {
            receipt = flight.watch.receipt() => return receipt,
            () = sleep(patience) => {}
        }
        match broadcast(&chain.rpc, &[&flight.durable]).await.pop() {
            Some(Sent::Taken) => patience = SURE.max(chain.blocks.block_time() * 8),
            answer => {
                tracing::warn!(hash = %flight.hash, ?answer, "a transaction that was sent again was not taken");
                patience = patience.saturating_mul(2).min(SURE);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gas_has_room_up_to_the_cap() {
        assert_eq!(gas_limit(65_000, 500_000), 78_000);
        assert_eq!(gas_limit(450_000, 500_000), 500_000);
        assert_eq!(gas_limit(u64::MAX, 500_000), 500_000);
    }

    #[test]
    fn refusals_tell_what_to_do() {
        let network = "eip155:8453".parse().unwrap();
        let text = |refusal| refused(&network, "0xsigner", refusal, "words").to_string();
        assert!(text(Refusal::NoFunds).contains("to 0xsigner, which pays for gas"));
        assert!(text(Refusal::FeeTooLow).contains("maxFeePerGas"));
        assert!(text(Refusal::Occupied).contains("no other program"));
    }
}
