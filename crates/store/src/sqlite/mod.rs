//! The stores in SQLite.

#[cfg(feature = "budgets")]
mod budget;
mod file;
mod ledger;
mod tables;

#[cfg(feature = "budgets")]
pub use budget::SqliteBudget;
pub use ledger::{SqliteConfig, SqliteLedger};
