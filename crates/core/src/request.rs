//! [`Request`] and [`Reply`]: what engines and extensions see of a transport.

use crate::PaymentPayload;
use std::any::Any;
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

/// A kind of transport.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Transport {
    /// HTTP.
    Http,
    /// The Model Context Protocol.
    Mcp,
}

/// A request as its transport has it, borrowed: looking at an unpaid request allocates nothing.
pub trait Request: Send + Sync {
    /// Which transport.
    fn transport(&self) -> Transport;

    /// The verb, upper case; empty on transports without.
    fn method(&self) -> &str;

    /// The path as the peer sent it, without the query, or the tool's name.
    fn target(&self) -> &str;

    /// The path as the transport's own router reads it, where that may differ from [`target`](Self::target). Routes
    /// are matched against both, so that no spelling reaches a handler unpaid.
    fn routed_target(&self) -> &str {
        self.target()
    }

    /// The query, without the question mark; empty if there is none.
    fn query(&self) -> &str {
        ""
    }

    /// Absolute name of the resource. `origin` is the server's configured origin, such as `https://api.example.com`;
    /// it never comes from the request.
    fn resource(&self, origin: &str) -> String;

    /// A value of the query, or an argument of the tool call, decoded.
    fn argument(&self, name: &str) -> Option<Cow<'_, str>>;

    /// A credential: the header of that name, or `_meta["x402/<name>"]`. `None` also where it is not text.
    fn credential(&self, name: &str) -> Option<Cow<'_, str>>;

    /// The payment the request carries, decoded. `None` if there is none, and also if what there is cannot be decoded:
    /// both are answered with a challenge.
    fn payment(&self) -> Option<PaymentPayload>;

    /// The body, where the route asked for it to be read.
    fn body(&self) -> Option<&[u8]> {
        None
    }

    /// Address of the peer, as the transport saw it.
    fn peer(&self) -> Option<&str> {
        None
    }

    /// The transport's own request, for extensions that know the transport.
    fn inner(&self) -> &dyn Any;

    /// An owned copy for functions that price a request: they run across awaits, which a borrow cannot.
    fn to_shared(&self) -> Arc<dyn Request>;
}

impl fmt::Debug for dyn Request + '_ {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the query and not the credentials: either may hold secrets.
        write!(f, "{} {}", self.method(), self.target())
    }
}

/// An answer that does not come from the handler. Transports translate it: a status, headers (or `_meta`), a body.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Reply {
    /// HTTP status; other transports map it.
    pub status: u16,
    /// Headers to set, in order.
    pub attach: Vec<(String, String)>,
    /// Media type of the body.
    pub content_type: String,
    /// The body.
    pub body: Vec<u8>,
}

impl Reply {
    /// A JSON answer.
    pub fn json(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, attach: Vec::new(), content_type: "application/json".to_owned(), body: body.into() }
    }

    /// Adds a header.
    pub fn attach(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.attach.push((name.into(), value.into()));
        self
    }
}
