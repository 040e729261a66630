//! [`Facilitator`]: verifies and settles, in this process or over the network, behind one trait.

use crate::{Caller, Fault, Outcome, PaymentPayload, PaymentRequirements, Result, SupportedResponse, Verified};
use async_trait::async_trait;
use std::cmp::Reverse;
use std::sync::Arc;
use std::time::Duration;

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
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Candidate<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its place in the configuration, from 0. It stays the same for as long as the engine lives.
    pub position: usize,
    /// What it said about the scheme and network in question.
    pub kind: &'a crate::SupportedKind,
    /// How well an offer by it meets the server's preferences; more is better.
    pub preference: u64,
}

impl<'a> Candidate<'a> {
    /// A candidate nobody prefers.
    pub fn new(name: &'a str, position: usize, kind: &'a crate::SupportedKind) -> Self {
        Self { name, position, kind, preference: 0 }
    }

    /// Says how well it meets the server's preferences.
    pub fn preferred(mut self, preference: u64) -> Self {
        self.preference = preference;
        self
    }
}

/// What a facilitator is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FacilitatorCall {
    /// What it supports.
    Supported,
    /// Whether a payment would settle.
    Verify,
    /// To settle a payment.
    Settle,
}

/// What becomes of a call, for selectors.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum CallEvent<'a> {
    /// It is being made.
    Asked,
    /// It was answered, by a refusal perhaps, after so long.
    Answered(Duration),
    /// Nobody could decide.
    Failed(&'a Fault),
    /// It was not answered in the time [`patience`](FacilitatorSelector::patience) gave it, and another that was asked
    /// beside it was.
    Late,
    /// Whoever asked did not wait for the answer, which says nothing about the facilitator.
    Dropped,
}

/// Chooses among facilitators that serve the same scheme and network, and learns from what becomes of the calls made.
///
/// All of it is called on the paths of requests: it must not wait, and should not allocate.
pub trait FacilitatorSelector: Send + Sync {
    /// Puts the best first.
    fn rank(&self, candidates: &mut [Candidate<'_>]);

    /// Whether a facilitator is to be asked before those that are not. One that is not available is asked last and its
    /// offers are advertised only where there are no others; nothing is lost by being wrong.
    fn available(&self, position: usize) -> bool {
        let _ = position;
        true
    }

    /// How long to wait for a verdict before another facilitator is asked beside this one; `None` is until it answers.
    /// Settlement is never asked of two.
    fn patience(&self, position: usize) -> Option<Duration> {
        let _ = position;
        None
    }

    /// What became of a call.
    fn observe(&self, position: usize, call: FacilitatorCall, event: CallEvent<'_>) {
        let _ = (position, call, event);
    }

    /// The order in which to ask: the available first, of these the preferred, of these as [`rank`](Self::rank) has it.
    fn order(&self, candidates: &mut [Candidate<'_>]) {
        self.rank(candidates);
        candidates.sort_by_key(|candidate| (!self.available(candidate.position), Reverse(candidate.preference)));
    }
}
