//! `weighted`: each in turn, some more often than others.

use crate::health::{Health, HealthConfig, by_health};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use tollway_core::{Build, BuildContext, Candidate, FacilitatorSelector};

/// Greatest weight.
const MOST: u32 = 1_000_000;

/// The section of `weighted`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
#[non_exhaustive]
pub struct WeightedConfig {
    /// Name of a facilitator → its share of the payments, up to a million; 1 for those not named. With 0 it is asked only
    /// if no other is available.
    pub weights: BTreeMap<String, u32>,
    /// When a facilitator counts as failed.
    pub health: HealthConfig,
}

/// Gives each available facilitator its share of the payments, as evenly mixed as can be.
#[derive(Debug)]
pub struct Weighted {
    weights: BTreeMap<String, u32>,
    /// What each is owed, by its place in the configuration: it grows by the weight, and whoever is owed most is asked
    /// and pays back the sum.
    owed: Mutex<Vec<i64>>,
    health: Health,
}

impl Weighted {
    /// With what its section says.
    ///
    /// # Errors
    /// A weight above a million.
    pub fn new(config: WeightedConfig) -> Result<Self, String> {
        if let Some((name, weight)) = config.weights.iter().find(|(_, weight)| **weight > MOST) {
            return Err(format!("weights.{name}: {weight} is above {MOST}; weights are shares, write smaller ones"));
        }
        Ok(Self { weights: config.weights, owed: Mutex::default(), health: Health::new(config.health) })
    }

    fn weight(&self, name: &str) -> i64 {
        self.weights.get(name).copied().unwrap_or(1).into()
    }
}

impl Build for Weighted {
    type Config = WeightedConfig;
    const EXAMPLE: &'static str = r#"{ "weights": { "own": 9, "x402.org": 1 }, "health": { "failures": 3 } }"#;

    async fn build(config: WeightedConfig, _: BuildContext) -> Result<Self, String> {
        Self::new(config)
    }
}

impl FacilitatorSelector for Weighted {
    fn rank(&self, candidates: &mut [Candidate<'_>]) {
        let mut owed = self.owed.lock().unwrap_or_else(PoisonError::into_inner);
        let places = candidates.iter().map(|candidate| candidate.position.saturating_add(1)).max().unwrap_or(0);
        if owed.len() < places {
            owed.resize(places, 0);
        }
        // Who is not available earns nothing, or it would be flooded when it is back.
        let mut sum = 0i64;
        for candidate in candidates.iter().filter(|candidate| self.health.available(candidate.position)) {
            let weight = self.weight(candidate.name);
            sum = sum.saturating_add(weight);
            owed[candidate.position] = owed[candidate.position].saturating_add(weight);
        }
        candidates.sort_unstable_by_key(|candidate| {
            let (down, idle) = (!self.health.available(candidate.position), self.weight(candidate.name) == 0);
            (down, idle, -owed[candidate.position], candidate.position)
        });
        if let Some(first) = candidates.first().filter(|_| sum > 0) {
            owed[first.position] = owed[first.position].saturating_sub(sum);
        }
    }

    by_health!();
}
