//! Extensions: what rides along with a payment (specification v2, "Extension envelope"). One trait per side.

use crate::{
    AccountId, BuildContext, EchoRules, Network, PaymentPayload, PaymentRequired, PaymentRequirements, Reply, Request,
    ResourceInfo, Result, SettleResponse, Settled,
};
use async_trait::async_trait;
use serde_json::Value;
use std::any::Any;
use std::fmt;
use std::sync::Arc;

/// What a server extension decides about a request.
#[derive(Debug)]
#[non_exhaustive]
pub enum Gate {
    /// Nothing to say: go on.
    Pass,
    /// Serve it without payment. The grant comes back in [`ServerExtension::finished`].
    Grant(Grant),
    /// Answer it with this instead.
    Answer(Reply),
    /// Go on with the payment, and keep this until the request has ended, however it ends.
    Hold(Box<dyn Any + Send + Sync>),
    /// Answer the payment as it was answered before. Nothing is claimed and nothing settles.
    Replay(Box<Replay>),
}

/// A paid answer that is given again.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Replay {
    /// The answer.
    pub reply: Reply,
    /// Its receipt.
    pub receipt: SettleResponse,
    /// Whether this is the very payment that was settled. Any other is verified by the facilitator first, since its
    /// payer is not proven.
    pub proven: bool,
}

impl Replay {
    /// An answer with its receipt, for a payment that has to be verified.
    pub fn new(reply: Reply, receipt: SettleResponse) -> Self {
        Self { reply, receipt, proven: false }
    }

    /// Says whether this is the very payment that was settled.
    pub fn proven(mut self, proven: bool) -> Self {
        self.proven = proven;
        self
    }
}

/// A request that is served without payment.
#[derive(Default)]
#[non_exhaustive]
pub struct Grant {
    /// For whom, where that is known. Handlers may ask.
    pub account: Option<AccountId>,
    /// Headers to add to the answer.
    pub attach: Vec<(String, String)>,
    /// What the extension wants to see again when the request has ended, such as what it took for it. Without any it is
    /// not told how the request ended.
    pub state: Option<Box<dyn Any + Send + Sync>>,
}

impl fmt::Debug for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the headers: one may be a secret of the client's.
        f.debug_struct("Grant").field("account", &self.account).finish_non_exhaustive()
    }
}

/// A request at the door of a route.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct Asking<'a> {
    /// The request.
    pub request: &'a dyn Request,
    /// The route's configuration for this extension.
    pub route: &'a Value,
    /// What the request costs.
    pub offers: &'a dyn Offers,
}

impl<'a> Asking<'a> {
    /// The view of one request.
    pub fn new(request: &'a dyn Request, route: &'a Value, offers: &'a dyn Offers) -> Self {
        Self { request, route, offers }
    }
}

impl fmt::Debug for Asking<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Asking").field("request", &self.request).finish_non_exhaustive()
    }
}

/// Finds out what a request costs, for extensions that let it be paid for otherwise.
#[async_trait]
pub trait Offers: Send + Sync {
    /// The offers a challenge for this request would make.
    ///
    /// # Errors
    /// The request cannot be priced, or no facilitator can be reached.
    async fn offers(&self) -> Result<Vec<PaymentRequirements>>;
}

/// One route that configures an extension, while the server is built.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct Binding<'a> {
    /// What parts are made with: the clock, secrets, networks.
    pub cx: &'a BuildContext,
    /// The server's origin, such as `https://api.example.com`.
    pub origin: &'a str,
    /// The route's pattern.
    pub pattern: &'a str,
    /// The networks it can be paid on; none where an extension alone opens it.
    pub networks: &'a [Arc<dyn Network>],
    /// The route's configuration for this extension.
    pub section: &'a Value,
    /// Every route of the server that configures this extension: pattern and section, this one among them.
    pub routes: &'a [(String, Value)],
}

impl<'a> Binding<'a> {
    /// The view of one route.
    pub fn new(
        cx: &'a BuildContext,
        origin: &'a str,
        pattern: &'a str,
        networks: &'a [Arc<dyn Network>],
        section: &'a Value,
        routes: &'a [(String, Value)],
    ) -> Self {
        Self { cx, origin, pattern, networks, section, routes }
    }
}

impl fmt::Debug for Binding<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Binding").field("pattern", &self.pattern).finish_non_exhaustive()
    }
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

    /// Looks at a route that configures this extension, while the server is built, and may make a part for that route
    /// alone: what a section means is then found out once and not for every request.
    ///
    /// # Errors
    /// What is wrong with the route's section and what to write instead.
    async fn bind(&self, route: &Binding<'_>) -> Result<Option<Arc<dyn ServerExtension>>, String> {
        let _ = route;
        Ok(None)
    }

    /// Looks at a request before anything else: a session may open the resource.
    ///
    /// # Errors
    /// Nobody could decide. The request can still be paid for.
    async fn gate(&self, asking: &Asking<'_>) -> Result<Gate> {
        let _ = asking;
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

    /// Most bytes of a request's body to be read before this extension is asked; `None` if it does not look at bodies.
    fn reads_body(&self) -> Option<usize> {
        None
    }

    /// Most bytes of an answer this extension wants to see in [`answered`](Self::answered); `None` if it wants none.
    fn keeps_answers(&self) -> Option<usize> {
        None
    }

    /// A payment is about to be settled: from now on the money may have moved, whatever becomes of this request.
    async fn settling(&self, paid: &Paid<'_>, route: &Value) {
        let _ = (paid, route);
    }

    /// A payment was not settled after all, for certain.
    async fn unsettled(&self, paid: &Paid<'_>, route: &Value) {
        let _ = (paid, route);
    }

    /// A payment was settled and this is the whole answer to it, where it is short enough
    /// ([`keeps_answers`](Self::keeps_answers)). Called even if the client has left.
    async fn answered(&self, paid: &Paid<'_>, route: &Value, receipt: &SettleResponse, answer: &Reply) {
        let _ = (paid, route, receipt, answer);
    }

    /// A granted request ended whose grant has a `state`; `served` says whether the handler answered below 400. Give back
    /// what a gate took. The grant's headers are gone.
    async fn finished(&self, grant: Grant, served: bool) {
        let _ = (grant, served);
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

    /// Sees the answer to a request that was paid, or that carried something of an extension.
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

/// A payment a facilitator has said yes to.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Observed<'a> {
    /// How far it has come.
    pub stage: Stage,
    /// The payment as it came. What its `resource` and `extensions` say is the payer's word and nobody else's.
    pub raw: &'a PaymentPayload,
    /// The offer it was checked against.
    pub offer: &'a PaymentRequirements,
    /// Address of the payer, where it is known.
    pub payer: Option<&'a str>,
}

impl<'a> Observed<'a> {
    /// The view of one payment.
    pub fn new(stage: Stage, raw: &'a PaymentPayload, offer: &'a PaymentRequirements, payer: Option<&'a str>) -> Self {
        Self { stage, raw, offer, payer }
    }
}

/// The facilitator's side of an extension.
#[async_trait]
pub trait FacilitatorExtension: Send + Sync {
    /// The key under `extensions`, listed in `/supported`.
    fn key(&self) -> &'static str;

    /// Sees a payment and may say something to the resource server (`EXTENSION-RESPONSES`). It is on the payment's way:
    /// whatever takes time belongs into a task. A panic, or a second without an answer, is as if it had said nothing.
    async fn observe(&self, seen: &Observed<'_>) -> Option<Value> {
        let _ = seen;
        None
    }

    /// Answers a GET under the facilitator's own paths, such as `/discovery/resources`.
    async fn get(&self, path: &str, query: &[(String, String)]) -> Option<Reply> {
        let _ = (path, query);
        None
    }
}
