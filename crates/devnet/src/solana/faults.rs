//! What a devnet counts, and how it fails on demand.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A way for a call to fail.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The call is executed, but its answer never arrives: the connection breaks.
    DropAnswer,
    /// The connection breaks before the call is executed.
    Refuse,
    /// A transaction is answered as if it were taken, and never reaches a block. Other calls are answered as usual.
    Lose,
    /// The call is not executed; the answer is this JSON-RPC error.
    Error {
        /// The error's code.
        code: i64,
        /// The error's text.
        message: String,
    },
    /// The call is not executed; the HTTP status is this one, such as 429 or 503.
    Status(u16),
    /// The call is executed, and answered this much later.
    Delay(Duration),
}

/// What a devnet was asked since it began or was last reset.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Calls {
    /// How many requests went over the wire, or through the sender in the process; a batch is one.
    pub round_trips: u64,
    /// How often each method was called, alone or in a batch. Methods that do not exist count as `unknown`.
    pub methods: BTreeMap<&'static str, u64>,
}

impl Calls {
    /// How often this method was called.
    #[must_use]
    pub fn of(&self, method: &str) -> u64 {
        self.methods.get(method).copied().unwrap_or_default()
    }

    /// How many calls there were in all.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.methods.values().sum()
    }
}

#[derive(Debug)]
struct Planned {
    method: String,
    fault: Fault,
    left: u32,
}

#[derive(Debug, Default)]
pub(crate) struct Watch {
    calls: Mutex<Calls>,
    planned: Mutex<Vec<Planned>>,
}

impl Watch {
    pub(crate) fn count_round_trip(&self) {
        lock(&self.calls).round_trips += 1;
    }

    pub(crate) fn count(&self, method: Option<&'static str>) {
        *lock(&self.calls).methods.entry(method.unwrap_or("unknown")).or_default() += 1;
    }

    pub(crate) fn calls(&self) -> Calls {
        lock(&self.calls).clone()
    }

    pub(crate) fn reset(&self) {
        *lock(&self.calls) = Calls::default();
    }

    pub(crate) fn plan(&self, method: &str, fault: Fault, times: u32) {
        if times > 0 {
            lock(&self.planned).push(Planned { method: method.to_owned(), fault, left: times });
        }
    }

    pub(crate) fn clear(&self) {
        lock(&self.planned).clear();
    }

    /// The fault for this call, if one is planned; the first planned goes first.
    pub(crate) fn take(&self, method: &str) -> Option<Fault> {
        let mut planned = lock(&self.planned);
        let at = planned.iter().position(|plan| plan.method == method || plan.method == "*")?;
        planned[at].left -= 1;
        let fault = planned[at].fault.clone();
        if planned[at].left == 0 {
            planned.remove(at);
        }
        Some(fault)
    }
}

/// A panic in one test's thread must not make every later call of the others panic too.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_taken_in_order_and_run_out() {
        let watch = Watch::default();
        watch.plan("getSlot", Fault::Refuse, 2);
        watch.plan("*", Fault::DropAnswer, 1);
        watch.plan("getSlot", Fault::Lose, 0);
        assert_eq!(watch.take("getHealth"), Some(Fault::DropAnswer));
        assert_eq!(watch.take("getHealth"), None);
        assert_eq!(watch.take("getSlot"), Some(Fault::Refuse));
        assert_eq!(watch.take("getSlot"), Some(Fault::Refuse));
        assert_eq!(watch.take("getSlot"), None);
    }
}
