//! Pay once, come back free, until the time is over.

use super::step::{Show, Step, millis};
use super::world::World;
use crate::chain::DemoChain;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;
use tollway::core::{Clock, SystemClock};
use tollway::http::PaymentError;

/// How long a payment opens the archive.
pub(super) const LASTS: &str = "1h";
const SECONDS: u64 = 3600;
/// How often the demo comes back.
const RETURNS: u32 = 3;

/// The system's clock, set forward as often as the demo wants an hour to have passed.
#[derive(Debug, Default)]
pub(super) struct Forward(AtomicU64);

impl Clock for Forward {
    fn now(&self) -> u64 {
        SystemClock.now().saturating_add(self.0.load(Ordering::Relaxed))
    }
}

/// How it went.
pub(super) struct CameBack {
    pub(super) free: bool,
    pub(super) asked_again: bool,
}

/// Pays for the archive once and comes back with another client that has the same wallet and pays nothing.
pub(super) async fn come_back(show: &Show, world: &World, chain: &dyn DemoChain) -> Result<CameBack, String> {
    let (facts, network) = (chain.facts(), chain.facts().network.to_string());
    let resource = world.archive();
    let started = Instant::now();
    let answer = world.buyer(chain).await?.get(&resource).await?;
    let receipt = answer.receipt.ok_or("the server opened the archive without a payment")?;
    show.step(&Step::Bought {
        network: network.clone(),
        resource: resource.clone(),
        lasts: LASTS,
        transaction: receipt.transaction,
        total_ms: millis(started.elapsed()),
    });

    let payee = chain.balance(&facts.payee)?;
    let visitor = world.visitor(chain).await?;
    let mut came_back = CameBack { free: true, asked_again: false };
    for number in 1..=RETURNS {
        let started = Instant::now();
        let answer = visitor.get(&resource).send().await.map_err(|why| why.to_string())?;
        let ms = millis(started.elapsed());
        // A proof is answered with a token, and a token with nothing new.
        let opened_by = if answer.headers().contains_key("session-token") { "sign_in" } else { "token" };
        let status = answer.status().as_u16();
        let free = status == 200 && chain.balance(&facts.payee)? == payee;
        came_back.free &= free;
        show.step(&Step::Return { network: network.clone(), number, opened_by, status, free, ms });
    }

    world.clock.0.fetch_add(SECONDS, Ordering::Relaxed);
    let status = match visitor.get(&resource).send().await {
        Ok(answer) => answer.status().as_u16(),
        Err(why) if matches!(PaymentError::of(&why), Some(PaymentError::NotPaid(_))) => 402,
        Err(why) => return Err(why.to_string()),
    };
    came_back.asked_again = status == 402;
    show.step(&Step::Expired { network, after: LASTS, status, asked_again: came_back.asked_again });
    Ok(came_back)
}
