//! Whole payments over real HTTP on the embedded chains, and the recorded exchanges of the reference SDK.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod assets;
mod bad_input;
#[cfg(feature = "solana")]
mod chains;
mod discovery;
mod golden;
mod golden_pid;
mod golden_siwx;
#[cfg(feature = "solana")]
mod golden_solana;
mod sessions;
mod wallets;
mod world;
