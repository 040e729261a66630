//! The parts of the demo: facilitator, paid server and client, each as a program of its own would set them up.

use super::DemoArgs;
use super::chain::DemoChain;
use super::hooks::Watch;
use super::step::{Holding, Step};
use axum::Router;
use axum::routing::get;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::JoinHandle;
use tollway::core::{PaymentPayload, SettleResponse};
use tollway::http::{self, Receipt};
use tollway::{Amount, LocalFacilitator, PaymentClient, PaymentLayer, RemoteFacilitator, ResourceServer, Route, Way};

/// Everything that runs.
pub(super) struct World {
    pub(super) chain: DemoChain,
    facilitator: Service,
    server: Service,
    client: http::Client,
    watch: Arc<Watch>,
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
        let chain = DemoChain::start(port(2), args.block_time).await?;
        let network = chain.network.as_str();

        let section = serde_json::json!({ "rpc": chain.rpc });
        let engine = LocalFacilitator::builder()
            .network(network, section)
            .signer(network, chain.facilitator_key()?)
            .hook(watch.clone())
            .build()
            .await
            .map_err(|why| why.to_string())?;
        let (listener, url) = Service::bind(port(1)).await?;
        let facilitator = Service::serve(listener, url, http::facilitator_router(Arc::new(engine)));

        let (listener, url) = Service::bind(port(0)).await?;
        let remote = RemoteFacilitator::new(&facilitator.url).map_err(|why| why.to_string())?;
        let server = ResourceServer::builder(&url)
            .facilitator(remote)
            .route(
                Route::new("GET /report")
                    .accepts(Way::exact(network, &args.price, &chain.payee))
                    .description("A report"),
            )
            .build()
            .await
            .map_err(|why| why.to_string())?;
        let app = Router::new().route("/report", get(report)).layer(PaymentLayer::new(server));
        let server = Service::serve(listener, url, app);

        let payer = PaymentClient::builder().signer(network, chain.payer_key()?).hook(watch.clone()).build().await;
        let client = http::client(payer.map_err(|why| why.to_string())?).map_err(|why| why.to_string())?;
        Ok(Self { chain, facilitator, server, client, watch })
    }

    /// Gets the paid resource, as any program would.
    pub(super) async fn buy(&self) -> Result<Answer, String> {
        self.watch.begin();
        let response = self.client.get(self.resource()).send().await.map_err(|why| why.to_string())?;
        let receipt = response.extensions().get::<Receipt>().map(|receipt| receipt.response().clone());
        let status = response.status().as_u16();
        let body = response.text().await.map_err(|why| why.to_string())?;
        Ok(Answer { status, body, receipt, reason: String::new() })
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

    pub(super) fn last_payment(&self) -> Option<PaymentPayload> {
        self.watch.last_payment()
    }

    fn resource(&self) -> String {
        format!("{}/report", self.server.url)
    }

    pub(super) fn started(&self) -> Step {
        Step::Start {
            network: self.chain.network.to_string(),
            rpc: self.chain.rpc.clone(),
            facilitator: self.facilitator.url.clone(),
            server: self.server.url.clone(),
        }
    }

    pub(super) fn balances(&self, when: &'static str, payer: Amount, payee: Amount) -> Step {
        Step::Balances {
            when,
            asset: self.chain.asset.clone(),
            symbol: self.chain.known.symbol.clone(),
            decimals: self.chain.known.decimals,
            payer: Holding { address: self.chain.payer.clone(), amount: payer },
            payee: Holding { address: self.chain.payee.clone(), amount: payee },
        }
    }

    pub(super) fn by_hand(&self) -> Step {
        let resource = self.resource();
        Step::Keep {
            server: self.server.url.clone(),
            facilitator: self.facilitator.url.clone(),
            rpc: self.chain.rpc.clone(),
            payer_key: self.chain.payer_key_text(),
            commands: vec![
                format!("curl -i {resource}"),
                format!("PAYER_KEY={} cargo run -p paying-client -- {resource}", self.chain.payer_key_text()),
                format!("curl -s {}/supported", self.facilitator.url),
            ],
        }
    }

    pub(super) async fn stop(self) {
        self.server.task.abort();
        self.facilitator.task.abort();
        self.chain.stop().await;
    }
}

async fn report() -> &'static str {
    "The report you paid for.\n"
}
