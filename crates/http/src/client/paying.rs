//! The paid part of a request: the header, the answer, the receipt.

use super::{PaymentError, Receipt, Represent};
use crate::header::{self, MAX_HEADER, PAYMENT_REQUIRED, PAYMENT_RESPONSE, PAYMENT_SIGNATURE};
use http::header::ACCESS_CONTROL_EXPOSE_HEADERS;
use http::{HeaderMap, HeaderValue};
use reqwest::{Request, Response, Url};
use std::time::Duration;
use tollway_core::{PaymentPayload, PaymentRequired, SettleResponse};
use tollway_roles::PaymentClient;

/// What deployed clients send with a payment, for servers that reflect it to browsers.
const EXPOSE: HeaderValue = HeaderValue::from_static("PAYMENT-RESPONSE,X-PAYMENT-RESPONSE");
/// Longest body of a challenge that is read to keep its connection; longer ones cost less to drop with it.
const DISPOSABLE: u64 = 16 * 1024;
/// Longest wait for such a body.
const DISPOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// One payer at one origin.
pub(super) struct Session<'a> {
    pub(super) payer: &'a PaymentClient,
    pub(super) origin: String,
}

impl Session<'_> {
    /// Tells hooks and extensions how a paid request was answered, and puts the receipt where callers find it.
    pub(super) async fn paid(self, mut response: Response, payment: PaymentPayload) -> Response {
        let receipt = header::find::<SettleResponse>(response.headers(), PAYMENT_RESPONSE);
        let receipt = receipt.and_then(|read| read.map_err(|why| warn("PAYMENT-RESPONSE", &why)).ok());
        let challenge = header::find::<PaymentRequired>(response.headers(), PAYMENT_REQUIRED);
        let challenge = challenge.and_then(|read| read.map_err(|why| warn("PAYMENT-REQUIRED", &why)).ok());
        let headers = texts(response.headers());
        if receipt.is_none() && challenge.is_none() && response.status().is_success() {
            self.payer.delivered(&payment).await;
        }
        self.payer.answered(&payment, &self.origin, receipt.as_ref(), challenge.as_ref(), &headers).await;
        let extensions = response.extensions_mut();
        if let Some(receipt) = receipt {
            extensions.insert(Receipt(receipt));
        }
        extensions.insert(Represent::new(payment, self.origin));
        response
    }
}

/// The headers that are text, for hooks and extensions.
pub(super) fn texts(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |value: &HeaderValue| value.to_str().ok().map(str::to_owned);
    headers.iter().filter_map(|(name, value)| Some((name.as_str().to_owned(), text(value)?))).collect()
}

/// An answer was paid for: a receipt that cannot be read must not cost the caller the answer.
fn warn(name: &str, why: &header::HeaderError) {
    tracing::warn!(name, %why, "a header of a paid answer could not be read");
}

/// Puts a payment on a request.
pub(super) fn carry(request: &mut Request, payment: &PaymentPayload) -> Result<(), reqwest_middleware::Error> {
    let value = header::value(payment).map_err(|why| PaymentError::BadPayment(why).into_middleware())?;
    if value.len() > MAX_HEADER {
        return Err(PaymentError::TooLong(value.len()).into_middleware());
    }
    let headers = request.headers_mut();
    headers.insert(PAYMENT_SIGNATURE, header::sensitive(value));
    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSE);
    Ok(())
}

/// Scheme, host and port.
pub(super) fn origin(url: &Url) -> String {
    url.origin().ascii_serialization()
}

/// Reads a short body to its end, so that the next request finds the connection open.
pub(super) async fn dispose(mut response: Response) {
    if response.content_length().is_some_and(|length| length <= DISPOSABLE) {
        let read = async { while let Ok(Some(_)) = response.chunk().await {} };
        // In vain is fine: the connection is closed then.
        let _ = tokio::time::timeout(DISPOSE_TIMEOUT, read).await;
    }
}
