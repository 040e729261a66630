//! The client's side: an id for every purchase whose server wants one.

use crate::{PAYMENT_IDENTIFIER, is_id};
use async_trait::async_trait;
use serde::Deserialize;
use serde_json::Value;
use std::fmt;
use std::sync::Arc;
use tollway_core::{Build, BuildContext, ClientExtension, Fault, FaultKind, PaymentPayload, PaymentRequired, Result};

type Ids = Arc<dyn Fn(&PaymentRequired) -> Result<String, Fault> + Send + Sync>;

/// Adds an id to payments. Each payment gets one of its own; one that is presented again keeps it.
#[derive(Clone)]
pub struct PaymentIdentifierClient {
    ids: Ids,
    enabled: bool,
}

impl fmt::Debug for PaymentIdentifierClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PaymentIdentifierClient").finish_non_exhaustive()
    }
}

/// An id nobody can guess: `pay_` and 128 random bits in hex.
///
/// # Errors
/// The operating system gave no random bytes.
pub fn new_id() -> Result<String, Fault> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|why| {
        Fault::new(FaultKind::Internal, "the operating system gave no random bytes").source(why.to_string())
    })?;
    Ok(format!("pay_{:032x}", u128::from_be_bytes(bytes)))
}

impl Default for PaymentIdentifierClient {
    fn default() -> Self {
        Self { ids: Arc::new(|_| new_id()), enabled: true }
    }
}

impl PaymentIdentifierClient {
    /// Random ids.
    pub fn new() -> Self {
        Self::default()
    }

    /// Ids of the application's own, such as the numbers of its orders: 16 to 128 letters, digits, `_` and `-`, which
    /// nobody else can guess. One id for one purchase: under a second one it is answered as the first was.
    pub fn with_ids(ids: impl Fn(&PaymentRequired) -> String + Send + Sync + 'static) -> Self {
        Self { ids: Arc::new(move |required| Ok(ids(required))), enabled: true }
    }
}

#[async_trait]
impl ClientExtension for PaymentIdentifierClient {
    fn key(&self) -> &'static str {
        PAYMENT_IDENTIFIER
    }

    async fn enrich(&self, required: &PaymentRequired, payment: &mut PaymentPayload) -> Result<()> {
        if !self.enabled {
            return Ok(());
        }
        let extensions = payment.extensions.get_or_insert_default();
        let Some(declared) = extensions.get_mut(PAYMENT_IDENTIFIER).and_then(Value::as_object_mut) else {
            return Ok(());
        };
        let info = declared.entry("info").or_insert_with(|| Value::Object(Default::default()));
        let Some(info) = info.as_object_mut() else { return Ok(()) };
        let id = (self.ids)(required)?;
        if !is_id(&id) {
            let message = format!("`{id}` is no payment identifier; use 16 to 128 letters, digits, `_` and `-`");
            return Err(Fault::new(FaultKind::Configuration, message).into());
        }
        info.insert("id".to_owned(), Value::String(id));
        Ok(())
    }
}

/// The section of the client's extension.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct PaymentIdentifierClientConfig {
    /// Whether to add ids at all. Without one, a purchase that is repeated is paid again, and routes that require one
    /// refuse.
    pub enabled: bool,
}

impl Default for PaymentIdentifierClientConfig {
    fn default() -> Self {
        Self { enabled: true }
    }
}

impl Build for PaymentIdentifierClient {
    type Config = PaymentIdentifierClientConfig;
    const EXAMPLE: &'static str = r#"{ "enabled": true }"#;

    async fn build(config: PaymentIdentifierClientConfig, _: BuildContext) -> Result<Self, String> {
        Ok(Self { enabled: config.enabled, ..Self::new() })
    }
}
