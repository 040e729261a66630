//! [`UptoClient`]: signs maxima for the facilitator that the offer names.

use super::Upto;
use crate::address::parse_address;
use crate::exact::{Entropy, random};
use crate::permit2::{METHOD, UPTO, UptoPayload, permit_state, sign};
use crate::{Evm, codes};
use alloy::primitives::Address;
use std::fmt;
use std::sync::Arc;
use tollway_core::codes::{INVALID_NETWORK, INVALID_PAYMENT_REQUIREMENTS};
use tollway_core::{
    Ask, Build, BuildContext, NoConfig, Payment, Rejected, Result, SchemeClient, Signed, Signer, Standing,
};

/// The paying side of `upto`. Needs no RPC; with one it can also tell what became of a payment.
///
/// The payer trusts the server for the metering: it may charge anything up to the maximum.
pub struct UptoClient {
    network: Arc<Evm>,
    signer: Arc<dyn Signer>,
    address: Address,
    entropy: Entropy,
}

impl UptoClient {
    /// A client that pays with this key.
    ///
    /// # Errors
    /// The signer's address is no EVM address.
    pub fn new(network: Arc<Evm>, signer: Arc<dyn Signer>) -> Result<Self, String> {
        let address = parse_address(signer.address())
            .ok_or_else(|| format!("the signer's address `{}` is no EVM address; check its kind", signer.address()))?;
        Ok(Self { network, signer, address, entropy: random })
    }
}

impl SchemeClient for UptoClient {
    type Scheme = Upto;

    async fn sign(&self, ask: Ask<'_, Upto>) -> Result<Signed<UptoPayload>> {
        let (offer, extra) = (ask.offer, &ask.extra);
        if offer.network != *self.network.chain_name() {
            let message =
                format!("the offer is on {}, this client is for {}", offer.network, self.network.chain_name());
            return Err(Rejected::new(INVALID_NETWORK).because(message).into());
        }
        if let Some(method) = extra.asset_transfer_method.as_deref().filter(|method| *method != METHOD) {
            let shown: String = method.chars().take(64).collect();
            let message = format!("`upto` is paid by permit2 only, the offer wants {shown}");
            return Err(Rejected::new(codes::UNSUPPORTED_METHOD).because(message).into());
        }
        // Without it anybody who sees the permit could take the maximum.
        let facilitator = extra.facilitator_address.as_deref().and_then(parse_address).filter(|at| !at.is_zero());
        let Some(facilitator) = facilitator else {
            let message = "the offer names no facilitator (extra.facilitatorAddress)";
            return Err(Rejected::new(INVALID_PAYMENT_REQUIREMENTS).because(message).into());
        };
        let mut nonce = [0; 32];
        (self.entropy)(&mut nonce)?;
        let asked = (offer, extra);
        let (permit, signature, end) =
            sign(&UPTO, &self.network, &*self.signer, self.address, asked, Some(facilitator), nonce).await?;
        Ok(Signed::new(UptoPayload::new(permit.to_upto(facilitator), signature)).dead_after(end))
    }

    async fn standing(&self, payment: &Payment<'_, Upto>) -> Result<Standing> {
        permit_state(&self.network, &payment.payload.permit2_authorization.permit()).await
    }
}

impl fmt::Debug for UptoClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UptoClient")
            .field("network", self.network.chain_name())
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl Build for UptoClient {
    type Config = NoConfig;

    async fn build(_: NoConfig, cx: BuildContext) -> Result<Self, String> {
        Self::new(cx.network()?, cx.signer()?)
    }
}
