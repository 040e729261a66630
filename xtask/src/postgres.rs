//! `postgres`: sees to it that the tests of stores have a PostgreSQL.

use crate::packages;
use std::process::Command;

/// As the test kit looks for it.
fn there_is_one() -> bool {
    let answers = Command::new("initdb").arg("--version").output().is_ok_and(|output| output.status.success());
    let installed = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    std::env::var_os("TOLLWAY_POSTGRES").is_some()
        || answers
        || installed.map(|at| at.path().join("bin/initdb")).any(|initdb| initdb.is_file())
}

/// Installs PostgreSQL from the system's packages, unless there is one.
pub(crate) fn ensure() -> Result<(), String> {
    if there_is_one() {
        return Ok(());
    }
    println!("no PostgreSQL yet: installing it from the system's packages");
    packages::install("postgresql");
    match there_is_one() {
        true => Ok(()),
        false => {
            Err("no PostgreSQL could be installed; install it, or name the folder of its binaries in TOLLWAY_POSTGRES"
                .to_owned())
        }
    }
}
