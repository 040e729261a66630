//! How each facilitator is doing: a breaker, and how long its verdicts take. All five selectors share it.

use serde::Deserialize;
use std::num::{NonZeroU32, NonZeroU64};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tollway_core::{CallEvent, FacilitatorCall, Fault, FaultKind};

/// Bad answers in a row after which a facilitator is passed over, unless configured otherwise.
const FAILURES: NonZeroU32 = NonZeroU32::new(3).expect("3 is not zero");
/// Patience with a facilitator whose speed is not known yet.
const PATIENCE: Duration = Duration::from_secs(1);
/// Least and most patience learnt.
const PATIENCES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));
/// Patience learnt is so many times the usual time.
const TIMES_USUAL: u32 = 4;
/// Each verdict counts for one part in so many of what is usual.
const MEMORY: u32 = 8;

/// When a facilitator counts as failed, and how long one is waited for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
#[non_exhaustive]
pub struct HealthConfig {
    /// Bad or late answers in a row after which a facilitator is passed over until it is back; 3 if left out. One that cannot be
    /// reached, or does not answer at all, is passed over at once.
    pub failures: Option<NonZeroU32>,
    /// Milliseconds after which another facilitator is asked to verify beside one that has not answered. If left out, it
    /// is learnt: four times what is usual, between 100 and 5000, and 1000 as long as nothing is known.
    pub hedge_after_ms: Option<NonZeroU64>,
}

/// The state of one facilitator's breaker.
///
/// What opens it is a call that failed. It is half open from the moment the facilitator answers again what it supports,
/// which the engine asks in the background; then one payment at a time tries it. A good answer to what it failed at
/// closes it for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Breaker {
    Closed,
    Open,
    /// So many calls are trying it.
    HalfOpen(u32),
}

/// One facilitator.
#[derive(Debug, Clone, Copy)]
struct Record {
    breaker: Breaker,
    /// What it failed at when the breaker opened last. Who verifies and cannot settle is not back with a verdict.
    failed_at: FacilitatorCall,
    /// Bad verdicts in a row, and bad settlements in a row, whatever verdicts came between.
    bad: [u32; 2],
    /// How long a verdict usually takes.
    usual: Option<Duration>,
}

impl Record {
    const NEW: Self = Self { breaker: Breaker::Closed, failed_at: FacilitatorCall::Verify, bad: [0; 2], usual: None };

    fn available(&self) -> bool {
        matches!(self.breaker, Breaker::Closed | Breaker::HalfOpen(0))
    }

    fn observe(&mut self, call: FacilitatorCall, event: CallEvent<'_>, most: u32) {
        let tries = call == self.failed_at;
        let bad = match call {
            // Not to hear what it supports is no reason to pass over who verifies and settles.
            FacilitatorCall::Supported => {
                if let (Breaker::Open, CallEvent::Answered(_)) = (self.breaker, event) {
                    self.breaker = Breaker::HalfOpen(0);
                }
                return;
            }
            FacilitatorCall::Verify => &mut self.bad[0],
            FacilitatorCall::Settle => &mut self.bad[1],
        };
        match event {
            CallEvent::Answered(took) => {
                *bad = 0;
                if tries || call == FacilitatorCall::Settle {
                    self.breaker = Breaker::Closed;
                }
                if call == FacilitatorCall::Verify {
                    self.usual = Some(match self.usual {
                        Some(usual) => (usual.saturating_mul(MEMORY - 1).saturating_add(took)) / MEMORY,
                        None => took,
                    });
                }
            }
            CallEvent::Failed(_) | CallEvent::Late => {
                *bad = bad.saturating_add(1);
                let gone = matches!(event, CallEvent::Failed(why) if is_gone(why));
                if gone || *bad >= most || self.breaker != Breaker::Closed {
                    self.breaker = Breaker::Open;
                    self.failed_at = call;
                }
            }
            CallEvent::Asked => self.try_out(tries, |trying| trying.saturating_add(1)),
            CallEvent::Dropped => self.try_out(tries, |trying| trying.saturating_sub(1)),
            _ => {}
        }
    }

    fn try_out(&mut self, tries: bool, change: fn(u32) -> u32) {
        if let Breaker::HalfOpen(trying) = &mut self.breaker
            && tries
        {
            *trying = change(*trying);
        }
    }
}

/// Whether nobody answered at all. What was answered badly may be the payment's fault.
fn is_gone(why: &Fault) -> bool {
    matches!(why.kind, FaultKind::Unreachable | FaultKind::Timeout)
}

/// All facilitators of an engine, by their place in its configuration.
#[derive(Debug)]
pub(crate) struct Health {
    config: HealthConfig,
    records: Mutex<Vec<Record>>,
}

impl Health {
    pub(crate) fn new(config: HealthConfig) -> Self {
        Self { config, records: Mutex::default() }
    }

    fn records(&self) -> MutexGuard<'_, Vec<Record>> {
        // Whatever panicked elsewhere, every record is whole.
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn available(&self, position: usize) -> bool {
        self.records().get(position).is_none_or(Record::available)
    }

    /// How long a verdict usually takes; `None` as long as nobody knows.
    pub(crate) fn usual(&self, position: usize) -> Option<Duration> {
        self.records().get(position).and_then(|record| record.usual)
    }

    pub(crate) fn patience(&self, position: usize) -> Duration {
        if let Some(fixed) = self.config.hedge_after_ms {
            return Duration::from_millis(fixed.get());
        }
        let (least, most) = PATIENCES;
        self.usual(position).map_or(PATIENCE, |usual| usual.saturating_mul(TIMES_USUAL).clamp(least, most))
    }

    pub(crate) fn observe(&self, position: usize, call: FacilitatorCall, event: CallEvent<'_>) {
        let mut records = self.records();
        if records.len() <= position {
            records.resize(position.saturating_add(1), Record::NEW);
        }
        records[position].observe(call, event, self.config.failures.unwrap_or(FAILURES).get());
    }
}

/// The methods of [`FacilitatorSelector`](tollway_core::FacilitatorSelector) that all selectors here share. The selector
/// has a field `health`.
macro_rules! by_health {
    () => {
        fn available(&self, position: usize) -> bool {
            self.health.available(position)
        }

        fn patience(&self, position: usize) -> Option<std::time::Duration> {
            Some(self.health.patience(position))
        }

        fn observe(&self, position: usize, call: tollway_core::FacilitatorCall, event: tollway_core::CallEvent<'_>) {
            self.health.observe(position, call, event);
        }
    };
}
pub(crate) use by_health;

#[cfg(test)]
mod tests {
    use super::*;
    use FacilitatorCall::{Settle, Supported, Verify};
    use proptest::prelude::*;

    const ANSWERED: CallEvent<'_> = CallEvent::Answered(Duration::from_millis(10));

    fn health() -> Health {
        Health::new(HealthConfig::default())
    }

    fn fails(health: &Health, call: FacilitatorCall, kind: FaultKind) {
        health.observe(0, call, CallEvent::Asked);
        health.observe(0, call, CallEvent::Failed(&Fault::new(kind, "test")));
    }

    #[test]
    fn who_cannot_be_reached_is_passed_over_at_once() {
        for kind in [FaultKind::Unreachable, FaultKind::Timeout] {
            let health = health();
            assert!(health.available(0));
            fails(&health, Verify, kind);
            assert!(!health.available(0));
            assert!(health.available(1), "the others are not concerned");
        }
    }

    #[test]
    fn a_bad_answer_may_be_the_payments_fault_three_are_not() {
        let health = health();
        for _ in 0..2 {
            fails(&health, Verify, FaultKind::Invalid);
            assert!(health.available(0));
        }
        health.observe(0, Verify, ANSWERED);
        for _ in 0..2 {
            fails(&health, Settle, FaultKind::Invalid);
            health.observe(0, Verify, ANSWERED);
        }
        assert!(health.available(0), "counted in a row");
        fails(&health, Settle, FaultKind::Invalid);
        assert!(!health.available(0), "whatever verdicts came between");
    }

    #[test]
    fn who_verifies_and_cannot_settle_is_not_back_with_a_verdict() {
        let health = health();
        fails(&health, Settle, FaultKind::Timeout);
        health.observe(0, Verify, ANSWERED);
        assert!(!health.available(0));
        health.observe(0, Supported, ANSWERED);
        assert!(health.available(0));
        health.observe(0, Verify, ANSWERED);
        health.observe(0, Settle, CallEvent::Asked);
        assert!(!health.available(0), "one is trying");
        fails(&health, Settle, FaultKind::Invalid);
        assert!(!health.available(0));
        health.observe(0, Settle, ANSWERED);
        assert!(health.available(0));
    }

    #[test]
    fn who_is_late_again_and_again_is_passed_over() {
        let health = health();
        for _ in 0..3 {
            assert!(health.available(0));
            health.observe(0, Verify, CallEvent::Asked);
            health.observe(0, Verify, CallEvent::Late);
            health.observe(0, Verify, CallEvent::Dropped);
        }
        assert!(!health.available(0));
        health.observe(0, Supported, ANSWERED);
        health.observe(0, Verify, CallEvent::Asked);
        health.observe(0, Verify, CallEvent::Late);
        health.observe(0, Verify, CallEvent::Dropped);
        assert!(!health.available(0), "once is enough for who was only tried");
    }

    #[test]
    fn one_payment_at_a_time_tries_who_is_back() {
        let health = health();
        fails(&health, Verify, FaultKind::Timeout);
        fails(&health, Supported, FaultKind::Timeout);
        assert!(!health.available(0));
        health.observe(0, Supported, CallEvent::Asked);
        health.observe(0, Supported, ANSWERED);
        assert!(health.available(0));
        health.observe(0, Verify, CallEvent::Asked);
        assert!(!health.available(0), "one is trying");
        health.observe(0, Verify, CallEvent::Dropped);
        assert!(health.available(0), "it left; the next may try");
        fails(&health, Verify, FaultKind::Invalid);
        assert!(!health.available(0), "one failure is enough now");
        health.observe(0, Supported, ANSWERED);
        health.observe(0, Verify, CallEvent::Asked);
        health.observe(0, Verify, ANSWERED);
        fails(&health, Verify, FaultKind::Invalid);
        assert!(health.available(0), "closed: back to three");
    }

    #[test]
    fn not_to_hear_what_it_supports_is_no_failure() {
        let health = health();
        for _ in 0..10 {
            fails(&health, Supported, FaultKind::Timeout);
        }
        assert!(health.available(0));
    }

    #[test]
    fn patience_is_learnt_and_bounded() {
        let health = health();
        assert_eq!(health.patience(0), PATIENCE);
        health.observe(0, Verify, CallEvent::Answered(Duration::from_millis(200)));
        assert_eq!(health.patience(0), Duration::from_millis(800));
        health.observe(0, Verify, CallEvent::Answered(Duration::from_millis(1000)));
        assert_eq!(health.usual(0), Some(Duration::from_millis(300)));
        health.observe(1, Verify, CallEvent::Answered(Duration::from_secs(80)));
        health.observe(2, Verify, CallEvent::Answered(Duration::ZERO));
        health.observe(2, Settle, CallEvent::Answered(Duration::from_secs(80)));
        assert_eq!((health.patience(1), health.patience(2)), (PATIENCES.1, PATIENCES.0));
        let fixed = HealthConfig { hedge_after_ms: NonZeroU64::new(7), ..HealthConfig::default() };
        assert_eq!(Health::new(fixed).patience(0), Duration::from_millis(7));
    }

    fn event() -> impl Strategy<Value = (FacilitatorCall, u8)> {
        (prop_oneof![Just(Supported), Just(Verify), Just(Settle)], 0u8..5)
    }

    proptest! {
        /// Whatever happened before, an answer about what it supports and a verdict bring a facilitator back, and a
        /// failure to reach it takes it out.
        #[test]
        fn no_state_is_a_trap(events in proptest::collection::vec(event(), 0..40)) {
            let health = health();
            let bad = [Fault::new(FaultKind::Invalid, "test"), Fault::new(FaultKind::Unreachable, "test")];
            for (call, event) in events {
                let event = match event {
                    0 => CallEvent::Asked,
                    1 => ANSWERED,
                    2 => CallEvent::Dropped,
                    at => CallEvent::Failed(&bad[usize::from(at) - 3]),
                };
                health.observe(0, call, event);
            }
            let before = health;
            before.observe(0, Verify, CallEvent::Failed(&bad[1]));
            prop_assert!(!before.available(0));
            before.observe(0, Supported, ANSWERED);
            prop_assert!(before.available(0));
            before.observe(0, Verify, ANSWERED);
            before.observe(0, Verify, CallEvent::Failed(&bad[0]));
            prop_assert!(before.available(0));
        }
    }
}
