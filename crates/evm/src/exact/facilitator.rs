//! [`ExactFacilitator`]: verifies in one round trip and settles on its signers' lanes.

use super::Exact;
use super::check::check;
use super::types::{Eip3009Payload, Examined, Payload};
use super::verify::verdict;
use crate::chain::Chain;
use crate::eip712::Transfer;
use crate::lanes::Lanes;
use crate::permit2::{PermitView, Permits};
use crate::probe::{Answer, Question};
use crate::prove::{Expect, Expected};
use crate::revert::explained;
use crate::sponsor::SPONSORING;
use crate::{Evm, codes};
use std::sync::Arc;
use tollway_core::{
    Build, BuildContext, Network as _, NoConfig, Outcome, Payment, Rejected, Result, SchemeFacilitator, SettleContext,
    Signer, Verified,
};

/// The verifying and settling side of `exact`. Needs a network with an RPC and at least one key that pays for gas.
#[derive(Debug)]
pub struct ExactFacilitator {
    pub(super) network: Arc<Evm>,
    pub(super) lanes: Lanes,
}

impl ExactFacilitator {
    /// A facilitator that pays for gas with these keys; of several, the least busy one pays.
    ///
    /// # Errors
    /// The network has no RPC, or there is no key, or one that is no EVM key.
    pub fn new(network: Arc<Evm>, signers: &[Arc<dyn Signer>]) -> Result<Self, String> {
        let lanes = Lanes::open(&network, signers)?;
        Ok(Self { network, lanes })
    }

    /// What the local checks found; they are done now where they were not.
    pub(super) fn examined<'p>(
        &self,
        payment: &Payment<'_, Exact>,
        payload: &'p Eip3009Payload,
    ) -> Result<&'p Examined, Rejected> {
        if payload.examined.get().is_none() {
            self.check(payment)?;
        }
        payload.examined.get().ok_or(Rejected::new(codes::SIGNATURE))
    }

    /// What settles by Permit2.
    fn permits(&self) -> Permits<'_> {
        Permits { network: &self.network, lanes: &self.lanes }
    }

    /// The outcome of a settlement with the code of the reason, where its transaction reverted for one that can be told.
    async fn explained(&self, payment: &Payment<'_, Exact>, payload: &Eip3009Payload, outcome: Outcome) -> Outcome {
        // Settling needed both; what was sent is not unsent for want of words.
        let (Ok(chain), Ok(examined)) = (self.network.chain(), self.examined(payment, payload)) else { return outcome };
        let transfer = payload.authorization.transfer();
        let ask = |block: &str| Self::question(chain, examined, &transfer).call_at(block);
        let judge = |answer: &[u8]| verdict(payment, payload, examined, &Answer::read(answer)?).err();
        let expect = Expected::Eip3009(Expect::new(examined.asset, &payload.authorization));
        explained(chain, outcome, ask, judge, |time| expect.ended(time)).await
    }

    /// The question the chain is asked about a payment.
    pub(super) fn question<'q>(chain: &Chain, examined: &'q Examined, transfer: &'q Transfer) -> Question<'q> {
        Question {
            asset: examined.asset,
            transfer,
            digest: &examined.digest,
            signature: &examined.signature.bytes,
            recovers: examined.recovers,
            deployment: examined.deployment(),
            gas: chain.limits.max_gas,
        }
    }
}

impl SchemeFacilitator for ExactFacilitator {
    type Scheme = Exact;

    fn signers(&self) -> Vec<String> {
        self.lanes.addresses()
    }

    fn extensions(&self) -> &[&'static str] {
        SPONSORING
    }

    fn check(&self, payment: &Payment<'_, Exact>) -> Result<(), Rejected> {
        let (network, now) = (&self.network, self.network.now());
        match &payment.payload {
            Payload::Eip3009(payload) => {
                check(payment, payload, network.id(), network.domains(), network.factories(), now)
            }
            Payload::Permit2(payload) => self.permits().check(&PermitView::exact(payment, payload), now),
        }
    }

    async fn verify(&self, payment: &Payment<'_, Exact>) -> Result<Verified> {
        let payload = match &payment.payload {
            Payload::Eip3009(payload) => payload,
            Payload::Permit2(payload) => {
                return self.permits().verify_within(&PermitView::exact(payment, payload)).await;
            }
        };
        let chain = self.network.chain()?;
        let examined = self.examined(payment, payload)?;
        let authorization = &payload.authorization;
        let answer = chain.probe(&Self::question(chain, examined, &authorization.transfer())).await?;
        verdict(payment, payload, examined, &answer)?;
        let (payer, quota) = (authorization.from, &chain.limits.sponsoring);
        quota.room(answer.deployed, payer, codes::UNDEPLOYED_WALLET)?;
        Ok(Verified::new(payer.to_checksum(None)))
    }

    async fn settle(&self, payment: &Payment<'_, Exact>, cx: &SettleContext) -> Result<Outcome> {
        match &payment.payload {
            Payload::Eip3009(payload) => {
                let outcome = super::settle::settle(self, payment, payload, cx).await?;
                Ok(self.explained(payment, payload, outcome).await)
            }
            Payload::Permit2(payload) => self.permits().settle_within(&PermitView::exact(payment, payload), cx).await,
        }
    }
}

impl Build for ExactFacilitator {
    type Config = NoConfig;

    async fn build(_: NoConfig, cx: BuildContext) -> Result<Self, String> {
        Self::new(cx.network()?, &cx.signers)
    }
}
