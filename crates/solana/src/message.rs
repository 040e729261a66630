//! Reading a serialized transaction from a stranger: bounded, strict, every index checked before anything uses it.
//!
//! Accepts what the network's own decoding and sanitizing accept of legacy and version 0 transactions of at most one
//! packet, apart from bytes after the end. The bytes are kept as they came, so that what is hashed, verified and sent
//! is what was read.

use sha2::{Digest as _, Sha256};
use solana_pubkey::Pubkey;
use std::fmt;
use std::ops::Range;

/// Largest transaction the network carries, in bytes.
pub(crate) const LARGEST: usize = 1232;
/// Bytes of a signature and of a key or hash.
const SIGNATURE: usize = 64;
const KEY: usize = 32;
/// Set in a message's first byte where a version follows.
const VERSIONED: u8 = 0x80;
/// Most accounts an instruction's one-byte index can name.
const MOST_ACCOUNTS: usize = 256;

/// Why bytes are no transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Malformed {
    /// More than [`LARGEST`] bytes.
    TooLarge,
    /// The bytes end before the transaction does.
    Truncated,
    /// Bytes follow the transaction's end.
    Trailing,
    /// A length is not in its shortest form, or above 16 bits.
    BadLength,
    /// A version nobody here knows.
    UnknownVersion,
    /// The counts of signers and read-only accounts contradict each other or the list of accounts.
    BadHeader,
    /// An index names no account, or no program.
    BadIndex,
    /// A lookup table is named to load nothing.
    EmptyLookup,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLarge => "the transaction is larger than a packet of 1232 bytes",
            Self::Truncated => "the transaction is cut short",
            Self::Trailing => "bytes follow the transaction's end",
            Self::BadLength => "a length in the transaction is not in its shortest form",
            Self::UnknownVersion => "the message's version is not known",
            Self::BadHeader => "the message's header contradicts its accounts or signatures",
            Self::BadIndex => "an instruction's index is out of range",
            Self::EmptyLookup => "a lookup table loads no account",
        })
    }
}

/// A well-formed transaction with its bytes.
#[derive(Debug, Clone)]
pub(crate) struct Transaction {
    bytes: Vec<u8>,
    signatures: Range<usize>,
    message: usize,
    keys: Range<usize>,
    blockhash: usize,
    instructions: Vec<Place>,
    lookups: bool,
}

/// Where an instruction is in the bytes.
#[derive(Debug, Clone)]
struct Place {
    program: u8,
    accounts: Range<usize>,
    data: Range<usize>,
}

/// One instruction.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Instruction<'a> {
    /// The program it calls.
    pub(crate) program: Pubkey,
    /// Indices of its accounts.
    pub(crate) accounts: &'a [u8],
    /// What the program reads.
    pub(crate) data: &'a [u8],
}

impl Transaction {
    /// Reads a transaction.
    pub(crate) fn decode(bytes: Vec<u8>) -> Result<Self, Malformed> {
        if bytes.len() > LARGEST {
            return Err(Malformed::TooLarge);
        }
        let mut reader = Reader { bytes: &bytes, at: 0 };
        let signed = reader.length()?;
        let signatures = reader.many(signed, SIGNATURE)?;

        let message = reader.at;
        let first = reader.byte()?;
        let versioned = first & VERSIONED != 0;
        let required = match versioned {
            false => first,
            true if first == VERSIONED => reader.byte()?,
            true => return Err(Malformed::UnknownVersion),
        };
        let (readonly_signed, readonly_unsigned) = (reader.byte()?, reader.byte()?);
        let count = reader.length()?;
        let keys = reader.many(count, KEY)?;
        let blockhash = reader.many(1, KEY)?.start;

        let announced = reader.length()?;
        // An instruction takes three bytes at least, so no announcement makes this allocate much.
        let mut instructions = Vec::with_capacity(announced.min(reader.left() / 3));
        for _ in 0..announced {
            let program = reader.byte()?;
            let accounts = reader.list()?;
            instructions.push(Place { program, accounts, data: reader.list()? });
        }
        let mut loaded = 0usize;
        if versioned {
            for _ in 0..reader.length()? {
                reader.many(1, KEY)?;
                let named = reader.list()?.len().saturating_add(reader.list()?.len());
                if named == 0 {
                    return Err(Malformed::EmptyLookup);
                }
                loaded = loaded.saturating_add(named);
            }
        }
        if reader.left() > 0 {
            return Err(Malformed::Trailing);
        }

        let fits = usize::from(required).saturating_add(readonly_unsigned.into()) <= count;
        let accounts = count.saturating_add(loaded);
        if readonly_signed >= required || !fits || signed != usize::from(required) || accounts > MOST_ACCOUNTS {
            return Err(Malformed::BadHeader);
        }
        // A program is never the fee payer and never loaded from a table.
        let sound = |place: &Place| {
            (1..count).contains(&place.program.into())
                && bytes[place.accounts.clone()].iter().all(|index| usize::from(*index) < accounts)
        };
        if !instructions.iter().all(sound) {
            return Err(Malformed::BadIndex);
        }
        Ok(Self { signatures, message, keys, blockhash, instructions, lookups: loaded > 0, bytes })
    }

    /// Everything after the signatures: what is signed, and what makes a payment itself.
    pub(crate) fn message(&self) -> &[u8] {
        &self.bytes[self.message..]
    }

    /// SHA-256 of the [`message`](Self::message).
    pub(crate) fn message_hash(&self) -> [u8; 32] {
        Sha256::digest(self.message()).into()
    }

    /// The signatures with the accounts they belong to, the fee payer's first.
    pub(crate) fn signatures(&self) -> impl ExactSizeIterator<Item = (Pubkey, [u8; SIGNATURE])> {
        let signatures = self.bytes[self.signatures.clone()].as_chunks().0;
        // Decoding has made sure that there are at least as many keys.
        self.keys().zip(signatures.iter().copied())
    }

    /// The accounts named in the message itself, the fee payer first.
    pub(crate) fn keys(&self) -> impl ExactSizeIterator<Item = Pubkey> {
        self.bytes[self.keys.clone()].as_chunks::<KEY>().0.iter().map(|key| Pubkey::from(*key))
    }

    /// One of the [`keys`](Self::keys). `None` for an index that a lookup table resolves.
    pub(crate) fn key(&self, index: u8) -> Option<Pubkey> {
        self.keys().nth(index.into())
    }

    /// The recent blockhash, which says for how long the network accepts the transaction.
    pub(crate) fn blockhash(&self) -> Pubkey {
        let mut hash = [0; KEY];
        hash.copy_from_slice(&self.bytes[self.blockhash..self.blockhash.saturating_add(KEY)]);
        Pubkey::from(hash)
    }

    /// The instructions in order.
    pub(crate) fn instructions(&self) -> impl ExactSizeIterator<Item = Instruction<'_>> {
        self.instructions.iter().map(|place| Instruction {
            // Decoding has made sure that the index is in range.
            program: self.key(place.program).unwrap_or_default(),
            accounts: &self.bytes[place.accounts.clone()],
            data: &self.bytes[place.data.clone()],
        })
    }

    /// Whether any account comes from a lookup table.
    pub(crate) fn has_lookups(&self) -> bool {
        self.lookups
    }

    /// The bytes with the fee payer's signature put in.
    pub(crate) fn signed(&self, fee_payer: &[u8; SIGNATURE]) -> Vec<u8> {
        let mut bytes = self.bytes.clone();
        let start = self.signatures.start;
        bytes[start..start.saturating_add(SIGNATURE)].copy_from_slice(fee_payer);
        bytes
    }
}

/// Walks over bytes and never past their end.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn left(&self) -> usize {
        self.bytes.len().saturating_sub(self.at)
    }

    fn byte(&mut self) -> Result<u8, Malformed> {
        let byte = *self.bytes.get(self.at).ok_or(Malformed::Truncated)?;
        self.at = self.at.saturating_add(1);
        Ok(byte)
    }

    /// The place of `count` items of `size` bytes.
    fn many(&mut self, count: usize, size: usize) -> Result<Range<usize>, Malformed> {
        let length = count.checked_mul(size).filter(|length| *length <= self.left()).ok_or(Malformed::Truncated)?;
        let start = self.at;
        self.at = start.saturating_add(length);
        Ok(start..self.at)
    }

    /// The place of a list of bytes behind its length.
    fn list(&mut self) -> Result<Range<usize>, Malformed> {
        let length = self.length()?;
        self.many(length, 1)
    }

    /// A "compact-u16": seven bits a byte, the lowest first, at most three bytes, in the shortest form only.
    fn length(&mut self) -> Result<usize, Malformed> {
        let mut length = 0usize;
        for shift in [0, 7, 14] {
            let byte = self.byte()?;
            length |= usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                let shortest = byte != 0 || shift == 0;
                return (shortest && length <= usize::from(u16::MAX)).then_some(length).ok_or(Malformed::BadLength);
            }
        }
        Err(Malformed::BadLength)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fuzz::decoders_agree;
    use crate::test::{golden_bytes, splice};

    #[test]
    fn the_golden_transaction_is_read() {
        let bytes = golden_bytes("exact-svm");
        assert!(decoders_agree(&bytes));
        let transaction = Transaction::decode(bytes.clone()).unwrap();
        assert_eq!(transaction.signatures().len(), 2);
        assert_eq!(transaction.signatures().next().unwrap().1, [0; 64]);
        assert_eq!(transaction.keys().next().unwrap().to_string(), "GGYWSW4X8JEWMH8uz3CokSSGyPAwCLEXtYaz4paCdDdM");
        assert_eq!(transaction.instructions().len(), 4);
        assert_eq!(transaction.message(), &bytes[1 + 2 * 64..]);
        assert!(!transaction.has_lookups());
        let signed = transaction.signed(&[7; 64]);
        assert_eq!((signed[1], &signed[65..]), (7, &bytes[65..]));
    }

    #[test]
    fn cut_short_anywhere_it_is_refused() {
        let bytes = golden_bytes("exact-svm");
        for length in 0..bytes.len() {
            assert!(Transaction::decode(bytes[..length].to_vec()).is_err(), "{length}");
        }
    }

    #[test]
    fn bytes_after_the_end_are_refused() {
        let mut bytes = golden_bytes("exact-svm");
        bytes.push(0);
        assert_eq!(Transaction::decode(bytes).unwrap_err(), Malformed::Trailing);
        assert_eq!(Transaction::decode(vec![0; LARGEST + 1]).unwrap_err(), Malformed::TooLarge);
    }

    /// Row 19 of the table of bad input: an index out of range is not decodable.
    #[test]
    fn row_19_an_index_out_of_range_is_refused() {
        let bytes = golden_bytes("exact-svm");
        let golden = Transaction::decode(bytes.clone()).unwrap();
        for place in &golden.instructions {
            let program = place.accounts.start - 2;
            assert_eq!(bytes[program], place.program);
            for index in [0, 8, 200, 255] {
                let changed = splice(&bytes, program, &[index]);
                assert_eq!(Transaction::decode(changed).unwrap_err(), Malformed::BadIndex);
            }
            for account in place.accounts.clone() {
                for index in [8, 200, 255] {
                    let changed = splice(&bytes, account, &[index]);
                    assert_eq!(Transaction::decode(changed).unwrap_err(), Malformed::BadIndex);
                }
            }
        }
    }

    #[test]
    fn headers_that_contradict_themselves_are_refused() {
        let bytes = golden_bytes("exact-svm");
        let header = 1 + 2 * 64 + 1;
        for wrong in [[0, 0, 4], [1, 0, 4], [3, 1, 4], [2, 2, 4], [2, 3, 4], [2, 1, 7], [255, 1, 4], [2, 1, 255]] {
            let changed = splice(&bytes, header, &wrong);
            assert!(!decoders_agree(&changed), "{wrong:?}");
        }
    }

    #[test]
    fn versions_nobody_knows_are_refused() {
        let bytes = golden_bytes("exact-svm");
        for version in 0x81..=0xff {
            let changed = splice(&bytes, 1 + 2 * 64, &[version]);
            assert_eq!(Transaction::decode(changed).unwrap_err(), Malformed::UnknownVersion);
        }
    }

    #[test]
    fn lengths_have_one_form() {
        let read = |bytes: &[u8]| Reader { bytes, at: 0 }.length();
        assert_eq!(read(&[0x7f]), Ok(127));
        assert_eq!(read(&[0x80, 0x01]), Ok(128));
        assert_eq!(read(&[0xff, 0xff, 0x03]), Ok(65535));
        for bad in [&[0x80, 0x00][..], &[0xff, 0x80, 0x00], &[0xff, 0xff, 0x04], &[0xff, 0xff, 0xff, 0x00]] {
            assert_eq!(read(bad), Err(Malformed::BadLength), "{bad:?}");
        }
        assert_eq!(read(&[0x80]), Err(Malformed::Truncated));
    }
}
