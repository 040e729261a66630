//! Extensions see what was verified and settled. Nothing they do changes what came of a payment.

use super::Engine;
use crate::task::unless_it_panics;
use std::time::Duration;
use tokio::time::timeout;
use tollway_core::{Object, Observed};

/// Longest wait for one extension.
const PATIENCE: Duration = Duration::from_secs(1);

impl Engine {
    /// What the extensions say about a payment, by key.
    pub(super) async fn observe(&self, seen: &Observed<'_>) -> Object {
        let mut said = Object::new();
        for extension in &self.extensions {
            let key = extension.key();
            match timeout(PATIENCE, unless_it_panics(extension.observe(seen))).await {
                Ok(Some(Some(response))) => drop(said.insert(key.to_owned(), response)),
                Ok(Some(None)) => {}
                Ok(None) => tracing::error!(key, "an extension panicked over a payment; the payment stands"),
                Err(_) => tracing::warn!(key, "an extension took too long over a payment; the payment stands"),
            }
        }
        said
    }
}
