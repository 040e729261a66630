//! `cargo xtask contracts`: compiles `crates/*/contracts/*.sol` into `crates/*/artifacts/*.json`.
//!
//! The artifacts are committed, so building Tollway needs neither Node nor a Solidity compiler: `alloy::sol!` reads
//! them. Each one names the sources it came from with their SHA-256, so [`fresh`] tells without a compiler whether an
//! artifact is out of date. The compiler itself comes from npm, pinned by version *and* by the digest of its one
//! executable file, and lands under `target/`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

/// 0.8.34 is the first release without the storage-clearing defect of the IR pipeline.
const SOLC: &str = "0.8.34";
const SOLJSON_SHA256: &str = "4d847e9615868981cd44a5d7b1896779e6dda323b88e9c693099e0aa8320f70d";

const USAGE: &str = "usage: cargo xtask contracts [--check] [crate folder ...]";

/// Compiles every crate's contracts, or only those of the crate folders named. `--check` writes nothing and fails
/// where the committed artifacts differ from what the compiler makes now.
pub(crate) fn run(args: &[String]) -> Result<(), String> {
    let mut check = false;
    let mut only = BTreeSet::new();
    for arg in args {
        match arg.as_str() {
            "--check" => check = true,
            flag if flag.starts_with('-') => return Err(format!("unknown option {flag}\n{USAGE}")),
            name => {
                only.insert(name.to_owned());
            }
        }
    }

    let root = root();
    let units = units(&root)?;
    if let Some(unknown) = only.iter().find(|name| !units.iter().any(|unit| unit.name == **name)) {
        return Err(format!("crates/{unknown} has no contracts folder\n{USAGE}"));
    }
    let solc = install(&root)?;

    let mut stale = Vec::new();
    for unit in units.iter().filter(|unit| only.is_empty() || only.contains(&unit.name)) {
        let built = compile(&solc, unit)?;
        let committed = unit.artifacts()?;
        if check {
            stale.extend(differences(unit, &built, &committed));
        } else {
            write(unit, &built, &committed)?;
            eprintln!("{}: {} contracts", unit.name, built.len());
        }
    }
    if stale.is_empty() {
        return Ok(());
    }
    Err(format!("stale artifacts; run `cargo xtask contracts` and commit the result:\n{}", stale.join("\n")))
}

/// Says offline whether every artifact was made from the sources beside it by the pinned compiler and settings, every
/// source went into an artifact, and no artifact outlived its source.
#[allow(dead_code, reason = "`cargo xtask tidy` calls it")]
pub(crate) fn fresh() -> Result<(), String> {
    fresh_under(&root())
}

fn fresh_under(root: &Path) -> Result<(), String> {
    let mut wrong = Vec::new();
    for unit in units(root)? {
        let mut used = BTreeSet::new();
        for (name, artifact) in unit.artifacts()? {
            let place = format!("crates/{}/artifacts/{name}.json", unit.name);
            if artifact["compiler"] != compiler() {
                wrong.push(format!("{place}: made by another compiler or other settings"));
            }
            if artifact["contractName"] != json!(name) {
                wrong.push(format!("{place}: holds the contract {}", artifact["contractName"]));
            }
            let Some(sources) = artifact["sources"].as_object() else {
                wrong.push(format!("{place}: names no sources"));
                continue;
            };
            for (source, digest) in sources {
                used.insert(source.clone());
                match unit.sources.get(source) {
                    None => wrong.push(format!("{place}: its source {source} is gone")),
                    Some(text) if json!(sha256(text.as_bytes())) != *digest => {
                        wrong.push(format!("{place}: {source} changed since"));
                    }
                    Some(_) => {}
                }
            }
        }
        for source in unit.sources.keys().filter(|source| !used.contains(*source)) {
            wrong.push(format!("crates/{}/contracts/{source}: has no artifact", unit.name));
        }
    }
    if wrong.is_empty() {
        return Ok(());
    }
    Err(format!("contracts: run `cargo xtask contracts` and commit the result\n{}", wrong.join("\n")))
}

/// One crate's contracts: the sources of its `contracts` folder, which may import each other.
struct Unit {
    name: String,
    folder: PathBuf,
    sources: BTreeMap<String, String>,
}

impl Unit {
    /// The committed artifacts by contract name.
    fn artifacts(&self) -> Result<BTreeMap<String, Value>, String> {
        let mut found = BTreeMap::new();
        for path in files(&self.folder.join("artifacts"), "json")? {
            let text = fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
            let value = serde_json::from_str(&text).map_err(|e| format!("{}: {e}", path.display()))?;
            found.insert(stem(&path), value);
        }
        Ok(found)
    }
}

/// Crates with a `contracts` or an `artifacts` folder, so that artifacts whose whole folder of sources went are seen.
fn units(root: &Path) -> Result<Vec<Unit>, String> {
    let crates = root.join("crates");
    let entries = fs::read_dir(&crates).map_err(|e| format!("{}: {e}", crates.display()))?;
    let mut folders: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    folders.sort();

    let mut units = Vec::new();
    for folder in folders {
        if !folder.join("contracts").is_dir() && !folder.join("artifacts").is_dir() {
            continue;
        }
        let mut sources = BTreeMap::new();
        for path in files(&folder.join("contracts"), "sol")? {
            let text = fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
            // A checkout that rewrites line ends must not make artifacts look stale.
            sources.insert(format!("{}.sol", stem(&path)), text.replace("\r\n", "\n"));
        }
        units.push(Unit { name: stem(&folder), folder, sources });
    }
    Ok(units)
}

fn files(folder: &Path, extension: &str) -> Result<Vec<PathBuf>, String> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let entries = fs::read_dir(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let mut paths: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .collect();
    paths.sort();
    Ok(paths)
}

fn stem(path: &Path) -> String {
    path.file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_path_buf).unwrap_or_default()
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The compiler settings. Without metadata the bytecode depends on nothing but the code; through the IR long argument
/// lists fit the stack.
fn settings() -> Value {
    json!({
        "optimizer": { "enabled": true, "runs": 1_000_000 },
        "viaIR": true,
        "evmVersion": "prague",
        "metadata": { "bytecodeHash": "none", "appendCBOR": false },
    })
}

fn compiler() -> Value {
    json!({ "name": "solc", "version": SOLC, "settings": settings() })
}

/// Puts the pinned compiler under `target/` unless it is there; answers the folder of its npm package.
fn install(root: &Path) -> Result<PathBuf, String> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let prefix = target.join(format!("solc-{SOLC}"));
    let package = prefix.join("node_modules/solc");
    let executable = package.join("soljson.js");
    if !executable.is_file() {
        fs::create_dir_all(&prefix).map_err(|e| format!("{}: {e}", prefix.display()))?;
        let output = Command::new("npm")
            .args(["install", "--no-save", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"])
            .arg("--prefix")
            .arg(&prefix)
            .arg(format!("solc@{SOLC}"))
            .output()
            .map_err(|e| format!("npm: {e}; compiling contracts needs Node 18 or newer"))?;
        if !output.status.success() {
            return Err(format!("npm install solc@{SOLC} failed\n{}", String::from_utf8_lossy(&output.stderr)));
        }
    }
    let found = sha256(&fs::read(&executable).map_err(|e| format!("{}: {e}", executable.display()))?);
    if found != SOLJSON_SHA256 {
        return Err(format!("solc {SOLC} is not the pinned one: its soljson.js has SHA-256 {found}"));
    }
    Ok(package)
}

/// Compiles one crate's sources together; answers the artifact of every contract that can be deployed.
fn compile(solc: &Path, unit: &Unit) -> Result<BTreeMap<String, Value>, String> {
    let sources: Map<String, Value> =
        unit.sources.iter().map(|(name, text)| (name.clone(), json!({ "content": text }))).collect();
    if sources.is_empty() {
        return Ok(BTreeMap::new());
    }
    let mut settings = settings();
    settings["outputSelection"] =
        json!({ "*": { "*": ["abi", "metadata", "evm.bytecode.object", "evm.deployedBytecode"] } });
    let output = solc_json(solc, &json!({ "language": "Solidity", "sources": sources, "settings": settings }))?;

    let mut errors = Vec::new();
    for problem in output["errors"].as_array().into_iter().flatten() {
        let text = problem["formattedMessage"].as_str().unwrap_or_default().trim_end();
        // Warnings are errors too: nobody reads the second run, which is silent about unchanged files.
        errors.push(format!("crates/{}/contracts/{text}", unit.name));
    }
    if !errors.is_empty() {
        return Err(errors.join("\n"));
    }

    let mut artifacts = BTreeMap::new();
    for (source, contracts) in output["contracts"].as_object().into_iter().flatten() {
        for (name, contract) in contracts.as_object().into_iter().flatten() {
            let runtime = &contract["evm"]["deployedBytecode"];
            let code = runtime["object"].as_str().unwrap_or_default();
            if code.is_empty() {
                continue; // an interface or an abstract contract
            }
            if runtime["immutableReferences"].as_object().is_some_and(|refs| !refs.is_empty()) {
                return Err(format!(
                    "{source}: {name} has immutables, so its runtime code cannot be placed at genesis; use constants or storage"
                ));
            }
            let artifact = artifact(unit, source, name, contract)?;
            if artifacts.insert(name.clone(), artifact).is_some() {
                return Err(format!("crates/{}/contracts: two contracts are named {name}", unit.name));
            }
        }
    }
    Ok(artifacts)
}

fn artifact(unit: &Unit, source: &str, name: &str, contract: &Value) -> Result<Value, String> {
    let metadata: Value = contract["metadata"]
        .as_str()
        .and_then(|text| serde_json::from_str(text).ok())
        .ok_or_else(|| format!("{source}: the compiler gave no metadata for {name}"))?;
    let mut sources = Map::new();
    for path in metadata["sources"].as_object().into_iter().flatten().map(|(path, _)| path) {
        let text = unit.sources.get(path).ok_or_else(|| format!("{source}: imports {path} from outside its folder"))?;
        sources.insert(path.clone(), json!(sha256(text.as_bytes())));
    }
    let hex = |part: &str| format!("0x{}", contract["evm"][part]["object"].as_str().unwrap_or_default());
    Ok(json!({
        "contractName": name,
        "sourceName": source,
        "sources": sources,
        "compiler": compiler(),
        "abi": contract["abi"],
        "bytecode": hex("bytecode"),
        "deployedBytecode": hex("deployedBytecode"),
    }))
}

/// One run of the compiler in its standard JSON form.
fn solc_json(solc: &Path, input: &Value) -> Result<Value, String> {
    let program = "let input = ''; \
        process.stdin.setEncoding('utf8').on('data', part => input += part) \
        .on('end', () => process.stdout.write(require(process.argv[1]).compile(input)));";
    let mut child = Command::new("node")
        .args(["-e", program])
        .arg(solc)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .map_err(|e| format!("node: {e}; compiling contracts needs Node 18 or newer"))?;
    // The program above reads all of its input before it writes, so this cannot block on a full pipe.
    let mut stdin = child.stdin.take().ok_or("node: no standard input")?;
    stdin.write_all(input.to_string().as_bytes()).map_err(|e| format!("node: {e}"))?;
    drop(stdin);
    let output = child.wait_with_output().map_err(|e| format!("node: {e}"))?;
    if !output.status.success() {
        return Err(format!("solc {SOLC} ended with {}", output.status));
    }
    serde_json::from_slice(&output.stdout).map_err(|e| format!("solc {SOLC} answered no JSON: {e}"))
}

fn differences(unit: &Unit, built: &BTreeMap<String, Value>, committed: &BTreeMap<String, Value>) -> Vec<String> {
    let names: BTreeSet<&String> = built.keys().chain(committed.keys()).collect();
    names
        .into_iter()
        .filter(|name| built.get(*name) != committed.get(*name))
        .map(|name| format!("crates/{}/artifacts/{name}.json", unit.name))
        .collect()
}

/// Writes what changed and removes what no source makes any more.
fn write(unit: &Unit, built: &BTreeMap<String, Value>, committed: &BTreeMap<String, Value>) -> Result<(), String> {
    let folder = unit.folder.join("artifacts");
    fs::create_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let place = |name: &String| folder.join(format!("{name}.json"));
    for (name, artifact) in built.iter().filter(|(name, artifact)| committed.get(*name) != Some(artifact)) {
        let text = serde_json::to_string_pretty(artifact).map_err(|e| e.to_string())? + "\n";
        fs::write(place(name), text).map_err(|e| format!("{}: {e}", place(name).display()))?;
    }
    for name in committed.keys().filter(|name| !built.contains_key(*name)) {
        fs::remove_file(place(name)).map_err(|e| format!("{}: {e}", place(name).display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A tree of one crate with one contract and its artifact, removed when dropped.
    struct Tree(PathBuf);

    impl Tree {
        fn new(label: &str) -> Self {
            let root = std::env::temp_dir().join(format!("xtask-contracts-{label}-{}", std::process::id()));
            fs::create_dir_all(root.join("crates/a/contracts")).unwrap();
            fs::create_dir_all(root.join("crates/a/artifacts")).unwrap();
            let tree = Self(root);
            tree.put("contracts/A.sol", "contract A {}");
            tree.put("artifacts/A.json", &tree.artifact("contract A {}").to_string());
            tree
        }

        fn put(&self, path: &str, text: &str) {
            fs::write(self.0.join("crates/a").join(path), text).unwrap();
        }

        fn artifact(&self, source: &str) -> Value {
            json!({
                "contractName": "A",
                "sources": { "A.sol": sha256(source.as_bytes()) },
                "compiler": compiler(),
            })
        }

        fn complaint(&self) -> String {
            fresh_under(&self.0).unwrap_err()
        }
    }

    impl Drop for Tree {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn the_committed_artifacts_are_fresh() {
        fresh().unwrap();
    }

    #[test]
    fn a_matching_artifact_is_fresh_whatever_the_line_ends() {
        let tree = Tree::new("fresh");
        tree.put("artifacts/A.json", &tree.artifact("contract A {\n}").to_string());
        tree.put("contracts/A.sol", "contract A {\r\n}");
        fresh_under(&tree.0).unwrap();
    }

    #[test]
    fn an_edited_source_is_stale() {
        let tree = Tree::new("edited");
        tree.put("contracts/A.sol", "contract A { }");
        assert!(tree.complaint().contains("A.sol changed since"));
    }

    #[test]
    fn a_source_without_an_artifact_is_stale() {
        let tree = Tree::new("missing");
        tree.put("contracts/B.sol", "contract B {}");
        assert!(tree.complaint().contains("contracts/B.sol: has no artifact"));
    }

    #[test]
    fn an_artifact_without_its_source_is_stale() {
        let tree = Tree::new("orphan");
        fs::remove_file(tree.0.join("crates/a/contracts/A.sol")).unwrap();
        assert!(tree.complaint().contains("its source A.sol is gone"));
    }

    #[test]
    fn other_settings_are_stale() {
        let tree = Tree::new("settings");
        let mut artifact = tree.artifact("contract A {}");
        artifact["compiler"]["settings"]["optimizer"]["runs"] = json!(1);
        tree.put("artifacts/A.json", &artifact.to_string());
        assert!(tree.complaint().contains("other settings"));
    }
}
