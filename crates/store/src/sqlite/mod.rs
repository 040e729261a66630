//! The stores in SQLite.

#[cfg(feature = "budgets")]
mod budget;
pub(crate) mod file;
pub(crate) mod ledger;
pub(crate) mod pen;
mod tables;

#[cfg(feature = "budgets")]
pub use budget::SqliteBudget;
pub use ledger::{SqliteConfig, SqliteLedger};
