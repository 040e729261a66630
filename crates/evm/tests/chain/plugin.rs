//! The plug-in as programs meet it: found by itself, configured by text.

use crate::support::*;
use async_trait::async_trait;
use serde_json::{Value, json};
use std::sync::Arc;
use tollway_core::{BuildContext, Fault, Network, PartKind, Registry, Secret, SecretRef, Secrets, Signable, Signer};
use tollway_devnet::accounts::FACILITATOR;

/// Whatever is asked for is the facilitator's key.
#[derive(Debug)]
struct Keys;

impl Secrets for Keys {
    fn resolve(&self, _: &SecretRef) -> Result<Secret, String> {
        Ok(Secret::new(alloy::hex::encode(FACILITATOR.private_key())))
    }
}

fn context() -> BuildContext {
    let mut cx = BuildContext::new();
    cx.secrets = Arc::new(Keys);
    cx
}

async fn network(registry: &Registry, section: Value) -> Arc<dyn Network> {
    registry.network(&"eip155:84532".parse().unwrap(), section, context()).await.unwrap()
}

#[tokio::test]
async fn it_registers_itself_and_accepts_its_own_examples() {
    let registry = Registry::discover().unwrap();
    assert!(registry.plugins().iter().any(|plugin| plugin.name() == tollway_evm::PLUGIN.name()));
    let id = "eip155:84532".parse().unwrap();
    let ours = |kind| registry.parts().iter().find(|part| part.kind() == kind).unwrap();
    let example = |kind| serde_json::from_str::<Value>(ours(kind).example()).unwrap();

    let network = network(&registry, example(PartKind::Network)).await;
    let signer = registry.signer("local", &id, example(PartKind::Signer), context()).await.unwrap();
    assert_eq!(signer.address(), "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266");
    let cx = context().with_network(network).with_signers(vec![signer]);
    for kind in [PartKind::SchemeClient, PartKind::SchemeServer, PartKind::SchemeFacilitator] {
        ours(kind).try_config(example(kind), cx.clone()).await.unwrap();
    }
    let facilitator = registry.facilitator("exact", &id, json!({}), cx.clone()).await.unwrap();
    assert_eq!(facilitator.signers(), ["0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"]);
    assert_eq!((facilitator.kind_extra(), facilitator.extensions().len()), (None, 2));

    for part in registry.parts() {
        let mut section: Value = serde_json::from_str(part.example()).unwrap();
        section["__unknown__"] = 1.into();
        let refused = part.try_config(section, cx.clone()).await.unwrap_err();
        assert!(refused.contains("__unknown__"), "{part:?}: {refused}");
    }
}

#[tokio::test]
async fn what_is_missing_is_said_at_start_up() {
    let registry = Registry::builder().plugin(tollway_evm::PLUGIN).build().unwrap();
    let id = "eip155:84532".parse().unwrap();
    let bare = context().with_network(network(&registry, json!({})).await);
    registry.server("exact", &id, json!({}), bare.clone()).await.unwrap();
    let error = registry.client("exact", &id, json!({}), bare.clone()).await.map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("no key is configured"), "{error}");
    let error = registry.facilitator("exact", &id, json!({}), bare).await.map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("networks.\"eip155:84532\".rpc"), "{error}");
    let node = network(&registry, json!({ "rpc": "http://localhost:1" })).await;
    let keyless = context().with_network(node);
    let error = registry.facilitator("exact", &id, json!({}), keyless).await.map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("pays for gas"), "{error}");
}

#[tokio::test]
async fn a_signer_of_another_chain_is_refused() {
    struct Other;
    #[async_trait]
    impl Signer for Other {
        fn address(&self) -> &str {
            "HzQEyvJr4YZqj6Ga52JBkT7HncThepogpRPjKMTNSxAH"
        }
        async fn sign(&self, _: Signable<'_>) -> Result<Vec<u8>, Fault> {
            Ok(Vec::new())
        }
    }
    let world = World::new();
    let error = tollway_evm::ExactFacilitator::new(world.evm, &[Arc::new(Other)]).unwrap_err();
    assert!(error.contains("no EVM address"), "{error}");
}
