//! The command line tool `tollway`.
#![allow(clippy::print_stdout, reason = "a command line tool talks on standard output")]

#[cfg(feature = "evm")]
mod assets;
mod chain;
mod demo;
mod dev;
mod discover;
mod facilitate;
mod inspect;
mod plugins;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// x402 payments: a server answers "402 Payment Required", a client signs a stablecoin payment and asks again.
#[derive(Debug, Parser)]
#[command(name = "tollway", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Pay for one request on an embedded chain, and watch every step of it
    Demo(demo::DemoArgs),
    #[cfg(feature = "evm")]
    Assets(assets::AssetsArgs),
    /// Run the embedded chains alone, with funded accounts
    Dev(dev::DevArgs),
    /// Search the catalogues of facilitators for paid services
    Discover(discover::DiscoverArgs),
    /// Ask a resource what it costs, and say what is wrong with it
    Inspect(inspect::InspectArgs),
    /// Run a facilitator: verify and settle payments for resource servers
    Facilitate(facilitate::FacilitateArgs),
    /// List the plug-ins linked into this program and the parts they bring
    Plugins(plugins::PluginsArgs),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    // First of all: reqwest and alloy look for a TLS provider the moment they are built.
    tollway::http::install_crypto();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(why) => return fail(&format!("the asynchronous runtime could not start: {why}")),
    };
    let done = match cli.command {
        Command::Demo(args) => runtime.block_on(demo::run(args)),
        #[cfg(feature = "evm")]
        Command::Assets(args) => {
            return runtime.block_on(assets::run(args)).unwrap_or_else(|why| {
                fail(&why);
                ExitCode::from(2)
            });
        }
        Command::Dev(args) => runtime.block_on(dev::run(args)),
        Command::Discover(args) => runtime.block_on(discover::run(args)),
        Command::Inspect(args) => {
            return runtime.block_on(inspect::run(args)).unwrap_or_else(|why| {
                fail(&why);
                ExitCode::from(2)
            });
        }
        Command::Facilitate(args) => runtime.block_on(facilitate::run(args)),
        Command::Plugins(args) => plugins::run(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => fail(&why),
    }
}

fn fail(why: &str) -> ExitCode {
    anstream::eprintln!("tollway: {why}");
    ExitCode::FAILURE
}
