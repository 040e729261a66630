//! Facilitator extensions see payments, say something to the resource server, and cannot harm a payment.

use crate::support::local_builder;
use async_trait::async_trait;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use tollway_core::{Caller, Facilitator, FacilitatorExtension, Observed, Outcome, Stage};
use tollway_testkit::{FakePayload, fixtures};

/// What it saw, and how it behaves.
struct Watching {
    manner: &'static str,
    seen: Mutex<Vec<(Stage, Option<String>)>>,
}

#[async_trait]
impl FacilitatorExtension for Watching {
    fn key(&self) -> &'static str {
        "watching"
    }

    async fn observe(&self, seen: &Observed<'_>) -> Option<Value> {
        self.seen.lock().unwrap().push((seen.stage, seen.payer.map(str::to_owned)));
        match self.manner {
            "panics" => panic!("a stranger's extension"),
            "panics later" => {
                tokio::task::yield_now().await;
                panic!("a stranger's extension")
            }
            "hangs" => std::future::pending().await,
            _ => Some(json!({ "status": "processing" })),
        }
    }
}

async fn watched(manner: &'static str) -> (Vec<(Stage, Option<String>)>, [tollway_core::Object; 2]) {
    let network = format!("fake:observe-{}", manner.replace(' ', "-"));
    let watching = Arc::new(Watching { manner, seen: Mutex::default() });
    let facilitator = local_builder(&network).use_extension(watching.clone()).build().await.unwrap();
    assert!(facilitator.supported().await.unwrap().extensions.contains(&"watching".to_owned()));
    let offer = fixtures::offer(&network);
    let raw = fixtures::fake_payment(&offer, &FakePayload::new("alice", "n1", &offer));
    let verified = facilitator.verify(&raw, &offer).await.unwrap();
    let settled = match facilitator.settle(&raw, &offer, &Caller::ANONYMOUS).await.unwrap() {
        Outcome::Settled(settled) => settled,
        other => panic!("{other:?}"),
    };
    // A refusal is nothing to observe.
    let mut other = offer.clone();
    other.network = "fake:elsewhere".parse().unwrap();
    facilitator.verify(&raw, &other).await.unwrap_err();
    let seen = watching.seen.lock().unwrap().clone();
    (seen, [verified.extension_responses, settled.extension_responses])
}

#[tokio::test]
async fn both_stages_are_seen_and_answered() {
    let (seen, said) = watched("well").await;
    let alice = Some("alice".to_owned());
    assert_eq!(seen, [(Stage::Verified, alice.clone()), (Stage::Settled, alice)]);
    for said in said {
        assert_eq!(json!(said), json!({ "watching": { "status": "processing" } }));
    }
}

#[tokio::test(start_paused = true)]
async fn an_extension_that_panics_or_hangs_fails_no_payment() {
    for manner in ["panics", "panics later", "hangs"] {
        let (seen, said) = watched(manner).await;
        assert_eq!(seen.len(), 2, "{manner}");
        assert!(said.iter().all(tollway_core::Object::is_empty), "{manner}");
    }
}
