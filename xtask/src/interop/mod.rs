//! `interop`: the programs of `examples/interop` and the reference SDK in the same roles, in every mix that has both.

mod http;
mod node;
mod payments;
mod program;
mod refusals;
mod relay;
mod sessions;
mod wire;
mod world;

use crate::cargo_output;
use program::Start;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};
use world::{Cast, Who, World};

/// Longest run. Programs are on a leash: whatever still runs then ends with this one.
const LONGEST: Duration = Duration::from_secs(15 * 60);

/// What came of a case that ended.
pub(super) enum Outcome {
    /// As the specification says, and as the other side does.
    Agrees,
    /// The reference does otherwise, in the way that `docs/interop.md` describes under this heading.
    Deviates(&'static str),
}

/// Whether a case holds, or what went wrong.
type Verdict = Result<Outcome, String>;

/// One row of the matrix.
struct Case {
    name: &'static str,
    run: fn(&mut World) -> Verdict,
}

/// The mixes, by their heads in the table.
const CASTS: [(&str, Cast); 3] = [
    ("their client", Cast { client: Who::Theirs, server: Who::Ours, facilitator: Who::Ours }),
    ("their server", Cast { client: Who::Ours, server: Who::Theirs, facilitator: Who::Ours }),
    ("their facilitator", Cast { client: Who::Ours, server: Who::Ours, facilitator: Who::Theirs }),
];

/// Runs the matrix. Without Node it says what is not tested, and is content.
pub(crate) fn run(args: &[String]) -> Result<(), String> {
    let as_json = match args {
        [] => false,
        [flag] if flag == "--json" => true,
        _ => return Err("usage: cargo xtask interop [--json]".to_owned()),
    };
    let sdk = match node::install() {
        Ok(sdk) => sdk,
        Err(why) => {
            println!("{why}\nNOT TESTED: the roles together with the reference SDK. Recorded exchanges with it are.");
            return Ok(());
        }
    };
    std::thread::spawn(|| {
        std::thread::sleep(LONGEST);
        eprintln!("the matrix did not end in {LONGEST:?}");
        std::process::exit(1);
    });
    let (began, programs) = (Instant::now(), build()?);
    let ours = |name: &str| programs.get(name).map(|path| Start::new([path])).ok_or(format!("no program `{name}`"));
    let dev = Start::new([
        programs.get("tollway").ok_or("no program `tollway`")?.as_str(),
        "dev",
        "--json",
        "--port",
        "0",
        "--block-time",
        "100",
    ]);
    let cases: Vec<&Case> = [payments::CASES, sessions::CASES, refusals::CASES].into_iter().flatten().collect();
    let mut columns: Vec<Vec<Verdict>> = Vec::new();
    for (head, cast) in &CASTS {
        eprintln!("{head}: {} cases", cases.len());
        let start = |who: &Who, role: &str| match who {
            Who::Ours => ours(&format!("interop-{role}")),
            Who::Theirs => Ok(Start::new([Path::new("node"), &sdk.join(format!("{role}.mjs"))])),
        };
        let roles =
            [start(&cast.facilitator, "facilitator")?, start(&cast.server, "server")?, start(&cast.client, "client")?];
        let mut world = World::start(&dev, &roles, *cast)?;
        columns.push(cases.iter().map(|case| (case.run)(&mut world)).collect());
    }
    report(&cases, &columns, as_json, began.elapsed());
    let failed = columns.iter().flatten().filter(|verdict| verdict.is_err()).count();
    match failed {
        0 => Ok(()),
        _ => Err(format!("{failed} of {} cases failed", cases.len() * columns.len())),
    }
}

/// Builds our programs as tests are built, so that nothing is compiled twice; gives where they are.
fn build() -> Result<BTreeMap<String, String>, String> {
    let args = ["test", "--workspace", "--all-features", "--no-run", "--quiet", "--message-format", "json"];
    let text = cargo_output(&[&args[..], &["--test", "contract", "--test", "facilitate"]].concat())?;
    let artifacts = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let programs = artifacts.filter(|artifact| artifact["target"]["kind"] == json!(["bin"]));
    let text = |value: &Value| value.as_str().map(str::to_owned);
    Ok(programs.filter_map(|it| Some((text(&it["target"]["name"])?, text(&it["executable"])?))).collect())
}

fn word(verdict: &Verdict) -> &'static str {
    match verdict {
        Ok(Outcome::Agrees) => "ok",
        Ok(Outcome::Deviates(_)) => "deviates",
        Err(_) => "FAILED",
    }
}

fn report(cases: &[&Case], columns: &[Vec<Verdict>], as_json: bool, took: Duration) {
    let heads: Vec<_> = CASTS.iter().map(|(head, _)| *head).collect();
    if as_json {
        let cell = |verdict: &Verdict| match verdict {
            Ok(Outcome::Agrees) => json!({ "result": "ok" }),
            Ok(Outcome::Deviates(how)) => json!({ "result": "deviates", "how": how }),
            Err(why) => json!({ "result": "failed", "why": why }),
        };
        let row = |at: usize| {
            heads.iter().zip(columns).map(|(head, column)| ((*head).to_owned(), cell(&column[at]))).collect()
        };
        let rows = cases.iter().enumerate().map(|(at, case)| {
            let mut row: serde_json::Map<String, Value> = row(at);
            row.insert("case".to_owned(), json!(case.name));
            Value::Object(row)
        });
        println!("{}", json!({ "seconds": took.as_secs(), "cases": rows.collect::<Vec<_>>() }));
        return;
    }
    let width = cases.iter().map(|case| case.name.len()).max().unwrap_or_default();
    println!("{:width$}  {}", "", heads.join("  "));
    for (at, case) in cases.iter().enumerate() {
        let cells = heads.iter().zip(columns).map(|(head, column)| format!("{:1$}", word(&column[at]), head.len()));
        println!("{:width$}  {}", case.name, cells.collect::<Vec<_>>().join("  ").trim_end());
    }
    for (head, column) in heads.iter().zip(columns) {
        for (case, verdict) in cases.iter().zip(column) {
            match verdict {
                Ok(Outcome::Agrees) => {}
                Ok(Outcome::Deviates(how)) => {
                    println!("{head}, {}: deviates, see docs/interop.md, \"{how}\"", case.name)
                }
                Err(why) => println!("{head}, {}: FAILED: {why}", case.name),
            }
        }
    }
    println!("{} s", took.as_secs());
}
