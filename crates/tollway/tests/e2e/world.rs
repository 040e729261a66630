//! An embedded chain, a facilitator and a paid server on loopback, with the clock in the test's hand.

use axum::extract::{Query, Request};
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Extension, Json, Router};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;
use tokio::net::TcpListener;
use tollway::core::{AssetAmount, Price, SettleResponse};
use tollway::evm::LocalKey;
use tollway::http::{self, PaymentLayer, RemoteFacilitator, header};
use tollway::roles::facilitator::LocalFacilitatorBuilder;
use tollway::roles::server::Charge;
use tollway::{Amount, LocalFacilitator, PaymentClient, ResourceServer, Route, Way};
use tollway_devnet::contracts::addresses::{PLAIN, USDC, WALLET_1271_FACTORY};
use tollway_devnet::{Devnet, accounts};
use tollway_testkit::FakeClock;

pub(crate) const NETWORK: &str = "eip155:84532";
/// The origin of the recorded server. Ours listens elsewhere and is configured to be reached by this one.
pub(crate) const ORIGIN: &str = "http://127.0.0.1:4020";
pub(crate) const PAYEE: &str = "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC";

pub(crate) struct World {
    pub(crate) clock: Arc<FakeClock>,
    pub(crate) devnet: Devnet,
    pub(crate) facilitator: String,
    pub(crate) server: String,
}

/// An answer, taken apart.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) async fn of(response: reqwest::Response) -> Self {
        let status = response.status().as_u16();
        let text = |value: &reqwest::header::HeaderValue| value.to_str().unwrap().to_owned();
        let headers = response.headers().iter().map(|(name, value)| (name.to_string(), text(value))).collect();
        Self { status, headers, body: response.bytes().await.unwrap().to_vec() }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// A payment header, decoded; `Null` if it is not there.
    pub(crate) fn decoded(&self, name: &str) -> Value {
        self.headers.get(name).map_or(Value::Null, |value| header::decode(value.as_bytes()).unwrap())
    }

    pub(crate) fn receipt(&self) -> Option<SettleResponse> {
        self.headers.get("payment-response").map(|value| header::decode(value.as_bytes()).unwrap())
    }

    /// Why it asks for payment, if it does.
    pub(crate) fn error(&self) -> String {
        self.decoded("payment-required")["error"].as_str().unwrap_or_default().to_owned()
    }
}

pub(crate) async fn serve(app: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    url
}

impl World {
    /// Everything at that hour.
    pub(crate) async fn at(now: u64) -> Self {
        let (clock, devnet, engine) = Self::chain(now).await;
        let facilitator = serve(http::facilitator_router(Arc::new(engine.build().await.unwrap()))).await;
        let server = serve(Self::paid_app(&facilitator, clock.clone()).await).await;
        Self { clock, devnet, facilitator, server }
    }

    /// The chain at that hour, and a facilitator on it, to which more can be added.
    pub(crate) async fn chain(now: u64) -> (Arc<FakeClock>, Devnet, LocalFacilitatorBuilder) {
        http::install_crypto();
        let clock = FakeClock::at(now);
        let time = clock.clone();
        let devnet = Devnet::builder().time(Arc::new(move || tollway::core::Clock::now(&*time))).build().unwrap();
        let rpc = devnet.serve("127.0.0.1:0").await.unwrap();
        let key = LocalKey::from_hex(&accounts::FACILITATOR.private_key().to_string()).unwrap();
        let engine = LocalFacilitator::builder()
            .clock(clock.clone())
            .network(NETWORK, json!({ "rpc": rpc.url(), "blockTimeMs": 20, "erc6492Factories": [WALLET_1271_FACTORY] }))
            .signer(NETWORK, Arc::new(key));
        // The chain lives for as long as the process: its handle would stop it when the test's world is moved.
        std::mem::forget(rpc);
        (clock, devnet, engine)
    }

    /// A second server for the same facilitator, with books of its own.
    pub(crate) async fn another_server(&self) -> String {
        serve(Self::paid_app(&self.facilitator, self.clock.clone()).await).await
    }

    /// The routes of the recorded server that are paid by EIP-3009.
    async fn paid_app(facilitator: &str, clock: Arc<FakeClock>) -> Router {
        let way = || Way::exact(NETWORK, "$0.001", PAYEE);
        let per_unit = way().price_with(|request| async move {
            let units: u64 = request.argument("units").map_or(Ok(1), |units| units.parse())?;
            Ok::<Price, Box<dyn std::error::Error + Send + Sync>>(format!("$0.{units:03}").parse()?)
        });
        let permit2 = |asset: &str, extra: Value| {
            let (asset, extra) = (asset.to_owned(), extra.as_object().cloned());
            way().price(Price::Asset(AssetAmount { amount: Amount::from(1000), asset, extra }))
        };
        let usdc = || {
            permit2(
                &USDC.to_checksum(None),
                json!({ "assetTransferMethod": "permit2", "name": "USDC", "version": "2" }),
            )
        };
        let upto = || Way::new("upto", NETWORK, "$0.002", PAYEE);
        let extended = |path: &str, way: Way, key, section| Route::new(path).accepts(way).extension(key, section);
        let sponsored = |path: &str, way: Way, key| extended(path, way, key, json!({}));
        let described = Route::new("GET /evm/eip3009").description("EIP-3009").mime_type("application/json");
        let server = ResourceServer::builder(ORIGIN)
            .clock(clock)
            .facilitator(RemoteFacilitator::new(facilitator).unwrap())
            .route(described.accepts(way()))
            .route(Route::new("GET /evm/upfront").accepts(way().upfront()))
            .route(Route::new("GET /dynamic").accepts(per_unit))
            .route(Route::new("GET /fails").accepts(way()))
            .route(Route::new("GET /evm/permit2").accepts(usdc()))
            .route(sponsored("GET /evm/permit2-eip2612", usdc(), "eip2612GasSponsoring"))
            .route(sponsored(
                "GET /evm/permit2-erc20",
                permit2(&PLAIN.to_checksum(None), json!({ "assetTransferMethod": "permit2" })),
                "erc20ApprovalGasSponsoring",
            ))
            .route(Route::new("GET /evm/upto").accepts(upto()))
            .route(sponsored("GET /evm/upto-eip2612", upto(), "eip2612GasSponsoring"))
            .route(extended("GET /pid/required", way(), "payment-identifier", json!({ "required": true })))
            .route(Route::new("GET /dear").accepts(Way::exact(NETWORK, "$0.002", PAYEE)))
            .build()
            .await
            .unwrap();
        let ok = async |request: Request| Json(json!({ "ok": true, "route": request.uri().path() }));
        let fails =
            async |_: Query<HashMap<String, String>>| (StatusCode::INTERNAL_SERVER_ERROR, Json(json!({ "ok": false })));
        let metered = async |Query(query): Query<HashMap<String, String>>, request: Request| {
            let charge: Charge = query.get("use").map_or("1000", String::as_str).parse().unwrap();
            (Extension(charge), Json(json!({ "ok": true, "route": request.uri().path() })))
        };
        Router::new()
            .route("/evm/permit2", get(ok))
            .route("/evm/permit2-eip2612", get(ok))
            .route("/evm/permit2-erc20", get(ok))
            .route("/evm/upto", get(metered))
            .route("/evm/upto-eip2612", get(metered))
            .route("/evm/eip3009", get(ok))
            .route("/evm/upfront", get(ok))
            .route("/dynamic", get(ok))
            .route("/pid/required", get(ok))
            .route("/dear", get(ok))
            .route("/free", get(ok))
            .route("/fails", get(fails))
            .layer(PaymentLayer::new(server))
    }

    pub(crate) async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        Self::get_from(&self.server, path, headers).await
    }

    pub(crate) async fn get_from(server: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
        let mut request = http::plain_client().unwrap().get(format!("{server}{path}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Answer::of(request.send().await.unwrap()).await
    }

    /// Presents a payment as it is.
    pub(crate) async fn present(&self, path: &str, payment: &Value) -> Answer {
        self.get(path, &[("payment-signature", &header::encode(payment).unwrap())]).await
    }

    pub(crate) async fn ask_facilitator(&self, path: &str, body: &Value) -> Answer {
        let request = http::plain_client().unwrap().post(format!("{}{path}", self.facilitator));
        Answer::of(request.json(body).send().await.unwrap()).await
    }

    /// A payment for a path, signed by an account, as JSON to be tampered with.
    pub(crate) async fn signed_by(&self, account: accounts::DevAccount, path: &str) -> Value {
        self.signed_for(account, path, |_| {}).await
    }

    /// The same for a challenge that was tampered with.
    pub(crate) async fn signed_for(
        &self,
        account: accounts::DevAccount,
        path: &str,
        tamper: impl FnOnce(&mut Value),
    ) -> Value {
        let mut required = self.get(path, &[]).await.decoded("payment-required");
        tamper(&mut required);
        let key = LocalKey::from_hex(&account.private_key().to_string()).unwrap();
        let client = PaymentClient::builder().clock(self.clock.clone()).signer("eip155:*", Arc::new(key));
        let required = serde_json::from_value(required).unwrap();
        serde_json::to_value(client.build().await.unwrap().pay(&required, ORIGIN).await.unwrap()).unwrap()
    }

    pub(crate) fn paid_to_payee(&self) -> u64 {
        let asset = tollway_devnet::contracts::addresses::USDC;
        self.devnet.balance_of(asset, PAYEE.parse().unwrap()).unwrap().to()
    }
}
