//! A catalogue whose resources are in the test's hand.

use async_trait::async_trait;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tollway_core::{
    FacilitatorExtension, Observed, PaymentPayload, PaymentRequired, PaymentRequirements, ResourceInfo, Stage,
};
use tollway_discovery::probe::{Fetch, Head};
use tollway_discovery::{Catalogue, CatalogueBuilder, CatalogueConfig, Entry, Filter};
use tollway_testkit::FakeClock;
use url::Url;

pub(crate) const PAYEE: &str = "0xPayee";

/// Resources by URL; whatever is not there does not answer.
#[derive(Default)]
pub(crate) struct Resources {
    heads: Mutex<HashMap<String, Head>>,
    asked: Mutex<Vec<String>>,
}

impl Resources {
    pub(crate) fn set(&self, url: &str, required: &PaymentRequired) {
        let header = tollway_http::header::encode(required).unwrap().into_bytes();
        self.heads.lock().unwrap().insert(url.to_owned(), Head::new(402, Some(header), 12));
    }

    pub(crate) fn answer(&self, url: &str, head: Head) {
        self.heads.lock().unwrap().insert(url.to_owned(), head);
    }

    pub(crate) fn kill(&self, url: &str) {
        self.heads.lock().unwrap().remove(url);
    }

    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

#[async_trait]
impl Fetch for Resources {
    async fn head(&self, method: &str, url: &Url) -> Result<Head, String> {
        self.asked.lock().unwrap().push(format!("{method} {url}"));
        self.heads.lock().unwrap().get(url.as_str()).cloned().ok_or_else(|| "nobody is there".to_owned())
    }
}

pub(crate) struct World {
    pub(crate) catalogue: Catalogue,
    pub(crate) resources: Arc<Resources>,
    pub(crate) clock: Arc<FakeClock>,
}

pub(crate) fn settings(value: Value) -> CatalogueConfig {
    serde_json::from_value(value).unwrap()
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(|builder| builder)
    }

    pub(crate) fn with(set: impl FnOnce(CatalogueBuilder) -> CatalogueBuilder) -> Self {
        let (resources, clock) = (Arc::new(Resources::default()), FakeClock::new());
        let builder = Catalogue::builder().fetch(resources.clone()).clock(clock.clone());
        Self { catalogue: set(builder).build().unwrap(), resources, clock }
    }

    /// Sells something, and has it paid for once by alice.
    pub(crate) async fn sold(&self, url: &str, description: &str, amount: &str) -> Value {
        let required = challenge(url, description, amount);
        self.resources.set(url, &required);
        self.pay(&required, "alice").await
    }

    /// A payment as an honest client makes it.
    pub(crate) async fn pay(&self, required: &PaymentRequired, payer: &str) -> Value {
        self.see(Stage::Settled, &payment(required), payer).await
    }

    /// What the facilitator says about a payment.
    pub(crate) async fn see(&self, stage: Stage, payment: &PaymentPayload, payer: &str) -> Value {
        let seen = Observed::new(stage, payment, &payment.accepted, Some(payer));
        self.catalogue.observe(&seen).await.unwrap_or_default()
    }

    pub(crate) async fn listed(&self) -> Vec<Entry> {
        self.catalogue.store().browse(&Filter::default(), 1000, 0).await.unwrap().entries
    }

    /// Waits until so many are listed.
    pub(crate) async fn lists(&self, many: usize) -> Vec<Entry> {
        for _ in 0..2000 {
            let listed = self.listed().await;
            if listed.len() == many {
                return listed;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("{} are listed, not {many}", self.listed().await.len());
    }

    /// Waits until the verdict on a payment is this.
    pub(crate) async fn says(&self, payment: &PaymentPayload, status: &str) -> Value {
        for _ in 0..2000 {
            let said = self.see(Stage::Verified, payment, "alice").await;
            if said["status"] == status {
                return said;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("{}", self.see(Stage::Verified, payment, "alice").await);
    }

    pub(crate) async fn get(&self, path: &str, query: &[(&str, &str)]) -> (u16, Value) {
        let query: Vec<_> = query.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let reply = self.catalogue.get(path, &query).await.unwrap();
        (reply.status, serde_json::from_slice(&reply.body).unwrap_or_default())
    }

    pub(crate) async fn page(&self, query: &[(&str, &str)]) -> String {
        let query: Vec<_> = query.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let reply = self.catalogue.get("/", &query).await.unwrap();
        assert!(reply.content_type.starts_with("text/html"));
        String::from_utf8(reply.body).unwrap()
    }
}

pub(crate) fn offer(amount: &str, pay_to: &str) -> PaymentRequirements {
    PaymentRequirements::new("exact", "eip155:8453".parse().unwrap(), amount.parse().unwrap(), "0xUSDC", pay_to)
}

pub(crate) fn declaration() -> Value {
    json!({
        "info": { "input": { "type": "http", "method": "GET", "queryParams": { "city": "Oslo" } } },
        "schema": { "type": "object", "properties": { "input": { "type": "object" } }, "required": ["input"] },
    })
}

pub(crate) fn challenge(url: &str, description: &str, amount: &str) -> PaymentRequired {
    let mut resource = ResourceInfo::new(url);
    resource.description = Some(description.to_owned());
    let mut required = PaymentRequired::new("Payment required", resource, vec![offer(amount, PAYEE)]);
    required.extensions.get_or_insert_default().insert("bazaar".to_owned(), declaration());
    required
}

pub(crate) fn payment(required: &PaymentRequired) -> PaymentPayload {
    let mut payment = PaymentPayload::new(required.accepts[0].clone(), json!({}));
    payment.resource = Some(required.resource.clone());
    payment.extensions = required.extensions.clone();
    payment
}
