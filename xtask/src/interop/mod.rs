//! `interop`: the programs of `examples/interop` and the reference SDK in the same roles, in every mix that has both.

mod alike;
mod http;
mod node;
mod payments;
mod program;
mod refusals;
mod relay;
mod report;
mod sessions;
mod tampering;
mod wire;
mod world;

use crate::cargo_output;
use program::Start;
use report::Matrix;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::time::{Duration, Instant};
use world::{Cast, Who, World};

/// Longest run. Programs are on a leash: whatever still runs then ends with this one.
const LONGEST: Duration = Duration::from_secs(15 * 60);

/// What came of a case that ended.
enum Outcome {
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
            eprintln!("{why}\nNOT TESTED: the roles together with the reference SDK. Recorded exchanges with it are.");
            return Ok(());
        }
    };
    std::thread::spawn(|| {
        std::thread::sleep(LONGEST);
        eprintln!("the matrix did not end in {LONGEST:?}");
        std::process::exit(1);
    });
    let programs = build()?;
    let program = |name: &str| programs.get(name).map(Path::new).ok_or(format!("cargo built no program `{name}`"));
    let dev = ["dev", "--json", "--port", "0", "--block-time", "100"].map(Path::new);
    let dev = Start::new([&[program("tollway")?], &dev[..]].concat());
    let log_path = sdk.join("programs.log");
    let log = File::create(&log_path).map_err(|why| format!("{}: {why}", log_path.display()))?;

    let cases: Vec<&Case> =
        [payments::CASES, sessions::CASES, tampering::CASES, refusals::CASES].into_iter().flatten().collect();
    let mut matrix = Matrix::new(cases.iter().map(|case| case.name).collect());
    let (began, mut said) = (Instant::now(), Vec::new());
    for (head, cast) in CASTS {
        let start = |who, role: &str| {
            Ok::<_, String>(match who {
                Who::Ours => Start::new([program(&format!("interop-{role}"))?]),
                Who::Theirs => Start::new([Path::new("node"), &sdk.join(format!("{role}.mjs"))]),
            })
        };
        let (facilitator, server) = (start(cast.facilitator, "facilitator")?, start(cast.server, "server")?);
        let roles = [facilitator, server, start(cast.client, "client")?];
        let mut world = World::start(&dev, &roles, cast, &log)?;
        said.push((alike::challenges(&world)?, alike::supported(&world)?));
        matrix.add(head, cases.iter().map(|case| (case.run)(&mut world)).collect());
    }
    // Where the mixes differ in one role alone, what that role says must be the same.
    alike::differences(&said[0].0, &said[1].0, "challenge ", &mut matrix.apart);
    alike::differences(&said[0].1, &said[2].1, "/supported ", &mut matrix.apart);
    matrix.print(as_json, began.elapsed());
    match matrix.failed() {
        0 => Ok(()),
        failed => Err(format!("{failed} failed; what the programs said is in {}", log_path.display())),
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
