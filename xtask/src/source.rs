//! Checks of the files themselves.

use crate::cargo_output;
use std::path::{Path, PathBuf};

/// Longest source file, in lines. Look for the seam well before.
const MAX_LINES: usize = 700;

/// Text that must not be committed in sources, with what to do instead. Written in pieces, so as not to find itself.
const BANNED: [(&str, &str); 4] = [
    (concat!("to", "do!("), "finish it"),
    (concat!("unimpl", "emented!("), "finish it"),
    (concat!("#[ig", "nore"), "a test that does not run tests nothing"),
    (concat!("dbg", "!("), "take it out"),
];

/// An error that lists everything, or none.
pub(crate) fn all_well(wrong: Vec<String>) -> Result<(), String> {
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_path_buf).unwrap_or_default()
}

/// Every file under a folder, without build output and hidden folders.
fn files(folder: &Path, found: &mut Vec<PathBuf>) -> Result<(), String> {
    let entries = std::fs::read_dir(folder).map_err(|why| format!("{}: {why}", folder.display()))?;
    for entry in entries {
        let path = entry.map_err(|why| format!("{}: {why}", folder.display()))?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if path.is_dir() {
            if !(name.starts_with('.') || name == "target" || name == "node_modules") {
                files(&path, found)?;
            }
        } else {
            found.push(path);
        }
    }
    Ok(())
}

/// Every Rust file says at its top what it is for, is not too long, and is finished.
pub(crate) fn rust_files() -> Result<(), String> {
    let mut found = Vec::new();
    files(&root(), &mut found)?;
    let mut wrong = Vec::new();
    for path in found.iter().filter(|path| path.extension().is_some_and(|extension| extension == "rs")) {
        let name = path.strip_prefix(root()).unwrap_or(path).display();
        let text = std::fs::read_to_string(path).map_err(|why| format!("{name}: {why}"))?;
        let told = text.starts_with("//!")
            || text.starts_with("#![doc")
            || text.starts_with("#![cfg_attr") && text.contains("doc =");
        if !told {
            wrong.push(format!("{name} must begin with `//!` and say what it is for"));
        }
        let lines = text.lines().count();
        if lines > MAX_LINES {
            wrong.push(format!("{name} has {lines} lines, at most {MAX_LINES}: look for the seam"));
        }
        for (banned, instead) in BANNED {
            if text.contains(banned) {
                wrong.push(format!("{name} contains `{banned}`: {instead}"));
            }
        }
    }
    all_well(wrong)
}

fn packages() -> Result<Vec<(String, PathBuf)>, String> {
    let text = cargo_output(&["metadata", "--format-version", "1", "--no-deps"])?;
    let metadata: serde_json::Value = serde_json::from_str(&text).map_err(|why| why.to_string())?;
    let packages = metadata["packages"].as_array().into_iter().flatten();
    let parts = packages.filter_map(|package| Some((package["name"].as_str()?, package["manifest_path"].as_str()?)));
    Ok(parts.map(|(name, manifest)| (name.to_owned(), PathBuf::from(manifest).with_file_name(""))).collect())
}

/// Every crate has a README that its own documentation includes, so that its examples are compiled.
pub(crate) fn readmes() -> Result<(), String> {
    let mut wrong = Vec::new();
    for (name, folder) in packages()? {
        if !folder.join("README.md").is_file() && !folder.ends_with("xtask") {
            wrong.push(format!("{name} has no README.md"));
        }
        let lib = std::fs::read_to_string(folder.join("src/lib.rs")).unwrap_or_default();
        if !lib.is_empty() && !lib.contains("include_str!(\"../README.md\")") {
            wrong.push(format!("{name}'s lib.rs must include its README as documentation"));
        }
    }
    all_well(wrong)
}

/// The architecture page knows every crate.
pub(crate) fn architecture() -> Result<(), String> {
    let page = std::fs::read_to_string(root().join("docs/architecture.md"))
        .map_err(|why| format!("docs/architecture.md: {why}"))?;
    let missing = packages()?.into_iter().filter(|(name, _)| !page.contains(&format!("`{name}`")));
    all_well(missing.map(|(name, _)| format!("docs/architecture.md does not say what `{name}` knows")).collect())
}

/// Every test that docs/security.md names exists.
pub(crate) fn security_tests() -> Result<(), String> {
    let page =
        std::fs::read_to_string(root().join("docs/security.md")).map_err(|why| format!("docs/security.md: {why}"))?;
    let mut found = Vec::new();
    files(&root(), &mut found)?;
    let rust = found.iter().filter(|path| path.extension().is_some_and(|extension| extension == "rs"));
    let sources: String = rust.filter_map(|path| std::fs::read_to_string(path).ok()).collect();
    // Tests stand in the last cell of each row; a name is lower case with underscores.
    let cells = page.lines().filter_map(|line| line.strip_prefix('|')?.trim_end_matches('|').rsplit('|').next());
    let names = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).filter(|name| name.contains('_'));
    let missing = names.filter(|name| !sources.contains(&format!("fn {name}(")));
    all_well(missing.map(|name| format!("docs/security.md names the test `{name}`, which does not exist")).collect())
}
