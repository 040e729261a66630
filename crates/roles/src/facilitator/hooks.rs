//! [`FacilitatorHook`]: an operator's say in what is verified and settled.

use async_trait::async_trait;
use tollway_core::{Failure, Outcome, PaymentPayload, PaymentRequirements, Rejected, Result, Verified};

/// Watches a facilitator and may refuse. Every method has a default that does nothing.
#[async_trait]
pub trait FacilitatorHook: Send + Sync {
    /// Before anything is looked at: limits, deny lists.
    ///
    /// # Errors
    /// The refusal the caller gets.
    async fn before_verify(&self, raw: &PaymentPayload, offer: &PaymentRequirements) -> Result<(), Rejected> {
        let _ = (raw, offer);
        Ok(())
    }

    /// After verification, whatever came of it.
    async fn verified(&self, raw: &PaymentPayload, offer: &PaymentRequirements, result: &Result<Verified>) {
        let _ = (raw, offer, result);
    }

    /// After verification failed: a hook may know better.
    async fn recover_verify(&self, raw: &PaymentPayload, why: &Failure) -> Option<Verified> {
        let _ = (raw, why);
        None
    }

    /// Before a payment is claimed and settled.
    ///
    /// # Errors
    /// The refusal the caller gets.
    async fn before_settle(&self, raw: &PaymentPayload, offer: &PaymentRequirements) -> Result<(), Rejected> {
        let _ = (raw, offer);
        Ok(())
    }

    /// After settlement, whatever came of it. The money has moved or not: nothing can be changed here.
    async fn settled(&self, raw: &PaymentPayload, offer: &PaymentRequirements, result: &Result<Outcome>) {
        let _ = (raw, offer, result);
    }
}
