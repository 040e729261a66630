//! Stores of sessions: the suite for all of them, and what is each one's own.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod postgres;
mod sqlite;
mod support;
mod tokens;

use tollway_core::Plugin;
use tollway_siwx::{SharedSessions, SharedTokens};
use tollway_store::{PostgresSessions, SqliteSessions, SqliteTokens};

use tollway_testkit::{Chapter, Conformance};

/// The parts alone: others have tests of their own.
const SQLITE: Plugin = Plugin::new("tollway-store", "Sessions in SQLite", |registrar| {
    registrar.store::<SqliteSessions, SharedSessions>("sessions/sqlite");
    registrar.store::<SqliteTokens, SharedTokens>("tokens/sqlite");
});
const POSTGRES: Plugin = Plugin::new("tollway-store", "Sessions in PostgreSQL", |registrar| {
    registrar.store::<PostgresSessions, SharedSessions>("sessions/postgres");
});
tollway_testkit::conformance!(SQLITE);

#[test]
fn the_part_in_postgres_conforms() {
    let Some(cluster) = tollway_testkit::postgres::shared() else { return };
    let conformance = Conformance::of(POSTGRES).secret(&cluster.database());
    Chapter::ALL.into_iter().for_each(|chapter| conformance.clone().assert(chapter));
}
