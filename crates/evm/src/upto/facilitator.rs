//! [`UptoFacilitator`]: verifies the maximum and settles the charge, from the very account the permit names.

use super::{FACILITATOR, Upto};
use crate::Evm;
use crate::lanes::Lanes;
use crate::permit2::{PermitView, Permits};
use crate::sponsor::SPONSORING;
use std::sync::Arc;
use tollway_core::{
    Build, BuildContext, NoConfig, Object, Outcome, Payment, Rejected, Result, SchemeFacilitator, SettleContext,
    Signer, Verified,
};

/// The verifying and settling side of `upto`. Needs a network with an RPC and at least one key that pays for gas.
#[derive(Debug)]
pub struct UptoFacilitator {
    network: Arc<Evm>,
    lanes: Lanes,
}

impl UptoFacilitator {
    /// A facilitator that pays for gas with these keys. The first is the one that offers name; permits that name
    /// another of them are settled by that one.
    ///
    /// # Errors
    /// The network has no RPC, or there is no key, or one that is no EVM key.
    pub fn new(network: Arc<Evm>, signers: &[Arc<dyn Signer>]) -> Result<Self, String> {
        let lanes = Lanes::open(&network, signers)?;
        Ok(Self { network, lanes })
    }

    fn permits(&self) -> Permits<'_> {
        Permits { network: &self.network, lanes: &self.lanes }
    }
}

impl SchemeFacilitator for UptoFacilitator {
    type Scheme = Upto;

    /// The first signer, whenever it is asked: an offer made yesterday is still this facilitator's today.
    fn kind_extra(&self) -> Option<Object> {
        let first = self.lanes.first()?;
        Some(Object::from_iter([(FACILITATOR.to_owned(), first.to_checksum(None).into())]))
    }

    fn signers(&self) -> Vec<String> {
        self.lanes.addresses()
    }

    fn extensions(&self) -> &[&'static str] {
        SPONSORING
    }

    fn check(&self, payment: &Payment<'_, Upto>) -> Result<(), Rejected> {
        self.permits().check(&PermitView::upto(payment), self.network.now())
    }

    async fn verify(&self, payment: &Payment<'_, Upto>) -> Result<Verified> {
        self.permits().verify_within(&PermitView::upto(payment)).await
    }

    async fn settle(&self, payment: &Payment<'_, Upto>, cx: &SettleContext) -> Result<Outcome> {
        self.permits().settle_within(&PermitView::upto(payment), cx).await
    }
}

impl Build for UptoFacilitator {
    type Config = NoConfig;

    async fn build(_: NoConfig, cx: BuildContext) -> Result<Self, String> {
        Self::new(cx.network()?, &cx.signers)
    }
}
