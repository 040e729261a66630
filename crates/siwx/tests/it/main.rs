//! Sessions through the engines, on the fake chain.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod attacks;
mod client;
mod configuration;
mod sessions;
mod store;
mod support;
mod tokens;

tollway_testkit::conformance!(tollway_siwx::PLUGIN);
