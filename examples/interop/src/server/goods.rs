//! What the server sells, and for what.

use interop::Settings;
use serde_json::{Value, json};
use std::sync::Arc;
use tollway::core::{AssetAmount, Object, Price, Request, SupportedResponse};
use tollway::{Amount, Route, Way};

/// What the handler behind a route does.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Answer {
    Ok,
    /// Charges what the query says was used.
    Metered,
    Fails,
}

/// One thing that is sold.
pub(crate) struct Good {
    /// Where the router finds its handler.
    pub(crate) path: String,
    pub(crate) route: Route,
    pub(crate) answer: Answer,
}

/// Who sells.
pub(crate) struct Shop {
    pub(crate) settings: Settings,
    pub(crate) evm_payee: String,
    pub(crate) svm_payee: String,
    /// What the facilitator settles, if it could be asked.
    pub(crate) supported: Option<SupportedResponse>,
}

/// Changes a route.
type More = fn(Route) -> Route;

impl Shop {
    /// Everything, in the order of the README. An error is the path of what the facilitator cannot settle.
    pub(crate) fn goods(&self) -> Vec<Result<Good, String>> {
        let ok = |pattern, ways, more: More| self.good(pattern, Answer::Ok, ways, more);
        let metered = |pattern, more: More| self.good(pattern, Answer::Metered, vec![self.permit2("upto", 2000)], more);
        let (evm, svm) = (|| vec![self.evm("$0.001")], || vec![self.svm("$0.001")]);
        let permit2 = || vec![self.permit2("exact", 1000)];
        vec![
            ok("GET /evm/eip3009", evm(), |route| route.description("EIP-3009").mime_type("application/json")),
            ok("/evm/big", vec![self.evm("$5000")], |route| route),
            ok("/evm/permit2", permit2(), |route| route),
            ok("/evm/permit2-eip2612", permit2(), |route| route.extension("eip2612GasSponsoring", json!({}))),
            ok("/evm/permit2-erc20", vec![self.plain(1000)], |route| {
                route.extension("erc20ApprovalGasSponsoring", json!({}))
            }),
            metered("/evm/upto", |route| route),
            metered("/evm/upto-eip2612", |route| route.extension("eip2612GasSponsoring", json!({}))),
            ok("/evm/upfront", vec![self.evm("$0.001").map(Way::upfront)], |route| route),
            ok("/svm/exact", svm(), |route| route.description("SPL transfer")),
            ok("/svm/memo", vec![self.svm("$0.001").map(|way| way.extra("memo", "order-42"))], |route| route),
            ok("/multi", [evm(), svm()].concat(), |route| route),
            ok("/dynamic", vec![self.evm("$0.001").map(|way| way.price_with(per_unit))], |route| route),
            self.good("/fails", Answer::Fails, evm(), |route| route),
            ok("/siwx/evm", evm(), |route| route.extension("session", purchase())),
            ok("/siwx/svm", svm(), |route| route.extension("session", purchase())),
            Ok(self.sign_in_alone("/siwx/auth")),
            ok("/pid/optional", evm(), |route| route.extension("payment-identifier", json!({ "required": false }))),
            ok("/pid/required", evm(), |route| route.extension("payment-identifier", json!({ "required": true }))),
            ok("GET /bazaar/weather/:city", evm(), weather),
            ok("POST /bazaar/echo", evm(), echo),
        ]
    }

    /// What is sold for those of these ways that the facilitator settles.
    fn good(&self, pattern: &str, answer: Answer, ways: Vec<Option<Way>>, more: More) -> Result<Good, String> {
        let path = pattern.rsplit(' ').next().unwrap_or(pattern).replace(":city", "{city}");
        let ways: Vec<_> = ways.into_iter().flatten().collect();
        if ways.is_empty() {
            return Err(path);
        }
        let route = ways.into_iter().fold(Route::new(pattern), Route::accepts);
        Ok(Good { path, route: more(route), answer })
    }

    fn sign_in_alone(&self, path: &str) -> Good {
        let session = json!({ "chains": [self.settings.evm, self.settings.svm] });
        Good { path: path.to_owned(), route: Route::new(path).extension("session", session), answer: Answer::Ok }
    }

    fn is_settled(&self, scheme: &str, network: &str) -> bool {
        self.supported.as_ref().is_none_or(|supported| {
            supported.kinds.iter().any(|kind| kind.scheme == scheme && kind.network.as_str() == network)
        })
    }

    /// Dollars, by EIP-3009.
    fn evm(&self, price: &str) -> Option<Way> {
        let network = &self.settings.evm;
        self.is_settled("exact", network).then(|| Way::exact(network, price, &self.evm_payee))
    }

    /// Dollars on Solana.
    fn svm(&self, price: &str) -> Option<Way> {
        let network = &self.settings.svm;
        self.is_settled("exact", network).then(|| Way::exact(network, price, &self.svm_payee))
    }

    /// Units of USDC, by Permit2.
    fn permit2(&self, scheme: &str, units: u64) -> Option<Way> {
        let extra = json!({ "assetTransferMethod": "permit2", "name": "USDC", "version": "2" });
        self.units(scheme, units, &self.settings.usdc, extra)
    }

    /// Units of the token without EIP-712, by Permit2.
    fn plain(&self, units: u64) -> Option<Way> {
        self.units("exact", units, self.settings.plain.as_deref()?, json!({ "assetTransferMethod": "permit2" }))
    }

    fn units(&self, scheme: &str, units: u64, asset: &str, extra: Value) -> Option<Way> {
        let network = &self.settings.evm;
        let extra: Option<Object> = extra.as_object().cloned();
        let price = Price::Asset(AssetAmount { amount: Amount::from(units), asset: asset.to_owned(), extra });
        self.is_settled(scheme, network).then(|| Way::new(scheme, network, "$0", &self.evm_payee).price(price))
    }
}

/// A thousandth of a dollar for each of `?units=N`.
async fn per_unit(request: Arc<dyn Request>) -> Result<Price, String> {
    let units = request.argument("units");
    let units: u32 = units.as_deref().unwrap_or("1").parse().map_err(|_| "units is no number".to_owned())?;
    let price = format!("${}.{:03}", units / 1000, units % 1000);
    price.parse().map_err(|why| format!("{why}"))
}

/// What a payment opens: the same route, to whoever signs in. A challenge to sign in is good for 300 seconds, which is the
/// default, and its nonce for one answer.
fn purchase() -> Value {
    json!({ "for": "1h", "statement": "Sign in to read your purchase" })
}

fn weather(route: Route) -> Route {
    let listing = json!({
        "query": {
            "example": { "units": "metric" },
            "schema": {
                "properties": { "units": { "type": "string", "enum": ["metric", "imperial"] } },
                "required": ["units"],
            },
        },
        "path": { "properties": { "city": { "type": "string" } }, "required": ["city"] },
        "output": { "example": { "city": "Paris", "degrees": 21 } },
    });
    service(route.description("Weather by city")).extension("discovery", listing)
}

fn echo(route: Route) -> Route {
    let listing = json!({
        "body": {
            "example": { "text": "hello" },
            "schema": { "properties": { "text": { "type": "string" } }, "required": ["text"] },
        },
        "output": { "example": { "text": "hello" } },
    });
    service(route.description("Echo")).extension("discovery", listing)
}

/// What catalogues show beside the route.
fn service(route: Route) -> Route {
    let route = route.mime_type("application/json").service_name("Interop").tags(["interop", "test"]);
    route.icon_url("https://example.com/icon.png")
}
