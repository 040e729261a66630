#![doc = include_str!("README.md")]

pub mod accounts;
mod builder;
mod chain;
mod devnet;
mod error;
mod faults;
mod rpc;
mod sender;
mod server;
mod ticker;
mod token;

pub use builder::{DevnetBuilder, Slots};
pub use devnet::Devnet;
pub use error::DevnetError;
pub use faults::{Calls, Fault};
pub use rpc::RpcFailure;
pub use sender::DevnetSender;
pub use server::DevnetServer;
pub use token::{PYUSD, TOKEN_2022_PROGRAM, TOKEN_PROGRAM, Token, USDC, token_account};
