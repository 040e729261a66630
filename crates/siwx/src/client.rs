//! [`SignInClient`]: the client's side. It signs in before it pays, and shows tokens before it signs.

use crate::codes;
use crate::origin::Origin;
use crate::sessions::StoreConfig;
use crate::token::SESSION_TOKEN;
use crate::tokens::{KeptToken, MAX_TOKENS, MemoryTokens, SharedTokens, TokenStore};
use crate::wire::{self, Declaration, MAX_CHAINS, Proof, SIGN_IN_WITH_X};
use async_trait::async_trait;
use serde::Deserialize;
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tollway_core::{
    Build, BuildContext, ClientExtension, Clock, Fault, FaultKind, Host, Network, NetworkId, NetworkPattern,
    PaymentRequired, Rejected, Result, SettleResponse, Signer,
};

/// Longest token kept, in characters.
const LONGEST_TOKEN: usize = 1024;
/// Longest time a token is kept, in seconds: a week.
const LONGEST_LIFE: u64 = 7 * 24 * 3600;
/// How long a token is kept whose life nobody told.
const UNTOLD_LIFE: u64 = 300;
/// Most networks opened to answer one challenge.
const MAX_OPENED: usize = 8;
/// Most wallets kept ready, and most origins remembered as paid.
const MAX_KEPT: usize = 64;

/// Signs in where a server offers it, and keeps the tokens it is given.
///
/// A client that links this crate has one. Make one by hand to keep tokens in a store of your own:
///
/// ```
/// use tollway_siwx::{MemoryTokens, SignInClient};
///
/// let make = |cx| SignInClient::new(cx).map(|client| client.token_store(MemoryTokens::default()));
/// // PaymentClient::builder().use_extension(make)
/// # let _ = make(tollway_core::BuildContext::new());
/// ```
pub struct SignInClient {
    host: Arc<dyn Host>,
    clock: Arc<dyn Clock>,
    tokens: Arc<dyn TokenStore>,
    enabled: bool,
    /// Where it may sign in, the networks liked best first; `None` is anywhere.
    networks: Option<Vec<NetworkPattern>>,
    wallets: Mutex<HashMap<NetworkId, Wallet>>,
    /// Which network an origin was paid on last.
    paid: Mutex<VecDeque<(String, NetworkId)>>,
}

impl fmt::Debug for SignInClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignInClient").field("enabled", &self.enabled).finish_non_exhaustive()
    }
}

/// A network and the key that signs in there.
#[derive(Clone)]
struct Wallet {
    network: Arc<dyn Network>,
    signer: Arc<dyn Signer>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl SignInClient {
    /// A client's extension, made from what the client lends it.
    ///
    /// # Errors
    /// The context is no client's.
    pub fn new(cx: BuildContext) -> Result<Self, String> {
        Ok(Self {
            host: cx.host()?.clone(),
            clock: cx.clock,
            tokens: Arc::new(MemoryTokens::default()),
            enabled: true,
            networks: None,
            wallets: Mutex::default(),
            paid: Mutex::default(),
        })
    }

    /// Keeps tokens here.
    pub fn token_store(mut self, store: impl TokenStore + 'static) -> Self {
        self.tokens = Arc::new(store);
        self
    }

    /// Signs in on these networks alone, the first of them best. Left out, on any there is a key for, in the server's
    /// order.
    pub fn networks(mut self, networks: impl IntoIterator<Item = NetworkPattern>) -> Self {
        self.networks = Some(networks.into_iter().collect());
        self
    }

    /// How well a network is liked, 0 best; `None` where it may not sign in.
    fn rank(&self, id: &NetworkId) -> Option<usize> {
        match &self.networks {
            Some(networks) => networks.iter().position(|at| at.matches(id)),
            None => Some(0),
        }
    }

    /// The wallet for a network; `None` where no key is configured or wallets cannot sign in.
    async fn wallet(&self, id: &NetworkId) -> Option<Wallet> {
        if let Some(wallet) = lock(&self.wallets).get(id) {
            return Some(wallet.clone());
        }
        let found = async {
            let Some(signer) = self.host.signers(id).await?.into_iter().next() else { return Ok(None) };
            Ok(Some(Wallet { network: self.host.network(id).await?, signer }))
        };
        let wallet = found.await.unwrap_or_else(|why: String| {
            tracing::debug!(network = %id, why, "no wallet for a sign-in");
            None
        })?;
        let mut wallets = lock(&self.wallets);
        if wallets.len() < MAX_KEPT {
            wallets.insert(id.clone(), wallet.clone());
        }
        Some(wallet)
    }

    /// The wallet to sign in with: on the network this origin was paid on last, or on the first there is a key for.
    async fn choose(&self, declared: &Declaration, origin: &Origin) -> Option<Wallet> {
        let paid = lock(&self.paid).iter().find(|(paid, _)| paid == origin.as_str()).map(|(_, id)| id.clone());
        let mut chains: Vec<(usize, NetworkId, &str)> = Vec::new();
        for chain in declared.supported_chains.iter().take(MAX_CHAINS) {
            if let Ok(id) = chain.chain_id.parse()
                && let Some(rank) = self.rank(&id)
            {
                chains.push((rank, id, &chain.kind));
            }
        }
        chains.sort_by_key(|(rank, id, _)| (paid.as_ref() != Some(id), *rank));
        let mut opened = 0;
        for (_, id, kind) in chains {
            let Some(wallet) = self.wallet(&id).await else { continue };
            if wallet.network.sign_in().is_some_and(|sign_in| sign_in.kind() == kind) {
                return Some(wallet);
            }
            opened += 1;
            if opened >= MAX_OPENED {
                break;
            }
        }
        None
    }
}

/// Whether a challenge is this origin's own. No other is signed: whoever asks could use it elsewhere.
fn check_own(declared: &Declaration, origin: &Origin) -> Result<(), Rejected> {
    let info = &declared.info;
    if !origin.is_domain(&info.domain) {
        let shown: String = info.domain.chars().take(64).collect();
        let why = format!("{} asks for a sign-in to `{shown}`, which is not signed", origin.as_str());
        return Err(Rejected::new(codes::DOMAIN_MISMATCH).because(why));
    }
    if !origin.has(&info.uri) {
        let why = format!("{} asks for a sign-in to a URI elsewhere, which is not signed", origin.as_str());
        return Err(Rejected::new(codes::URI_MISMATCH).because(why));
    }
    if info.version != "1" || !wire::is_plain(info) {
        let why = "a challenge of another version, or with line breaks in it, is not signed";
        return Err(Rejected::new(tollway_core::codes::INVALID_PAYLOAD).because(why));
    }
    Ok(())
}

#[async_trait]
impl ClientExtension for SignInClient {
    fn key(&self) -> &'static str {
        SIGN_IN_WITH_X
    }

    async fn prepare(&self, origin: &str, _: &str) -> Vec<(String, String)> {
        if !self.enabled {
            return Vec::new();
        }
        let Some(origin) = Origin::parse(origin) else { return Vec::new() };
        match self.tokens.of(origin.as_str(), self.clock.now()).await {
            Ok(tokens) if tokens.is_empty() => Vec::new(),
            Ok(tokens) => {
                let tokens: Vec<_> = tokens.into_iter().take(MAX_TOKENS).map(|kept| kept.token).collect();
                vec![(SESSION_TOKEN.to_owned(), tokens.join(", "))]
            }
            Err(why) => {
                tracing::warn!(%why, "session tokens could not be read; signing instead");
                Vec::new()
            }
        }
    }

    async fn answer(&self, required: &PaymentRequired, origin: &str) -> Result<Vec<(String, String)>> {
        let declared = required.extensions.as_ref().and_then(|extensions| extensions.get(SIGN_IN_WITH_X));
        let Some(declared) = declared.filter(|_| self.enabled) else { return Ok(Vec::new()) };
        let declared = Declaration::deserialize(declared).map_err(|why| {
            Fault::new(FaultKind::Invalid, "a declaration of a sign-in is not of its shape").source(why)
        })?;
        let origin =
            Origin::parse(origin).ok_or_else(|| Fault::new(FaultKind::Internal, format!("`{origin}` is no origin")))?;
        check_own(&declared, &origin)?;
        let Some(Wallet { network, signer }) = self.choose(&declared, &origin).await else { return Ok(Vec::new()) };
        let Some(sign_in) = network.sign_in() else { return Ok(Vec::new()) };
        let signature = sign_in.sign(&declared.info, &*signer).await?;
        let proof = Proof::new(declared.info, network.id().as_str(), sign_in.kind(), signer.address(), signature);
        let header = proof.encode().map_err(|why| Fault::new(FaultKind::Internal, "no proof").source(why))?;
        Ok(vec![(SIGN_IN_WITH_X.to_owned(), header)])
    }

    async fn answered(&self, origin: &str, receipt: Option<&SettleResponse>, headers: &[(String, String)]) {
        let Some(origin) = Origin::parse(origin).filter(|_| self.enabled) else { return };
        if let Some(receipt) = receipt.filter(|receipt| receipt.success) {
            let mut paid = lock(&self.paid);
            paid.retain(|(known, _)| known != origin.as_str());
            paid.push_front((origin.as_str().to_owned(), receipt.network.clone()));
            paid.truncate(MAX_KEPT);
        }
        let now = self.clock.now();
        for (_, value) in headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case(SESSION_TOKEN)) {
            let Some(token) = read_token(value, now) else { continue };
            if let Err(why) = self.tokens.keep(origin.as_str(), &token).await {
                tracing::warn!(%why, "a session token could not be kept");
            }
        }
    }
}

/// Reads `<token>; max-age=<seconds>`; `None` for what could not be sent back.
fn read_token(value: &str, now: u64) -> Option<KeptToken> {
    let (token, parameters) = value.split_once(';').unwrap_or((value, ""));
    let token = token.trim();
    let plain = token.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~+/=".contains(&b));
    if !plain || token.is_empty() || token.len() > LONGEST_TOKEN {
        return None;
    }
    let mut ages = parameters.split(';').filter_map(|parameter| parameter.trim().strip_prefix("max-age="));
    let life = ages.next().map_or(Some(UNTOLD_LIFE), |age| age.parse().ok())?;
    Some(KeptToken::new(token, now.saturating_add(life.min(LONGEST_LIFE))))
}

/// The section of the client's extension.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
#[non_exhaustive]
pub struct SignInClientConfig {
    /// Whether to sign in at all. A sign-in shows a server the wallet's address before anything is paid.
    pub enabled: bool,
    /// Where session tokens are kept; in memory if left out.
    pub store: Option<StoreConfig>,
    /// Networks to sign in on, or patterns of them, the first best; any there is a key for if left out.
    pub networks: Option<Vec<NetworkPattern>>,
}

impl Default for SignInClientConfig {
    fn default() -> Self {
        Self { enabled: true, networks: None, store: None }
    }
}

impl Build for SignInClient {
    type Config = SignInClientConfig;
    const EXAMPLE: &'static str = r#"{ "enabled": true, "networks": ["eip155:*"] }"#;

    async fn build(config: SignInClientConfig, cx: BuildContext) -> Result<Self, String> {
        let tokens = match config.store {
            Some(store) => Some(store.open::<SharedTokens>("tokens", &cx).await?.into_inner()),
            None => None,
        };
        let this = Self::new(cx)?;
        let tokens = tokens.unwrap_or_else(|| this.tokens.clone());
        Ok(Self { enabled: config.enabled, networks: config.networks, tokens, ..this })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_read_from_strangers_with_care() {
        let read = |value: &str| read_token(value, 100);
        assert_eq!(read("abc; max-age=900"), Some(KeptToken::new("abc", 1000)));
        assert_eq!(read("abc;path=/x; max-age=1"), Some(KeptToken::new("abc", 101)));
        assert_eq!(read("abc"), Some(KeptToken::new("abc", 400)));
        assert_eq!(read("abc; max-age=99999999999"), Some(KeptToken::new("abc", 100 + LONGEST_LIFE)));
        for bad in ["", ";", "a b", "a,b", "abc; max-age=-1", "abc; max-age=soon", "é", &"a".repeat(2000)] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
