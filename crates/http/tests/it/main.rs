//! HTTP as peers see it: every test talks over sockets on ports of its own, with fakes behind them.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod attacks;
mod bad_input;
mod budget;
mod client;
mod client_attacks;
mod flows;
mod headers;
mod layer;
mod remote;
mod router;
mod serve;
mod support;
