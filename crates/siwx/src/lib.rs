#![doc = include_str!("../README.md")]

mod check;
mod client;
pub mod codes;
mod keys;
mod memory;
mod nonce;
mod origin;
mod policy;
mod route;
mod sessions;
mod store;
mod time;
mod token;
mod tokens;
mod wire;

pub use client::{SignInClient, SignInClientConfig};
pub use keys::SessionKeys;
pub use memory::{MemorySessions, MemorySessionsConfig};
pub use nonce::{Nonces, SealedNonces};
pub use sessions::{Sessions, SessionsBuilder, SessionsConfig, StoreConfig};
pub use store::{
    Credit, Draw, Drawn, Entered, Entitlement, Entry, Left, MAX_GUESTS, Revocation, Scope, SessionStore,
    SharedSessions, Shown, Token,
};
pub use token::SESSION_TOKEN;
pub use tokens::{KeptToken, MemoryTokens, SharedTokens, TokenStore};
pub use wire::{Declaration, Proof, SIGN_IN_WITH_X, SupportedChain};

use origin::Origin;
use tollway_core::Plugin;

/// The extension `sign-in-with-x` for servers (route key `session`) and clients, and sessions and tokens in memory.
pub const PLUGIN: Plugin =
    Plugin::new("tollway-siwx", "Sessions: sign in with a wallet, pay once, come back", |registrar| {
        registrar
            .server_extension::<Sessions>(SIGN_IN_WITH_X, "session")
            .client_extension::<SignInClient>(SIGN_IN_WITH_X)
            .store::<MemorySessions, SharedSessions>("sessions/memory")
            .store::<MemoryTokens, SharedTokens>("tokens/memory");
    });

tollway_core::register!(PLUGIN);
