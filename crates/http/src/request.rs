//! [`HttpRequest`]: what the engine and extensions see of an HTTP request, borrowed from it.

use crate::header::{self, PAYMENT_SIGNATURE};
use axum::body::Bytes;
use axum::extract::{ConnectInfo, OriginalUri};
use http::request::Parts;
use std::any::Any;
use std::borrow::{Borrow, Cow};
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use tollway_core::{PaymentPayload, Request, Transport};
use url::form_urlencoded;

/// The head of a request, and its body where the layer was told to read it. [`Request::inner`] is the
/// [`http::request::Parts`].
///
/// Neither `Host` nor any `X-Forwarded-*` is ever looked at: whoever sends a request chooses them.
pub struct HttpRequest<P = Parts> {
    parts: P,
    /// Answers a HEAD by the rules for GET.
    head_as_get: bool,
    body: Option<Bytes>,
    peer: OnceLock<Option<String>>,
}

impl<P: Borrow<Parts>> HttpRequest<P> {
    /// A view of a request's head.
    pub fn new(parts: P) -> Self {
        Self { parts, head_as_get: false, body: None, peer: OnceLock::new() }
    }

    /// Adds the body.
    pub fn with_body(mut self, body: Option<Bytes>) -> Self {
        self.body = body;
        self
    }

    pub(crate) fn head_as_get(mut self, yes: bool) -> Self {
        self.head_as_get = yes;
        self
    }

    fn parts(&self) -> &Parts {
        self.parts.borrow()
    }
}

impl<P: Borrow<Parts>> fmt::Debug for HttpRequest<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the query and not the headers: either may hold secrets.
        let Parts { method, uri, .. } = self.parts();
        f.debug_struct("HttpRequest").field("method", method).field("path", &uri.path()).finish_non_exhaustive()
    }
}

impl<P: Borrow<Parts> + Send + Sync> Request for HttpRequest<P> {
    fn transport(&self) -> Transport {
        Transport::Http
    }

    fn method(&self) -> &str {
        if self.head_as_get { "GET" } else { self.parts().method.as_str() }
    }

    fn target(&self) -> &str {
        // Inside a nested router the path is cut; this is what the peer sent.
        let Parts { uri, extensions, .. } = self.parts();
        extensions.get::<OriginalUri>().map_or_else(|| uri.path(), |original| original.path())
    }

    /// axum matches the path as it came, undecoded; it differs from the target inside a nested router and behind a
    /// layer that rewrites paths.
    fn routed_target(&self) -> &str {
        self.parts().uri.path()
    }

    fn query(&self) -> &str {
        self.parts().uri.query().unwrap_or_default()
    }

    fn resource(&self, origin: &str) -> String {
        match self.query() {
            "" => format!("{origin}{}", self.target()),
            query => format!("{origin}{}?{query}", self.target()),
        }
    }

    fn argument(&self, name: &str) -> Option<Cow<'_, str>> {
        form_urlencoded::parse(self.query().as_bytes()).find(|(key, _)| key == name).map(|(_, value)| value)
    }

    fn credential(&self, name: &str) -> Option<Cow<'_, str>> {
        self.parts().headers.get(name)?.to_str().ok().map(Cow::Borrowed)
    }

    fn payment(&self) -> Option<PaymentPayload> {
        match header::find(&self.parts().headers, PAYMENT_SIGNATURE)? {
            Ok(payment) => Some(payment),
            Err(why) => {
                // Not the header: it may hold a signature that is good for money.
                tracing::debug!(%why, "a payment header could not be read; the request counts as unpaid");
                None
            }
        }
    }

    fn body(&self) -> Option<&[u8]> {
        self.body.as_deref()
    }

    fn peer(&self) -> Option<&str> {
        let find = || self.parts().extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip().to_string());
        self.peer.get_or_init(find).as_deref()
    }

    fn inner(&self) -> &dyn Any {
        self.parts()
    }

    fn to_shared(&self) -> Arc<dyn Request> {
        let owned = HttpRequest::new(self.parts().clone()).with_body(self.body.clone());
        Arc::new(owned.head_as_get(self.head_as_get))
    }
}
