//! A payment is told apart by what makes it and by nothing else; what is no payment is refused.

mod claims;
mod malformed;
mod offers;
mod signing;

use super::stage::{Ground, Stage, example, serves};
use super::{Conformance, Sample};
use crate::report::Notes;
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use tollway_core::erased::{ClientDyn, FacilitatorDyn, ServerDyn};
use tollway_core::{Claim, PartKind, PaymentPayload, PaymentRequirements, Rejected};

/// The sides of one scheme on one network, as far as the plug-in and its neighbours have them.
pub(super) struct Sides<'a> {
    pub(super) ground: &'a Ground,
    pub(super) scheme: &'static str,
    pub(super) client: Option<Arc<dyn ClientDyn>>,
    pub(super) server: Option<Arc<dyn ServerDyn>>,
    pub(super) facilitator: Option<Arc<dyn FacilitatorDyn>>,
}

pub(super) async fn check(subject: &Conformance, stage: &Stage, notes: &Notes) {
    notes.check("schemes: registered", true, String::new);
    let mut tried = BTreeSet::new();
    for ground in &stage.grounds {
        let is_side =
            |kind| matches!(kind, PartKind::SchemeClient | PartKind::SchemeServer | PartKind::SchemeFacilitator);
        let mine = stage.parts(subject).filter(|part| is_side(part.kind()) && serves(part, &ground.id));
        let schemes: BTreeSet<&'static str> = mine.map(tollway_core::Part::name).collect();
        for scheme in schemes {
            let sides = Sides::build(stage, ground, scheme, notes).await;
            let fits = |sample: &&Sample| sample.offer.scheme == scheme && sample.offer.network == ground.id;
            let mut samples: Vec<Sample> = subject.samples.iter().filter(fits).cloned().collect();
            if samples.is_empty() && !subject.samples.iter().any(|sample| sample.offer.scheme == scheme) {
                samples.extend(signing::sample(&sides).await);
            }
            for sample in &samples {
                tried.insert(scheme);
                sides.check(sample, notes).await;
            }
            if samples.is_empty() {
                continue;
            }
            offers::check(&sides, &samples[0], notes);
        }
    }
    for part in stage.parts(subject) {
        let is_side =
            matches!(part.kind(), PartKind::SchemeClient | PartKind::SchemeServer | PartKind::SchemeFacilitator);
        notes.check("schemes: sample", !is_side || tried.contains(part.name()), || {
            format!("{part:?} was not tried: give a valid payment with `.sample(Sample::new(offer, payload))`, on a network the suite opens")
        });
    }
}

impl<'a> Sides<'a> {
    async fn build(stage: &'a Stage, ground: &'a Ground, scheme: &'static str, notes: &Notes) -> Self {
        let (registry, id, cx) = (&stage.registry, &ground.id, || ground.cx.clone());
        let mut sides = Self { ground, scheme, client: None, server: None, facilitator: None };
        for part in registry.parts().iter().filter(|part| part.name() == scheme && serves(part, id)) {
            let (section, at) = (example(part).unwrap_or_default(), || format!("{part:?} for {id}"));
            let rule = "schemes: made";
            match part.kind() {
                PartKind::SchemeClient => {
                    sides.client = notes.take(rule, registry.client(scheme, id, section, cx()).await, at);
                }
                PartKind::SchemeServer => {
                    sides.server = notes.take(rule, registry.server(scheme, id, section, cx()).await, at);
                }
                PartKind::SchemeFacilitator => {
                    sides.facilitator = notes.take(rule, registry.facilitator(scheme, id, section, cx()).await, at);
                }
                _ => {}
            }
        }
        sides
    }

    async fn check(&self, sample: &Sample, notes: &Notes) {
        claims::check(self, sample, notes);
        malformed::check(self, sample, notes).await;
        if sample.signs {
            signing::check(self, sample, notes).await;
        }
    }

    /// What each side says about a payment. A panic is caught and named.
    fn claims(&self, raw: &PaymentPayload, offer: &PaymentRequirements) -> Vec<(&'static str, Answer)> {
        let mut claims = Vec::new();
        if let Some(client) = &self.client {
            claims.push(("client", caught(|| client.claim(raw, offer))));
        }
        if let Some(server) = &self.server {
            claims.push(("server", caught(|| server.claim(raw, offer))));
        }
        claims
    }

    /// What the settling side says after its local checks.
    fn open(&self, raw: &PaymentPayload, offer: &PaymentRequirements) -> Option<Answer> {
        let facilitator = self.facilitator.as_ref()?;
        Some(caught(|| facilitator.open(raw, offer).and_then(|open| open.check().map(|()| open.claim().clone()))))
    }

    fn at(&self) -> String {
        format!("`{}` on {}", self.scheme, self.ground.id)
    }
}

/// What a side makes of a payment, if it does not panic.
type Answer = Result<Result<Claim, Rejected>, Panicked>;

/// Somebody's code panicked.
#[derive(Debug)]
pub(super) struct Panicked;

fn caught<T>(run: impl FnOnce() -> T) -> Result<T, Panicked> {
    catch_unwind(AssertUnwindSafe(run)).map_err(|_| Panicked)
}

/// A payment of a sample's offer with a payload of any kind.
fn raw(sample: &Sample, payload: &serde_json::Value) -> PaymentPayload {
    PaymentPayload::new(sample.offer.clone(), payload.clone())
}
