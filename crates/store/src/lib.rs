#![doc = include_str!("../README.md")]

#[cfg(all(feature = "catalogue", feature = "sqlite"))]
mod catalogue;
mod ledger;
mod migrations;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "sqlite")]
mod sqlite;
mod trouble;
mod writer;

#[cfg(all(feature = "catalogue", feature = "sqlite"))]
pub use catalogue::{SqliteCatalogue, SqliteCatalogueConfig};
#[cfg(feature = "postgres")]
pub use postgres::{PostgresConfig, PostgresLedger, PostgresLedgerConfig};
#[cfg(feature = "budgets")]
pub use sqlite::SqliteBudget;
#[cfg(feature = "sqlite")]
pub use sqlite::{SqliteConfig, SqliteLedger};

use tollway_core::Plugin;

/// The ledger `sqlite`, the store of budgets `sqlite` and the store `catalogue/sqlite`, as far as the
/// features of those names are on.
pub const PLUGIN: Plugin =
    Plugin::new("tollway-store", "The ledger, budgets and the catalogue in SQLite", |registrar| {
        let _ = &registrar;
        #[cfg(feature = "sqlite")]
        registrar.ledger::<SqliteLedger>("sqlite");
        #[cfg(feature = "postgres")]
        registrar.ledger::<PostgresLedger>("postgres");
        #[cfg(feature = "budgets")]
        registrar.store::<SqliteBudget, tollway_core::SharedBudget>("budgets/sqlite");
        #[cfg(all(feature = "catalogue", feature = "sqlite"))]
        registrar.store::<SqliteCatalogue, tollway_discovery::SharedCatalogue>("catalogue/sqlite");
    });
tollway_core::register!(PLUGIN);
