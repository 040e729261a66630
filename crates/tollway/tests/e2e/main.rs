//! Whole payments over real HTTP on the embedded chain, and the recorded exchanges of the reference SDK.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod assets;
mod bad_input;
mod golden;
mod wallets;
mod world;
