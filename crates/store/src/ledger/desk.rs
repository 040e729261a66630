//! [`Desk`]: the rows of one transaction, read, decided on in memory and then written. What may happen to a row is core's
//! [`ClaimState`] to say; here is what it means for the tables, once for every database.

use super::ids::{self, Id};
use super::op::{Answer, Holder, Op, What};
use super::record::{Entry, clamp};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use tollway_core::{
    ClaimRow, ClaimState, Fault, FaultKind, Found, Hold, NetworkId, Outcome, Scope, SignedTx, Step, Taken, Ticket,
};

/// Whether a [`Place`] differs from what the store has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    Same,
    Changed,
    /// The row that was there is gone; another may stand in its place.
    Replaced,
}

#[derive(Debug)]
struct Place {
    /// Whether the store has a row here.
    stored: bool,
    entry: Option<Entry>,
    change: Change,
}

/// A signer, and the newest epoch heard of.
#[derive(Debug, Clone, Default)]
pub(crate) struct Held {
    pub(crate) holder: Option<Holder>,
    pub(crate) epoch: u64,
    /// Whether the store has it.
    #[cfg_attr(not(feature = "postgres"), allow(dead_code, reason = "SQLite replaces rows without asking"))]
    pub(crate) stored: bool,
    changed: bool,
}

impl Held {
    pub(crate) fn stored(holder: Option<Holder>, epoch: i64) -> Self {
        Self { holder, epoch: epoch.unsigned_abs(), stored: true, changed: false }
    }
}

/// A transaction to be written, with the claims it carries.
#[derive(Debug)]
pub(crate) struct Attempt {
    pub(crate) tx: SignedTx,
    pub(crate) claims: BTreeSet<Id>,
}

#[derive(Debug)]
pub(crate) struct Desk {
    now: u64,
    /// Holders that may still be at work.
    alive: HashSet<Holder>,
    claims: BTreeMap<Id, Place>,
    /// What callers' tokens were used for.
    tokens: HashMap<Id, Id>,
    signers: BTreeMap<(NetworkId, String), Held>,
    /// Claims whose transactions wait for them no longer.
    ended: BTreeSet<Id>,
    /// By slot and hash.
    attempts: BTreeMap<(Id, String), Attempt>,
    unsigned: BTreeMap<(Id, String), BTreeSet<Id>>,
}

/// What has to be written.
#[derive(Debug)]
pub(crate) struct Changes<'a> {
    pub(crate) removed: Vec<Id>,
    pub(crate) inserted: Vec<(Id, &'a Entry)>,
    pub(crate) updated: Vec<(Id, &'a Entry)>,
    pub(crate) ended: Vec<Id>,
    pub(crate) attempts: Vec<(Id, &'a Attempt)>,
    /// Slot, hash and claims of transactions that are taken back.
    pub(crate) unsigned: Vec<(Id, &'a str, &'a BTreeSet<Id>)>,
    pub(crate) signers: Vec<(&'a NetworkId, &'a str, &'a Held)>,
}

impl Desk {
    pub(crate) fn new(now: u64) -> Self {
        Self {
            now,
            alive: HashSet::new(),
            claims: BTreeMap::new(),
            tokens: HashMap::new(),
            signers: BTreeMap::new(),
            ended: BTreeSet::new(),
            attempts: BTreeMap::new(),
            unsigned: BTreeMap::new(),
        }
    }

    /// Lays a row on the desk.
    pub(crate) fn put(&mut self, id: Id, entry: Entry) {
        self.claims.insert(id, Place { stored: true, entry: Some(entry), change: Change::Same });
    }

    pub(crate) fn put_token(&mut self, token: Id, claim: Id) {
        self.tokens.insert(token, claim);
    }

    pub(crate) fn put_signer(&mut self, network: NetworkId, signer: String, held: Held) {
        self.signers.insert((network, signer), held);
    }

    pub(crate) fn put_alive(&mut self, holder: Holder) {
        self.alive.insert(holder);
    }

    /// Everybody of whom decisions ask whether they live.
    #[cfg(feature = "postgres")]
    pub(crate) fn holders(&self) -> BTreeSet<Holder> {
        let entries = self.claims.values().filter_map(|place| place.entry.as_ref());
        let open = entries.filter(|entry| entry.outcome.is_none()).map(|entry| entry.holder);
        open.chain(self.signers.values().filter_map(|held| held.holder)).collect()
    }

    /// Decides one operation. A fault is of this operation alone, and changes nothing.
    pub(crate) fn decide(&mut self, op: &mut Op) -> Result<Answer, Fault> {
        let me = op.holder;
        match &mut op.what {
            What::Take { row, turn } => Ok(Answer::Taken(self.take(row, *turn, me))),
            What::Retake { row, turn, before } => {
                Ok(Answer::Retaken(self.retake(row, *turn, before, me).map(Box::new)))
            }
            What::Sign { tx, claims } => self.sign(tx, claims).map(|()| Answer::Done),
            What::Unsign { tx, claims } => {
                self.unsign(tx, claims);
                Ok(Answer::Done)
            }
            What::Resolve { scope, outcomes } => {
                for (ticket, outcome) in outcomes {
                    self.resolve(*scope, ticket, outcome);
                }
                Ok(Answer::Done)
            }
            What::Hold { network, signer } => Ok(Answer::Held(self.hold(network, signer, me))),
            What::HandOver { ticket, network, signer, turn } => {
                Ok(Answer::HandedOver(self.hand_over(ticket, network, signer, *turn, me)))
            }
            What::Give { tickets, given } => Ok(Answer::Given(self.give(tickets, given, me))),
            What::HandBack { tickets } => {
                self.hand_back(tickets, me);
                Ok(Answer::Done)
            }
        }
    }

    fn entry(&self, id: &Id) -> Option<&Entry> {
        self.claims.get(id).and_then(|place| place.entry.as_ref())
    }

    /// A row that is about to change.
    fn entry_mut(&mut self, id: &Id) -> Option<&mut Entry> {
        let place = self.claims.get_mut(id)?;
        if place.change == Change::Same {
            place.change = Change::Changed;
        }
        place.entry.as_mut()
    }

    fn take(&mut self, row: &ClaimRow, turn: u64, me: Holder) -> Taken {
        let id = ids::claim(row.scope, &row.claim.key);
        if let Some(entry) = self.entry(&id) {
            if entry.row.turn == turn {
                return Taken::New(entry.row.ticket());
            }
            if let Some(taken) = entry.state(self.alive.contains(&entry.holder)).take(row) {
                return taken;
            }
        }
        let token = ids::token(row.scope, &row.caller);
        if token.and_then(|token| self.tokens.get(&token)).is_some_and(|claim| *claim != id) {
            return Taken::TokenReused;
        }
        self.remove(id);
        if let Some(token) = token {
            self.tokens.insert(token, id);
        }
        let row = row.clone().with_turn(turn);
        let ticket = row.ticket();
        let entry = Entry { row, outcome: None, holder: me, signed: false, handed: false, due: None };
        self.claims.entry(id).or_insert(Place { stored: false, entry: None, change: Change::Replaced }).entry =
            Some(entry);
        Taken::New(ticket)
    }

    fn remove(&mut self, id: Id) {
        let Some(place) = self.claims.get_mut(&id) else { return };
        place.change = Change::Replaced;
        let Some(entry) = place.entry.take() else { return };
        if let Some(token) = ids::token(entry.row.scope, &entry.row.caller) {
            self.tokens.remove(&token);
        }
        if entry.signed {
            self.end(id);
        }
    }

    /// The transactions that carry a claim no longer wait for it.
    fn end(&mut self, id: Id) {
        self.ended.insert(id);
        for attempt in self.attempts.values_mut() {
            attempt.claims.remove(&id);
        }
    }

    fn retake(
        &mut self,
        row: &ClaimRow,
        turn: u64,
        before: &mut Option<Outcome>,
        me: Holder,
    ) -> Option<Found<SignedTx>> {
        let id = ids::claim(row.scope, &row.claim.key);
        let entry = self.entry(&id)?;
        if entry.row.turn == turn {
            return Some(Found::new(entry.row.clone(), before.clone(), None));
        }
        let outcome = entry.state(self.alive.contains(&entry.holder)).retake(row)?;
        *before = Some(outcome.clone());
        let row = self.reopen(&id, turn, me)?;
        Some(Found::new(row, Some(outcome), None))
    }

    /// Opens a row again, for a holder.
    fn reopen(&mut self, id: &Id, turn: u64, holder: Holder) -> Option<ClaimRow> {
        let entry = self.entry_mut(id)?;
        entry.outcome = None;
        entry.due = None;
        entry.handed = false;
        entry.holder = holder;
        entry.row.turn = turn;
        Some(entry.row.clone())
    }

    fn resolve(&mut self, scope: Scope, ticket: &Ticket, outcome: &Outcome) {
        let id = ids::claim(scope, &ticket.key);
        let now = self.now;
        let Some(entry) = self.entry(&id) else { return };
        let state = entry.state(true);
        let due = state.forget_at(outcome, now).map(clamp);
        match state.resolve(ticket, outcome) {
            Step::Keep => {}
            Step::Remove => self.remove(id),
            Step::Write => {
                let waits = matches!(outcome, Outcome::Pending { .. } | Outcome::Included(_));
                let Some(entry) = self.entry_mut(&id) else { return };
                entry.outcome = Some(outcome.clone());
                entry.due = due;
                entry.handed = false;
                if !waits && std::mem::take(&mut entry.signed) {
                    self.end(id);
                }
            }
        }
    }

    fn sign(&mut self, tx: &SignedTx, claims: &[Ticket]) -> Result<(), Fault> {
        let mut carried = BTreeSet::new();
        for ticket in claims {
            let id = ids::claim(Scope::Facilitator, &ticket.key);
            let entry = self.entry(&id).ok_or_else(|| ClaimState::lost(ticket))?;
            entry.state(true).sign(ticket)?;
            carried.insert(id);
        }
        let (network, signer) = (&tx.slot.network, &tx.slot.signer);
        // Above that no column can hold it, and no store gives it out.
        super::record::exact(tx.slot.epoch, "the epoch")?;
        let held = self.signers.entry((network.clone(), signer.clone())).or_default();
        if tx.slot.epoch < held.epoch {
            let message = format!("{signer} on {network} has a newer holder; this one must stop");
            return Err(Fault::new(FaultKind::Internal, message));
        }
        held.changed |= tx.slot.epoch > held.epoch;
        held.epoch = tx.slot.epoch;
        for id in &carried {
            if let Some(entry) = self.entry_mut(id) {
                entry.signed = true;
                entry.due = None;
            }
        }
        if let Some(back) = self.unsigned.get_mut(&(ids::slot(tx), tx.hash.clone())) {
            back.retain(|id| !carried.contains(id));
        }
        if !carried.is_empty() {
            let attempt = self.attempts.entry((ids::slot(tx), tx.hash.clone()));
            attempt.or_insert_with(|| Attempt { tx: tx.clone(), claims: BTreeSet::new() }).claims.extend(carried);
        }
        Ok(())
    }

    fn unsign(&mut self, tx: &SignedTx, claims: &[Ticket]) {
        for ticket in claims {
            let id = ids::claim(Scope::Facilitator, &ticket.key);
            // Whoever has the row since then has looked at what was signed for it.
            if self.entry(&id).is_some_and(|entry| entry.row.turn == ticket.turn) {
                self.unsigned.entry((ids::slot(tx), tx.hash.clone())).or_default().insert(id);
            }
        }
    }

    /// Holds a signer that is free or was a dead holder's.
    fn hold(&mut self, network: &NetworkId, signer: &str, me: Holder) -> Hold {
        let key = (network.clone(), signer.to_owned());
        let other = self.signers.get(&key).and_then(|held| held.holder).filter(|other| *other != me);
        if other.is_some_and(|other| self.alive.contains(&other)) {
            return Hold::Theirs;
        }
        let held = self.signers.entry(key).or_default();
        if other.is_some() {
            held.epoch = held.epoch.saturating_add(1);
        }
        held.changed |= held.holder != Some(me);
        held.holder = Some(me);
        Hold::Ours { epoch: held.epoch }
    }

    fn hand_over(&mut self, ticket: &Ticket, network: &NetworkId, signer: &str, turn: u64, me: Holder) -> bool {
        let id = ids::claim(Scope::Facilitator, &ticket.key);
        let Some(entry) = self.entry(&id) else { return false };
        if entry.row.turn == turn {
            return true;
        }
        let ours = entry.row.turn == ticket.turn && entry.outcome.is_none() && !entry.signed;
        let Some(to) = self.signers.get(&(network.clone(), signer.to_owned())).and_then(|held| held.holder) else {
            return false;
        };
        if !ours || to == me || !self.alive.contains(&to) {
            return false;
        }
        self.reopen(&id, turn, to);
        self.entry_mut(&id).is_some_and(|entry| {
            entry.handed = true;
            true
        })
    }

    fn give(&mut self, tickets: &[Ticket], given: &mut Vec<Ticket>, me: Holder) -> Vec<ClaimRow> {
        let mut rows = Vec::new();
        for ticket in tickets {
            let id = ids::claim(Scope::Facilitator, &ticket.key);
            let before = given.contains(ticket);
            let ours =
                |entry: &&mut Entry| entry.row.turn == ticket.turn && entry.holder == me && (entry.handed || before);
            let Some(entry) = self.entry_mut(&id).filter(ours) else { continue };
            entry.handed = false;
            rows.push(entry.row.clone());
            if !before {
                given.push(ticket.clone());
            }
        }
        rows
    }

    fn hand_back(&mut self, tickets: &[Ticket], me: Holder) {
        for ticket in tickets {
            let id = ids::claim(Scope::Facilitator, &ticket.key);
            let untouched =
                |entry: &Entry| entry.row.turn == ticket.turn && entry.holder == me && entry.outcome.is_none();
            if self.entry(&id).is_some_and(untouched)
                && let Some(entry) = self.entry_mut(&id)
            {
                entry.handed = true;
            }
        }
    }

    /// Everything that was decided, in an order that makes writing it possible: what goes first makes room.
    pub(crate) fn changes(&self) -> Changes<'_> {
        let stored = |place: &Place| place.stored && place.change == Change::Replaced;
        let mut changes = Changes {
            removed: self.claims.iter().filter(|(_, place)| stored(place)).map(|(id, _)| *id).collect(),
            inserted: Vec::new(),
            updated: Vec::new(),
            ended: self.ended.iter().copied().collect(),
            attempts: Vec::new(),
            unsigned: Vec::new(),
            signers: Vec::new(),
        };
        for (id, place) in &self.claims {
            match (&place.entry, place.change) {
                (Some(entry), Change::Replaced) => changes.inserted.push((*id, entry)),
                (Some(entry), Change::Changed) => changes.updated.push((*id, entry)),
                _ => {}
            }
        }
        let carrying = self.attempts.iter().filter(|(_, attempt)| !attempt.claims.is_empty());
        changes.attempts = carrying.map(|((slot, _), attempt)| (*slot, attempt)).collect();
        changes.unsigned = self.unsigned.iter().map(|((slot, hash), claims)| (*slot, hash.as_str(), claims)).collect();
        let changed = self.signers.iter().filter(|(_, held)| held.changed);
        changes.signers = changed.map(|((network, signer), held)| (network, signer.as_str(), held)).collect();
        changes
    }
}
