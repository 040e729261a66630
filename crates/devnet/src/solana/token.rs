//! Mints and token accounts as the token programs keep them.

use solana_account::Account;
use solana_pubkey::Pubkey;

/// SPL Token.
pub const TOKEN_PROGRAM: Pubkey = Pubkey::from_str_const("TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA");
/// Token-2022.
pub const TOKEN_2022_PROGRAM: Pubkey = Pubkey::from_str_const("TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb");
const ASSOCIATED_TOKEN_PROGRAM: Pubkey = Pubkey::from_str_const("ATokenGPvbdGVxr1b2hvZbsiqW5xWH25efTNsLJA8knL");

/// The mint of USDC on Solana's devnet, a token of SPL Token.
pub const USDC: Pubkey = Pubkey::from_str_const("4zMMC9srt5Ri5X14GAgXhaHii3GnPAEERYPJgZJDncDU");
/// The mint of PYUSD on Solana's devnet, a token of Token-2022.
pub const PYUSD: Pubkey = Pubkey::from_str_const("CXk2AMBfi3TwaEL2468s6zP8xq9NxTXjp9gjMgzeUynM");

/// Lengths of a mint and of a token account without extensions.
const MINT: usize = 82;
const ACCOUNT: usize = 165;
/// Types of extensions that a mint's make necessary in its accounts, with the length of each.
const IMMUTABLE_OWNER: (u16, usize) = (7, 0);
const NEEDED: [(u16, (u16, usize)); 4] = [(1, (2, 8)), (9, (13, 0)), (14, (15, 1)), (26, (27, 0))];

/// A token to be placed on the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    program: Pubkey,
    decimals: u8,
    supply: u64,
    extensions: Vec<(u16, Vec<u8>)>,
}

impl Token {
    /// A token of SPL Token.
    #[must_use]
    pub fn new(decimals: u8) -> Self {
        Self { program: TOKEN_PROGRAM, decimals, supply: u64::MAX / 2, extensions: Vec::new() }
    }

    /// A token of Token-2022.
    #[must_use]
    pub fn new_2022(decimals: u8) -> Self {
        Self { program: TOKEN_2022_PROGRAM, ..Self::new(decimals) }
    }

    /// Adds an extension of Token-2022, by the number of its type and its bytes, as the program keeps them.
    #[must_use]
    pub fn extension(mut self, kind: u16, value: impl Into<Vec<u8>>) -> Self {
        self.extensions.push((kind, value.into()));
        self
    }

    /// The program that keeps it.
    #[must_use]
    pub fn program(&self) -> Pubkey {
        self.program
    }

    /// Digits after the point.
    #[must_use]
    pub fn decimals(&self) -> u8 {
        self.decimals
    }

    /// The mint's bytes. Nobody can mint or freeze.
    pub(crate) fn mint(&self) -> Vec<u8> {
        let mut data = vec![0; MINT];
        data[36..44].copy_from_slice(&self.supply.to_le_bytes());
        data[44] = self.decimals;
        data[45] = 1;
        if !self.extensions.is_empty() {
            extend(&mut data, 1, self.extensions.iter().map(|(kind, value)| (*kind, value.clone())));
        }
        data
    }

    /// A token account's bytes.
    pub(crate) fn account(&self, mint: Pubkey, owner: Pubkey, amount: u64) -> Vec<u8> {
        let mut data = vec![0; ACCOUNT];
        data[..32].copy_from_slice(mint.as_ref());
        data[32..64].copy_from_slice(owner.as_ref());
        data[64..72].copy_from_slice(&amount.to_le_bytes());
        data[108] = 1;
        if self.program == TOKEN_2022_PROGRAM {
            let needed = NEEDED.iter().filter(|(kind, _)| self.extensions.iter().any(|(has, _)| has == kind));
            let own = needed.map(|(_, own)| *own).chain([IMMUTABLE_OWNER]);
            extend(&mut data, 2, own.map(|(kind, length)| (kind, vec![0; length])));
        }
        data
    }
}

/// Appends the byte that says what the account is, and extensions.
fn extend(data: &mut Vec<u8>, is: u8, extensions: impl Iterator<Item = (u16, Vec<u8>)>) {
    data.resize(ACCOUNT, 0);
    data.push(is);
    for (kind, value) in extensions {
        data.extend(kind.to_le_bytes());
        data.extend((value.len() as u16).to_le_bytes());
        data.extend(value);
    }
}

/// Where a wallet keeps its tokens of a mint.
#[must_use]
pub fn token_account(owner: Pubkey, mint: Pubkey, program: Pubkey) -> Pubkey {
    let seeds = [owner.as_ref(), program.as_ref(), mint.as_ref()];
    Pubkey::find_program_address(&seeds, &ASSOCIATED_TOKEN_PROGRAM).0
}

/// What a token account holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Holding {
    pub(crate) mint: Pubkey,
    pub(crate) owner: Pubkey,
    pub(crate) program: Pubkey,
    pub(crate) amount: u64,
}

impl Holding {
    /// Reads a token account; `None` where the account is none.
    pub(crate) fn read(account: &Account) -> Option<Self> {
        let program = account.owner;
        let data = &account.data[..];
        let known = program == TOKEN_PROGRAM && data.len() == ACCOUNT
            || program == TOKEN_2022_PROGRAM && (data.len() == ACCOUNT || data.get(ACCOUNT) == Some(&2));
        if !known || data[108] == 0 {
            return None;
        }
        let key = |at: usize| data.get(at..at + 32).and_then(|bytes| Pubkey::try_from(bytes).ok());
        let amount = u64::from_le_bytes(data.get(64..72)?.try_into().ok()?);
        Some(Self { mint: key(0)?, owner: key(32)?, program, amount })
    }
}

/// A mint's decimals; `None` where the account is none.
pub(crate) fn decimals(account: &Account) -> Option<u8> {
    let token = account.owner == TOKEN_PROGRAM || account.owner == TOKEN_2022_PROGRAM;
    let mint = account.data.len() == MINT || account.data.get(ACCOUNT) == Some(&1);
    (token && mint).then(|| account.data[44])
}
