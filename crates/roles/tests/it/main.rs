//! The three engines together, on the fake chain and with scripted facilitators.

mod client;
mod downgrade;
mod facilitator;
mod plugin;
mod server;
mod support;
