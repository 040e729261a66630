//! `tollway dev`: the embedded chains, for programs of one's own.

use crate::chain::{self, Facts};
use clap::Args;
use serde_json::json;
use std::time::Duration;

/// How the chains are run.
#[derive(Debug, Args)]
pub(crate) struct DevArgs {
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// Milliseconds between blocks; 0 makes a block for each transaction
    #[arg(long, default_value_t = 500, value_name = "MS")]
    block_time: u64,
    /// Port of the first chain; the others take the next ones. 0 takes any that are free
    #[arg(long, default_value_t = 8545, value_name = "PORT")]
    port: u16,
}

/// Runs the chains until Ctrl-C.
pub(crate) async fn run(args: DevArgs) -> Result<(), String> {
    let chains = chain::start_all(args.port, Duration::from_millis(args.block_time)).await?;
    if args.json {
        let chains: Vec<_> = chains.iter().map(|chain| object(chain.facts())).collect();
        println!("{}", json!({ "chains": chains }));
    } else {
        chains.iter().for_each(|chain| print!("{}", text(chain.facts())));
        println!("Ctrl-C ends it; nothing is kept.");
    }
    tokio::signal::ctrl_c().await.map_err(|why| format!("cannot wait for Ctrl-C: {why}"))?;
    for chain in chains {
        chain.stop().await;
    }
    Ok(())
}

fn object(facts: &Facts) -> serde_json::Value {
    json!({
        "network": facts.network,
        "rpc": facts.rpc,
        "asset": { "symbol": facts.symbol, "address": facts.asset, "decimals": facts.decimals },
        "payer": { "address": facts.payer, "key": facts.payer_key },
        "payee": { "address": facts.payee },
        "facilitator": { "key": facts.facilitator_key },
        "tokens": facts.tokens,
        "accounts": facts.accounts,
    })
}

fn text(facts: &Facts) -> String {
    let Facts { network, rpc, asset, symbol, payer, payer_key, payee, facilitator_key, .. } = facts;
    format!(
        "{network}\n  rpc          {rpc}\n  {symbol:12} {asset}\n  payer        {payer}\n  payer's key  {payer_key}\n  payee        {payee}\n\n  \
         A facilitator for it (these keys are published; use them nowhere else):\n    \
         FACILITATOR_KEY={facilitator_key} \\\n      tollway facilitate --network {network} --rpc {rpc} --key env:FACILITATOR_KEY\n\n"
    )
}
