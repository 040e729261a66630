//! `tollway facilitate`: a facilitator from a configuration file, a few flags, or both.

use clap::Args;
use serde::de::DeserializeOwned;
use serde_json::json;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use tokio::net::TcpListener;
use tollway::LocalFacilitator;
use tollway::core::{FacilitatorConfig, LedgerConfig, Object};
use tollway::http::{FacilitatorRouter, Serve};

/// Example of a configuration file, for the help.
const EXAMPLE: &str = "\
A configuration file, TOML or JSON by its name's ending:

    [shared.networks.\"eip155:84532\"]
    rpc = \"env:BASE_SEPOLIA_RPC\"

    [shared.signers]
    \"eip155:*\" = { key = \"env:FACILITATOR_KEY\" }

    [ledger]
    kind = \"sqlite\"
    path = \"facilitator.db\"

Several facilitators share the ledger `postgres` (docs/stores.md).

Keys are references, env:NAME or file:PATH, and never the keys themselves.
`tollway plugins` lists the networks, schemes and ledgers there are.";

/// What a facilitator is made of.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct FacilitateArgs {
    /// Configuration file, .toml or .json
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// A network to serve, such as eip155:84532
    #[arg(long, value_name = "NETWORK", requires = "rpc")]
    network: Option<String>,
    /// URL of that network's node, or env:NAME or file:PATH where the URL holds a key
    #[arg(long, value_name = "URL", requires = "network")]
    rpc: Option<String>,
    /// Key that settles on that network: env:NAME or file:PATH
    #[arg(long, value_name = "REFERENCE", requires = "network")]
    key: Option<String>,
    /// Where claims and signed transactions are kept: memory, sqlite:PATH, or postgres:env:NAME with the database's URL
    #[arg(long, value_name = "LEDGER")]
    ledger: Option<String>,
    /// Address to listen on; port 0 takes one that is free
    #[arg(long, default_value = "127.0.0.1:4022", value_name = "ADDRESS")]
    listen: SocketAddr,
    /// Print one JSON object when it listens
    #[arg(long)]
    json: bool,
}

/// Runs a facilitator until Ctrl-C or SIGTERM.
pub(crate) async fn run(args: FacilitateArgs) -> Result<(), String> {
    let mut config = match &args.config {
        Some(path) => read(path)?,
        None => FacilitatorConfig::default(),
    };
    if let Some(ledger) = &args.ledger {
        config.ledger = Some(read_ledger(ledger)?);
    }
    if !cfg!(feature = "postgres") && config.ledger.as_ref().is_some_and(|ledger| ledger.kind == "postgres") {
        return Err("this program was built without PostgreSQL; build it with --features postgres".to_owned());
    }
    let mut builder = LocalFacilitator::builder().config(config);
    if let (Some(network), Some(rpc)) = (&args.network, &args.rpc) {
        builder = builder.network(network, json!({ "rpc": rpc }));
        if let Some(key) = &args.key {
            builder = builder.key(network, key);
        }
    }
    let engine = builder.build().await.map_err(|why| why.to_string())?;
    let listener = TcpListener::bind(args.listen).await;
    let listener = listener.map_err(|why| format!("{} cannot be had: {why}; try --listen 127.0.0.1:0", args.listen))?;
    let url = format!("http://{}", listener.local_addr().map_err(|why| why.to_string())?);
    say(&args, &url, &engine).await?;
    let served = Serve::new(listener, FacilitatorRouter::local(engine).into_router()).shutdown(ended());
    served.await.map_err(|why| format!("the server stopped: {why}"))
}

async fn say(args: &FacilitateArgs, url: &str, engine: &LocalFacilitator) -> Result<(), String> {
    use tollway::core::Facilitator as _;
    let supported = engine.supported().await.map_err(|why| why.to_string())?;
    if args.json {
        println!("{}", json!({ "url": url, "kinds": supported.kinds, "signers": supported.signers }));
        return Ok(());
    }
    println!("listening on {url}");
    for kind in &supported.kinds {
        println!("  {} on {}", kind.scheme, kind.network);
    }
    for (networks, signers) in &supported.signers {
        println!("  signs on {networks} as {}", signers.join(", "));
    }
    Ok(())
}

/// Ctrl-C, or the signal that service managers send.
async fn ended() {
    #[cfg(unix)]
    if let Ok(mut terminate) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminate.recv() => {}
        }
        return;
    }
    let _ = tokio::signal::ctrl_c().await;
}

/// Reads a file of configuration, TOML or JSON by its name's ending.
pub(crate) fn read<T: DeserializeOwned>(path: &Path) -> Result<T, String> {
    let at = path.display();
    let text = std::fs::read_to_string(path).map_err(|why| format!("{at} cannot be read: {why}"))?;
    match path.extension().and_then(|ending| ending.to_str()) {
        Some("toml") => toml::from_str(&text).map_err(|why| format!("{at}: {why}")),
        Some("json") => serde_json::from_str(&text).map_err(|why| format!("{at}: {why}")),
        _ => Err(format!("{at}: a configuration file ends in .toml or .json")),
    }
}

/// `memory`, `sqlite:PATH` or `postgres:REFERENCE` as a configuration file would say it.
fn read_ledger(text: &str) -> Result<LedgerConfig, String> {
    let with = |kind: &str, key: &str, value: &str| {
        LedgerConfig::new(kind, Object::from_iter([(key.to_owned(), value.into())]))
    };
    match text.split_once(':') {
        None if text == "memory" => Ok(LedgerConfig::new("memory", Object::new())),
        Some(("sqlite", path)) if !path.is_empty() => Ok(with("sqlite", "path", path)),
        Some(("postgres", url)) if url.starts_with("env:") || url.starts_with("file:") => {
            Ok(with("postgres", "url", url))
        }
        // What was written may hold a password, so it is not repeated.
        Some(("postgres" | "postgresql", _)) => {
            let advice = "postgres:env:DATABASE_URL or postgres:file:PATH";
            Err(format!("--ledger wants the database's URL by reference: {advice}"))
        }
        _ => Err("--ledger is memory, sqlite:PATH or postgres:env:NAME".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ledgers_are_read_and_mistakes_do_not_repeat_passwords() {
        let read = |text: &str| read_ledger(text).map(|ledger| (ledger.kind, ledger.section));
        let section = |key: &str, value: &str| Object::from_iter([(key.to_owned(), value.into())]);
        assert_eq!(read("memory").unwrap(), ("memory".to_owned(), Object::new()));
        assert_eq!(read("sqlite:a:b.db").unwrap(), ("sqlite".to_owned(), section("path", "a:b.db")));
        assert_eq!(read("postgres:env:DB").unwrap(), ("postgres".to_owned(), section("url", "env:DB")));
        for wrong in
            ["", "sqlite", "sqlite:", "mysql:x", "postgres:postgres://u:hunter2@h/d", "postgresql://u:hunter2@h/d"]
        {
            let why = read(wrong).unwrap_err();
            assert!(why.starts_with("--ledger") && !why.contains("hunter2"), "{why}");
        }
    }

    #[test]
    fn the_example_is_a_configuration() {
        let (_, rest) = EXAMPLE.split_once("\n\n").unwrap();
        let (example, _) = rest.split_once("\n\nSeveral").unwrap();
        let config: FacilitatorConfig = toml::from_str(example).unwrap();
        assert_eq!(config.ledger.unwrap().kind, "sqlite");
        assert_eq!((config.shared.networks.len(), config.shared.signers.len()), (1, 1));
    }
}
