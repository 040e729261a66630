//! [`Route`] and [`Way`]: what is sold, and the ways to pay for it, as values or as functions of the request.

use std::fmt;
use std::future::Future;
use std::num::NonZeroU64;
use std::pin::Pin;
use std::sync::Arc;
use tollway_core::{Flow, Object, Price, PriceError, Request, RouteConfig, WayConfig};

type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;
type PerRequest<T> = Arc<dyn Fn(Arc<dyn Request>) -> BoxFuture<Result<T, String>> + Send + Sync>;

/// A value, or a function that finds it for each request.
#[derive(Clone)]
pub(super) enum Source<T> {
    Value(T),
    PerRequest(PerRequest<T>),
}

impl<T: Clone> Source<T> {
    fn function<F, Fut, E>(function: F) -> Self
    where
        F: Fn(Arc<dyn Request>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<T, E>> + Send + 'static,
        E: fmt::Display,
    {
        Self::PerRequest(Arc::new(move |request| {
            let future = function(request);
            Box::pin(async move { future.await.map_err(|why| why.to_string()) })
        }))
    }

    /// The value, if it does not depend on the request.
    pub(super) fn value(&self) -> Option<&T> {
        match self {
            Self::Value(value) => Some(value),
            Self::PerRequest(_) => None,
        }
    }

    pub(super) async fn get(&self, request: &Option<Arc<dyn Request>>) -> Result<T, String> {
        match (self, request) {
            (Self::Value(value), _) => Ok(value.clone()),
            (Self::PerRequest(function), Some(request)) => function(request.clone()).await,
            (Self::PerRequest(_), None) => Err("a price per request was asked for without a request".to_owned()),
        }
    }
}

/// One way to pay: a scheme on a network, a price, a recipient.
///
/// ```
/// use tollway_core::Price;
/// use tollway_roles::Way;
///
/// let fixed = Way::exact("eip155:8453", "$0.01", "0x209693Bc6afc0C5328bA36FaF03C514EF312287C");
/// let metered = Way::exact("eip155:8453", "$0.01", "0x209693Bc6afc0C5328bA36FaF03C514EF312287C").price_with(
///     |request| async move {
///         let pages: u64 = request.argument("pages").map_or(Ok(1), |text| text.parse())?;
///         Ok::<Price, Box<dyn std::error::Error + Send + Sync>>(format!("$0.{:02}", pages.min(99)).parse()?)
///     },
/// );
/// ```
#[derive(Clone)]
pub struct Way {
    pub(super) scheme: String,
    pub(super) network: String,
    pub(super) price: Source<Result<Price, PriceError>>,
    pub(super) pay_to: Source<String>,
    pub(super) max_timeout_seconds: Option<NonZeroU64>,
    pub(super) flow: Option<Flow>,
    pub(super) extra: Option<Object>,
}

impl fmt::Debug for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Way").field("scheme", &self.scheme).field("network", &self.network).finish_non_exhaustive()
    }
}

impl Way {
    /// A way to pay by any scheme. Mistakes in the texts come out when the server is built.
    pub fn new(scheme: impl Into<String>, network: impl Into<String>, price: &str, pay_to: impl Into<String>) -> Self {
        Self {
            scheme: scheme.into(),
            network: network.into(),
            price: Source::Value(price.parse()),
            pay_to: Source::Value(pay_to.into()),
            max_timeout_seconds: None,
            flow: None,
            extra: None,
        }
    }

    /// A way to pay by the scheme `exact`: this price, neither more nor less.
    pub fn exact(network: impl Into<String>, price: &str, pay_to: impl Into<String>) -> Self {
        Self::new("exact", network, price, pay_to)
    }

    /// Sets a price that is more than a text: atomic units of an asset of your own.
    pub fn price(mut self, price: Price) -> Self {
        self.price = Source::Value(Ok(price));
        self
    }

    /// Prices each request. Called for the challenge and again for the paid request: the same request must get the
    /// same price, or the payment no longer matches.
    pub fn price_with<F, Fut, E>(mut self, price: F) -> Self
    where
        F: Fn(Arc<dyn Request>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Price, E>> + Send + 'static,
        E: fmt::Display,
    {
        self.price = Source::function(move |request| {
            let future = price(request);
            async move { future.await.map(Ok).map_err(|why| why.to_string()) }
        });
        self
    }

    /// Finds the recipient for each request, with the same care as [`price_with`](Self::price_with).
    pub fn pay_to_with<F, Fut, E>(mut self, pay_to: F) -> Self
    where
        F: Fn(Arc<dyn Request>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<String, E>> + Send + 'static,
        E: fmt::Display,
    {
        self.pay_to = Source::function(pay_to);
        self
    }

    /// Sets how long an authorization may stay valid, in seconds; 300 if left out.
    pub fn max_timeout_seconds(mut self, seconds: NonZeroU64) -> Self {
        self.max_timeout_seconds = Some(seconds);
        self
    }

    /// Settles before the handler runs. For handlers that stream, or run longer than a payment stays good.
    pub fn upfront(mut self) -> Self {
        self.flow = Some(Flow::Upfront);
        self
    }

    /// Adds a member to the offer's `extra`. `paymentFlow` belongs to the engine.
    pub fn extra(mut self, key: &str, value: impl Into<serde_json::Value>) -> Self {
        self.extra.get_or_insert_default().insert(key.to_owned(), value.into());
        self
    }
}

impl From<WayConfig> for Way {
    fn from(config: WayConfig) -> Self {
        Self {
            scheme: config.scheme,
            network: config.network.to_string(),
            price: Source::Value(Ok(config.price)),
            pay_to: Source::Value(config.pay_to),
            max_timeout_seconds: config.max_timeout_seconds,
            flow: config.flow,
            extra: config.extra,
        }
    }
}

/// What is sold: requests that match a pattern, for any of the ways to pay.
#[derive(Debug, Clone)]
pub struct Route {
    pub(super) config: RouteConfig,
    pub(super) ways: Vec<Way>,
}

impl Route {
    /// A route for a pattern such as `GET /report`, `/files/*` or `POST /users/:id`.
    pub fn new(pattern: impl Into<String>) -> Self {
        Self { config: RouteConfig::new(pattern), ways: Vec::new() }
    }

    /// Adds a way to pay. Clients choose; the first is preferred.
    pub fn accepts(mut self, way: Way) -> Self {
        self.ways.push(way);
        self
    }

    /// Says in one line what is sold.
    pub fn description(mut self, text: impl Into<String>) -> Self {
        self.config.description = text.into();
        self
    }

    /// Says what media type the answer has.
    pub fn mime_type(mut self, text: impl Into<String>) -> Self {
        self.config.mime_type = text.into();
        self
    }

    /// Names the service, in 1 to 32 printable ASCII characters.
    pub fn service_name(mut self, name: impl Into<String>) -> Self {
        self.config.service_name = Some(name.into());
        self
    }

    /// Tags it for catalogues: at most five, of 1 to 32 printable ASCII characters.
    pub fn tags<T: Into<String>>(mut self, tags: impl IntoIterator<Item = T>) -> Self {
        self.config.tags = Some(tags.into_iter().map(Into::into).collect());
        self
    }

    /// The absolute http(s) URL of an icon.
    pub fn icon_url(mut self, url: impl Into<String>) -> Self {
        self.config.icon_url = Some(url.into());
        self
    }

    /// Configures a server extension for this route, by the route key it owns.
    pub fn extension(mut self, route_key: &str, section: serde_json::Value) -> Self {
        self.config.extensions.insert(route_key.to_owned(), section);
        self
    }
}

impl From<RouteConfig> for Route {
    fn from(mut config: RouteConfig) -> Self {
        let ways = std::mem::take(&mut config.accepts).into_iter().map(Way::from).collect();
        Self { config, ways }
    }
}
