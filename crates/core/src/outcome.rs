//! [`Verified`], [`Settled`] and [`Outcome`]: how verification and settlement end.

use crate::{Amount, Object, Rejected};
use serde::{Deserialize, Serialize};

/// A payment that would settle now.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct Verified {
    /// Address of the payer.
    pub payer: Option<String>,
    /// Scheme-specific members of the answer.
    pub extra: Option<Object>,
    /// What the facilitator's extensions tell the resource server, by key (`EXTENSION-RESPONSES`). Not for the payer.
    pub extension_responses: Object,
}

impl Verified {
    /// A payment of `payer`.
    pub fn new(payer: impl Into<String>) -> Self {
        Self { payer: Some(payer.into()), ..Self::default() }
    }
}

/// A payment that is on chain.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Settled {
    /// Hash of the transaction; empty where the scheme settles without one.
    pub transaction: String,
    /// Address of the payer.
    pub payer: Option<String>,
    /// Atomic units really moved, where that can differ from the offer.
    pub amount: Option<Amount>,
    /// Scheme-specific members of the receipt.
    pub extra: Option<Object>,
    /// What the facilitator's extensions tell the resource server, by key (`EXTENSION-RESPONSES`). Not for the payer,
    /// and not for the books.
    #[serde(skip)]
    pub extension_responses: Object,
}

impl Settled {
    /// A settlement in `transaction`, paid by `payer`.
    pub fn new(transaction: impl Into<String>, payer: impl Into<String>) -> Self {
        let (transaction, payer) = (transaction.into(), Some(payer.into()));
        Self { transaction, payer, amount: None, extra: None, extension_responses: Object::new() }
    }

    /// Sets the amount really moved.
    pub fn amount(mut self, amount: Amount) -> Self {
        self.amount = Some(amount);
        self
    }
}

/// How a settlement ended, or that nobody knows yet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Outcome {
    /// The money moved, for good.
    Settled(Settled),
    /// The money moved, in a block that the chain might still take back. In a facilitator's books only: whoever asks is
    /// told that it settled, and the reconciler sees to it that it stays so.
    Included(Settled),
    /// The money moved, and whoever paid was gone before the answer was: the same payment, presented again, is answered
    /// from this once. In a facilitator's books only for callers without a token.
    Undelivered(Settled),
    /// It did not and will not by this attempt: the claim is free again.
    Released(Rejected),
    /// It was sent and nobody knows. Never "failed".
    Pending {
        /// Hash of the transaction to look for.
        transaction: String,
    },
}
