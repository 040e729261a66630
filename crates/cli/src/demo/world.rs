//! The parts of the demo: facilitator, paid server and client, each as a program of its own would set them up.

use super::DemoArgs;
use super::hooks::Watch;
use super::session::{Forward, LASTS};
use super::step::{Running, Step};
use crate::chain::{self, DemoChain, Facts};
use axum::Router;
use axum::routing::get;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::JoinHandle;
use tollway::core::{PaymentPayload, SettleResponse};
use tollway::http::{self, Receipt};
use tollway::roles::client::{Candidate, Purchase};
use tollway::{LocalFacilitator, PaymentClient, PaymentLayer, RemoteFacilitator, ResourceServer, Route, Sessions, Way};

/// Everything that runs.
pub(super) struct World {
    pub(super) chains: Vec<Box<dyn DemoChain>>,
    facilitator: Service,
    server: Service,
    watch: Arc<Watch>,
    /// What sessions tell the time by.
    pub(super) clock: Arc<Forward>,
}

/// A client with a wallet for one chain.
pub(super) struct Buyer {
    http: http::Client,
    watch: Arc<Watch>,
}

impl Buyer {
    /// Gets a paid resource, as any program would.
    pub(super) async fn get(&self, resource: &str) -> Result<Answer, String> {
        let response = self.http.get(resource).send().await.map_err(|why| why.to_string())?;
        let receipt = response.extensions().get::<Receipt>().map(|receipt| receipt.response().clone());
        let status = response.status().as_u16();
        let body = response.text().await.map_err(|why| why.to_string())?;
        Ok(Answer { status, body, receipt, reason: String::new() })
    }

    pub(super) fn last_payment(&self) -> Option<PaymentPayload> {
        self.watch.last_payment()
    }
}

/// A server on loopback.
struct Service {
    url: String,
    task: JoinHandle<()>,
}

impl Service {
    async fn bind(port: u16) -> Result<(TcpListener, String), String> {
        let listener = TcpListener::bind(("127.0.0.1", port)).await;
        let listener =
            listener.map_err(|why| format!("port {port} on 127.0.0.1 cannot be had: {why}; try --port 0"))?;
        let address = listener.local_addr().map_err(|why| why.to_string())?;
        Ok((listener, format!("http://{address}")))
    }

    fn serve(listener: TcpListener, url: String, app: Router) -> Self {
        let task = tokio::spawn(async move {
            if let Err(why) = axum::serve(listener, app).await {
                anstream::eprintln!("tollway: a server of the demo stopped: {why}");
            }
        });
        Self { url, task }
    }
}

/// The answer to a request.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: String,
    pub(super) receipt: Option<SettleResponse>,
    /// Why it was refused, if it was.
    pub(super) reason: String,
}

impl World {
    pub(super) async fn start(args: &DemoArgs, events: UnboundedSender<Step>) -> Result<Self, String> {
        let port = |offset: u16| if args.port == 0 { 0 } else { args.port.saturating_add(offset) };
        let watch = Arc::new(Watch::new(events));
        let chains = chain::start_all(port(2), Duration::from_millis(args.block_time)).await?;

        let mut engine = LocalFacilitator::builder().hook(watch.clone());
        for chain in &chains {
            let network = chain.facts().network.as_str();
            let section = serde_json::json!({ "rpc": chain.facts().rpc });
            engine = engine.network(network, section).signer(network, chain.facilitator()?);
        }
        let engine = engine.build().await.map_err(|why| why.to_string())?;
        let (listener, url) = Service::bind(port(1)).await?;
        let facilitator = Service::serve(listener, url, http::facilitator_router(Arc::new(engine)));

        let (listener, url) = Service::bind(port(0)).await?;
        let priced = |route: Route| {
            let way =
                |chain: &dyn DemoChain| Way::exact(chain.facts().network.as_str(), &args.price, &chain.facts().payee);
            chains.iter().fold(route, |route, chain| route.accepts(way(&**chain)))
        };
        let session =
            serde_json::json!({ "for": LASTS, "token": "15m", "statement": "Come back to what you paid for" });
        let archive = Route::new("GET /archive").description("An archive").extension("session", session);
        // By a clock of their own, so that the demo need not last an hour.
        let clock = Arc::new(Forward::default());
        let sessions = Sessions::builder().clock(clock.clone()).build()?;
        let remote = RemoteFacilitator::new(&facilitator.url).map_err(|why| why.to_string())?;
        let server = ResourceServer::builder(&url)
            .facilitator(remote)
            .use_extension("session", sessions.extension())
            .route(priced(Route::new("GET /report").description("A report")))
            .route(priced(archive));
        let layer = PaymentLayer::new(server.build().await.map_err(|why| why.to_string())?);
        let app = Router::new().route("/report", get(report)).route("/archive", get(archived)).layer(layer);
        let server = Service::serve(listener, url, app);
        Ok(Self { chains, facilitator, server, watch, clock })
    }

    /// A client with the same wallet that pays nothing, as another program of the same owner might be.
    pub(super) async fn visitor(&self, chain: &dyn DemoChain) -> Result<http::Client, String> {
        let payer = PaymentClient::builder()
            .signer(chain.facts().network.as_str(), chain.payer()?)
            .policy(|_: &Purchase<'_>, _: &Candidate| Err("this client pays nothing".to_owned()))
            .build()
            .await
            .map_err(|why| why.to_string())?;
        http::client(payer).map_err(|why| why.to_string())
    }

    /// A client that can pay on this chain and on no other: it takes the offer it can pay.
    pub(super) async fn buyer(&self, chain: &dyn DemoChain) -> Result<Buyer, String> {
        let Facts { network, rpc, .. } = chain.facts();
        let payer = PaymentClient::builder()
            .network(network.as_str(), serde_json::json!({ "rpc": rpc }))
            .signer(network.as_str(), chain.payer()?)
            .hook(self.watch.clone())
            .build()
            .await
            .map_err(|why| why.to_string())?;
        Ok(Buyer { http: http::client(payer).map_err(|why| why.to_string())?, watch: self.watch.clone() })
    }

    /// Gets the paid resource, as any program would.
    pub(super) async fn buy(&self, buyer: &Buyer) -> Result<Answer, String> {
        self.watch.begin();
        buyer.get(&self.resource()).await
    }

    /// Presents a payment that was used already.
    pub(super) async fn present_again(&self, payment: &PaymentPayload) -> Result<Answer, String> {
        let header = http::header::encode(payment).map_err(|why| why.to_string())?;
        let request = http::plain_client().map_err(|why| why.to_string())?.get(self.resource());
        let response =
            request.header(http::header::PAYMENT_SIGNATURE, header).send().await.map_err(|why| why.to_string())?;
        let status = response.status().as_u16();
        let receipt = response.headers().get(http::header::PAYMENT_RESPONSE);
        let receipt = receipt.and_then(|value| http::header::decode::<SettleResponse>(value.as_bytes()).ok());
        let reason = receipt.as_ref().and_then(|receipt| receipt.error_reason.as_ref()).map(ToString::to_string);
        let body = response.text().await.map_err(|why| why.to_string())?;
        Ok(Answer { status, body, receipt, reason: reason.unwrap_or_default() })
    }

    fn resource(&self) -> String {
        format!("{}/report", self.server.url)
    }

    pub(super) fn archive(&self) -> String {
        format!("{}/archive", self.server.url)
    }

    fn running(&self, with_keys: bool) -> Vec<Running> {
        let running = |chain: &dyn DemoChain| Running {
            network: chain.facts().network.to_string(),
            rpc: chain.facts().rpc.clone(),
            payer_key: with_keys.then(|| chain.facts().payer_key.clone()),
        };
        self.chains.iter().map(|chain| running(&**chain)).collect()
    }

    pub(super) fn started(&self) -> Step {
        let (facilitator, server) = (self.facilitator.url.clone(), self.server.url.clone());
        Step::Start { chains: self.running(false), facilitator, server }
    }

    pub(super) fn by_hand(&self) -> Step {
        let resource = self.resource();
        let mut commands = vec![format!("curl -i {resource}"), format!("curl -s {}/supported", self.facilitator.url)];
        for chain in &self.chains {
            let settings = &chain.facts().client_settings;
            commands.push(format!("{settings} cargo run -p paying-client -- {resource}"));
        }
        let (facilitator, server) = (self.facilitator.url.clone(), self.server.url.clone());
        Step::Keep { server, facilitator, chains: self.running(true), commands }
    }

    pub(super) async fn stop(self) {
        self.server.task.abort();
        self.facilitator.task.abort();
        for chain in self.chains {
            chain.stop().await;
        }
    }
}

async fn archived() -> &'static str {
    "The archive you may come back to.\n"
}

async fn report() -> &'static str {
    "The report you paid for.\n"
}
