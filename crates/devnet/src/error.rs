//! What can go wrong with a devnet itself, as against with a call to it.

use std::fmt;
use std::io;
use std::net::SocketAddr;

use alloy::primitives::Address;

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
    /// A contract was asked and did not answer as expected.
    Contract {
        /// The contract.
        address: Address,
        /// The question and what became of it.
        message: String,
    },
    /// More blocks were to be taken back than are kept.
    TooDeep {
        /// How many were asked for.
        asked: u64,
        /// How many can be taken back.
        possible: u64,
    },
    /// The time was set to before the newest block.
    Past {
        /// What was asked for, in Unix seconds.
        asked: u64,
        /// The newest block's time, in Unix seconds.
        newest: u64,
    },
    /// A token's name, symbol or version is longer than the 31 bytes that fit one storage slot.
    LongText(String),
}

impl fmt::Display for DevnetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { what, source } => write!(f, "cannot {what}: {source}"),
            Self::NotLoopback(address) => write!(
                f,
                "{address} is not a loopback address; a devnet's keys are public, serve it at 127.0.0.1 or ::1"
            ),
            Self::Contract { address, message } => {
                write!(f, "{address}: {message}; see that the contract is placed there with set_code or at genesis")
            }
            Self::TooDeep { asked, possible } => {
                write!(f, "cannot take {asked} blocks back, only {possible}; mine more first or ask for fewer")
            }
            Self::Past { asked, newest } => {
                write!(f, "cannot set the time to {asked}: the newest block is of {newest}; choose that or later")
            }
            Self::LongText(text) => {
                write!(f, "the token text {text:?} is longer than 31 bytes; shorten it")
            }
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
