#![doc = include_str!("../README.md")]
// Stores take the crate without what asks over the network, and with it without what only that uses.
#![cfg_attr(not(feature = "http"), allow(dead_code))]

#[cfg(feature = "http")]
mod catalogue;
mod declaration;
mod declared;
mod entry;
#[cfg(feature = "http")]
pub mod find;
#[cfg(feature = "axum")]
mod handler;
#[cfg(feature = "http")]
pub mod inspect;
mod listing;
mod memory;
#[cfg(feature = "http")]
pub mod probe;
mod schema;
mod server;
mod store;
mod template;
mod text;
#[cfg(feature = "schemars")]
mod types;

#[cfg(feature = "http")]
pub use catalogue::{Catalogue, CatalogueBuilder, CatalogueConfig, StoreConfig};
pub use declared::Kind;
pub use entry::{Entry, dollars};
#[cfg(feature = "http")]
pub use find::{Finder, Query, Service};
#[cfg(feature = "axum")]
pub use handler::{DescribesInput, DescribesItself, DescribesOutput};
pub use listing::{BAZAAR, Body, BodyKind, Described, Listing, Output, ROUTE_KEY, Tool};
pub use memory::MemoryCatalogue;
pub use server::Bazaar;
pub use store::{CatalogueStore, Filter, Found, Limits, Page, Put, Search, SharedCatalogue};
pub use text::words;

use tollway_core::Plugin;

/// The extension `bazaar` for servers (route key `discovery`) and for facilitators, and a catalogue in memory.
pub const PLUGIN: Plugin =
    Plugin::new("tollway-discovery", "Discovery: services describe themselves, facilitators list them", |registrar| {
        registrar
            .server_extension::<Bazaar>(BAZAAR, ROUTE_KEY)
            .store::<MemoryCatalogue, SharedCatalogue>("catalogue/memory");
        #[cfg(feature = "http")]
        registrar.facilitator_extension::<Catalogue>(BAZAAR);
    });

tollway_core::register!(PLUGIN);
