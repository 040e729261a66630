//! The selling side adds to `extra` and to nothing else, and its hints stay within what it declared.

use super::{Sample, Sides, caught};
use crate::report::Notes;
use tollway_core::{PaymentRequirements, SupportedKind, matches_offer};

pub(super) fn check(sides: &Sides<'_>, sample: &Sample, notes: &Notes) {
    let Some(server) = &sides.server else { return };
    notes.check("offers: flows", !server.flows().is_empty(), || format!("{}: it can follow no flow", sides.at()));
    let kind_extra = sides.facilitator.as_ref().and_then(|facilitator| facilitator.kind_extra());
    let kind = SupportedKind::new(sides.scheme, &sides.ground.id, kind_extra);
    let Ok(made) = caught(|| server.offer(sample.offer.clone(), &kind)) else {
        return notes.check("offers: panic", false, || format!("{}: on the sample's offer", sides.at()));
    };
    let Some(made) = notes.take("offers: made", made, || format!("{}: the sample's offer", sides.at())) else { return };
    let unchanged = with_extra_of(made.clone(), &sample.offer) == sample.offer;
    notes.check("offers: changed", unchanged, || {
        format!("{}: beside `extra` an offer is the route's, but {:?} became {made:?}", sides.at(), sample.offer)
    });

    let dynamic = server.dynamic_extra();
    let both: Vec<_> = server.binding_extra().iter().filter(|member| dynamic.contains(member)).collect();
    notes.check("offers: binding", both.is_empty(), || {
        format!("{}: {both:?} cannot bind a payment and be a hint that is never matched", sides.at())
    });
    let mut fresh = made.clone();
    for _ in 0..3 {
        server.refresh(&mut fresh);
        let within = matches_offer(&made, &fresh, dynamic) && matches_offer(&fresh, &made, dynamic);
        notes.check("offers: hints", within, || {
            format!("{}: refreshing may touch {dynamic:?} only, but {made:?} became {fresh:?}", sides.at())
        });
    }
}

/// The offer with the `extra` of another.
fn with_extra_of(mut offer: PaymentRequirements, other: &PaymentRequirements) -> PaymentRequirements {
    offer.extra.clone_from(&other.extra);
    offer
}
