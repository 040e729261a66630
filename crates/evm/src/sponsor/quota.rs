//! [`Quota`]: how much an operator sponsors in a day.
//!
//! A sponsored payment is one that does more on the facilitator's gas than move money: give Permit2 its allowance, or
//! make the payer's wallet. Each payer has so many of them a day, and all together so much gas. What is counted is the
//! most gas a payment may take, not what it took, so the count is never too low. It is kept in memory and ends with the
//! day (UTC) or the process.

use alloy::primitives::Address;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tollway_core::{Clock, ErrorCode, Rejected};

/// Seconds of a day.
const DAY: u64 = 86_400;
/// Gas that any transaction takes. No payer is counted for less, so the gas of a day bounds the memory of it.
const LEAST_GAS: u64 = 21_000;

/// What a day may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Allowed {
    /// Sponsored payments of one payer.
    pub(crate) payments: u32,
    /// Gas of all of them.
    pub(crate) gas: u64,
}

/// Enough for a payment every seven minutes of one payer, and at the usual most of gas for ten thousand of all.
pub(crate) const ALLOWED: Allowed = Allowed { payments: 200, gas: 5_000_000_000 };

/// What is allowed, and what is taken of it.
#[derive(Debug)]
pub(crate) struct Quota {
    allowed: Allowed,
    clock: Arc<dyn Clock>,
    today: Mutex<Today>,
}

/// What a day has taken so far.
#[derive(Debug, Default)]
struct Today {
    /// Days since 1970.
    day: u64,
    gas: u64,
    payers: HashMap<Address, u32>,
}

impl Quota {
    pub(crate) fn new(allowed: Allowed, clock: Arc<dyn Clock>) -> Self {
        Self { allowed, clock, today: Mutex::default() }
    }

    fn today(&self) -> MutexGuard<'_, Today> {
        let mut today = self.today.lock().unwrap_or_else(PoisonError::into_inner);
        let day = self.clock.now() / DAY;
        // A clock that goes back gives nobody a second day.
        if day > today.day {
            *today = Today { day, ..Today::default() };
        }
        today
    }

    /// Whether a payment, if it is a sponsored one, would be carried out now. `code` says what its payer lacks.
    ///
    /// # Errors
    /// The day's payments of this payer, or the day's gas, are taken.
    pub(crate) fn room(&self, sponsored: bool, payer: Address, code: ErrorCode) -> Result<(), Rejected> {
        if sponsored { self.fits(&self.today(), payer, LEAST_GAS, code) } else { Ok(()) }
    }

    fn fits(&self, today: &Today, payer: Address, gas: u64, code: ErrorCode) -> Result<(), Rejected> {
        let refuse = |why: &str| Err(Rejected::new(code).because(why).payer(payer.to_checksum(None)));
        if today.payers.get(&payer).copied().unwrap_or_default() >= self.allowed.payments {
            return refuse("this payer was sponsored as often as one is in a day; pay for that transaction yourself");
        }
        if today.gas.saturating_add(gas) > self.allowed.gas {
            tracing::warn!(
                gas = today.gas,
                most = self.allowed.gas,
                "the gas of a day for sponsored payments is taken"
            );
            return refuse("this facilitator sponsors no more today; pay for that transaction yourself");
        }
        Ok(())
    }

    /// Takes a payment, if it is a sponsored one, and its gas out of the day. They are given back when what is returned
    /// is dropped without having been [`spent`](Share::spent).
    ///
    /// # Errors
    /// As [`room`](Self::room).
    pub(crate) fn take(
        &self,
        sponsored: bool,
        payer: Address,
        gas: u64,
        code: ErrorCode,
    ) -> Result<Share<'_>, Rejected> {
        if !sponsored {
            return Ok(Share(None));
        }
        let gas = gas.max(LEAST_GAS);
        let mut today = self.today();
        self.fits(&today, payer, gas, code)?;
        today.gas = today.gas.saturating_add(gas);
        let count = today.payers.entry(payer).or_default();
        *count = count.saturating_add(1);
        Ok(Share(Some(Taken { quota: self, day: today.day, payer, gas })))
    }

    fn give_back(&self, taken: &Taken<'_>) {
        let mut today = self.today();
        if today.day != taken.day {
            return;
        }
        today.gas = today.gas.saturating_sub(taken.gas);
        if let Entry::Occupied(mut count) = today.payers.entry(taken.payer) {
            match *count.get() {
                0 | 1 => drop(count.remove()),
                more => *count.get_mut() = more - 1,
            }
        }
    }
}

/// A payment's part of its day; nothing, where it is not sponsored.
#[derive(Debug)]
#[must_use]
pub(crate) struct Share<'a>(Option<Taken<'a>>);

#[derive(Debug)]
struct Taken<'a> {
    quota: &'a Quota,
    day: u64,
    payer: Address,
    gas: u64,
}

impl Share<'_> {
    /// Says that something was sent.
    pub(crate) fn spent(mut self) {
        self.0 = None;
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        if let Some(taken) = &self.0 {
            taken.quota.give_back(taken);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

    #[derive(Debug, Default)]
    struct Hours(AtomicU64);

    impl Clock for Hours {
        fn now(&self) -> u64 {
            self.0.load(SeqCst) * 3600
        }
    }

    const CODE: ErrorCode = ErrorCode::new("no");

    fn quota(payments: u32, gas: u64) -> (Quota, Arc<Hours>) {
        let hours = Arc::new(Hours(AtomicU64::new(480_000)));
        (Quota::new(Allowed { payments, gas }, hours.clone()), hours)
    }

    fn payer(number: u8) -> Address {
        Address::repeat_byte(number)
    }

    fn spend(quota: &Quota, number: u8, gas: u64) -> bool {
        quota.take(true, payer(number), gas, CODE).map(Share::spent).is_ok()
    }

    #[test]
    fn one_payer_has_so_many_a_day_and_others_theirs() {
        let (quota, hours) = quota(2, 1_000_000);
        assert!(spend(&quota, 1, 50_000) && spend(&quota, 1, 50_000));
        let refused = quota.take(true, payer(1), 50_000, CODE).map(Share::spent).unwrap_err();
        assert_eq!((refused.code, refused.payer), (CODE, Some(payer(1).to_checksum(None))));
        assert!(quota.room(true, payer(1), CODE).is_err() && quota.room(true, payer(2), CODE).is_ok());
        assert!(spend(&quota, 2, 50_000));
        quota.take(false, payer(1), 50_000, CODE).map(Share::spent).unwrap();
        hours.0.fetch_add(23, SeqCst);
        assert!(!spend(&quota, 1, 50_000));
        hours.0.fetch_add(1, SeqCst);
        assert!(spend(&quota, 1, 50_000));
        // A clock that is set back does not bring another day.
        hours.0.fetch_sub(24, SeqCst);
        assert!(spend(&quota, 1, 50_000) && !spend(&quota, 1, 50_000));
    }

    #[test]
    fn all_payers_together_have_so_much_gas() {
        let (quota, hours) = quota(100, 100_000);
        assert!(spend(&quota, 1, 60_000) && !spend(&quota, 2, 40_001) && spend(&quota, 3, 40_000));
        assert!(quota.room(true, payer(4), CODE).is_err() && quota.room(false, payer(4), CODE).is_ok());
        hours.0.fetch_add(24, SeqCst);
        assert!(spend(&quota, 2, 40_001));
    }

    #[test]
    fn zero_sponsors_nobody() {
        assert!(!spend(&quota(0, u64::MAX).0, 1, 1));
        assert!(!spend(&quota(1, 0).0, 1, 1));
    }

    #[test]
    fn what_was_not_sent_is_given_back_to_its_own_day() {
        let (quota, hours) = quota(1, 100_000);
        drop(quota.take(true, payer(1), 90_000, CODE).unwrap());
        assert!(quota.today().payers.is_empty() && quota.today().gas == 0);
        let yesterdays = quota.take(true, payer(1), 90_000, CODE).unwrap();
        hours.0.fetch_add(24, SeqCst);
        assert!(spend(&quota, 1, 90_000));
        drop(yesterdays);
        assert!(!spend(&quota, 1, 1), "today's own is still taken");
    }

    #[test]
    fn twenty_thousand_payers_do_not_fill_the_memory() {
        let (quota, _) = quota(1, 21_000 * 1000);
        let taken = (0..20_000u32).filter(|number| {
            let payer = Address::left_padding_from(&number.to_be_bytes());
            quota.take(true, payer, 1, CODE).map(Share::spent).is_ok()
        });
        assert_eq!(taken.count(), 1000);
        assert_eq!(quota.today().payers.len(), 1000);
    }

    proptest! {
        #[test]
        fn no_day_takes_more_than_is_allowed(
            payments in 0u32..4,
            most in 0u64..400_000,
            orders in proptest::collection::vec((0u8..4, 0u64..100_000, any::<bool>()), 0..60),
        ) {
            let (quota, _) = quota(payments, most);
            for (number, gas, sent) in orders {
                if let Ok(share) = quota.take(true, payer(number), gas, CODE) && sent {
                    share.spent();
                }
                let today = quota.today();
                prop_assert!(today.gas <= most);
                prop_assert!(today.payers.values().all(|count| (1..=payments).contains(count)));
            }
        }
    }
}
