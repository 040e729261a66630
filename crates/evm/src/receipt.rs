//! Receipts and logs, as far as a proof reads them. Chains add members of their own, and types of transactions; none
//! of that matters here.

use crate::abi::MULTICALL3;
use alloy::primitives::{Address, B256, Bytes, U64, U256};
use serde::Deserialize;

/// The receipt of a mined transaction.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Receipt {
    pub(crate) transaction_hash: B256,
    #[serde(default)]
    pub(crate) to: Option<Address>,
    #[serde(default)]
    status: Option<U64>,
    #[serde(default)]
    block_number: Option<U64>,
    #[serde(default)]
    block_hash: Option<B256>,
    #[serde(default)]
    gas_used: Option<U64>,
    #[serde(default)]
    effective_gas_price: Option<U256>,
    /// What rollups of the OP stack take beside, in wei.
    #[serde(default, rename = "l1Fee")]
    l1_fee: Option<U256>,
    #[serde(default)]
    pub(crate) logs: Vec<Log>,
}

impl Receipt {
    /// Whether it ran to its end. A receipt that does not say counts as a failure.
    pub(crate) fn succeeded(&self) -> bool {
        self.status == Some(U64::from(1))
    }

    /// Whether payments may have shared the transaction.
    pub(crate) fn is_shared(&self) -> bool {
        self.to == Some(MULTICALL3)
    }

    /// The block it is in; `None` where the receipt does not say.
    pub(crate) fn place(&self) -> Option<Place> {
        Some(Place { number: self.block_number?.to(), hash: self.block_hash? })
    }

    /// What it cost, in wei; `None` where the receipt does not say.
    pub(crate) fn cost(&self) -> Option<u128> {
        let gas = U256::from(self.gas_used?).saturating_mul(self.effective_gas_price?);
        u128::try_from(gas.saturating_add(self.l1_fee.unwrap_or_default())).ok()
    }
}

/// A block that holds a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) number: u64,
    pub(crate) hash: B256,
}

/// A log.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Log {
    pub(crate) address: Address,
    pub(crate) topics: Vec<B256>,
    pub(crate) data: Bytes,
    #[serde(default)]
    pub(crate) transaction_hash: Option<B256>,
}
