//! `chaos`: facilitators are killed with SIGKILL at random moments under load, and started again; then the chain is
//! asked whether every payment moved once, and the ledger whether every row has ended.

mod audit;
mod facilitators;
mod load;

use audit::Report;
use facilitators::Facilitators;
use load::Load;
use std::time::{Duration, Instant};
use tollway_devnet::contracts::addresses::USDC;
use tollway_devnet::{Devnet, Fault, Mining, accounts};

pub(crate) use facilitators::{LEDGER, serve};

/// Longest wait from the last kill until everything has ended.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two kills, in milliseconds.
const SHORTEST_LIFE: u64 = 10;
const LONGEST_LIFE: u64 = 1_000;

const USAGE: &str =
    "usage: cargo xtask chaos [--cycles N] [--at-once N] [--processes N] [--ledger sqlite|postgres|memory]";

/// What is asked for.
#[derive(Debug)]
struct Plan {
    cycles: usize,
    at_once: usize,
    processes: usize,
    ledger: String,
}

impl Plan {
    fn parse(args: &[String]) -> Result<Self, String> {
        let mut plan = Self { cycles: 20, at_once: 32, processes: 1, ledger: "sqlite".to_owned() };
        let mut rest = args.iter();
        while let Some(flag) = rest.next() {
            let value = rest.next().ok_or(USAGE)?;
            let number = || value.parse().ok().filter(|number| *number > 0).ok_or(USAGE);
            match (flag.as_str(), value.as_str()) {
                ("--cycles", _) => plan.cycles = number()?,
                ("--at-once", _) => plan.at_once = number()?,
                ("--processes", _) => plan.processes = number()?,
                ("--ledger", "sqlite" | "postgres" | "memory") => plan.ledger.clone_from(value),
                _ => return Err(USAGE.to_owned()),
            }
        }
        match plan.processes > 1 && plan.ledger != "postgres" {
            true => Err("several processes share a ledger only in PostgreSQL: add --ledger postgres".to_owned()),
            false => Ok(plan),
        }
    }
}

/// A number below `bound`.
fn below(bound: u64) -> u64 {
    let mut bytes = [0; 8];
    // Without randomness the moments are all the same, which is still a test.
    let _ = getrandom::fill(&mut bytes);
    u64::from_le_bytes(bytes) % bound.max(1)
}

pub(crate) async fn run(args: &[String]) -> Result<(), String> {
    let plan = Plan::parse(args)?;
    let devnet = Devnet::builder().mining(Mining::Interval(Duration::from_millis(100))).build();
    let devnet = devnet.map_err(|why| why.to_string())?;
    devnet.set_token_balance(USDC, accounts::CLIENT.address, u64::MAX.try_into().unwrap_or_default());
    let rpc = devnet.serve("127.0.0.1:0").await.map_err(|why| why.to_string())?;
    let facilitators = Facilitators::start(plan.processes, &plan.ledger, &rpc.url()).await?;
    let load = Load::start(plan.at_once, facilitators.urls()).await?;

    let mut restarts = Vec::with_capacity(plan.cycles);
    for cycle in 1..=plan.cycles {
        tokio::time::sleep(Duration::from_millis(SHORTEST_LIFE + below(LONGEST_LIFE - SHORTEST_LIFE))).await;
        trouble(&devnet);
        let process = usize::try_from(below(plan.processes as u64)).unwrap_or_default();
        let begun = Instant::now();
        facilitators.kill_and_start(process).await?;
        restarts.push(begun.elapsed());
        if cycle % 50 == 0 || cycle == plan.cycles {
            eprintln!("{cycle} of {} kills, {} payments settled so far", plan.cycles, load.settled());
        }
    }
    devnet.clear_faults();
    let begun = Instant::now();
    let payments = load.finish(PATIENCE).await;
    let answered = begun.elapsed();
    let open = facilitators.wait_until_ended(PATIENCE.saturating_sub(answered)).await?;
    let report = Report::new(&devnet, &payments, open)?;
    restarts.sort_unstable();
    println!(
        "{} kills, {} facilitator(s), {} payments at once, {}",
        plan.cycles, plan.processes, plan.at_once, plan.ledger,
    );
    println!("restart: median {:.0?}", restarts.get(restarts.len() / 2).copied().unwrap_or_default());
    println!("everything had ended {:.1?} after the last kill", begun.elapsed());
    println!("{report}");
    report.verdict()
}

/// Now and then the node is in trouble, too.
fn trouble(devnet: &Devnet) {
    let fault = match below(8) {
        0 => Fault::DropAnswer,
        1 => Fault::Refuse,
        2 => Fault::Status(503),
        _ => return,
    };
    devnet.inject("eth_sendRawTransaction", fault, 2);
}
