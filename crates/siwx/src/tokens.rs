//! [`TokenStore`]: the session tokens a client was given.

use async_trait::async_trait;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tollway_core::{Build, BuildContext, Fault, NoConfig};

/// Most tokens kept for one origin: as many as a server looks at.
pub(crate) const MAX_TOKENS: usize = 8;
/// Most origins in memory.
const MAX_ORIGINS: usize = 1024;

/// A token, and until when to show it.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeptToken {
    /// The token as the server gave it.
    pub token: String,
    /// The Unix second from which on it is of no use.
    pub until: u64,
}

impl KeptToken {
    /// A token.
    pub fn new(token: impl Into<String>, until: u64) -> Self {
        Self { token: token.into(), until }
    }
}

impl fmt::Debug for KeptToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the token: who has it is let in.
        f.debug_struct("KeptToken").field("until", &self.until).finish_non_exhaustive()
    }
}

/// Keeps session tokens, by origin. Whoever reads the store can use the sessions: keep it as secret as cookies.
#[async_trait]
pub trait TokenStore: Send + Sync {
    /// Keeps a token of an origin. At least the newest eight are kept.
    ///
    /// # Errors
    /// The store cannot be reached. The session is opened by a signature next time.
    async fn keep(&self, origin: &str, token: &KeptToken) -> Result<(), Fault>;

    /// The tokens of an origin that have not ended, the newest first.
    ///
    /// # Errors
    /// As [`keep`](Self::keep).
    async fn of(&self, origin: &str, now: u64) -> Result<Vec<KeptToken>, Fault>;
}

/// The type under which stores of tokens are registered (`registrar.store::<MyTokens, SharedTokens>("tokens/…")`).
#[derive(Clone)]
pub struct SharedTokens(Arc<dyn TokenStore>);

impl SharedTokens {
    /// Any store.
    pub fn new(store: impl TokenStore + 'static) -> Self {
        Self(Arc::new(store))
    }

    /// The store.
    pub fn into_inner(self) -> Arc<dyn TokenStore> {
        self.0
    }
}

impl fmt::Debug for SharedTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedTokens").finish_non_exhaustive()
    }
}

/// Tokens in this process: at most eight of each origin, and of at most 1024 origins.
#[derive(Default)]
pub struct MemoryTokens(Mutex<HashMap<String, Vec<KeptToken>>>);

impl fmt::Debug for MemoryTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryTokens").finish_non_exhaustive()
    }
}

impl MemoryTokens {
    fn kept(&self) -> MutexGuard<'_, HashMap<String, Vec<KeptToken>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Build for MemoryTokens {
    type Config = NoConfig;

    async fn build(_: NoConfig, _: BuildContext) -> Result<Self, String> {
        Ok(Self::default())
    }
}

impl From<MemoryTokens> for SharedTokens {
    fn from(store: MemoryTokens) -> Self {
        Self::new(store)
    }
}

#[async_trait]
impl TokenStore for MemoryTokens {
    async fn keep(&self, origin: &str, token: &KeptToken) -> Result<(), Fault> {
        let mut kept = self.kept();
        if kept.len() >= MAX_ORIGINS && !kept.contains_key(origin) {
            // The origin whose last token ends first has the least to lose.
            let last = |tokens: &Vec<KeptToken>| tokens.iter().map(|token| token.until).max();
            let first = kept.iter().min_by_key(|(_, tokens)| last(tokens)).map(|(origin, _)| origin.clone());
            first.and_then(|first| kept.remove(&first));
        }
        let tokens = kept.entry(origin.to_owned()).or_default();
        tokens.retain(|known| known.token != token.token);
        tokens.insert(0, token.clone());
        tokens.truncate(MAX_TOKENS);
        Ok(())
    }

    async fn of(&self, origin: &str, now: u64) -> Result<Vec<KeptToken>, Fault> {
        let mut kept = self.kept();
        let Some(tokens) = kept.get_mut(origin) else { return Ok(Vec::new()) };
        tokens.retain(|token| token.until > now);
        let live = tokens.clone();
        if live.is_empty() {
            kept.remove(origin);
        }
        Ok(live)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tollway_testkit::block_on;

    fn texts(store: &MemoryTokens, origin: &str, now: u64) -> Vec<String> {
        block_on(store.of(origin, now)).unwrap().into_iter().map(|kept| kept.token).collect()
    }

    #[test]
    fn tokens_are_kept_by_origin_and_until_they_end() {
        let store = MemoryTokens::default();
        for (origin, token, until) in
            [("https://a.test", "a1", 10), ("https://a.test", "a2", 20), ("https://b.test", "b", 10)]
        {
            block_on(store.keep(origin, &KeptToken::new(token, until))).unwrap();
        }
        assert_eq!(texts(&store, "https://a.test", 9), ["a2", "a1"]);
        assert_eq!(texts(&store, "https://a.test", 10), ["a2"]);
        assert_eq!(texts(&store, "https://a.test.evil", 1), [""; 0]);
        assert_eq!(texts(&store, "https://b.test", 1), ["b"]);
    }

    #[test]
    fn memory_is_bounded() {
        let store = MemoryTokens::default();
        for n in 0..20 {
            block_on(store.keep("https://a.test", &KeptToken::new(format!("t{n}"), 1000))).unwrap();
        }
        assert_eq!(texts(&store, "https://a.test", 1).len(), MAX_TOKENS);
        for n in 0..MAX_ORIGINS as u64 {
            block_on(store.keep(&format!("https://{n}.test"), &KeptToken::new("t", 500 + n))).unwrap();
        }
        assert_eq!(store.kept().len(), MAX_ORIGINS);
        assert_eq!(texts(&store, "https://0.test", 1).len(), 0, "the one that ends first made room");
        assert_eq!(texts(&store, "https://a.test", 1).len(), MAX_TOKENS);
    }

    #[test]
    fn debug_shows_no_token() {
        assert!(!format!("{:?}", KeptToken::new("canary", 1)).contains("canary"));
    }
}
