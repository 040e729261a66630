//! The catalogue, its stores and its clients, without a chain.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod attacks;
mod catalogue;
mod find;
mod inspect;
mod page;
mod store;
mod support;
mod types;

tollway_testkit::conformance!(tollway_discovery::PLUGIN);
