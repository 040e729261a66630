//! [`FakeSecrets`]: every reference resolves, to what the test says.

use std::collections::BTreeMap;
use std::sync::Arc;
use tollway_core::{Secret, SecretRef, Secrets};

/// Secrets by reference, and one for all other references. Resolves no real variable and reads no file.
#[derive(Debug, Clone)]
pub struct FakeSecrets {
    fallback: Secret,
    named: BTreeMap<String, Secret>,
}

impl FakeSecrets {
    /// Every reference resolves to `secret`.
    pub fn new(secret: impl Into<String>) -> Self {
        Self { fallback: Secret::new(secret), named: BTreeMap::new() }
    }

    /// `reference` resolves to this one instead.
    pub fn with(mut self, reference: &str, secret: impl Into<String>) -> Self {
        self.named.insert(reference.to_owned(), Secret::new(secret));
        self
    }

    /// For a [`BuildContext`](tollway_core::BuildContext).
    pub fn shared(self) -> Arc<dyn Secrets> {
        Arc::new(self)
    }
}

impl Secrets for FakeSecrets {
    fn resolve(&self, reference: &SecretRef) -> Result<Secret, String> {
        // A literal shows in no `Debug`, so it finds no name here; like everywhere it is no reference.
        let shown = format!("{reference:?}");
        if !shown.starts_with("env:") && !shown.starts_with("file:") {
            return Err("a secret must be a reference, `env:NAME` or `file:PATH`, not the secret itself".to_owned());
        }
        Ok(self.named.get(&shown).unwrap_or(&self.fallback).clone())
    }
}
