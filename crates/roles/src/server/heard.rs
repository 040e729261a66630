//! What the facilitators said last, and whose turn it is to be asked again.

use super::live::Live;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::time::Instant;
use tollway_core::SupportedResponse;

/// Pause before a facilitator that never answered is asked again.
const RETRY_PAUSE: Duration = Duration::from_secs(1);
/// Pause before a facilitator is asked again whose last answer is still there to be used.
const RETRY_KNOWN_PAUSE: Duration = Duration::from_secs(30);
/// Age at which what a facilitator said is asked again.
const REFRESH_AFTER: Duration = Duration::from_secs(600);

/// Longest pause before a facilitator is asked again that failed.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// The present state and the means to renew it.
pub(super) struct LiveCell {
    now: RwLock<State>,
    /// Serialises making offers, so that what was heard last counts.
    pub(super) making: tokio::sync::Mutex<()>,
}

pub(super) struct State {
    pub(super) live: Option<Arc<Live>>,
    /// Whether what was heard so far shows a mistake in the configuration, and there is no present state for it.
    pub(super) mistaken: bool,
    /// Facilitator by facilitator, in the order configured.
    pub(super) heard: Vec<Heard>,
}

impl State {
    /// Notes that a route cannot work with what they said: it may be another thing soon.
    pub(super) fn useless(&mut self) {
        self.mistaken = self.live.is_none();
        self.heard.iter_mut().for_each(Heard::put_off);
    }
}

/// What one facilitator said last, and when to ask it again.
#[derive(Clone)]
pub(super) struct Heard {
    pub(super) said: Option<Arc<SupportedResponse>>,
    due: Instant,
    /// How often in a row a payment found it wanting: each time it is asked later whether it is back.
    strikes: u32,
}

impl Heard {
    fn unheard() -> Self {
        Self { said: None, due: Instant::now(), strikes: 0 }
    }

    /// Notes what it said.
    pub(super) fn answered(&mut self, said: SupportedResponse) {
        self.said = Some(Arc::new(said));
        self.due = after(REFRESH_AFTER);
    }

    /// A payment found it well.
    pub(super) fn acquit(&mut self) {
        self.strikes = 0;
    }

    /// Whether a payment found it wanting, and none has found it well since.
    pub(super) fn is_suspect(&self) -> bool {
        self.strikes > 0
    }

    /// Notes an attempt, of which nothing may come: what was said before still counts.
    pub(super) fn put_off(&mut self) {
        self.due = after(match (&self.said, self.strikes) {
            (None, _) => RETRY_PAUSE,
            (Some(_), 0) => RETRY_KNOWN_PAUSE,
            (Some(_), strikes) => pause_after(strikes),
        });
    }

    /// Notes that it did not answer.
    pub(super) fn silent(&mut self) {
        self.put_off();
        if self.is_suspect() {
            self.strikes = self.strikes.saturating_add(1);
        }
    }

    /// Notes that a payment found it wanting.
    pub(super) fn strike(&mut self) {
        let soon = after(pause_after(self.strikes));
        if soon < self.due {
            self.due = soon;
            self.strikes = self.strikes.saturating_add(1);
        }
    }
}

/// 1, 2, 4 … seconds.
pub(super) fn pause_after(strikes: u32) -> Duration {
    RETRY_PAUSE.saturating_mul(1u32.checked_shl(strikes).unwrap_or(u32::MAX)).min(LONGEST_PAUSE)
}

fn after(pause: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(pause).unwrap_or(now)
}

impl LiveCell {
    /// For so many facilitators, all of which are still to be asked.
    pub(super) fn new(facilitators: usize) -> Self {
        let heard = vec![Heard::unheard(); facilitators];
        let state = State { live: None, mistaken: false, heard };
        Self { now: RwLock::new(state), making: Default::default() }
    }

    pub(super) fn read<T>(&self, read: impl FnOnce(&State) -> T) -> T {
        // What changes here is whole whatever panics elsewhere.
        read(&self.now.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.now.write().unwrap_or_else(PoisonError::into_inner))
    }

    /// The present state, and whether some facilitator is to be asked again.
    pub(super) fn get(&self) -> (Option<Arc<Live>>, bool) {
        let now = Instant::now();
        self.read(|state| (state.live.clone(), state.heard.iter().any(|heard| heard.due <= now)))
    }

    /// Whose turn it is to be asked. Noted as an attempt, so that nobody else asks, and that one nobody sees the end of
    /// is an attempt too.
    pub(super) fn take_due(&self) -> Vec<usize> {
        let now = Instant::now();
        self.change(|state| {
            let due = state.heard.iter_mut().enumerate().filter(|(_, heard)| heard.due <= now);
            due.map(|(position, heard)| (position, heard.put_off()).0).collect()
        })
    }
}
