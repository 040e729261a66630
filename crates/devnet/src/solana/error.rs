//! What can go wrong with a devnet itself, as against with a call to it.

use std::fmt;
use std::io;
use std::net::SocketAddr;

/// Why a devnet could not do what it was asked. The text says what to do next.
#[derive(Debug)]
#[non_exhaustive]
pub enum DevnetError {
    /// The system refused a thread or a socket.
    Io {
        /// What for.
        what: &'static str,
        /// What it said.
        source: io::Error,
    },
    /// The address to serve at cannot be reached from this machine only. Every key of a devnet is public.
    NotLoopback(SocketAddr),
    /// There is no mint at an address.
    NoMint(solana_pubkey::Pubkey),
    /// The chain does not take an account as it is.
    Account(String),
}

impl fmt::Display for DevnetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { what, source } => write!(f, "cannot {what}: {source}"),
            Self::NotLoopback(address) => write!(
                f,
                "{address} is not a loopback address; a devnet's keys are public, serve it at 127.0.0.1 or ::1"
            ),
            Self::NoMint(mint) => write!(f, "there is no mint {mint}; place one with set_token or at genesis"),
            Self::Account(why) => write!(f, "the account cannot be placed: {why}"),
        }
    }
}

impl std::error::Error for DevnetError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}
