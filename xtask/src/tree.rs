//! Which crate may know which, read from Cargo's own account of the dependencies.

use crate::{cargo_output, source};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Crate → the crates of this workspace it may depend on. A crate that is not listed may depend on none.
const ARROWS: [(&str, &[&str]); 19] = [
    ("tollway-core", &[]),
    ("tollway-roles", &["tollway-core"]),
    ("tollway-evm", &["tollway-core"]),
    ("tollway-solana", &["tollway-core"]),
    ("tollway-pid", &["tollway-core"]),
    ("tollway-siwx", &["tollway-core"]),
    ("tollway-http", &["tollway-core", "tollway-roles"]),
    // Its clients and its prober speak HTTP; stores take it without.
    ("tollway-discovery", &["tollway-core", "tollway-roles", "tollway-http"]),
    ("tollway-store", &["tollway-core", "tollway-siwx", "tollway-discovery"]),
    ("tollway-devnet", &[]),
    ("tollway-select", &["tollway-core"]),
    ("tollway-testkit", &["tollway-core", "tollway-roles", "tollway-siwx", "tollway-discovery"]),
    (
        "tollway",
        &[
            "tollway-core",
            "tollway-roles",
            "tollway-evm",
            "tollway-solana",
            "tollway-pid",
            "tollway-siwx",
            "tollway-http",
            "tollway-discovery",
            "tollway-select",
            "tollway-store",
        ],
    ),
    ("tollway-cli", &["tollway", "tollway-devnet"]),
    ("toy-chain", &["tollway-core"]),
    ("paid-api", &["tollway"]),
    ("paying-client", &["tollway"]),
    ("interop", &["tollway"]),
    ("tollway-bench", &["tollway", "tollway-devnet", "tollway-store", "tollway-testkit"]),
];

/// Everything core may be built from: the owner's packages and what they stand on.
const CORE_CLOSURE: [&str; 14] = [
    "tollway-core",
    "async-trait",
    "inventory",
    "serde",
    "serde_core",
    "serde_derive",
    "serde_json",
    "itoa",
    "memchr",
    "zmij",
    "proc-macro2",
    "quote",
    "syn",
    "unicode-ident",
];

/// Dependencies of every workspace package, `cargo metadata`'s `kind` null being the normal ones.
fn normal_dependencies() -> Result<BTreeMap<String, BTreeSet<String>>, String> {
    let text = cargo_output(&["metadata", "--format-version", "1", "--no-deps"])?;
    let metadata: Value = serde_json::from_str(&text).map_err(|why| format!("cargo metadata is no JSON: {why}"))?;
    let packages = metadata["packages"].as_array().ok_or("cargo metadata lists no packages")?;
    let mut graph = BTreeMap::new();
    for package in packages {
        let name = package["name"].as_str().unwrap_or_default().to_owned();
        let dependencies = package["dependencies"].as_array().into_iter().flatten();
        let normal = dependencies.filter(|dependency| dependency["kind"].is_null());
        let names = normal.filter_map(|dependency| dependency["name"].as_str().map(str::to_owned));
        graph.insert(name, names.collect());
    }
    Ok(graph)
}

/// Every arrow that exists is one that may.
pub(crate) fn arrows() -> Result<(), String> {
    let graph = normal_dependencies()?;
    let mut wrong = Vec::new();
    for (name, dependencies) in &graph {
        let allowed = ARROWS.iter().find(|(known, _)| known == name).map_or(&[][..], |(_, allowed)| *allowed);
        for dependency in dependencies.iter().filter(|dependency| graph.contains_key(*dependency)) {
            if !allowed.contains(&dependency.as_str()) {
                wrong.push(format!("{name} must not depend on {dependency} (allowed: {})", allowed.join(", ")));
            }
        }
    }
    for (name, _) in ARROWS.iter().filter(|(name, _)| !graph.contains_key(*name)) {
        wrong.push(format!("{name} is in the table of arrows and not in the workspace"));
    }
    source::all_well(wrong)
}

/// Names of everything a package is built from, without development and build dependencies.
fn closure(package: &str, more: &[&str]) -> Result<BTreeSet<String>, String> {
    let args = ["tree", "--package", package, "--edges", "normal", "--prefix", "none", "--format", "{p}"];
    let text = cargo_output(&[&args[..], more].concat())?;
    Ok(text.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect())
}

/// Core stands on what the owner allows, and on nothing else.
pub(crate) fn core_closure() -> Result<(), String> {
    let built_from = closure("tollway-core", &["--all-features"])?;
    let extra = built_from.iter().filter(|name| !CORE_CLOSURE.contains(&name.as_str()));
    source::all_well(extra.map(|name| format!("tollway-core is built from {name}, which it must not know")).collect())
}

/// Who uses one chain compiles no other.
pub(crate) fn chains_apart() -> Result<(), String> {
    let mut wrong = Vec::new();
    let evm = closure("tollway", &["--no-default-features", "--features", "evm,http"])?;
    wrong.extend(evm.iter().filter(|name| name.starts_with("solana")).map(|name| format!("EVM users compile {name}")));
    let solana = closure("tollway", &["--no-default-features", "--features", "solana,http"])?;
    wrong.extend(
        solana.iter().filter(|name| name.starts_with("alloy")).map(|name| format!("Solana users compile {name}")),
    );
    // Whoever wants the SDK's whole crates says so.
    wrong.extend(
        ["solana-sdk", "solana-client"]
            .iter()
            .filter(|name| solana.contains(**name))
            .map(|name| format!("Solana users compile {name}, which belongs behind tollway-solana's feature `sdk`")),
    );
    let bare = closure("tollway", &["--no-default-features", "--features", "http"])?;
    let chains = bare.iter().filter(|name| name.starts_with("solana") || name.starts_with("alloy"));
    wrong.extend(chains.map(|name| format!("the facade without chains compiles {name}")));
    source::all_well(wrong)
}
