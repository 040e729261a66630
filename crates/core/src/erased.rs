//! The engines' view: typed sides behind object-safe traits, erased by one blanket impl each.

use crate::scheme::{decode, decode_extra};
use crate::{
    Ask, Claim, Fault, FaultKind, Flow, Object, Outcome, PaymentPayload, PaymentRequirements, Rejected, ResourceInfo,
    Result, Scheme, SchemeClient, SchemeFacilitator, SchemeServer, SettleContext, Signed, Standing, SupportedKind,
    Verified,
};
use async_trait::async_trait;
use serde_json::Value;

/// An erased [`SchemeClient`].
#[async_trait]
pub trait ClientDyn: Send + Sync {
    /// Name of the scheme.
    fn scheme(&self) -> &'static str;
    /// See [`Scheme::FLOWS`].
    fn flows(&self) -> &'static [Flow];
    /// See [`Scheme::claim`].
    ///
    /// # Errors
    /// As there.
    fn claim(&self, raw: &PaymentPayload, offer: &PaymentRequirements) -> Result<Claim, Rejected>;
    /// See [`SchemeClient::sign`].
    ///
    /// # Errors
    /// As there.
    async fn sign(&self, offer: &PaymentRequirements, resource: &ResourceInfo) -> Result<Signed<Value>>;
    /// See [`SchemeClient::standing`].
    ///
    /// # Errors
    /// As there.
    async fn standing(&self, raw: &PaymentPayload, offer: &PaymentRequirements) -> Result<Standing>;
}

#[async_trait]
impl<T: SchemeClient> ClientDyn for T {
    fn scheme(&self) -> &'static str {
        T::Scheme::NAME
    }

    fn flows(&self) -> &'static [Flow] {
        T::Scheme::FLOWS
    }

    fn claim(&self, raw: &PaymentPayload, offer: &PaymentRequirements) -> Result<Claim, Rejected> {
        T::Scheme::claim(&decode(raw, offer)?)
    }

    async fn sign(&self, offer: &PaymentRequirements, resource: &ResourceInfo) -> Result<Signed<Value>> {
        let extra = decode_extra::<T::Scheme>(offer)?;
        let Signed { payload, dead_after } = SchemeClient::sign(self, Ask::new(offer, extra, resource)).await?;
        let payload = serde_json::to_value(payload).map_err(|why| {
            Fault::new(FaultKind::Internal, "a signed payload could not be written as JSON").source(why)
        })?;
        Ok(Signed { payload, dead_after })
    }

    async fn standing(&self, raw: &PaymentPayload, offer: &PaymentRequirements) -> Result<Standing> {
        SchemeClient::standing(self, &decode(raw, offer)?).await
    }
}

/// An erased [`SchemeServer`].
pub trait ServerDyn: Send + Sync {
    /// Name of the scheme.
    fn scheme(&self) -> &'static str;
    /// See [`Scheme::FLOWS`].
    fn flows(&self) -> &'static [Flow];
    /// See [`Scheme::DYNAMIC_EXTRA`].
    fn dynamic_extra(&self) -> &'static [&'static str];
    /// See [`Scheme::BINDING_EXTRA`].
    fn binding_extra(&self) -> &'static [&'static str];
    /// See [`Scheme::METERED`].
    fn metered(&self) -> bool;
    /// See [`Scheme::claim`].
    ///
    /// # Errors
    /// As there.
    fn claim(&self, raw: &PaymentPayload, offer: &PaymentRequirements) -> Result<Claim, Rejected>;
    /// See [`SchemeServer::offer`].
    ///
    /// # Errors
    /// As there.
    fn offer(&self, draft: PaymentRequirements, kind: &SupportedKind) -> Result<PaymentRequirements, String>;
    /// See [`SchemeServer::refresh`].
    fn refresh(&self, offer: &mut PaymentRequirements);
}

impl<T: SchemeServer> ServerDyn for T {
    fn scheme(&self) -> &'static str {
        T::Scheme::NAME
    }

    fn flows(&self) -> &'static [Flow] {
        T::Scheme::FLOWS
    }

    fn dynamic_extra(&self) -> &'static [&'static str] {
        T::Scheme::DYNAMIC_EXTRA
    }

    fn binding_extra(&self) -> &'static [&'static str] {
        T::Scheme::BINDING_EXTRA
    }

    fn metered(&self) -> bool {
        T::Scheme::METERED
    }

    fn claim(&self, raw: &PaymentPayload, offer: &PaymentRequirements) -> Result<Claim, Rejected> {
        T::Scheme::claim(&decode(raw, offer)?)
    }

    fn offer(&self, draft: PaymentRequirements, kind: &SupportedKind) -> Result<PaymentRequirements, String> {
        SchemeServer::offer(self, draft, kind)
    }

    fn refresh(&self, offer: &mut PaymentRequirements) {
        SchemeServer::refresh(self, offer);
    }
}

/// An erased [`SchemeFacilitator`].
pub trait FacilitatorDyn: Send + Sync {
    /// Name of the scheme.
    fn scheme(&self) -> &'static str;
    /// See [`SchemeFacilitator::kind_extra`].
    fn kind_extra(&self) -> Option<Object>;
    /// See [`SchemeFacilitator::signers`].
    fn signers(&self) -> Vec<String>;
    /// See [`SchemeFacilitator::extensions`].
    fn extensions(&self) -> &[&'static str];
    /// Decodes a payment and says which it is.
    ///
    /// # Errors
    /// The refusal: it is of the wrong shape, or names no payment.
    fn open<'a>(
        &'a self,
        raw: &'a PaymentPayload,
        offer: &'a PaymentRequirements,
    ) -> Result<Box<dyn OpenPayment + 'a>, Rejected>;
}

/// A payment that was decoded, once.
#[async_trait]
pub trait OpenPayment: Send + Sync {
    /// Which payment this is.
    fn claim(&self) -> &Claim;
    /// See [`SchemeFacilitator::check`].
    ///
    /// # Errors
    /// As there.
    fn check(&self) -> Result<(), Rejected>;
    /// See [`SchemeFacilitator::verify`].
    ///
    /// # Errors
    /// As there.
    async fn verify(&self) -> Result<Verified>;
    /// See [`SchemeFacilitator::settle`].
    ///
    /// # Errors
    /// As there.
    async fn settle(&self, cx: &SettleContext) -> Result<Outcome>;
}

struct Opened<'a, T: SchemeFacilitator> {
    side: &'a T,
    payment: crate::Payment<'a, T::Scheme>,
    claim: Claim,
}

impl<T: SchemeFacilitator> FacilitatorDyn for T {
    fn scheme(&self) -> &'static str {
        T::Scheme::NAME
    }

    fn kind_extra(&self) -> Option<Object> {
        SchemeFacilitator::kind_extra(self)
    }

    fn signers(&self) -> Vec<String> {
        SchemeFacilitator::signers(self)
    }

    fn extensions(&self) -> &[&'static str] {
        SchemeFacilitator::extensions(self)
    }

    fn open<'a>(
        &'a self,
        raw: &'a PaymentPayload,
        offer: &'a PaymentRequirements,
    ) -> Result<Box<dyn OpenPayment + 'a>, Rejected> {
        let payment = decode(raw, offer)?;
        let claim = T::Scheme::claim(&payment)?;
        Ok(Box::new(Opened { side: self, payment, claim }))
    }
}

#[async_trait]
impl<T: SchemeFacilitator> OpenPayment for Opened<'_, T> {
    fn claim(&self) -> &Claim {
        &self.claim
    }

    fn check(&self) -> Result<(), Rejected> {
        self.side.check(&self.payment)
    }

    async fn verify(&self) -> Result<Verified> {
        self.side.verify(&self.payment).await
    }

    async fn settle(&self, cx: &SettleContext) -> Result<Outcome> {
        self.side.settle(&self.payment, cx).await
    }
}
