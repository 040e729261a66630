//! The stores in PostgreSQL.

mod database;
mod trouble;
mod url;

pub use database::PostgresConfig;
