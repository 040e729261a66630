#![doc = include_str!("../README.md")]

mod abi;
mod address;
mod assets;
mod blocks;
mod broadcast;
mod chain;
pub mod codes;
mod config;
mod eip712;
mod exact;
mod fees;
mod lane;
mod network;
mod probe;
mod prove;
mod receipt;
mod rpc;
mod settler;
mod signature;
mod signer;
#[cfg(test)]
mod test;
mod transport;

pub use config::{EvmConfig, RpcUrl, TokenConfig};
pub use exact::{Authorization, Exact, ExactClient, ExactFacilitator, ExactServer, Extra, Payload};
pub use network::{Evm, EvmBuilder};
pub use signer::{LocalKey, LocalKeyConfig};

use tollway_core::Plugin;

/// Networks of namespace `eip155`, keys for them, and `exact` in all three roles.
pub const PLUGIN: Plugin =
    Plugin::new("tollway-evm", "EVM chains (eip155) and the scheme exact by EIP-3009", |registrar| {
        registrar
            .network::<Evm>("eip155:*")
            .signer::<LocalKey>("local", "eip155:*")
            .client::<ExactClient>("eip155:*")
            .server::<ExactServer>("eip155:*")
            .facilitator::<ExactFacilitator>("eip155:*");
    });

tollway_core::register!(PLUGIN);
