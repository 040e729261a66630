//! [`Sessions`]: the server's side of the extension, and the operator's hold on it.

use crate::check::OLDEST;
use crate::keys::{SessionKeys, random_hex};
use crate::nonce::{Nonces, SealedNonces};
use crate::policy::{LONGEST_TOKEN, Policy};
use crate::route::RouteSessions;
use crate::store::{Entitlement, Left, Revocation, Scope, SessionStore, SharedSessions};
use crate::token::{Room, SessionToken};
use crate::wire::SIGN_IN_WITH_X;
use crate::{MemorySessions, Origin, time};
use async_trait::async_trait;
use serde::Deserialize;
use serde_json::Value;
use std::fmt;
use std::sync::Arc;
use tollway_core::{
    AccountId, Binding, Build, BuildContext, Clock, EchoRules, Fault, FaultKind, Object, Secret, SecretRef,
    ServerExtension, SystemClock,
};

/// Sessions of a server: what was paid for once is opened again by signing in. Cheap to clone; all clones are one.
///
/// A server makes its own where a route says `session = { for = "1h" }`. Make one by hand to keep a store of your own,
/// or to grant, share and revoke:
///
/// ```
/// use tollway_siwx::{MemorySessions, Sessions};
///
/// let sessions = Sessions::builder().store(MemorySessions::new()).build()?;
/// // ResourceServer::builder(origin).use_extension("session", sessions.extension())
/// # let _ = sessions.extension();
/// # Ok::<(), String>(())
/// ```
#[derive(Clone)]
pub struct Sessions {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) store: Arc<dyn SessionStore>,
    pub(crate) keys: SessionKeys,
    pub(crate) nonces: Arc<dyn Nonces>,
    pub(crate) clock: Arc<dyn Clock>,
    /// Seconds a challenge can be answered.
    pub(crate) challenge: u64,
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions").field("keys", &self.inner.keys).finish_non_exhaustive()
    }
}

/// Sets up [`Sessions`] in code.
#[derive(Default)]
#[must_use]
pub struct SessionsBuilder {
    store: Option<Arc<dyn SessionStore>>,
    keys: Option<SessionKeys>,
    nonces: Option<Arc<dyn Nonces>>,
    clock: Option<Arc<dyn Clock>>,
    challenge: Option<u64>,
}

impl fmt::Debug for SessionsBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionsBuilder").finish_non_exhaustive()
    }
}

impl SessionsBuilder {
    /// Where sessions are kept; in memory if left out.
    pub fn store(self, store: impl SessionStore + 'static) -> Self {
        self.shared_store(Arc::new(store))
    }

    /// The same for a store that others use too.
    pub fn shared_store(mut self, store: Arc<dyn SessionStore>) -> Self {
        self.store = Some(store);
        self
    }

    /// The keys of nonces and tokens; made up for this process if left out.
    pub fn keys(mut self, keys: SessionKeys) -> Self {
        self.keys = Some(keys);
        self
    }

    /// Issues nonces otherwise than sealed by the keys: for recordings and tests.
    pub fn nonces(mut self, nonces: Arc<dyn Nonces>) -> Self {
        self.nonces = Some(nonces);
        self
    }

    /// Tells the time by this clock.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Seconds a challenge can be answered, 300 at most and if left out.
    pub fn challenge_seconds(mut self, seconds: u64) -> Self {
        self.challenge = Some(seconds);
        self
    }

    /// Makes the sessions.
    ///
    /// # Errors
    /// The operating system gives no random bytes for keys, or a challenge would be too long or too short.
    pub fn build(self) -> Result<Sessions, String> {
        let challenge = self.challenge.unwrap_or(OLDEST);
        if !(1..=OLDEST).contains(&challenge) {
            return Err(format!("a challenge can be answered for 1 to {OLDEST} seconds"));
        }
        let keys = self.keys.map_or_else(SessionKeys::random, Ok)?;
        Ok(Sessions {
            inner: Arc::new(Inner {
                store: self.store.unwrap_or_else(|| Arc::new(MemorySessions::new())),
                nonces: self.nonces.unwrap_or_else(|| Arc::new(SealedNonces::new(keys.clone()))),
                keys,
                clock: self.clock.unwrap_or_else(|| Arc::new(SystemClock)),
                challenge,
            }),
        })
    }
}

impl Sessions {
    /// Starts setting up sessions in code.
    pub fn builder() -> SessionsBuilder {
        SessionsBuilder::default()
    }

    /// As a server's builder takes it: `use_extension("session", sessions.extension())`.
    pub fn extension(&self) -> Arc<dyn ServerExtension> {
        Arc::new(self.clone())
    }

    fn now(&self) -> u64 {
        self.inner.clock.now()
    }

    /// What an account may come back for, whether it paid or shares it.
    ///
    /// # Errors
    /// The store cannot be reached.
    pub async fn entitlements(&self, account: &AccountId) -> Result<Vec<Entitlement>, Fault> {
        self.inner.store.entitlements(account, self.now()).await
    }

    /// Gives an account something without a payment, for so many seconds. Gives its name.
    ///
    /// # Errors
    /// The store cannot be reached or is full.
    pub async fn grant(&self, account: &AccountId, scope: Scope, seconds: u64, left: Left) -> Result<Arc<str>, Fault> {
        let id = random_hex::<16>().map_err(|why| Fault::new(FaultKind::Internal, why))?;
        let now = self.now();
        let entitlement = Entitlement::new(&id, account.clone(), scope, now.saturating_add(seconds), left);
        self.inner.store.record(&entitlement, now).await?;
        Ok(entitlement.id)
    }

    /// Lets another account draw from an entitlement of `owner`, up to [`MAX_GUESTS`](crate::MAX_GUESTS) of them.
    /// `false` if there is none of that name, or it is not the owner's, or too many share it.
    ///
    /// # Errors
    /// The store cannot be reached.
    pub async fn share(&self, id: &str, owner: &AccountId, guest: &AccountId) -> Result<bool, Fault> {
        self.inner.store.share(id, owner, guest, self.now()).await
    }

    /// Takes that back, at once: the guest's tokens open nothing any more. `false` if it was not shared.
    ///
    /// # Errors
    /// The store cannot be reached.
    pub async fn unshare(&self, id: &str, owner: &AccountId, guest: &AccountId) -> Result<bool, Fault> {
        self.inner.store.unshare(id, owner, guest).await
    }

    /// Ends an entitlement now, for everybody. `false` if there is none of that name.
    ///
    /// # Errors
    /// The store cannot be reached.
    pub async fn end(&self, id: &str) -> Result<bool, Fault> {
        self.inner.store.end(id).await
    }

    /// Revokes all tokens an account was given so far. It may sign in again.
    ///
    /// # Errors
    /// The store cannot be reached.
    pub async fn sign_out(&self, account: &AccountId) -> Result<(), Fault> {
        let now = self.now();
        let revocation = Revocation::new(&account.to_string(), now, now.saturating_add(LONGEST_TOKEN));
        self.inner.store.revoke(&revocation, now).await
    }

    /// Revokes one token of a server at this origin. `false` if it is none, or has ended.
    ///
    /// # Errors
    /// The store cannot be reached.
    pub async fn revoke_token(&self, origin: &str, token: &str) -> Result<bool, Fault> {
        let (now, origin) = (self.now(), Origin::parse(origin));
        let revocation = origin.and_then(|origin| {
            let mut room = Room::new();
            let token = SessionToken::open(&self.inner.keys, origin.as_str(), token, now, &mut room)?;
            Some(Revocation::new(&token.id, now, token.until))
        });
        let Some(revocation) = revocation else { return Ok(false) };
        self.inner.store.revoke(&revocation, now).await?;
        Ok(true)
    }
}

#[async_trait]
impl ServerExtension for Sessions {
    fn key(&self) -> &'static str {
        SIGN_IN_WITH_X
    }

    fn echo(&self) -> EchoRules {
        ECHO
    }

    fn dynamic(&self) -> bool {
        true
    }

    async fn bind(&self, route: &Binding<'_>) -> Result<Option<Arc<dyn ServerExtension>>, String> {
        let policy =
            Policy::read(route.origin, route.pattern, route.section, !route.networks.is_empty(), route.routes)?;
        RouteSessions::bind(self.inner.clone(), policy, route).await.map(|bound| Some(Arc::new(bound) as _))
    }
}

/// What differs from challenge to challenge need not come back with a payment.
pub(crate) const ECHO: EchoRules = EchoRules::PLAIN.dynamic(&["nonce", "issuedAt", "expirationTime"]);

/// The section of the extension for all routes.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
#[non_exhaustive]
pub struct SessionsConfig {
    /// Where the keys of nonces and tokens are, the newest first: secrets of at least 32 characters. Without any, one
    /// is made up, and nothing is believed after a restart or by a second server.
    pub keys: Vec<SecretRef>,
    /// How long a challenge can be answered, `5m` at most and if left out.
    pub challenge: Option<String>,
    /// Where sessions are kept; in memory if left out.
    pub store: Option<StoreConfig>,
}

/// A store by name.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct StoreConfig {
    /// Its name: `memory`, or what a linked plug-in brings.
    pub kind: String,
    /// What that kind reads.
    #[serde(flatten)]
    pub section: Object,
}

impl StoreConfig {
    /// Opens it: what is registered as `<what>/<kind>`.
    pub(crate) async fn open<T: Clone + Send + Sync + 'static>(
        self,
        what: &str,
        cx: &BuildContext,
    ) -> Result<T, String> {
        let name = format!("{what}/{}", self.kind);
        let store = cx.host()?.store(&name, Value::Object(self.section)).await?.downcast::<T>();
        let wrong = |_| format!("the store `{name}` is not registered as one of {what}");
        store.map(|shared| (*shared).clone()).map_err(wrong)
    }
}

impl fmt::Debug for StoreConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the values: a database's URL holds a password.
        f.debug_struct("StoreConfig").field("kind", &self.kind).finish_non_exhaustive()
    }
}

impl Build for Sessions {
    type Config = SessionsConfig;
    const EXAMPLE: &'static str = r#"{ "keys": ["env:SESSION_KEY"], "challenge": "5m" }"#;

    async fn build(config: SessionsConfig, cx: BuildContext) -> Result<Self, String> {
        let mut builder = Self::builder().clock(cx.clock.clone());
        if !config.keys.is_empty() {
            let secrets: Vec<Secret> =
                config.keys.iter().map(|key| cx.secrets.resolve(key)).collect::<Result<_, _>>()?;
            builder = builder.keys(SessionKeys::new(&secrets).map_err(|why| format!("keys: {why}"))?);
        }
        if let Some(text) = &config.challenge {
            let seconds = time::duration(text).map_err(|why| format!("challenge: {why}"))?;
            builder = builder.challenge_seconds(seconds);
        }
        if let Some(store) = config.store {
            builder = builder.shared_store(store.open::<SharedSessions>("sessions", &cx).await?.into_inner());
        }
        builder.build()
    }
}
