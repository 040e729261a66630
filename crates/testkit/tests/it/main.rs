//! The kit tested: fakes do as they are told, golden data is whole, and every subject broken on purpose is caught.

mod broken_budgets;
mod broken_ledgers;
mod broken_plugins;
mod broken_sessions;
mod chain;
mod facilitator;
mod golden;
mod small;
mod store;
