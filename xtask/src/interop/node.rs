//! Node, and the reference SDK in a folder under `target/`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// Where our programs for the SDK are, and the list of what they need.
const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/interop");
/// Oldest Node that the SDK runs on.
const OLDEST: u32 = 20;
/// Longest wait for the registry.
const PATIENCE: Duration = Duration::from_secs(300);

/// The major version that a program says it is.
fn version(name: &str) -> Option<u32> {
    let output = Command::new(name).arg("--version").output().ok().filter(|output| output.status.success())?;
    let text = String::from_utf8(output.stdout).ok()?;
    text.trim().trim_start_matches('v').split('.').next()?.parse().ok()
}

fn is_there() -> bool {
    version("node").is_some_and(|major| major >= OLDEST) && version("npm").is_some()
}

/// Sees to it that the SDK is installed, and gives the folder where it is, with our programs.
///
/// # Errors
/// There is no Node, and none can be had; or the registry cannot be asked.
pub(super) fn install() -> Result<PathBuf, String> {
    if !is_there() {
        eprintln!("no Node {OLDEST} yet: installing it from the system's packages");
        for args in [&["update"][..], &["install", "--yes", "--no-install-recommends", "nodejs", "npm"]] {
            let mut apt = Command::new("apt-get");
            let _ = apt.args(args).env("DEBIAN_FRONTEND", "noninteractive").stdout(std::io::stderr()).status();
        }
    }
    if !is_there() {
        return Err(format!("no Node could be installed; install Node {OLDEST} or newer, with npm"));
    }
    let folder = target()?.join("interop");
    copy(&folder).map_err(|why| format!("{}: {why}", folder.display()))?;
    let installed = folder.join("node_modules/.package-lock.json");
    let wanted = folder.join("package-lock.json");
    let newer = |one: &Path, other: &Path| {
        Some(fs::metadata(one).ok()?.modified().ok()? > fs::metadata(other).ok()?.modified().ok()?)
    };
    if newer(&installed, &wanted).unwrap_or(false) {
        return Ok(folder);
    }
    let ci = ["ci", "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
    let mut npm = Command::new("npm").args(ci).current_dir(&folder).spawn().map_err(|why| format!("npm: {why}"))?;
    let until = Instant::now() + PATIENCE;
    loop {
        match npm.try_wait().map_err(|why| format!("npm: {why}"))? {
            Some(status) if status.success() => return Ok(folder),
            Some(_) => return Err("npm could not install the reference SDK".to_owned()),
            None if Instant::now() > until => {
                let _ = npm.kill();
                let _ = npm.wait();
                return Err(format!("npm did not install the reference SDK in {PATIENCE:?}"));
            }
            None => std::thread::sleep(Duration::from_millis(100)),
        }
    }
}

/// The folder that builds go to: the one this program was built in.
fn target() -> Result<PathBuf, String> {
    let own = std::env::current_exe().map_err(|why| why.to_string())?;
    let target = own.ancestors().nth(2).ok_or("this program is in no build folder")?;
    Ok(target.to_owned())
}

/// Copies what is newer, so that what is installed stays newer than what it was installed from.
fn copy(folder: &Path) -> std::io::Result<()> {
    fs::create_dir_all(folder)?;
    for entry in fs::read_dir(SOURCE)? {
        let entry = entry?;
        let to = folder.join(entry.file_name());
        if entry.file_type()?.is_file() && fs::read(entry.path())? != fs::read(&to).unwrap_or_default() {
            fs::copy(entry.path(), &to)?;
        }
    }
    Ok(())
}
