//! Positional parameters.

use alloy::eips::{BlockId, BlockNumberOrTag};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::Failure;
use crate::chain::{At, Chain};

/// The parameters of one call.
pub(super) struct Params<'a>(Vec<&'a RawValue>);

impl<'a> Params<'a> {
    pub(super) fn parse(raw: Option<&'a RawValue>) -> Result<Self, Failure> {
        let Some(raw) = raw.filter(|raw| raw.get() != "null") else { return Ok(Self(Vec::new())) };
        let list: Vec<&RawValue> = serde_json::from_str(raw.get()).map_err(|_| Failure::params("not a list"))?;
        Ok(Self(list))
    }

    /// The parameter at this place, counted from zero.
    pub(super) fn get<T: Deserialize<'a>>(&self, place: usize) -> Result<T, Failure> {
        self.optional(place)?.ok_or_else(|| Failure::params(format!("missing value for argument {place}")))
    }

    /// As [`get`](Self::get), but it may be missing or null.
    pub(super) fn optional<T: Deserialize<'a>>(&self, place: usize) -> Result<Option<T>, Failure> {
        let Some(raw) = self.0.get(place) else { return Ok(None) };
        serde_json::from_str(raw.get()).map_err(|error| Failure::params(format!("argument {place}: {error}")))
    }

    /// The block named at this place; the newest where none is.
    pub(super) fn at(&self, place: usize, chain: &Chain) -> Result<At, Failure> {
        let id: BlockId = self.optional(place)?.unwrap_or_default();
        match id {
            BlockId::Hash(hash) => chain
                .block_by_hash(&hash.block_hash)
                .map(|block| chain.at(block.header.number))
                .ok_or_else(|| Failure::server("header not found")),
            BlockId::Number(BlockNumberOrTag::Pending) => Ok(At::Pending),
            BlockId::Number(tag) => Ok(chain.at(number(chain, tag))),
        }
    }
}

/// The number that a tag stands for. What is pending has the newest block's: it is not a block yet.
pub(super) fn number(chain: &Chain, tag: BlockNumberOrTag) -> u64 {
    let newest = chain.tip().header.number;
    match tag {
        BlockNumberOrTag::Latest | BlockNumberOrTag::Pending => newest,
        BlockNumberOrTag::Safe | BlockNumberOrTag::Finalized => newest.saturating_sub(chain.rules.finality),
        BlockNumberOrTag::Earliest => 0,
        BlockNumberOrTag::Number(number) => number,
    }
}
