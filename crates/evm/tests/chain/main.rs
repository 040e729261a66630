//! The crate against a chain in the same process. No ports but where a transport is tested, no system clock, no order.

#![allow(clippy::unwrap_used, reason = "tests")]

mod client;
mod erc6492;
mod http;
mod inspect;
mod lane;
mod permit2;
mod plugin;
mod reconcile;
mod reverts;
mod settle;
mod sign_in;
mod support;
mod verify;
