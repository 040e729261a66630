//! A server that sells: every way to pay, every extension, each behind a route of its own.
#![allow(clippy::print_stdout, reason = "READY is for whoever started the program")]
#![allow(clippy::print_stderr, reason = "what is not sold is said aloud")]

#[path = "server/goods.rs"]
mod goods;

use axum::extract::{Query, Request};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, any};
use axum::{Extension, Json, Router};
use goods::{Answer, Shop};
use interop::{Failure, Settings, listen, required, setting};
use serde::Deserialize;
use serde_json::{Value, json};
use tollway::http::{PaymentLayer, Serve, install_crypto};
use tollway::roles::server::Charge;
use tollway::{Facilitator as _, RemoteFacilitator, ResourceServer};

#[tokio::main(flavor = "multi_thread")]
async fn main() -> Result<(), Failure> {
    install_crypto();
    let (listener, url) = listen().await?;
    let facilitator = RemoteFacilitator::new(&required("FACILITATOR_URL")?)?;
    let shop = Shop {
        settings: Settings::read(),
        evm_payee: required("EVM_PAY_TO")?,
        svm_payee: required("SVM_PAY_TO")?,
        // A facilitator that cannot be asked yet is asked again when requests come.
        supported: facilitator.supported().await.ok(),
    };
    let mut server = ResourceServer::builder(setting("ORIGIN").unwrap_or_else(|| url.clone())).facilitator(facilitator);
    let mut app = Router::new().route("/free", any(ok));
    for good in shop.goods() {
        match good {
            Ok(good) => {
                app = app.route(&good.path, handler(good.answer));
                server = server.route(good.route);
            }
            Err(path) => eprintln!("{path} is not sold: the facilitator settles none of its ways to pay"),
        }
    }
    let app = app.layer(PaymentLayer::new(server.build().await?));
    println!("READY {url}");
    Ok(Serve::new(listener, app).await?)
}

fn handler(answer: Answer) -> MethodRouter {
    match answer {
        Answer::Ok => any(ok),
        Answer::Metered => any(metered),
        Answer::Fails => any(fails),
    }
}

async fn ok(request: Request) -> Json<Value> {
    Json(json!({ "ok": true, "route": request.uri().path() }))
}

async fn fails(request: Request) -> (StatusCode, Json<Value>) {
    (StatusCode::INTERNAL_SERVER_ERROR, Json(json!({ "ok": false, "route": request.uri().path() })))
}

/// What a request uses up.
#[derive(Deserialize)]
struct Usage {
    #[serde(default = "Usage::default_use")]
    r#use: String,
}

impl Usage {
    fn default_use() -> String {
        "1000".to_owned()
    }
}

/// Charges what was used, which may be less than what was authorized.
async fn metered(Query(usage): Query<Usage>, request: Request) -> Response {
    match usage.r#use.parse::<Charge>() {
        Ok(charge) => (Extension(charge), ok(request).await).into_response(),
        Err(why) => (StatusCode::BAD_REQUEST, Json(json!({ "error": why.to_string() }))).into_response(),
    }
}
