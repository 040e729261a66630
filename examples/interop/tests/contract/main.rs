//! The three programs, by their contract: what they print, what they answer, and what moves on the embedded chains.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod client;
mod facilitator;
mod program;
mod server;
mod world;
