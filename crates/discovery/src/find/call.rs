//! Calling the best service: what was listed is a hint, what is paid is what the service itself asks, if that is no
//! more than was listed.

use super::{FindError, Finder, Input, Query, Service, for_services};
use crate::probe::check_url;
use reqwest::header::CONTENT_TYPE;
use reqwest::{Response, StatusCode};
use tollway_core::{PaymentRequired, PaymentRequirements};
use tollway_http::header::{PAYMENT_REQUIRED, decode};
use tollway_http::{Represent, client_with, present};
use tollway_roles::PaymentClient;

/// Most services tried before one could be paid.
const TRIED: usize = 5;

/// An answer, and who gave it.
#[derive(Debug)]
#[non_exhaustive]
pub struct Bought {
    /// The service that answered.
    pub service: Service,
    /// Its answer, whatever its status; the receipt is among its extensions.
    pub response: Response,
}

/// What came of trying one service.
enum Tried {
    Answered(Response),
    /// Nothing was paid.
    Passed(String),
}

impl Finder {
    /// Finds, chooses, calls and pays: the best service that still asks no more than it was listed with, with the
    /// example it declares. The payer's own limits hold as always.
    ///
    /// # Errors
    /// Nothing was found or nothing could be bought, with a reason for each; nothing was paid then. Or a payment was
    /// made and its answer lost.
    pub async fn call(&self, query: &Query, payer: &PaymentClient) -> Result<Bought, FindError> {
        self.call_with(query, None, payer).await
    }

    /// The same with an input of one's own.
    ///
    /// # Errors
    /// As [`call`](Self::call).
    pub async fn call_with(
        &self,
        query: &Query,
        input: Option<&Input>,
        payer: &PaymentClient,
    ) -> Result<Bought, FindError> {
        let mut passed = Vec::new();
        let routes = |service: &Service| service.tool.is_none();
        for service in self.find(query).await?.services.into_iter().filter(routes).take(TRIED) {
            let example = service.example();
            match self.try_one(&service, input.unwrap_or(&example), payer).await? {
                Tried::Answered(response) => return Ok(Bought { service, response }),
                Tried::Passed(why) => passed.push((service.resource, why)),
            }
        }
        Err(FindError::Nothing(passed))
    }

    async fn try_one(&self, service: &Service, input: &Input, payer: &PaymentClient) -> Result<Tried, FindError> {
        let passed = |why: String| Ok(Tried::Passed(why));
        let url = match service.url(input) {
            Ok(url) => url,
            Err(why) => return passed(why.to_string()),
        };
        if let Err(why) = check_url(&url, self.allow_loopback) {
            return passed(why);
        }
        let Ok(method) = service.method.parse::<reqwest::Method>() else {
            return passed("its verb is none".to_owned());
        };
        let client = client_with(payer.clone(), for_services(self.allow_loopback));
        let client = client.map_err(|why| FindError::Setting(why.to_string()))?;
        let plain = for_services(self.allow_loopback).redirect(reqwest::redirect::Policy::none()).build();
        let plain = plain.map_err(|why| FindError::Setting(format!("the HTTP client could not be made: {why}")))?;
        let mut request = plain.request(method.clone(), url.clone());
        if let Some(body) = &input.body {
            request = request.json(body);
        }
        let response = match request.send().await {
            Ok(response) => response,
            Err(why) => return passed(crate::text::one_line(&why.without_url().to_string(), 200)),
        };
        if response.status() != StatusCode::PAYMENT_REQUIRED {
            return match response.status() {
                status if status.is_success() => Ok(Tried::Answered(response)),
                status => passed(format!("it answers {status}")),
            };
        }
        let header = response.headers().get(PAYMENT_REQUIRED).map(|value| value.as_bytes());
        let mut required: PaymentRequired = match header.map(decode) {
            Some(Ok(required)) => required,
            _ => return passed("its 402 carries no challenge that can be read".to_owned()),
        };
        drop(response);
        required.accepts.retain(|offer| as_listed(offer, &service.accepts));
        if required.accepts.is_empty() {
            return passed("it asks for more than it is listed with, or for something else".to_owned());
        }
        let origin = url.origin().ascii_serialization();
        let payment = match payer.pay(&required, &origin).await {
            Ok(payment) => payment,
            Err(why) => return passed(why.to_string()),
        };
        let mut paid = client.request(method, url);
        if let Some(body) = &input.body {
            paid = paid.header(CONTENT_TYPE, "application/json").body(body.to_string());
        }
        let response = present(paid, Represent::new(payment, origin)).await.map_err(FindError::Paid)?;
        Ok(Tried::Answered(response))
    }
}

/// Whether an offer is one that was listed, at no higher price.
fn as_listed(offer: &PaymentRequirements, listed: &[PaymentRequirements]) -> bool {
    listed.iter().any(|known| {
        known.scheme == offer.scheme
            && known.network == offer.network
            && known.asset.eq_ignore_ascii_case(&offer.asset)
            && known.pay_to == offer.pay_to
            && offer.amount <= known.amount
    })
}
