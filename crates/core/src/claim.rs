//! [`ClaimKey`] and [`Claim`]: the identity of a payment, by what the chain accepts once.

use crate::{AccountId, NetworkId, PaymentPayload, PaymentRequirements};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fmt;

/// What makes a payment itself: the nonce of its mechanism, in canonical text. Never a signature and never the
/// payload's text, both of which can be changed without changing the payment.
///
/// The key names the *mechanism*, not the scheme: two schemes that spend the same nonce share keys.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClaimKey(String);

impl ClaimKey {
    /// Joins network, mechanism and the mechanism's parts. Parts must be canonical: letter case makes a second key.
    ///
    /// ```
    /// # use tollway_core::ClaimKey;
    /// let key = ClaimKey::new(&"eip155:8453".parse()?, "eip3009", &["0xasset", "0xfrom", "0xnonce"]);
    /// assert_eq!(key.as_str(), "eip155:8453/eip3009/0xasset/0xfrom/0xnonce");
    /// # Ok::<(), tollway_core::CaipError>(())
    /// ```
    pub fn new(network: &NetworkId, mechanism: &str, parts: &[&str]) -> Self {
        let mut key = format!("{network}/{mechanism}");
        for part in parts {
            key.push('/');
            key.push_str(part);
        }
        Self(key)
    }

    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ClaimKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A scheme's statement of which payment this is, whose, and what will prove it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Claim {
    /// The identity.
    pub key: ClaimKey,
    /// Who pays.
    pub payer: AccountId,
    /// Unix seconds after which the chain cannot accept the payment any more; `None` if that is not a time.
    pub dead_after: Option<u64>,
    /// What proves this one payment on chain, written by the scheme and read by its network's
    /// [`Settler`](crate::Settler).
    pub expect: Value,
}

impl Claim {
    /// A claim with no expiry and nothing to prove it by.
    pub fn new(key: ClaimKey, payer: AccountId) -> Self {
        Self { key, payer, dead_after: None, expect: Value::Null }
    }

    /// Sets when the chain stops accepting the payment, in Unix seconds.
    pub fn dead_after(mut self, seconds: u64) -> Self {
        self.dead_after = Some(seconds);
        self
    }

    /// Sets what proves the payment.
    pub fn expect(mut self, expect: Value) -> Self {
        self.expect = expect;
        self
    }
}

/// Who asks for a settlement: a token only the asker knows, so that a stored success is repeated to nobody else.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Caller(Option<String>);

impl Caller {
    /// A caller that sent no token, as the reference implementation does.
    pub const ANONYMOUS: Self = Self(None);

    /// A caller with a token; over HTTP the `Idempotency-Key`. Unguessable: 128 random bits or more.
    pub fn new(token: impl Into<String>) -> Self {
        Self(Some(token.into()))
    }

    /// The token.
    pub fn token(&self) -> Option<&str> {
        self.0.as_deref()
    }

    /// Whether `other` is the same caller. Two callers without a token are never the same. Takes as long for a wrong
    /// token as for the right one.
    pub fn is(&self, other: &Self) -> bool {
        let (Some(ours), Some(theirs)) = (&self.0, &other.0) else { return false };
        let difference = ours.bytes().zip(theirs.bytes()).fold(0, |sum, (a, b)| sum | (a ^ b));
        ours.len() == theirs.len() && difference == 0
    }
}

impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Caller(…)" } else { "Caller(anonymous)" })
    }
}

/// The right to finish a claim. The ledger gives one out with each row it hands to somebody, and from then on the row's
/// older ones change nothing: a process that was given up for dead cannot pay twice.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Ticket {
    /// Which payment.
    pub key: ClaimKey,
    /// Never the same twice for a key, in one ledger.
    pub turn: u64,
}

/// Whose books a claim is in. A server and a facilitator in one process hold the same key side by side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Scope {
    /// The resource server's: one payment releases one answer.
    Server,
    /// The facilitator's: one payment is settled once.
    Facilitator,
}

impl Scope {
    /// Its name, as it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Facilitator => "facilitator",
        }
    }
}

/// A claim with all it takes to finish it in another process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ClaimRow {
    /// Whose books.
    pub scope: Scope,
    /// Which payment.
    pub claim: Claim,
    /// The payment as it came.
    pub raw: PaymentPayload,
    /// The offer it answers.
    pub offer: PaymentRequirements,
    /// Who asks.
    pub caller: Caller,
    /// In a server's books, the facilitator that is asked: nobody else may be, once something may have been sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub facilitator: Option<String>,
    /// The newest ticket's turn, as the ledger gave it; 0 in a row that was not taken yet.
    #[serde(default)]
    pub turn: u64,
}

impl ClaimRow {
    /// Whether two rows are of one payment for one purchase. A key alone says too little: it is public once the
    /// payment is on chain, and anybody can write other terms around it.
    pub fn is_same_purchase(&self, other: &Self) -> bool {
        let (ours, theirs) = (&self.offer, &other.offer);
        self.scope == other.scope
            && self.claim.key == other.claim.key
            && self.raw.payload == other.raw.payload
            && ours.scheme == theirs.scheme
            && ours.network == theirs.network
            && ours.asset == theirs.asset
            && ours.amount == theirs.amount
            && ours.pay_to == theirs.pay_to
    }

    /// Names the facilitator that is asked.
    pub fn asking(mut self, facilitator: impl Into<String>) -> Self {
        self.facilitator = Some(facilitator.into());
        self
    }

    /// A row that is not taken yet.
    pub fn new(scope: Scope, claim: Claim, raw: PaymentPayload, offer: PaymentRequirements, caller: Caller) -> Self {
        Self { scope, claim, raw, offer, caller, facilitator: None, turn: 0 }
    }

    /// The same row under another ticket; for stores.
    pub fn with_turn(mut self, turn: u64) -> Self {
        self.turn = turn;
        self
    }

    /// The right to finish it, if this row is the newest word of the ledger.
    pub fn ticket(&self) -> Ticket {
        Ticket { key: self.claim.key.clone(), turn: self.turn }
    }
}
