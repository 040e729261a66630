//! What authors of a scheme write: one [`Scheme`] with its typed payload, and a side for each role.

use crate::error::codes;
use crate::{
    Build, BuildContext, Claim, Failure, Flow, Object, Outcome, PaymentPayload, PaymentRequirements, Rejected,
    ResourceInfo, Result, SettleContext, SupportedKind, Verified,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::future::Future;

/// A way of paying, as far as all three roles must agree on it.
pub trait Scheme: Sized + Send + Sync + 'static {
    /// The name on the wire: `exact`.
    const NAME: &'static str;
    /// The flows it can follow; the first is the default.
    const FLOWS: &'static [Flow] = &[Flow::Authorization];
    /// Members of `extra` that are hints, fresh per challenge and never matched.
    const DYNAMIC_EXTRA: &'static [&'static str] = &[];
    /// Members of `extra` that make a payment one facilitator's, such as the account that pays the fee: with one of them in
    /// the offer nobody else is ever asked to settle it, whatever facilitators say of their signers.
    const BINDING_EXTRA: &'static [&'static str] = &[];
    /// Whether the client authorizes a maximum, of which the server may charge any part. The settled offer then carries
    /// the charge as its amount; [`SchemeFacilitator::check`] must let any amount pass that is not above the maximum.
    const METERED: bool = false;
    /// What the client signs.
    type Payload: Serialize + DeserializeOwned + Send + Sync + 'static;
    /// What `extra` carries. Make every member optional that has a refusal code of its own when missing.
    type Extra: DeserializeOwned + Send + Sync + 'static;

    /// The identity of a payment. Pure, and shared by the roles so that they cannot disagree.
    ///
    /// # Errors
    /// The payload names no payment at all (an address that is none, a nonce of the wrong length).
    fn claim(payment: &Payment<'_, Self>) -> Result<Claim, Rejected>;

    /// The refusal for JSON of the wrong shape, where the scheme has a code of its own.
    fn malformed(part: WirePart, why: &serde_json::Error) -> Rejected {
        let code = match part {
            WirePart::Payload => codes::INVALID_PAYLOAD,
            WirePart::Extra => codes::INVALID_PAYMENT_REQUIREMENTS,
        };
        Rejected::new(code).because(why.to_string())
    }
}

/// Which part of a payment was of the wrong shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WirePart {
    /// `payload`.
    Payload,
    /// The requirements' `extra`.
    Extra,
}

/// A decoded payment: typed, with the texts it came from.
#[derive(Debug)]
#[non_exhaustive]
pub struct Payment<'a, S: Scheme> {
    /// What the client signed.
    pub payload: S::Payload,
    /// The offer's `extra`.
    pub extra: S::Extra,
    /// The offer. The client's copy (`raw.accepted`) has been matched against it and is not to be used.
    pub offer: &'a PaymentRequirements,
    /// The whole payment as it came.
    pub raw: &'a PaymentPayload,
}

impl<'a, S: Scheme> Payment<'a, S> {
    pub(crate) fn new(
        payload: S::Payload,
        extra: S::Extra,
        offer: &'a PaymentRequirements,
        raw: &'a PaymentPayload,
    ) -> Self {
        Self { payload, extra, offer, raw }
    }
}

/// What a client is asked to sign.
#[derive(Debug)]
#[non_exhaustive]
pub struct Ask<'a, S: Scheme> {
    /// The offer to pay.
    pub offer: &'a PaymentRequirements,
    /// Its `extra`.
    pub extra: S::Extra,
    /// What is sold.
    pub resource: &'a ResourceInfo,
}

impl<'a, S: Scheme> Ask<'a, S> {
    pub(crate) fn new(offer: &'a PaymentRequirements, extra: S::Extra, resource: &'a ResourceInfo) -> Self {
        Self { offer, extra, resource }
    }
}

/// A signed payload.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Signed<P> {
    /// The payload.
    pub payload: P,
    /// Unix seconds after which it can no longer be settled; `None` if that is not a time.
    pub dead_after: Option<u64>,
}

impl<P> Signed<P> {
    /// A payload that stays good until it is used.
    pub fn new(payload: P) -> Self {
        Self { payload, dead_after: None }
    }

    /// Sets when it can no longer be settled, in Unix seconds.
    pub fn dead_after(mut self, seconds: u64) -> Self {
        self.dead_after = Some(seconds);
        self
    }
}

/// What has become of a payment this client signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Standing {
    /// The client has no means to tell.
    Unknown,
    /// Not settled, and it still could be.
    Open,
    /// Settled.
    Spent,
    /// Not settled, and it no longer can be.
    Dead,
}

/// The paying side.
pub trait SchemeClient: Send + Sync + 'static {
    /// The scheme.
    type Scheme: Scheme;

    /// Signs a payment.
    ///
    /// # Errors
    /// [`Rejected`](Failure::Rejected) where the offer must not be signed, saying why; a fault where it could not be.
    fn sign(
        &self,
        ask: Ask<'_, Self::Scheme>,
    ) -> impl Future<Output = Result<Signed<<Self::Scheme as Scheme>::Payload>>> + Send;

    /// What has become of a payment. Budgets release what is proven dead.
    ///
    /// # Errors
    /// The chain could not be asked.
    fn standing(&self, payment: &Payment<'_, Self::Scheme>) -> impl Future<Output = Result<Standing>> + Send {
        let _ = payment;
        async { Ok(Standing::Unknown) }
    }
}

/// The selling side.
pub trait SchemeServer: Send + Sync + 'static {
    /// The scheme.
    type Scheme: Scheme;

    /// Completes an offer with what the scheme needs in `extra`, from the asset and the facilitator's kind. Adds to
    /// `extra` and changes nothing else.
    ///
    /// # Errors
    /// What the route lacks, for whoever configured it.
    fn offer(&self, draft: PaymentRequirements, kind: &SupportedKind) -> Result<PaymentRequirements, String> {
        let _ = kind;
        Ok(draft)
    }

    /// Writes fresh hints (the scheme's [`DYNAMIC_EXTRA`](Scheme::DYNAMIC_EXTRA)) into an offer, once per challenge.
    fn refresh(&self, offer: &mut PaymentRequirements) {
        let _ = offer;
    }
}

/// A selling side with nothing to add to offers.
#[derive(Debug)]
pub struct PlainServer<S>(std::marker::PhantomData<S>);

impl<S> Default for PlainServer<S> {
    fn default() -> Self {
        Self(std::marker::PhantomData)
    }
}

impl<S: Scheme> SchemeServer for PlainServer<S> {
    type Scheme = S;
}

impl<S: Scheme> Build for PlainServer<S> {
    type Config = NoConfig;

    async fn build(_: NoConfig, _: BuildContext) -> Result<Self, String> {
        Ok(Self::default())
    }
}

/// A section without keys: any key in it is a misspelt one.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct NoConfig {}

/// The verifying and settling side.
pub trait SchemeFacilitator: Send + Sync + 'static {
    /// The scheme.
    type Scheme: Scheme;

    /// What servers need to know to make an offer: `extra` of the kind in `/supported`.
    fn kind_extra(&self) -> Option<Object> {
        None
    }

    /// Addresses that may pay for gas.
    fn signers(&self) -> Vec<String> {
        Vec::new()
    }

    /// Extension keys the scheme itself consumes.
    fn extensions(&self) -> &[&'static str] {
        &[]
    }

    /// Everything that can be said without asking the chain, in the specification's order. Runs before the claim is
    /// taken, so that garbage cannot occupy somebody else's key.
    ///
    /// # Errors
    /// The refusal.
    fn check(&self, payment: &Payment<'_, Self::Scheme>) -> Result<(), Rejected> {
        let _ = payment;
        Ok(())
    }

    /// Asks the chain whether the payment would settle. Runs after [`check`](Self::check).
    ///
    /// # Errors
    /// The refusal, or that the chain could not be asked.
    fn verify(&self, payment: &Payment<'_, Self::Scheme>) -> impl Future<Output = Result<Verified>> + Send;

    /// Settles. The claim is taken and [`check`](Self::check) has passed; nothing else may be assumed. Runs in a task
    /// of its own, so it need not mind being dropped.
    ///
    /// # Errors
    /// A refusal or a fault before anything was sent. Whatever happens after sending is an [`Outcome`].
    fn settle(
        &self,
        payment: &Payment<'_, Self::Scheme>,
        cx: &SettleContext,
    ) -> impl Future<Output = Result<Outcome>> + Send;
}

/// A payload of an unknown shape, for schemes whose `extra` is unused.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Nothing {}

/// Decodes a payment for scheme `S`: the only place where JSON becomes typed, and so the only place where
/// `invalid_payload` is born.
///
/// # Errors
/// The scheme's refusal for the part that is of the wrong shape.
pub fn decode<'a, S: Scheme>(
    raw: &'a PaymentPayload,
    offer: &'a PaymentRequirements,
) -> Result<Payment<'a, S>, Rejected> {
    let payload = S::Payload::deserialize(&raw.payload).map_err(|why| S::malformed(WirePart::Payload, &why))?;
    Ok(Payment::new(payload, decode_extra::<S>(offer)?, offer, raw))
}

/// Decodes an offer's `extra` for scheme `S`.
pub(crate) fn decode_extra<S: Scheme>(offer: &PaymentRequirements) -> Result<S::Extra, Rejected> {
    match &offer.extra {
        Some(extra) => S::Extra::deserialize(extra),
        None => S::Extra::deserialize(&Object::new()),
    }
    .map_err(|why| S::malformed(WirePart::Extra, &why))
}

impl Failure {
    /// The refusal, if this is one.
    pub fn rejected(&self) -> Option<&Rejected> {
        match self {
            Self::Rejected(rejected) => Some(rejected),
            Self::Fault(_) => None,
        }
    }
}
