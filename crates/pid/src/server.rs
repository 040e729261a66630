//! The server's side: what is repeated is answered again, and run and paid once.

use crate::book::{Book, Bounds, Looked};
use crate::purchase::{Id, Key, Purchase, id};
use crate::{PAYMENT_IDENTIFIER, declaration};
use async_trait::async_trait;
use serde::Deserialize;
use serde_json::{Value, json};
use std::fmt;
use std::sync::Arc;
use tollway_core::{
    Binding, Build, BuildContext, Clock, Declaring, Gate, Paid, Reply, Result, ServerExtension, SettleResponse,
};

/// The section of the extension, for the whole server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
#[non_exhaustive]
pub struct PaymentIdentifierConfig {
    /// Seconds an answer is kept; a day if left out. Longer than any authorization lives.
    pub keep_seconds: u64,
    /// Most bytes of one answer that is kept.
    pub max_answer: usize,
    /// Most bytes of all answers together.
    pub max_bytes: usize,
    /// Most ids known at a time.
    pub max_entries: usize,
    /// Most bytes of a request's body. Bodies are part of what is bought, so they are read before anything else.
    pub max_body: usize,
}

impl Default for PaymentIdentifierConfig {
    fn default() -> Self {
        Self {
            keep_seconds: 24 * 3600,
            max_answer: 1024 * 1024,
            max_bytes: 64 * 1024 * 1024,
            max_entries: 100_000,
            max_body: 1024 * 1024,
        }
    }
}

/// The section of a route.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RouteSection {
    required: bool,
}

/// The extension for a server. Routes share what it keeps, and nobody else does.
#[derive(Clone)]
pub struct PaymentIdentifier {
    config: PaymentIdentifierConfig,
    clock: Arc<dyn Clock>,
    book: Arc<Book>,
    required: bool,
}

impl fmt::Debug for PaymentIdentifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PaymentIdentifier").field("config", &self.config).finish_non_exhaustive()
    }
}

impl PaymentIdentifier {
    /// The extension, with nothing kept yet.
    pub fn new(config: PaymentIdentifierConfig, clock: Arc<dyn Clock>) -> Self {
        let PaymentIdentifierConfig { keep_seconds: seconds, max_bytes: bytes, max_entries: entries, .. } = config;
        let book = Book::new(Bounds { bytes, entries, seconds });
        Self { config, clock, book, required: false }
    }

    /// The place of a payment in the book, if it has an id.
    fn place(paid: &Paid<'_>) -> Option<(Key, Purchase)> {
        match id(paid) {
            Id::Some(id) => Some((Key::new(paid, id), Purchase::new(paid))),
            _ => None,
        }
    }
}

fn refuse(status: u16, why: &str) -> Gate {
    Gate::Answer(Reply::json(status, json!({ "error": why }).to_string()).attach("cache-control", "no-store"))
}

#[async_trait]
impl ServerExtension for PaymentIdentifier {
    fn key(&self) -> &'static str {
        PAYMENT_IDENTIFIER
    }

    fn declare(&self, _: &Declaring<'_>) -> Option<Value> {
        Some(declaration(self.required))
    }

    async fn bind(&self, route: &Binding<'_>) -> Result<Option<Arc<dyn ServerExtension>>, String> {
        let section: RouteSection = serde_json::from_value(route.section.clone())
            .map_err(|why| format!("{PAYMENT_IDENTIFIER}: {why}; write {{ \"required\": true }}"))?;
        Ok(Some(Arc::new(Self { required: section.required, ..self.clone() })))
    }

    fn reads_body(&self) -> Option<usize> {
        Some(self.config.max_body)
    }

    fn keeps_answers(&self) -> Option<usize> {
        Some(self.config.max_answer)
    }

    async fn before_payment(&self, paid: &Paid<'_>, _: &Value) -> Result<Gate> {
        let id = match id(paid) {
            Id::Some(id) => id,
            Id::None if self.required => {
                return Ok(refuse(400, "this route wants a payment-identifier: set info.id of that extension"));
            }
            Id::None => return Ok(Gate::Pass),
            Id::Malformed => {
                return Ok(refuse(400, "the payment-identifier must be 16 to 128 letters, digits, `_` and `-`"));
            }
        };
        let place = Key::new(paid, id);
        Ok(match self.book.look(place, Purchase::new(paid), self.clock.now()) {
            Looked::Run(running) => Gate::Hold(Box::new(running)),
            Looked::Answer(replay) => Gate::Replay(replay),
            Looked::OtherRequest => refuse(409, "this payment-identifier was used for another request"),
            Looked::OtherPayment => {
                refuse(409, "a payment under this payment-identifier may have been settled; present that payment again")
            }
            Looked::Busy => match refuse(409, "the first request under this payment-identifier is still running") {
                Gate::Answer(reply) => Gate::Answer(reply.attach("retry-after", "1")),
                other => other,
            },
            Looked::Full => refuse(503, "too many requests with a payment-identifier are running; try again"),
        })
    }

    async fn settling(&self, paid: &Paid<'_>, _: &Value) {
        if let Some((key, purchase)) = Self::place(paid) {
            self.book.sent(&key, &purchase.payment, true);
        }
    }

    async fn unsettled(&self, paid: &Paid<'_>, _: &Value) {
        if let Some((key, purchase)) = Self::place(paid) {
            self.book.sent(&key, &purchase.payment, false);
        }
    }

    async fn answered(&self, paid: &Paid<'_>, _: &Value, receipt: &SettleResponse, answer: &Reply) {
        if let Some((key, purchase)) = Self::place(paid) {
            self.book.answered(&key, &purchase.payment, answer, receipt, self.clock.now());
        }
    }
}

impl Build for PaymentIdentifier {
    type Config = PaymentIdentifierConfig;
    const EXAMPLE: &'static str = r#"{ "keepSeconds": 86400, "maxAnswer": 1048576, "maxBytes": 67108864, "maxEntries": 100000, "maxBody": 1048576 }"#;

    async fn build(config: PaymentIdentifierConfig, cx: BuildContext) -> Result<Self, String> {
        Ok(Self::new(config, cx.clock))
    }
}
