#![doc = include_str!("../README.md")]

mod cache;
pub mod client;
pub mod facilitator;
pub mod header;
pub mod layer;
mod paywall;
pub mod remote;
mod request;
mod serve;
mod status;

pub use client::{
    Client, PaidButLost, PaymentError, PaymentMiddleware, Receipt, Represent, client, client_with, plain_client,
    present,
};
pub use facilitator::{FacilitatorRouter, facilitator_router};
pub use header::{ALLOW_HEADERS, EXPOSE_HEADERS, HeaderError};
pub use layer::{Paid, PaymentLayer, Session};
pub use paywall::escape_html;
pub use remote::{AuthHeaders, Operation, RemoteFacilitator, RemoteFacilitatorBuilder};
pub use request::HttpRequest;
pub use serve::Serve;

/// Installs ring as the process's provider of cryptography for TLS, unless there is one already.
///
/// reqwest is built without a provider of its own and panics where none is installed. [`client()`], [`client_with`] and
/// [`RemoteFacilitator`] call this; a program that builds a `reqwest::Client` itself calls it first.
pub fn install_crypto() {
    // An error says that somebody else installed one, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
}
