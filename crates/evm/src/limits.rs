//! [`Limits`]: what an operator may set about settling.

use alloy::primitives::Address;
use std::time::Duration;

/// Limits of one network.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    /// Most gas of one payment's transaction, and of a wallet's verdict.
    pub(crate) max_gas: u64,
    /// How long a settlement is waited for.
    pub(crate) settle_timeout: Duration,
    /// How payments share transactions.
    pub(crate) sharing: Sharing,
    /// Most wei for one payment's gas.
    pub(crate) max_fee_per_payment: Option<u128>,
    /// Most wei for gas in a day, over all signers.
    pub(crate) max_spend_per_day: Option<u128>,
    /// Below so many wei a signer's balance is low; where not set, below what a hundred payments cost now.
    pub(crate) low_balance: Option<u128>,
    /// Factories that may make payers' wallets (ERC-6492).
    pub(crate) factories: Vec<Address>,
}

/// How payments share transactions.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sharing {
    /// Most payments of one transaction; below two nothing is shared.
    pub(crate) payments: usize,
    /// Most gas of one transaction.
    pub(crate) gas: u64,
    /// How long a payment waits for company; where not set, the lane adapts it.
    pub(crate) wait: Option<Duration>,
    /// Most transactions a lane has unmined before payments that could share one wait.
    pub(crate) unmined: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_gas: 500_000,
            settle_timeout: Duration::from_secs(60),
            sharing: Sharing::default(),
            max_fee_per_payment: None,
            max_spend_per_day: None,
            low_balance: None,
            factories: Vec::new(),
        }
    }
}

impl Default for Sharing {
    fn default() -> Self {
        // Gas per payment falls little beyond fifty, and a hundred are about eight million gas: half of what a
        // transaction may have (EIP-7825). Nodes let sixteen transactions of an account wait for certain.
        Self { payments: 100, gas: 8_000_000, wait: None, unmined: 16 }
    }
}
