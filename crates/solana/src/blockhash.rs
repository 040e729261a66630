//! Recent blockhashes for offers: kept, renewed in the background, never waited for by a request.

use crate::rpc::{Blockhash, Rpc};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Age at which a blockhash is renewed.
const RENEW: Duration = Duration::from_secs(5);
/// Age at which it is no longer handed out: of the 60 to 90 seconds it lives, the client needs most.
const STALE: Duration = Duration::from_secs(20);
/// Pause after a failed attempt.
const PAUSE: Duration = Duration::from_secs(1);

/// The newest blockhash a node told.
#[derive(Debug)]
pub(crate) struct Blockhashes {
    rpc: Rpc,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    newest: Option<(Blockhash, Instant)>,
    /// When the attempt under way, or the last one that failed, began.
    attempt: Option<Instant>,
}

/// How long an attempt may be under way before it is taken for lost, with the runtime it ran on.
const LOST: Duration = Duration::from_secs(60);

impl Blockhashes {
    pub(crate) fn new(rpc: Rpc) -> Self {
        Self { rpc, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change below is complete before anything can panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A blockhash fresh enough to build on, if there is one at hand. Sees to it that the next caller finds a newer one.
    pub(crate) fn hint(self: &Arc<Self>) -> Option<Blockhash> {
        let now = Instant::now();
        let mut state = self.state();
        let age = state.newest.as_ref().map(|(_, since)| now.duration_since(*since));
        let wanted = age.is_none_or(|age| age >= RENEW);
        let free = state.attempt.is_none_or(|began| now.duration_since(began) >= LOST);
        // Outside a runtime nobody can be asked in the background.
        if wanted
            && free
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            state.attempt = Some(now);
            let this = self.clone();
            runtime.spawn(async move { this.renew().await });
        }
        state.newest.as_ref().filter(|_| age.is_some_and(|age| age < STALE)).map(|(newest, _)| newest.clone())
    }

    async fn renew(&self) {
        // The age counts from the question: the answer may have been on its way for long.
        let asked = Instant::now();
        match self.rpc.latest_blockhash().await {
            Ok(newest) => {
                let mut state = self.state();
                state.newest = Some((newest, asked));
                state.attempt = None;
            }
            Err(why) => {
                tracing::warn!(network = %self.rpc.network(), %why, "no new blockhash for offers could be had");
                tokio::time::sleep(PAUSE).await;
                self.state().attempt = None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test::{Script, rpc_over};
    use serde_json::json;

    fn answering() -> (Arc<Blockhashes>, Script) {
        let script = Script::default();
        let mut height = 100;
        script.on("getLatestBlockhash", move |_| {
            height += 1;
            Ok(json!({ "context": { "slot": 1 }, "value": { "blockhash": height.to_string(), "lastValidBlockHeight": height } }))
        });
        (Arc::new(Blockhashes::new(rpc_over(script.clone()))), script)
    }

    #[tokio::test(start_paused = true)]
    async fn hints_are_kept_and_renewed_in_the_background() {
        let (hashes, script) = answering();
        assert_eq!(hashes.hint(), None, "nobody waits for the first");
        assert_eq!(hashes.hint(), None);
        tokio::task::yield_now().await;
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert_eq!(hashes.hint().unwrap().last_valid_block_height, 101);
        assert_eq!(script.calls("getLatestBlockhash"), 1, "one attempt at a time, and none while it is fresh");
        tokio::time::advance(RENEW).await;
        assert_eq!(hashes.hint().unwrap().last_valid_block_height, 101, "still good");
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert_eq!(hashes.hint().unwrap().last_valid_block_height, 102);
        tokio::time::advance(STALE).await;
        assert_eq!(hashes.hint(), None, "too old to build on");
    }

    #[tokio::test(start_paused = true)]
    async fn a_node_that_fails_is_asked_again_after_a_pause() {
        let (hashes, script) = answering();
        script.on("getLatestBlockhash", |_| Err((-32005, "behind".to_owned())));
        for _ in 0..100 {
            assert_eq!(hashes.hint(), None);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let asked = script.calls("getLatestBlockhash");
        assert!((9..=11).contains(&asked), "{asked}");
    }

    #[test]
    fn without_a_runtime_there_is_no_hint_and_no_harm() {
        assert_eq!(answering().0.hint(), None);
    }
}
