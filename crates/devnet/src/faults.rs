//! What a devnet counts, and how it fails on demand.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::rpc::{METHOD_COUNT, method_names};

/// A way for a call to fail.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The call is executed, but its answer never arrives: the connection breaks.
    DropAnswer,
    /// The connection breaks before the call is executed.
    Refuse,
    /// The connection breaks at once, and the call is executed this much later: behind calls that came after it. Within
    /// a tokio runtime only.
    Late(Duration),
    /// The call is executed twice, as when somebody on the way delivers it twice; the answer is the second one's.
    Twice,
    /// The call is executed, and the answer is this JSON-RPC error all the same.
    ErrorAfter {
        /// The error's code.
        code: i64,
        /// The error's text.
        message: String,
    },
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
    /// How many requests went over the wire, or through the transport in the process; a batch is one.
    pub round_trips: u64,
    /// How often each method was called, alone or in a batch, and executed or not because of a fault. Methods that do not
    /// exist count as `unknown`.
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

#[derive(Debug)]
pub(crate) struct Watch {
    round_trips: AtomicU64,
    /// One for each method, and one for unknown methods.
    calls: [AtomicU64; METHOD_COUNT + 1],
    planned: Mutex<Vec<Planned>>,
    /// Whether anything is planned, so that the usual call takes no lock.
    armed: AtomicBool,
}

impl Watch {
    pub(crate) fn new() -> Self {
        Self {
            round_trips: AtomicU64::new(0),
            calls: [const { AtomicU64::new(0) }; METHOD_COUNT + 1],
            planned: Mutex::default(),
            armed: AtomicBool::new(false),
        }
    }

    pub(crate) fn count_round_trip(&self) {
        self.round_trips.fetch_add(1, Relaxed);
    }

    /// Counts a call of the method with this index.
    pub(crate) fn count(&self, method: Option<usize>) {
        self.calls[method.unwrap_or(METHOD_COUNT)].fetch_add(1, Relaxed);
    }

    pub(crate) fn calls(&self) -> Calls {
        let names = method_names().chain(["unknown"]);
        Calls {
            round_trips: self.round_trips.load(Relaxed),
            methods: names
                .zip(&self.calls)
                .map(|(name, count)| (name, count.load(Relaxed)))
                .filter(|(_, count)| *count > 0)
                .collect(),
        }
    }

    pub(crate) fn reset(&self) {
        self.round_trips.store(0, Relaxed);
        for count in &self.calls {
            count.store(0, Relaxed);
        }
    }

    pub(crate) fn plan(&self, method: &str, fault: Fault, times: u32) {
        let mut planned = self.planned();
        if times > 0 {
            planned.push(Planned { method: method.to_owned(), fault, left: times });
        }
        self.armed.store(!planned.is_empty(), Relaxed);
    }

    pub(crate) fn clear(&self) {
        self.planned().clear();
        self.armed.store(false, Relaxed);
    }

    /// The fault for this call, if one is planned; the first planned goes first.
    pub(crate) fn take(&self, method: &str) -> Option<Fault> {
        if !self.armed.load(Relaxed) {
            return None;
        }
        let mut planned = self.planned();
        let at = planned.iter().position(|plan| plan.method == method || plan.method == "*")?;
        planned[at].left -= 1;
        let fault = planned[at].fault.clone();
        if planned[at].left == 0 {
            planned.remove(at);
        }
        self.armed.store(!planned.is_empty(), Relaxed);
        Some(fault)
    }

    fn planned(&self) -> MutexGuard<'_, Vec<Planned>> {
        self.planned.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_taken_in_order_and_run_out() {
        let watch = Watch::new();
        watch.plan("eth_call", Fault::Refuse, 2);
        watch.plan("*", Fault::DropAnswer, 1);
        assert_eq!(watch.take("eth_chainId"), Some(Fault::DropAnswer));
        assert_eq!(watch.take("eth_chainId"), None);
        assert_eq!(watch.take("eth_call"), Some(Fault::Refuse));
        assert_eq!(watch.take("eth_call"), Some(Fault::Refuse));
        assert_eq!(watch.take("eth_call"), None);
    }

    #[test]
    fn no_times_is_no_fault() {
        let watch = Watch::new();
        watch.plan("eth_call", Fault::Refuse, 0);
        assert_eq!(watch.take("eth_call"), None);
    }
}
