//! [`Facilitator`]: verifies and settles, in this process or over the network, behind one trait.

use crate::{Caller, Outcome, PaymentPayload, PaymentRequirements, Result, SupportedResponse, Verified};
use async_trait::async_trait;
use std::sync::Arc;

/// Whoever verifies and settles. Engines in this process and remote services look the same.
#[async_trait]
pub trait Facilitator: Send + Sync {
    /// A name for logs and errors.
    fn name(&self) -> &str;

    /// What it can do.
    ///
    /// # Errors
    /// It could not be asked.
    async fn supported(&self) -> Result<SupportedResponse>;

    /// Whether a payment would settle now. No proof of payment.
    ///
    /// # Errors
    /// The refusal, or that nobody could decide.
    async fn verify(&self, raw: &PaymentPayload, offer: &PaymentRequirements) -> Result<Verified>;

    /// Settles a payment. The same `caller` asking again gets the same outcome; anybody else is refused.
    ///
    /// # Errors
    /// The refusal, or a fault whose `sent` says whether money may be on its way.
    async fn settle(&self, raw: &PaymentPayload, offer: &PaymentRequirements, caller: &Caller) -> Result<Outcome>;
}

/// A shared facilitator is one, too.
#[async_trait]
impl<T: Facilitator + ?Sized> Facilitator for Arc<T> {
    fn name(&self) -> &str {
        (**self).name()
    }

    async fn supported(&self) -> Result<SupportedResponse> {
        (**self).supported().await
    }

    async fn verify(&self, raw: &PaymentPayload, offer: &PaymentRequirements) -> Result<Verified> {
        (**self).verify(raw, offer).await
    }

    async fn settle(&self, raw: &PaymentPayload, offer: &PaymentRequirements, caller: &Caller) -> Result<Outcome> {
        (**self).settle(raw, offer, caller).await
    }
}

/// A facilitator an offer could be made for.
#[derive(Debug)]
#[non_exhaustive]
pub struct Candidate<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its place in the configuration, from 0.
    pub position: usize,
    /// What it said about the scheme and network in question.
    pub kind: &'a crate::SupportedKind,
}

impl<'a> Candidate<'a> {
    /// A candidate.
    pub fn new(name: &'a str, position: usize, kind: &'a crate::SupportedKind) -> Self {
        Self { name, position, kind }
    }
}

/// Chooses among facilitators that serve the same scheme and network.
pub trait FacilitatorSelector: Send + Sync {
    /// Puts the best first.
    fn rank(&self, candidates: &mut [Candidate<'_>]);
}
