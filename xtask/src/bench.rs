//! `bench`: starts the benchmark programs, optimised.

use crate::cargo;

const BENCHES: [(&str, &str); 9] = [
    ("verify", "a facilitator over HTTP: CPU and RPC round trips per verify, beside bare signature recovery"),
    ("solana", "a facilitator on Solana: CPU and RPC round trips per verify and per settle, how long settling takes"),
    ("server", "a resource server: CPU per free, unpaid and paid request, beside bare axum"),
    ("settle", "settlements on 1 s blocks from one signer: shared transactions beside one for each payment"),
    ("ledger", "a facilitator with 10^3 and with 10^6 settled payments in its books: peak memory, and settling"),
    ("session", "a resource server: CPU per repeat access by token and by sign-in, with 10^3 and 10^6 entitlements"),
    ("discovery", "searches among 10^3 and 10^6 entries in SQLite; CPU that cataloguing adds to a verify"),
    ("failover", "what a dead first facilitator adds to each request"),
    ("micro", "criterion: amounts, JSON, EIP-712 digests, signatures, choosing a facilitator"),
];

/// Runs one benchmark, passing on the rest of the arguments.
pub(crate) fn run(args: &[String]) -> Result<(), String> {
    let list = || BENCHES.iter().map(|(name, what)| format!("  {name:8} {what}\n")).collect::<String>();
    let Some((name, rest)) = args.split_first() else {
        return Err(format!("usage: cargo xtask bench <name>\n\nbenchmarks:\n{}", list()));
    };
    let rest: Vec<&str> = rest.iter().map(String::as_str).collect();
    match name.as_str() {
        "micro" => {
            let packages = ["bench", "-p", "tollway-core", "-p", "tollway-evm", "-p", "tollway-select", "--"];
            cargo(&[&packages, rest.as_slice()].concat())
        }
        name if BENCHES.iter().any(|(known, _)| *known == name) => {
            cargo(&[&["run", "--release", "--quiet", "-p", "tollway-bench", "--", name], rest.as_slice()].concat())
        }
        unknown => Err(format!("there is no benchmark `{unknown}`; benchmarks:\n{}", list())),
    }
}

/// Kills facilitators; the rest of the arguments says how often and how many.
pub(crate) fn chaos(args: &[String]) -> Result<(), String> {
    let rest: Vec<&str> = args.iter().map(String::as_str).collect();
    cargo(&[&["run", "--release", "--quiet", "-p", "tollway-bench", "--", "chaos"], rest.as_slice()].concat())
}

/// Twenty kills, by the program as the tests build it.
pub(crate) fn short_chaos() -> Result<(), String> {
    cargo(&["build", "--workspace", "--all-features", "--quiet", "--bin", "tollway-bench"])?;
    // Beside this program.
    let own = std::env::current_exe().map_err(|why| why.to_string())?;
    let program = own.with_file_name(format!("tollway-bench{}", std::env::consts::EXE_SUFFIX));
    println!("$ {} chaos --cycles 20", program.display());
    match std::process::Command::new(&program).args(["chaos", "--cycles", "20"]).status() {
        Ok(status) if status.success() => Ok(()),
        Ok(_) => Err("payments did not survive kills; `cargo xtask chaos --cycles 20` shows it".to_owned()),
        Err(why) => Err(format!("{}: {why}", program.display())),
    }
}
