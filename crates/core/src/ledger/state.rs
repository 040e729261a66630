//! [`ClaimState`]: what may happen to a claim, in one place for every store.
//!
//! | what happens ↓ / the row is → | none | open | included | pending | undelivered | settled |
//! |---|---|---|---|---|---|---|
//! | `take`, nobody's caller | New | Foreign | Foreign | Foreign | Foreign | Foreign |
//! | `take`, same caller and purchase | New | Again(–) | Again | Again | Again | Again |
//! | `retake`, same purchase | – | – | – | handed out, open | handed out, open | – |
//! | `resolve(Included)` | – | included | included | included | included | – |
//! | `resolve(Pending)` | – | pending | pending | pending | pending | – |
//! | `resolve(Undelivered)` | – | undelivered | undelivered | undelivered | undelivered | – |
//! | `resolve(Settled)` | – | settled | settled | settled | settled | – |
//! | `resolve(Released)` | – | gone | gone | gone | gone | – |
//! | `sign` | refused | kept | kept | kept | refused | refused |
//!
//! An open row whose holder died reads as pending; in a facilitator's books, with nothing signed, as none. `resolve` and
//! `sign` want the newest ticket.

use super::Taken;
use crate::{ClaimRow, Fault, FaultKind, Outcome, Scope, Ticket};

/// A claim's row as a store finds it, before it asks what may happen.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct ClaimState<'a> {
    /// The row.
    pub row: &'a ClaimRow,
    /// Its outcome, if there is one yet.
    pub outcome: Option<&'a Outcome>,
    /// Whether a transaction was signed for it since it was taken.
    pub signed: bool,
    /// Whether its holder may still be at work.
    pub alive: bool,
}

/// What a store has to do with a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Nothing.
    Keep,
    /// Write the outcome.
    Write,
    /// Remove the row, and with it what its transactions wait for.
    Remove,
}

impl<'a> ClaimState<'a> {
    /// Seconds a finished row is kept after its payment died, so that a late repeat still meets its answer.
    pub const GRACE_SECONDS: u64 = 600;
    /// Seconds a finished row without an expiry is kept, and one whose answer somebody may still come for.
    pub const KEEP_SECONDS: u64 = 24 * 3600;

    /// A row of a living holder, with nothing signed.
    pub fn new(row: &'a ClaimRow, outcome: Option<&'a Outcome>) -> Self {
        Self { row, outcome, signed: false, alive: true }
    }

    /// Says whether a transaction was signed for it since it was taken.
    pub fn signed(mut self, signed: bool) -> Self {
        self.signed = signed;
        self
    }

    /// Says whether its holder may still be at work.
    pub fn alive(mut self, alive: bool) -> Self {
        self.alive = alive;
        self
    }

    /// The outcome as anybody sees it: nobody knows what became of a dead holder's open row.
    pub fn seen(&self) -> Option<Outcome> {
        match self.outcome {
            None if !self.alive => Some(Outcome::Pending { transaction: String::new() }),
            outcome => outcome.cloned(),
        }
    }

    /// What [`Ledger::take`](super::Ledger::take) answers to `asking`; `None` if the row is as good as gone: it is replaced, and the
    /// answer is [`Taken::New`].
    pub fn take(&self, asking: &ClaimRow) -> Option<Taken> {
        let abandoned = self.outcome.is_none() && !self.alive && !self.signed;
        if abandoned && self.row.scope == Scope::Facilitator {
            return None;
        }
        Some(match self.row.caller.is(&asking.caller) {
            true if self.row.is_same_purchase(asking) => Taken::Again(self.seen()),
            true => Taken::TokenReused,
            false => Taken::Foreign,
        })
    }

    /// The outcome with which the row is handed to `asking`, after which it is open; `None` if it is not.
    pub fn retake(&self, asking: &ClaimRow) -> Option<Outcome> {
        let waits = |outcome: &Outcome| matches!(outcome, Outcome::Pending { .. } | Outcome::Undelivered(_));
        self.seen().filter(|outcome| waits(outcome) && self.row.is_same_purchase(asking))
    }

    /// What an outcome changes.
    pub fn resolve(&self, ticket: &Ticket, outcome: &Outcome) -> Step {
        if self.row.turn != ticket.turn || matches!(self.outcome, Some(Outcome::Settled(_))) {
            return Step::Keep;
        }
        match outcome {
            Outcome::Released(_) => Step::Remove,
            _ => Step::Write,
        }
    }

    /// When the row may be forgotten after `outcome` was written at `now`, in Unix seconds; `None` if that is open business
    /// of the facilitator, which only the reconciler or its caller ends.
    pub fn forget_at(&self, outcome: &Outcome, now: u64) -> Option<u64> {
        let dead_after = self.row.claim.dead_after;
        let keep = match (outcome, self.row.scope) {
            (Outcome::Pending { .. } | Outcome::Included(_), Scope::Facilitator) => return None,
            (Outcome::Settled(_), _) if dead_after.is_some() => Self::GRACE_SECONDS,
            _ => Self::KEEP_SECONDS,
        };
        Some(dead_after.map_or(now, |dead| dead.max(now)).saturating_add(keep))
    }

    /// Whether a transaction may carry the claim.
    ///
    /// # Errors
    /// The ticket is old, or the claim has ended: sending anything for it could pay twice.
    pub fn sign(&self, ticket: &Ticket) -> Result<(), Fault> {
        let ended = matches!(self.outcome, Some(Outcome::Settled(_) | Outcome::Undelivered(_)));
        match self.row.turn == ticket.turn && !ended {
            true => Ok(()),
            false => Err(Self::lost(ticket)),
        }
    }

    /// The fault of whoever comes with a ticket of a row that is gone or somebody else's.
    pub fn lost(ticket: &Ticket) -> Fault {
        Fault::new(FaultKind::Internal, format!("the claim {} is somebody else's by now; nothing is sent", ticket.key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AccountId, Amount, Caller, Claim, ClaimKey, PaymentPayload, PaymentRequirements, Rejected, Settled};
    use serde_json::json;

    fn row(scope: Scope, token: &str, nonce: u64) -> ClaimRow {
        let network: crate::NetworkId = "fake:1".parse().unwrap();
        let claim = Claim::new(ClaimKey::new(&network, "m", &["a"]), AccountId::new(network.clone(), "alice"));
        let offer = PaymentRequirements::new("exact", network, Amount::from(1), "coin", "payee");
        let raw = PaymentPayload::new(offer.clone(), json!({ "nonce": nonce }));
        ClaimRow::new(scope, claim, raw, offer, Caller::new(token)).with_turn(7)
    }

    fn outcomes() -> Vec<Option<Outcome>> {
        let settled = || Settled::new("tx", "alice");
        vec![
            None,
            Some(Outcome::Included(settled())),
            Some(Outcome::Pending { transaction: "tx".to_owned() }),
            Some(Outcome::Undelivered(settled())),
            Some(Outcome::Settled(settled())),
        ]
    }

    /// Every state there is.
    fn each(mut check: impl FnMut(ClaimState<'_>)) {
        for scope in [Scope::Server, Scope::Facilitator] {
            let row = row(scope, "mine", 1);
            for outcome in outcomes() {
                for bits in 0..4 {
                    check(ClaimState::new(&row, outcome.as_ref()).signed(bits & 1 == 1).alive(bits & 2 == 2));
                }
            }
        }
    }

    fn abandoned(state: &ClaimState<'_>) -> bool {
        state.outcome.is_none() && !state.alive && !state.signed && state.row.scope == Scope::Facilitator
    }

    #[test]
    fn taking_tells_the_caller_and_nobody_else() {
        each(|state| {
            let scope = state.row.scope;
            let gone = abandoned(&state);
            assert_eq!(state.take(&row(scope, "other", 1)), (!gone).then_some(Taken::Foreign), "{state:?}");
            assert_eq!(state.take(&row(scope, "mine", 2)), (!gone).then_some(Taken::TokenReused), "{state:?}");
            let mine = state.take(&row(scope, "mine", 1));
            match (gone, mine) {
                (true, None) => {}
                (false, Some(Taken::Again(None))) => assert!(state.alive && state.outcome.is_none()),
                (false, Some(Taken::Again(Some(told)))) => match state.outcome {
                    Some(outcome) => assert_eq!(told, *outcome),
                    None => assert!(!state.alive && matches!(told, Outcome::Pending { .. })),
                },
                other => panic!("{state:?}: {other:?}"),
            }
        });
    }

    #[test]
    fn what_waits_is_handed_to_the_same_purchase_only() {
        each(|state| {
            let scope = state.row.scope;
            assert_eq!(state.retake(&row(scope, "other", 2)), None, "{state:?}");
            let waits = match state.outcome {
                None => !state.alive,
                Some(outcome) => matches!(outcome, Outcome::Pending { .. } | Outcome::Undelivered(_)),
            };
            assert_eq!(state.retake(&row(scope, "other", 1)).is_some(), waits, "{state:?}");
        });
    }

    #[test]
    fn open_business_is_kept_and_the_rest_until_nobody_can_come_for_it() {
        each(|state| {
            for result in outcomes().iter().flatten() {
                let waits = matches!(result, Outcome::Pending { .. } | Outcome::Included(_));
                let kept = waits && state.row.scope == Scope::Facilitator;
                let timeless = state.forget_at(result, 100);
                assert_eq!(timeless, (!kept).then_some(100 + ClaimState::KEEP_SECONDS), "{state:?} {result:?}");
                let mut row = state.row.clone();
                row.claim = row.claim.dead_after(1000);
                let keep = match result {
                    Outcome::Settled(_) => ClaimState::GRACE_SECONDS,
                    _ => ClaimState::KEEP_SECONDS,
                };
                let mortal = ClaimState::new(&row, None);
                assert_eq!(mortal.forget_at(result, 100), (!kept).then_some(1000 + keep), "{state:?} {result:?}");
                assert_eq!(mortal.forget_at(result, 2000), (!kept).then_some(2000 + keep), "{state:?} {result:?}");
            }
        });
    }

    #[test]
    fn only_the_newest_ticket_changes_a_row_and_a_settled_one_never_changes() {
        let mut results = outcomes();
        results.push(Some(Outcome::Released(Rejected::new(crate::codes::UNEXPECTED_SETTLE_ERROR))));
        each(|state| {
            let ticket = state.row.ticket();
            let old = Ticket { turn: ticket.turn - 1, ..ticket.clone() };
            for result in results.iter().flatten() {
                assert_eq!(state.resolve(&old, result), Step::Keep, "{state:?}");
                let expected = match (state.outcome, result) {
                    (Some(Outcome::Settled(_)), _) => Step::Keep,
                    (_, Outcome::Released(_)) => Step::Remove,
                    _ => Step::Write,
                };
                assert_eq!(state.resolve(&ticket, result), expected, "{state:?} {result:?}");
            }
            assert!(state.sign(&old).is_err(), "{state:?}");
            let ended = matches!(state.outcome, Some(Outcome::Settled(_) | Outcome::Undelivered(_)));
            assert_eq!(state.sign(&ticket).is_err(), ended, "{state:?}");
        });
    }
}
