//! What rows are found by: digests, so that no text from outside is ever too long or too strange for an index.

use sha2::{Digest, Sha256};
use tollway_core::{Caller, ClaimKey, Fault, FaultKind, Scope, SignedTx};

pub(crate) type Id = [u8; 32];

/// The digest of texts none of which holds a zero byte but the last.
fn digest(parts: &[&str]) -> Id {
    let mut hash = Sha256::new();
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            hash.update([0]);
        }
        hash.update(part);
    }
    hash.finalize().into()
}

pub(crate) fn claim(scope: Scope, key: &ClaimKey) -> Id {
    digest(&[scope.name(), key.as_str()])
}

/// Of a caller's token, if it has one. The token itself stands in no index.
pub(crate) fn token(scope: Scope, caller: &Caller) -> Option<Id> {
    caller.token().map(|token| digest(&["token", scope.name(), token]))
}

/// Of the place a transaction competes for. A newer holder of a signer writes the same place under a newer epoch;
/// without a sequence every transaction is a place of its own.
pub(crate) fn slot(tx: &SignedTx) -> Id {
    let slot = &tx.slot;
    match slot.sequence {
        Some(sequence) => digest(&["place", slot.network.as_str(), &sequence.to_string(), &slot.signer]),
        None => digest(&["hash", slot.network.as_str(), &tx.hash]),
    }
}

/// A number that is never given out twice: 62 random bits, so that no store has to remember which were. Fits an `i64`, and
/// is never 0.
pub(crate) fn unique() -> Result<u64, Fault> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).map_err(|why| {
        Fault::new(FaultKind::Internal, "the operating system gave no random bytes").source(why.to_string())
    })?;
    Ok((u64::from_be_bytes(bytes) >> 2) | 1 << 62)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tollway_core::{NetworkId, Slot};

    #[test]
    fn texts_do_not_run_into_one_another() {
        let network: NetworkId = "fake:1".parse().unwrap();
        let key = ClaimKey::new(&network, "m", &["a"]);
        assert_ne!(claim(Scope::Server, &key), claim(Scope::Facilitator, &key));
        let caller = Caller::new("a");
        assert_ne!(token(Scope::Server, &caller), token(Scope::Facilitator, &caller));
        assert_eq!(token(Scope::Server, &Caller::ANONYMOUS), None);
        let tx = |signer: &str, sequence, hash: &str| {
            slot(&SignedTx::new(Slot::new(network.clone(), signer, sequence), hash, Vec::new()))
        };
        assert_eq!(tx("a", Some(1), "x"), tx("a", Some(1), "y"));
        let places = [tx("a", Some(1), "x"), tx("a", Some(2), "x"), tx("b", Some(1), "x"), tx("a", None, "x")];
        for (index, place) in places.iter().enumerate() {
            assert!(!places[..index].contains(place), "{index}");
        }
        assert_ne!(tx("a", None, "x"), tx("a", None, "y"));
    }

    #[test]
    fn numbers_fit_and_differ() {
        let numbers: std::collections::BTreeSet<_> = (0..1000).map(|_| unique().unwrap()).collect();
        assert_eq!(numbers.len(), 1000);
        assert!(numbers.iter().all(|number| *number > 0 && i64::try_from(*number).is_ok()));
    }
}
