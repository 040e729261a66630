//! Sessions: entitlements, used nonces and revoked tokens of servers, and the tokens clients were given.

pub(crate) mod op;
#[cfg(feature = "postgres")]
mod postgres;
mod row;
#[cfg(feature = "sqlite")]
mod sqlite;
mod tables;
#[cfg(feature = "sqlite")]
mod tokens;

#[cfg(feature = "postgres")]
pub use postgres::PostgresSessions;
#[cfg(feature = "sqlite")]
pub use sqlite::SqliteSessions;
#[cfg(feature = "sqlite")]
pub use tokens::SqliteTokens;

use crate::writer::Writer;
use async_trait::async_trait;
use op::{Answer, Entering, Op};
use tollway_core::{AccountId, Fault, FaultKind};
use tollway_siwx::{Drawn, Entered, Entitlement, Entry, Revocation, SessionStore};

/// What a database answers without its writer.
#[async_trait]
pub(crate) trait Reads: Send + Sync {
    /// Decides an entry that changes nothing, as most do; `None` for one that uses something up.
    async fn look(&self, entry: &Entry<'_>) -> Result<Option<Entered>, Fault>;

    /// What an account owns or shares.
    async fn entitlements(&self, account: &AccountId, now: u64) -> Result<Vec<Entitlement>, Fault>;
}

/// A store on any database: whoever changes nothing reads, and the others share transactions.
pub(crate) struct Books<R> {
    reads: R,
    writer: Writer<Op>,
}

impl<R> Books<R> {
    pub(crate) fn new(reads: R, writer: Writer<Op>) -> Self {
        Self { reads, writer }
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.writer.is_closed()
    }

    async fn done(&self, op: Op) -> Result<bool, Fault> {
        match self.writer.call(op).await? {
            Answer::Done(done) => Ok(done),
            Answer::Entered(_) => Err(mixed_up()),
        }
    }
}

fn mixed_up() -> Fault {
    Fault::new(FaultKind::Internal, "the writer of sessions answered another question")
}

#[async_trait]
impl<R: Reads> SessionStore for Books<R> {
    async fn enter(&self, entry: &Entry<'_>) -> Result<Entered, Fault> {
        if let Some(entered) = self.reads.look(entry).await? {
            return Ok(entered);
        }
        match self.writer.call(Op::Enter(Box::new(Entering::new(entry)))).await? {
            Answer::Entered(entered) => Ok(entered),
            Answer::Done(_) => Err(mixed_up()),
        }
    }

    async fn give_back(&self, drawn: &Drawn) -> Result<(), Fault> {
        self.done(Op::GiveBack(drawn.clone())).await.map(drop)
    }

    async fn record(&self, entitlement: &Entitlement, now: u64) -> Result<(), Fault> {
        self.done(Op::Record { entitlement: entitlement.clone(), now }).await.map(drop)
    }

    async fn entitlements(&self, account: &AccountId, now: u64) -> Result<Vec<Entitlement>, Fault> {
        self.reads.entitlements(account, now).await
    }

    async fn share(&self, id: &str, owner: &AccountId, guest: &AccountId, now: u64) -> Result<bool, Fault> {
        self.done(Op::Share { id: id.to_owned(), owner: owner.clone(), guest: guest.clone(), now }).await
    }

    async fn unshare(&self, id: &str, owner: &AccountId, guest: &AccountId) -> Result<bool, Fault> {
        self.done(Op::Unshare { id: id.to_owned(), owner: owner.clone(), guest: guest.clone() }).await
    }

    async fn end(&self, id: &str) -> Result<bool, Fault> {
        self.done(Op::End(id.to_owned())).await
    }

    async fn revoke(&self, revocation: &Revocation, now: u64) -> Result<(), Fault> {
        self.done(Op::Revoke { revocation: revocation.clone(), now }).await.map(drop)
    }
}

/// Makes a type with `books` a [`SessionStore`].
macro_rules! sessions_by_books {
    ($store:ty) => {
        const _: () = {
            use tollway_core::{AccountId, Fault};
            use tollway_siwx::{Drawn, Entered, Entitlement, Entry, Revocation, SessionStore};

            #[async_trait::async_trait]
            impl SessionStore for $store {
                async fn enter(&self, entry: &Entry<'_>) -> Result<Entered, Fault> {
                    self.books.enter(entry).await
                }

                async fn give_back(&self, drawn: &Drawn) -> Result<(), Fault> {
                    self.books.give_back(drawn).await
                }

                async fn record(&self, entitlement: &Entitlement, now: u64) -> Result<(), Fault> {
                    self.books.record(entitlement, now).await
                }

                async fn entitlements(&self, account: &AccountId, now: u64) -> Result<Vec<Entitlement>, Fault> {
                    self.books.entitlements(account, now).await
                }

                async fn share(&self, id: &str, owner: &AccountId, guest: &AccountId, now: u64) -> Result<bool, Fault> {
                    self.books.share(id, owner, guest, now).await
                }

                async fn unshare(&self, id: &str, owner: &AccountId, guest: &AccountId) -> Result<bool, Fault> {
                    self.books.unshare(id, owner, guest).await
                }

                async fn end(&self, id: &str) -> Result<bool, Fault> {
                    self.books.end(id).await
                }

                async fn revoke(&self, revocation: &Revocation, now: u64) -> Result<(), Fault> {
                    self.books.revoke(revocation, now).await
                }
            }
        };
    };
}
pub(crate) use sessions_by_books;
