//! Builds a [`PaymentClient`] out of plug-ins, keys and policies.

use super::budget::{Approver, Books, Budget, MemoryBudget};
use super::{Candidate, Chooser, ClientHook, Engine, PaymentClient, Policy, Purchase, SpendLimit, TimeLimit};
use crate::setup::{Parts, Setup, SetupError, preference_methods, preferences_of, shared_methods};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU64;
use std::sync::{Arc, Mutex};
use tollway_core::{
    BudgetConfig, BudgetStore, BuildContext, ClientConfig, ClientExtension, LedgerConfig, Money, PartKind, SharedBudget,
};

/// Longest authorization signed unless configured otherwise, in seconds.
const LONGEST: NonZeroU64 = NonZeroU64::new(3600).expect("3600 is not zero");

/// Collects what a [`PaymentClient`] needs.
#[derive(Default)]
pub struct PaymentClientBuilder {
    setup: Setup,
    max_per_payment: Option<Money>,
    spend_limit: Option<SpendLimit>,
    unlimited: bool,
    max_timeout: Option<NonZeroU64>,
    policies: Vec<Arc<dyn Policy>>,
    chooser: Option<Chooser>,
    hooks: Vec<Arc<dyn ClientHook>>,
    extensions: BTreeMap<String, Value>,
    budget: Option<BudgetConfig>,
    approver: Option<Arc<dyn Approver>>,
    budget_store: Option<Arc<dyn BudgetStore>>,
    made: Vec<Make>,
}

/// Makes an extension out of what the client lends it.
type Make = Box<dyn FnOnce(BuildContext) -> Result<Arc<dyn ClientExtension>, String> + Send>;

impl fmt::Debug for PaymentClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PaymentClientBuilder").finish_non_exhaustive()
    }
}

impl PaymentClientBuilder {
    shared_methods!();
    preference_methods!();

    /// Takes over a whole configuration; later calls add to it.
    pub fn config(mut self, config: ClientConfig) -> Self {
        self.setup.shared = config.shared;
        self.setup.preferences = preferences_of!(config);
        self.max_per_payment = config.max_per_payment;
        self.max_timeout = config.max_timeout_seconds;
        self.budget = config.budget;
        self.extensions = config.extensions;
        self
    }

    /// Most one payment may cost, such as `"$0.25"`; $1 if left out. Dollars are good for the assets that are dollars,
    /// `"5 EURC"` for that one asset only: see [`SpendLimit`].
    pub fn max_per_payment(mut self, limit: &str) -> Self {
        let parsed = limit.parse::<Money>().map_err(|why| SetupError::Setting(format!("max_per_payment: {why}")));
        self.max_per_payment = self.setup.note(parsed);
        self
    }

    /// Replaces the limit by one that allows assets of your own.
    pub fn spend_limit(mut self, limit: SpendLimit) -> Self {
        self.spend_limit = Some(limit);
        self
    }

    /// Pays any amount of any asset. Add policies of your own before you use this.
    pub fn without_spend_limit(mut self) -> Self {
        self.unlimited = true;
        self
    }

    /// Longest authorization to sign, in seconds; one hour if left out.
    pub fn max_timeout(mut self, seconds: NonZeroU64) -> Self {
        self.max_timeout = Some(seconds);
        self
    }

    /// Adds a policy; an offer must pass all of them.
    pub fn policy(mut self, policy: impl Policy + 'static) -> Self {
        self.policies.push(Arc::new(policy));
        self
    }

    /// Chooses among the offers that passed, by index; the first if left out. `None` pays nothing.
    pub fn chooser(
        mut self,
        choose: impl Fn(&Purchase<'_>, &[Candidate]) -> Option<usize> + Send + Sync + 'static,
    ) -> Self {
        self.chooser = Some(Arc::new(choose));
        self
    }

    /// Adds a hook.
    pub fn hook(mut self, hook: Arc<dyn ClientHook>) -> Self {
        self.hooks.push(hook);
        self
    }

    /// Configures an extension with the section it reads. Extensions that are linked and need no section work
    /// without this; those that need one are left out without it.
    pub fn extension(mut self, key: &str, section: Value) -> Self {
        self.extensions.insert(key.to_owned(), section);
        self
    }

    /// Hands over an extension, made from what the client lends it: its clock, its networks, its keys. It takes the
    /// place of the linked one of that key.
    pub fn use_extension<E: ClientExtension + 'static>(
        mut self,
        make: impl FnOnce(BuildContext) -> Result<E, String> + Send + 'static,
    ) -> Self {
        self.made.push(Box::new(|cx| make(cx).map(|made| Arc::new(made) as Arc<dyn ClientExtension>)));
        self
    }

    /// Holds all payments together to a budget.
    pub fn budget(mut self, budget: BudgetConfig) -> Self {
        self.budget = Some(budget);
        self
    }

    /// Asks this about payments above the budget's threshold.
    pub fn approver(mut self, approver: impl Approver + 'static) -> Self {
        self.approver = Some(Arc::new(approver));
        self
    }

    /// Hands over the store for the books, of what was reserved, signed and spent; in memory if left out.
    pub fn budget_store(mut self, store: Arc<dyn BudgetStore>) -> Self {
        self.budget_store = Some(store);
        self
    }

    /// Checks what was configured. Networks are opened when a challenge first asks for them, and need no node to sign.
    ///
    /// # Errors
    /// A mistake in the texts given, or a plug-in missing or doubled.
    pub async fn build(self) -> Result<PaymentClient, SetupError> {
        let parts = self.setup.into_parts()?;
        let mut policies: Vec<Arc<dyn Policy>> = Vec::new();
        if !self.unlimited {
            let dollar = || "$1".parse::<Money>().map_err(|why| SetupError::Setting(why.to_string()));
            let limit = match (self.spend_limit, self.max_per_payment) {
                (Some(limit), None) => limit,
                (Some(limit), Some(money)) => limit.at_most(money),
                (None, Some(money)) => SpendLimit::per_payment(money),
                (None, None) => SpendLimit::per_payment(dollar()?),
            };
            policies.push(Arc::new(limit));
        }
        let (configured, agent) = match &self.budget {
            Some(budget) => (budget.store.clone(), budget.agent.clone()),
            None => (None, None),
        };
        let budget = self.budget.map(|budget| Budget::new(budget, self.approver)).transpose()?.map(Arc::new);
        policies.extend(budget.clone().map(|budget| budget as Arc<dyn Policy>));
        policies.extend(self.policies);
        let store = match (self.budget_store, configured) {
            (Some(store), _) => store,
            (None, Some(configured)) => open_store(&parts, configured).await?,
            (None, None) => Arc::new(MemoryBudget::new()),
        };
        let books = Books::new(store, budget, agent, parts.cx.clock.clone());
        let made = self.made.into_iter().map(|make| make(parts.extension_context()).map_err(SetupError::Setting));
        let extensions = super::extensions(&parts, &self.extensions, made.collect::<Result<_, _>>()?).await?;
        // A key nobody can read is a mistake now, not when the first payment is due.
        let mut networks = Vec::new();
        for id in parts.network_ids().await {
            let network = parts.network(&id).await?;
            parts.context(&network).await?;
            networks.push(network);
        }
        let preferences = parts.preferences(PartKind::SchemeClient, networks, Vec::new())?;
        Ok(PaymentClient {
            engine: Arc::new(Engine {
                parts,
                time_limit: TimeLimit { longest: self.max_timeout.unwrap_or(LONGEST) },
                policies,
                preferences,
                chooser: self.chooser,
                hooks: self.hooks,
                extensions,
                books,
                ready: Mutex::default(),
            }),
        })
    }
}

/// Opens the registered store of budgets that a configuration names.
async fn open_store(parts: &Arc<Parts>, config: LedgerConfig) -> Result<Arc<dyn BudgetStore>, SetupError> {
    let name = format!("budgets/{}", config.kind);
    let store = parts.registry.store(&name, Value::Object(config.section), parts.cx.clone()).await?;
    let shared = store.downcast::<SharedBudget>();
    let shared =
        shared.map_err(|_| SetupError::Setting(format!("the store `{name}` is not registered as SharedBudget")))?;
    Ok((*shared).clone().into_inner())
}
