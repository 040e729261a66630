//! The decoder beside the SDK's own. Driven by the fuzz target in `fuzz/` and by the property tests below.

use crate::message::{LARGEST, Transaction};
use solana_transaction::versioned::{TransactionVersion, VersionedTransaction};

/// What the network's own code reads, if it reads all of the bytes and finds them sane.
fn by_the_sdk(bytes: &[u8]) -> Option<VersionedTransaction> {
    if bytes.len() > LARGEST {
        // More is in no packet.
        return None;
    }
    let mut rest = bytes;
    let transaction: VersionedTransaction = bincode::deserialize_from(&mut rest).ok()?;
    // Version 1 is for another day.
    let known = transaction.version() != TransactionVersion::Number(1);
    (known && rest.is_empty() && transaction.sanitize().is_ok()).then_some(transaction)
}

/// Decodes bytes both ways and says whether they are a transaction.
///
/// # Panics
/// One takes them for a transaction and the other does not, or they read different ones.
pub fn decoders_agree(bytes: &[u8]) -> bool {
    let (ours, theirs) = match (Transaction::decode(bytes.to_vec()), by_the_sdk(bytes)) {
        (Ok(ours), Some(theirs)) => (ours, theirs),
        (Err(_), None) => return false,
        (Ok(_), None) => panic!("only our decoder accepts {bytes:?}"),
        (Err(why), Some(_)) => panic!("only our decoder refuses ({why}) {bytes:?}"),
    };
    let message = &theirs.message;
    assert_eq!(ours.message(), message.serialize());
    assert_eq!(ours.blockhash().to_bytes(), message.recent_blockhash().to_bytes());
    assert!(ours.keys().eq(message.static_account_keys().iter().copied()));
    let signatures = theirs.signatures.iter().map(|signature| *signature.as_array());
    let signers = message.static_account_keys().iter().copied();
    assert!(ours.signatures().eq(signers.zip(signatures)));
    assert_eq!(ours.signatures().len(), usize::from(message.header().num_required_signatures));
    assert_eq!(ours.instructions().len(), message.instructions().len());
    for (ours, theirs) in ours.instructions().zip(message.instructions()) {
        assert_eq!(Some(&ours.program), message.static_account_keys().get(usize::from(theirs.program_id_index)));
        assert_eq!(ours.accounts, &theirs.accounts[..]);
        assert_eq!(ours.data, &theirs.data[..]);
    }
    let lookups = message.address_table_lookups().is_some_and(|lookups| !lookups.is_empty());
    assert_eq!(ours.has_lookups(), lookups);
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use proptest::sample::Index;
    use proptest::strategy::ValueTree as _;
    use proptest::test_runner::TestRunner;
    use std::ops::Range;

    /// One of each shape; the fuzzer starts from them, too.
    const SEEDS: [(&str, &[u8]); 5] = [
        ("v0", include_bytes!("../fuzz/seeds/transaction/v0")),
        ("v0-memo", include_bytes!("../fuzz/seeds/transaction/v0-memo")),
        ("v0-lookups", include_bytes!("../fuzz/seeds/transaction/v0-lookups")),
        ("v0-three-signers", include_bytes!("../fuzz/seeds/transaction/v0-three-signers")),
        ("legacy", include_bytes!("../fuzz/seeds/transaction/legacy")),
    ];

    #[test]
    fn every_seed_is_a_transaction() {
        for (name, seed) in SEEDS {
            assert!(decoders_agree(seed), "{name}");
        }
        assert_eq!(SEEDS[0].1, crate::test::golden_bytes("exact-svm"));
        let read = |place: usize| Transaction::decode(SEEDS[place].1.to_vec()).unwrap();
        assert!(read(2).has_lookups() && read(3).signatures().len() == 3 && read(4).message()[0] == 2);
    }

    /// Every byte of every seed, changed to what is nearly right and to what is far off.
    #[test]
    fn one_byte_changed_anywhere() {
        for (_, seed) in SEEDS {
            // The keys and signatures may be anything; a few of their bytes stand for all.
            for at in (0..seed.len()).filter(|at| at % 32 < 8 || *at > 380) {
                for value in [0, 1, seed[at].wrapping_add(1), seed[at].wrapping_sub(1), seed[at] ^ 0x80, 0xff] {
                    decoders_agree(&crate::test::splice(seed, at, &[value]));
                }
            }
        }
    }

    /// A change to bytes. Places are shares of whatever length there is.
    #[derive(Debug, Clone)]
    enum Edit {
        Set(Index, u8),
        Insert(Index, u8),
        Remove(Index),
        Cut(Index),
        Repeat(Index, Index),
    }

    impl Edit {
        fn of(self, bytes: &mut Vec<u8>) {
            if bytes.is_empty() {
                return;
            }
            let place = |at: Index| at.index(bytes.len());
            match self {
                Self::Set(at, byte) => {
                    let at = place(at);
                    bytes[at] = byte;
                }
                Self::Insert(at, byte) => bytes.insert(place(at), byte),
                Self::Remove(at) => drop(bytes.remove(place(at))),
                Self::Cut(at) => bytes.truncate(place(at)),
                Self::Repeat(one, other) => {
                    let (one, other) = (place(one), place(other));
                    bytes.extend_from_within(one.min(other)..one.max(other));
                }
            }
        }
    }

    fn edit() -> impl Strategy<Value = Edit> {
        let at = any::<Index>;
        // Lengths, counts and indices are small.
        let byte = || prop_oneof![any::<u8>(), 0..12u8, Just(0x80)];
        prop_oneof![
            6 => (at(), byte()).prop_map(|(at, byte)| Edit::Set(at, byte)),
            2 => (at(), byte()).prop_map(|(at, byte)| Edit::Insert(at, byte)),
            2 => at().prop_map(Edit::Remove),
            1 => at().prop_map(Edit::Cut),
            1 => (at(), at()).prop_map(|(one, other)| Edit::Repeat(one, other)),
        ]
    }

    fn edited(bytes: impl Strategy<Value = Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
        (bytes, prop::collection::vec(edit(), 0..5)).prop_map(|(mut bytes, edits)| {
            edits.into_iter().for_each(|edit| edit.of(&mut bytes));
            bytes
        })
    }

    fn list(bytes: &mut Vec<u8>, items: &[u8]) {
        bytes.push(items.len() as u8);
        bytes.extend(items);
    }

    /// A transaction put together at random: of the right form, with counts and indices at the edge of what is sane.
    fn assembled() -> impl Strategy<Value = Vec<u8>> {
        let bytes = |range: Range<u8>, most| prop::collection::vec(range, 0..most);
        let parts = (1..4u8, 0..3u8, 1..4u8).prop_flat_map(move |(signers, readonly, more)| {
            let keys = signers + readonly + more;
            let signed = prop_oneof![9 => Just(signers), 1 => 0..4u8];
            let header = (
                Just(signers),
                prop_oneof![9 => 0..signers, 1 => 0..=signers],
                prop_oneof![9 => Just(readonly), 1 => 0..12u8],
            );
            let program = prop_oneof![19 => 1..keys, 1 => 0..=keys];
            let accounts = prop_oneof![19 => bytes(0..keys, 4), 1 => bytes(0..keys + 2, 4)];
            let instruction = (program, accounts, bytes(0..255, 4));
            let instructions = prop::collection::vec(instruction, 0..4);
            let tables = prop::collection::vec((bytes(0..255, 3), bytes(0..255, 3)), 0..3);
            (signed, header, Just(keys), instructions, any::<bool>(), tables)
        });
        parts.prop_map(|(signed, header, keys, instructions, legacy, tables)| {
            let mut bytes = vec![signed];
            bytes.resize(1 + 64 * usize::from(signed), 3);
            if !legacy {
                bytes.push(0x80);
            }
            bytes.extend([header.0, header.1, header.2, keys]);
            // The last one is the blockhash.
            (0..=keys).for_each(|key| bytes.extend([key; 32]));
            bytes.push(instructions.len() as u8);
            for (program, accounts, data) in instructions {
                bytes.push(program);
                list(&mut bytes, &accounts);
                list(&mut bytes, &data);
            }
            if !legacy {
                bytes.push(tables.len() as u8);
                for (written, read) in tables {
                    bytes.extend([4; 32]);
                    list(&mut bytes, &written);
                    list(&mut bytes, &read);
                }
            }
            bytes
        })
    }

    fn seeded() -> impl Strategy<Value = Vec<u8>> {
        prop::sample::select(&SEEDS[..]).prop_map(|(_, seed)| seed.to_vec())
    }

    /// The strategies below reach both sides of the line, or they would prove nothing.
    #[test]
    fn some_of_what_is_made_up_is_a_transaction_and_some_is_not() {
        let mut runner = TestRunner::deterministic();
        for strategy in [assembled().boxed(), edited(assembled()).boxed(), edited(seeded()).boxed()] {
            let mut made = || strategy.new_tree(&mut runner).unwrap().current();
            let accepted = (0..1000).filter(|_| decoders_agree(&made())).count();
            assert!((100..900).contains(&accepted), "{accepted} of 1000");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]

        #[test]
        fn any_bytes_at_all(bytes in prop::collection::vec(any::<u8>(), 0..1400)) {
            decoders_agree(&bytes);
        }

        #[test]
        fn transactions_assembled_at_random(bytes in assembled()) {
            decoders_agree(&bytes);
        }

        #[test]
        fn acceptance_is_the_networks_own(bytes in prop_oneof![edited(seeded()), edited(assembled())]) {
            decoders_agree(&bytes);
        }
    }
}
