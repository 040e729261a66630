#![cfg_attr(feature = "evm", doc = include_str!("../README.md"))]
#![cfg_attr(not(feature = "evm"), doc = "Embedded chains for demonstrations and tests.")]

#[cfg(feature = "evm")]
pub mod accounts;
#[cfg(feature = "evm")]
mod builder;
#[cfg(feature = "evm")]
mod chain;
#[cfg(feature = "evm")]
pub mod contracts;
#[cfg(feature = "evm")]
mod devnet;
#[cfg(feature = "evm")]
mod error;
#[cfg(feature = "evm")]
mod faults;
#[cfg(feature = "evm")]
mod genesis;
#[cfg(feature = "evm")]
mod miner;
#[cfg(feature = "evm")]
mod rpc;
#[cfg(feature = "evm")]
mod server;
#[cfg(feature = "evm")]
mod socket;
#[cfg(feature = "solana")]
pub mod solana;
#[cfg(feature = "evm")]
mod token;
#[cfg(feature = "evm")]
mod transfer;
#[cfg(feature = "evm")]
mod transport;

#[cfg(feature = "evm")]
pub use builder::{DevnetBuilder, Mining};
#[cfg(feature = "evm")]
pub use chain::TimeSource;
#[cfg(feature = "evm")]
pub use devnet::{Devnet, Mined};
#[cfg(feature = "evm")]
pub use error::DevnetError;
#[cfg(feature = "evm")]
pub use faults::{Calls, Fault};
#[cfg(feature = "evm")]
pub use server::DevnetServer;
#[cfg(feature = "evm")]
pub use token::Token;
#[cfg(feature = "evm")]
pub use transfer::{Transfer, wrapped};
#[cfg(feature = "evm")]
pub use transport::DevnetTransport;
