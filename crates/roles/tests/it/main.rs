//! The three engines together, on the fake chain and with scripted facilitators.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod budget;
mod client;
mod downgrade;
mod facilitator;
mod failover;
mod guards;
mod live;
mod observe;
mod plugin;
mod prefer;
mod purchases;
mod server;
mod stores;
mod support;
