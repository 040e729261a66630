//! [`Report`]: what a suite found, all of it at once.

use std::fmt;
use std::sync::{Mutex, PoisonError};

/// What a suite checked and what did not hold.
#[derive(Debug, Clone, Default)]
#[must_use = "a report that nobody reads proves nothing; call .assert()"]
#[non_exhaustive]
pub struct Report {
    /// What was tested.
    pub subject: String,
    /// How many checks ran.
    pub checks: usize,
    /// What did not hold, each with its rule.
    pub failures: Vec<Failure>,
}

/// A rule that does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Failure {
    /// The rule, such as `claims: letter case`.
    pub rule: &'static str,
    /// Where and how it is broken.
    pub what: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}] {}", self.rule, self.what)
    }
}

impl Report {
    /// Panics with every failure, and also if nothing was checked.
    ///
    /// # Panics
    /// There are failures.
    #[track_caller]
    pub fn assert(self) {
        assert!(self.checks > 0, "{}: nothing was checked", self.subject);
        assert!(self.failures.is_empty(), "{self}");
    }

    /// Whether a rule was found broken: for suites that are themselves tested on broken subjects.
    pub fn caught(&self, rule: &str) -> bool {
        self.failures.iter().any(|failure| failure.rule == rule)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} of {} checks failed", self.subject, self.failures.len(), self.checks)?;
        self.failures.iter().try_for_each(|failure| write!(f, "\n  {failure}"))
    }
}

/// Collects a report while a suite runs.
pub(crate) struct Notes {
    report: Mutex<Report>,
}

impl Notes {
    pub(crate) fn new(subject: impl Into<String>) -> Self {
        Self { report: Mutex::new(Report { subject: subject.into(), ..Report::default() }) }
    }

    fn with(&self, change: impl FnOnce(&mut Report)) {
        change(&mut self.report.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// One check: `what` is made only where it failed.
    pub(crate) fn check(&self, rule: &'static str, holds: bool, what: impl FnOnce() -> String) {
        self.with(|report| {
            report.checks = report.checks.saturating_add(1);
            if !holds {
                report.failures.push(Failure { rule, what: what() });
            }
        });
    }

    /// A check whose error says what failed; gives the value where it held.
    pub(crate) fn take<T, E: fmt::Display>(
        &self,
        rule: &'static str,
        result: Result<T, E>,
        at: impl FnOnce() -> String,
    ) -> Option<T> {
        match result {
            Ok(value) => {
                self.check(rule, true, String::new);
                Some(value)
            }
            Err(why) => {
                self.check(rule, false, || format!("{}: {why}", at()));
                None
            }
        }
    }

    pub(crate) fn finish(self) -> Report {
        self.report.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}
