//! One facilitator and one server for three chains at once, of which the last is a stranger's; whoever has a wallet for
//! one of them pays on that one.

use crate::golden::Signed;
use crate::world::{Answer, NETWORK, ORIGIN, PAYEE, World, serve};
use axum::extract::Request;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};
use std::sync::Arc;
use tollway::core::Signer;
use tollway::http::{self, PaymentLayer, Receipt, RemoteFacilitator, header};
use tollway::roles::client::PaymentClientBuilder;
use tollway::{PaymentClient, ResourceServer, Route, Way, evm, solana};
use tollway_devnet::solana::{Devnet, USDC, accounts as solana_accounts};
use tollway_testkit::{FakeClock, FakeSecrets};
// The stranger's plug-in: naming it links it, and that is all there is to it.
use toy_chain as _;

pub(crate) const SOLANA: &str = "solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1";
pub(crate) const SOLANA_PAYEE: &str = "HzQEyvJr4YZqj6Ga52JBkT7HncThepogpRPjKMTNSxAH";
/// The blockhash on which the recorded client built its payments.
const RECORDED_BLOCKHASH: &str = "CmpNeggWJ4JaWJeJ8YKN1Zypmk7uvQq3PECGUCAEMbky";

/// The three chains, with the routes that were recorded on Solana and one that is paid on any of them.
pub(crate) struct Chains {
    /// The EVM, and where facilitator and server listen.
    pub(crate) world: World,
    pub(crate) solana: Devnet,
    solana_rpc: String,
    toy: String,
}

impl Chains {
    /// Everything, with a toy network of its own: those are shared by all of this process.
    pub(crate) async fn start(toy: &str) -> Self {
        let (clock, devnet, engine) = World::chain(FakeClock::START).await;
        let solana = Devnet::builder().blockhash(RECORDED_BLOCKHASH.parse().unwrap()).build().unwrap();
        let rpc = solana.serve("127.0.0.1:0").await.unwrap();
        let engine = engine
            .network(SOLANA, json!({ "rpc": rpc.url() }))
            .signer(SOLANA, solana_key(solana_accounts::FACILITATOR))
            .network(toy, json!({ "gift": 100 }));
        let facilitator = serve(http::facilitator_router(Arc::new(engine.build().await.unwrap()))).await;
        let solana_rpc = rpc.url();
        // As the EVM's: for as long as the process.
        std::mem::forget(rpc);
        let server = serve(Self::paid_app(&facilitator, clock.clone(), toy).await).await;
        Self { world: World { clock, devnet, facilitator, server }, solana, solana_rpc, toy: toy.to_owned() }
    }

    async fn paid_app(facilitator: &str, clock: Arc<FakeClock>, toy: &str) -> Router {
        let by_evm = |price| Way::exact(NETWORK, price, PAYEE);
        let by_solana = |price| Way::exact(SOLANA, price, SOLANA_PAYEE);
        let described = Route::new("GET /svm/exact").description("SPL transfer").mime_type("application/json");
        let server = ResourceServer::builder(ORIGIN)
            .clock(clock)
            .facilitator(RemoteFacilitator::new(facilitator).unwrap())
            .route(described.accepts(by_solana("$0.001")))
            .route(Route::new("GET /svm/memo").accepts(by_solana("$0.001").extra("memo", "order-42")))
            .route(Route::new("GET /multi").accepts(by_evm("$0.001")).accepts(by_solana("$0.001")))
            .route(
                Route::new("GET /any")
                    .accepts(by_evm("$0.01"))
                    .accepts(by_solana("$0.01"))
                    .accepts(Way::exact(toy, "$0.01", "shop")),
            )
            .build()
            .await
            .unwrap();
        let ok = async |request: Request| Json(json!({ "ok": true, "route": request.uri().path() }));
        let routes = ["/svm/exact", "/svm/memo", "/multi", "/any"];
        let app = routes.into_iter().fold(Router::new(), |app, path| app.route(path, get(ok)));
        app.layer(PaymentLayer::new(server))
    }

    pub(crate) fn evm_wallet(&self, payer: PaymentClientBuilder) -> PaymentClientBuilder {
        let key = evm::LocalKey::from_hex(&tollway_devnet::accounts::CLIENT.private_key().to_string()).unwrap();
        payer.clock(self.world.clock.clone()).signer("eip155:*", Arc::new(key))
    }

    /// With a node: neither the recorded server nor ours here hands out blockhashes.
    pub(crate) fn solana_wallet(&self, payer: PaymentClientBuilder) -> PaymentClientBuilder {
        let section = json!({ "rpc": self.solana_rpc });
        payer.network(SOLANA, section).signer("solana:*", solana_key(solana_accounts::CLIENT))
    }

    fn toy_wallet(&self, payer: PaymentClientBuilder) -> PaymentClientBuilder {
        payer
            .clock(self.world.clock.clone())
            .network(&self.toy, json!({ "gift": 100 }))
            .key("toy:*", "env:PIN")
            .secrets(FakeSecrets::new("1234").shared())
    }

    pub(crate) fn paid_on_solana(&self) -> u64 {
        self.solana.token_balance(SOLANA_PAYEE.parse().unwrap(), USDC).unwrap()
    }

    /// What the payees of the three chains have, each in its own units.
    fn earned(&self) -> [u64; 3] {
        let shop = format!("{}:shop", self.toy).parse().unwrap();
        [self.world.paid_to_payee(), self.paid_on_solana(), toy_chain::balance(&shop)]
    }
}

fn solana_key(account: solana_accounts::DevAccount) -> Arc<dyn Signer> {
    Arc::new(solana::LocalKey::from_text(account.seed_hex()).unwrap())
}

#[tokio::test]
async fn one_server_is_paid_on_the_one_chain_for_which_a_client_has_a_wallet() {
    let chains = Chains::start("toy:any").await;
    let offered = chains.world.get("/any", &[]).await.decoded("payment-required");
    let networks: Vec<_> =
        offered["accepts"].as_array().unwrap().iter().map(|offer| offer["network"].clone()).collect();
    assert_eq!(networks, [NETWORK, SOLANA, "toy:any"]);
    assert_eq!(chains.earned(), [0, 0, 0]);

    type Wallet = fn(&Chains, PaymentClientBuilder) -> PaymentClientBuilder;
    let wallets: [(Wallet, [u64; 3]); 3] = [
        (Chains::evm_wallet, [10_000, 0, 0]),
        (Chains::solana_wallet, [10_000, 10_000, 0]),
        (Chains::toy_wallet, [10_000, 10_000, 1]),
    ];
    for ((wallet, earned), network) in wallets.into_iter().zip(&networks) {
        let signed = Arc::new(Signed::default());
        let payer = wallet(&chains, PaymentClient::builder().hook(signed.clone())).build().await.unwrap();
        let url = format!("{}/any", chains.world.server);
        let answer = http::client(payer).unwrap().get(url).send().await.unwrap();
        let receipt = answer.extensions().get::<Receipt>().unwrap().response().clone();
        let answer = Answer::of(answer).await;
        assert_eq!((answer.status, answer.json()), (200, json!({ "ok": true, "route": "/any" })), "{network}");
        assert!(receipt.success);
        assert_eq!(json!(receipt.network), *network);
        assert_eq!(chains.earned(), earned, "{network}");

        let payment = header::encode(signed.0.lock().unwrap().as_ref().unwrap()).unwrap();
        let again = chains.world.get("/any", &[("payment-signature", &payment)]).await;
        assert_eq!(again.status, 402, "{network}");
        assert_eq!(again.receipt().unwrap().error_reason.unwrap().as_str(), "duplicate_settlement", "{network}");
        assert_eq!(chains.earned(), earned, "{network}: nothing is paid twice");
    }
}

#[tokio::test]
async fn one_facilitator_settles_on_all_three() {
    let chains = Chains::start("toy:supported").await;
    let url = format!("{}/supported", chains.world.facilitator);
    let supported = Answer::of(http::plain_client().unwrap().get(url).send().await.unwrap()).await.json();
    let kinds = supported["kinds"].as_array().unwrap().iter();
    let exact = kinds.filter(|kind| kind["scheme"] == "exact").map(|kind| kind["network"].clone());
    let mut exact: Vec<Value> = exact.collect();
    exact.sort_by_key(Value::to_string);
    assert_eq!(exact, [NETWORK, SOLANA, "toy:supported"]);
}
