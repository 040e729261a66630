//! [`MemorySessions`]: sessions in this process. They end with it.

use crate::store::{
    Draw, Drawn, Entered, Entitlement, Entry, Left, MAX_GUESTS, Revocation, SessionStore, SharedSessions,
};
use async_trait::async_trait;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tollway_core::{AccountId, Build, BuildContext, Fault, FaultKind};

/// Most entitlements held unless configured otherwise.
const ENTITLEMENTS: NonZeroUsize = NonZeroUsize::new(2_000_000).expect("not zero");
/// Most nonces, and most revocations. Both are forgotten within minutes.
const SHORT_LIVED: usize = 1_000_000;
/// Most things forgotten in one operation, so that none takes long. Each adds two at most.
const FORGET: usize = 8;
/// Most entitlements listed for one account.
const LISTED: usize = 1000;

/// A store in memory. What has ended is forgotten; what has not is never pushed out: a full store refuses what is new.
#[derive(Default)]
pub struct MemorySessions {
    state: Mutex<State>,
    most: Option<NonZeroUsize>,
}

impl fmt::Debug for MemorySessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemorySessions").finish_non_exhaustive()
    }
}

/// The section of the store `memory`.
#[derive(Debug, Clone, Default, serde::Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
#[non_exhaustive]
pub struct MemorySessionsConfig {
    /// Most entitlements held at once; 2 000 000 if left out. A payment beyond that opens its own request only.
    pub max_entitlements: Option<NonZeroUsize>,
}

impl Build for MemorySessions {
    type Config = MemorySessionsConfig;
    const EXAMPLE: &'static str = r#"{ "maxEntitlements": 100000 }"#;

    async fn build(config: MemorySessionsConfig, _: BuildContext) -> Result<Self, String> {
        Ok(Self { state: Mutex::default(), most: config.max_entitlements })
    }
}

impl From<MemorySessions> for SharedSessions {
    fn from(store: MemorySessions) -> Self {
        Self::new(store)
    }
}

#[derive(Default)]
struct State {
    held: HashMap<Arc<str>, Held>,
    /// Account → the entitlements it owns or shares that have something left.
    holders: HashMap<AccountId, Vec<Arc<str>>>,
    ends: Ends,
    nonces: HashSet<Arc<str>>,
    nonce_ends: Ends,
    revoked: HashMap<Arc<str>, Revocation>,
    revoked_ends: Ends,
}

struct Held {
    entitlement: Entitlement,
    guests: Vec<AccountId>,
}

impl Held {
    fn holders(&self) -> impl Iterator<Item = &AccountId> {
        std::iter::once(&self.entitlement.owner).chain(&self.guests)
    }

    fn is_spent(&self) -> bool {
        match &self.entitlement.left {
            Left::Time => false,
            Left::Calls(calls) => *calls == 0,
            Left::Credit(credit) => credit.amount.is_zero(),
        }
    }

    /// What a call would take, if there is enough.
    fn price(&self, draw: &Draw<'_>) -> Option<Left> {
        match &self.entitlement.left {
            Left::Time => Some(Left::Time),
            Left::Calls(calls) => (*calls > 0).then_some(Left::Calls(1)),
            Left::Credit(credit) => {
                let mut prices = draw.prices.iter().filter(|price| price.is_same_asset(credit));
                prices.find(|price| price.amount <= credit.amount).cloned().map(Left::Credit)
            }
        }
    }

    /// The order in which entitlements are drawn from.
    fn rank(&self) -> (u8, u64) {
        let kind = match self.entitlement.left {
            Left::Time => 0,
            Left::Calls(_) => 1,
            Left::Credit(_) => 2,
        };
        (kind, self.entitlement.ends)
    }
}

/// What ends when.
#[derive(Default)]
struct Ends(BTreeSet<(u64, Arc<str>)>);

impl Ends {
    /// Something that has ended, which is taken out.
    fn next(&mut self, now: u64) -> Option<Arc<str>> {
        let due = self.0.first().is_some_and(|(ends, _)| *ends <= now);
        due.then(|| self.0.pop_first().map(|(_, what)| what)).flatten()
    }
}

fn full(what: &str) -> Fault {
    Fault::new(FaultKind::Overloaded, format!("the memory holds as many {what} as it may; use a store on disk"))
}

impl State {
    fn forget(&mut self, now: u64) {
        for _ in 0..FORGET {
            let mut idle = true;
            if let Some(id) = self.ends.next(now) {
                self.remove(&id);
                idle = false;
            }
            if let Some(nonce) = self.nonce_ends.next(now) {
                self.nonces.remove(&nonce);
                idle = false;
            }
            if let Some(of) = self.revoked_ends.next(now) {
                // A later revocation of the same thing may have taken its place.
                if self.revoked.get(&of).is_some_and(|revocation| revocation.until <= now) {
                    self.revoked.remove(&of);
                }
                idle = false;
            }
            if idle {
                break;
            }
        }
    }

    fn remove(&mut self, id: &str) -> Option<Held> {
        self.unlist(id);
        let held = self.held.remove(id)?;
        self.ends.0.remove(&(held.entitlement.ends, held.entitlement.id.clone()));
        Some(held)
    }

    /// Puts an entitlement on the lists of its holders.
    fn list(&mut self, id: &str) {
        let Some(held) = self.held.get(id) else { return };
        for holder in held.holders() {
            let ids = self.holders.entry(holder.clone()).or_default();
            if !ids.iter().any(|known| **known == *id) {
                ids.push(held.entitlement.id.clone());
            }
        }
    }

    /// Takes it off all of them.
    fn unlist(&mut self, id: &str) {
        let Some(held) = self.held.get(id) else { return };
        let holders: Vec<_> = held.holders().cloned().collect();
        holders.iter().for_each(|holder| self.unlist_from(holder, id));
    }

    fn unlist_from(&mut self, holder: &AccountId, id: &str) {
        if let Some(ids) = self.holders.get_mut(holder) {
            ids.retain(|known| **known != *id);
            if ids.is_empty() {
                self.holders.remove(holder);
            }
        }
    }

    fn live(&self, account: &AccountId, now: u64) -> impl Iterator<Item = &Held> {
        let ids = self.holders.get(account).into_iter().flatten();
        ids.filter_map(|id| self.held.get(id)).filter(move |held| held.entitlement.ends > now)
    }

    fn is_revoked(&self, entry: &Entry<'_>) -> bool {
        let Some(token) = entry.token.filter(|_| !self.revoked.is_empty()) else { return false };
        let meant = |of: &str| {
            let mut revocation = self.revoked.get(of).into_iter();
            revocation.any(|revocation| revocation.issued_until >= token.issued_at)
        };
        meant(token.id) || entry.accounts.iter().any(|account| meant(&account.to_string()))
    }

    fn draw(&mut self, entry: &Entry<'_>, draw: &Draw<'_>) -> Option<Drawn> {
        let open = |account| {
            let live = self.live(account, entry.now);
            let right = live.filter(|held| draw.scopes.contains(&held.entitlement.scope));
            right.filter_map(|held| Some((held.rank(), account.clone(), held, held.price(draw)?)))
        };
        let (_, account, held, taken) = entry.accounts.iter().flat_map(open).min_by_key(|(rank, ..)| *rank)?;
        let drawn = Drawn::new(&held.entitlement, account, taken);
        let held = self.held.get_mut(&drawn.id)?;
        match (&mut held.entitlement.left, &drawn.taken) {
            (Left::Calls(left), Left::Calls(taken)) => *left = left.checked_sub(*taken)?,
            (Left::Credit(left), Left::Credit(taken)) => left.amount = left.amount.checked_sub(taken.amount)?,
            _ => {}
        }
        if held.is_spent() {
            // Off the lists, so that many spent ones do not slow their owner down; kept, for what is given back.
            self.unlist(&drawn.id);
        }
        Some(drawn)
    }
}

impl MemorySessions {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many entitlements, nonces and revocations it holds.
    #[doc(hidden)]
    pub fn held(&self) -> [usize; 3] {
        let state = self.state();
        [state.held.len(), state.nonces.len(), state.revoked.len()]
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing here panics half-way through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl SessionStore for MemorySessions {
    async fn enter(&self, entry: &Entry<'_>) -> Result<Entered, Fault> {
        let mut state = self.state();
        state.forget(entry.now);
        if state.is_revoked(entry) {
            return Ok(Entered::Revoked);
        }
        if let Some(shown) = &entry.nonce {
            if state.nonces.contains(shown.nonce) {
                return Ok(Entered::NonceUsed);
            }
            if state.nonces.len() >= SHORT_LIVED {
                return Err(full("nonces"));
            }
        }
        let drawn = match &entry.draw {
            None => None,
            Some(draw) => match state.draw(entry, draw) {
                Some(drawn) => Some(drawn),
                None => return Ok(Entered::NotEntitled),
            },
        };
        if let Some(shown) = &entry.nonce {
            let nonce: Arc<str> = shown.nonce.into();
            state.nonces.insert(nonce.clone());
            state.nonce_ends.0.insert((shown.until, nonce));
        }
        Ok(Entered::In(drawn))
    }

    async fn give_back(&self, drawn: &Drawn) -> Result<(), Fault> {
        let mut state = self.state();
        let Some(held) = state.held.get_mut(&drawn.id) else { return Ok(()) };
        let was_spent = held.is_spent();
        match (&mut held.entitlement.left, &drawn.taken) {
            (Left::Calls(left), Left::Calls(taken)) => *left = left.saturating_add(*taken),
            (Left::Credit(left), Left::Credit(taken)) => {
                left.amount = left.amount.checked_add(taken.amount).unwrap_or(left.amount);
            }
            _ => {}
        }
        if was_spent {
            state.list(&drawn.id);
        }
        Ok(())
    }

    async fn record(&self, entitlement: &Entitlement, now: u64) -> Result<(), Fault> {
        let mut state = self.state();
        state.forget(now);
        if entitlement.ends <= now || state.held.contains_key(&entitlement.id) {
            return Ok(());
        }
        if state.held.len() >= self.most.unwrap_or(ENTITLEMENTS).get() {
            return Err(full("entitlements"));
        }
        let id = entitlement.id.clone();
        state.ends.0.insert((entitlement.ends, id.clone()));
        let held = Held { entitlement: entitlement.clone(), guests: Vec::new() };
        let spent = held.is_spent();
        state.held.insert(id.clone(), held);
        if !spent {
            state.list(&id);
        }
        Ok(())
    }

    async fn entitlements(&self, account: &AccountId, now: u64) -> Result<Vec<Entitlement>, Fault> {
        let state = self.state();
        let mut live: Vec<_> = state.live(account, now).map(|held| held.entitlement.clone()).collect();
        live.sort_by(|a, b| (a.ends, &a.id).cmp(&(b.ends, &b.id)));
        live.truncate(LISTED);
        Ok(live)
    }

    async fn share(&self, id: &str, owner: &AccountId, guest: &AccountId, now: u64) -> Result<bool, Fault> {
        let mut state = self.state();
        let Some(held) = state.held.get_mut(id) else { return Ok(false) };
        if held.entitlement.owner != *owner || held.entitlement.ends <= now {
            return Ok(false);
        }
        if !held.holders().any(|holder| holder == guest) {
            if held.guests.len() >= MAX_GUESTS {
                return Ok(false);
            }
            held.guests.push(guest.clone());
            if !held.is_spent() {
                state.list(id);
            }
        }
        Ok(true)
    }

    async fn unshare(&self, id: &str, owner: &AccountId, guest: &AccountId) -> Result<bool, Fault> {
        let mut state = self.state();
        let Some(held) = state.held.get_mut(id).filter(|held| held.entitlement.owner == *owner) else {
            return Ok(false);
        };
        let before = held.guests.len();
        held.guests.retain(|known| known != guest);
        let shared = held.guests.len() < before;
        if shared {
            state.unlist_from(guest, id);
        }
        Ok(shared)
    }

    async fn end(&self, id: &str) -> Result<bool, Fault> {
        Ok(self.state().remove(id).is_some())
    }

    async fn revoke(&self, revocation: &Revocation, now: u64) -> Result<(), Fault> {
        let mut state = self.state();
        state.forget(now);
        let mut revocation = revocation.clone();
        if let Some(known) = state.revoked.get(&revocation.of) {
            revocation.issued_until = revocation.issued_until.max(known.issued_until);
            revocation.until = revocation.until.max(known.until);
        } else if state.revoked.len() >= SHORT_LIVED {
            return Err(full("revocations"));
        }
        state.revoked_ends.0.insert((revocation.until, revocation.of.clone()));
        state.revoked.insert(revocation.of.clone(), revocation);
        Ok(())
    }
}
