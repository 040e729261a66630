//! [`Book`]: the ids a server knows, and the answers given under them. Bounded in number and in bytes.
//!
//! | the id is → | unknown | running | sent | answered |
//! |---|---|---|---|---|
//! | another request | – | conflict | conflict | conflict |
//! | the same request and payment | runs | busy | runs | the answer |
//! | the same request, another payment | runs | busy | conflict | the answer, once verified |
//!
//! An id that runs is sent from the moment its payment may have been settled; one that is not, for certain, is unknown
//! again when its request ends.

use crate::purchase::{Hash, Key, Purchase};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tollway_core::{Replay, Reply, SettleResponse};

/// What an entry takes beside its answer, roughly.
const ENTRY_BYTES: usize = 512;

/// How much is kept, and for how long.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) bytes: usize,
    pub(crate) entries: usize,
    pub(crate) seconds: u64,
}

/// What to do with a payment under an id.
#[derive(Debug)]
pub(crate) enum Looked {
    /// Serve it, and keep this until the request has ended.
    Run(Running),
    /// Answer it as before.
    Answer(Box<Replay>),
    /// The id is taken for something else.
    OtherRequest,
    /// The id is taken by a payment that may have been settled.
    OtherPayment,
    /// Its first request is still running.
    Busy,
    /// There is no room, since too many requests run.
    Full,
}

#[derive(Debug)]
struct Entry {
    purchase: Purchase,
    state: State,
    /// Who runs it: a request of before changes nothing.
    turn: u64,
    /// Its place in `Inner::ages`, once it does not run.
    age: Option<(u64, u64)>,
    bytes: usize,
}

#[derive(Debug)]
enum State {
    Running { sent: bool },
    Sent,
    Answered(Arc<(Reply, SettleResponse)>),
}

#[derive(Debug, Default)]
struct Inner {
    entries: HashMap<Key, Entry>,
    /// What may be forgotten, and when; the oldest first.
    ages: BTreeMap<(u64, u64), Key>,
    bytes: usize,
    turns: u64,
}

#[derive(Debug)]
pub(crate) struct Book {
    inner: Mutex<Inner>,
    bounds: Bounds,
}

/// A request under an id. Dropped, it ends: the id is free again, unless its payment may have been settled.
#[derive(Debug)]
pub(crate) struct Running {
    book: Arc<Book>,
    key: Key,
    turn: u64,
    now: u64,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.book.ended(&self.key, self.turn, self.now);
    }
}

impl Inner {
    fn remove(&mut self, key: &Key) {
        if let Some(entry) = self.entries.remove(key) {
            self.bytes = self.bytes.saturating_sub(entry.bytes);
            if let Some(age) = entry.age {
                self.ages.remove(&age);
            }
        }
    }

    /// Sets when an entry may be forgotten, as the newest of that time.
    fn age(&mut self, key: &Key, until: u64) {
        self.turns = self.turns.saturating_add(1);
        let place = (until, self.turns);
        if let Some(entry) = self.entries.get_mut(key) {
            if let Some(before) = entry.age.replace(place) {
                self.ages.remove(&before);
            }
            self.ages.insert(place, *key);
        }
    }

    /// Forgets what is out of date, and the oldest of what is too much.
    fn make_room(&mut self, bounds: &Bounds, now: u64) {
        while let Some((&(until, _), &key)) = self.ages.first_key_value()
            && (until < now || self.bytes > bounds.bytes || self.entries.len() > bounds.entries)
        {
            self.remove(&key);
        }
    }
}

impl Book {
    pub(crate) fn new(bounds: Bounds) -> Arc<Self> {
        Arc::new(Self { inner: Mutex::default(), bounds })
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // Nothing in here panics between two changes that belong together.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn look(self: &Arc<Self>, key: Key, purchase: Purchase, now: u64) -> Looked {
        let mut inner = self.inner();
        inner.make_room(&self.bounds, now);
        if let Some(entry) = inner.entries.get(&key) {
            let same = entry.purchase.payment == purchase.payment;
            match &entry.state {
                _ if entry.purchase.fingerprint != purchase.fingerprint => return Looked::OtherRequest,
                State::Running { .. } => return Looked::Busy,
                State::Sent if !same => return Looked::OtherPayment,
                State::Sent => {}
                State::Answered(answer) => {
                    let (reply, receipt) = (**answer).clone();
                    return Looked::Answer(Box::new(Replay::new(reply, receipt).proven(same)));
                }
            }
        }
        // Served again only because its payment may have been settled: it stays so.
        let sent = inner.entries.contains_key(&key);
        inner.remove(&key);
        if inner.entries.len() >= self.bounds.entries {
            match inner.ages.first_key_value() {
                Some((_, &oldest)) => inner.remove(&oldest),
                None => return Looked::Full,
            }
        }
        inner.turns = inner.turns.saturating_add(1);
        let turn = inner.turns;
        inner.bytes = inner.bytes.saturating_add(ENTRY_BYTES);
        let state = State::Running { sent };
        inner.entries.insert(key, Entry { purchase, state, turn, age: None, bytes: ENTRY_BYTES });
        inner.make_room(&self.bounds, now);
        Looked::Run(Running { book: self.clone(), key, turn, now })
    }

    /// Whether the payment that runs may have been settled from now on.
    pub(crate) fn sent(&self, key: &Key, payment: &Hash, sent: bool) {
        if let Some(entry) = self.inner().entries.get_mut(key)
            && entry.purchase.payment == *payment
            && let State::Running { .. } = entry.state
        {
            entry.state = State::Running { sent };
        }
    }

    /// Keeps the answer to the payment that runs.
    pub(crate) fn answered(&self, key: &Key, payment: &Hash, reply: &Reply, receipt: &SettleResponse, now: u64) {
        let mut inner = self.inner();
        let length = |(name, value): &(String, String)| name.len().saturating_add(value.len());
        let headers = reply.attach.iter().map(length).fold(0, usize::saturating_add);
        let bytes = reply.body.len().saturating_add(headers);
        let Some(entry) = inner.entries.get_mut(key).filter(|entry| entry.purchase.payment == *payment) else { return };
        if !matches!(entry.state, State::Running { .. }) {
            return;
        }
        entry.state = State::Answered(Arc::new((reply.clone(), receipt.clone())));
        entry.bytes = entry.bytes.saturating_add(bytes);
        inner.bytes = inner.bytes.saturating_add(bytes);
        inner.age(key, now.saturating_add(self.bounds.seconds));
        inner.make_room(&self.bounds, now);
    }

    fn ended(&self, key: &Key, turn: u64, now: u64) {
        let mut inner = self.inner();
        let Some(entry) = inner.entries.get_mut(key).filter(|entry| entry.turn == turn) else { return };
        match entry.state {
            State::Running { sent: true } => {
                entry.state = State::Sent;
                inner.age(key, now.saturating_add(self.bounds.seconds));
            }
            State::Running { sent: false } => inner.remove(key),
            _ => {}
        }
    }

    /// How much there is: entries and bytes.
    #[cfg(test)]
    fn size(&self) -> (usize, usize) {
        let inner = self.inner();
        (inner.entries.len(), inner.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tollway_core::{AccountId, NetworkId, Paid, PaymentPayload, PaymentRequirements};
    use tollway_testkit::{FakeRequest, fixtures};

    fn key(name: u8) -> Key {
        let network: NetworkId = "fake:book".parse().unwrap();
        let offer: PaymentRequirements = fixtures::offer("fake:book");
        let raw = PaymentPayload::new(offer.clone(), serde_json::json!({}));
        let (request, payer) = (FakeRequest::get("/"), AccountId::new(network, "alice"));
        Key::new(&Paid::new(&request, "GET /", &offer, &raw, &payer), &format!("id-number-{name:08}"))
    }

    fn purchase(request: u8, payment: u8) -> Purchase {
        Purchase { fingerprint: [request; 32], payment: [payment; 32] }
    }

    fn answer(book: &Book, name: u8, payment: u8, bytes: usize, now: u64) {
        let receipt = SettleResponse::settled("fake:book".parse().unwrap(), "0xabc", None);
        book.answered(&key(name), &[payment; 32], &Reply::json(200, vec![b'x'; bytes]), &receipt, now);
    }

    const BOUNDS: Bounds = Bounds { bytes: 10_000, entries: 8, seconds: 100 };

    #[test]
    fn the_table() {
        let book = Book::new(BOUNDS);
        let Looked::Run(running) = book.look(key(1), purchase(1, 1), 0) else { panic!("an unknown id runs") };
        assert!(matches!(book.look(key(1), purchase(1, 1), 0), Looked::Busy));
        assert!(matches!(book.look(key(1), purchase(1, 2), 0), Looked::Busy));
        assert!(matches!(book.look(key(1), purchase(2, 1), 0), Looked::OtherRequest));
        drop(running);
        assert_eq!(book.size(), (0, 0), "nothing was sent");

        let Looked::Run(running) = book.look(key(1), purchase(1, 1), 0) else { panic!() };
        book.sent(&key(1), &[1; 32], true);
        drop(running);
        assert!(matches!(book.look(key(1), purchase(2, 1), 0), Looked::OtherRequest));
        assert!(matches!(book.look(key(1), purchase(1, 2), 0), Looked::OtherPayment));
        let Looked::Run(running) = book.look(key(1), purchase(1, 1), 0) else { panic!("the same payment runs") };
        drop(running);
        assert!(matches!(book.look(key(1), purchase(1, 2), 0), Looked::OtherPayment), "it stays sent");

        let Looked::Run(running) = book.look(key(1), purchase(1, 1), 0) else { panic!() };
        answer(&book, 1, 1, 10, 0);
        drop(running);
        assert!(matches!(book.look(key(1), purchase(2, 1), 0), Looked::OtherRequest));
        assert!(matches!(book.look(key(1), purchase(1, 1), 0), Looked::Answer(replay) if replay.proven));
        assert!(matches!(book.look(key(1), purchase(1, 2), 0), Looked::Answer(replay) if !replay.proven));
        assert!(matches!(book.look(key(1), purchase(1, 1), 101), Looked::Run(_)), "forgotten by then");
    }

    #[test]
    fn a_payment_that_was_not_settled_leaves_the_id_free() {
        let book = Book::new(BOUNDS);
        let Looked::Run(running) = book.look(key(1), purchase(1, 1), 0) else { panic!() };
        book.sent(&key(1), &[1; 32], true);
        book.sent(&key(1), &[1; 32], false);
        drop(running);
        assert!(matches!(book.look(key(1), purchase(2, 2), 0), Looked::Run(_)));
    }

    #[test]
    fn requests_that_run_are_never_forgotten() {
        let book = Book::new(BOUNDS);
        let running: Vec<_> = (0..8).map(|name| book.look(key(name), purchase(1, 1), 0)).collect();
        assert!(running.iter().all(|looked| matches!(looked, Looked::Run(_))));
        assert!(matches!(book.look(key(8), purchase(1, 1), 1_000_000), Looked::Full));
        drop(running);
        assert!(matches!(book.look(key(8), purchase(1, 1), 0), Looked::Run(_)));
    }

    proptest! {
        /// Whatever happens, memory is bounded, and bytes are counted right.
        #[test]
        fn memory_is_bounded(steps in prop::collection::vec((0u8..20, 0u8..3, 0usize..3000, 0u8..4), 1..200)) {
            let book = Book::new(BOUNDS);
            let mut running = Vec::new();
            for (now, (name, payment, bytes, what)) in steps.into_iter().enumerate() {
                let now = now as u64 * 3;
                if let Looked::Run(guard) = book.look(key(name), purchase(1, payment), now) {
                    match what {
                        0 => answer(&book, name, payment, bytes, now),
                        1 => book.sent(&key(name), &[payment; 32], true),
                        2 => running.push(guard),
                        _ => {}
                    }
                }
                if running.len() > 4 {
                    running.remove(0);
                }
                let (entries, size) = book.size();
                prop_assert!(entries <= BOUNDS.entries && size <= BOUNDS.bytes, "{entries} {size}");
            }
        }
    }
}
