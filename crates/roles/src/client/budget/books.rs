//! [`Books`]: a payment is reserved before it is signed, written down before it is sent, and presented again, as it
//! is, until its fate is known.

use super::super::{Candidate, Engine, PayError, PaymentClient, Purchase};
use super::{Budget, DAY};
use crate::random;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tollway_core::{
    BudgetStore, Clock, Failure, Fate, Fault, PaymentPayload, PaymentRequired, PaymentRequirements, Reserved,
    SettleResponse, SignedSpend, Spend, SpendKey, SpendRow, SpendState, Standing, codes,
};

/// Seconds after which a reservation is given up that nothing was signed for.
const LEASE: u64 = 900;
/// Seconds this computer's clock may be ahead of a chain's, where the chain cannot be asked.
const GRACE: u64 = 600;
/// Seconds between two looks at what is open.
const ROUND: u64 = 60;
/// Most payments asked about in one look.
const MAX_ASKED: usize = 64;
/// Rows read at a time.
const PAGE: usize = 256;
/// Longest wait for a look that a refused payment makes.
const LOOK_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest name of a transaction that is kept.
const MAX_TRANSACTION: usize = 256;

/// A request that is to be paid for: what makes two purchases the same.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Errand<'a> {
    /// Scheme, host and port of the request, whatever the challenge says.
    pub origin: &'a str,
    /// The verb; empty on transports without.
    pub method: &'a str,
    /// The whole URL.
    pub url: &'a str,
    /// The body.
    pub body: &'a [u8],
}

impl<'a> Errand<'a> {
    /// A request without a body.
    pub fn new(origin: &'a str, method: &'a str, url: &'a str) -> Self {
        Self { origin, method, url, body: &[] }
    }

    /// Sets the body.
    pub fn body(mut self, body: &'a [u8]) -> Self {
        self.body = body;
        self
    }

    fn digest(&self, agent: &str) -> String {
        let mut hash = Sha256::new();
        for part in [agent.as_bytes(), self.method.as_bytes(), self.url.as_bytes(), self.body] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        hex(&hash.finalize())
    }
}

/// A payment on its way. While it is held, no other call of this client presents it.
#[non_exhaustive]
pub struct Paying {
    /// The payment.
    pub payment: PaymentPayload,
    /// Whether it was made for an earlier request, whose answer was lost.
    pub again: bool,
    /// `None` where another call has it, too: whoever presents a payment by hand may do so at any time.
    _flight: Option<Flight>,
}

impl fmt::Debug for Paying {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the payment: it is good for money until it is settled.
        f.debug_struct("Paying").field("again", &self.again).finish_non_exhaustive()
    }
}

/// The digests of payments that calls of this client are waiting for an answer to, and whether it is their first.
type Flights = Arc<Mutex<HashMap<String, bool>>>;

/// Keeps a payment to one call. A call that is given up ends it.
struct Flight {
    flights: Flights,
    digest: String,
}

impl Drop for Flight {
    fn drop(&mut self) {
        lock(&self.flights).remove(&self.digest);
    }
}

fn lock(flights: &Flights) -> MutexGuard<'_, HashMap<String, bool>> {
    // One insertion or removal cannot leave a map half changed.
    flights.lock().unwrap_or_else(PoisonError::into_inner)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A digest of what was signed.
fn payment_digest(payment: &PaymentPayload) -> String {
    hex(&Sha256::digest(payment.payload.to_string()))
}

/// A reservation that is about to be signed.
pub(in super::super) struct Reservation {
    id: String,
    offer: PaymentRequirements,
    at: u64,
}

/// A client's books, with its budget if it has one.
pub(in super::super) struct Books {
    store: Arc<dyn BudgetStore>,
    budget: Option<Arc<Budget>>,
    agent: String,
    clock: Arc<dyn Clock>,
    flights: Flights,
    /// When open payments were looked at last, in Unix seconds.
    looked: AtomicU64,
    /// The row that was looked at last: the next look goes on from there, so that none waits for ever.
    cursor: AtomicU64,
}

impl Books {
    pub(in super::super) fn new(
        store: Arc<dyn BudgetStore>,
        budget: Option<Arc<Budget>>,
        agent: Option<String>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let agent = agent.unwrap_or_default();
        Self {
            store,
            budget,
            agent,
            clock,
            flights: Flights::default(),
            looked: AtomicU64::new(0),
            cursor: AtomicU64::new(0),
        }
    }

    pub(in super::super) fn store(&self) -> &Arc<dyn BudgetStore> {
        &self.store
    }

    /// Keeps a payment to this call, unless another has it.
    fn board(&self, digest: String, first: bool) -> Option<Flight> {
        match lock(&self.flights).entry(digest.clone()) {
            Entry::Occupied(_) => return None,
            Entry::Vacant(place) => place.insert(first),
        };
        Some(Flight { flights: self.flights.clone(), digest })
    }

    /// Whether it is time to look at open payments again; then somebody has to.
    fn is_due(&self, now: u64, seconds: u64) -> bool {
        let looked = self.looked.load(Ordering::Relaxed);
        now >= looked.saturating_add(seconds)
            && self.looked.compare_exchange(looked, now, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    async fn resolve(&self, id: &str, fate: &Fate) -> Result<(), Fault> {
        self.store.resolve(id, fate, self.clock.now()).await
    }

    /// What became of a payment, written where it is known. What cannot be written stays open, and counts.
    pub(in super::super) async fn answered(
        &self,
        payment: &PaymentPayload,
        receipt: Option<&SettleResponse>,
        challenge: Option<&PaymentRequired>,
    ) {
        let first = lock(&self.flights).get(&payment_digest(payment)).copied().unwrap_or(true);
        let fate = match (receipt, challenge) {
            (Some(receipt), _) => fate(receipt, first),
            // The server says that nothing was paid. A payment that was lost before may have been, all the same.
            (None, Some(_)) if first => Some(Fate::Refused),
            _ => None,
        };
        if let Some(fate) = fate {
            self.write(payment, &fate).await;
        }
    }

    pub(in super::super) async fn write(&self, payment: &PaymentPayload, fate: &Fate) {
        let written = async {
            let rows = self.store.find(SpendKey::Payment(&payment_digest(payment))).await?;
            for row in &rows {
                self.resolve(&row.spend.id, fate).await?;
            }
            Ok::<(), Fault>(())
        };
        if let Err(why) = written.await {
            tracing::error!(%why, "what became of a payment could not be written; it stays open and counts");
        }
    }

    /// Gives a reservation back, of which nothing was ever given out.
    pub(in super::super) async fn give_back(&self, reservation: &Reservation) {
        if let Err(why) = self.resolve(&reservation.id, &Fate::Released).await {
            tracing::error!(%why, "a reservation could not be given back; it counts until it is given up");
        }
    }

    /// Writes a payment down, after which it may be sent.
    pub(in super::super) async fn sign(
        &self,
        reservation: &Reservation,
        payment: &PaymentPayload,
        dead_after: Option<u64>,
    ) -> Result<(), PayError> {
        let timeless = || reservation.at.saturating_add(reservation.offer.max_timeout_seconds.get());
        let dead_after = dead_after.unwrap_or_else(timeless);
        let signed = SignedSpend::new(payment.clone(), payment_digest(payment), dead_after);
        self.store.sign(&reservation.id, &signed, self.clock.now()).await.map_err(PayError::Books)
    }

    pub(in super::super) fn errand(&self, errand: &Errand<'_>) -> String {
        errand.digest(&self.agent)
    }

    /// A payment that a call presents now.
    pub(in super::super) fn depart(&self, payment: PaymentPayload, first: bool) -> Paying {
        let flight = self.board(payment_digest(&payment), first);
        Paying { payment, again: !first, _flight: flight }
    }
}

/// What a receipt says about a payment's fate, if it says anything.
fn fate(receipt: &SettleResponse, first: bool) -> Option<Fate> {
    let transaction: String =
        receipt.transaction.chars().filter(|c| c.is_ascii_graphic()).take(MAX_TRANSACTION).collect();
    match &receipt.error_reason {
        _ if receipt.success => Some(Fate::Spent { transaction }),
        Some(code) if *code == codes::DUPLICATE_SETTLEMENT => {
            (!transaction.is_empty()).then_some(Fate::Spent { transaction })
        }
        Some(code) if *code == codes::SETTLEMENT_PENDING => None,
        _ => first.then_some(Fate::Refused),
    }
}

impl Engine {
    /// What the chain says about a payment.
    async fn standing(&self, payment: &PaymentPayload) -> Result<Standing, Failure> {
        let offer = &payment.accepted;
        let fault = |why: String| Fault::new(tollway_core::FaultKind::Configuration, why);
        let side = async {
            let network = self.parts.network(&offer.network).await?;
            let cx = self.parts.context(&network).await?;
            let section = self.parts.shared.scheme(&offer.scheme, &offer.network);
            Ok::<_, crate::SetupError>(self.parts.registry.client(&offer.scheme, &offer.network, section, cx).await?)
        };
        let side = side.await.map_err(|why| fault(why.to_string()))?;
        side.standing(payment, offer).await
    }
}

impl PaymentClient {
    fn books(&self) -> &Books {
        &self.engine.books
    }

    /// Reserves what a payment may cost, after the application has approved it.
    pub(in super::super) async fn reserve(
        &self,
        purchase: &Purchase<'_>,
        errand: Option<&Errand<'_>>,
        offer: &PaymentRequirements,
    ) -> Result<Reservation, PayError> {
        let books = self.books();
        let network = self.engine.parts.network(&offer.network).await;
        let network = network.map_err(|why| PayError::Refused(why.to_string()))?;
        let candidate = Candidate::new(offer.clone(), network);
        if let Some(budget) = &books.budget {
            budget.approve(purchase, &candidate).await.map_err(PayError::Refused)?;
        }
        let at = books.clock.now();
        if books.is_due(at, ROUND)
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            let client = self.clone();
            runtime.spawn(async move { client.look_at_open().await });
        }
        let origin = crate::origin::normalize(purchase.origin).unwrap_or_else(|| purchase.origin.to_owned());
        let counters = match &books.budget {
            Some(budget) => budget.counters(at, &origin, &candidate).map_err(PayError::Budget)?,
            None => Vec::new(),
        };
        let resource = errand.map_or(purchase.resource.url.as_str(), |errand| errand.url);
        let resource = resource.split(['?', '#']).next().unwrap_or_default();
        let spend = Spend::new(random::token().map_err(PayError::Books)?, at, origin, offer.clone())
            .buying(errand.map(|errand| books.errand(errand)), resource)
            .counted(counters.iter().map(|counter| counter.tally.clone()).collect());
        let mut looked = false;
        loop {
            match books.store.reserve(&spend).await.map_err(PayError::Books)? {
                Reserved::Yes => return Ok(Reservation { id: spend.id, offer: offer.clone(), at }),
                // What died meanwhile counts no more.
                Reserved::Over { .. } if !looked && books.is_due(at, 1) => {
                    looked = true;
                    let _ = tokio::time::timeout(LOOK_TIMEOUT, self.look_at_open()).await;
                }
                Reserved::Over { key, left } => {
                    let over = counters.iter().find(|counter| counter.tally.key == key);
                    return Err(PayError::Budget(over.map_or(key, |counter| counter.over(left))));
                }
            }
        }
    }

    /// The payment that was made for the same purchase, and whose answer was lost. It is presented again until its fate
    /// is known; only one that is proven dead is followed by another.
    pub(in super::super) async fn resume(
        &self,
        required: &PaymentRequired,
        errand: &Errand<'_>,
    ) -> Result<Option<Paying>, PayError> {
        let books = self.books();
        let rows = books.store.find(SpendKey::Purchase(&books.errand(errand))).await.map_err(PayError::Books)?;
        for row in rows {
            let Some(SignedSpend { payment, digest, dead_after, .. }) = row.signed else { continue };
            // Another call is waiting for its answer: this one is another purchase.
            let Some(flight) = books.board(digest, false) else { continue };
            let now = books.clock.now();
            let standing = match now > dead_after {
                true => self.engine.standing(&payment).await.unwrap_or_else(|why| {
                    tracing::warn!(%why, "a chain cannot be asked what became of a payment; presenting it again");
                    Standing::Open
                }),
                false => Standing::Open,
            };
            let fate = match standing {
                Standing::Dead => Fate::Released,
                Standing::Spent => Fate::Spent { transaction: String::new() },
                Standing::Unknown if now > dead_after.saturating_add(GRACE) => {
                    Fate::Spent { transaction: String::new() }
                }
                _ if is_offered(required, &payment.accepted) => {
                    return Ok(Some(Paying { payment, again: true, _flight: Some(flight) }));
                }
                _ => return Err(PayError::Unsettled { until: dead_after }),
            };
            books.resolve(&row.spend.id, &fate).await.map_err(PayError::Books)?;
            if let Fate::Spent { .. } = fate {
                return Err(PayError::PaidBefore { proven: standing == Standing::Spent });
            }
        }
        Ok(None)
    }

    /// Asks chains about payments that can have died, and lets go of reservations nothing was signed for.
    ///
    /// # Errors
    /// The books could not be read or written.
    pub async fn reconcile(&self) -> Result<(), Fault> {
        let books = self.books();
        let start = books.cursor.load(Ordering::Relaxed);
        let (mut after, mut asked, mut around) = (start, 0usize, start == 0);
        loop {
            let rows = books.store.open(after, PAGE).await?;
            for row in rows.iter().filter(|row| !around || start == 0 || row.number <= start) {
                if asked >= MAX_ASKED {
                    return Ok(());
                }
                asked = asked.saturating_add(usize::from(self.look_at(row).await?));
                books.cursor.store(row.number, Ordering::Relaxed);
            }
            match rows.last() {
                Some(last) if rows.len() == PAGE && !(around && start > 0 && last.number >= start) => {
                    after = last.number
                }
                _ if around => break,
                _ => (after, around) = (0, true),
            }
        }
        books.cursor.store(0, Ordering::Relaxed);
        Ok(())
    }

    async fn look_at_open(&self) {
        if let Err(why) = self.reconcile().await {
            tracing::warn!(%why, "open payments could not be looked at; they count until they are");
        }
    }

    /// Whether a chain was asked.
    async fn look_at(&self, row: &SpendRow) -> Result<bool, Fault> {
        let books = self.books();
        let now = books.clock.now();
        let Some(signed) = &row.signed else {
            if row.state == SpendState::Reserved && now > row.spend.at.saturating_add(LEASE) {
                books.resolve(&row.spend.id, &Fate::Released).await?;
            }
            return Ok(false);
        };
        if now <= signed.dead_after || lock(&books.flights).contains_key(&signed.digest) {
            return Ok(false);
        }
        // Where nobody can tell, it counts for good: at once if the server refused it, else when nobody asks any more.
        let patience = if row.state == SpendState::Refused { GRACE } else { DAY };
        let fate = match self.engine.standing(&signed.payment).await {
            Ok(Standing::Dead) => Some(Fate::Released),
            Ok(Standing::Spent) => Some(Fate::Spent { transaction: String::new() }),
            Ok(Standing::Unknown) if now > signed.dead_after.saturating_add(patience) => {
                Some(Fate::Spent { transaction: String::new() })
            }
            Ok(_) => None,
            Err(why) => {
                tracing::debug!(%why, "a chain cannot be asked what became of a payment; it counts until it can");
                None
            }
        };
        if let Some(fate) = fate {
            books.resolve(&row.spend.id, &fate).await?;
        }
        Ok(true)
    }
}

/// Whether a challenge makes an offer still. Hints in `extra` differ from challenge to challenge.
fn is_offered(required: &PaymentRequired, offer: &PaymentRequirements) -> bool {
    required.accepts.iter().any(|other| {
        other.scheme == offer.scheme
            && other.network == offer.network
            && other.asset == offer.asset
            && other.amount == offer.amount
            && other.pay_to == offer.pay_to
    })
}
