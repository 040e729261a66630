//! The catalogue of services in SQLite.

mod sqlite;
mod tokens;

pub use sqlite::{SqliteCatalogue, SqliteCatalogueConfig};
