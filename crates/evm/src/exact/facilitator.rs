//! [`ExactFacilitator`]: verifies in one round trip and settles on its signers' lanes.

use super::Exact;
use super::check::check;
use super::types::Examined;
use super::verify::verdict;
use crate::address::parse_address;
use crate::chain::Chain;
use crate::eip712::Transfer;
use crate::lane::{Lane, Seat};
use crate::probe::Question;
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
    lanes: Vec<Arc<Lane>>,
}

impl ExactFacilitator {
    /// A facilitator that pays for gas with these keys; of several, the least busy one pays.
    ///
    /// # Errors
    /// The network has no RPC, or there is no key, or one that is no EVM key.
    pub fn new(network: Arc<Evm>, signers: &[Arc<dyn Signer>]) -> Result<Self, String> {
        let chain = network.chain().map_err(|fault| fault.to_string())?;
        let lanes: Result<Vec<_>, String> = signers
            .iter()
            .map(|signer| {
                let address = parse_address(signer.address())
                    .ok_or_else(|| format!("the signer's address `{}` is no EVM address", signer.address()))?;
                Ok(chain.lane(signer, address))
            })
            .collect();
        let lanes = lanes?;
        if lanes.is_empty() {
            let id = network.id();
            return Err(format!(
                "no key pays for gas on {id}; add signers = {{ \"{id}\" = [{{ key = \"env:MY_KEY\" }}] }}"
            ));
        }
        Ok(Self { network, lanes })
    }

    /// The least busy signer's lane.
    pub(super) fn lane(&self) -> Result<Seat, Rejected> {
        // There is always one; the refusal is for the compiler.
        let lane = self.lanes.iter().min_by_key(|lane| lane.busy());
        lane.map(Lane::join).ok_or(Rejected::new(tollway_core::codes::UNEXPECTED_SETTLE_ERROR))
    }

    /// What the local checks found; they are done now where they were not.
    pub(super) fn examined<'p>(&self, payment: &'p Payment<'_, Exact>) -> Result<&'p Examined, Rejected> {
        if payment.payload.examined.get().is_none() {
            self.check(payment)?;
        }
        payment.payload.examined.get().ok_or(Rejected::new(codes::SIGNATURE))
    }

    /// The question the chain is asked about a payment.
    pub(super) fn question<'q>(chain: &Chain, examined: &'q Examined, transfer: &'q Transfer) -> Question<'q> {
        Question {
            asset: examined.asset,
            transfer,
            digest: &examined.digest,
            signature: &examined.signature.bytes,
            recovers: examined.recovers,
            gas: chain.limits.max_gas,
        }
    }
}

impl SchemeFacilitator for ExactFacilitator {
    type Scheme = Exact;

    fn signers(&self) -> Vec<String> {
        self.lanes.iter().map(|lane| lane.address().to_checksum(None)).collect()
    }

    fn check(&self, payment: &Payment<'_, Exact>) -> Result<(), Rejected> {
        check(payment, self.network.id(), self.network.domains(), self.network.now())
    }

    async fn verify(&self, payment: &Payment<'_, Exact>) -> Result<Verified> {
        let chain = self.network.chain()?;
        let examined = self.examined(payment)?;
        let authorization = &payment.payload.authorization;
        let answer = chain.probe(&Self::question(chain, examined, &authorization.transfer())).await?;
        verdict(payment, examined, &answer)?;
        Ok(Verified::new(authorization.from.to_checksum(None)))
    }

    async fn settle(&self, payment: &Payment<'_, Exact>, cx: &SettleContext) -> Result<Outcome> {
        super::settle::settle(self, payment, cx).await
    }
}

impl Build for ExactFacilitator {
    type Config = NoConfig;

    async fn build(_: NoConfig, cx: BuildContext) -> Result<Self, String> {
        Self::new(cx.network()?, &cx.signers)
    }
}
