//! [`Op`]: one call that changes what is remembered of sessions, as it waits for its transaction.

use crate::writer::Operation;
use tollway_core::AccountId;
use tollway_siwx::{Credit, Draw, Drawn, Entered, Entitlement, Entry, Left, Revocation, Scope, Shown, Token};

#[derive(Debug, Clone)]
pub(crate) enum Op {
    Enter(Box<Entering>),
    GiveBack(Drawn),
    Record { entitlement: Entitlement, now: u64 },
    Share { id: String, owner: AccountId, guest: AccountId, now: u64 },
    Unshare { id: String, owner: AccountId, guest: AccountId },
    End(String),
    Revoke { revocation: Revocation, now: u64 },
}

#[derive(Debug)]
pub(crate) enum Answer {
    Entered(Entered),
    /// Whether there was anything to do.
    Done(bool),
}

/// An [`Entry`] that owns what it says.
#[derive(Debug, Clone)]
pub(crate) struct Entering {
    now: u64,
    accounts: Vec<AccountId>,
    nonce: Option<(String, u64)>,
    token: Option<(String, u64)>,
    draw: Option<(Vec<Scope>, Vec<Credit>)>,
}

impl Entering {
    pub(crate) fn new(entry: &Entry<'_>) -> Self {
        Self {
            now: entry.now,
            accounts: entry.accounts.to_vec(),
            nonce: entry.nonce.map(|shown| (shown.nonce.to_owned(), shown.until)),
            token: entry.token.map(|token| (token.id.to_owned(), token.issued_at)),
            draw: entry.draw.map(|draw| (draw.scopes.to_vec(), draw.prices.to_vec())),
        }
    }

    pub(crate) fn entry(&self) -> Entry<'_> {
        let mut entry = Entry::new(self.now, &self.accounts);
        entry.nonce = self.nonce.as_ref().map(|(nonce, until)| Shown::new(nonce, *until));
        entry.token = self.token.as_ref().map(|(id, issued_at)| Token::new(id, *issued_at));
        entry.draw = self.draw.as_ref().map(|(scopes, prices)| Draw::new(scopes).priced(prices));
        entry
    }
}

/// Seconds that what has ended is kept: the clock of whoever asks next may be behind.
const GRACE: u64 = 60;
/// Ended rows of each kind forgotten for each call that writes: forgetting keeps pace, and no call pays for all.
const SWEEP: i64 = 4;

/// Before which second what has ended may be forgotten with these operations, and how much of each kind.
pub(crate) fn forgettable(ops: &[Op]) -> Option<(u64, i64)> {
    let now = ops.iter().filter_map(Op::now).min()?;
    Some((now.saturating_sub(GRACE), SWEEP.saturating_mul(i64::try_from(ops.len()).unwrap_or(i64::MAX))))
}

impl Op {
    /// The time its caller had, if it told.
    fn now(&self) -> Option<u64> {
        match self {
            Self::Enter(entering) => Some(entering.now),
            Self::Record { now, .. } | Self::Share { now, .. } | Self::Revoke { now, .. } => Some(*now),
            Self::GiveBack(_) | Self::Unshare { .. } | Self::End(_) => None,
        }
    }
}

impl Operation for Op {
    type Answer = Answer;

    fn about(&self) -> String {
        match self {
            Self::Enter(_) => "a sign-in".to_owned(),
            Self::GiveBack(drawn) => format!("what was drawn from the entitlement {} and given back", drawn.id),
            Self::Record { entitlement, .. } => format!("the entitlement {entitlement:?}"),
            Self::Share { id, .. } | Self::Unshare { id, .. } => format!("the sharing of the entitlement {id}"),
            Self::End(id) => format!("the end of the entitlement {id}"),
            Self::Revoke { .. } => "a revocation".to_owned(),
        }
    }

    /// A call that nobody will serve is given back. Its nonce stays used.
    fn undo(self, answer: Option<&Answer>) -> Option<Self> {
        match answer {
            Some(Answer::Entered(Entered::In(Some(drawn)))) if drawn.taken != Left::Time => {
                Some(Self::GiveBack(drawn.clone()))
            }
            _ => None,
        }
    }

    fn is_to_be_sent(&self) -> bool {
        false
    }

    /// What was paid for, what was not served, and what is to be shut.
    fn is_late_better_than_never(&self) -> bool {
        !matches!(self, Self::Enter(_) | Self::Share { .. })
    }
}
