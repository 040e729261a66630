//! [`Refusal`] and [`Challenge`]: answers that do not come from the handler.

use std::any::Any;
use std::fmt;
use std::sync::{Arc, OnceLock};
use tollway_core::{PaymentRequired, Replay, Reply, SettleResponse};

/// Why a request is not served. Each transport has one function that turns this into an answer.
#[derive(Debug)]
#[non_exhaustive]
pub enum Refusal {
    /// Pay, and here is how.
    Challenge(Arc<Challenge>),
    /// The payment did not settle, or nobody knows yet, or it was used before. No new challenge: paying again would
    /// be wrong in two cases of three.
    Failed(Box<SettleResponse>),
    /// The answer that was paid for before, with its receipt.
    Replayed(Box<Replay>),
    /// An extension answers.
    Reply(Reply),
    /// A hook refused, for this reason.
    Forbidden(String),
    /// The facilitator could not decide. The text names it and is safe to show.
    Unavailable(String),
    /// Something here is broken; the log says what.
    Internal,
}

/// A [`PaymentRequired`], with room for what a transport renders from it: one challenge serves every unpaid request
/// to a route whose price does not depend on the request.
pub struct Challenge {
    required: PaymentRequired,
    rendered: OnceLock<Box<dyn Any + Send + Sync>>,
}

impl Challenge {
    pub(crate) fn new(required: PaymentRequired) -> Self {
        Self { required, rendered: OnceLock::new() }
    }

    /// The content.
    pub fn required(&self) -> &PaymentRequired {
        &self.required
    }

    /// What `render` made of it the first time. `None` if somebody rendered another type before: a challenge belongs
    /// to one transport.
    pub fn rendered<T: Any + Send + Sync>(&self, render: impl FnOnce(&PaymentRequired) -> T) -> Option<&T> {
        self.rendered.get_or_init(|| Box::new(render(&self.required))).downcast_ref()
    }
}

impl fmt::Debug for Challenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Challenge").field(&self.required).finish()
    }
}
