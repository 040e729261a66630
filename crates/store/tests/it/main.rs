//! The stores, held to the rules of every ledger and to promises of their own.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod budget;
mod compare;
mod every;
#[cfg(unix)]
mod faults;
#[cfg(unix)]
mod postgres;
mod sqlite;
mod support;
#[cfg(unix)]
mod wire;
