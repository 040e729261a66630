//! [`RouteSessions`]: sessions on one route. Everything its section means was found out when the server was built.

use crate::check;
use crate::codes;
use crate::keys::hex;
use crate::origin::Origin;
use crate::policy::Policy;
use crate::sessions::{ECHO, Inner};
use crate::store::{Credit, Draw, Drawn, Entered, Entry, Left, Scope, Shown, Token};
use crate::time;
use crate::token::{Room, SESSION_TOKEN, SessionToken};
use crate::wire::{self, Proof, SIGN_IN_WITH_X};
use async_trait::async_trait;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::sync::Arc;
use tollway_core::{
    AccountId, Asking, Binding, Declaring, EchoRules, ErrorCode, Failure, Fault, FaultKind, Gate, Grant, Network,
    NetworkId, Paid, Rejected, Reply, Result, ServerExtension, Settled, SignInInfo,
};

/// Most tokens of a request that are looked at.
const MAX_TOKENS: usize = 8;

pub(crate) struct RouteSessions {
    inner: Arc<Inner>,
    policy: Policy,
    origin: Origin,
    pattern: String,
    /// Networks whose wallets may sign in.
    networks: Vec<Arc<dyn Network>>,
    /// The same as challenges list them: id and kind of signature.
    chains: Vec<(String, &'static str)>,
    /// Networks it is paid on.
    paid_on: Vec<Arc<dyn Network>>,
}

impl fmt::Debug for RouteSessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RouteSessions").field("pattern", &self.pattern).finish_non_exhaustive()
    }
}

impl RouteSessions {
    pub(crate) async fn bind(inner: Arc<Inner>, policy: Policy, route: &Binding<'_>) -> Result<Self, String> {
        let origin = Origin::parse(route.origin).ok_or_else(|| format!("the origin `{}` is none", route.origin))?;
        let mut networks: Vec<Arc<dyn Network>> = Vec::new();
        match &policy.chains {
            Some(chains) => {
                for id in chains {
                    networks.push(route.cx.host()?.network(id).await?);
                }
            }
            None => networks.extend(route.networks.iter().cloned()),
        }
        let mut known: Vec<NetworkId> = Vec::new();
        networks.retain(|network| {
            let fresh = !known.contains(network.id());
            known.push(network.id().clone());
            fresh && network.sign_in().is_some()
        });
        let kind = |network: &Arc<dyn Network>| Some((network.id().to_string(), network.sign_in()?.kind()));
        let chains: Vec<_> = networks.iter().filter_map(kind).collect();
        if chains.is_empty() {
            return Err("session: no network of this route knows how wallets sign in; name some with \
                        session = { chains = [\"eip155:8453\"] }"
                .into());
        }
        if chains.len() > wire::MAX_CHAINS {
            return Err(format!("session: wallets of {} networks at most can sign in on a route", wire::MAX_CHAINS));
        }
        let paid_on = route.networks.to_vec();
        Ok(Self { inner, policy, origin, pattern: route.pattern.to_owned(), networks, chains, paid_on })
    }

    /// A challenge for a resource, without its nonce.
    fn challenge(&self, url: &str) -> SignInInfo {
        let now = self.inner.clock.now();
        // A resource may be known by a name elsewhere; wallets sign for this server only.
        let uri = if self.origin.has(url) { url } else { self.origin.as_str() };
        let mut info = SignInInfo::default();
        info.domain = self.origin.domain().to_owned();
        info.uri = uri.to_owned();
        info.version = "1".to_owned();
        info.issued_at = time::write(now.saturating_mul(1000));
        info.expiration_time = Some(time::write(now.saturating_add(self.inner.challenge).saturating_mul(1000)));
        info.statement.clone_from(&self.policy.statement);
        info.resources = Some(vec![uri.to_owned()]);
        info
    }

    /// Reads a token that is good for this route.
    fn read(&self, text: &str, now: u64) -> Option<Read<'_>> {
        let mut room = Room::new();
        let token = SessionToken::open(&self.inner.keys, self.origin.as_str(), text, now, &mut room)?;
        let scopes = match self.policy.is_sign_in_only() {
            true => std::slice::from_ref(&self.policy.own_scope),
            false => &self.policy.opened_by,
        };
        let scope = scopes.iter().find(|scope| scope.as_str() == token.scope)?;
        let account = self.account(token.account)?;
        Some(Read { id: token.id, issued_at: token.issued_at, account, scope })
    }

    /// An account from its text, mostly of a network that is known here.
    fn account(&self, text: &str) -> Option<AccountId> {
        let (network, address) = text.rsplit_once(':')?;
        let known = self.networks.iter().find(|known| known.id().as_str() == network);
        known.map_or_else(|| text.parse().ok(), |known| Some(AccountId::new(known.id().clone(), address)))
    }

    /// Opens the route by the tokens a request carries.
    async fn by_token(&self, asking: &Asking<'_>, tokens: &str, now: u64) -> Result<Option<Grant>> {
        for text in tokens.split(',').take(MAX_TOKENS) {
            let Some(Read { id, issued_at, account, scope }) = self.read(text.trim(), now) else { continue };
            let entry = Entry::new(now, std::slice::from_ref(&account)).with(Token::new(&id, issued_at));
            if let Entered::In(drawn) = self.enter(asking, entry, std::slice::from_ref(scope)).await? {
                return Ok(Some(grant(drawn, &account)));
            }
        }
        Ok(None)
    }

    /// Opens the route by a proof.
    async fn by_proof(&self, asking: &Asking<'_>, proof: &Proof, now: u64) -> Result<Option<Grant>> {
        let until = check::check(proof, &self.origin, &*self.inner.nonces, now)?;
        let rejected = |code: ErrorCode| Failure::from(Rejected::new(code));
        let chain: NetworkId = proof.chain_id.parse().map_err(|_| rejected(codes::CHAIN_ID))?;
        let network = self.networks.iter().find(|network| *network.id() == chain);
        let network = network.ok_or_else(|| rejected(codes::UNSUPPORTED_CHAIN))?;
        let sign_in = network.sign_in().filter(|sign_in| sign_in.kind() == proof.kind);
        let sign_in = sign_in.ok_or_else(|| rejected(codes::UNSUPPORTED_CHAIN))?;
        let signed = sign_in.verify(&proof.info, &proof.address, &proof.signature).await?;
        let mut accounts = vec![signed.account];
        if signed.everywhere {
            let others = self.networks.iter().map(|network| network.id());
            let others = others.filter(|id| **id != chain && id.namespace() == chain.namespace());
            let address = accounts[0].address().to_owned();
            accounts.extend(others.map(|id| AccountId::new(id.clone(), &address)));
        }
        let entry = Entry::new(now, &accounts).showing(Shown::new(&proof.info.nonce, until));
        match self.enter(asking, entry, &self.policy.opened_by).await? {
            Entered::In(drawn) => {
                let (account, scope, ends) = match &drawn {
                    Some(drawn) => (&drawn.account, &drawn.scope, drawn.ends),
                    None => (&accounts[0], &self.policy.own_scope, u64::MAX),
                };
                let token = self.token(account, scope, ends, now);
                let mut grant = grant(drawn, &accounts[0]);
                grant.attach.extend(token);
                Ok(Some(grant))
            }
            Entered::NonceUsed => Err(rejected(codes::NONCE)),
            Entered::NotEntitled | Entered::Revoked => Ok(None),
        }
    }

    /// Enters, and if nothing else opens the route, with what the request costs, for credit.
    async fn enter(&self, asking: &Asking<'_>, entry: Entry<'_>, scopes: &[Scope]) -> Result<Entered> {
        let store = &self.inner.store;
        if self.policy.is_sign_in_only() {
            return Ok(store.enter(&entry).await?);
        }
        let draw = Draw::new(scopes);
        let entered = store.enter(&entry.drawing(draw)).await?;
        if entered != Entered::NotEntitled || scopes.is_empty() || !self.policy.takes_credit() {
            return Ok(entered);
        }
        let prices = self.prices(asking).await?;
        if prices.is_empty() {
            return Ok(entered);
        }
        Ok(store.enter(&entry.drawing(draw.priced(&prices))).await?)
    }

    /// What the request costs, in each asset it can be paid in.
    async fn prices(&self, asking: &Asking<'_>) -> Result<Vec<Credit>> {
        let offers = asking.offers.offers().await?;
        let price = |offer: &tollway_core::PaymentRequirements| self.credit(&offer.network, &offer.asset, offer.amount);
        Ok(offers.iter().filter_map(price).collect())
    }

    fn credit(&self, network: &NetworkId, asset: &str, amount: tollway_core::Amount) -> Option<Credit> {
        let network = self.paid_on.iter().find(|known| known.id() == network)?;
        let asset = network.canonical(asset).ok()?;
        Some(Credit::new(network.id().clone(), &asset, amount))
    }

    /// The header with a token, on routes that hand out any.
    fn token(&self, account: &AccountId, scope: &Scope, ends: u64, now: u64) -> Option<(String, String)> {
        let until = now.saturating_add(self.policy.token?).min(ends);
        let lives = until.checked_sub(now).filter(|lives| *lives > 0)?;
        match SessionToken::seal(&self.inner.keys, self.origin.as_str(), account, scope, now, until) {
            Ok(token) => Some((SESSION_TOKEN.to_owned(), format!("{token}; max-age={lives}"))),
            Err(why) => {
                tracing::error!(%why, "a session token could not be made");
                None
            }
        }
    }
}

/// A token that is good for a route.
struct Read<'a> {
    id: String,
    issued_at: u64,
    account: AccountId,
    scope: &'a Scope,
}

/// The grant for what was drawn, which is kept if it may have to be given back.
fn grant(drawn: Option<Drawn>, account: &AccountId) -> Grant {
    let mut grant = Grant::default();
    grant.account = Some(drawn.as_ref().map_or(account, |drawn| &drawn.account).clone());
    grant.state = drawn.filter(|drawn| drawn.taken != Left::Time).map(|drawn| Box::new(drawn) as _);
    grant
}

#[async_trait]
impl ServerExtension for RouteSessions {
    fn key(&self) -> &'static str {
        SIGN_IN_WITH_X
    }

    fn echo(&self) -> EchoRules {
        ECHO
    }

    fn dynamic(&self) -> bool {
        true
    }

    fn declare(&self, cx: &Declaring<'_>) -> Option<Value> {
        let mut info = self.challenge(&cx.resource.url);
        match self.inner.nonces.issue(&mut info) {
            Ok(()) => Some(wire::declaration(&info, &self.chains)),
            Err(why) => {
                tracing::error!(%why, "no nonce could be issued; the challenge goes without a sign-in");
                None
            }
        }
    }

    async fn gate(&self, asking: &Asking<'_>) -> Result<Gate> {
        let (request, now) = (asking.request, self.inner.clock.now());
        if let Some(tokens) = request.credential(SESSION_TOKEN)
            && let Some(grant) = self.by_token(asking, &tokens, now).await?
        {
            return Ok(Gate::Grant(grant));
        }
        let Some(proof) = request.credential(SIGN_IN_WITH_X).and_then(|text| Proof::decode(&text)) else {
            return Ok(Gate::Pass);
        };
        // In a box of its own, so that those who come with a token carry less.
        match Box::pin(self.by_proof(asking, &proof, now)).await {
            Ok(Some(grant)) => Ok(Gate::Grant(grant)),
            Ok(None) => Ok(Gate::Pass),
            // Nobody learns why: whoever cannot sign in is asked to pay.
            Err(Failure::Rejected(why)) => {
                tracing::debug!(route = self.pattern, %why, "a sign-in was refused");
                Ok(Gate::Pass)
            }
            Err(Failure::Fault(why)) => {
                let message = format!("{}: a sign-in could not be checked", codes::VERIFIER_ERROR);
                Err(Fault::new(why.kind, message).source(why).into())
            }
        }
    }

    async fn settled(&self, paid: &Paid<'_>, _: &Value, receipt: &Settled, reply: &mut Reply) -> Result<Option<Value>> {
        let Some(sells) = &self.policy.sells else { return Ok(None) };
        let left = match sells.left() {
            Some(left) => left,
            None => {
                let amount = receipt.amount.unwrap_or(paid.offer.amount);
                let credit = self.credit(&paid.offer.network, &paid.offer.asset, amount);
                Left::Credit(credit.ok_or_else(|| {
                    let message = format!("{} is no asset that credit can be kept in", paid.offer.asset);
                    Fault::new(FaultKind::Configuration, message)
                })?)
            }
        };
        let now = self.inner.clock.now();
        let entitlement = Policy::entitlement(sells, &name_of(paid), paid.payer.clone(), left, now);
        self.inner.store.record(&entitlement, now).await.map_err(|why| {
            // The money moved. Whoever reads the log can make it good.
            let message = format!("{} paid and got nothing: grant {entitlement:?}", entitlement.owner);
            Fault::new(why.kind, message).source(why)
        })?;
        // Who paid has proven as much as who signs in.
        reply.attach.extend(self.token(paid.payer, &sells.scope, entitlement.ends, now));
        Ok(None)
    }

    async fn finished(&self, grant: Grant, served: bool) {
        let drawn = grant.state.and_then(|state| state.downcast::<Drawn>().ok());
        let Some(drawn) = drawn.filter(|_| !served) else { return };
        if let Err(why) = self.inner.store.give_back(&drawn).await {
            tracing::error!(id = %drawn.id, %why, "a call that was not served could not be given back");
        }
    }
}

/// The name of what a payment buys: the same payment buys the same thing once, however often it is reported.
fn name_of(paid: &Paid<'_>) -> String {
    let mut hash = Sha256::new();
    hash.update(paid.pattern);
    hash.update([0]);
    hash.update(paid.payer.to_string());
    hash.update([0]);
    hash.update(paid.raw.payload.to_string());
    hex(&hash.finalize()[..16])
}
