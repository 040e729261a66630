//! Any bytes at all: our decoder and the SDK's must agree on them. What they must agree on is in `src/fuzz.rs`, which
//! the crate's own tests drive with bytes that are nearly transactions.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    tollway_solana::fuzz::decoders_agree(bytes);
});
