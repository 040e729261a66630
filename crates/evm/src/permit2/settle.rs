//! [`Permits`]: verifies permits in one round trip and settles them through the proxy.

use super::PermitView;
use super::check::{Examined, check};
use super::probe::{Answer, Question};
use super::prove::PermitExpect;
use super::verify::{Approvable, verdict};
use crate::chain::Chain;
use crate::exact::types::word_of;
use crate::exact::{carry_out, gas_limit, unestimated};
use crate::lane::Order;
use crate::lanes::Lanes;
use crate::prove::Expected;
use crate::rpc::{Call, CallError, missing, read};
use crate::sponsor::{Approval, Sponsor};
use crate::{Evm, codes};
use alloy::primitives::{Address, Bytes, U64, U256};
use serde_json::json;
use tollway_core::{Fault, FaultKind, Network as _, Outcome, Rejected, Result, SettleContext, Settled, Verified};

/// What a facilitator settles permits with.
#[derive(Debug)]
pub(crate) struct Permits<'a> {
    pub(crate) network: &'a Evm,
    pub(crate) lanes: &'a Lanes,
}

impl Permits<'_> {
    pub(crate) fn check(&self, view: &PermitView<'_>, now: u64) -> Result<(), Rejected> {
        check(view, self.network.id(), self.network.chain_id(), self.lanes, now)
    }

    /// What the local checks found; they are done now where they were not.
    pub(super) fn examined<'v>(&self, view: &'v PermitView<'_>) -> Result<&'v Examined, Rejected> {
        if view.examined.get().is_none() {
            self.check(view, self.network.now())?;
        }
        let found = view.examined.get().ok_or(Rejected::new(codes::PERMIT2_SIGNATURE));
        found.map(|examined| &**examined)
    }

    /// Asks the chain, in one round trip.
    pub(super) async fn verify(&self, view: &PermitView<'_>) -> Result<Verified> {
        let chain = self.network.chain()?;
        let examined = self.examined(view)?;
        if word_of(view.charge()) != examined.permit.amount {
            let rejected = Rejected::new(codes::PERMIT2_AMOUNT).payer(view.payer());
            return Err(rejected.because("the permit must be of exactly the maximum").into());
        }
        would_settle(chain, examined).await?;
        Ok(Verified::new(view.payer()))
    }

    pub(super) async fn settle(&self, view: &PermitView<'_>, cx: &SettleContext) -> Result<Outcome> {
        let chain = self.network.chain()?;
        let examined = self.examined(view)?;
        let charge = view.charge();
        if view.kind.metered && charge.is_zero() {
            // Nothing is owed, so nothing is sent, and the permit is never used. It must be the payer's all the same.
            if !examined.recovers {
                would_settle(chain, examined).await?;
            }
            return Ok(Outcome::Settled(Settled::new("", view.payer()).amount(charge)));
        }
        let lane = match examined.permit.facilitator {
            None => self.lanes.least_busy()?,
            // The proxy takes it from nobody else.
            Some(facilitator) => {
                self.lanes.of(facilitator).ok_or(Rejected::new(codes::UPTO_FACILITATOR).payer(view.payer()))?
            }
        };
        let amount = word_of(charge);
        let order = match prepare(chain, examined, amount, lane.address()).await? {
            Ready::Order(order) => order,
            Ready::AfterApproval => {
                approve(chain, examined).await?;
                match prepare(chain, examined, amount, lane.address()).await? {
                    Ready::Order(order) => order,
                    Ready::AfterApproval => {
                        let rejected = Rejected::new(codes::APPROVAL_FAILED).payer(view.payer());
                        return Err(rejected.because("the approval was mined and gave no allowance").into());
                    }
                }
            }
        };
        let expect = PermitExpect::new(view.kind, examined.permit.token, &examined.permit, charge);
        carry_out(chain, &lane, order, &Expected::Permit2(expect), cx).await
    }
}

const DOING: &str = "asking the chain about a payment";

/// Asks the chain whether all that is permitted could be settled now, in one round trip.
async fn would_settle(chain: &Chain, examined: &Examined) -> Result<()> {
    let asked = Asked::new(chain, examined, examined.permit.amount);
    let mut calls = vec![asked.question.call()];
    asked.also(&mut calls);
    let answers = chain.rpc.batch(&calls).await;
    let mut answers = answers.map_err(|error| chain.rpc.fault(DOING, error))?.into_iter();
    let (answer, approvable) = asked.read(&mut answers)?;
    verdict(examined, examined.permit.amount, &answer, approvable, false)?;
    Ok(())
}

/// A question, with all that goes into it.
pub(super) struct Asked<'a> {
    chain: &'a Chain,
    examined: &'a Examined,
    pub(super) question: Question<'a>,
}

impl<'a> Asked<'a> {
    pub(super) fn new(chain: &'a Chain, examined: &'a Examined, amount: U256) -> Self {
        let question = Question {
            permit: &examined.permit,
            digest: &examined.digest,
            signature: &examined.signature,
            recovers: examined.recovers,
            amount,
            settle: settle_data(examined, amount),
            gas: chain.limits.max_gas,
        };
        Self { chain, examined, question }
    }

    /// What else is asked beside the probe where the payer sent an approval.
    fn also(&self, calls: &mut Vec<Call>) {
        if matches!(self.examined.sponsor, Sponsor::Approval(_)) {
            calls.push(Call::new("eth_getTransactionCount", &(self.examined.permit.owner, "latest")));
            calls.push(Call::new("eth_getBalance", &(self.examined.permit.owner, "latest")));
        }
    }

    fn read(
        &self,
        answers: &mut impl Iterator<Item = Result<Box<serde_json::value::RawValue>, CallError>>,
    ) -> Result<(Answer, Option<Approvable>), Fault> {
        let chain = self.chain;
        let fault = |error| chain.rpc.fault(DOING, error);
        let mut next = || answers.next().unwrap_or_else(|| Err(missing()));
        let bytes = next().and_then(|answer| read::<Bytes>(&answer)).map_err(fault)?;
        let answer = Answer::read(&bytes).ok_or_else(|| {
            let message = format!(
                "{}: {DOING}: the node's answer is none of the probe's; it must run eth_call without `to` as creation \
                 code, and for `upto` with a state override",
                chain.name()
            );
            Fault::new(FaultKind::Invalid, message)
        })?;
        if answer.chain != chain.id() {
            return Err(chain.wrong_chain(answer.chain));
        }
        let Sponsor::Approval(approval) = &self.examined.sponsor else { return Ok((answer, None)) };
        let count = next().and_then(|answer| read::<U64>(&answer)).map_err(fault)?;
        let coin = next().and_then(|answer| read::<U256>(&answer)).map_err(fault)?;
        let approvable = Approvable { next: count.to::<u64>() == approval.nonce, paid: coin >= approval.cost };
        Ok((answer, Some(approvable)))
    }
}

fn settle_data(examined: &Examined, amount: U256) -> Bytes {
    let permit2612 = match &examined.sponsor {
        Sponsor::Permit(permit2612) => Some(permit2612),
        Sponsor::None | Sponsor::Approval(_) => None,
    };
    examined.permit.settle_call(amount, permit2612, &examined.signature)
}

/// Whether a settlement can be sent.
enum Ready {
    /// At once.
    Order(Order),
    /// Once the payer's approval is mined.
    AfterApproval,
}

/// Asks the chain about the payment and what it takes to carry it out, in one round trip, and the fees beside it.
async fn prepare(chain: &Chain, examined: &Examined, amount: U256, signer: Address) -> Result<Ready> {
    let asked = Asked::new(chain, examined, amount);
    let (to, data) = (examined.permit.spender, asked.question.settle.clone());
    let most = U64::from(chain.limits.max_gas);
    let mut calls = vec![asked.question.call()];
    asked.also(&mut calls);
    calls.push(Call::new("eth_estimateGas", &[json!({ "from": signer, "to": to, "data": data, "gas": most })]));
    let (answers, quote) =
        tokio::join!(chain.rpc.batch(&calls), chain.fees.quote(&chain.rpc, chain.blocks.block_time()));
    let mut answers = answers.map_err(|error| chain.rpc.fault(DOING, error))?.into_iter();
    let (answer, approvable) = asked.read(&mut answers)?;
    verdict(examined, amount, &answer, approvable, true)?;
    if !answer.moved {
        return Ok(Ready::AfterApproval);
    }
    let gas = answers.next().unwrap_or_else(|| Err(missing())).and_then(|answer| read::<U64>(&answer));
    let gas = gas.map_err(|error| unestimated(chain, examined.permit.owner, codes::PERMIT2_SIMULATION, error))?;
    Ok(Ready::Order(Order { to, data, gas: gas_limit(gas.to(), chain.limits.max_gas), quote: quote? }))
}

/// Sends the payer's own approval and waits for its block. It moves no money and the payer pays for its gas, so until
/// here nothing of the payment was sent.
async fn approve(chain: &Chain, examined: &Examined) -> Result<()> {
    let Sponsor::Approval(Approval { raw, hash, .. }) = &examined.sponsor else {
        return Err(Rejected::new(codes::PERMIT2_ALLOWANCE).into());
    };
    let payer = examined.permit.owner.to_checksum(None);
    let head: U64 = chain
        .rpc
        .call(&Call::new("eth_blockNumber", &()))
        .await
        .map_err(|error| chain.rpc.fault("asking for the newest block", error))?;
    let mut watch = chain.blocks.watch(*hash, head.to::<u64>().saturating_sub(1));
    let sent: Result<serde_json::Value, CallError> = chain.rpc.call(&Call::new("eth_sendRawTransaction", &[raw])).await;
    chain.blocks.sent();
    match sent {
        Err(CallError::Refused { message, .. }) if !is_known(&message) => {
            let rejected = Rejected::new(codes::APPROVAL_BROADCAST).payer(payer);
            return Err(rejected.because(format!("the node refused the approval: {message}")).into());
        }
        Err(error @ CallError::Failed { .. }) => {
            tracing::warn!(network = %chain.name(), %hash, %error, "an approval may not have been sent");
        }
        Ok(_) | Err(CallError::Refused { .. }) => {}
    }
    match tokio::time::timeout(chain.limits.settle_timeout, watch.receipt()).await {
        Ok(receipt) if receipt.succeeded() => Ok(()),
        Ok(_) => {
            let rejected = Rejected::new(codes::APPROVAL_FAILED).payer(payer).transaction(hash.to_string());
            Err(rejected.because("the approval reverted").into())
        }
        Err(_) => {
            let message = format!("{}: the payer's approval {hash} was not mined in time", chain.name());
            Err(Fault::new(FaultKind::Timeout, message).into())
        }
    }
}

/// Whether a node's refusal says that it has the transaction already.
fn is_known(message: &str) -> bool {
    let words = message.to_lowercase();
    ["already known", "alreadyknown", "already imported", "already in mempool"].iter().any(|part| words.contains(part))
        || words.starts_with("known transaction")
}
