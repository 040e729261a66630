#![doc = include_str!("../README.md")]

mod ledger;
mod migrations;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "sqlite")]
mod sqlite;
mod trouble;
mod writer;

#[cfg(feature = "postgres")]
pub use postgres::{PostgresConfig, PostgresLedger};
#[cfg(feature = "budgets")]
pub use sqlite::SqliteBudget;
#[cfg(feature = "sqlite")]
pub use sqlite::{SqliteConfig, SqliteLedger};

use tollway_core::Plugin;

/// The ledgers `sqlite` and `postgres` and the store of budgets `sqlite`, as far as the features of those names are on.
pub const PLUGIN: Plugin =
    Plugin::new("tollway-store", "The ledger in SQLite and PostgreSQL, budgets in SQLite", |registrar| {
        let _ = &registrar;
        #[cfg(feature = "sqlite")]
        registrar.ledger::<SqliteLedger>("sqlite");
        #[cfg(feature = "budgets")]
        registrar.store::<SqliteBudget, tollway_core::SharedBudget>("budgets/sqlite");
        #[cfg(feature = "postgres")]
        registrar.ledger::<PostgresLedger>("postgres");
    });
tollway_core::register!(PLUGIN);
