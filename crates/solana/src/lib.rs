#![doc = include_str!("../README.md")]

mod address;
mod assets;
mod blockhash;
mod chain;
pub mod codes;
mod config;
mod confirm;
mod exact;
mod expiry;
#[cfg(any(test, feature = "fuzz"))]
#[doc(hidden)]
pub mod fuzz;
mod message;
mod mint;
mod network;
mod programs;
mod rpc;
#[cfg(feature = "sdk")]
mod sdk;
mod settler;
mod sign_in;
mod signer;
#[cfg(test)]
mod test;
mod transport;

pub use config::{Commitment, RpcUrl, SolanaConfig, TokenConfig, TokenProgram};
pub use exact::{
    Exact, ExactClient, ExactClientConfig, ExactFacilitator, ExactFacilitatorConfig, ExactServer, ExactServerConfig,
    Extra, Payload,
};
pub use mint::TokenPower;
pub use network::{Solana, SolanaBuilder};
#[cfg(feature = "sdk")]
pub use sdk::SdkSigner;
pub use signer::LocalKey;
/// The Solana SDK's client, which [`SolanaBuilder::rpc`] takes. The same type as `solana_client`'s.
pub use solana_rpc_client::nonblocking::rpc_client::RpcClient;

use tollway_core::Plugin;

/// Networks of namespace `solana`, keys for them, and `exact` in all three roles.
pub const PLUGIN: Plugin =
    Plugin::new("tollway-solana", "Solana and the scheme exact for SPL Token and Token-2022", |registrar| {
        registrar
            .network::<Solana>("solana:*")
            .signer::<LocalKey>("local", "solana:*")
            .client::<ExactClient>("solana:*")
            .server::<ExactServer>("solana:*")
            .facilitator::<ExactFacilitator>("solana:*");
    });

tollway_core::register!(PLUGIN);
