//! [`PaymentLayer`]: protects an axum router (transport specification v2, "Response buffering").
//!
//! The layer goes around the routes it protects and inside everything that answers by itself, such as CORS. A request
//! that no rule covers passes untouched. One that is covered is admitted by the engine, run, held back until its
//! payment is settled, and released with the receipt.

mod extract;
mod future;
mod service;

pub use extract::{Paid, Session};
pub use future::PaymentFuture;
pub use service::PaymentService;

use std::fmt;
use std::sync::Arc;
use tollway_core::{PaymentRequired, SettleResponse};
use tollway_roles::ResourceServer;
use tower::Layer;

/// Most bytes of a handler's answer held back while its payment is settled, unless configured otherwise.
const HELD_BYTES: usize = 16 * 1024 * 1024;

type Page<T> = Arc<dyn Fn(&T) -> String + Send + Sync>;
type CustomBody<T> = Arc<dyn Fn(&T) -> (String, String) + Send + Sync>;

/// Bodies of one's own for answers that do not come from a handler.
#[derive(Clone, Default)]
pub(crate) struct Pages {
    pub(crate) paywall: Option<Page<PaymentRequired>>,
    pub(crate) unpaid: Option<CustomBody<PaymentRequired>>,
    pub(crate) failed: Option<CustomBody<SettleResponse>>,
}

#[derive(Clone)]
pub(crate) struct Config {
    pub(crate) pages: Pages,
    pub(crate) held_bytes: usize,
    pub(crate) read_bodies: Option<usize>,
}

/// A tower layer that sells what is behind it.
///
/// Rules for GET also cover HEAD, since axum answers HEAD by the GET handler. Inside a nested router, rules may be
/// written with the prefix or without.
///
/// The handler sees who paid through [`Paid`] and who came with a session through [`Session`], and never sees the
/// payment, the proof or the token itself: their headers are taken out of requests that were paid or opened, so that a
/// handler that passes requests on cannot give away what is still good for money or access.
#[derive(Clone)]
pub struct PaymentLayer {
    server: ResourceServer,
    config: Arc<Config>,
}

impl fmt::Debug for PaymentLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PaymentLayer").field("server", &self.server).finish_non_exhaustive()
    }
}

impl PaymentLayer {
    /// A layer that asks `server` about every request.
    pub fn new(server: ResourceServer) -> Self {
        let config = Config { pages: Pages::default(), held_bytes: HELD_BYTES, read_bodies: None };
        Self { server, config: Arc::new(config) }
    }

    /// Most bytes of an answer held back while its payment is settled; 16 MiB if left out. A longer answer is thrown
    /// away, charged to nobody, and answered with 500: routes that send so much, or stream, are settled before they
    /// run (`Way::upfront`) and are not held back.
    pub fn max_held_bytes(mut self, bytes: usize) -> Self {
        self.config_mut().held_bytes = bytes;
        self
    }

    /// Reads bodies of covered requests, up to so many bytes, before the engine is asked, so that prices can depend on
    /// them. Longer ones are answered with 413, ones that take longer than 30 seconds with 408. Without
    /// this, bodies stream to the handler.
    pub fn read_bodies(mut self, limit: usize) -> Self {
        self.config_mut().read_bodies = Some(limit);
        self
    }

    /// Shows browsers this page instead of the default one. The page is HTML: put every text that comes from the
    /// challenge through [`escape_html`](crate::escape_html).
    pub fn paywall(mut self, page: impl Fn(&PaymentRequired) -> String + Send + Sync + 'static) -> Self {
        self.config_mut().pages.paywall = Some(Arc::new(page));
        self
    }

    /// Answers unpaid requests with this media type and body instead of `{}` in JSON. Clients read the header.
    pub fn unpaid_body(mut self, body: impl Fn(&PaymentRequired) -> (String, String) + Send + Sync + 'static) -> Self {
        self.config_mut().pages.unpaid = Some(Arc::new(body));
        self
    }

    /// Answers requests whose payment did not settle with this media type and body instead of `{}` in JSON.
    pub fn settlement_failed_body(
        mut self,
        body: impl Fn(&SettleResponse) -> (String, String) + Send + Sync + 'static,
    ) -> Self {
        self.config_mut().pages.failed = Some(Arc::new(body));
        self
    }

    fn config_mut(&mut self) -> &mut Config {
        Arc::make_mut(&mut self.config)
    }
}

impl<S> Layer<S> for PaymentLayer {
    type Service = PaymentService<S>;

    fn layer(&self, inner: S) -> PaymentService<S> {
        PaymentService::new(inner, self.server.clone(), self.config.clone())
    }
}
