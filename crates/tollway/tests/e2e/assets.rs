//! Several tokens on one network, a user's own among them: priced by their ticker, paid over HTTP.

use crate::world::{NETWORK, PAYEE, World};
use axum::Router;
use axum::routing::get;
use serde_json::{Value, json};
use std::sync::Arc;
use tollway::evm::LocalKey;
use tollway::{LocalFacilitator, PaymentClient, PaymentLayer, ResourceServer, Route, Way, http};
use tollway_devnet::contracts::addresses::PLAIN;
use tollway_devnet::{Devnet, Token, accounts};

const EURC: &str = "0x808456652fdb597867f38412077A9182bf77359F";
const MYUSD: &str = "0x1111111111111111111111111111111111111111";

/// The section of a network with three tokens beside the known one.
fn section(more: Value) -> Value {
    let mut section = json!({ "assets": [
        { "address": EURC, "symbol": "EURC", "decimals": 6, "name": "Euro Coin", "version": "2" },
        { "address": MYUSD, "symbol": "MYUSD", "decimals": 18, "name": "My Dollar", "version": "1", "dollar": true },
        { "address": PLAIN.to_checksum(None), "symbol": "PLAIN", "decimals": 6, "assetTransferMethod": "permit2" },
    ] });
    section.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    section
}

struct Shop {
    devnet: Devnet,
    url: String,
}

impl Shop {
    async fn open() -> Self {
        http::install_crypto();
        let client = accounts::CLIENT.address;
        let million = "1000000000000000000000000".parse().unwrap();
        let devnet = Devnet::builder()
            .token(EURC.parse().unwrap(), Token::new("Euro Coin", "EURC", "2", 6))
            .token(MYUSD.parse().unwrap(), Token::new("My Dollar", "MYUSD", "1", 18))
            .token_balance(EURC.parse().unwrap(), client, million)
            .token_balance(MYUSD.parse().unwrap(), client, million)
            .allowance(PLAIN, client, tollway_devnet::contracts::addresses::PERMIT2, million)
            .build()
            .unwrap();
        let rpc = devnet.serve("127.0.0.1:0").await.unwrap();
        let key = LocalKey::from_hex(&accounts::FACILITATOR.private_key().to_string()).unwrap();
        let facilitator = LocalFacilitator::builder()
            .network(NETWORK, json!({ "rpc": rpc.url(), "blockTimeMs": 20 }))
            .signer(NETWORK, Arc::new(key))
            .build()
            .await
            .unwrap();
        std::mem::forget(rpc);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let way = |price: &str| Way::exact(NETWORK, price, PAYEE);
        let server = ResourceServer::builder(&*url)
            .network(NETWORK, section(json!({})))
            .facilitator(facilitator)
            .route(Route::new("GET /all").accepts(way("$0.10")).accepts(way("0.09 EURC")).accepts(way("0.10 MYUSD")))
            .route(Route::new("GET /euro").accepts(way("0.09 eurc")))
            .route(Route::new("GET /own").accepts(way("0.10 MYUSD")))
            .route(Route::new("GET /plain").accepts(way("0.10 PLAIN")))
            .build()
            .await
            .unwrap();
        let ok = async || "ok";
        let routes = ["/all", "/euro", "/own", "/plain"];
        let app = routes.iter().fold(Router::new(), |app, path| app.route(path, get(ok)));
        let app = app.layer(PaymentLayer::new(server));
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { devnet, url }
    }

    /// Pays for a path with a limit, or the default one; gives the status or why nothing was paid.
    async fn buy(&self, path: &str, limit: Option<&str>) -> Result<u16, String> {
        let key = LocalKey::from_hex(&accounts::CLIENT.private_key().to_string()).unwrap();
        let mut payer = PaymentClient::builder().network(NETWORK, section(json!({}))).signer(NETWORK, Arc::new(key));
        if let Some(limit) = limit {
            payer = payer.max_per_payment(limit);
        }
        let client = http::client(payer.build().await.unwrap()).unwrap();
        let answer = client.get(format!("{}{path}", self.url)).send().await;
        answer.map(|answer| answer.status().as_u16()).map_err(|why| format!("{why:?}"))
    }

    fn earned(&self, token: &str) -> String {
        self.devnet.balance_of(token.parse().unwrap(), PAYEE.parse().unwrap()).unwrap().to_string()
    }
}

#[tokio::test]
async fn one_price_in_several_tokens_by_their_tickers() {
    let shop = Shop::open().await;
    let required = World::get_from(&shop.url, "/all", &[]).await.decoded("payment-required");
    let offer = |at: usize| &required["accepts"][at];
    let usdc = tollway_devnet::contracts::addresses::USDC.to_checksum(None);
    assert_eq!((offer(0)["asset"].clone(), offer(0)["amount"].clone()), (json!(usdc), json!("100000")));
    assert_eq!((offer(1)["asset"].clone(), offer(1)["amount"].clone()), (json!(EURC), json!("90000")));
    assert_eq!(offer(1)["extra"], json!({ "name": "Euro Coin", "version": "2" }));
    assert_eq!((offer(2)["asset"].clone(), offer(2)["amount"].clone()), (json!(MYUSD), json!("100000000000000000")));
}

#[tokio::test]
async fn an_own_token_that_is_a_dollar_is_paid_within_a_limit_in_dollars() {
    let shop = Shop::open().await;
    assert_eq!(shop.buy("/own", None).await, Ok(200));
    assert_eq!(shop.earned(MYUSD), "100000000000000000");
    let refused = shop.buy("/own", Some("$0.09")).await.unwrap_err();
    assert!(refused.contains("above the limit"), "{refused}");
    assert_eq!(shop.earned(MYUSD), "100000000000000000");
}

#[tokio::test]
async fn an_own_token_that_is_none_is_paid_within_a_limit_of_its_own() {
    let shop = Shop::open().await;
    let refused = shop.buy("/euro", None).await.unwrap_err();
    assert!(refused.contains("EURC"), "{refused}");
    assert_eq!(shop.buy("/euro", Some("1 EURC")).await, Ok(200));
    assert_eq!(shop.earned(EURC), "90000");
    assert_eq!(shop.buy("/plain", Some("1 PLAIN")).await, Ok(200), "by Permit2");
    assert_eq!(shop.earned(&PLAIN.to_string()), "100000");
}

#[tokio::test]
async fn a_ticker_nobody_knows_is_refused_at_start_up_with_those_that_are_known() {
    http::install_crypto();
    let facilitator = LocalFacilitator::builder()
        .network(NETWORK, json!({ "rpc": "http://127.0.0.1:1" }))
        .signer(NETWORK, Arc::new(LocalKey::from_hex(&accounts::FACILITATOR.private_key().to_string()).unwrap()))
        .build()
        .await
        .unwrap();
    let server = ResourceServer::builder("http://127.0.0.1:1")
        .network(NETWORK, section(json!({})))
        .facilitator(facilitator)
        .route(Route::new("GET /").accepts(Way::exact(NETWORK, "0.10 DAI", PAYEE)))
        .build()
        .await;
    let why = server.map(|_| ()).unwrap_err().to_string();
    assert!(why.contains("DAI") && why.contains("USDC, EURC, MYUSD, PLAIN"), "{why}");
}
