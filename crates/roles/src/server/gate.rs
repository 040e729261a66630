//! What may open a route without payment: hooks and extensions.

use super::admit::resolve;
use super::admitted::Granted;
use super::challenge::samples;
use super::refusal::Refusal;
use super::{Protected, ResourceServer};
use async_trait::async_trait;
use tollway_core::{Asking, Fault, FaultKind, Gate, Offers, PaymentRequirements, Request, Result};

/// What one request would cost.
struct Priced<'a> {
    server: &'a ResourceServer,
    index: usize,
    request: &'a dyn Request,
}

#[async_trait]
impl Offers for Priced<'_> {
    async fn offers(&self) -> Result<Vec<PaymentRequirements>> {
        let refused = |why: Refusal| Fault::new(FaultKind::Unreachable, format!("no offer can be made: {why:?}"));
        let live = self.server.live().map_err(refused)?;
        let engine = &self.server.engine;
        let route = &engine.routes[self.index];
        let offers = resolve(engine, route, &live.routes[self.index], self.request).await.map_err(refused)?;
        Ok(samples(&offers))
    }
}

impl ResourceServer {
    /// Asks hooks and extensions, in this order, whether a request is served without payment.
    pub(super) async fn gates(&self, index: usize, request: &dyn Request) -> Result<Option<Granted>, Refusal> {
        let route = &self.engine.routes[index];
        for hook in &self.engine.hooks {
            match hook.protected(request, route.pattern.as_str()).await {
                Protected::Continue => {}
                Protected::Grant => return Ok(Some(Granted::plain())),
                Protected::Abort(why) => return Err(Refusal::Forbidden(why)),
            }
        }
        let offers = Priced { server: self, index, request };
        for (extension, section) in &route.extensions {
            match extension.gate(&Asking::new(request, section, &offers)).await {
                Ok(Gate::Grant(grant)) => return Ok(Some(Granted::by(extension, grant))),
                Ok(Gate::Answer(reply)) => return Err(Refusal::Reply(reply)),
                Ok(_) => {}
                // A session that cannot be checked does not bar the way: the request can still be paid.
                Err(why) => {
                    tracing::warn!(key = extension.key(), %why, "an extension could not decide about a request")
                }
            }
        }
        Ok(None)
    }
}
