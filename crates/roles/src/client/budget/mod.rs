//! [`Budget`]: what a client may spend, and on which counters each payment counts.

mod books;
mod export;
mod memory;
mod worth;

pub(super) use books::Books;
pub use books::{Errand, Paying};
pub use export::ExportFormat;
pub use memory::MemoryBudget;

use super::{Candidate, Policy, Purchase};
use crate::origin;
use crate::setup::SetupError;
use async_trait::async_trait;
use std::sync::Arc;
use tollway_core::{Amount, BudgetConfig, Limits, Money, Tally};
use worth::{MONEY_DECIMALS, Unit, units};

const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;

/// The application's word on payments above [`BudgetConfig::approve_above`].
#[async_trait]
pub trait Approver: Send + Sync {
    /// Asked before anything is reserved or signed, and for as long as it takes.
    ///
    /// # Errors
    /// Why it must not be paid.
    async fn approve(&self, purchase: &Purchase<'_>, candidate: &Candidate) -> Result<(), String>;
}

/// A budget, checked.
pub(super) struct Budget {
    config: BudgetConfig,
    approver: Option<Arc<dyn Approver>>,
}

/// For how long a counter counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Window {
    Hour,
    Day,
    Total,
}

impl Window {
    const ALL: [Self; 3] = [Self::Hour, Self::Day, Self::Total];

    /// The end of a counter's name, and when it ends.
    fn at(self, now: u64) -> (String, Option<u64>) {
        let bucket = |name: &str, seconds: u64| {
            let number = now / seconds;
            (format!("{name} {number}"), Some(number.saturating_add(1).saturating_mul(seconds)))
        };
        match self {
            Self::Hour => bucket("hour", HOUR),
            Self::Day => bucket("day", DAY),
            Self::Total => ("total".to_owned(), None),
        }
    }

    fn of(self, limits: &Limits) -> Option<&Money> {
        match self {
            Self::Hour => limits.per_hour.as_ref(),
            Self::Day => limits.per_day.as_ref(),
            Self::Total => limits.total.as_ref(),
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Hour => "in one hour",
            Self::Day => "in one day",
            Self::Total => "in total",
        }
    }
}

/// A counter of one payment, with what it takes to explain it.
pub(super) struct Counter {
    pub(super) tally: Tally,
    unit: Unit,
    window: Window,
    host: bool,
}

impl Counter {
    /// Why a payment does not fit, and what to do.
    pub(super) fn over(&self, left: Amount) -> String {
        let show = |amount: Amount| self.unit.show(amount);
        let cap = self.tally.cap.map(show).unwrap_or_default();
        let to = if self.host { " to this origin" } else { "" };
        let later = match self.window {
            Window::Total => "",
            _ => ", or wait until it is renewed",
        };
        format!(
            "the budget is {cap} {}{to}, {} of it are left and {} are asked for; raise it{later}",
            self.window.words(),
            show(left),
            show(self.tally.amount),
        )
    }
}

impl Budget {
    pub(super) fn new(mut config: BudgetConfig, approver: Option<Arc<dyn Approver>>) -> Result<Self, SetupError> {
        if config.approve_above.is_some() && approver.is_none() {
            let why = "budget: approveAbove needs somebody to ask; add PaymentClientBuilder::approver";
            return Err(SetupError::Setting(why.to_owned()));
        }
        for host in config.hosts.iter_mut().flatten() {
            *host = origin::normalize(host).ok_or_else(|| {
                SetupError::Setting(format!("budget: hosts: `{host}` is no origin; write `https://api.example.com`"))
            })?;
        }
        Ok(Self { config, approver })
    }

    /// Every limit in money.
    fn money(&self) -> impl Iterator<Item = &Money> {
        let Self { config: BudgetConfig { limits, per_host, .. }, .. } = self;
        [limits, per_host]
            .into_iter()
            .flat_map(|limits| [&limits.per_payment, &limits.per_hour, &limits.per_day, &limits.total])
            .flatten()
    }

    /// Asks the application, where it wants to be asked.
    pub(super) async fn approve(&self, purchase: &Purchase<'_>, candidate: &Candidate) -> Result<(), String> {
        let (Some(above), Some(approver)) = (&self.config.approve_above, &self.approver) else { return Ok(()) };
        let threshold = money_cap(above)?;
        // What cannot be compared with the threshold is put to the application, too.
        let below = units(candidate)?.into_iter().any(|(unit, amount)| unit.is_in(above) && amount <= threshold);
        if below { Ok(()) } else { approver.approve(purchase, candidate).await }
    }

    /// The counters a payment adds to. Those without a limit count, too: a limit that is set later knows what was spent.
    pub(super) fn counters(&self, now: u64, origin: &str, candidate: &Candidate) -> Result<Vec<Counter>, String> {
        let BudgetConfig { limits, per_host, .. } = &self.config;
        let mut counters = Vec::new();
        for (unit, amount) in units(candidate)? {
            for window in Window::ALL {
                let (name, until) = window.at(now);
                let mut count = |key: String, cap: Option<Amount>, host: bool| {
                    let tally = Tally::new(key, amount).cap(cap).until(until);
                    counters.push(Counter { tally, unit: unit.clone(), window, host });
                };
                match &unit {
                    Unit::Asset { .. } => count(format!("{unit} {name}"), self.asset_cap(candidate, window), false),
                    _ => {
                        count(format!("{unit} {name}"), unit.cap(window.of(limits))?, false);
                        count(format!("{origin} {unit} {name}"), unit.cap(window.of(per_host))?, true);
                    }
                }
            }
        }
        Ok(counters)
    }

    /// The limits set for the candidate's asset by itself.
    fn asset<'a>(&'a self, candidate: &'a Candidate) -> impl Iterator<Item = &'a tollway_core::AssetLimits> {
        let Candidate { offer, network } = candidate;
        let wanted = network.canonical(&offer.asset).ok();
        self.config
            .assets
            .iter()
            .filter(move |limits| limits.network == offer.network && network.canonical(&limits.asset).ok() == wanted)
    }

    fn asset_cap(&self, candidate: &Candidate, window: Window) -> Option<Amount> {
        let caps = self.asset(candidate).filter_map(|limits| match window {
            Window::Hour => limits.per_hour,
            Window::Day => limits.per_day,
            Window::Total => limits.total,
        });
        caps.min()
    }
}

impl Policy for Budget {
    /// All that needs no books: origins, recipients, the single payment.
    fn allows(&self, purchase: &Purchase<'_>, candidate: &Candidate) -> Result<(), String> {
        let Candidate { offer, network } = candidate;
        if let Some(hosts) = &self.config.hosts
            && !origin::normalize(purchase.origin).is_some_and(|origin| hosts.contains(&origin))
        {
            return Err(format!("{} is not among the budget's hosts", purchase.origin));
        }
        if let Some(payees) = &self.config.payees {
            let wanted = network.canonical(&offer.pay_to).map_err(|why| why.to_string())?;
            if !payees.iter().any(|payee| network.canonical(payee).is_ok_and(|known| known == wanted)) {
                return Err(format!("{} is not among the budget's payees", offer.pay_to));
            }
        }
        let BudgetConfig { limits, per_host, .. } = &self.config;
        let units = units(candidate)?;
        for (unit, amount) in &units {
            for limit in [&limits.per_payment, &per_host.per_payment].into_iter().flatten() {
                if unit.cap(Some(limit))?.is_some_and(|cap| *amount > cap) {
                    return Err(format!("{} is above the budget's {limit} for one payment", unit.show(*amount)));
                }
            }
        }
        if let Some(cap) = self.asset(candidate).filter_map(|limits| limits.per_payment).min()
            && offer.amount > cap
        {
            return Err(format!("{} units are above the budget's {cap} for one payment", offer.amount));
        }
        let named = |limit: &Money| units.iter().any(|(unit, _)| unit.is_in(limit));
        let mut money = self.money().peekable();
        if money.peek().is_some() && self.asset(candidate).next().is_none() && !money.any(named) {
            return Err(format!(
                "the budget does not say how much of {} on {} may be spent; add it to the budget's assets",
                offer.asset, offer.network
            ));
        }
        Ok(())
    }
}

/// A limit in units of [`MONEY_DECIMALS`].
fn money_cap(limit: &Money) -> Result<Amount, String> {
    limit.to_amount(MONEY_DECIMALS).map_err(|why| why.to_string())
}
