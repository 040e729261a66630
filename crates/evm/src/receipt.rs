//! Receipts and logs, as far as a proof reads them. Chains add members of their own, and types of transactions; none
//! of that matters here.

use alloy::primitives::{Address, B256, Bytes, U64};
use serde::Deserialize;

/// The receipt of a mined transaction.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Receipt {
    pub(crate) transaction_hash: B256,
    #[serde(default)]
    status: Option<U64>,
    #[serde(default)]
    pub(crate) logs: Vec<Log>,
}

impl Receipt {
    /// Whether it ran to its end. A receipt that does not say counts as a failure.
    pub(crate) fn succeeded(&self) -> bool {
        self.status == Some(U64::from(1))
    }
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
