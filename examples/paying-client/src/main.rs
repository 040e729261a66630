//! Gets a URL and pays for it if asked to, at most ten cents, on a chain for which there is a key in the environment:
//! `PAYER_KEY` for the EVM, `SOLANA_KEY` for Solana.
#![allow(clippy::print_stdout, reason = "an example talks to whoever tries it")]

use tollway::PaymentClient;
use tollway::http::Receipt;

#[tokio::main(flavor = "multi_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = std::env::args().nth(1).unwrap_or_else(|| "http://127.0.0.1:4030/report".to_owned());
    let given = |name: &str| std::env::var_os(name).is_some();

    // Tollway begins here.
    let mut payer = PaymentClient::builder().max_per_payment("$0.10");
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
    let http = tollway::http::client(payer.build().await?)?;
    let response = http.get(url).send().await?;
    if let Some(receipt) = response.extensions().get::<Receipt>() {
        eprintln!("paid on {} in {}", receipt.response().network, receipt.response().transaction);
    }
    // Tollway ends here.

    println!("{}", response.error_for_status()?.text().await?);
    Ok(())
}
