//! Extensions: what rides along with a payment (specification v2, "Extension envelope"). One trait per side.

use crate::{
    EchoRules, PaymentPayload, PaymentRequired, PaymentRequirements, Reply, Request, ResourceInfo, Result,
    SettleResponse, Settled,
};
use async_trait::async_trait;
use serde_json::Value;

/// What a server extension decides about a request.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Gate {
    /// Nothing to say: go on.
    Pass,
    /// Serve it without payment. The token comes back in [`ServerExtension::finished`].
    Grant(u64),
    /// Answer it with this instead.
    Answer(Reply),
}

/// What a declaration is made from.
#[derive(Debug)]
#[non_exhaustive]
pub struct Declaring<'a> {
    /// What is sold.
    pub resource: &'a ResourceInfo,
    /// The offers of this challenge.
    pub accepts: &'a [PaymentRequirements],
    /// The route's configuration for this extension.
    pub route: &'a Value,
    /// The route's pattern.
    pub pattern: &'a str,
}

impl<'a> Declaring<'a> {
    /// The view of one challenge.
    pub fn new(
        resource: &'a ResourceInfo,
        accepts: &'a [PaymentRequirements],
        route: &'a Value,
        pattern: &'a str,
    ) -> Self {
        Self { resource, accepts, route, pattern }
    }
}

/// A payment under way, as extensions and hooks see it.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Paid<'a> {
    /// The request.
    pub request: &'a dyn Request,
    /// The pattern of the server's own route. Record this and never what the payload says it bought.
    pub pattern: &'a str,
    /// The server's own offer.
    pub offer: &'a PaymentRequirements,
    /// The payment as it came.
    pub raw: &'a PaymentPayload,
    /// Who pays.
    pub payer: &'a crate::AccountId,
}

impl<'a> Paid<'a> {
    /// The view of one payment.
    pub fn new(
        request: &'a dyn Request,
        pattern: &'a str,
        offer: &'a PaymentRequirements,
        raw: &'a PaymentPayload,
        payer: &'a crate::AccountId,
    ) -> Self {
        Self { request, pattern, offer, raw, payer }
    }
}

/// The resource server's side of an extension. Called only on routes that configure it.
#[async_trait]
pub trait ServerExtension: Send + Sync {
    /// The key under `extensions`.
    fn key(&self) -> &'static str;

    /// How clients must echo the declaration.
    fn echo(&self) -> EchoRules {
        EchoRules::PLAIN
    }

    /// Whether declarations differ from challenge to challenge, so that a rendered one cannot be reused.
    fn dynamic(&self) -> bool {
        false
    }

    /// The declaration for a challenge.
    fn declare(&self, cx: &Declaring<'_>) -> Option<Value> {
        let _ = cx;
        None
    }

    /// Looks at a request before anything else: a session may open the resource.
    ///
    /// # Errors
    /// Nobody could decide; the request is answered with an error.
    async fn gate(&self, request: &dyn Request, route: &Value) -> Result<Gate> {
        let _ = (request, route);
        Ok(Gate::Pass)
    }

    /// Looks at a payment before it is claimed: it may have been answered already.
    ///
    /// # Errors
    /// The refusal, or that nobody could decide.
    async fn before_payment(&self, paid: &Paid<'_>, route: &Value) -> Result<Gate> {
        let _ = (paid, route);
        Ok(Gate::Pass)
    }

    /// Records a settled payment and may add to the receipt's `extensions` and to the reply's headers.
    ///
    /// # Errors
    /// Logged; the payment stays settled and the resource is released.
    async fn settled(
        &self,
        paid: &Paid<'_>,
        route: &Value,
        receipt: &Settled,
        reply: &mut Reply,
    ) -> Result<Option<Value>> {
        let _ = (paid, route, receipt, reply);
        Ok(None)
    }

    /// A granted request ended; `served` says whether the handler answered below 400. Give back what a gate took.
    async fn finished(&self, token: u64, served: bool) {
        let _ = (token, served);
    }
}

/// The client's side of an extension.
#[async_trait]
pub trait ClientExtension: Send + Sync {
    /// The key under `extensions`.
    fn key(&self) -> &'static str;

    /// What [`enrich`](Self::enrich) may do to the declaration: the rules of the server's side.
    fn echo(&self) -> EchoRules {
        EchoRules::PLAIN
    }

    /// Headers to send with a first request, such as a session token for this origin.
    async fn prepare(&self, origin: &str, target: &str) -> Vec<(String, String)> {
        let _ = (origin, target);
        Vec::new()
    }

    /// Headers that may open the resource without payment. The request is repeated once with them.
    ///
    /// # Errors
    /// The client goes on to pay.
    async fn answer(&self, required: &PaymentRequired, origin: &str) -> Result<Vec<(String, String)>> {
        let _ = (required, origin);
        Ok(Vec::new())
    }

    /// Adds to a signed payment. What the server declared must stay, as far as [`echo`](Self::echo) says.
    ///
    /// # Errors
    /// The payment is not sent.
    async fn enrich(&self, required: &PaymentRequired, payment: &mut PaymentPayload) -> Result<()> {
        let _ = (required, payment);
        Ok(())
    }

    /// Sees the answer to a paid or opened request.
    async fn answered(&self, origin: &str, receipt: Option<&SettleResponse>, headers: &[(String, String)]) {
        let _ = (origin, receipt, headers);
    }
}

/// When a facilitator extension is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stage {
    /// After a payment was found valid.
    Verified,
    /// After it was settled.
    Settled,
}

/// The facilitator's side of an extension.
#[async_trait]
pub trait FacilitatorExtension: Send + Sync {
    /// The key under `extensions`, listed in `/supported`.
    fn key(&self) -> &'static str;

    /// Sees a payment and may say something to the resource server (`EXTENSION-RESPONSES`).
    async fn observe(&self, stage: Stage, raw: &PaymentPayload, offer: &PaymentRequirements) -> Option<Value> {
        let _ = (stage, raw, offer);
        None
    }

    /// Answers a GET under the facilitator's own paths, such as `/discovery/resources`.
    async fn get(&self, path: &str, query: &[(String, String)]) -> Option<Reply> {
        let _ = (path, query);
        None
    }
}
