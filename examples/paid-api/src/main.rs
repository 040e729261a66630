//! An axum route behind a payment, on either of two chains. Start `cargo run --features solana -- demo --keep --port
//! 4020` in another terminal first: it brings the facilitator this uses. Then pay with the example `paying-client`.
#![allow(clippy::print_stdout, reason = "an example talks to whoever tries it")]

use axum::{Router, routing::get};
use tollway::{PaymentLayer, RemoteFacilitator, ResourceServer, Route, Way};

#[tokio::main(flavor = "multi_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let setting = |name: &str, default: &str| std::env::var(name).unwrap_or_else(|_| default.to_owned());
    let facilitator = setting("FACILITATOR", "http://127.0.0.1:4021");
    let listener = tokio::net::TcpListener::bind(setting("LISTEN", "127.0.0.1:4030")).await?;
    let origin = format!("http://{}", listener.local_addr()?);

    // Tollway begins here.
    tollway::http::install_crypto();
    let route = Route::new("GET /report")
        .accepts(Way::exact("eip155:84532", "$0.01", "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC"))
        .accepts(Way::exact(
            "solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1",
            "$0.01",
            "HzQEyvJr4YZqj6Ga52JBkT7HncThepogpRPjKMTNSxAH",
        ));
    let payments = ResourceServer::builder(&origin)
        .facilitator(RemoteFacilitator::new(&facilitator)?)
        .route(route)
        .build()
        .await?;
    let app = Router::new().route("/report", get(report)).layer(PaymentLayer::new(payments));
    // Tollway ends here.

    println!("paid: {origin}/report");
    Ok(axum::serve(listener, app).await?)
}

async fn report() -> &'static str {
    "The report you paid for.\n"
}
