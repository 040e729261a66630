//! `round-robin`: each in turn.

use crate::health::{Health, HealthConfig, by_health};
use serde::Deserialize;
use std::sync::atomic::{AtomicUsize, Ordering};
use tollway_core::{Build, BuildContext, Candidate, FacilitatorSelector};

/// The section of `round-robin`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
#[non_exhaustive]
pub struct RoundRobinConfig {
    /// When a facilitator counts as failed.
    pub health: HealthConfig,
}

/// Asks each available facilitator in turn.
#[derive(Debug)]
pub struct RoundRobin {
    turn: AtomicUsize,
    health: Health,
}

impl RoundRobin {
    /// With what its section says.
    pub fn new(config: RoundRobinConfig) -> Self {
        Self { turn: AtomicUsize::new(0), health: Health::new(config.health) }
    }
}

impl Build for RoundRobin {
    type Config = RoundRobinConfig;
    const EXAMPLE: &'static str = r#"{ "health": { "failures": 3, "hedgeAfterMs": 500 } }"#;

    async fn build(config: RoundRobinConfig, _: BuildContext) -> Result<Self, String> {
        Ok(Self::new(config))
    }
}

impl FacilitatorSelector for RoundRobin {
    fn rank(&self, candidates: &mut [Candidate<'_>]) {
        // The available ones alone take turns: the neighbour of one that is not would have two.
        candidates.sort_unstable_by_key(|candidate| (!self.health.available(candidate.position), candidate.position));
        let well = candidates.iter().take_while(|candidate| self.health.available(candidate.position)).count();
        if well > 1 {
            let turn = self.turn.fetch_add(1, Ordering::Relaxed);
            candidates[..well].rotate_left(turn % well);
        }
    }

    by_health!();
}
