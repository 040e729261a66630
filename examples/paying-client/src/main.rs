//! Gets a URL and pays for it if asked to, within a budget, on a chain for which there is a key in the environment:
//! `PAYER_KEY` for the EVM, `SOLANA_KEY` for Solana.
#![allow(clippy::print_stdout, reason = "an example talks to whoever tries it")]

use clap::Parser;
use std::fs::File;
use std::path::PathBuf;
use tollway::PaymentClient;
use tollway::core::{BudgetConfig, LedgerConfig, Money, Object};
use tollway::http::Receipt;
use tollway::roles::client::ExportFormat;

/// Gets a URL and pays for it if asked to.
#[derive(Parser)]
struct Args {
    #[arg(default_value = "http://127.0.0.1:4030/report")]
    url: String,
    /// How often to get it
    #[arg(long, default_value_t = 1)]
    times: u32,
    /// Most one payment may cost
    #[arg(long, default_value = "$0.10")]
    per_payment: Money,
    /// Most to spend in one hour
    #[arg(long)]
    per_hour: Option<Money>,
    /// Most to spend in one day
    #[arg(long)]
    per_day: Option<Money>,
    /// Most to spend at all
    #[arg(long)]
    total: Option<Money>,
    /// An origin that may be paid, such as `https://api.example.com`; any if there is none
    #[arg(long = "host")]
    hosts: Vec<String>,
    /// Keep the books in this file, so that the next run knows what this one spent and lost
    #[arg(long)]
    books: Option<PathBuf>,
    /// Write what was spent to this file, as CSV
    #[arg(long)]
    spent: Option<PathBuf>,
}

impl Args {
    fn budget(&self) -> BudgetConfig {
        let mut budget = BudgetConfig::default();
        budget.limits.per_payment = Some(self.per_payment.clone());
        budget.limits.per_hour.clone_from(&self.per_hour);
        budget.limits.per_day.clone_from(&self.per_day);
        budget.limits.total.clone_from(&self.total);
        budget.hosts = (!self.hosts.is_empty()).then(|| self.hosts.clone());
        budget.store = self.books.as_ref().map(|path| {
            let path = path.display().to_string();
            LedgerConfig::new("sqlite", Object::from_iter([("path".to_owned(), path.into())]))
        });
        budget
    }
}

#[tokio::main(flavor = "multi_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args = Args::parse();
    let given = |name: &str| std::env::var_os(name).is_some();

    // Tollway begins here.
    let mut payer = PaymentClient::builder().max_per_payment(&args.per_payment.to_string()).budget(args.budget());
    if given("PAYER_KEY") {
        payer = payer.key("eip155:*", "env:PAYER_KEY");
    }
    if given("SOLANA_KEY") {
        payer = payer.key("solana:*", "env:SOLANA_KEY");
    }
    if given("SOLANA_RPC") {
        // A payment on Solana names a recent block. Where the server does not tell one, a node does.
        let section = serde_json::json!({ "rpc": "env:SOLANA_RPC" });
        payer = payer.network("solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1", section);
    }
    let payer = payer.build().await?;
    let http = tollway::http::client(payer.clone())?;
    let mut outcome = Ok(());
    for _ in 0..args.times {
        outcome = get(&http, &args.url).await;
        if outcome.is_err() {
            break;
        }
    }
    if let Some(path) = &args.spent {
        payer.export(ExportFormat::Csv, &mut File::create(path)?).await?;
    }
    outcome
}

async fn get(http: &tollway::http::Client, url: &str) -> Result<(), Box<dyn std::error::Error>> {
    let response = http.get(url).send().await?;
    if let Some(receipt) = response.extensions().get::<Receipt>() {
        eprintln!("paid on {} in {}", receipt.response().network, receipt.response().transaction);
    }
    // Tollway ends here.
    println!("{}", response.error_for_status()?.text().await?);
    Ok(())
}
