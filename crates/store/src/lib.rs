#![doc = include_str!("../README.md")]

#[cfg(all(feature = "catalogue", feature = "sqlite"))]
mod catalogue;

#[cfg(all(feature = "catalogue", feature = "sqlite"))]
pub use catalogue::{SqliteCatalogue, SqliteCatalogueConfig};

use tollway_core::Plugin;

/// The store `catalogue/sqlite`, where the features `catalogue` and `sqlite` are on.
pub const PLUGIN: Plugin = Plugin::new("tollway-store", "Books on disk", |registrar| {
    let _ = &registrar;
    #[cfg(all(feature = "catalogue", feature = "sqlite"))]
    registrar.store::<SqliteCatalogue, tollway_discovery::SharedCatalogue>("catalogue/sqlite");
});
tollway_core::register!(PLUGIN);
