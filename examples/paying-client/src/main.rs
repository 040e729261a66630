//! Gets a URL and pays for it if asked to, at most ten cents. The key comes from the environment variable `PAYER_KEY`.
#![allow(clippy::print_stdout, reason = "an example talks to whoever tries it")]

use tollway::PaymentClient;
use tollway::http::Receipt;

#[tokio::main(flavor = "multi_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = std::env::args().nth(1).unwrap_or_else(|| "http://127.0.0.1:4030/report".to_owned());

    // Tollway begins here.
    let payer = PaymentClient::builder().key("eip155:*", "env:PAYER_KEY").max_per_payment("$0.10").build().await?;
    let http = tollway::http::client(payer)?;
    let response = http.get(url).send().await?;
    if let Some(receipt) = response.extensions().get::<Receipt>() {
        eprintln!("paid in {}", receipt.response().transaction);
    }
    // Tollway ends here.

    println!("{}", response.error_for_status()?.text().await?);
    Ok(())
}
