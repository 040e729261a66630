//! [`FakeClock`]: the hour is whatever the test says.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tollway_core::Clock;

/// A clock that stands still until it is told otherwise. Clones of the `Arc` tell the same time.
///
/// ```
/// use tollway_core::Clock;
/// use tollway_testkit::FakeClock;
///
/// let clock = FakeClock::new();
/// clock.advance(60);
/// assert_eq!(clock.now(), FakeClock::START + 60);
/// ```
#[derive(Debug)]
pub struct FakeClock {
    now: AtomicU64,
}

impl FakeClock {
    /// Where a new clock stands: 2025-06-15, some hour. A date inside the life of every golden payment.
    pub const START: u64 = 1_750_000_000;

    /// A clock at [`START`](Self::START).
    pub fn new() -> Arc<Self> {
        Self::at(Self::START)
    }

    /// A clock at a time, in Unix seconds.
    pub fn at(seconds: u64) -> Arc<Self> {
        Arc::new(Self { now: AtomicU64::new(seconds) })
    }

    /// Sets the time, forwards or backwards.
    pub fn set(&self, seconds: u64) {
        self.now.store(seconds, Ordering::SeqCst);
    }

    /// Lets time pass.
    pub fn advance(&self, seconds: u64) {
        self.now.fetch_add(seconds, Ordering::SeqCst);
    }
}

impl Clock for FakeClock {
    fn now(&self) -> u64 {
        self.now.load(Ordering::SeqCst)
    }
}
