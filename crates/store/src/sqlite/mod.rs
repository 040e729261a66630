//! The stores in SQLite.

mod file;
mod ledger;
mod tables;

pub use ledger::{SqliteConfig, SqliteLedger};
