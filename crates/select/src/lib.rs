#![doc = include_str!("../README.md")]

mod health;
mod least;
mod priority;
mod rotate;
mod weighted;

pub use health::HealthConfig;
pub use least::{FeeConfig, LatencyConfig, LeastFee, LeastLatency};
pub use priority::{Priority, PriorityConfig};
pub use rotate::{RoundRobin, RoundRobinConfig};
pub use weighted::{Weighted, WeightedConfig};

use tollway_core::Plugin;

/// The selectors `priority`, `latency`, `fee`, `round-robin` and `weighted`.
pub const PLUGIN: Plugin = Plugin::new("tollway-select", "Which facilitator to ask, by health and by policy", |r| {
    r.selector::<Priority>("priority")
        .selector::<LeastLatency>("latency")
        .selector::<LeastFee>("fee")
        .selector::<RoundRobin>("round-robin")
        .selector::<Weighted>("weighted");
});
tollway_core::register!(PLUGIN);
