//! [`FakeRequest`]: a request without a transport.

use std::any::Any;
use std::borrow::Cow;
use std::sync::Arc;
use tollway_core::{PaymentPayload, Request, Transport};

/// A request as engines see it: a verb, a target, a query, perhaps a payment, credentials and a body.
#[derive(Debug, Clone)]
pub struct FakeRequest {
    method: String,
    target: String,
    query: String,
    payment: Option<PaymentPayload>,
    credentials: Vec<(String, String)>,
    body: Option<Vec<u8>>,
    transport: Transport,
}

impl FakeRequest {
    /// A GET of a path, with its query after a question mark.
    pub fn get(target: &str) -> Self {
        let (target, query) = target.split_once('?').unwrap_or((target, ""));
        Self {
            method: "GET".to_owned(),
            target: target.to_owned(),
            query: query.to_owned(),
            payment: None,
            credentials: Vec::new(),
            body: None,
            transport: Transport::Http,
        }
    }

    /// The same with another verb.
    pub fn with_method(mut self, method: &str) -> Self {
        method.clone_into(&mut self.method);
        self
    }

    /// The same with a payment.
    pub fn paying(mut self, payment: &PaymentPayload) -> Self {
        self.payment = Some(payment.clone());
        self
    }

    /// The same with a credential.
    pub fn with_credential(mut self, name: &str, value: &str) -> Self {
        self.credentials.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The same with a body.
    pub fn with_body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Some(body.into());
        self
    }

    /// The same over another transport.
    pub fn over(mut self, transport: Transport) -> Self {
        self.transport = transport;
        self
    }
}

impl Request for FakeRequest {
    fn transport(&self) -> Transport {
        self.transport
    }

    fn method(&self) -> &str {
        &self.method
    }

    fn target(&self) -> &str {
        &self.target
    }

    fn query(&self) -> &str {
        &self.query
    }

    fn resource(&self, origin: &str) -> String {
        match self.query.as_str() {
            "" => format!("{origin}{}", self.target),
            query => format!("{origin}{}?{query}", self.target),
        }
    }

    fn argument(&self, name: &str) -> Option<Cow<'_, str>> {
        let mut pairs = self.query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.find(|(key, _)| *key == name).map(|(_, value)| Cow::Borrowed(value))
    }

    fn credential(&self, name: &str) -> Option<Cow<'_, str>> {
        let mut credentials = self.credentials.iter();
        credentials.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| Cow::Borrowed(value.as_str()))
    }

    fn payment(&self) -> Option<PaymentPayload> {
        self.payment.clone()
    }

    fn body(&self) -> Option<&[u8]> {
        self.body.as_deref()
    }

    fn inner(&self) -> &dyn Any {
        self
    }

    fn to_shared(&self) -> Arc<dyn Request> {
        Arc::new(self.clone())
    }
}
