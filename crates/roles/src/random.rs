//! Randomness from the operating system.

use tollway_core::{Fault, FaultKind};

/// A token nobody can guess: 128 random bits in hex.
pub(crate) fn token() -> Result<String, Fault> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|why| {
        Fault::new(FaultKind::Internal, "the operating system gave no random bytes").source(why.to_string())
    })?;
    Ok(format!("{:032x}", u128::from_be_bytes(bytes)))
}
