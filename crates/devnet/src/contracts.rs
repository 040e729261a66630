//! Bindings to the contracts of `contracts/`, and the addresses where genesis places them.
//!
//! Each binding has `BYTECODE` (what creates the contract) and `DEPLOYED_BYTECODE` (what runs), the latter for
//! [`Devnet::set_code`](crate::Devnet::set_code). None has immutables, so the runtime code works wherever it is put;
//! what a contract needs in storage is said at its binding.

pub use bindings::{
    DirtyMagicWallet, FeeToken, GasBurnerWallet, HugeAnswerWallet, Multicall3, NoEventToken, PaddedMagicWallet,
    PlainToken, RevertingWallet, ShortMagicWallet, SilentToken, StuckToken, TestUsd, Wallet1271, Wallet1271Factory,
};

#[allow(missing_docs, clippy::too_many_arguments, unreachable_pub, reason = "generated")]
mod bindings {
    use alloy::sol;

    sol!(
        #[sol(rpc)]
        #[derive(Debug, PartialEq, Eq)]
        TestUsd,
        "artifacts/TestUsd.json"
    );
    sol!(
        #[sol(rpc)]
        #[derive(Debug, PartialEq, Eq)]
        PlainToken,
        "artifacts/PlainToken.json"
    );
    sol!(
        #[sol(rpc)]
        #[derive(Debug, PartialEq, Eq)]
        Multicall3,
        "artifacts/Multicall3.json"
    );
    sol!(
        #[sol(rpc)]
        #[derive(Debug, PartialEq, Eq)]
        Wallet1271,
        "artifacts/Wallet1271.json"
    );
    sol!(
        #[sol(rpc)]
        #[derive(Debug, PartialEq, Eq)]
        Wallet1271Factory,
        "artifacts/Wallet1271Factory.json"
    );
    sol!(
        #[derive(Debug)]
        SilentToken,
        "artifacts/SilentToken.json"
    );
    sol!(
        #[derive(Debug)]
        StuckToken,
        "artifacts/StuckToken.json"
    );
    sol!(
        #[derive(Debug)]
        NoEventToken,
        "artifacts/NoEventToken.json"
    );
    sol!(
        #[derive(Debug)]
        FeeToken,
        "artifacts/FeeToken.json"
    );
    sol!(
        #[derive(Debug)]
        GasBurnerWallet,
        "artifacts/GasBurnerWallet.json"
    );
    sol!(
        #[derive(Debug)]
        HugeAnswerWallet,
        "artifacts/HugeAnswerWallet.json"
    );
    sol!(
        #[derive(Debug)]
        PaddedMagicWallet,
        "artifacts/PaddedMagicWallet.json"
    );
    sol!(
        #[derive(Debug)]
        DirtyMagicWallet,
        "artifacts/DirtyMagicWallet.json"
    );
    sol!(
        #[derive(Debug)]
        ShortMagicWallet,
        "artifacts/ShortMagicWallet.json"
    );
    sol!(
        #[derive(Debug)]
        RevertingWallet,
        "artifacts/RevertingWallet.json"
    );
}

/// Where genesis places contracts.
pub mod addresses {
    use alloy::primitives::{Address, address};

    /// [`TestUsd`](super::TestUsd) as `USDC`, version `2`, 6 decimals: the USDC of Base Sepolia.
    pub const USDC: Address = address!("0x036CbD53842c5426634e7929541eC2318f3dCF7e");
    /// [`PlainToken`](super::PlainToken) as `PLAIN`, 6 decimals: neither EIP-2612 nor EIP-3009.
    pub const PLAIN: Address = address!("0x00000000000000000000000000000000000f1a17");
    /// [`Multicall3`](super::Multicall3), where most chains have it.
    pub const MULTICALL3: Address = address!("0xcA11bde05977b3631167028862bE2a173976CA11");
    /// [`Wallet1271`](super::Wallet1271) of the account `stranger`, with USDC.
    pub const WALLET_1271: Address = address!("0x0000000000000000000000000000000000127100");
    /// [`Wallet1271Factory`](super::Wallet1271Factory), for wallets that sign before they exist.
    pub const WALLET_1271_FACTORY: Address = address!("0x00000000000000000000000000000000001271fa");
    /// Uniswap's Permit2. This crate places no code there, only `client`'s USDC allowance for it.
    pub const PERMIT2: Address = address!("0x000000000022D473030F116dDEE9F6B43aC78BA3");

    /// [`SilentToken`](super::SilentToken), with [`hostile contracts`](crate::DevnetBuilder::hostile_contracts) only,
    /// like all that follow. `client` holds each of the tokens, each of the wallets holds USDC.
    pub const SILENT_TOKEN: Address = address!("0x0000000000000000000000000000000000bad001");
    /// [`StuckToken`](super::StuckToken).
    pub const STUCK_TOKEN: Address = address!("0x0000000000000000000000000000000000bad002");
    /// [`NoEventToken`](super::NoEventToken).
    pub const NO_EVENT_TOKEN: Address = address!("0x0000000000000000000000000000000000bad003");
    /// [`FeeToken`](super::FeeToken).
    pub const FEE_TOKEN: Address = address!("0x0000000000000000000000000000000000bad004");
    /// [`GasBurnerWallet`](super::GasBurnerWallet).
    pub const GAS_BURNER_WALLET: Address = address!("0x0000000000000000000000000000000000bad101");
    /// [`HugeAnswerWallet`](super::HugeAnswerWallet).
    pub const HUGE_ANSWER_WALLET: Address = address!("0x0000000000000000000000000000000000bad102");
    /// [`PaddedMagicWallet`](super::PaddedMagicWallet).
    pub const PADDED_MAGIC_WALLET: Address = address!("0x0000000000000000000000000000000000bad103");
    /// [`DirtyMagicWallet`](super::DirtyMagicWallet).
    pub const DIRTY_MAGIC_WALLET: Address = address!("0x0000000000000000000000000000000000bad104");
    /// [`ShortMagicWallet`](super::ShortMagicWallet).
    pub const SHORT_MAGIC_WALLET: Address = address!("0x0000000000000000000000000000000000bad105");
    /// [`RevertingWallet`](super::RevertingWallet).
    pub const REVERTING_WALLET: Address = address!("0x0000000000000000000000000000000000bad106");
}
