//! `tidy`: the promises of `docs/architecture.md` that a machine can check.

use crate::{contracts, source, tree};

/// Runs every check and reports all that fail.
pub(crate) fn run() -> Result<(), String> {
    type Check = (&'static str, fn() -> Result<(), String>);
    let checks: [Check; 8] = [
        ("arrows between crates", tree::arrows),
        ("what core depends on", tree::core_closure),
        ("chains do not pull in one another", tree::chains_apart),
        ("sources", source::rust_files),
        ("READMEs", source::readmes),
        ("architecture page", source::architecture),
        ("security page", source::security_tests),
        ("contracts' artifacts", contracts::fresh),
    ];
    let mut failed = Vec::new();
    for (name, check) in checks {
        match check() {
            Ok(()) => println!("ok      {name}"),
            Err(why) => {
                println!("FAILED  {name}");
                failed.push(format!("{name}:\n{why}"));
            }
        }
    }
    if failed.is_empty() { Ok(()) } else { Err(failed.join("\n\n")) }
}
