//! [`Books`]: the two tables of the ledger in memory, and what is kept to find things in them.

use std::collections::{BTreeMap, BTreeSet, HashMap, btree_map};
use tollway_core::{
    Caller, ClaimKey, ClaimRow, ClaimState, Fault, FaultKind, NetworkId, OpenSlot, Outcome, Scope, SignedTx, Slot,
    Step, Ticket,
};

/// Rows looked at for expiry whenever one is taken: forgetting keeps pace with taking, and no call pays for all.
const SWEEP: usize = 4;

/// Who took a row. A number is never given out twice.
pub(super) type Holder = u64;

#[derive(Debug, Default)]
pub(super) struct Books {
    claims: HashMap<(Scope, ClaimKey), Entry>,
    /// What each caller's token was used for.
    tokens: HashMap<(Scope, String), ClaimKey>,
    /// When finished rows may be forgotten, oldest first.
    expiry: BTreeMap<(u64, u64), (Scope, ClaimKey)>,
    /// Every signed transaction that carries an open claim, oldest first.
    attempts: BTreeMap<u64, Attempt>,
    /// Rows handed to a holder who has not come for them yet.
    handed: BTreeSet<(Holder, ClaimKey)>,
    signers: HashMap<(NetworkId, String), Held>,
    holders: BTreeSet<Holder>,
    /// The last number given out, whatever for.
    count: u64,
}

#[derive(Debug)]
struct Entry {
    row: ClaimRow,
    outcome: Option<Outcome>,
    holder: Holder,
    /// The attempts that carry it.
    attempts: Vec<u64>,
    /// Its place in `Books::expiry`, once it is finished.
    due: Option<(u64, u64)>,
}

#[derive(Debug)]
struct Attempt {
    tx: SignedTx,
    claims: Vec<ClaimKey>,
}

/// A signer, and the newest epoch heard of.
#[derive(Debug, Default)]
struct Held {
    holder: Option<Holder>,
    epoch: u64,
}

impl Books {
    fn next(&mut self) -> u64 {
        self.count = self.count.wrapping_add(1);
        self.count
    }

    pub(super) fn len(&self) -> usize {
        self.claims.len()
    }

    pub(super) fn holders(&self) -> usize {
        self.holders.len()
    }

    pub(super) fn join(&mut self) -> Holder {
        let holder = self.next();
        self.holders.insert(holder);
        holder
    }

    pub(super) fn leave(&mut self, holder: Holder) {
        self.holders.remove(&holder);
    }

    fn state<'a>(&'a self, entry: &'a Entry) -> ClaimState<'a> {
        ClaimState::new(&entry.row, entry.outcome.as_ref())
            .signed(!entry.attempts.is_empty())
            .alive(self.holders.contains(&entry.holder))
    }

    pub(super) fn get(&self, scope: Scope, key: &ClaimKey) -> Option<ClaimState<'_>> {
        self.claims.get(&(scope, key.clone())).map(|entry| self.state(entry))
    }

    /// Whether a caller's token was used for another payment.
    pub(super) fn is_token_of_another(&self, row: &ClaimRow) -> bool {
        let Some(token) = row.caller.token() else { return false };
        self.tokens.get(&(row.scope, token.to_owned())).is_some_and(|key| *key != row.claim.key)
    }

    /// Puts a row in, in the place of one that is as good as gone.
    pub(super) fn insert(&mut self, row: &ClaimRow, holder: Holder) -> Ticket {
        let id = (row.scope, row.claim.key.clone());
        self.remove(&id);
        if let Some(token) = row.caller.token() {
            self.tokens.insert((row.scope, token.to_owned()), row.claim.key.clone());
        }
        let row = row.clone().with_turn(self.next());
        let ticket = row.ticket();
        self.claims.insert(id, Entry { row, outcome: None, holder, attempts: Vec::new(), due: None });
        ticket
    }

    fn remove(&mut self, id: &(Scope, ClaimKey)) {
        let Some(entry) = self.claims.remove(id) else { return };
        if let Some(place) = entry.due {
            self.expiry.remove(&place);
        }
        self.unhand(id, entry.holder);
        self.forget_token(id.0, &entry.row.caller);
        self.end_attempts(&entry.attempts, &id.1);
    }

    /// Whoever a row was handed to need not settle it any more. A server's row under the same key was handed to nobody.
    fn unhand(&mut self, (scope, key): &(Scope, ClaimKey), holder: Holder) {
        if *scope == Scope::Facilitator {
            self.handed.remove(&(holder, key.clone()));
        }
    }

    fn forget_token(&mut self, scope: Scope, caller: &Caller) {
        if let Some(token) = caller.token() {
            self.tokens.remove(&(scope, token.to_owned()));
        }
    }

    /// Its transactions wait for a claim no longer.
    fn end_attempts(&mut self, numbers: &[u64], key: &ClaimKey) {
        for number in numbers {
            if let btree_map::Entry::Occupied(mut attempt) = self.attempts.entry(*number) {
                attempt.get_mut().claims.retain(|claim| claim != key);
                if attempt.get().claims.is_empty() {
                    attempt.remove();
                }
            }
        }
    }

    /// Opens a row again, for another holder.
    pub(super) fn reopen(&mut self, scope: Scope, key: &ClaimKey, holder: Holder) -> Option<ClaimRow> {
        let turn = self.next();
        let id = (scope, key.clone());
        let before = self.claims.get(&id)?.holder;
        self.unhand(&id, before);
        let entry = self.claims.get_mut(&id)?;
        // Open again, and so not to be forgotten.
        if let Some(place) = entry.due.take() {
            self.expiry.remove(&place);
        }
        entry.outcome = None;
        entry.holder = holder;
        entry.row.turn = turn;
        Some(entry.row.clone())
    }

    pub(super) fn sweep(&mut self, now: u64) {
        for _ in 0..SWEEP {
            match self.expiry.first_key_value() {
                Some((due, id)) if due.0 <= now => {
                    let id = id.clone();
                    self.remove(&id);
                }
                _ => return,
            }
        }
    }

    pub(super) fn resolve(&mut self, scope: Scope, ticket: &Ticket, outcome: &Outcome, now: u64) {
        let id = (scope, ticket.key.clone());
        match self.claims.get(&id).map(|entry| self.state(entry).resolve(ticket, outcome)) {
            None | Some(Step::Keep) => {}
            Some(Step::Remove) => self.remove(&id),
            Some(Step::Write) => self.write(id, outcome, now),
        }
    }

    fn write(&mut self, id: (Scope, ClaimKey), outcome: &Outcome, now: u64) {
        let finished = self.next();
        let waits = matches!(outcome, Outcome::Pending { .. } | Outcome::Included(_));
        let forget_at = self.get(id.0, &id.1).and_then(|state| state.forget_at(outcome, now));
        let Some(entry) = self.claims.get_mut(&id) else { return };
        let ended = if waits { Vec::new() } else { std::mem::take(&mut entry.attempts) };
        entry.outcome = Some(outcome.clone());
        let holder = entry.holder;
        let place = forget_at.map(|at| (at, finished));
        let before = std::mem::replace(&mut entry.due, place);
        self.unhand(&id, holder);
        self.end_attempts(&ended, &id.1);
        if let Some(before) = before {
            self.expiry.remove(&before);
        }
        if let Some(place) = place {
            self.expiry.insert(place, id);
        }
    }

    pub(super) fn sign(&mut self, tx: &SignedTx, claims: &[Ticket]) -> Result<(), Fault> {
        for ticket in claims {
            let id = (Scope::Facilitator, ticket.key.clone());
            let entry = self.claims.get(&id).ok_or_else(|| ClaimState::lost(ticket))?;
            self.state(entry).sign(ticket)?;
        }
        let signer = self.signers.entry((tx.slot.network.clone(), tx.slot.signer.clone())).or_default();
        if tx.slot.epoch < signer.epoch {
            let message = format!("{} on {} has a newer holder; this one must stop", tx.slot.signer, tx.slot.network);
            return Err(Fault::new(FaultKind::Internal, message));
        }
        signer.epoch = tx.slot.epoch;
        if claims.is_empty() {
            return Ok(());
        }
        let number = self.next();
        for ticket in claims {
            if let Some(entry) = self.claims.get_mut(&(Scope::Facilitator, ticket.key.clone())) {
                entry.attempts.push(number);
            }
        }
        let claims = claims.iter().map(|ticket| ticket.key.clone()).collect();
        self.attempts.insert(number, Attempt { tx: tx.clone(), claims });
        Ok(())
    }

    /// The epoch of a signer that is this holder's, or now becomes so.
    pub(super) fn hold(&mut self, network: &NetworkId, signer: &str, holder: Holder) -> Option<u64> {
        let held = self.signers.entry((network.clone(), signer.to_owned())).or_default();
        match held.holder {
            Some(other) if other != holder && self.holders.contains(&other) => return None,
            Some(other) if other != holder => held.epoch = held.epoch.saturating_add(1),
            _ => {}
        }
        held.holder = Some(holder);
        Some(held.epoch)
    }

    pub(super) fn hand_over(&mut self, ticket: &Ticket, network: &NetworkId, signer: &str, from: Holder) -> bool {
        let Some(to) = self.signers.get(&(network.clone(), signer.to_owned())).and_then(|held| held.holder) else {
            return false;
        };
        let state = self.get(Scope::Facilitator, &ticket.key);
        let mine = state.is_some_and(|state| state.row.turn == ticket.turn && state.outcome.is_none() && !state.signed);
        if !mine || to == from || !self.holders.contains(&to) {
            return false;
        }
        self.reopen(Scope::Facilitator, &ticket.key, to);
        self.handed.insert((to, ticket.key.clone()))
    }

    pub(super) fn handed(&mut self, holder: Holder, limit: usize) -> Vec<ClaimRow> {
        let mine = |(to, _): &&(Holder, ClaimKey)| *to == holder;
        let first: Vec<_> = self.handed.iter().filter(mine).take(limit).cloned().collect();
        first
            .into_iter()
            .filter_map(|place| {
                self.handed.remove(&place);
                self.claims.get(&(Scope::Facilitator, place.1)).map(|entry| entry.row.clone())
            })
            .collect()
    }

    /// The slot that carries a claim, with all its attempts.
    pub(super) fn slot_of(&self, scope: Scope, key: &ClaimKey) -> Option<OpenSlot<SignedTx>> {
        let entry = self.claims.get(&(scope, key.clone()))?;
        let ours = &self.attempts.get(entry.attempts.last()?)?.tx;
        let same =
            |tx: &SignedTx| tx.hash == ours.hash || place(&ours.slot).is_some() && place(&tx.slot) == place(&ours.slot);
        let attempts: Vec<_> = self.attempts.values().filter(|attempt| same(&attempt.tx)).collect();
        let mut slot = OpenSlot::empty();
        attempts.into_iter().for_each(|attempt| self.add(&mut slot, attempt));
        Some(slot)
    }

    /// Adds an attempt to its slot, with the claims that wait for it.
    fn add(&self, slot: &mut OpenSlot<SignedTx>, attempt: &Attempt) {
        let rows = attempt.claims.iter().filter_map(|key| self.claims.get(&(Scope::Facilitator, key.clone())));
        slot.push(attempt.tx.clone(), rows.map(|entry| entry.row.clone()));
    }

    pub(super) fn open(&self, limit: usize) -> Vec<OpenSlot<SignedTx>> {
        let mut slots: Vec<OpenSlot<SignedTx>> = Vec::new();
        let mut known: HashMap<_, usize> = HashMap::new();
        for attempt in self.attempts.values() {
            // Two transactions without a sequence are never attempts at the same slot.
            let place = place(&attempt.tx.slot);
            match place.as_ref().and_then(|place| known.get(place)) {
                Some(&index) => self.add(&mut slots[index], attempt),
                None if slots.len() < limit => {
                    if let Some(place) = place {
                        known.insert(place, slots.len());
                    }
                    let mut slot = OpenSlot::empty();
                    self.add(&mut slot, attempt);
                    slots.push(slot);
                }
                None => {}
            }
        }
        slots
    }
}

/// What a transaction competes for. A newer holder of a signer writes the same place under a newer epoch.
fn place(slot: &Slot) -> Option<(NetworkId, String, u64)> {
    slot.sequence.map(|number| (slot.network.clone(), slot.signer.clone(), number))
}
