//! [`Op`]: one call that changes the books, as it waits for its transaction.
//!
//! Every operation can be done twice: the numbers it gives out are chosen before it is tried, so that a transaction whose
//! commit was lost on the way can be tried again and finds what it did.

use super::ids::{self, Id};
use tollway_core::{ClaimRow, Found, Hold, NetworkId, Outcome, Rejected, Scope, SignedTx, Taken, Ticket, codes};

/// Who asks. A number is never given out twice.
pub(crate) type Holder = i64;

#[derive(Debug, Clone)]
pub(crate) struct Op {
    pub(crate) holder: Holder,
    pub(crate) what: What,
}

#[derive(Debug, Clone)]
pub(crate) enum What {
    Take {
        row: Box<ClaimRow>,
        turn: u64,
    },
    /// `before` is what the row was when a try found it, for the next one, which may find it taken over by this very
    /// operation.
    Retake {
        row: Box<ClaimRow>,
        turn: u64,
        before: Option<Outcome>,
    },
    Sign {
        tx: Box<SignedTx>,
        claims: Vec<Ticket>,
    },
    /// Takes a [`What::Sign`] back that nobody heard of.
    Unsign {
        tx: Box<SignedTx>,
        claims: Vec<Ticket>,
    },
    Resolve {
        scope: Scope,
        outcomes: Vec<(Ticket, Outcome)>,
    },
    Hold {
        network: NetworkId,
        signer: String,
    },
    HandOver {
        ticket: Ticket,
        network: NetworkId,
        signer: String,
        turn: u64,
    },
    /// Gives rows out that were handed to this holder. `given` are those that a try gave, for the next one, which may find
    /// them given by this very operation.
    Give {
        tickets: Vec<Ticket>,
        given: Vec<Ticket>,
    },
    /// Takes a [`What::Give`] back that nobody heard of.
    HandBack {
        tickets: Vec<Ticket>,
    },
}

#[derive(Debug)]
pub(crate) enum Answer {
    Taken(Taken),
    Retaken(Option<Box<Found<SignedTx>>>),
    Held(Hold),
    HandedOver(bool),
    Given(Vec<ClaimRow>),
    Done,
}

/// What has to be read before an operation can be decided.
#[derive(Debug, Default)]
pub(crate) struct Wanted {
    pub(crate) claims: Vec<Id>,
    pub(crate) tokens: Vec<Id>,
    pub(crate) signers: Vec<(NetworkId, String)>,
    /// Rows that are taken: as many are forgotten, and more, so that forgetting keeps pace.
    pub(crate) takes: usize,
}

impl Wanted {
    /// By all of these, in the one order in which everybody locks.
    pub(crate) fn by(ops: &[Op]) -> Self {
        let mut wanted = Self::default();
        for op in ops {
            wanted.add(&op.what);
        }
        wanted.claims.sort_unstable();
        wanted.claims.dedup();
        wanted.tokens.sort_unstable();
        wanted.tokens.dedup();
        wanted.signers.sort();
        wanted.signers.dedup();
        wanted
    }

    fn add(&mut self, what: &What) {
        let ours = |ticket: &Ticket| ids::claim(Scope::Facilitator, &ticket.key);
        match what {
            What::Take { row, .. } => {
                self.takes = self.takes.saturating_add(1);
                self.claims.push(ids::claim(row.scope, &row.claim.key));
                self.tokens.extend(ids::token(row.scope, &row.caller));
            }
            What::Retake { row, .. } => self.claims.push(ids::claim(row.scope, &row.claim.key)),
            What::Sign { tx, claims } | What::Unsign { tx, claims } => {
                self.claims.extend(claims.iter().map(ours));
                self.signers.push((tx.slot.network.clone(), tx.slot.signer.clone()));
            }
            What::Resolve { scope, outcomes } => {
                self.claims.extend(outcomes.iter().map(|(ticket, _)| ids::claim(*scope, &ticket.key)));
            }
            What::Hold { network, signer } => self.signers.push((network.clone(), signer.clone())),
            What::HandOver { ticket, network, signer, .. } => {
                self.claims.push(ours(ticket));
                self.signers.push((network.clone(), signer.clone()));
            }
            What::Give { tickets, .. } | What::HandBack { tickets } => self.claims.extend(tickets.iter().map(ours)),
        }
    }
}

impl crate::writer::Operation for Op {
    type Answer = Answer;

    fn about(&self) -> String {
        let keys = |keys: &mut dyn Iterator<Item = String>| keys.collect::<Vec<_>>().join(", ");
        match &self.what {
            What::Take { row, .. } | What::Retake { row, .. } => format!("the claim {}", row.claim.key),
            What::Sign { tx, .. } | What::Unsign { tx, .. } => format!("the transaction {}", tx.hash),
            What::Resolve { outcomes, .. } => {
                format!("the outcome of {}", keys(&mut outcomes.iter().map(|(ticket, _)| ticket.key.to_string())))
            }
            What::Hold { network, signer } => format!("the hold on {signer} on {network}"),
            What::HandOver { ticket, .. } => format!("the handing over of {}", ticket.key),
            What::Give { tickets, .. } | What::HandBack { tickets } => {
                format!("the handing over of {}", keys(&mut tickets.iter().map(|ticket| ticket.key.to_string())))
            }
        }
    }

    /// What undoes it if its answer reached nobody: nothing may stay taken that nobody knows to be theirs, and nothing
    /// signed that nobody will send. What was perhaps signed stays: its caller was told that it may be sent.
    fn undo(self, answer: Option<&Answer>) -> Option<Self> {
        let what = match (self.what, answer) {
            (What::Take { row, turn }, None | Some(Answer::Taken(Taken::New(_)))) => {
                let released = Outcome::Released(Rejected::new(codes::UNEXPECTED_SETTLE_ERROR));
                What::Resolve { scope: row.scope, outcomes: vec![(row.with_turn(turn).ticket(), released)] }
            }
            (What::Retake { row, turn, before: Some(before) }, None | Some(Answer::Retaken(Some(_)))) => {
                What::Resolve { scope: row.scope, outcomes: vec![(row.with_turn(turn).ticket(), before)] }
            }
            (What::Sign { tx, claims }, Some(Answer::Done)) => What::Unsign { tx, claims },
            (What::Give { given, .. }, None | Some(Answer::Given(_))) => What::HandBack { tickets: given },
            _ => return None,
        };
        Some(Self { holder: self.holder, what })
    }

    fn is_to_be_sent(&self) -> bool {
        matches!(self.what, What::Sign { .. })
    }

    /// What is true whenever it is written: outcomes, and what takes something back.
    fn is_late_better_than_never(&self) -> bool {
        matches!(self.what, What::Resolve { .. } | What::Unsign { .. } | What::HandBack { .. })
    }
}
