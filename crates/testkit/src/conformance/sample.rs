//! [`Sample`]: a valid payment, and what about its text is no matter.

use serde_json::Value;
use tollway_core::PaymentRequirements;

/// A valid payment of a plug-in's scheme. The suite bends it in every place and looks what the scheme makes of it.
///
/// Places are JSON pointers into the payload, such as `/authorization/from`.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Sample {
    pub(crate) offer: PaymentRequirements,
    pub(crate) payload: Value,
    pub(crate) signatures: Vec<String>,
    pub(crate) checked_on_chain: bool,
    pub(crate) any_case: Vec<String>,
    pub(crate) optional: Vec<String>,
    pub(crate) identity: Vec<(String, Value)>,
    pub(crate) same: Vec<(String, Value)>,
    pub(crate) signs: bool,
}

impl Sample {
    /// A payment of `offer`.
    pub fn new(offer: PaymentRequirements, payload: Value) -> Self {
        Self {
            offer,
            payload,
            signatures: Vec::new(),
            checked_on_chain: false,
            any_case: Vec::new(),
            optional: Vec::new(),
            identity: Vec::new(),
            same: Vec::new(),
            signs: false,
        }
    }

    /// There is a signature here: junk in its place must not make another payment of it, and must be refused.
    pub fn signature(mut self, pointer: &str) -> Self {
        self.signatures.push(pointer.to_owned());
        self
    }

    /// Junk signatures can be told only by asking the chain (contract wallets), so local checks may let them pass.
    pub fn checked_on_chain(mut self) -> Self {
        self.checked_on_chain = true;
        self
    }

    /// Letter case says nothing here: the key must not depend on it.
    pub fn any_case(mut self, pointer: &str) -> Self {
        self.any_case.push(pointer.to_owned());
        self
    }

    /// This member may be left out.
    pub fn optional(mut self, pointer: &str) -> Self {
        self.optional.push(pointer.to_owned());
        self
    }

    /// This member makes the payment itself: with `other` in its place the key must be another.
    pub fn identity(mut self, pointer: &str, other: impl Into<Value>) -> Self {
        self.identity.push((pointer.to_owned(), other.into()));
        self
    }

    /// This payload is the same payment in other clothes: the key must be the same.
    pub fn same(mut self, name: &str, payload: Value) -> Self {
        self.same.push((name.to_owned(), payload));
        self
    }

    /// The plug-in's paying side can sign this offer without asking anybody, and each time makes another payment.
    pub fn signs(mut self) -> Self {
        self.signs = true;
        self
    }
}
