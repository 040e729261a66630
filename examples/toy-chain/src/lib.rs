#![doc = include_str!("../README.md")]

mod chain;
mod exact;

pub use chain::balance;
use tollway_core::{PlainServer, Plugin};

/// The chain, its kind of key, and the three sides of its scheme.
pub const PLUGIN: Plugin = Plugin::new("toy-chain", "A chain in memory with sealed notes, scheme `exact`", |r| {
    r.network::<chain::Toy>("toy:*").signer::<chain::Pin>("local", "toy:*");
    r.client::<exact::Side>("toy:*").server::<PlainServer<exact::Exact>>("toy:*").facilitator::<exact::Side>("toy:*");
});
tollway_core::register!(PLUGIN);
