//! [`FakeFacilitator`]: answers as the test says and remembers who asked what.

use async_trait::async_trait;
use serde_json::Value;
use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tollway_core::{
    Amount, Caller, Facilitator, Fault, FaultKind, Outcome, PaymentPayload, PaymentRequirements, Rejected, Result,
    SettleResponse, Settled, SupportedKind, SupportedResponse, Verified,
};

/// One scripted answer.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Answer {
    /// Valid; settled, honestly.
    Yes,
    /// The protocol's "no".
    No(Rejected),
    /// Nobody could decide, and nothing was sent.
    Fault(FaultKind),
    /// Settles, and the answer never arrives: a fault that says money may be on its way. Verifying just fails.
    Dropped,
    /// Settles some day: pending, with this transaction.
    Pending(String),
    /// Settles and lies about it. Verifying tells the truth.
    Lie(Lie),
    /// Never answers.
    Hang,
    /// Answers later.
    After(Duration, Box<Self>),
}

impl Answer {
    /// The protocol's "no" with nothing but a code.
    pub fn no(code: &str) -> Self {
        Self::No(Rejected::new(code.to_owned().into()))
    }
}

/// How a receipt can be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Lie {
    /// Another network. In this process an outcome carries no network, so only a receipt can tell this lie.
    Network,
    /// Another payer.
    Payer,
    /// Less than was asked for.
    Amount,
    /// No transaction.
    Transaction,
}

impl Lie {
    /// Every lie.
    pub const ALL: [Self; 4] = [Self::Network, Self::Payer, Self::Amount, Self::Transaction];

    /// Bends an outcome.
    pub fn bend(self, mut honest: Settled) -> Settled {
        match self {
            Self::Network => {}
            Self::Payer => honest.payer = Some("somebody-else".to_owned()),
            Self::Amount => honest.amount = Some(Amount::from(1)),
            Self::Transaction => honest.transaction.clear(),
        }
        honest
    }

    /// Bends a receipt, as remote facilitators send it.
    pub fn bend_receipt(self, mut honest: SettleResponse) -> SettleResponse {
        match self {
            Self::Network => honest.network = crate::fixtures::network("fake:elsewhere"),
            Self::Payer => honest.payer = Some("somebody-else".to_owned()),
            Self::Amount => honest.amount = Some(Amount::from(1)),
            Self::Transaction => honest.transaction.clear(),
        }
        honest
    }
}

/// What somebody asked.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Call {
    /// What it can do.
    Supported,
    /// Whether a payment would settle.
    Verify(PaymentPayload, PaymentRequirements),
    /// To settle a payment.
    Settle(PaymentPayload, PaymentRequirements, Caller),
}

#[derive(Default)]
struct Books {
    supported: SupportedResponse,
    supported_fault: Option<FaultKind>,
    verify: VecDeque<Answer>,
    settle: VecDeque<Answer>,
    calls: Vec<Call>,
    settled: Vec<(Value, String)>,
}

/// A facilitator without a chain. Answers [`Answer::Yes`] until told otherwise; scripted answers are given in order, and
/// the last one again and again.
///
/// ```
/// # tollway_testkit::block_on(async {
/// use tollway_core::Facilitator;
/// use tollway_testkit::{Answer, FakeFacilitator, fixtures};
///
/// let facilitator = FakeFacilitator::serving("exact", "fake:doc");
/// facilitator.on_verify([Answer::no("insufficient_funds"), Answer::Yes]);
/// let offer = fixtures::offer("fake:doc");
/// let payment = fixtures::payment(&offer, serde_json::json!({ "from": "alice" }));
/// assert!(facilitator.verify(&payment, &offer).await.is_err());
/// assert!(facilitator.verify(&payment, &offer).await.is_ok());
/// assert_eq!(facilitator.verifies(), 2);
/// # });
/// ```
pub struct FakeFacilitator {
    name: String,
    transactions: AtomicU64,
    books: Mutex<Books>,
}

impl fmt::Debug for FakeFacilitator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeFacilitator").field("name", &self.name).field("calls", &self.calls().len()).finish()
    }
}

impl FakeFacilitator {
    /// A facilitator of that name that serves nothing yet.
    pub fn named(name: &str) -> Self {
        Self { name: name.to_owned(), transactions: AtomicU64::new(0), books: Mutex::default() }
    }

    /// A facilitator called `fake` for one scheme on one network.
    pub fn serving(scheme: &str, network: &str) -> Arc<Self> {
        Arc::new(Self::named("fake").kind(SupportedKind::new(scheme, &crate::fixtures::network(network), None)))
    }

    /// Adds a kind.
    pub fn kind(self, kind: SupportedKind) -> Self {
        self.books().supported.kinds.push(kind);
        self
    }

    /// For engines, which want an `Arc`.
    pub fn shared(self) -> Arc<Self> {
        Arc::new(self)
    }

    /// Says from now on that it can do this.
    pub fn set_supported(&self, supported: SupportedResponse) {
        self.books().supported = supported;
    }

    /// Cannot be asked from now on what it can do; `None` heals it.
    pub fn fail_supported(&self, fault: Option<FaultKind>) {
        self.books().supported_fault = fault;
    }

    /// Answers verifications like this.
    pub fn on_verify(&self, answers: impl IntoIterator<Item = Answer>) {
        self.books().verify = answers.into_iter().collect();
    }

    /// Answers settlements like this.
    pub fn on_settle(&self, answers: impl IntoIterator<Item = Answer>) {
        self.books().settle = answers.into_iter().collect();
    }

    /// Everything asked so far.
    pub fn calls(&self) -> Vec<Call> {
        self.books().calls.clone()
    }

    /// Forgets what was asked.
    pub fn forget_calls(&self) {
        self.books().calls.clear();
    }

    /// How often `/supported` was asked for.
    pub fn supporteds(&self) -> usize {
        self.count(|call| matches!(call, Call::Supported))
    }

    /// How many verifications were asked for.
    pub fn verifies(&self) -> usize {
        self.count(|call| matches!(call, Call::Verify(..)))
    }

    /// How many settlements were asked for.
    pub fn settles(&self) -> usize {
        self.count(|call| matches!(call, Call::Settle(..)))
    }

    /// How often money would have moved: each settlement that was carried out, told or not, repeats of one payment
    /// included. Honest facilitators settle one payment once; this one obeys, so that a test sees who asked twice.
    pub fn moved(&self) -> usize {
        self.books().settled.len()
    }

    /// How often money would have moved for the payment with this payload.
    pub fn moved_for(&self, payload: &Value) -> usize {
        self.books().settled.iter().filter(|(settled, _)| settled == payload).count()
    }

    fn count(&self, of: impl Fn(&Call) -> bool) -> usize {
        self.books().calls.iter().filter(|call| of(call)).count()
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next answer, after whatever it waits for.
    async fn answer(&self, queue: fn(&mut Books) -> &mut VecDeque<Answer>) -> Answer {
        let mut answer = {
            let mut books = self.books();
            let queue = queue(&mut books);
            let next = if queue.len() > 1 { queue.pop_front() } else { queue.front().cloned() };
            next.unwrap_or(Answer::Yes)
        };
        loop {
            match answer {
                Answer::After(time, then) => {
                    tokio::time::sleep(time).await;
                    answer = *then;
                }
                Answer::Hang => std::future::pending().await,
                answer => return answer,
            }
        }
    }

    /// Carries a settlement out.
    fn settled(&self, raw: &PaymentPayload) -> Settled {
        let number = self.transactions.fetch_add(1, Ordering::SeqCst);
        let transaction = format!("{}-tx-{number}", self.name);
        self.books().settled.push((raw.payload.clone(), transaction.clone()));
        let mut settled = Settled::new(transaction, "");
        settled.payer = payer(raw);
        settled
    }
}

/// Who pays, where the payload says it in one of the usual places.
fn payer(raw: &PaymentPayload) -> Option<String> {
    let from = raw.payload.pointer("/authorization/from").or_else(|| raw.payload.get("from"));
    from.and_then(Value::as_str).map(str::to_owned)
}

#[async_trait]
impl Facilitator for FakeFacilitator {
    fn name(&self) -> &str {
        &self.name
    }

    async fn supported(&self) -> Result<SupportedResponse> {
        let mut books = self.books();
        books.calls.push(Call::Supported);
        match books.supported_fault {
            Some(kind) => Err(Fault::new(kind, "scripted").into()),
            None => Ok(books.supported.clone()),
        }
    }

    async fn verify(&self, raw: &PaymentPayload, offer: &PaymentRequirements) -> Result<Verified> {
        self.books().calls.push(Call::Verify(raw.clone(), offer.clone()));
        match self.answer(|books| &mut books.verify).await {
            Answer::No(rejected) => Err(rejected.into()),
            Answer::Fault(kind) => Err(Fault::new(kind, "scripted").into()),
            Answer::Dropped => Err(Fault::new(FaultKind::Timeout, "scripted").into()),
            _ => {
                let mut verified = Verified::default();
                verified.payer = payer(raw);
                Ok(verified)
            }
        }
    }

    async fn settle(&self, raw: &PaymentPayload, offer: &PaymentRequirements, caller: &Caller) -> Result<Outcome> {
        self.books().calls.push(Call::Settle(raw.clone(), offer.clone(), caller.clone()));
        match self.answer(|books| &mut books.settle).await {
            Answer::No(rejected) => Err(rejected.into()),
            Answer::Fault(kind) => Err(Fault::new(kind, "scripted").into()),
            Answer::Dropped => {
                self.settled(raw);
                Err(Fault::new(FaultKind::Timeout, "scripted").maybe_sent().into())
            }
            Answer::Pending(transaction) => Ok(Outcome::Pending { transaction }),
            Answer::Lie(lie) => Ok(Outcome::Settled(lie.bend(self.settled(raw)))),
            _ => Ok(Outcome::Settled(self.settled(raw))),
        }
    }
}
