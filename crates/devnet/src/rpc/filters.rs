//! Filters: what is new since one asked last.

use std::collections::HashMap;

use alloy::primitives::{U64, U256};
use alloy::rpc::types::{Filter, FilterBlockOption};

use super::blocks::logs_between;
use super::params::number;
use super::{Failure, Params, Reply, reply};
use crate::chain::Chain;
use crate::devnet::Devnet;

/// The most filters at once. The one that was asked least recently makes room: clients often go without a word.
const CAPACITY: usize = 1_024;

/// The filters of one node.
#[derive(Debug, Default)]
pub(crate) struct Filters {
    installed: HashMap<u64, Installed>,
    last_id: u64,
    clock: u64,
}

#[derive(Debug)]
struct Installed {
    kind: Kind,
    /// The first block not yet reported.
    next: u64,
    /// How many times blocks had been taken back when it was last asked.
    forks: usize,
    asked: u64,
}

#[derive(Debug)]
enum Kind {
    Blocks,
    Logs(Box<Filter>),
}

impl Filters {
    fn install(&mut self, chain: &Chain, kind: Kind) -> u64 {
        if self.installed.len() >= CAPACITY {
            let idle = self.installed.iter().min_by_key(|(_, filter)| filter.asked);
            if let Some(id) = idle.map(|(id, _)| *id) {
                self.installed.remove(&id);
            }
        }
        self.last_id += 1;
        self.clock += 1;
        let next = chain.tip().header.number + 1;
        let filter = Installed { kind, next, forks: chain.forks().len(), asked: self.clock };
        self.installed.insert(self.last_id, filter);
        self.last_id
    }

    fn changes(&mut self, chain: &Chain, id: u64) -> Reply {
        self.clock += 1;
        let filter = self.installed.get_mut(&id).ok_or_else(|| Failure::server("filter not found"))?;
        filter.asked = self.clock;
        // Heights whose blocks were replaced meanwhile are reported once more.
        let replaced = chain.forks().iter().skip(filter.forks).map(|kept| kept + 1).min();
        let newest = chain.tip().header.number;
        let first = filter.next.min(replaced.unwrap_or(u64::MAX)).min(newest + 1);
        let answer = filter.kind.between(chain, first, newest)?;
        // Only what was answered is done with.
        filter.next = newest + 1;
        filter.forks = chain.forks().len();
        Ok(answer)
    }
}

impl Kind {
    fn between(&self, chain: &Chain, first: u64, last: u64) -> Reply {
        match self {
            Self::Blocks => {
                let blocks = (first..=last).filter_map(|number| chain.block(number));
                reply(&blocks.map(|block| block.header.hash).collect::<Vec<_>>())
            }
            Self::Logs(filter) => {
                let FilterBlockOption::Range { from_block, to_block } = filter.block_option else {
                    return reply::<[(); 0]>(&[]);
                };
                let first = first.max(from_block.map_or(0, |tag| number(chain, tag)));
                let last = last.min(to_block.map_or(last, |tag| number(chain, tag)));
                if first > last {
                    return reply::<[(); 0]>(&[]);
                }
                reply(&logs_between(chain, filter, first, last)?)
            }
        }
    }
}

pub(super) fn new_block_filter(devnet: &Devnet, _: Params<'_>) -> Reply {
    let chain = devnet.chain();
    reply(&U64::from(devnet.filters().install(&chain, Kind::Blocks)))
}

pub(super) fn new_log_filter(devnet: &Devnet, params: Params<'_>) -> Reply {
    let filter: Box<Filter> = params.get(0)?;
    let chain = devnet.chain();
    reply(&U64::from(devnet.filters().install(&chain, Kind::Logs(filter))))
}

pub(super) fn changes(devnet: &Devnet, params: Params<'_>) -> Reply {
    let id = id(&params)?;
    let chain = devnet.chain();
    devnet.filters().changes(&chain, id)
}

pub(super) fn uninstall(devnet: &Devnet, params: Params<'_>) -> Reply {
    let id = id(&params)?;
    reply(&devnet.filters().installed.remove(&id).is_some())
}

/// Clients know ids as words of 256 bits; ours are small.
fn id(params: &Params<'_>) -> Result<u64, Failure> {
    Ok(params.get::<U256>(0)?.saturating_to())
}
