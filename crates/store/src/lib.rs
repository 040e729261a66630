#![doc = include_str!("../README.md")]

#[cfg(all(feature = "catalogue", any(feature = "postgres", feature = "sqlite")))]
mod catalogue;
mod ledger;
mod migrations;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(all(feature = "sessions", any(feature = "postgres", feature = "sqlite")))]
mod sessions;
#[cfg(feature = "sqlite")]
mod sqlite;
mod trouble;
mod writer;

#[cfg(all(feature = "catalogue", feature = "postgres"))]
pub use catalogue::PostgresCatalogue;
#[cfg(all(feature = "catalogue", feature = "sqlite"))]
pub use catalogue::{SqliteCatalogue, SqliteCatalogueConfig};
#[cfg(feature = "postgres")]
pub use postgres::{PostgresConfig, PostgresLedger, PostgresLedgerConfig};
#[cfg(all(feature = "postgres", feature = "sessions"))]
pub use sessions::PostgresSessions;
#[cfg(all(feature = "sessions", feature = "sqlite"))]
pub use sessions::{SqliteSessions, SqliteTokens};
#[cfg(feature = "budgets")]
pub use sqlite::SqliteBudget;
#[cfg(feature = "sqlite")]
pub use sqlite::{SqliteConfig, SqliteLedger};

use tollway_core::Plugin;

/// The ledger `sqlite`, and the stores of budgets, sessions and catalogues named `sqlite` and `postgres`, as far as the
/// features of those names are on.
pub const PLUGIN: Plugin =
    Plugin::new("tollway-store", "The ledger, budgets, sessions and the catalogue in databases", |registrar| {
        let _ = &registrar;
        #[cfg(feature = "sqlite")]
        registrar.ledger::<SqliteLedger>("sqlite");
        #[cfg(feature = "postgres")]
        registrar.ledger::<PostgresLedger>("postgres");
        #[cfg(feature = "budgets")]
        registrar.store::<SqliteBudget, tollway_core::SharedBudget>("budgets/sqlite");
        #[cfg(all(feature = "sessions", feature = "sqlite"))]
        registrar.store::<SqliteSessions, tollway_siwx::SharedSessions>("sessions/sqlite");
        #[cfg(all(feature = "sessions", feature = "sqlite"))]
        registrar.store::<SqliteTokens, tollway_siwx::SharedTokens>("tokens/sqlite");
        #[cfg(all(feature = "postgres", feature = "sessions"))]
        registrar.store::<PostgresSessions, tollway_siwx::SharedSessions>("sessions/postgres");
        #[cfg(all(feature = "catalogue", feature = "postgres"))]
        registrar.store::<PostgresCatalogue, tollway_discovery::SharedCatalogue>("catalogue/postgres");
        #[cfg(all(feature = "catalogue", feature = "sqlite"))]
        registrar.store::<SqliteCatalogue, tollway_discovery::SharedCatalogue>("catalogue/sqlite");
    });
tollway_core::register!(PLUGIN);
