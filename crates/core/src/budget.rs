//! Budgets: what a client signed, and what it may still sign, in a store that a restart does not empty.
//!
//! One row per payment, and counters beside them. A row is written before anything is signed, and it counts from then
//! on. What may happen to it, in one place for every store ([`SpendState::step`]):
//!
//! | what happens ↓ / the row is → | reserved | signed | refused | spent | released |
//! |---|---|---|---|---|---|
//! | `sign` | signed | – | – | – | – |
//! | `resolve(Refused)` | – | refused | – | – | – |
//! | `resolve(Spent)` | spent | spent | spent | – | spent, counts again |
//! | `resolve(Released)` | gone, counts no more | released, counts no more | released, counts no more | – | – |

use crate::{Amount, Fault, FaultKind, PaymentPayload, PaymentRequirements};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

/// A counter that a payment adds to, such as the dollars spent on one day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Tally {
    /// Which counter. The store gives it no meaning.
    pub key: String,
    /// How much this payment adds, in the counter's own unit.
    pub amount: Amount,
    /// What it must not exceed; `None` where it is only counted.
    pub cap: Option<Amount>,
    /// Unix seconds after which nothing is added any more; `None` for a counter without an end.
    pub until: Option<u64>,
}

impl Tally {
    /// A counter without a cap and without an end.
    pub fn new(key: impl Into<String>, amount: Amount) -> Self {
        Self { key: key.into(), amount, cap: None, until: None }
    }

    /// Sets what it must not exceed.
    pub fn cap(mut self, cap: Option<Amount>) -> Self {
        self.cap = cap;
        self
    }

    /// Sets when it ends, in Unix seconds.
    pub fn until(mut self, seconds: Option<u64>) -> Self {
        self.until = seconds;
        self
    }

    /// What the counter comes to, if its cap allows it.
    ///
    /// # Errors
    /// What was left before this payment.
    pub fn added_to(&self, counted: Amount) -> Result<Amount, Amount> {
        let cap = self.cap.unwrap_or(Amount::MAX);
        let left = cap.checked_sub(counted).unwrap_or(Amount::ZERO);
        counted.checked_add(self.amount).filter(|sum| *sum <= cap).ok_or(left)
    }
}

/// A payment that is about to be signed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Spend {
    /// Never the same twice.
    pub id: String,
    /// Unix seconds of the reservation.
    pub at: u64,
    /// What is bought, as a digest of the request; `None` where the transport cannot say.
    pub purchase: Option<String>,
    /// The origin that is paid.
    pub origin: String,
    /// What is bought there, without the query, which may hold secrets.
    pub resource: String,
    /// The offer.
    pub offer: PaymentRequirements,
    /// The counters it adds to.
    pub tallies: Vec<Tally>,
}

impl Spend {
    /// A payment of `offer` to `origin` that no counter counts yet.
    pub fn new(id: impl Into<String>, at: u64, origin: impl Into<String>, offer: PaymentRequirements) -> Self {
        let (id, origin) = (id.into(), origin.into());
        Self { id, at, purchase: None, origin, resource: String::new(), offer, tallies: Vec::new() }
    }

    /// Says what is bought.
    pub fn buying(mut self, purchase: Option<String>, resource: impl Into<String>) -> Self {
        self.purchase = purchase;
        self.resource = resource.into();
        self
    }

    /// Adds to these counters.
    pub fn counted(mut self, tallies: Vec<Tally>) -> Self {
        self.tallies = tallies;
        self
    }
}

/// A payment as it is written down before it is sent.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SignedSpend {
    /// The payment, whole.
    pub payment: PaymentPayload,
    /// A digest of what was signed, to find the row by.
    pub digest: String,
    /// Unix seconds from which it is worth asking the chain whether it can still be settled.
    pub dead_after: u64,
}

impl SignedSpend {
    /// A payment, its digest, and when to ask what became of it.
    pub fn new(payment: PaymentPayload, digest: impl Into<String>, dead_after: u64) -> Self {
        Self { payment, digest: digest.into(), dead_after }
    }
}

impl fmt::Debug for SignedSpend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the payment: it is good for money until it is settled.
        f.debug_struct("SignedSpend").field("dead_after", &self.dead_after).finish_non_exhaustive()
    }
}

/// Where a payment stands in the books.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum SpendState {
    /// Not signed yet, or never.
    Reserved,
    /// Signed, and nobody knows more.
    Signed,
    /// The server said no. It could still settle it, so it counts.
    Refused,
    /// Settled, or taken for settled. Never changes again.
    Spent,
    /// Proven dead: it counts no more.
    Released,
}

/// What became of a payment.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fate {
    /// The server said no.
    Refused,
    /// It was settled.
    Spent {
        /// Hash of the transaction as the server named it; empty if it named none.
        transaction: String,
    },
    /// It was not settled and cannot be any more, or was never given to anybody.
    Released,
}

/// What a store has to do with a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpendStep {
    /// Nothing.
    Keep,
    /// Write the new state.
    Write,
    /// Write the new state, and count it again whatever the caps: the money moved.
    CountAgain,
    /// Write the new state, and take it off every counter.
    GiveBack,
    /// Take it off every counter and remove the row: nothing was ever signed for it.
    Remove,
}

impl SpendState {
    /// What a fate changes.
    pub fn step(self, fate: &Fate) -> SpendStep {
        match (self, fate) {
            (Self::Signed, Fate::Refused) | (Self::Reserved | Self::Signed | Self::Refused, Fate::Spent { .. }) => {
                SpendStep::Write
            }
            (Self::Released, Fate::Spent { .. }) => SpendStep::CountAgain,
            (Self::Signed | Self::Refused, Fate::Released) => SpendStep::GiveBack,
            (Self::Reserved, Fate::Released) => SpendStep::Remove,
            _ => SpendStep::Keep,
        }
    }

    /// Whether nobody knows yet what becomes of the payment.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Reserved | Self::Signed | Self::Refused)
    }
}

impl Fate {
    /// The state a row is in afterwards.
    pub fn state(&self) -> SpendState {
        match self {
            Self::Refused => SpendState::Refused,
            Self::Spent { .. } => SpendState::Spent,
            Self::Released => SpendState::Released,
        }
    }
}

/// One payment in the books.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SpendRow {
    /// Its place in the books, in the order of reservation.
    pub number: u64,
    /// What was reserved.
    pub spend: Spend,
    /// Where it stands.
    pub state: SpendState,
    /// The payment, from the moment it is signed.
    pub signed: Option<SignedSpend>,
    /// Hash of the transaction, as the server named it; empty if it named none.
    pub transaction: String,
    /// Unix seconds at which its state last changed.
    pub changed: u64,
}

impl SpendRow {
    /// A reservation.
    pub fn reserved(number: u64, spend: Spend) -> Self {
        let changed = spend.at;
        Self { number, spend, state: SpendState::Reserved, signed: None, transaction: String::new(), changed }
    }

    /// The row as a fate leaves it; for stores that have asked [`SpendState::step`].
    pub fn resolved(mut self, fate: &Fate, now: u64) -> Self {
        self.state = fate.state();
        self.changed = now;
        if let Fate::Spent { transaction } = fate {
            self.transaction.clone_from(transaction);
        }
        self
    }

    /// The fault of whoever signs for a reservation that is not there any more.
    pub fn lost(id: &str) -> Fault {
        Fault::new(FaultKind::Internal, format!("the reservation {id} is gone; the payment is not sent"))
    }
}

/// Answer of [`BudgetStore::reserve`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reserved {
    /// It counts from now on.
    Yes,
    /// A counter would exceed its cap. Nothing was reserved.
    Over {
        /// The counter.
        key: String,
        /// What was left on it.
        left: Amount,
    },
}

/// By what a payment is looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpendKey<'a> {
    /// What was bought: rows that are signed and no more, oldest first.
    Purchase(&'a str),
    /// The digest of what was signed, whatever the row's state.
    Payment(&'a str),
}

/// The books of a paying client. Each method is one transaction, durable before it answers.
///
/// The rules, as `tollway-testkit`'s budget suite checks them ([`SpendState::step`] decides most):
/// - `reserve` is atomic: of any number of concurrent calls, no more succeed than every counter's cap allows.
/// - A counter that ended may be forgotten a day later, a spent or released row whenever the store likes; open ones never.
#[async_trait]
pub trait BudgetStore: Send + Sync {
    /// Writes a payment down and counts it, if every cap allows it.
    ///
    /// # Errors
    /// The store could not write; nothing was reserved. Also if there is a row of that id.
    async fn reserve(&self, spend: &Spend) -> Result<Reserved, Fault>;

    /// Writes down what was signed for a reservation.
    ///
    /// # Errors
    /// The store could not write, or the reservation is gone: what was signed must not be sent.
    async fn sign(&self, id: &str, signed: &SignedSpend, now: u64) -> Result<(), Fault>;

    /// Writes down what became of a payment. Nothing changes if there is no such row.
    ///
    /// # Errors
    /// The store could not write.
    async fn resolve(&self, id: &str, fate: &Fate, now: u64) -> Result<(), Fault>;

    /// Looks payments up; at most 64.
    ///
    /// # Errors
    /// The store could not be asked.
    async fn find(&self, by: SpendKey<'_>) -> Result<Vec<SpendRow>, Fault>;

    /// Rows after that number whose fate is not known, at most `limit`, in order.
    ///
    /// # Errors
    /// The store could not be asked.
    async fn open(&self, after: u64, limit: usize) -> Result<Vec<SpendRow>, Fault>;

    /// All rows after that number, at most `limit`, in order.
    ///
    /// # Errors
    /// The store could not be asked.
    async fn export(&self, after: u64, limit: usize) -> Result<Vec<SpendRow>, Fault>;

    /// What a counter stands at.
    ///
    /// # Errors
    /// The store could not be asked.
    async fn counted(&self, key: &str) -> Result<Amount, Fault>;
}

/// A store of budgets as plug-ins register it: `registrar.store::<MyStore, SharedBudget>("budgets/mine")`.
#[derive(Clone)]
pub struct SharedBudget(Arc<dyn BudgetStore>);

impl SharedBudget {
    /// Shares a store.
    pub fn new(store: impl BudgetStore + 'static) -> Self {
        Self(Arc::new(store))
    }

    /// The store.
    pub fn into_inner(self) -> Arc<dyn BudgetStore> {
        self.0
    }
}

impl fmt::Debug for SharedBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedBudget").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fate_of_every_state() {
        let spent = Fate::Spent { transaction: "tx".to_owned() };
        let table = [
            (SpendState::Reserved, [SpendStep::Keep, SpendStep::Write, SpendStep::Remove]),
            (SpendState::Signed, [SpendStep::Write, SpendStep::Write, SpendStep::GiveBack]),
            (SpendState::Refused, [SpendStep::Keep, SpendStep::Write, SpendStep::GiveBack]),
            (SpendState::Spent, [SpendStep::Keep; 3]),
            (SpendState::Released, [SpendStep::Keep, SpendStep::CountAgain, SpendStep::Keep]),
        ];
        for (state, steps) in table {
            let asked = [&Fate::Refused, &spent, &Fate::Released].map(|fate| state.step(fate));
            assert_eq!(asked, steps, "{state:?}");
        }
    }

    #[test]
    fn a_counter_stops_at_its_cap_and_at_the_largest_amount() {
        let tally = Tally::new("day", Amount::from(5)).cap(Some(Amount::from(12)));
        assert_eq!(tally.added_to(Amount::from(7)), Ok(Amount::from(12)));
        assert_eq!(tally.added_to(Amount::from(8)), Err(Amount::from(4)));
        assert_eq!(tally.added_to(Amount::from(50)), Err(Amount::ZERO));
        assert_eq!(Tally::new("total", Amount::from(1)).added_to(Amount::MAX), Err(Amount::ZERO));
    }
}
