//! Writing the transaction a client signs: a version 0 message with exactly four instructions (specification §3).
//!
//! Accounts are in the order in which the JavaScript library (`@solana/kit`) writes them: by rank, then by address as
//! text, upper and lower case together. The network does not care; it makes transactions comparable byte by byte.

use crate::programs::{COMPUTE_BUDGET, MEMO, SET_LIMIT, SET_PRICE, TRANSFER_CHECKED};
use solana_pubkey::Pubkey;
use std::cmp::Ordering;

/// What a client pays.
#[derive(Debug)]
pub(super) struct Order<'a> {
    pub(super) fee_payer: Pubkey,
    pub(super) payer: Pubkey,
    pub(super) mint: Pubkey,
    /// The program that keeps the token.
    pub(super) program: Pubkey,
    pub(super) source: Pubkey,
    pub(super) destination: Pubkey,
    pub(super) amount: u64,
    pub(super) decimals: u8,
    pub(super) memo: &'a [u8],
    pub(super) compute_unit_limit: u32,
    /// Micro-lamports for a compute unit.
    pub(super) compute_unit_price: u64,
    pub(super) blockhash: Pubkey,
}

/// Of the accounts, the first two sign; the payer, second, and the last four are only read.
const HEADER: [u8; 3] = [2, 1, 4];
/// Version 0.
const VERSION: u8 = 0x80;

impl Order<'_> {
    /// The message to sign. `None` where two of the accounts are the same: such a payment pays nobody.
    pub(super) fn message(&self) -> Option<Vec<u8>> {
        let mut written = [self.source, self.destination];
        let mut read = [COMPUTE_BUDGET, self.mint, MEMO, self.program];
        written.sort_by(as_text);
        read.sort_by(as_text);
        let mut accounts = vec![self.fee_payer, self.payer];
        accounts.extend(written);
        accounts.extend(read);
        let distinct = accounts.iter().enumerate().all(|(i, account)| !accounts[..i].contains(account));
        let at = |account: &Pubkey| {
            let at = accounts.iter().position(|known| known == account)?;
            u8::try_from(at).ok()
        };

        let mut message = vec![VERSION];
        message.extend(HEADER);
        message.push(u8::try_from(accounts.len()).ok()?);
        accounts.iter().for_each(|account| message.extend(account.as_ref()));
        message.extend(self.blockhash.as_ref());

        let limit = [&[SET_LIMIT], &self.compute_unit_limit.to_le_bytes()[..]].concat();
        let price = [&[SET_PRICE], &self.compute_unit_price.to_le_bytes()[..]].concat();
        let transfer = [&[TRANSFER_CHECKED], &self.amount.to_le_bytes()[..], &[self.decimals]].concat();
        let moved = [&self.source, &self.mint, &self.destination, &self.payer];
        let moved: Option<Vec<u8>> = moved.into_iter().map(at).collect();
        message.push(4);
        for (program, accounts, data) in [
            (&COMPUTE_BUDGET, Vec::new(), &limit[..]),
            (&COMPUTE_BUDGET, Vec::new(), &price),
            (&self.program, moved?, &transfer),
            (&MEMO, Vec::new(), self.memo),
        ] {
            message.push(at(program)?);
            length(&mut message, accounts.len())?;
            message.extend(accounts);
            length(&mut message, data.len())?;
            message.extend(data);
        }
        // No lookup tables.
        message.push(0);
        distinct.then_some(message)
    }
}

/// A transaction that lacks nothing but the fee payer's signature.
pub(super) fn partially_signed(payer: &[u8; 64], message: &[u8]) -> Vec<u8> {
    [&[2], &[0; 64][..], payer, message].concat()
}

/// Writes a length of at most 14 bits, in its shortest form.
fn length(bytes: &mut Vec<u8>, length: usize) -> Option<()> {
    let (low, high) = (u8::try_from(length & 0x7f).ok()?, u8::try_from(length >> 7).ok()?);
    match high {
        0 => bytes.push(low),
        1..0x80 => bytes.extend([low | 0x80, high]),
        _ => return None,
    }
    Some(())
}

/// The order of JavaScript's collation for letters and digits: digits first, case last, and then lower case first.
fn as_text(a: &Pubkey, b: &Pubkey) -> Ordering {
    let (a, b) = (a.to_string(), b.to_string());
    let plain = |text: &str| text.to_ascii_lowercase();
    let lower_first = |text: &str| text.bytes().map(|byte| byte.is_ascii_uppercase()).collect::<Vec<_>>();
    plain(&a).cmp(&plain(&b)).then_with(|| lower_first(&a).cmp(&lower_first(&b)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Transaction;
    use crate::test::golden_bytes;
    use proptest::prelude::*;

    fn order(memo: &[u8], seed: u8) -> Order<'_> {
        let key = |n: u8| Pubkey::from([n ^ seed; 32]);
        Order {
            fee_payer: key(1),
            payer: key(2),
            mint: key(3),
            program: crate::programs::TOKEN,
            source: key(4),
            destination: key(5),
            amount: u64::MAX,
            decimals: 6,
            memo,
            compute_unit_limit: u32::MAX,
            compute_unit_price: u64::MAX,
            blockhash: key(6),
        }
    }

    #[test]
    fn what_is_written_is_read() {
        for size in [0, 1, 127, 128, 256] {
            let memo = vec![b'm'; size];
            let message = order(&memo, 0).message().unwrap();
            let bytes = partially_signed(&[9; 64], &message);
            let read = Transaction::decode(bytes).unwrap();
            assert_eq!(read.message(), message);
            assert_eq!(read.signatures().map(|(_, signature)| signature).collect::<Vec<_>>(), [[0; 64], [9; 64]]);
            assert_eq!(read.instructions().last().unwrap().data, memo);
            assert_eq!(read.blockhash(), Pubkey::from([6; 32]));
        }
    }

    #[test]
    fn one_account_for_two_purposes_is_no_payment() {
        let mut own = order(b"", 0);
        own.destination = own.source;
        assert_eq!(own.message(), None);
        let mut own = order(b"", 0);
        own.payer = own.fee_payer;
        assert_eq!(own.message(), None);
    }

    #[test]
    fn accounts_are_in_the_golden_order() {
        let golden = Transaction::decode(golden_bytes("exact-svm")).unwrap();
        let keys: Vec<Pubkey> = golden.keys().collect();
        assert!(keys[2..4].is_sorted_by(|a, b| as_text(a, b).is_lt()));
        assert!(keys[4..].is_sorted_by(|a, b| as_text(a, b).is_lt()));
        let pair = |a: u8, b: u8| as_text(&Pubkey::from([a; 32]), &Pubkey::from([b; 32]));
        assert_eq!(pair(7, 7), Ordering::Equal);
        assert_eq!(pair(7, 8), pair(8, 7).reverse());
    }

    proptest! {
        #[test]
        fn any_memo_and_keys_are_decodable(memo in prop::collection::vec(any::<u8>(), 0..=256), seed in 8u8..) {
            let message = order(&memo, seed).message().unwrap();
            let read = Transaction::decode(partially_signed(&[1; 64], &message)).unwrap();
            prop_assert_eq!(read.instructions().len(), 4);
        }
    }
}
