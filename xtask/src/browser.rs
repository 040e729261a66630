//! `browser`: sees to it that the page tests have a browser.

use crate::packages;
use std::process::Command;

const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "chrome"];

fn there_is_one() -> bool {
    let answers =
        |name: &&str| Command::new(name).arg("--version").output().is_ok_and(|output| output.status.success());
    std::env::var_os("TOLLWAY_BROWSER").is_some() || NAMES.iter().any(answers)
}

/// Installs Chromium from the system's packages, unless there is a browser.
pub(crate) fn ensure() -> Result<(), String> {
    if there_is_one() {
        return Ok(());
    }
    println!("no browser yet: installing Chromium from the system's packages");
    packages::install("chromium");
    match there_is_one() {
        true => Ok(()),
        false => {
            Err("no browser could be installed; install Chromium, or say where one is with TOLLWAY_BROWSER".to_owned())
        }
    }
}
