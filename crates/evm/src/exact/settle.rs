//! Settling by EIP-3009: what the lane needs to know of a payment, and what the chain is asked about one that goes alone
//! (specification §2, "Settle").

use super::Exact;
use super::facilitator::ExactFacilitator;
use super::types::{Eip3009Payload, Examined};
use super::verify::verdict;
use crate::assets::{EIP3009, METHOD};
use crate::batch::Part;
use crate::carry::carry_out;
use crate::chain::Chain;
use crate::codes;
use crate::gas::kind;
use crate::leave::estimate;
use crate::order::Order;
use crate::probe::transfer_call;
use crate::prove::{Expect, Expected};
use crate::rpc::{CallError, missing, read};
use crate::together::PaymentCall;
use alloy::primitives::{Address, Bytes, U64};
use tollway_core::{ErrorCode, Failure, Outcome, Payment, Rejected, Result, SettleContext};

pub(super) async fn settle(
    side: &ExactFacilitator,
    payment: &Payment<'_, Exact>,
    transfer: &Eip3009Payload,
    cx: &SettleContext,
) -> Result<Outcome> {
    let chain = side.network.chain()?;
    let examined = side.examined(payment, transfer)?;
    let lane = side.lanes.choose(chain.name(), &cx.ledger).await?;
    // Code that is not known to be honest is never called in company, nor remembered by what it took.
    let asset = side.network.known_asset(&payment.offer.asset);
    let known = asset.is_some_and(|asset| asset.extra.get(METHOD).is_none_or(|method| method == EIP3009));
    let part = (known && examined.recovers).then(|| part(transfer, examined));
    let prepare = prepare(chain, payment, transfer, examined, lane.address(), known);
    let expect = Expected::Eip3009(Expect::new(examined.asset, &transfer.authorization));
    carry_out(&lane, part, prepare, &expect, cx).await
}

/// What the payment is in a transaction that is shared. The token takes it from anybody.
fn part(payload: &Eip3009Payload, examined: &Examined) -> Part {
    let authorization = &payload.authorization;
    let data = transfer_call(&authorization.transfer(), &examined.signature.bytes).into();
    Part {
        call: PaymentCall { payer: authorization.from, to: examined.asset, data },
        token: examined.asset,
        recipient: authorization.to,
        amount: authorization.value,
        by_transfer: false,
    }
}

/// Asks the chain about the payment and what it takes to carry it out, in one round trip, and the fees beside it. What
/// a payment of a known token takes is estimated now and then.
async fn prepare(
    chain: &Chain,
    payment: &Payment<'_, Exact>,
    payload: &Eip3009Payload,
    examined: &Examined,
    signer: Address,
    known: bool,
) -> Result<Order> {
    let transfer = payload.authorization.transfer();
    let question = ExactFacilitator::question(chain, examined, &transfer);
    let data = Bytes::from(question.transfer_call());
    let kind = kind(examined.asset, &data, examined.asset);
    // A contract wallet's verdict takes what it likes.
    let usual = known && examined.recovers;
    let remembered = if usual { chain.gas.get(kind) } else { None };
    let ask = estimate(chain, signer, examined.asset, &data);
    let mut calls = vec![question.call()];
    if remembered.is_none() {
        calls.push(ask.clone());
    }
    let (answers, quote) =
        tokio::join!(chain.rpc.batch(&calls), chain.fees.quote(&chain.rpc, chain.blocks.block_time()));
    let mut answers = answers.map_err(|error| chain.rpc.fault("asking the chain about a payment", error))?.into_iter();
    let mut next = || answers.next().unwrap_or_else(|| Err(missing()));

    let answer = chain.probed(next().and_then(|answer| read(&answer)))?;
    verdict(payment, payload, examined, &answer)?;
    if let Some(deployment) = examined.deployment().filter(|_| answer.deployed) {
        return deployment.order(chain, signer, transfer.from, (examined.asset, &data), quote?).await;
    }
    let estimated: Result<U64, CallError> = match remembered {
        Some(gas) if !answer.payer_has_code => Ok(U64::from(gas)),
        Some(_) => chain.rpc.call(&ask).await,
        None => next().and_then(|answer| read(&answer)),
    };
    if let (Ok(gas), true) = (&estimated, usual && remembered.is_none() && !answer.payer_has_code) {
        chain.gas.learn(kind, gas.to());
    }
    let failed = |error| unestimated(chain, transfer.from, codes::SIMULATION_FAILED, error);
    let gas = gas_limit(estimated.map_err(failed)?.to(), chain.limits.max_gas);
    Ok(Order::new(chain, (examined.asset, data), gas, quote?, 1)?)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gas_has_room_up_to_the_cap() {
        assert_eq!(gas_limit(65_000, 500_000), 78_000);
        assert_eq!(gas_limit(450_000, 500_000), 500_000);
        assert_eq!(gas_limit(u64::MAX, 500_000), 500_000);
    }
}
