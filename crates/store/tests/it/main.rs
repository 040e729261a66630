//! The stores, held to the rules of every ledger and to promises of their own.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod compare;
mod sqlite;
mod support;
