//! `priority`: the order of the configuration, or one of its own.

use crate::health::{Health, HealthConfig, by_health};
use serde::Deserialize;
use tollway_core::{Build, BuildContext, Candidate, FacilitatorSelector};

/// The section of `priority`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
#[non_exhaustive]
pub struct PriorityConfig {
    /// Names of facilitators, the best first; those not named follow in the order they were added in.
    pub order: Vec<String>,
    /// When a facilitator counts as failed.
    pub health: HealthConfig,
}

/// Asks the same facilitator for as long as it is well, then the next.
#[derive(Debug)]
pub struct Priority {
    order: Vec<String>,
    health: Health,
}

impl Priority {
    /// With what its section says.
    pub fn new(config: PriorityConfig) -> Self {
        Self { order: config.order, health: Health::new(config.health) }
    }
}

impl Build for Priority {
    type Config = PriorityConfig;
    const EXAMPLE: &'static str =
        r#"{ "order": ["own", "x402.org"], "health": { "failures": 3, "hedgeAfterMs": 500 } }"#;

    async fn build(config: PriorityConfig, _: BuildContext) -> Result<Self, String> {
        Ok(Self::new(config))
    }
}

impl FacilitatorSelector for Priority {
    fn rank(&self, candidates: &mut [Candidate<'_>]) {
        let place = |name: &str| self.order.iter().position(|known| known == name).unwrap_or(self.order.len());
        candidates.sort_unstable_by_key(|candidate| (place(candidate.name), candidate.position));
    }

    by_health!();
}
