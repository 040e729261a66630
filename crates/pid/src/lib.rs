#![doc = include_str!("../README.md")]

mod book;
mod client;
mod purchase;
mod server;

pub use client::{PaymentIdentifierClient, PaymentIdentifierClientConfig, new_id};
pub use server::{PaymentIdentifier, PaymentIdentifierConfig};

use serde_json::{Value, json};
use tollway_core::Plugin;

/// The key of the extension on the wire, and in a route's configuration.
pub const PAYMENT_IDENTIFIER: &str = "payment-identifier";

/// Shortest id.
const MIN_ID: usize = 16;
/// Longest id.
const MAX_ID: usize = 128;

/// Whether a text is an id (`payment-identifier`, "id").
fn is_id(text: &str) -> bool {
    (MIN_ID..=MAX_ID).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

/// What a server declares.
fn declaration(required: bool) -> Value {
    json!({
        "info": { "required": required },
        "schema": {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "properties": {
                "required": { "type": "boolean" },
                "id": { "type": "string", "minLength": MIN_ID, "maxLength": MAX_ID, "pattern": "^[a-zA-Z0-9_-]+$" }
            },
            "required": ["required"]
        }
    })
}

/// The extension `payment-identifier` for servers and clients.
pub const PLUGIN: Plugin =
    Plugin::new("tollway-pid", "Requests that are repeated are answered again and paid once", |registrar| {
        registrar
            .server_extension::<PaymentIdentifier>(PAYMENT_IDENTIFIER, PAYMENT_IDENTIFIER)
            .client_extension::<PaymentIdentifierClient>(PAYMENT_IDENTIFIER);
    });

tollway_core::register!(PLUGIN);
