//! Benchmark programs; `cargo xtask bench` lists them.
#![allow(clippy::print_stdout, reason = "a benchmark prints its figures")]

mod chaos;
mod child;
mod discovery;
mod drive;
mod failover;
mod ledger;
mod methods;
mod payments;
mod server;
mod session;
mod settle;
mod solana;
mod verify;

use std::process::ExitCode;

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    pub(crate) requests: usize,
    pub(crate) at_once: usize,
}

impl Load {
    fn parse(args: &[String], requests: usize) -> Result<Self, String> {
        let mut load = Self { requests, at_once: 16 };
        let mut rest = args.iter();
        while let Some(flag) = rest.next() {
            let value = rest.next().and_then(|value| value.parse().ok()).filter(|value| *value > 0);
            match (flag.as_str(), value) {
                ("--requests", Some(value)) => load.requests = value,
                ("--at-once", Some(value)) => load.at_once = value,
                _ => return Err(format!("`{flag}`: write --requests N or --at-once N, N above zero")),
            }
        }
        Ok(load)
    }
}

fn main() -> ExitCode {
    tollway::http::install_crypto();
    let args: Vec<String> = std::env::args().skip(1).collect();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(why) => {
            eprintln!("the asynchronous runtime could not start: {why}");
            return ExitCode::FAILURE;
        }
    };
    let done =
        runtime.block_on(async {
            match args.split_first() {
                Some((name, rest)) => match name.as_str() {
                    "verify" => verify::run(rest).await,
                    "server" => server::run(Load::parse(rest, 40_000)?).await,
                    "solana" => solana::run(Load::parse(rest, 20_000)?).await,
                    "failover" => failover::run(Load::parse(rest, 200)?).await,
                    "ledger" => ledger::run(Load::parse(rest, 4_000)?).await,
                    "settle" => settle::run(rest).await,
                    "discovery" => discovery::run(Load::parse(rest, 20_000)?).await,
                    "session" => session::run(Load::parse(rest, 20_000)?).await,
                    // The processes under test.
                    "facilitator" => verify::facilitator(rest).await,
                    "solana-facilitator" => solana::facilitator(rest).await,
                    "chaos" => chaos::run(rest).await,
                    "settling" => chaos::serve(rest).await,
                    "resource-server" => server::resource_server().await,
                    "session-server" => session::session_server().await,
                    unknown => Err(format!("there is no benchmark `{unknown}`; `cargo xtask bench` lists them")),
                },
                None => Err("usage: tollway-bench <name> [--requests N] [--at-once N]; `cargo xtask bench` lists them"
                    .to_owned()),
            }
        });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}
