//! `latency` and `fee`: whoever is quickest, whoever is cheapest.

use crate::health::{Health, HealthConfig, by_health};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tollway_core::{Amount, Build, BuildContext, Candidate, FacilitatorSelector, Money};

/// The section of `latency`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
#[non_exhaustive]
pub struct LatencyConfig {
    /// When a facilitator counts as failed.
    pub health: HealthConfig,
}

/// One choice in so many goes to each of the others in turn, so that who has become quicker is noticed.
const EXPLORED: usize = 64;

/// Asks whoever usually verifies quickest. Who is not known yet is asked first, so that it becomes known.
#[derive(Debug)]
pub struct LeastLatency {
    choices: AtomicUsize,
    health: Health,
}

impl LeastLatency {
    /// With what its section says.
    pub fn new(config: LatencyConfig) -> Self {
        Self { choices: AtomicUsize::new(0), health: Health::new(config.health) }
    }
}

impl Build for LeastLatency {
    type Config = LatencyConfig;
    const EXAMPLE: &'static str = r#"{ "health": { "failures": 3, "hedgeAfterMs": 500 } }"#;

    async fn build(config: LatencyConfig, _: BuildContext) -> Result<Self, String> {
        Ok(Self::new(config))
    }
}

impl FacilitatorSelector for LeastLatency {
    fn rank(&self, candidates: &mut [Candidate<'_>]) {
        let usual = |position| self.health.usual(position).unwrap_or(Duration::ZERO);
        candidates.sort_unstable_by_key(|candidate| (usual(candidate.position), candidate.position));
        let (choice, others) = (self.choices.fetch_add(1, Ordering::Relaxed), candidates.len().saturating_sub(1));
        if choice % EXPLORED == EXPLORED - 1 && others > 0 {
            let other = 1 + choice / EXPLORED % others;
            candidates[..=other].rotate_right(1);
        }
    }

    by_health!();
}

/// The section of `fee`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
#[non_exhaustive]
pub struct FeeConfig {
    /// Name of a facilitator → what it takes for one payment, in dollars, as agreed with it. The protocol has no field
    /// for it. Those not named come last.
    pub fees: BTreeMap<String, Money>,
    /// When a facilitator counts as failed.
    pub health: HealthConfig,
}

/// Asks whoever takes the least for a payment.
#[derive(Debug)]
pub struct LeastFee {
    fees: BTreeMap<String, Amount>,
    health: Health,
}

/// Digits after the point in which fees are compared.
const DIGITS: u8 = 18;

impl LeastFee {
    /// With what its section says.
    ///
    /// # Errors
    /// A fee in something else than dollars: which is more could not be said.
    pub fn new(config: FeeConfig) -> Result<Self, String> {
        let fee = |(name, fee): (String, Money)| match fee.symbol() {
            None => {
                let amount = fee.to_amount(DIGITS).map_err(|why| format!("fees.{name}: {why}"))?;
                Ok((name, amount))
            }
            Some(symbol) => {
                Err(format!("fees.{name}: {fee} is in {symbol}; write fees in dollars, such as \"$0.001\""))
            }
        };
        let fees = config.fees.into_iter().map(fee).collect::<Result<_, _>>()?;
        Ok(Self { fees, health: Health::new(config.health) })
    }
}

impl Build for LeastFee {
    type Config = FeeConfig;
    const EXAMPLE: &'static str = r#"{ "fees": { "own": "$0", "x402.org": "$0.001" }, "health": { "failures": 3 } }"#;

    async fn build(config: FeeConfig, _: BuildContext) -> Result<Self, String> {
        Self::new(config)
    }
}

impl FacilitatorSelector for LeastFee {
    fn rank(&self, candidates: &mut [Candidate<'_>]) {
        let fee = |name: &str| self.fees.get(name).copied();
        candidates.sort_unstable_by_key(|candidate| {
            let fee = fee(candidate.name);
            (fee.is_none(), fee.unwrap_or_default(), candidate.position)
        });
    }

    by_health!();
}
