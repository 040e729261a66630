//! The stores in PostgreSQL.

pub(crate) mod database;
mod lease;
mod ledger;
mod tables;
pub(crate) mod trouble;
mod url;
mod writes;

pub use database::PostgresConfig;
pub use ledger::{PostgresLedger, PostgresLedgerConfig};
