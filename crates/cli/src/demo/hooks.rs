//! Hooks that watch the three roles at work and tell the demo what happened when.

use super::step::{Step, millis};
use async_trait::async_trait;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;
use tokio::sync::mpsc::UnboundedSender;
use tollway::core::{Outcome, PaymentPayload, PaymentRequirements, Result, Verified};
use tollway::roles::client::{ClientHook, Purchase};
use tollway::roles::facilitator::FacilitatorHook;

/// Watches the client and the facilitator.
pub(super) struct Watch {
    events: UnboundedSender<Step>,
    /// When the step under way began.
    since: Mutex<Instant>,
    last: Mutex<Option<PaymentPayload>>,
}

impl Watch {
    pub(super) fn new(events: UnboundedSender<Step>) -> Self {
        Self { events, since: Mutex::new(Instant::now()), last: Mutex::new(None) }
    }

    pub(super) fn begin(&self) {
        *self.since.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// Milliseconds since the last call.
    fn lap(&self) -> f64 {
        let mut since = self.since.lock().unwrap_or_else(PoisonError::into_inner);
        let passed = millis(since.elapsed());
        *since = Instant::now();
        passed
    }

    fn tell(&self, step: Step) {
        // Nobody listens any more once the demo is over.
        let _ = self.events.send(step);
    }

    /// The payment signed last.
    pub(super) fn last_payment(&self) -> Option<PaymentPayload> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[async_trait]
impl ClientHook for Watch {
    async fn before_payment(&self, purchase: &Purchase<'_>, offer: &PaymentRequirements) -> Result<(), String> {
        self.tell(Step::Offer {
            ms: self.lap(),
            resource: purchase.resource.url.clone(),
            scheme: offer.scheme.clone(),
            network: offer.network.to_string(),
            amount: offer.amount,
            asset: offer.asset.clone(),
            pay_to: offer.pay_to.clone(),
        });
        Ok(())
    }

    async fn signed(&self, _: &Purchase<'_>, payment: &PaymentPayload) -> Result<(), String> {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(payment.clone());
        self.tell(Step::Signature { ms: self.lap(), payload: payment.payload.clone() });
        Ok(())
    }
}

#[async_trait]
impl FacilitatorHook for Watch {
    async fn verified(&self, _: &PaymentPayload, _: &PaymentRequirements, result: &Result<Verified>) {
        self.tell(match result {
            Ok(verified) => Step::Verify { ms: self.lap(), valid: true, payer: verified.payer.clone(), reason: None },
            Err(why) => Step::Verify { ms: self.lap(), valid: false, payer: None, reason: Some(why.to_string()) },
        });
    }

    async fn settled(&self, _: &PaymentPayload, offer: &PaymentRequirements, result: &Result<Outcome>) {
        let ms = self.lap();
        let (outcome, transaction) = match result {
            Ok(Outcome::Settled(settled) | Outcome::Included(settled) | Outcome::Undelivered(settled)) => {
                ("settled".to_owned(), settled.transaction.clone())
            }
            Ok(Outcome::Pending { transaction }) => ("pending".to_owned(), transaction.clone()),
            Ok(Outcome::Released(why)) => (why.to_string(), why.transaction.clone().unwrap_or_default()),
            Err(why) => (why.to_string(), String::new()),
        };
        self.tell(Step::Settle { ms, network: offer.network.to_string(), outcome, transaction });
    }
}
