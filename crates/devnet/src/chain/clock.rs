//! The chain's idea of now.

use std::fmt;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// Where a devnet reads the time: Unix seconds.
pub type TimeSource = Arc<dyn Fn() -> u64 + Send + Sync>;

/// The system's clock.
pub(crate) fn system_time() -> TimeSource {
    Arc::new(|| SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()))
}

/// A time source that can be set forward.
#[derive(Clone)]
pub(crate) struct Clock {
    source: TimeSource,
    /// Seconds between what the source says and what the chain believes.
    ahead: i128,
}

impl Clock {
    pub(crate) fn new(source: TimeSource) -> Self {
        Self { source, ahead: 0 }
    }

    pub(crate) fn now(&self) -> u64 {
        let now = i128::from((self.source)()) + self.ahead;
        u64::try_from(now.max(0)).unwrap_or(u64::MAX)
    }

    pub(crate) fn advance(&mut self, seconds: u64) {
        self.ahead = self.ahead.saturating_add(i128::from(seconds));
    }

    pub(crate) fn set(&mut self, timestamp: u64) {
        self.ahead = i128::from(timestamp) - i128::from((self.source)());
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clock").field("ahead", &self.ahead).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_moves_with_its_source_and_ahead_of_it() {
        let mut clock = Clock::new(Arc::new(|| 100));
        clock.advance(5);
        assert_eq!(clock.now(), 105);
        clock.set(90);
        assert_eq!(clock.now(), 90);
        clock.advance(u64::MAX);
        assert_eq!(clock.now(), u64::MAX);
    }
}
