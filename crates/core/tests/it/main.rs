//! Core against the outside world: golden data of the reference implementation, properties of parsers and of matching,
//! and the registry's manners. One binary, so that it links once.
//!
//! The golden files belong to `tollway-testkit` and are read from there: depending on that crate would compile core
//! twice, with types that differ.

mod echo;
mod flows;
mod golden;
mod matching;
mod money;
mod parsers;
mod parts;
mod registry;
mod secrets;
