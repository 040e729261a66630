#![doc = include_str!("../README.md")]

pub use tollway_core as core;
pub use tollway_roles as roles;

// Naming a plug-in crate is what links it: these lines register everything their features ask for.
#[cfg(feature = "discovery")]
pub use tollway_discovery as discovery;
#[cfg(feature = "evm")]
pub use tollway_evm as evm;
#[cfg(feature = "http")]
pub use tollway_http as http;
#[cfg(feature = "pid")]
pub use tollway_pid as pid;
#[cfg(feature = "select")]
pub use tollway_select as select;
#[cfg(feature = "siwx")]
pub use tollway_siwx as siwx;
#[cfg(feature = "solana")]
pub use tollway_solana as solana;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub use tollway_store as store;

pub use tollway_core::{Amount, Facilitator, NetworkId, Price, Registry};
#[cfg(feature = "http")]
pub use tollway_http::{PaymentLayer, RemoteFacilitator};
pub use tollway_roles::{LocalFacilitator, PaymentClient, ResourceServer, Route, SetupError, Way};
#[cfg(feature = "siwx")]
pub use tollway_siwx::Sessions;

/// Runs the examples of the page on budgets.
#[cfg(all(doctest, feature = "http"))]
#[doc = include_str!("../../../docs/budgets.md")]
struct BudgetsPage;

/// Runs the examples of the page on discovery.
#[cfg(all(doctest, feature = "discovery"))]
#[doc = include_str!("../../../docs/discovery.md")]
struct DiscoveryPage;

/// Runs the examples of the page on preferences.
#[cfg(all(doctest, feature = "evm", feature = "http", feature = "solana"))]
#[doc = include_str!("../../../docs/preferences.md")]
struct PreferencesPage;

/// Runs the examples of the page on sessions.
#[cfg(all(doctest, feature = "siwx"))]
#[doc = include_str!("../../../docs/sessions.md")]
struct SessionsPage;
