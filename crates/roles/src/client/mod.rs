//! The client engine: which offer to pay, and signing it. It knows no transport.

mod budget;
mod builder;
mod choose;
mod error;
mod hooks;
mod policy;

pub use budget::{Approver, Errand, ExportFormat, MemoryBudget, Paying};
pub use builder::PaymentClientBuilder;
pub use error::PayError;
pub use hooks::ClientHook;
pub use policy::{Candidate, PinnedPayees, Policy, Purchase, SpendLimit, TimeLimit};

use crate::prefer::Preferences;
use crate::setup::Parts;
use budget::Books;
use choose::Ready;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::{fmt, io};
use tollway_core::{
    ClientExtension, Fate, Object, PartKind, PaymentPayload, PaymentRequired, RegistryError, SettleResponse,
    X402_VERSION, echo_is_faithful,
};

/// A client that pays. Cheap to clone. Transports call it with the challenges they meet.
#[derive(Clone)]
pub struct PaymentClient {
    engine: Arc<Engine>,
}

impl fmt::Debug for PaymentClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PaymentClient").finish_non_exhaustive()
    }
}

type Chooser = Arc<dyn Fn(&Purchase<'_>, &[Candidate]) -> Option<usize> + Send + Sync>;

struct Engine {
    parts: Arc<Parts>,
    /// Looked at before any network is opened.
    time_limit: TimeLimit,
    policies: Vec<Arc<dyn Policy>>,
    preferences: Preferences,
    chooser: Option<Chooser>,
    hooks: Vec<Arc<dyn ClientHook>>,
    extensions: Vec<Arc<dyn ClientExtension>>,
    books: Books,
    /// Paying sides of offers that policies allowed, those used last at the end.
    ready: Mutex<Vec<Ready>>,
}

impl PaymentClient {
    /// Starts building one. It pays on the networks it has a key for, at most $1 at a time, only in assets it knows.
    pub fn builder() -> PaymentClientBuilder {
        PaymentClientBuilder::default()
    }

    /// Headers to send with a first request to `origin`, such as a session token.
    pub async fn prepare(&self, origin: &str, target: &str) -> Vec<(String, String)> {
        let mut headers = Vec::new();
        for extension in &self.engine.extensions {
            headers.extend(extension.prepare(origin, target).await);
        }
        headers
    }

    /// Headers that may open the resource without payment. If there are any, repeat the request once with them.
    pub async fn answer(&self, required: &PaymentRequired, origin: &str) -> Vec<(String, String)> {
        let mut headers = Vec::new();
        for extension in self.declared(required) {
            match extension.answer(required, origin).await {
                Ok(answer) => headers.extend(answer),
                Err(why) => tracing::warn!(key = extension.key(), %why, "an extension could not answer a challenge"),
            }
        }
        headers
    }

    /// Chooses an offer and signs a payment of it. Give `origin` as the request had it, not as the challenge says.
    ///
    /// It is reserved in the budget before it is signed and written down before this returns. Transports that know the
    /// whole request call [`pay_for`](Self::pay_for) instead.
    ///
    /// # Errors
    /// [`PayError`] says for each offer why it was not paid.
    pub async fn pay(&self, required: &PaymentRequired, origin: &str) -> Result<PaymentPayload, PayError> {
        self.pay_new(required, origin, None).await
    }

    /// The payment for a request: the one that was made for the same request before, if its answer was lost and its fate
    /// is not known, else a new one as by [`pay`](Self::pay). Hold it until the request is answered or given up.
    ///
    /// # Errors
    /// As [`pay`](Self::pay); also where a payment for the same request may have been settled already.
    pub async fn pay_for(&self, required: &PaymentRequired, errand: &Errand<'_>) -> Result<Paying, PayError> {
        if let Some(again) = self.resume(required, errand).await? {
            return Ok(again);
        }
        let payment = self.pay_new(required, errand.origin, Some(errand)).await?;
        Ok(self.engine.books.depart(payment, true))
    }

    /// A payment that was made before and is presented again by hand.
    pub fn present(&self, payment: PaymentPayload) -> Paying {
        self.engine.books.depart(payment, false)
    }

    async fn pay_new(
        &self,
        required: &PaymentRequired,
        origin: &str,
        errand: Option<&Errand<'_>>,
    ) -> Result<PaymentPayload, PayError> {
        if required.x402_version != X402_VERSION {
            return Err(PayError::Version(required.x402_version));
        }
        let purchase = Purchase { origin, resource: &required.resource, required };
        let (offer, ready) = self.choose(&purchase).await?;
        for hook in &self.engine.hooks {
            hook.before_payment(&purchase, &offer).await.map_err(PayError::Refused)?;
        }
        let reservation = self.reserve(&purchase, errand, &offer).await?;
        let signed = async {
            let signed = ready.side().sign(&offer, &required.resource).await.map_err(PayError::Sign)?;
            let mut payment = PaymentPayload::new(offer, signed.payload);
            payment.resource = Some(required.resource.clone());
            payment.extensions.clone_from(&required.extensions);
            self.enrich(required, &mut payment).await?;
            for hook in &self.engine.hooks {
                hook.signed(&purchase, &payment).await.map_err(PayError::Refused)?;
            }
            Ok((payment, signed.dead_after))
        };
        match signed.await {
            Ok((payment, dead_after)) => {
                self.engine.books.sign(&reservation, &payment, dead_after).await?;
                Ok(payment)
            }
            Err(why) => {
                // Nobody was given what was signed, if anything was.
                self.engine.books.give_back(&reservation).await;
                Err(why)
            }
        }
    }

    /// A paid request was served without a receipt. The payment is taken for settled.
    pub async fn delivered(&self, payment: &PaymentPayload) {
        self.engine.books.write(payment, &Fate::Spent { transaction: String::new() }).await;
    }

    /// A payment that could not be sent at all: nobody has seen it, and it counts no more.
    pub async fn unsent(&self, payment: &PaymentPayload) {
        self.engine.books.write(payment, &Fate::Released).await;
    }

    /// Writes down what was spent, oldest first, as CSV or JSON.
    ///
    /// # Errors
    /// The books could not be read, or `out` could not be written.
    pub async fn export(&self, format: ExportFormat, out: &mut (dyn io::Write + Send)) -> io::Result<()> {
        self.engine.books.export(format, out).await
    }

    /// Tells hooks and extensions how a paid request was answered.
    pub async fn answered(
        &self,
        payment: &PaymentPayload,
        origin: &str,
        receipt: Option<&SettleResponse>,
        challenge: Option<&PaymentRequired>,
        headers: &[(String, String)],
    ) {
        self.engine.books.answered(payment, receipt, challenge).await;
        for hook in &self.engine.hooks {
            hook.answered(payment, receipt, challenge).await;
        }
        for extension in &self.engine.extensions {
            extension.answered(origin, receipt, headers).await;
        }
    }

    /// Tells extensions how a request was answered that carried something of theirs and no payment.
    pub async fn opened(&self, origin: &str, headers: &[(String, String)]) {
        for extension in &self.engine.extensions {
            extension.answered(origin, None, headers).await;
        }
    }

    /// How many (scheme, network) pairs are kept ready.
    #[doc(hidden)]
    pub fn kept(&self) -> usize {
        self.engine.ready().len()
    }

    fn declared<'a>(&'a self, required: &'a PaymentRequired) -> impl Iterator<Item = &'a Arc<dyn ClientExtension>> {
        let declared = |key| required.extensions.as_ref().is_some_and(|extensions| extensions.contains_key(key));
        self.engine.extensions.iter().filter(move |extension| declared(extension.key()))
    }

    /// Lets extensions add to the payment; what the server declared stays.
    async fn enrich(&self, required: &PaymentRequired, payment: &mut PaymentPayload) -> Result<(), PayError> {
        for extension in self.declared(required) {
            let key = extension.key();
            let declared = required.extensions.as_ref().and_then(|extensions| extensions.get(key)).cloned();
            extension.enrich(required, payment).await.map_err(|why| PayError::Extension { key, why })?;
            let kept = payment.extensions.as_ref().is_some_and(|extensions| extensions.contains_key(key));
            let echoed = payment.extensions.as_ref();
            let faithful = kept && echo_is_faithful(key, declared.as_ref(), echoed, &extension.echo());
            if !faithful {
                let why = format!("the extension `{key}` changed what the server declared");
                return Err(PayError::Refused(why));
            }
        }
        Ok(())
    }
}

/// Makes, beside those handed over, the client extensions that are configured, and those linked that need no section: clients understand what is
/// linked.
async fn extensions(
    parts: &Arc<Parts>,
    sections: &BTreeMap<String, Value>,
    mut made: Vec<Arc<dyn ClientExtension>>,
) -> Result<Vec<Arc<dyn ClientExtension>>, RegistryError> {
    let make = |key, section: Value| parts.registry.client_extension(key, section, parts.extension_context());
    for (key, section) in sections {
        made.push(make(key, section.clone()).await?);
    }
    let linked = parts.registry.parts().iter().filter(|part| part.kind() == PartKind::ClientExtension);
    let given: Vec<_> = made.iter().map(|extension| extension.key()).collect();
    for part in linked.filter(|part| !given.contains(&part.name())) {
        match make(part.name(), Value::Object(Object::new())).await {
            Ok(extension) => made.push(extension),
            Err(RegistryError::Build { why, .. }) => {
                tracing::debug!(key = part.name(), %why, "an extension is linked and not configured; left out");
            }
            Err(why) => return Err(why),
        }
    }
    Ok(made)
}
