//! The programs a payment names, and what is derived from them.

use solana_pubkey::Pubkey;

/// SPL Token.
pub(crate) const TOKEN: Pubkey = Pubkey::from_str_const("TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA");
/// Token-2022.
pub(crate) const TOKEN_2022: Pubkey = Pubkey::from_str_const("TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb");
/// Gives every wallet one token account for each mint.
const ASSOCIATED_TOKEN: Pubkey = Pubkey::from_str_const("ATokenGPvbdGVxr1b2hvZbsiqW5xWH25efTNsLJA8knL");
/// Sets a transaction's compute limit and price.
pub(crate) const COMPUTE_BUDGET: Pubkey = Pubkey::from_str_const("ComputeBudget111111111111111111111111111111");
/// Memo, version 2.
pub(crate) const MEMO: Pubkey = Pubkey::from_str_const("MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr");
/// Assertions that wallets add for their users' safety.
pub(crate) const LIGHTHOUSE: Pubkey = Pubkey::from_str_const("L2TExMFKdjpN9kozasaurPirfHy9P8sbXoAN1qA3S95");

/// First byte of ComputeBudget's `SetComputeUnitLimit`; a 32-bit number follows.
pub(crate) const SET_LIMIT: u8 = 2;
/// First byte of ComputeBudget's `SetComputeUnitPrice`; a 64-bit number follows.
pub(crate) const SET_PRICE: u8 = 3;
/// First byte of both token programs' `TransferChecked`; a 64-bit amount and the decimals follow.
pub(crate) const TRANSFER_CHECKED: u8 = 12;

/// Whether this is one of the two token programs.
pub(crate) fn is_token(program: &Pubkey) -> bool {
    *program == TOKEN || *program == TOKEN_2022
}

/// Where a wallet keeps its tokens of a mint. `None` for the one in 2²⁵⁶ that has no such place.
pub(crate) fn token_account(owner: &Pubkey, mint: &Pubkey, program: &Pubkey) -> Option<Pubkey> {
    let seeds = [owner.as_ref(), program.as_ref(), mint.as_ref()];
    Pubkey::try_find_program_address(&seeds, &ASSOCIATED_TOKEN).map(|(address, _)| address)
}
