#![doc = include_str!("../README.md")]

#[cfg(all(feature = "catalogue", feature = "sqlite"))]
mod catalogue;
mod ledger;
mod migrations;
#[cfg(all(feature = "sessions", feature = "sqlite"))]
mod sessions;
#[cfg(feature = "sqlite")]
mod sqlite;
mod trouble;
mod writer;

#[cfg(all(feature = "catalogue", feature = "sqlite"))]
pub use catalogue::{SqliteCatalogue, SqliteCatalogueConfig};
#[cfg(all(feature = "sessions", feature = "sqlite"))]
pub use sessions::SqliteSessions;
#[cfg(feature = "budgets")]
pub use sqlite::SqliteBudget;
#[cfg(feature = "sqlite")]
pub use sqlite::{SqliteConfig, SqliteLedger};

use tollway_core::Plugin;

/// The ledger `sqlite` and the stores `budgets/sqlite`, `sessions/sqlite` and `catalogue/sqlite`, as far as the features of
/// those names are on.
pub const PLUGIN: Plugin =
    Plugin::new("tollway-store", "The ledger, budgets, sessions and the catalogue in SQLite", |registrar| {
        let _ = &registrar;
        #[cfg(feature = "sqlite")]
        registrar.ledger::<SqliteLedger>("sqlite");
        #[cfg(feature = "budgets")]
        registrar.store::<SqliteBudget, tollway_core::SharedBudget>("budgets/sqlite");
        #[cfg(all(feature = "sessions", feature = "sqlite"))]
        registrar.store::<SqliteSessions, tollway_siwx::SharedSessions>("sessions/sqlite");
        #[cfg(all(feature = "catalogue", feature = "sqlite"))]
        registrar.store::<SqliteCatalogue, tollway_discovery::SharedCatalogue>("catalogue/sqlite");
    });
tollway_core::register!(PLUGIN);
