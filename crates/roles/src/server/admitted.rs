//! From the handler to the answer: settle, receipt, release.

use super::admit::internal;
use super::claim::{ClaimGuard, released};
use super::offers::{Offer, Several};
use super::refusal::Refusal;
use super::{Canceled, Charge, ChargeError, Handled, ReadyRoute, ResourceServer};
use crate::task::to_the_end;
use std::any::Any;
use std::fmt;
use std::sync::Arc;
use tokio::time::timeout;
use tollway_core::{
    AccountId, Caller, FacilitatorCall, Failure, Fault, FaultKind, Grant, Object, Outcome, Paid, PaymentPayload,
    PaymentRequirements, Rejected, Reply, Request, Sent, ServerExtension, SettleResponse, Settled, codes,
};

/// A request that an extension or a hook opened without payment.
pub struct Granted {
    account: Option<AccountId>,
    attach: Vec<(String, String)>,
    owed: Option<Owed>,
}

/// What an extension wants to see again when the request has ended.
struct Owed {
    extension: Arc<dyn ServerExtension>,
    grant: Grant,
    runtime: tokio::runtime::Handle,
}

impl Granted {
    pub(super) fn plain() -> Self {
        Self { account: None, attach: Vec::new(), owed: None }
    }

    pub(super) fn by(extension: &Arc<dyn ServerExtension>, mut grant: Grant) -> Self {
        let (account, attach) = (grant.account.clone(), std::mem::take(&mut grant.attach));
        let owed = grant.state.is_some().then(|| {
            let runtime = tokio::runtime::Handle::current();
            Owed { extension: extension.clone(), grant, runtime }
        });
        Self { account, attach, owed }
    }

    /// Who the request is served for, where an extension knows.
    pub fn account(&self) -> Option<&AccountId> {
        self.account.as_ref()
    }

    /// The handler is done; `served` says whether it answered below 400. Gives the headers to add to the answer.
    pub async fn finished(mut self, served: bool) -> Vec<(String, String)> {
        if let Some(Owed { extension, grant, .. }) = self.owed.take() {
            // What was taken must be given back although the client may leave meanwhile.
            let ended = to_the_end(async move { extension.finished(grant, served).await }).await;
            if let Err(why) = ended {
                tracing::error!(%why, "an extension could not be told how a request ended");
            }
        }
        std::mem::take(&mut self.attach)
    }
}

impl Drop for Granted {
    /// A handler that panicked or a client that left served nobody: what the gate took is given back.
    fn drop(&mut self) {
        if let Some(Owed { extension, grant, runtime }) = self.owed.take() {
            runtime.spawn(async move { extension.finished(grant, false).await });
        }
    }
}

impl fmt::Debug for Granted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the headers: one may be a secret of the client's.
        f.debug_struct("Granted").field("account", &self.account).finish_non_exhaustive()
    }
}

/// A payment and the offer it answers.
pub(super) struct Deal {
    pub(super) server: ResourceServer,
    pub(super) index: usize,
    /// Kept only where hooks or extensions want to see it.
    pub(super) request: Option<Arc<dyn Request>>,
    pub(super) raw: Arc<PaymentPayload>,
    pub(super) offer: Arc<Offer>,
    /// The very same offer of other facilitators, in the order in which they are asked.
    pub(super) others: Several,
    pub(super) payer: AccountId,
    /// The offer with what is really charged, where that is less.
    pub(super) charged: Option<Arc<PaymentRequirements>>,
    /// What extensions want to be kept until the request has ended.
    pub(super) held: Vec<Arc<dyn Any + Send + Sync>>,
}

/// A payment whose money moved, with what goes back to the client.
struct Delivery {
    settled: Settled,
    receipt: SettleResponse,
    attach: Vec<(String, String)>,
    guard: ClaimGuard,
}

/// A paid request: run the handler, then call [`finish`](Self::finish). Dropped, it gives the claim back.
pub struct Admitted {
    deal: Deal,
    stage: Option<Stage>,
}

enum Stage {
    /// Verified; settlement follows the handler.
    Verified(Box<ClaimGuard>, Caller),
    /// Settled before the handler.
    Settled(Box<Delivery>),
}

/// What to answer after the handler.
#[derive(Debug)]
#[non_exhaustive]
pub enum Finished {
    /// The handler's answer, with these added.
    Release {
        /// The receipt; none where the handler failed before anything was settled.
        receipt: Option<SettleResponse>,
        /// Headers of extensions.
        attach: Vec<(String, String)>,
    },
    /// This instead of the handler's answer, of which nothing may leak.
    Refused(Refusal),
}

impl fmt::Debug for Admitted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admitted")
            .field("payer", &self.deal.payer)
            .field("receipt", &self.receipt())
            .finish_non_exhaustive()
    }
}

impl Admitted {
    /// Who pays.
    pub fn payer(&self) -> &AccountId {
        &self.deal.payer
    }

    /// The offer that is being paid.
    pub fn offer(&self) -> &PaymentRequirements {
        &self.deal.offer.requirements
    }

    /// The receipt, where the payment is settled already: the handler's answer need not be held back.
    pub fn receipt(&self) -> Option<&SettleResponse> {
        match &self.stage {
            Some(Stage::Settled(delivery)) => Some(&delivery.receipt),
            _ => None,
        }
    }

    /// Most bytes of an answer that extensions want to see before it is released ([`Handled::answering`]).
    pub fn keeps_answers(&self) -> Option<usize> {
        self.deal.route().extensions.iter().filter_map(|(extension, _)| extension.keeps_answers()).max()
    }

    /// The handler is done; `true` or `false` says whether it answered below 400, and [`Handled::charged`] what a
    /// metered request costs. Settles, unless that is done or there is nothing to pay for.
    ///
    /// Settlement runs in a task of its own. If this future is dropped, it runs to its end all the same, and the same
    /// payment presented again is answered from it.
    pub async fn finish(mut self, handled: impl Into<Handled>) -> Finished {
        let Handled { served, charge, answer } = handled.into();
        if let Some(charge) = charge.filter(|_| served)
            && let Err(why) = self.deal.charge(&charge)
        {
            // Nothing moved, and dropping this gives the claim back.
            return Finished::Refused(internal(Fault::new(FaultKind::Configuration, why.to_string())));
        }
        match self.stage.take() {
            Some(Stage::Settled(delivery)) => {
                let Delivery { settled, receipt, attach, guard, .. } = *delivery;
                // Paid and not served: the payer may come back with the same payment.
                if served {
                    if let Some(answer) = answer {
                        let (deal, receipt, attach) = (self.deal.share(), receipt.clone(), attach.clone());
                        let told = to_the_end(async move { deal.answered(&receipt, answer, &attach).await }).await;
                        told.unwrap_or_else(|why| tracing::error!(%why, "an answer could not be shown to extensions"));
                    }
                    guard.delivered(settled);
                }
                Finished::Release { receipt: Some(receipt), attach }
            }
            Some(Stage::Verified(guard, _)) if !served => {
                guard.resolve(released(codes::UNEXPECTED_SETTLE_ERROR)).await;
                self.deal.canceled(Canceled::HandlerFailed).await;
                Finished::Release { receipt: None, attach: Vec::new() }
            }
            Some(Stage::Verified(guard, caller)) => {
                match Deal::spawn_settle(self.deal.share(), *guard, caller, answer).await {
                    Ok(Delivery { settled, receipt, attach, guard }) => {
                        guard.delivered(settled);
                        Finished::Release { receipt: Some(receipt), attach }
                    }
                    Err(refusal) => Finished::Refused(refusal),
                }
            }
            None => Finished::Refused(Refusal::Internal),
        }
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        if let Some(Stage::Verified(guard, _)) = &self.stage
            && self.deal.request.is_some()
        {
            let mut deal = self.deal.share();
            // The request has ended; who listens to that must not make it look as if it had not.
            deal.held.clear();
            guard.runtime().spawn(async move { deal.canceled(Canceled::Dropped).await });
        }
    }
}

impl Deal {
    pub(super) fn route(&self) -> &ReadyRoute {
        &self.server.engine.routes[self.index]
    }

    /// The view for hooks and extensions, if there are any.
    pub(super) fn paid(&self) -> Option<Paid<'_>> {
        let request = self.request.as_deref()?;
        Some(Paid::new(request, self.route().pattern.as_str(), &self.offer.requirements, &self.raw, &self.payer))
    }

    fn share(&self) -> Self {
        Self {
            server: self.server.clone(),
            index: self.index,
            request: self.request.clone(),
            raw: self.raw.clone(),
            offer: self.offer.clone(),
            others: self.others.clone(),
            payer: self.payer.clone(),
            charged: self.charged.clone(),
            held: self.held.clone(),
        }
    }

    /// Charges less than was authorized.
    fn charge(&mut self, charge: &Charge) -> Result<(), ChargeError> {
        let offer = &self.offer.requirements;
        let amount = charge.resolve(offer, &*self.offer.network)?;
        if amount == offer.amount {
            return Ok(());
        }
        if !self.offer.scheme.metered() {
            return Err(ChargeError::NotMetered(offer.scheme.clone()));
        }
        let mut charged = offer.clone();
        charged.amount = amount;
        self.charged = Some(Arc::new(charged));
        Ok(())
    }

    /// What the facilitator is asked to settle.
    fn asked(&self) -> &PaymentRequirements {
        self.charged.as_deref().unwrap_or(&self.offer.requirements)
    }

    pub(super) fn verified(self, guard: ClaimGuard, caller: Caller) -> Admitted {
        Admitted { deal: self, stage: Some(Stage::Verified(Box::new(guard), caller)) }
    }

    /// Settles before the handler: the upfront flow, and payments that were sent before.
    pub(super) async fn proceed(self, guard: ClaimGuard, caller: Caller) -> Result<Admitted, Refusal> {
        let delivery = Self::spawn_settle(self.share(), guard, caller, None).await?;
        Ok(Admitted { deal: self, stage: Some(Stage::Settled(Box::new(delivery))) })
    }

    /// Answers a payment whose money moved before, from what was written then.
    pub(super) fn redeliver(self, guard: ClaimGuard, settled: Settled) -> Admitted {
        let receipt = self.receipt(&settled, Object::new());
        let delivery = Delivery { settled, receipt, attach: Vec::new(), guard };
        Admitted { deal: self, stage: Some(Stage::Settled(Box::new(delivery))) }
    }

    fn receipt(&self, settled: &Settled, extensions: Object) -> SettleResponse {
        let network = self.offer.requirements.network.clone();
        let mut receipt = SettleResponse::settled(network, settled.transaction.clone(), settled.payer.clone());
        receipt.amount = settled.amount;
        receipt.extra.clone_from(&settled.extra);
        receipt.extensions = (!extensions.is_empty()).then_some(extensions);
        receipt
    }

    async fn canceled(&self, why: Canceled) {
        if let Some(paid) = self.paid() {
            for hook in &self.server.engine.hooks {
                hook.canceled(&paid, why).await;
            }
        }
    }

    /// Settles to the end, so that a client that leaves loses nothing: the delivery nobody waits for is
    /// dropped, and its guard writes down that the money moved.
    async fn spawn_settle(
        deal: Self,
        guard: ClaimGuard,
        caller: Caller,
        answer: Option<Reply>,
    ) -> Result<Delivery, Refusal> {
        to_the_end(async move { deal.settle(guard, caller, answer).await }).await.map_err(internal)?
    }

    async fn settle(
        mut self,
        mut guard: ClaimGuard,
        caller: Caller,
        answer: Option<Reply>,
    ) -> Result<Delivery, Refusal> {
        let network = self.offer.requirements.network.clone();
        let failed = |code, transaction: &str| {
            let network = network.clone();
            Refusal::Failed(Box::new(SettleResponse::failed(network, code, transaction)))
        };
        if let Some(paid) = self.paid() {
            for (extension, section) in &self.route().extensions {
                extension.settling(&paid, section).await;
            }
        }
        match self.settle_with_hooks(&mut guard, caller).await {
            Ok(Outcome::Settled(settled)) => {
                guard.moved(&settled);
                let (extensions, attach) = self.after_settlement(&settled).await;
                let receipt = self.receipt(&settled, extensions);
                if let Some(answer) = answer {
                    self.answered(&receipt, answer, &attach).await;
                }
                Ok(Delivery { settled, receipt, attach, guard })
            }
            Ok(Outcome::Released(why)) | Err(Failure::Rejected(why)) => {
                let mut refused = SettleResponse::failed(
                    self.offer.requirements.network.clone(),
                    why.code.clone(),
                    why.transaction.clone().unwrap_or_default(),
                );
                refused.error_message.clone_from(&why.message);
                refused.payer.clone_from(&why.payer);
                guard.resolve(Outcome::Released(why)).await;
                self.unsettled().await;
                Err(Refusal::Failed(Box::new(refused)))
            }
            Ok(Outcome::Pending { transaction }) => {
                // Without a transaction to look for it is no "pending" of the protocol, only our not knowing.
                let refusal = match transaction.is_empty() {
                    true => self.undecided(),
                    false => failed(codes::SETTLEMENT_PENDING, &transaction),
                };
                guard.resolve(Outcome::Pending { transaction }).await;
                Err(refusal)
            }
            Ok(Outcome::Undelivered(_) | Outcome::Included(_)) => Err(internal(
                Fault::new(FaultKind::Invalid, "a facilitator answered with a state of the books").maybe_sent(),
            )),
            Err(Failure::Fault(why)) => {
                let refusal = self.unavailable(&why);
                let unsent = why.sent == Sent::No;
                guard
                    .resolve(if unsent {
                        released(codes::UNEXPECTED_SETTLE_ERROR)
                    } else {
                        Outcome::Pending { transaction: String::new() }
                    })
                    .await;
                if unsent {
                    self.unsettled().await;
                }
                Err(refusal)
            }
        }
    }

    async fn unsettled(&self) {
        if let Some(paid) = self.paid() {
            for (extension, section) in &self.route().extensions {
                extension.unsettled(&paid, section).await;
            }
        }
    }

    /// Shows extensions the whole answer, as the client gets it.
    async fn answered(&self, receipt: &SettleResponse, mut answer: Reply, attach: &[(String, String)]) {
        answer.attach.extend_from_slice(attach);
        if let Some(paid) = self.paid() {
            for (extension, section) in &self.route().extensions {
                if extension.keeps_answers().is_some_and(|most| answer.body.len() <= most) {
                    extension.answered(&paid, section, receipt, &answer).await;
                }
            }
        }
    }

    async fn settle_with_hooks(&mut self, guard: &mut ClaimGuard, mut caller: Caller) -> Result<Outcome, Failure> {
        let server = self.server.clone();
        let hooks = &server.engine.hooks;
        let before = guard.pending().map(str::to_owned);
        if let Some(paid) = self.paid() {
            for hook in hooks {
                match hook.before_settle(&paid).await {
                    Ok(Some(settled)) => return Ok(Outcome::Settled(settled)),
                    Ok(None) => {}
                    // A hook cannot unsend what was sent before.
                    Err(why) => return still_pending(before, Err(why.into())),
                }
            }
        }
        let fresh = before.is_none();
        // From the first call on, the money may be on its way, whatever becomes of this task.
        guard.unknown(before.clone().unwrap_or_default());
        let mut outcome = still_pending(before, self.ask_to_settle(&caller).await);
        while fresh && self.may_turn(&outcome) {
            // Whoever sent nothing is not asked again.
            self.offer = self.others.remove(0);
            let claim = self.offer.scheme.claim(&self.raw, &self.offer.requirements)?;
            match guard.pass_on(self.row(claim)?).await? {
                Some(other) => caller = other,
                None => return Err(Rejected::new(codes::DUPLICATE_SETTLEMENT).into()),
            }
            guard.unknown(String::new());
            outcome = self.ask_to_settle(&caller).await;
        }
        if let Ok(Outcome::Pending { transaction }) = &outcome {
            // Once more with the identical payment: most are included by then (specification, `settlement_pending`).
            let before = Some(transaction.clone());
            guard.unknown(transaction.clone());
            outcome = still_pending(before, self.ask_to_settle(&caller).await);
        }
        if let (Err(why), Some(paid)) = (&outcome, self.paid()) {
            for hook in hooks {
                if let Some(settled) = hook.recover_settle(&paid, why).await {
                    return Ok(Outcome::Settled(settled));
                }
            }
        }
        outcome
    }

    /// Settlement stays with its facilitator, unless that provably sent nothing, another asks for the very same, and the
    /// payment names no signer of it.
    fn may_turn(&self, outcome: &Result<Outcome, Failure>) -> bool {
        let unsent = matches!(outcome, Err(Failure::Fault(why)) if why.sent == Sent::No);
        let may = unsent && !self.offer.bound && !self.others.is_empty();
        if may {
            let name = self.offer.facilitator.name();
            tracing::warn!(facilitator = name, "a facilitator sent nothing; another is asked to settle");
        }
        may
    }

    async fn ask_to_settle(&self, caller: &Caller) -> Result<Outcome, Failure> {
        let asked = self.asked_to_settle(caller);
        self.server.engine.call(self.offer.position, FacilitatorCall::Settle, asked).await
    }

    async fn asked_to_settle(&self, caller: &Caller) -> Result<Outcome, Failure> {
        let longest = self.server.engine.settle_timeout;
        let facilitator = &self.offer.facilitator;
        let answer = timeout(longest, facilitator.settle(&self.raw, self.asked(), caller)).await;
        let outcome = answer.unwrap_or_else(|_| {
            let message = format!("the facilitator `{}` did not settle in {longest:?}", facilitator.name());
            Err(Fault::new(FaultKind::Timeout, message).maybe_sent().into())
        })?;
        if let Outcome::Settled(settled) = &outcome {
            self.check_payer(&self.offer, settled.payer.as_deref()).map_err(Fault::maybe_sent)?;
            let asked = self.asked().amount;
            let wrong = match settled.amount {
                Some(amount) if amount != asked => "settled another amount than was asked",
                // Nothing is the one amount that moves without a transaction.
                _ if settled.transaction.is_empty() && !asked.is_zero() => "settled without naming a transaction",
                _ => return Ok(outcome),
            };
            let message = format!("the facilitator `{}` {wrong}", facilitator.name());
            return Err(Fault::new(FaultKind::Invalid, message).maybe_sent().into());
        }
        Ok(outcome)
    }

    /// Tells hooks and extensions that the money moved; collects what extensions add to the answer.
    async fn after_settlement(&self, settled: &Settled) -> (Object, Vec<(String, String)>) {
        let mut extensions = Object::new();
        let mut reply = Reply::default();
        if let Some(paid) = self.paid() {
            for hook in &self.server.engine.hooks {
                hook.settled(&paid, settled).await;
            }
            for (extension, section) in &self.route().extensions {
                match extension.settled(&paid, section, settled, &mut reply).await {
                    Ok(Some(value)) => drop(extensions.insert(extension.key().to_owned(), value)),
                    Ok(None) => {}
                    Err(why) => tracing::error!(key = extension.key(), %why, "an extension could not record a payment"),
                }
            }
        }
        (extensions, reply.attach)
    }
}

/// What was sent stays sent: an answer that names no transaction of its own says nothing about the one before.
fn still_pending(before: Option<String>, answer: Result<Outcome, Failure>) -> Result<Outcome, Failure> {
    match (before, answer) {
        (Some(transaction), Err(Failure::Rejected(why))) if why.transaction.is_none() => {
            tracing::warn!(%why, %transaction, "a facilitator refused a payment that was sent before");
            Ok(Outcome::Pending { transaction })
        }
        (Some(transaction), Err(Failure::Fault(why))) => {
            tracing::warn!(%why, %transaction, "a facilitator could not say what became of a payment");
            Ok(Outcome::Pending { transaction })
        }
        (_, answer) => answer,
    }
}
