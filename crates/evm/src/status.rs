//! [`EvmStatus`]: how a network's signers stand, for whoever watches over a facilitator.

use crate::lanes::Roster;
use tollway_core::Amount;

/// How a network stands.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct EvmStatus {
    /// Every signer that pays for gas, by address.
    pub signers: Vec<SignerStatus>,
    /// Wei spent on gas today (UTC) since the process began; transactions under way count with what they may cost.
    pub spent_today: Amount,
    /// Whether payments share transactions: configured so, and the chain has Multicall3 as far as is known.
    pub shares: bool,
}

/// How a signer stands.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SignerStatus {
    /// Its address.
    pub address: String,
    /// Its balance in wei when it was last asked for, at most a minute ago where something was sent since.
    pub balance: Option<Amount>,
    /// Whether that was below `lowBalance`, or the node found it too little.
    pub low: bool,
    /// Its transactions that are sent, or about to be, and not mined.
    pub unmined: usize,
    /// Payments that wait to be sent.
    pub waiting: usize,
}

impl EvmStatus {
    pub(crate) fn of(roster: &Roster) -> Self {
        let chain = roster.chain();
        let signers = roster.all().into_iter().map(|lane| {
            let seen = lane.purse.seen();
            SignerStatus {
                address: lane.address().to_checksum(None),
                balance: seen.balance.map(|wei| Amount::from_be_bytes(wei.to_be_bytes())),
                low: seen.low || lane.purse.is_dry(),
                unmined: lane.unmined(),
                waiting: lane.batch.len(),
            }
        });
        Self {
            signers: signers.collect(),
            spent_today: Amount::from_be_bytes(alloy::primitives::U256::from(chain.spend.today()).to_be_bytes()),
            shares: chain.shares(),
        }
    }
}
