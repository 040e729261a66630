//! Tollway's automation: `cargo xtask <task>`.

mod contracts;

use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let done = match args.split_first() {
        Some((task, rest)) if task == "contracts" => contracts::run(rest),
        _ => Err("usage: cargo xtask contracts [--check] [crate folder ...]".to_owned()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}
