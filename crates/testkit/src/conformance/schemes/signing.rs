//! What the paying side signs is a payment, and a new one each time.

use super::{Sample, Sides, caught};
use crate::report::Notes;
use serde_json::Value;
use std::time::Duration;
use tollway_core::{Amount, PaymentPayload, PaymentRequirements, Signed, SupportedKind};

/// A client that needs longer to sign asks somebody.
const PATIENCE: Duration = Duration::from_secs(10);

async fn sign(sides: &Sides<'_>, offer: &PaymentRequirements) -> Option<Result<Signed<Value>, String>> {
    let (client, offer) = (sides.client.clone()?, offer.clone());
    let resource = crate::fixtures::resource("https://conformance.example/");
    let signing = tokio::spawn(async move { tokio::time::timeout(PATIENCE, client.sign(&offer, &resource)).await });
    Some(match signing.await {
        Ok(Ok(signed)) => signed.map_err(|why| why.to_string()),
        Ok(Err(_)) => Err("signing did not end".to_owned()),
        Err(_) => Err("signing panicked".to_owned()),
    })
}

/// A sample made with the plug-in's own paying side, paying its own key in the network's first asset.
pub(super) async fn sample(sides: &Sides<'_>) -> Option<Sample> {
    let (asset, (_, signer)) = (sides.ground.network.assets().first()?, sides.ground.signers.first()?);
    let id = &sides.ground.id;
    let mut draft =
        PaymentRequirements::new(sides.scheme, id.clone(), Amount::from(1), &asset.address, signer.address());
    draft.extra = Some(asset.extra.clone()).filter(|extra| !extra.is_empty());
    let kind_extra = sides.facilitator.as_ref().and_then(|facilitator| facilitator.kind_extra());
    let kind = SupportedKind::new(sides.scheme, id, kind_extra);
    let offer = match &sides.server {
        Some(server) => caught(|| server.offer(draft, &kind)).ok()?.ok()?,
        None => draft,
    };
    let signed = sign(sides, &offer).await?.ok()?;
    Some(Sample::new(offer, signed.payload).signs())
}

pub(super) async fn check(sides: &Sides<'_>, sample: &Sample, notes: &Notes) {
    let mut keys = std::collections::BTreeSet::new();
    for _ in 0..3 {
        let Some(signed) = sign(sides, &sample.offer).await else { return };
        let Some(signed) = notes.take("signing: signs", signed, || sides.at()) else { return };
        let payment = PaymentPayload::new(sample.offer.clone(), signed.payload.clone());
        let opened = sides.open(&payment, &sample.offer);
        let mut claims = sides.claims(&payment, &sample.offer);
        claims.extend(opened.map(|opened| ("facilitator", opened)));
        for (side, claim) in claims {
            let Ok(Ok(claim)) = claim else {
                notes.check("signing: a payment", false, || {
                    format!("{}: the {side} refuses what the client signed: {claim:?}", sides.at())
                });
                continue;
            };
            notes.check("signing: its end", claim.dead_after == signed.dead_after, || {
                let (signed, claim) = (signed.dead_after, claim.dead_after);
                format!("{}: signed as dead after {signed:?}, claimed as dead after {claim:?}", sides.at())
            });
            keys.insert(claim.key);
        }
    }
    notes.check("signing: a new payment", keys.len() == 3, || {
        format!("{}: three signatures must be three payments, but the keys are {keys:?}", sides.at())
    });
}
