#![doc = include_str!("../README.md")]

mod abi;
mod address;
mod assets;
mod batch;
mod blocks;
mod broadcast;
mod builder;
mod carry;
mod chain;
mod chains;
pub mod codes;
mod config;
mod eip712;
mod erc6492;
mod exact;
mod fees;
mod finality;
mod flight;
mod gaps;
mod gas;
mod heads;
mod inspect;
mod lane;
mod lanes;
mod leave;
mod limits;
mod network;
mod nonces;
mod order;
mod permit2;
mod probe;
mod prove;
mod purse;
mod receipt;
mod revert;
mod rpc;
mod settler;
mod sign_in;
mod signature;
mod signer;
mod spend;
mod sponsor;
mod status;
#[cfg(test)]
mod test;
mod together;
mod transport;
mod upto;

pub use assets::known_networks;
pub use builder::EvmBuilder;
pub use config::{EvmConfig, RpcUrl, TokenConfig};
pub use exact::{Authorization, Eip3009Payload, Exact, ExactClient, ExactFacilitator, ExactServer, Extra, Payload};
pub use finality::{Finality, Wait};
pub use inspect::{Finding, Inspection, TokenDomain, TokenFacts};
pub use network::Evm;
pub use permit2::{
    Permit2Authorization, Permit2Payload, Permitted, UptoAuthorization, UptoPayload, UptoWitness, Witness,
};
pub use signer::{LocalKey, LocalKeyConfig};
pub use sponsor::{Eip2612Client, Eip2612Server, Erc20ApprovalClient, Erc20ApprovalServer, PayerConfig, SponsorConfig};
pub use status::{EvmStatus, SignerStatus};
pub use upto::{Upto, UptoClient, UptoFacilitator, UptoServer};

use tollway_core::Plugin;

/// Networks of namespace `eip155`, keys for them, `exact` and `upto` in all three roles, and gas sponsoring for Permit2.
pub const PLUGIN: Plugin =
    Plugin::new("tollway-evm", "EVM chains (eip155) and the schemes exact and upto", |registrar| {
        registrar
            .network::<Evm>("eip155:*")
            .signer::<LocalKey>("local", "eip155:*")
            .client::<ExactClient>("eip155:*")
            .server::<ExactServer>("eip155:*")
            .facilitator::<ExactFacilitator>("eip155:*")
            .client::<UptoClient>("eip155:*")
            .server::<UptoServer>("eip155:*")
            .facilitator::<UptoFacilitator>("eip155:*")
            .server_extension::<Eip2612Server>("eip2612GasSponsoring", "eip2612GasSponsoring")
            .server_extension::<Erc20ApprovalServer>("erc20ApprovalGasSponsoring", "erc20ApprovalGasSponsoring")
            .client_extension::<Eip2612Client>("eip2612GasSponsoring")
            .client_extension::<Erc20ApprovalClient>("erc20ApprovalGasSponsoring");
    });

tollway_core::register!(PLUGIN);
