#![doc = include_str!("../README.md")]

pub mod client;
pub mod facilitator;
mod ledger;
mod origin;
mod pattern;
mod prefer;
mod random;
pub mod server;
mod setup;
mod task;

pub use client::{PayError, PaymentClient};
pub use facilitator::LocalFacilitator;
pub use ledger::MemoryLedger;
pub use pattern::{PatternError, RoutePattern};
pub use prefer::{Explained, Explanation};
pub use server::{Admission, Admitted, Finished, Refusal, ResourceServer, Route, Way};
pub use setup::SetupError;

use tollway_core::Plugin;

/// The parts this crate brings: the ledger and the store of budgets in memory.
pub const PLUGIN: Plugin = Plugin::new("tollway-roles", "Claims and budgets in memory", |registrar| {
    registrar
        .ledger::<MemoryLedger>("memory")
        .store::<client::MemoryBudget, tollway_core::SharedBudget>("budgets/memory");
});
tollway_core::register!(PLUGIN);
