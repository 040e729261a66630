//! What payments said before: a payment for a known service costs one hash and one look.

use serde_json::Value;
use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::sync::Arc;
use tollway_core::PaymentRequirements;
use url::Url;

/// Most declarations remembered, in two halves: the older half goes when the younger is full.
const HALF: usize = 16 * 1024;
/// Seconds a verdict is believed: after it a payment is looked at afresh.
const BELIEVED: u64 = 600;

/// What is known about what a payment declares.
#[derive(Debug, Clone)]
pub(super) enum Verdict {
    /// It may be listed, and nobody has asked yet.
    Waiting {
        /// Where to ask.
        url: Url,
        /// How.
        method: String,
    },
    /// Somebody is asking.
    Asked,
    /// It is listed.
    Listed,
    /// It is not.
    Refused(Arc<str>),
}

/// Verdicts by a keyed hash, so that nobody can look for two that collide.
#[derive(Debug, Default)]
pub(super) struct Seen {
    key: RandomState,
    young: HashMap<u64, (u64, Verdict)>,
    old: HashMap<u64, (u64, Verdict)>,
}

impl Seen {
    /// The mark of what a payment declares, and the verdict if there is one.
    pub(super) fn look(
        &self,
        resource: &str,
        declaration: &Value,
        offer: &PaymentRequirements,
        now: u64,
    ) -> (u64, Option<Verdict>) {
        let mut hasher = self.key.build_hasher();
        resource.hash(&mut hasher);
        declaration.hash(&mut hasher);
        // Another price or recipient is news; time-outs and extras are not.
        offer.scheme.hash(&mut hasher);
        offer.network.as_str().hash(&mut hasher);
        offer.asset.hash(&mut hasher);
        offer.pay_to.hash(&mut hasher);
        offer.amount.to_string().hash(&mut hasher);
        let mark = hasher.finish();
        let found = self.young.get(&mark).or_else(|| self.old.get(&mark));
        let fresh = found.filter(|(at, _)| now.saturating_sub(*at) < BELIEVED);
        (mark, fresh.map(|(_, verdict)| verdict.clone()))
    }

    /// Remembers a verdict; one that is known keeps its time.
    pub(super) fn note(&mut self, mark: u64, verdict: Verdict, now: u64) {
        let known = self.young.get(&mark).or_else(|| self.old.get(&mark)).map(|(at, _)| *at);
        let at = known.filter(|at| now.saturating_sub(*at) < BELIEVED).unwrap_or(now);
        if self.young.len() >= HALF {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(mark, (at, verdict));
    }

    /// Forgets everything, so that the next payment for a service has it looked at afresh.
    pub(super) fn forget(&mut self) {
        self.young.clear();
        self.old.clear();
    }
}
