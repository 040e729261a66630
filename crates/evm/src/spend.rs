//! [`Spend`]: what gas has cost today, and the ceiling of it.
//!
//! What a transaction may cost at most is reserved before it is signed; its receipt says what it cost. A transaction
//! whose receipt nobody saw counts in full.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tollway_core::{Clock, Fault, FaultKind, NetworkId};

const DAY_SECONDS: u64 = 24 * 3600;

/// A network's spending on gas, in wei, since the process began and by days of UTC.
#[derive(Debug)]
pub(crate) struct Spend {
    network: NetworkId,
    clock: Arc<dyn Clock>,
    most: Option<u128>,
    today: Mutex<Today>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Today {
    day: u64,
    wei: u128,
}

/// Wei set aside for one transaction.
#[derive(Debug)]
pub(crate) struct Reserved {
    spend: Arc<Spend>,
    day: u64,
    wei: u128,
}

impl Spend {
    pub(crate) fn new(network: NetworkId, clock: Arc<dyn Clock>, most: Option<u128>) -> Self {
        Self { network, clock, most, today: Mutex::default() }
    }

    /// What is spent and set aside today.
    pub(crate) fn today(&self) -> u128 {
        self.at_now().wei
    }

    fn at_now(&self) -> MutexGuard<'_, Today> {
        let day = self.clock.now() / DAY_SECONDS;
        let mut today = self.today.lock().unwrap_or_else(PoisonError::into_inner);
        // A clock that goes back does not open a day twice.
        if day > today.day {
            *today = Today { day, wei: 0 };
        }
        today
    }

    /// Sets wei aside.
    ///
    /// # Errors
    /// The day's ceiling would be passed.
    pub(crate) fn reserve(self: &Arc<Self>, wei: u128) -> Result<Reserved, Fault> {
        let mut today = self.at_now();
        let sum = today.wei.checked_add(wei);
        let within = sum.filter(|sum| self.most.is_none_or(|most| *sum <= most));
        let Some(sum) = within else {
            let (network, spent, most) = (&self.network, today.wei, self.most.unwrap_or(u128::MAX));
            let message = format!(
                "{network}: {wei} wei of gas after today's {spent} pass maxSpendPerDay ({most}); wait for the next day \
                 (UTC), or raise maxSpendPerDay in the network's section"
            );
            return Err(Fault::new(FaultKind::Overloaded, message));
        };
        today.wei = sum;
        Ok(Reserved { spend: self.clone(), day: today.day, wei })
    }

    /// Counts wei that are spent whatever the ceiling.
    pub(crate) fn count(&self, wei: u128) {
        let mut today = self.at_now();
        today.wei = today.wei.saturating_add(wei);
    }
}

impl Reserved {
    /// Sets more aside, up to `wei` in all.
    ///
    /// # Errors
    /// The day's ceiling would be passed; what was set aside stays.
    pub(crate) fn cover(&mut self, wei: u128) -> Result<(), Fault> {
        let more = self.spend.reserve(wei.saturating_sub(self.wei))?;
        self.wei = self.wei.max(wei);
        self.day = more.day;
        Ok(())
    }

    /// Gives back all but what it cost.
    pub(crate) fn cost(self, wei: u128) {
        let mut today = self.spend.at_now();
        if today.day == self.day {
            today.wei = today.wei.saturating_sub(self.wei).saturating_add(wei);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

    #[derive(Debug, Default)]
    struct Watch(AtomicU64);

    impl Clock for Watch {
        fn now(&self) -> u64 {
            self.0.load(SeqCst)
        }
    }

    fn spend(most: u128) -> (Arc<Spend>, Arc<Watch>) {
        let clock = Arc::new(Watch(AtomicU64::new(20_000 * DAY_SECONDS + 5)));
        (Arc::new(Spend::new("eip155:8453".parse().unwrap(), clock.clone(), Some(most))), clock)
    }

    #[test]
    fn the_days_ceiling_holds_to_the_wei_and_names_its_key() {
        let (spend, clock) = spend(100);
        let first = spend.reserve(60).unwrap();
        let fault = spend.reserve(41).unwrap_err();
        assert_eq!((fault.kind, fault.retry), (FaultKind::Overloaded, true));
        assert!(fault.message.contains("raise maxSpendPerDay"), "{fault}");
        spend.reserve(40).unwrap();
        assert!(spend.reserve(u128::MAX).is_err(), "no overflow");
        // It cost less than it might have.
        first.cost(20);
        assert_eq!(spend.today(), 60);
        spend.reserve(40).unwrap();
        assert!(spend.reserve(1).is_err());
        clock.0.fetch_add(DAY_SECONDS, SeqCst);
        spend.reserve(100).unwrap();
    }

    #[test]
    fn more_for_the_same_transaction_is_held_to_the_ceiling_too() {
        let (spend, _) = spend(100);
        let mut held = spend.reserve(50).unwrap();
        assert!(held.cover(101).is_err());
        assert_eq!(spend.today(), 50);
        held.cover(100).unwrap();
        held.cover(70).unwrap();
        assert_eq!(spend.today(), 100);
        held.cost(0);
        assert_eq!(spend.today(), 0);
    }

    #[test]
    fn yesterdays_reserve_gives_nothing_back_today() {
        let (spend, clock) = spend(100);
        let held = spend.reserve(80).unwrap();
        clock.0.fetch_add(DAY_SECONDS, SeqCst);
        spend.reserve(30).unwrap();
        held.cost(1);
        assert_eq!(spend.today(), 30);
        clock.0.fetch_sub(2 * DAY_SECONDS, SeqCst);
        assert!(spend.reserve(71).is_err(), "a clock that goes back opens no new day");
    }
}
