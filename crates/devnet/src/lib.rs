#![doc = include_str!("../README.md")]

pub mod accounts;
mod builder;
mod chain;
pub mod contracts;
mod devnet;
mod error;
mod faults;
mod genesis;
mod miner;
mod rpc;
mod server;
mod token;
mod transport;

pub use builder::{DevnetBuilder, Mining};
pub use chain::TimeSource;
pub use devnet::{Devnet, Mined};
pub use error::DevnetError;
pub use faults::{Calls, Fault};
pub use server::DevnetServer;
pub use token::Token;
pub use transport::DevnetTransport;
