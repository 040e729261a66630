//! Tollway's automation: `cargo xtask <task>`.
#![allow(clippy::print_stdout, reason = "a command line tool talks on standard output")]

mod bench;
mod browser;
mod contracts;
mod interop;
mod packages;
mod postgres;
mod source;
mod test;
mod tidy;
mod tree;

use std::process::ExitCode;

const USAGE: &str = "\
Tollway's automation.

usage: cargo xtask <task>

tasks:
  test                 everything CI checks: tidy, lints, tests, doc examples
  tidy                 repository checks: which crate may know which, module headers, contracts' artifacts
  lint                 rustfmt and clippy, where the toolchain has them
  bench <name> [...]   benchmarks; `cargo xtask bench` lists them
  chaos [...]          kills facilitators under load and asks the chain whether every payment moved once
  browser              installs Chromium for the tests of pages, unless there is a browser
  interop [--json]     our programs and the reference SDK in the same roles, in every mix; needs Node, or installs it
  postgres             installs PostgreSQL for the tests of stores, unless there is one
  contracts [--check]  compile the Solidity contracts with npm's solc, or check the committed artifacts";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let done = match args.split_first() {
        Some((task, rest)) => match task.as_str() {
            "test" => test::test(),
            "tidy" => tidy::run(),
            "lint" => test::lint(),
            "bench" => bench::run(rest),
            "browser" => browser::ensure(),
            "postgres" => postgres::ensure(),
            "chaos" => bench::chaos(rest),
            "interop" => interop::run(rest),
            "contracts" => contracts::run(rest),
            "help" | "--help" | "-h" => {
                println!("{USAGE}");
                Ok(())
            }
            unknown => Err(format!("there is no task `{unknown}`\n\n{USAGE}")),
        },
        None => Err(USAGE.to_owned()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}

/// Runs cargo and waits; an error if it fails.
fn cargo(args: &[&str]) -> Result<(), String> {
    cargo_with(args, &[])
}

/// The same with variables set.
fn cargo_with(args: &[&str], variables: &[(&str, &str)]) -> Result<(), String> {
    println!("$ cargo {}", args.join(" "));
    let status = std::process::Command::new(env!("CARGO")).args(args).envs(variables.iter().copied()).status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(_) => Err(format!("`cargo {}` failed", args.join(" "))),
        Err(why) => Err(format!("cargo could not be started: {why}")),
    }
}

/// Runs cargo and gives what it printed.
fn cargo_output(args: &[&str]) -> Result<String, String> {
    let output = std::process::Command::new(env!("CARGO"))
        .args(args)
        .output()
        .map_err(|why| format!("cargo could not be started: {why}"))?;
    if !output.status.success() {
        return Err(format!("`cargo {}` failed:\n{}", args.join(" "), String::from_utf8_lossy(&output.stderr)));
    }
    String::from_utf8(output.stdout).map_err(|why| format!("cargo printed something that is no text: {why}"))
}
