//! Stores of sessions: the suite for all of them, and what is each one's own.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod postgres;
mod sqlite;
mod support;

use tollway_core::Plugin;
use tollway_siwx::SharedSessions;
use tollway_store::{PostgresSessions, SqliteSessions};

/// The parts alone: ledgers have tests of their own.
const PART: Plugin = Plugin::new("tollway-store", "Sessions in databases", |registrar| {
    registrar.store::<SqliteSessions, SharedSessions>("sessions/sqlite");
    registrar.store::<PostgresSessions, SharedSessions>("sessions/postgres");
});
tollway_testkit::conformance!(PART);
