//! `tollway assets`: the tokens that are known, and whether a token is as its entry says.

use crate::facilitate::read;
use anstyle::{AnsiColor, Style};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use tollway::NetworkId;
use tollway::core::{Asset, Build as _, BuildContext, Network as _};
use tollway::evm::{Evm, EvmConfig, Inspection, TokenConfig, known_networks};

/// The tokens known without any configuration, by network: ticker, address, decimals, how they are paid with.
///
/// The first token of a network is what a price such as "$0.10" means there; the others are named by their ticker,
/// as in "0.10 USDT". Tokens of your own go into the network's section; `tollway assets check` writes the lines for you.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct AssetsArgs {
    #[command(subcommand)]
    command: Option<AssetsCommand>,
    #[command(flatten)]
    list: ListArgs,
}

#[derive(Debug, Args)]
struct ListArgs {
    /// Only this network, such as eip155:8453
    #[arg(long, value_name = "NETWORK")]
    network: Option<NetworkId>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum AssetsCommand {
    /// Ask tokens on chain what they are, and say whether they are configured right
    #[command(after_long_help = EXAMPLES)]
    Check(CheckArgs),
}

const EXAMPLES: &str = "\
A token under a wrong name, version or number of decimals cannot be paid with, or costs another amount than meant. Its
contract knows better: it is asked for its EIP-712 domain (EIP-5267, or DOMAIN_SEPARATOR with name and version), its
decimals, and whether it has transferWithAuthorization (EIP-3009), permit (EIP-2612) and allowances (for Permit2). What
is wrong is printed with the lines that mend it.

Examples:
  All that is known on a network:
    tollway assets check --network eip155:8453 --rpc https://mainnet.base.org
  A token nobody listed: what would its entry be?
    tollway assets check --network eip155:8453 --rpc env:BASE_RPC --asset 0x60a3E35Cc302bFA44Cb288Bc5a4F316Fdb1adb42
  An entry of your own:
    tollway assets check --network eip155:8453 --rpc env:BASE_RPC --token '{ \"address\": \"0x60a3…\", \"symbol\": \"EURC\",
      \"decimals\": 6, \"name\": \"EURC\", \"version\": \"2\" }'

Exit code: 0 all right, 1 something is wrong, 2 it could not be found out.";

#[derive(Debug, Args)]
struct CheckArgs {
    /// The network, such as eip155:8453
    #[arg(long, value_name = "NETWORK")]
    network: NetworkId,
    /// URL of a node, or env:NAME or file:PATH where the URL holds a key; not needed where the configuration has one
    #[arg(long, value_name = "URL")]
    rpc: Option<String>,
    /// Only this token, by its ticker or its address; one that is not known is described
    #[arg(long, value_name = "TICKER|ADDRESS")]
    asset: Option<String>,
    /// An entry of your own, in JSON, beside the known ones; checked unless --asset names another
    #[arg(long, value_name = "JSON", value_parser = entry)]
    token: Option<Value>,
    /// A configuration file, .toml or .json: all of a role's, or the network's section alone
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

fn entry(text: &str) -> Result<Value, String> {
    let value: Value = serde_json::from_str(text).map_err(|why| format!("no JSON: {why}"))?;
    serde_json::from_value::<TokenConfig>(value.clone()).map_err(|why| format!("no token's entry: {why}"))?;
    Ok(value)
}

const GOOD: Style = Style::new().bold().fg_color(Some(anstyle::Color::Ansi(AnsiColor::Green)));
const BAD: Style = Style::new().bold().fg_color(Some(anstyle::Color::Ansi(AnsiColor::Red)));
const DIM: Style = Style::new().dimmed();

/// Runs it.
///
/// # Errors
/// It could not be found out; the exit code is then 2.
pub(crate) async fn run(args: AssetsArgs) -> Result<ExitCode, String> {
    match args.command {
        Some(AssetsCommand::Check(args)) => check(args).await,
        None => list(&args.list).map(|()| ExitCode::SUCCESS),
    }
}

fn method(asset: &Asset) -> &str {
    asset.extra.get("assetTransferMethod").and_then(Value::as_str).unwrap_or("eip3009")
}

fn list(args: &ListArgs) -> Result<(), String> {
    let networks = args.network.clone().map_or_else(known_networks, |network| vec![network]);
    let mut rows = Vec::new();
    for id in networks {
        let evm = Evm::builder(id.clone()).build()?;
        rows.extend(evm.assets().iter().map(|asset| (id.clone(), asset.clone())));
    }
    if args.json {
        let row = |(network, asset): &(NetworkId, Asset)| {
            let mut row = json!({ "network": network, "transferMethod": method(asset) });
            if let (Value::Object(row), Ok(Value::Object(entry))) =
                (&mut row, serde_json::to_value(TokenConfig::from(asset)))
            {
                row.extend(entry);
            }
            row
        };
        println!("{}", json!({ "assets": rows.iter().map(row).collect::<Vec<_>>() }));
        return Ok(());
    }
    if rows.is_empty() {
        let of = args.network.as_ref().map(|network| format!(" on {network}")).unwrap_or_default();
        println!("no token is known{of}; add your own to the network's section (see `tollway assets check --help`)");
    }
    for (network, asset) in &rows {
        let Asset { address, symbol, decimals, .. } = asset;
        let text = |member| asset.extra.get(member).and_then(Value::as_str).unwrap_or_default();
        let domain = format!("{} {}", text("name"), text("version"));
        let (network, method) = (network.as_str(), method(asset));
        anstream::println!("{network:16} {symbol:8} {address} {decimals:2} decimals  {method:8} {DIM}{domain}{DIM:#}");
    }
    Ok(())
}

/// The section of the network out of a file: the file itself, or a member of its `networks`.
fn section(path: &Path, network: &NetworkId) -> Result<Value, String> {
    let file: Value = read(path)?;
    let networks = file.get("networks").or_else(|| file.get("shared")?.get("networks"));
    match networks {
        None => Ok(file),
        Some(networks) => {
            let section = networks.get(network.as_str()).cloned();
            section.ok_or_else(|| format!("{} has no section networks.\"{network}\"", path.display()))
        }
    }
}

/// Opens the network with all that was said on the command line.
async fn open(args: &CheckArgs) -> Result<Evm, String> {
    let section = match &args.config {
        Some(path) => section(path, &args.network)?,
        None => json!({}),
    };
    let Value::Object(mut section) = section else { return Err("a network's section is a JSON object".to_owned()) };
    section.insert("id".to_owned(), json!(args.network));
    if let Some(rpc) = &args.rpc {
        section.insert("rpc".to_owned(), json!(rpc));
    }
    if !section.contains_key("rpc") {
        return Err("no node to ask: add --rpc URL, or `rpc` to the configuration".to_owned());
    }
    if let Some(token) = &args.token {
        let assets = section.entry("assets").or_insert_with(|| json!([]));
        assets.as_array_mut().ok_or("`assets` is a list of entries")?.push(token.clone());
    }
    // The message of serde names the key that is wrong; values of `rpc` are not in it.
    let config: EvmConfig = serde_json::from_value(Value::Object(section))
        .map_err(|why| format!("the section of {} cannot be read: {why}", args.network))?;
    Evm::build(config, BuildContext::new()).await
}

/// Addresses of what is to be checked.
fn wanted(args: &CheckArgs, evm: &Evm) -> Result<Vec<String>, String> {
    let known = evm.assets();
    if let Some(asset) = &args.asset {
        let named = known.iter().find(|known| known.symbol.eq_ignore_ascii_case(asset));
        if named.is_none() && evm.canonical(asset).is_err() {
            let tickers: Vec<_> = known.iter().map(|known| known.symbol.as_str()).collect();
            let tickers = if tickers.is_empty() { "none".to_owned() } else { tickers.join(", ") };
            return Err(format!(
                "`{asset}` is neither an address nor a ticker known on {} (known: {tickers})",
                args.network
            ));
        }
        return Ok(vec![named.map_or_else(|| asset.clone(), |known| known.address.clone())]);
    }
    if let Some(address) = args.token.as_ref().and_then(|token| token["address"].as_str()) {
        return Ok(vec![address.to_owned()]);
    }
    match known {
        [] => Err(format!("no token is known on {}; name one with --asset 0x…", args.network)),
        known => Ok(known.iter().map(|asset| asset.address.clone()).collect()),
    }
}

async fn check(args: CheckArgs) -> Result<ExitCode, String> {
    let evm = open(&args).await?;
    let mut seen = Vec::new();
    for address in wanted(&args, &evm)? {
        seen.push(evm.inspect(&address).await.map_err(|fault| fault.to_string())?);
    }
    let right = seen.iter().all(Inspection::is_right);
    if args.json {
        let asset = |inspection: &Inspection| {
            let mut value = serde_json::to_value(inspection).unwrap_or_default();
            value["right"] = json!(inspection.is_right());
            value["lines"] = json!(inspection.lines());
            value
        };
        println!("{}", json!({ "right": right, "assets": seen.iter().map(asset).collect::<Vec<_>>() }));
    } else {
        for inspection in &seen {
            anstream::print!("{}", person(inspection));
        }
    }
    Ok(if right { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// An inspection as a person would want to read it. What comes from the contract is quoted or was made plain.
fn person(seen: &Inspection) -> String {
    let entry = seen.configured.as_ref().or(seen.entry.as_ref());
    let symbol = entry.map_or("", |entry| &*entry.symbol);
    let verdict = match (seen.is_right(), &seen.configured) {
        (false, _) => format!("{BAD}wrong{BAD:#}"),
        (true, Some(_)) => format!("{GOOD}right{GOOD:#}"),
        (true, None) => "not known".to_owned(),
    };
    let mut out = format!("{symbol:8} {} on {}: {verdict}\n", seen.address, seen.network);
    let facts = &seen.on_chain;
    if facts.deployed {
        let domain = match &facts.domain {
            Some(domain) => format!("EIP-712 name {:?}, version {:?}", domain.name, domain.version),
            None => "no EIP-712 domain that clients can build".to_owned(),
        };
        let has = [(facts.eip3009, "EIP-3009"), (facts.eip2612, "EIP-2612"), (facts.allowances, "allowances")];
        let has: Vec<&str> = has.iter().filter_map(|(has, name)| has.then_some(*name)).collect();
        let has = if has.is_empty() { "nothing to pay by".to_owned() } else { has.join(", ") };
        let decimals = facts.decimals.map_or_else(|| "?".to_owned(), |decimals| decimals.to_string());
        let _ = writeln!(out, "    {DIM}on chain: {decimals} decimals, {domain}; has {has}{DIM:#}");
    }
    for finding in &seen.findings {
        let mark = if finding.wrong { format!("{BAD}wrong{BAD:#}") } else { "note ".to_owned() };
        let _ = writeln!(out, "    {mark} {}: {}", finding.about, finding.text);
    }
    if let Some(lines) = seen.lines().filter(|_| !seen.is_right() || seen.configured.is_none()) {
        let _ = writeln!(out, "\n    write:\n");
        for line in lines.lines() {
            let _ = writeln!(out, "    {line}");
        }
        out.push('\n');
    }
    out
}
