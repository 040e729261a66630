//! Bindings to the contracts of `contracts/`, and the addresses where genesis places them.
//!
//! Each binding has `BYTECODE` (what creates the contract) and `DEPLOYED_BYTECODE` (what runs), the latter for
//! [`Devnet::set_code`](crate::Devnet::set_code). None has immutables, so the runtime code works wherever it is put;
//! what a contract needs in storage is said at its binding.

pub use bindings::{
    DirtyMagicWallet, FeeToken, GasBurnerWallet, HugeAnswerWallet, Multicall3, NoEventToken, PaddedMagicWallet,
    Permit2, PlainToken, RevertingWallet, ShortMagicWallet, SilentToken, StuckToken, TestUsd, Wallet1271,
    Wallet1271Factory, X402ExactPermit2Proxy, X402UptoPermit2Proxy,
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
        #[sol(rpc)]
        #[derive(Debug, PartialEq, Eq)]
        Permit2,
        "artifacts/Permit2.json"
    );
    sol!(
        #[sol(rpc)]
        #[derive(Debug, PartialEq, Eq)]
        X402ExactPermit2Proxy,
        "artifacts/X402ExactPermit2Proxy.json"
    );
    sol!(
        #[sol(rpc)]
        #[derive(Debug, PartialEq, Eq)]
        X402UptoPermit2Proxy,
        "artifacts/X402UptoPermit2Proxy.json"
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
    /// [`Permit2`](super::Permit2), where most chains have Uniswap's. It may spend the USDC of `client`.
    pub const PERMIT2: Address = address!("0x000000000022D473030F116dDEE9F6B43aC78BA3");
    /// [`X402ExactPermit2Proxy`](super::X402ExactPermit2Proxy): the spender of the scheme `exact`.
    pub const EXACT_PERMIT2_PROXY: Address = address!("0x402085c248EeA27D92E8b30b2C58ed07f9E20001");
    /// [`X402UptoPermit2Proxy`](super::X402UptoPermit2Proxy): the spender of the scheme `upto`.
    pub const UPTO_PERMIT2_PROXY: Address = address!("0x4020A4f3b7b90ccA423B9fabCc0CE57C6C240002");

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
