//! What a stranger's challenge can make a client do: open networks, spend in other assets, pay other people.

use crate::support::{ORIGIN, registry};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::num::NonZeroU64;
use std::sync::{Mutex, PoisonError};
use tollway_core::{
    AccountId, Amount, Ask, Asset, Build, BuildContext, Claim, ClaimKey, ClientExtension, EchoRules, Network,
    NetworkId, NoConfig, Object, Payment, PaymentPayload, PaymentRequired, PaymentRequirements, PlainServer, Plugin,
    Registry, Rejected, Result, Scheme, SchemeClient, Signed,
};
use tollway_roles::PaymentClient;
use tollway_roles::client::{PaymentClientBuilder, PinnedPayees};
use tollway_testkit::{COIN, EURO, FAKE, FakeClock, FakeSigner, fixtures};

/// Networks of any name, which are counted, and a scheme whose offers never change.
pub(crate) const MANY: Plugin = Plugin::new("many", "Networks without end", |r| {
    r.network::<Counted>("many:*").client::<PlainClient>("many:*").server::<PlainServer<Plain>>("fake:*");
});

/// Every network opened, and whether it still is.
static OPENED: Mutex<Vec<(NetworkId, bool)>> = Mutex::new(Vec::new());

fn opened<T>(look: impl FnOnce(&mut Vec<(NetworkId, bool)>) -> T) -> T {
    look(&mut OPENED.lock().unwrap_or_else(PoisonError::into_inner))
}

/// How many networks that begin like this were opened, and how many still are.
fn count(prefix: &str) -> (usize, usize) {
    opened(|all| {
        let ours: Vec<_> = all.iter().filter(|(id, _)| id.as_str().starts_with(prefix)).collect();
        (ours.len(), ours.iter().filter(|(_, open)| *open).count())
    })
}

struct Counted {
    id: NetworkId,
    assets: Vec<Asset>,
}

impl Drop for Counted {
    fn drop(&mut self) {
        opened(|all| {
            if let Some(entry) = all.iter_mut().find(|(id, open)| *open && *id == self.id) {
                entry.1 = false;
            }
        });
    }
}

impl Network for Counted {
    fn id(&self) -> &NetworkId {
        &self.id
    }

    fn assets(&self) -> &[Asset] {
        &self.assets
    }

    fn canonical(&self, address: &str) -> Result<String, Rejected> {
        Ok(address.to_lowercase())
    }
}

#[derive(Deserialize)]
struct CountedConfig {
    id: NetworkId,
}

impl Build for Counted {
    type Config = CountedConfig;

    async fn build(config: CountedConfig, _: BuildContext) -> Result<Self, String> {
        opened(|all| all.push((config.id.clone(), true)));
        let assets = ["first", "marked", "unmarked"].map(|name| Asset::new(name, name.to_uppercase(), 6));
        let [first, marked, unmarked] = assets;
        Ok(Self { id: config.id, assets: vec![first, marked.dollar(), unmarked] })
    }
}

pub(crate) struct Plain;

#[derive(Serialize, Deserialize)]
pub(crate) struct PlainPayload {
    nonce: String,
}

impl Scheme for Plain {
    const NAME: &'static str = "plain";
    type Payload = PlainPayload;
    type Extra = Object;

    fn claim(payment: &Payment<'_, Self>) -> Result<Claim, Rejected> {
        let network = &payment.offer.network;
        let key = ClaimKey::new(network, "plain", &[&payment.payload.nonce]);
        Ok(Claim::new(key, AccountId::new(network.clone(), "alice")))
    }
}

struct PlainClient;

impl Build for PlainClient {
    type Config = NoConfig;

    async fn build(_: NoConfig, _: BuildContext) -> Result<Self, String> {
        Ok(Self)
    }
}

impl SchemeClient for PlainClient {
    type Scheme = Plain;

    async fn sign(&self, _: Ask<'_, Plain>) -> Result<Signed<PlainPayload>> {
        Ok(Signed::new(PlainPayload { nonce: "1".to_owned() }))
    }
}

fn many() -> PaymentClientBuilder {
    let registry = Registry::builder().plugin(MANY).build().unwrap();
    PaymentClient::builder().registry(registry).signer("many:*", FakeSigner::shared("alice"))
}

fn fake(registry: Registry) -> PaymentClientBuilder {
    let alice = FakeSigner::shared("alice");
    PaymentClient::builder().registry(registry).clock(FakeClock::new()).signer("fake:*", alice)
}

fn plain(network: &str, asset: &str) -> PaymentRequirements {
    PaymentRequirements::new("plain", fixtures::network(network), Amount::from(1), asset, "payee")
}

async fn pay(client: &PaymentClient, offers: Vec<PaymentRequirements>) -> Result<PaymentRequirements, String> {
    let paid = client.pay(&fixtures::required("https://shop.test/", offers), ORIGIN).await;
    paid.map(|payment| payment.accepted).map_err(|why| why.to_string())
}

#[tokio::test]
async fn endless_networks_are_closed_again() {
    let client = many().build().await.unwrap();
    for i in 0..20 {
        let offers = (0..100).map(|j| plain(&format!("many:endless-{i}-{j}"), "strange")).collect();
        let why = pay(&client, offers).await.unwrap_err();
        assert!(why.contains("no asset known") && why.contains("not looked at"), "{why}");
    }
    assert_eq!(count("many:endless-"), (160, 0), "opened, and still open");
    assert_eq!(client.kept(), 0, "what is not paid does not push out what is");
}

#[tokio::test]
async fn what_needs_no_network_is_looked_at_before_one_is_opened() {
    let client = many().build().await.unwrap();
    let year = plain("many:early-1", "first").with_timeout(NonZeroU64::new(31_536_000).unwrap());
    let barter = plain("many:early-2", "first").with_extra("paymentFlow", "barter");
    assert!(pay(&client, vec![year, barter]).await.is_err());
    assert_eq!(count("many:early-"), (0, 0));
}

#[tokio::test]
async fn a_payment_opens_what_it_needs_once() {
    let client = many().build().await.unwrap();
    let offers = vec![plain("many:once-1", "strange"), plain("many:once-1", "first"), plain("many:once-2", "first")];
    assert_eq!(pay(&client, offers).await.unwrap().network.as_str(), "many:once-1");
    assert_eq!(count("many:once-"), (1, 1), "the first that is allowed is paid");
}

#[tokio::test]
async fn the_networks_used_last_are_kept() {
    let client = many().build().await.unwrap();
    let network = |i: usize| format!("many:used-{i}.");
    for i in 0..100 {
        pay(&client, vec![plain(&network(i), "first")]).await.unwrap();
        pay(&client, vec![plain(&network(0), "first")]).await.unwrap();
    }
    assert_eq!((client.kept(), count("many:used-").1), (64, 64));
    assert_eq!(count(&network(0)), (1, 1), "used all the time");
    assert_eq!(count(&network(1)), (1, 0), "not used for longest");
}

#[tokio::test]
async fn networks_that_are_configured_stay_open() {
    let client = many().network("many:mine-1", json!({})).build().await.unwrap();
    for i in 0..100 {
        pay(&client, vec![plain(&format!("many:mine-other-{i}"), "first")]).await.unwrap();
    }
    pay(&client, vec![plain("many:mine-1", "first")]).await.unwrap();
    assert_eq!(count("many:mine-1"), (1, 1));
}

#[tokio::test]
async fn dollars_are_the_first_asset_and_those_marked() {
    let client = many().build().await.unwrap();
    for (asset, allowed) in [("first", true), ("MARKED", true), ("unmarked", false)] {
        let paid = pay(&client, vec![plain("many:dollars", asset)]).await;
        assert_eq!(paid.is_ok(), allowed, "{asset}: {paid:?}");
    }
}

#[tokio::test]
async fn a_limit_with_a_ticker_is_for_that_asset_only() {
    let client = fake(registry()).max_per_payment("5 FEUR").build().await.unwrap();
    let offer = |asset: &str, amount: u64| {
        let mut offer = fixtures::offer("fake:guards-ticker");
        (offer.asset, offer.amount) = (asset.to_owned(), Amount::from(amount));
        offer
    };
    let why = pay(&client, vec![offer(COIN, 1)]).await.unwrap_err();
    assert!(why.contains("FUSD") && why.contains("5 FEUR"), "{why}");
    assert!(pay(&client, vec![offer(EURO, 500)]).await.is_ok());
    assert!(pay(&client, vec![offer(EURO, 501)]).await.unwrap_err().contains("above the limit of 500"));
}

#[tokio::test]
async fn a_pin_holds_however_its_origin_is_spelt() {
    let mut swapped = fixtures::offer("fake:guards-pins");
    swapped.pay_to = "mallory".to_owned();
    for origin in ["https://shop.test", "https://shop.test/", "https://SHOP.test", "https://shop.test:443/"] {
        let pins = PinnedPayees::default().pin(origin, "payee");
        let client = fake(registry()).policy(pins).build().await.unwrap();
        assert!(pay(&client, vec![swapped.clone()]).await.unwrap_err().contains("mallory"), "{origin}");
        assert!(pay(&client, vec![fixtures::offer("fake:guards-pins")]).await.is_ok(), "{origin}");
    }
    let elsewhere = PinnedPayees::default().pin("https://shop.test:8443", "payee");
    let client = fake(registry()).policy(elsewhere).build().await.unwrap();
    assert!(pay(&client, vec![swapped]).await.is_ok(), "another port is another origin");
}

#[tokio::test]
async fn a_pin_for_what_is_no_origin_stops_every_payment() {
    for text in ["shop.test", "https://shop.test/report", "https://*.shop.test", ""] {
        let pins = PinnedPayees::default().pin("https://shop.test", "payee").pin(text, "payee");
        let client = fake(registry()).policy(pins).build().await.unwrap();
        let why = pay(&client, vec![fixtures::offer("fake:guards-bad-pins")]).await.unwrap_err();
        assert!(why.contains(&format!("`{text}`")) && why.contains("no origin"), "{why}");
    }
    // And so does an origin that cannot be looked up: nobody knows whether it is pinned.
    let client = fake(registry()).policy(PinnedPayees::default().pin(ORIGIN, "payee")).build().await.unwrap();
    let required = fixtures::required("https://shop.test/", vec![fixtures::offer("fake:guards-bad-pins")]);
    assert!(client.pay(&required, "https://shop.test/report").await.is_err());
}

/// Appends to the server's list, or replaces it.
struct Appends {
    replace: bool,
}

#[derive(Deserialize)]
struct AppendsConfig {
    #[serde(default)]
    replace: bool,
}

#[async_trait]
impl ClientExtension for Appends {
    fn key(&self) -> &'static str {
        "list"
    }

    fn echo(&self) -> EchoRules {
        EchoRules::PLAIN.additive(&["entries"])
    }

    async fn enrich(&self, _: &PaymentRequired, payment: &mut PaymentPayload) -> Result<()> {
        let extensions = payment.extensions.as_mut().unwrap();
        let entries = extensions["list"]["info"]["entries"].as_array_mut().unwrap();
        if self.replace {
            entries.clear();
        }
        entries.push("mine".into());
        Ok(())
    }
}

impl Build for Appends {
    type Config = AppendsConfig;

    async fn build(config: AppendsConfig, _: BuildContext) -> Result<Self, String> {
        Ok(Self { replace: config.replace })
    }
}

/// Cannot be made without a section.
struct Needy;

#[derive(Deserialize)]
struct NeedyConfig {
    #[serde(rename = "wallet")]
    _wallet: String,
}

#[async_trait]
impl ClientExtension for Needy {
    fn key(&self) -> &'static str {
        "needy"
    }
}

impl Build for Needy {
    type Config = NeedyConfig;

    async fn build(_: NeedyConfig, _: BuildContext) -> Result<Self, String> {
        Ok(Self)
    }
}

fn extensions() -> Registry {
    const EXTENSIONS: Plugin = Plugin::new("extensions", "Two client extensions", |r| {
        r.client_extension::<Appends>("list").client_extension::<Needy>("needy");
    });
    Registry::builder().plugin(FAKE).plugin(EXTENSIONS).build().unwrap()
}

#[tokio::test]
async fn extensions_add_what_their_rules_allow_and_change_nothing_else() {
    let mut required = fixtures::required("https://shop.test/", vec![fixtures::offer("fake:guards-echo")]);
    required.extensions = json!({ "list": { "info": { "entries": ["server"] } } }).as_object().cloned();
    let client = fake(extensions()).build().await.unwrap();
    let payment = client.pay(&required, ORIGIN).await.unwrap();
    assert_eq!(payment.extensions.unwrap()["list"]["info"]["entries"], json!(["server", "mine"]));
    let client = fake(extensions()).extension("list", json!({ "replace": true })).build().await.unwrap();
    assert!(client.pay(&required, ORIGIN).await.unwrap_err().to_string().contains("`list`"));
}

#[tokio::test]
async fn a_linked_extension_that_needs_a_section_is_left_out_without_one() {
    fake(extensions()).build().await.unwrap();
    fake(extensions()).extension("needy", json!({ "wallet": "mine" })).build().await.unwrap();
    let refused = fake(extensions()).extension("needy", json!({})).build().await;
    assert!(refused.unwrap_err().to_string().contains("wallet"), "what is configured must work");
}
