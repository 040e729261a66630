//! The selectors, and what a server does with them, over real HTTP where it matters.
#![allow(clippy::unwrap_used, reason = "tests may panic")]

mod faulty;
mod matrix;
mod selectors;
mod turns;
