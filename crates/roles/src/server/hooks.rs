//! [`ServerHook`]: the operator's say in what is sold to whom.

use async_trait::async_trait;
use tollway_core::{Failure, Paid, Rejected, Request, Result, Settled, Verified};

/// What a hook decides about a request to a paid route.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Protected {
    /// Go on: it has to be paid.
    Continue,
    /// Serve it without payment.
    Grant,
    /// Refuse it (403), saying why.
    Abort(String),
}

/// Why a verified payment was not settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Canceled {
    /// The handler answered 400 or above.
    HandlerFailed,
    /// The handler panicked, or the client left before it was done.
    Dropped,
}

/// Watches a resource server and may step in. Every method has a default that does nothing; hooks run in the order
/// they were added, before the extensions of the route.
#[async_trait]
pub trait ServerHook: Send + Sync {
    /// A request came to a paid route.
    async fn protected(&self, request: &dyn Request, pattern: &str) -> Protected {
        let _ = (request, pattern);
        Protected::Continue
    }

    /// A payment is about to be verified. `Ok(Some(…))` stands in for the facilitator's answer.
    ///
    /// # Errors
    /// The refusal the client gets.
    async fn before_verify(&self, paid: &Paid<'_>) -> Result<Option<Verified>, Rejected> {
        let _ = paid;
        Ok(None)
    }

    /// A payment was found valid.
    ///
    /// # Errors
    /// The refusal the client gets all the same.
    async fn verified(&self, paid: &Paid<'_>, verified: &Verified) -> Result<(), Rejected> {
        let _ = (paid, verified);
        Ok(())
    }

    /// Verification failed; a hook may know better.
    async fn recover_verify(&self, paid: &Paid<'_>, why: &Failure) -> Option<Verified> {
        let _ = (paid, why);
        None
    }

    /// A payment is about to be settled. `Ok(Some(…))` stands in for the facilitator's answer.
    ///
    /// # Errors
    /// The refusal the client gets; the handler's answer is thrown away.
    async fn before_settle(&self, paid: &Paid<'_>) -> Result<Option<Settled>, Rejected> {
        let _ = paid;
        Ok(None)
    }

    /// The money moved.
    async fn settled(&self, paid: &Paid<'_>, settled: &Settled) {
        let _ = (paid, settled);
    }

    /// Settlement failed or nobody knows; a hook may know better.
    async fn recover_settle(&self, paid: &Paid<'_>, why: &Failure) -> Option<Settled> {
        let _ = (paid, why);
        None
    }

    /// A payment was verified and will not be settled.
    async fn canceled(&self, paid: &Paid<'_>, why: Canceled) {
        let _ = (paid, why);
    }
}
