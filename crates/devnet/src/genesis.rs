//! Who has what before the first block.

use alloy::primitives::{Address, Bytes, U256};

use crate::accounts::{CLIENT, DEPLOYER, FACILITATOR, FRESH_2612, FRESH_ERC20, FRESH_UPTO, NO_ALLOWANCE, STRANGER};
use crate::chain::State;
use crate::contracts::addresses::{
    DIRTY_MAGIC_WALLET, EXACT_PERMIT2_PROXY, FEE_TOKEN, GAS_BURNER_WALLET, HUGE_ANSWER_WALLET, MULTICALL3,
    NO_EVENT_TOKEN, PADDED_MAGIC_WALLET, PERMIT2, PLAIN, REVERTING_WALLET, SHORT_MAGIC_WALLET, SILENT_TOKEN,
    STUCK_TOKEN, UPTO_PERMIT2_PROXY, USDC, WALLET_1271, WALLET_1271_FACTORY,
};
use crate::contracts::{
    DirtyMagicWallet, FeeToken, GasBurnerWallet, HugeAnswerWallet, Multicall3, NoEventToken, PaddedMagicWallet,
    Permit2, PlainToken, RevertingWallet, ShortMagicWallet, SilentToken, StuckToken, TestUsd, Wallet1271,
    Wallet1271Factory, X402ExactPermit2Proxy, X402UptoPermit2Proxy,
};
use crate::error::DevnetError;
use crate::token::{self, Token};

/// One ether, in wei.
const ETHER: u64 = 1_000_000_000_000_000_000;
/// What accounts with ether have of it.
const ETHERS: u64 = 10_000;
/// What accounts with tokens have of them: a million, in the tokens' millionths.
const TOKENS: u64 = 1_000_000_000_000;

/// The state that every devnet begins with.
pub(crate) fn standard(state: &mut State) -> Result<(), DevnetError> {
    for account in [FACILITATOR, DEPLOYER, STRANGER, CLIENT, NO_ALLOWANCE] {
        state.set_balance(account.address, U256::from(ETHERS) * U256::from(ETHER));
    }
    // Enough for an approval; whoever wants to see one sponsored sets it to nothing.
    state.set_balance(FRESH_ERC20.address, U256::from(ETHER / 10));

    state.set_code(MULTICALL3, Multicall3::DEPLOYED_BYTECODE.clone());
    state.set_code(PERMIT2, Permit2::DEPLOYED_BYTECODE.clone());
    state.set_code(EXACT_PERMIT2_PROXY, X402ExactPermit2Proxy::DEPLOYED_BYTECODE.clone());
    state.set_code(UPTO_PERMIT2_PROXY, X402UptoPermit2Proxy::DEPLOYED_BYTECODE.clone());
    state.set_code(WALLET_1271_FACTORY, Wallet1271Factory::DEPLOYED_BYTECODE.clone());
    state.set_code(WALLET_1271, Wallet1271::DEPLOYED_BYTECODE.clone());
    // The owner's slot.
    state.set_storage(WALLET_1271, U256::ZERO, STRANGER.address.into_word().into());

    state.set_code(USDC, TestUsd::DEPLOYED_BYTECODE.clone());
    token::describe(state, USDC, &Token::usdc())?;
    let payers = [CLIENT, NO_ALLOWANCE, FRESH_2612, FRESH_ERC20, FRESH_UPTO];
    for holder in payers.map(|account| account.address).into_iter().chain([WALLET_1271]) {
        fund(state, USDC, holder);
    }
    token::set_allowance(state, USDC, CLIENT.address, PERMIT2, U256::MAX);

    state.set_code(PLAIN, PlainToken::DEPLOYED_BYTECODE.clone());
    token::describe(state, PLAIN, &Token::new("Plain", "PLAIN", "", 6))?;
    for account in [CLIENT, FRESH_ERC20] {
        fund(state, PLAIN, account.address);
    }
    Ok(())
}

/// The contracts that attack whoever trusts them.
pub(crate) fn hostile(state: &mut State) -> Result<(), DevnetError> {
    let tokens: [(Address, &Bytes, &str); 4] = [
        (SILENT_TOKEN, &SilentToken::DEPLOYED_BYTECODE, "Silent"),
        (STUCK_TOKEN, &StuckToken::DEPLOYED_BYTECODE, "Stuck"),
        (NO_EVENT_TOKEN, &NoEventToken::DEPLOYED_BYTECODE, "No Event"),
        (FEE_TOKEN, &FeeToken::DEPLOYED_BYTECODE, "Fee"),
    ];
    for (address, code, name) in tokens {
        state.set_code(address, code.clone());
        token::describe(state, address, &Token::new(name, "BAD", "1", 6))?;
        fund(state, address, CLIENT.address);
    }
    let wallets: [(Address, &Bytes); 6] = [
        (GAS_BURNER_WALLET, &GasBurnerWallet::DEPLOYED_BYTECODE),
        (HUGE_ANSWER_WALLET, &HugeAnswerWallet::DEPLOYED_BYTECODE),
        (PADDED_MAGIC_WALLET, &PaddedMagicWallet::DEPLOYED_BYTECODE),
        (DIRTY_MAGIC_WALLET, &DirtyMagicWallet::DEPLOYED_BYTECODE),
        (SHORT_MAGIC_WALLET, &ShortMagicWallet::DEPLOYED_BYTECODE),
        (REVERTING_WALLET, &RevertingWallet::DEPLOYED_BYTECODE),
    ];
    for (address, code) in wallets {
        state.set_code(address, code.clone());
        fund(state, USDC, address);
    }
    Ok(())
}

fn fund(state: &mut State, token: Address, holder: Address) {
    token::set_balance(state, token, holder, U256::from(TOKENS));
}
