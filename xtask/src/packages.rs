//! What tests need beside Rust, from the system's packages.

use std::process::Command;

/// Installs a package where `apt-get` can. Whether there is then what was wanted, its caller sees.
pub(crate) fn install(package: &str) {
    for args in [&["update"][..], &["install", "--yes", "--no-install-recommends", package]] {
        let _ = Command::new("apt-get").args(args).env("DEBIAN_FRONTEND", "noninteractive").status();
    }
}
