//! The node itself, and the methods that only a devnet has.

use alloy::primitives::{Bytes, U64, keccak256};
use serde::Deserialize;

use super::{Failure, Params, Reply, reply};
use crate::devnet::Devnet;

pub(super) const CLIENT_VERSION: &str = concat!("tollway-devnet/", env!("CARGO_PKG_VERSION"));

/// The most blocks of one `evm_mine`.
const MAX_BLOCKS: u64 = 10_000;

pub(super) fn chain_id(devnet: &Devnet, _: Params<'_>) -> Reply {
    reply(&U64::from(devnet.chain_id()))
}

pub(super) fn net_version(devnet: &Devnet, _: Params<'_>) -> Reply {
    reply(&devnet.chain_id().to_string())
}

pub(super) fn sha3(_: &Devnet, params: Params<'_>) -> Reply {
    reply(&keccak256(params.get::<Bytes>(0)?))
}

pub(super) fn mine(devnet: &Devnet, params: Params<'_>) -> Reply {
    #[derive(Default, Deserialize)]
    struct Options {
        blocks: Option<U64>,
    }
    let options: Options = params.optional(0)?.unwrap_or_default();
    let blocks = options.blocks.map_or(1, |blocks| blocks.to::<u64>());
    if blocks > MAX_BLOCKS {
        return Err(Failure::limit(format!("more than {MAX_BLOCKS} blocks in one call")));
    }
    for _ in 0..blocks {
        devnet.mine();
    }
    reply("0x0")
}

pub(super) fn increase_time(devnet: &Devnet, params: Params<'_>) -> Reply {
    let seconds: U64 = params.get(0)?;
    devnet.advance(seconds.to());
    reply(&seconds)
}

pub(super) fn set_time(devnet: &Devnet, params: Params<'_>) -> Reply {
    let timestamp: U64 = params.get(0)?;
    devnet.set_time(timestamp.to()).map_err(Failure::params)?;
    reply(&timestamp)
}

pub(super) fn snapshot(devnet: &Devnet, _: Params<'_>) -> Reply {
    reply(&U64::from(devnet.snapshot()))
}

pub(super) fn revert(devnet: &Devnet, params: Params<'_>) -> Reply {
    reply(&devnet.revert(params.get::<U64>(0)?.to()))
}
