//! The extension on a server and a client that know no transport.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod repeated;

tollway_testkit::conformance!(tollway_pid::PLUGIN);
