//! `test` and `lint`: what CI runs. What needs more than Rust is installed, or said not to be tested.

use crate::{bench, browser, cargo, cargo_output, cargo_with, interop, postgres, tidy};

/// Everything: fast checks first.
pub(crate) fn test() -> Result<(), String> {
    tidy::run()?;
    lint()?;
    // The tests that need what is missing say the same, and pass.
    let mut without = Vec::new();
    if let Err(why) = browser::ensure() {
        println!("{why}\nNOT TESTED: pages in a browser. Their HTML is tested by a parser.");
        without.push(("TOLLWAY_NO_BROWSER", "1"));
    }
    if let Err(why) = postgres::ensure() {
        println!("{why}\nNOT TESTED: stores in PostgreSQL.");
        without.push(("TOLLWAY_NO_POSTGRES", "1"));
    }
    // Examples and benchmarks are compiled by clippy above; here they would only cost time.
    cargo_with(&["test", "--workspace", "--all-features", "--quiet"], &without)?;
    bench::short_chaos()?;
    interop::run(&[])
}

/// rustfmt and clippy. A minimal toolchain has neither: then it says so and goes on.
pub(crate) fn lint() -> Result<(), String> {
    if cargo_output(&["fmt", "--version"]).is_ok() {
        cargo(&["fmt", "--all", "--check"])?;
    } else {
        println!("rustfmt is not installed (`rustup component add rustfmt`); formatting is not checked");
    }
    if cargo_output(&["clippy", "--version"]).is_ok() {
        cargo(&["clippy", "--workspace", "--all-targets", "--all-features", "--quiet", "--", "-D", "warnings"])?;
        // What `cargo run` builds has fewer features than all of them.
        cargo(&["check", "--quiet"])
    } else {
        println!("clippy is not installed (`rustup component add clippy`); lints are not checked");
        Ok(())
    }
}
