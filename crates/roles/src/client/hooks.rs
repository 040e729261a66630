//! [`ClientHook`]: the application's say in each payment.

use super::Purchase;
use async_trait::async_trait;
use tollway_core::{PaymentPayload, PaymentRequired, PaymentRequirements, SettleResponse};

/// Watches a client's payments and may stop them. Every method has a default that does nothing.
#[async_trait]
pub trait ClientHook: Send + Sync {
    /// An offer was chosen and is about to be signed.
    ///
    /// # Errors
    /// Why it must not be paid.
    async fn before_payment(&self, purchase: &Purchase<'_>, offer: &PaymentRequirements) -> Result<(), String> {
        let _ = (purchase, offer);
        Ok(())
    }

    /// A payment was signed and is about to be sent. Write it down here to be able to present it again.
    ///
    /// # Errors
    /// Why it must not be sent.
    async fn signed(&self, purchase: &Purchase<'_>, payment: &PaymentPayload) -> Result<(), String> {
        let _ = (purchase, payment);
        Ok(())
    }

    /// The paid request was answered: with a receipt, with another challenge, or with neither.
    async fn answered(
        &self,
        payment: &PaymentPayload,
        receipt: Option<&SettleResponse>,
        challenge: Option<&PaymentRequired>,
    ) {
        let _ = (payment, receipt, challenge);
    }
}
