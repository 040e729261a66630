#![doc = include_str!("../README.md")]

pub use tollway_core as core;
pub use tollway_roles as roles;

// Naming a plug-in crate is what links it: these lines register everything their features ask for.
#[cfg(feature = "evm")]
pub use tollway_evm as evm;
#[cfg(feature = "http")]
pub use tollway_http as http;
#[cfg(feature = "select")]
pub use tollway_select as select;
#[cfg(feature = "solana")]
pub use tollway_solana as solana;

pub use tollway_core::{Amount, Facilitator, NetworkId, Price, Registry};
#[cfg(feature = "http")]
pub use tollway_http::{PaymentLayer, RemoteFacilitator};
pub use tollway_roles::{LocalFacilitator, PaymentClient, ResourceServer, Route, SetupError, Way};
