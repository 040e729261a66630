//! [`SessionStore`]: what has to be remembered. Every operation is one transaction.

use crate::Origin;
use async_trait::async_trait;
use std::fmt;
use std::sync::Arc;
use tollway_core::{AccountId, Amount, Fault, NetworkId};

/// What an entitlement opens at one origin: a route, the routes under a path, or a tier. Servers of several origins may
/// share a store. Two scopes are the same if their texts are.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Scope(Arc<str>);

impl Scope {
    /// The route with this pattern, of the server at `origin`.
    pub fn route(origin: &str, pattern: &str) -> Self {
        Self::at(origin, "route", pattern)
    }

    /// Its routes under a path such as `/files/*`, whatever the letter case.
    pub fn over(origin: &str, path: &str) -> Self {
        Self::at(origin, "over", &path.to_lowercase())
    }

    /// Its routes of a tier.
    pub fn tier(origin: &str, name: &str) -> Self {
        Self::at(origin, "tier", name)
    }

    fn at(origin: &str, kind: &str, name: &str) -> Self {
        let one_spelling = Origin::parse(origin);
        let origin = one_spelling.as_ref().map_or(origin, Origin::as_str);
        Self(format!("{origin} {kind}:{name}").into())
    }

    /// A scope as a store has written it.
    pub fn from_stored(text: &str) -> Self {
        Self(text.into())
    }

    /// The text to write.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Money that was paid before it is spent.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Credit {
    /// The network of the asset.
    pub network: NetworkId,
    /// The asset, in the network's one spelling.
    pub asset: Arc<str>,
    /// Atomic units.
    pub amount: Amount,
}

impl Credit {
    /// So much of an asset.
    pub fn new(network: NetworkId, asset: &str, amount: Amount) -> Self {
        Self { network, asset: asset.into(), amount }
    }

    /// Whether two are of the same asset.
    pub fn is_same_asset(&self, other: &Self) -> bool {
        self.network == other.network && self.asset == other.asset
    }
}

/// What is left of an entitlement, beside its time.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Left {
    /// Any number of calls.
    Time,
    /// So many calls.
    Calls(u64),
    /// Calls whose prices add up to no more than this.
    Credit(Credit),
}

/// What somebody paid for and may come back for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entitlement {
    /// Its name, at most 64 characters. Recording one of the same name twice records it once.
    pub id: Arc<str>,
    /// Who paid.
    pub owner: AccountId,
    /// What it opens.
    pub scope: Scope,
    /// The Unix second from which on it opens nothing.
    pub ends: u64,
    /// What is left.
    pub left: Left,
}

impl Entitlement {
    /// A fresh one.
    pub fn new(id: &str, owner: AccountId, scope: Scope, ends: u64, left: Left) -> Self {
        Self { id: id.into(), owner, scope, ends, left }
    }
}

/// A nonce somebody shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Shown<'a> {
    /// The nonce, at most 96 characters.
    pub nonce: &'a str,
    /// The Unix second from which on nobody would believe it, so that it need not be remembered.
    pub until: u64,
}

impl<'a> Shown<'a> {
    /// A nonce.
    pub fn new(nonce: &'a str, until: u64) -> Self {
        Self { nonce, until }
    }
}

/// Which token somebody shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Token<'a> {
    /// Its name, at most 64 characters.
    pub id: &'a str,
    /// The Unix second it was made in.
    pub issued_at: u64,
}

impl<'a> Token<'a> {
    /// A token.
    pub fn new(id: &'a str, issued_at: u64) -> Self {
        Self { id, issued_at }
    }
}

/// From what a call is to be paid.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Draw<'a> {
    /// The scopes that open what is asked for.
    pub scopes: &'a [Scope],
    /// What the call costs, in each asset it can be paid in. Looked at for credit only.
    pub prices: &'a [Credit],
}

impl<'a> Draw<'a> {
    /// From entitlements of these scopes.
    pub fn new(scopes: &'a [Scope]) -> Self {
        Self { scopes, prices: &[] }
    }

    /// The same with what the call costs.
    pub fn priced(mut self, prices: &'a [Credit]) -> Self {
        self.prices = prices;
        self
    }
}

/// Somebody who wants in, with everything that is shown.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Entry<'a> {
    /// The time, in Unix seconds.
    pub now: u64,
    /// Who it is: one account, or the accounts of one key on several networks.
    pub accounts: &'a [AccountId],
    /// The nonce of a proof. It is used up if, and only if, the entry succeeds.
    pub nonce: Option<Shown<'a>>,
    /// The token, if one is shown in the place of a proof.
    pub token: Option<Token<'a>>,
    /// What to draw from. `None` where being somebody is enough.
    pub draw: Option<Draw<'a>>,
}

impl<'a> Entry<'a> {
    /// An entry of these accounts at this time.
    pub fn new(now: u64, accounts: &'a [AccountId]) -> Self {
        Self { now, accounts, nonce: None, token: None, draw: None }
    }

    /// The same with a nonce.
    pub fn showing(mut self, nonce: Shown<'a>) -> Self {
        self.nonce = Some(nonce);
        self
    }

    /// The same with a token.
    pub fn with(mut self, token: Token<'a>) -> Self {
        self.token = Some(token);
        self
    }

    /// The same, and to be paid from an entitlement.
    pub fn drawing(mut self, draw: Draw<'a>) -> Self {
        self.draw = Some(draw);
        self
    }
}

/// What was drawn for one call.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Drawn {
    /// The entitlement.
    pub id: Arc<str>,
    /// Which of the accounts could draw from it.
    pub account: AccountId,
    /// What it opens.
    pub scope: Scope,
    /// The Unix second in which it ends.
    pub ends: u64,
    /// What was taken: nothing, one call, or credit.
    pub taken: Left,
}

impl Drawn {
    /// What was taken from an entitlement for an account. [`Left::Time`] stands for nothing.
    pub fn new(entitlement: &Entitlement, account: AccountId, taken: Left) -> Self {
        let Entitlement { id, scope, ends, .. } = entitlement;
        Self { id: id.clone(), account, scope: scope.clone(), ends: *ends, taken }
    }
}

/// How an entry ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Entered {
    /// In, with what was drawn.
    In(Option<Drawn>),
    /// None of the accounts has an entitlement that opens this and has enough left.
    NotEntitled,
    /// The nonce was used before.
    NonceUsed,
    /// The token was revoked.
    Revoked,
}

/// Tokens that are to be believed no longer.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Revocation {
    /// A token's name, or the text of an account for all its tokens.
    pub of: Arc<str>,
    /// Tokens made in this Unix second or before are meant.
    pub issued_until: u64,
    /// The Unix second from which on none of them would be believed anyway.
    pub until: u64,
}

impl Revocation {
    /// What is revoked.
    pub fn new(of: &str, issued_until: u64, until: u64) -> Self {
        Self { of: of.into(), issued_until, until }
    }
}

/// Remembers entitlements, used nonces and revoked tokens.
///
/// Every operation is atomic: of any number of concurrent entries with one nonce one succeeds, and of any number of
/// concurrent calls on an entitlement for a hundred calls a hundred do. Everything has an end and is forgotten some
/// time after it. [`tollway_testkit::session_suite`] checks all of it.
///
/// [`tollway_testkit::session_suite`]: https://docs.rs/tollway-testkit
#[async_trait]
pub trait SessionStore: Send + Sync {
    /// Lets somebody in, or does nothing. In one transaction:
    ///
    /// 1. A token is refused as [`Entered::Revoked`] if it, or every token of one of the accounts, was revoked at
    ///    `token.issued_at` or later.
    /// 2. A nonce is refused as [`Entered::NonceUsed`] if it was used.
    /// 3. If there is to be drawn: of the entitlements that one of the accounts owns or shares, whose scope is among
    ///    `draw.scopes`, that have not ended and have enough left, first those for any number of calls, then those for
    ///    calls, then credit, and of each kind the one that ends first. One call or the price in its asset is taken
    ///    from it. Without one: [`Entered::NotEntitled`].
    /// 4. The nonce counts as used until `nonce.until`.
    ///
    /// # Errors
    /// The store cannot be reached, or holds as much as it may. Nothing was taken.
    async fn enter(&self, entry: &Entry<'_>) -> Result<Entered, Fault>;

    /// Puts back what was drawn, as the call was not served. Nothing if the entitlement is gone.
    ///
    /// # Errors
    /// The store cannot be reached.
    async fn give_back(&self, drawn: &Drawn) -> Result<(), Fault>;

    /// Writes an entitlement down, unless one of its name is there.
    ///
    /// # Errors
    /// The store cannot be reached, or holds as much as it may.
    async fn record(&self, entitlement: &Entitlement, now: u64) -> Result<(), Fault>;

    /// The entitlements an account owns or shares that have not ended and have something left, by their end, at most
    /// 1000.
    ///
    /// # Errors
    /// The store cannot be reached.
    async fn entitlements(&self, account: &AccountId, now: u64) -> Result<Vec<Entitlement>, Fault>;

    /// Lets another account draw from an entitlement of `owner`. `false` if there is no such entitlement, it has ended
    /// or is not the owner's, or [`MAX_GUESTS`] share it already.
    ///
    /// # Errors
    /// The store cannot be reached.
    async fn share(&self, id: &str, owner: &AccountId, guest: &AccountId, now: u64) -> Result<bool, Fault>;

    /// Takes that back. `false` if it was not shared, or the entitlement is not the owner's.
    ///
    /// # Errors
    /// The store cannot be reached.
    async fn unshare(&self, id: &str, owner: &AccountId, guest: &AccountId) -> Result<bool, Fault>;

    /// Ends an entitlement now. `false` if there is none of that name.
    ///
    /// # Errors
    /// The store cannot be reached.
    async fn end(&self, id: &str) -> Result<bool, Fault>;

    /// Revokes tokens. Of two revocations of the same thing the later counts.
    ///
    /// # Errors
    /// The store cannot be reached, or holds as much as it may.
    async fn revoke(&self, revocation: &Revocation, now: u64) -> Result<(), Fault>;
}

/// Most accounts that share an entitlement with its owner.
pub const MAX_GUESTS: usize = 32;

/// The type under which stores of sessions are registered (`registrar.store::<MySessions, SharedSessions>("sessions/…")`).
#[derive(Clone)]
pub struct SharedSessions(Arc<dyn SessionStore>);

impl SharedSessions {
    /// Any store.
    pub fn new(store: impl SessionStore + 'static) -> Self {
        Self(Arc::new(store))
    }

    /// The store.
    pub fn into_inner(self) -> Arc<dyn SessionStore> {
        self.0
    }
}

impl fmt::Debug for SharedSessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedSessions").finish_non_exhaustive()
    }
}
