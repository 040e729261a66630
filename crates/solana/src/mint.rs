//! Mints: what a token's own account says about it, which of it may be kept, and which tokens are not accepted.
//!
//! The layout is that of SPL Token; Token-2022 appends extensions as type, length, value. Reading it takes a page, so
//! it is read here instead of with the programs' crates.

use crate::programs::{TOKEN, TOKEN_2022};
use crate::rpc::{Account, CallError, Rpc};
use serde::Deserialize;
use solana_pubkey::Pubkey;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Length of a mint without extensions.
const PLAIN: usize = 82;
/// Places in it.
const DECIMALS: usize = 44;
const INITIALIZED: usize = 45;
/// With extensions, a byte behind this length says that the account is a mint; the extensions follow it.
const PADDED: usize = 165;
const IS_MINT: u8 = 1;
/// Longest mint account read, in bytes. Metadata can be long; nobody needs this much.
const LARGEST: usize = 16 * 1024;

/// Mints kept. The oldest make room for new ones.
const MOST_KEPT: usize = 1024;
/// How long a mint of Token-2022 is kept: fees, hooks and delegates can be changed. What cannot change of SPL Token's
/// mints is kept for good.
const KEPT: Duration = Duration::from_secs(600);

/// A power over transfers that a mint of Token-2022 can have and that facilitators refuse unless told otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum TokenPower {
    /// Part of every transfer is withheld: the recipient gets less than was paid. A fee set to zero does not count.
    TransferFee,
    /// A program of the issuer's runs in every transfer. A hook that is not set does not count.
    TransferHook,
    /// Somebody may take tokens out of any account.
    PermanentDelegate,
    /// New accounts begin frozen.
    DefaultFrozen,
    /// Tokens cannot be transferred at all.
    NonTransferable,
    /// An extension this version does not know.
    Unknown,
}

impl fmt::Display for TokenPower {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TransferFee => "transferFee",
            Self::TransferHook => "transferHook",
            Self::PermanentDelegate => "permanentDelegate",
            Self::DefaultFrozen => "defaultFrozen",
            Self::NonTransferable => "nonTransferable",
            Self::Unknown => "unknown",
        })
    }
}

/// What is known of a mint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mint {
    /// The token program that owns it.
    pub(crate) program: Pubkey,
    pub(crate) decimals: u8,
    pub(crate) powers: Vec<TokenPower>,
}

impl Mint {
    /// Reads a mint. `None` where the account is none.
    pub(crate) fn read(account: &Account) -> Option<Self> {
        let program: Pubkey = account.owner.parse().ok()?;
        let data = account.data()?;
        let plain = data.len() == PLAIN;
        let extended = program == TOKEN_2022 && data.len() > PADDED && data.len() <= LARGEST && data[PADDED] == IS_MINT;
        let known = program == TOKEN && plain || program == TOKEN_2022 && (plain || extended);
        if !known || data[INITIALIZED] != 1 {
            return None;
        }
        let powers = if extended { powers(&data[PADDED.saturating_add(1)..])? } else { Vec::new() };
        Some(Self { program, decimals: data[DECIMALS], powers })
    }

    fn is_fixed(&self) -> bool {
        self.program == TOKEN
    }
}

/// The powers among a mint's extensions. `None` where they are cut short.
fn powers(mut rest: &[u8]) -> Option<Vec<TokenPower>> {
    let mut powers = Vec::new();
    while let Some((kind, after)) = rest.split_first_chunk::<2>() {
        let kind = u16::from_le_bytes(*kind);
        if kind == 0 {
            // Space not used yet.
            break;
        }
        let (length, after) = after.split_first_chunk::<2>()?;
        let (value, after) = after.split_at_checked(u16::from_le_bytes(*length).into())?;
        rest = after;
        powers.extend(power(kind, value));
    }
    powers.sort_unstable();
    powers.dedup();
    Some(powers)
}

/// The power an extension gives, if any. One too short for its kind is taken for the worst it could be.
fn power(kind: u16, value: &[u8]) -> Option<TokenPower> {
    let is_set =
        |place: std::ops::Range<usize>| value.get(place).is_none_or(|bytes| bytes.iter().any(|byte| *byte != 0));
    match kind {
        // Two fees, of which one is in force now and the other was or will be: epoch, most units, basis points.
        1 => {
            let charges = |most, points| is_set(most) && is_set(points);
            (charges(80..88, 88..90) || charges(98..106, 106..108)).then_some(TokenPower::TransferFee)
        }
        6 => (value.first() != Some(&1)).then_some(TokenPower::DefaultFrozen),
        9 => Some(TokenPower::NonTransferable),
        12 => is_set(0..32).then_some(TokenPower::PermanentDelegate),
        // The authority that may set a hook, and the hook.
        14 => is_set(32..64).then_some(TokenPower::TransferHook),
        // Closing an empty mint, confidential transfers, interest and scale for display, metadata, groups, pausing
        // (a paused transfer fails its simulation), burning: nothing that changes what arrives.
        3 | 4 | 10 | 16 | 18..=26 | 28 => None,
        _ => Some(TokenPower::Unknown),
    }
}

/// The mints that were read, for as long as they cannot have changed much.
#[derive(Debug, Default)]
pub(crate) struct Mints {
    kept: Mutex<HashMap<Pubkey, (Mint, Instant)>>,
}

impl Mints {
    fn kept(&self) -> MutexGuard<'_, HashMap<Pubkey, (Mint, Instant)>> {
        // A map of values is whole whatever panicked while it was locked.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A mint that need not be read again.
    pub(crate) fn get(&self, address: &Pubkey) -> Option<Mint> {
        let kept = self.kept();
        kept.get(address).filter(|(mint, read)| mint.is_fixed() || read.elapsed() < KEPT).map(|(mint, _)| mint.clone())
    }

    /// Keeps a mint.
    pub(crate) fn put(&self, address: Pubkey, mint: Mint) {
        let mut kept = self.kept();
        if kept.len() >= MOST_KEPT && !kept.contains_key(&address) {
            let oldest = kept.iter().min_by_key(|(_, (_, read))| *read).map(|(address, _)| *address);
            if let Some(oldest) = oldest {
                kept.remove(&oldest);
            }
        }
        kept.insert(address, (mint, Instant::now()));
    }

    /// A mint, read from the chain where it must be. `None` where there is none at the address.
    pub(crate) async fn read(&self, rpc: &Rpc, address: &Pubkey) -> Result<Option<Mint>, CallError> {
        if let Some(mint) = self.get(address) {
            return Ok(Some(mint));
        }
        let mint = rpc.account(address).await?.as_ref().and_then(Mint::read);
        if let Some(mint) = &mint {
            self.put(*address, mint.clone());
        }
        Ok(mint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test::{extension, mint_account};
    use proptest::prelude::*;

    fn read(program: Pubkey, extensions: &[(u16, Vec<u8>)]) -> Option<Mint> {
        Mint::read(&mint_account(program, 6, extensions))
    }

    fn powers_of(extensions: &[(u16, Vec<u8>)]) -> Vec<TokenPower> {
        read(TOKEN_2022, extensions).unwrap().powers
    }

    #[test]
    fn plain_mints_of_both_programs_are_read() {
        for program in [TOKEN, TOKEN_2022] {
            assert_eq!(read(program, &[]), Some(Mint { program, decimals: 6, powers: Vec::new() }));
        }
        assert_eq!(read(Pubkey::default(), &[]), None);
        assert_eq!(read(TOKEN, &[extension::fee(0)]), None, "SPL Token has no extensions");
    }

    #[test]
    fn every_power_is_seen_and_nothing_harmless_is_taken_for_one() {
        use TokenPower::*;
        for (extension, power) in [
            (extension::fee(100), TransferFee),
            (extension::hook([7; 32]), TransferHook),
            (extension::delegate([7; 32]), PermanentDelegate),
            (extension::default_state(2), DefaultFrozen),
            (extension::default_state(0), DefaultFrozen),
            ((9, Vec::new()), NonTransferable),
            ((29, Vec::new()), Unknown),
            ((u16::MAX, vec![0; 5]), Unknown),
            ((1, Vec::new()), TransferFee),
            ((6, Vec::new()), DefaultFrozen),
            ((12, Vec::new()), PermanentDelegate),
            ((14, vec![0; 40]), TransferHook),
        ] {
            assert_eq!(powers_of(&[extension]), [power]);
        }
        let harmless = [
            extension::fee(0),
            extension::hook([0; 32]),
            extension::delegate([0; 32]),
            extension::default_state(1),
            (3, vec![7; 32]),
            (18, vec![7; 64]),
            (19, vec![7; 300]),
            (26, vec![7; 33]),
        ];
        assert_eq!(powers_of(&harmless), []);
        let mut all = harmless.to_vec();
        all.push(extension::delegate([1; 32]));
        all.push(extension::fee(1));
        assert_eq!(powers_of(&all), [TransferFee, PermanentDelegate]);
    }

    #[test]
    fn a_fee_that_begins_or_ended_counts() {
        let mut newer = extension::fee(0);
        newer.1[98..106].copy_from_slice(&5u64.to_le_bytes());
        newer.1[106] = 1;
        assert_eq!(powers_of(&[newer]), [TokenPower::TransferFee]);
        let mut capped = extension::fee(100);
        capped.1[80..88].fill(0);
        assert_eq!(powers_of(&[capped]), [], "at most nothing is nothing");
    }

    #[test]
    fn what_is_cut_short_is_no_mint() {
        let whole = mint_account(TOKEN_2022, 6, &[extension::delegate([1; 32])]);
        let data = whole.data().unwrap();
        for length in 0..data.len() {
            let cut = crate::test::account(TOKEN_2022, &data[..length]);
            let mint = Mint::read(&cut);
            let bare = length == PLAIN || length == PADDED + 1 || length == PADDED + 2;
            assert_eq!(mint.is_some(), bare, "{length}");
        }
        let mut uninitialized = data;
        uninitialized[INITIALIZED] = 0;
        assert_eq!(Mint::read(&crate::test::account(TOKEN_2022, &uninitialized)), None);
    }

    #[tokio::test(start_paused = true)]
    async fn mints_are_kept_for_as_long_as_they_cannot_change() {
        let mints = Mints::default();
        let mint = |program| Mint { program, decimals: 6, powers: Vec::new() };
        let (fixed, changing) = (Pubkey::new_from_array([1; 32]), Pubkey::new_from_array([2; 32]));
        mints.put(fixed, mint(TOKEN));
        mints.put(changing, mint(TOKEN_2022));
        tokio::time::advance(KEPT - Duration::from_secs(1)).await;
        assert!(mints.get(&fixed).is_some() && mints.get(&changing).is_some());
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(mints.get(&fixed).is_some() && mints.get(&changing).is_none());
        for number in 0..2 * MOST_KEPT {
            let mut address = [3; 32];
            address[..8].copy_from_slice(&number.to_le_bytes());
            mints.put(address.into(), mint(TOKEN));
        }
        assert_eq!(mints.kept().len(), MOST_KEPT);
    }

    proptest! {
        #[test]
        fn no_account_panics(data in prop::collection::vec(any::<u8>(), 0..400)) {
            let _ = Mint::read(&crate::test::account(TOKEN_2022, &data));
            let mut near = vec![1; 166];
            near.extend(data);
            let _ = Mint::read(&crate::test::account(TOKEN_2022, &near));
        }
    }
}
