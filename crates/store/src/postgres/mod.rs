//! The stores in PostgreSQL.

pub(crate) mod database;
pub(crate) mod trouble;
mod url;

pub use database::PostgresConfig;
