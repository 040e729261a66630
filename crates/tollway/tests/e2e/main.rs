//! Whole payments over real HTTP on the embedded chain, and the recorded exchanges of the reference SDK.

mod bad_input;
mod golden;
mod world;
