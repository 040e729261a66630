//! [`FakeHost`]: a role that lends fake networks.

use crate::chain::{FakeChain, FakeSigner};
use async_trait::async_trait;
use serde_json::Value;
use std::any::Any;
use std::sync::Arc;
use tollway_core::{Host, Network, NetworkId, Signer};

/// Lends every network named `fake:*`, with a key for each if it was given one, and no store.
#[derive(Debug, Clone, Default)]
pub struct FakeHost {
    address: Option<String>,
}

impl FakeHost {
    /// A host without keys.
    pub fn new() -> Self {
        Self::default()
    }

    /// A host whose key on every network has this address.
    pub fn of(address: &str) -> Self {
        Self { address: Some(address.to_owned()) }
    }

    /// For a [`BuildContext`](tollway_core::BuildContext).
    pub fn shared(self) -> Arc<dyn Host> {
        Arc::new(self)
    }
}

#[async_trait]
impl Host for FakeHost {
    async fn network(&self, id: &NetworkId) -> Result<Arc<dyn Network>, String> {
        match id.namespace() {
            "fake" => Ok(Arc::new(FakeChain::open(id.clone()))),
            _ => Err(format!("{id} is no fake network")),
        }
    }

    async fn signers(&self, id: &NetworkId) -> Result<Vec<Arc<dyn Signer>>, String> {
        let fake = self.address.iter().filter(|_| id.namespace() == "fake");
        Ok(fake.map(|address| FakeSigner::shared(address)).collect())
    }

    async fn store(&self, name: &str, _: Value) -> Result<Arc<dyn Any + Send + Sync>, String> {
        Err(format!("a fake host has no store `{name}`"))
    }
}
