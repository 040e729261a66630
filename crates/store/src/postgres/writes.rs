//! [`Desks`]: transactions on the one connection of a process that writes, tried again where another process was in the
//! way or the answer was lost.

use super::database::Database;
use super::lease::Lease;
use super::tables;
use super::trouble::{Failed, bounded, trouble};
use crate::ledger::desk::Desk;
use crate::ledger::op::{Answer, Op, Wanted};
use crate::ledger::record::clamp;
use crate::trouble::Trouble;
use crate::writer::{Answers, DOUBT, Failed as NotWritten, Transactions};
use sqlx::Connection;
use sqlx::postgres::PgConnection;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};
use tollway_core::{Clock, FaultKind};

/// How often a transaction is tried that other processes were in the way of.
const TRIES: u32 = 10;
/// Between two tries, at first; more with each.
const PAUSE: Duration = Duration::from_millis(2);
/// Between two tries to find out what became of a commit.
const ASK_AGAIN: Duration = Duration::from_millis(100);

pub(super) struct Desks {
    database: Arc<Database>,
    lease: Arc<Lease>,
    clock: Arc<dyn Clock>,
    connection: Option<PgConnection>,
    /// Whether a commit was sent that was not answered.
    committing: bool,
}

/// Whether another process was in the way: it put the same row in, or each waited for the other.
fn is_conflict(why: &Failed) -> bool {
    let Failed::Sql(sqlx::Error::Database(error)) = why else { return false };
    matches!(error.code().as_deref(), Some("23505" | "40001" | "40P01"))
}

impl Desks {
    pub(super) fn new(database: Arc<Database>, lease: Arc<Lease>, clock: Arc<dyn Clock>) -> Self {
        Self { database, lease, clock, connection: None, committing: false }
    }

    /// One try. The connection is kept if its transaction ended well; else it is dropped, and with it whatever state it was
    /// in.
    async fn transact(&mut self, ops: &mut [Op]) -> Result<Answers<Answer>, Failed> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.database.connect().await?,
        };
        let now = self.clock.now();
        let wanted = Wanted::by(ops);
        if wanted.takes > 0 {
            tables::sweep(&mut connection, clamp(now), wanted.takes).await?;
        }
        let mut desk = Desk::new(now);
        let mut tx = connection.begin().await?;
        let renewed = self.lease.renew_if_unsure(&mut tx).await?;
        tables::load(&mut tx, &wanted, self.lease.holder, &mut desk).await?;
        let answers = ops.iter_mut().map(|op| desk.decide(op)).collect();
        let written = tables::store(&mut tx, &desk.changes()).await;
        if let Err(why) = written {
            if is_conflict(&why) && tx.rollback().await.is_ok() {
                self.connection = Some(connection);
            }
            return Err(why);
        }
        self.committing = true;
        tx.commit().await?;
        self.committing = false;
        renewed.into_iter().for_each(|asked| self.lease.renewed(asked));
        self.connection = Some(connection);
        Ok(answers)
    }
}

impl Transactions for Desks {
    type Op = Op;

    async fn write(&mut self, ops: &mut [Op]) -> Result<Answers<Answer>, NotWritten> {
        let mut tries = 0;
        let mut doubt = None;
        loop {
            tries += 1;
            // It may have been closed while nobody asked, as it is when the database is started anew.
            let may_be_stale = self.connection.is_some();
            self.committing = false;
            let why = match bounded(self.transact(ops)).await {
                Ok(answers) => return Ok(answers),
                Err(why) => why,
            };
            let conflict = is_conflict(&why);
            if self.committing && !conflict {
                doubt.get_or_insert_with(Instant::now);
            }
            let (trouble, of_all) = match &why {
                Failed::Sql(why) => trouble(why),
                Failed::Row(why) => (Trouble::new(why.kind, why.to_string()), false),
            };
            match doubt {
                // A damaged row is no less damaged later.
                Some(since) if !of_all || since.elapsed() >= DOUBT => return Err(NotWritten::Doubt(trouble)),
                Some(_) => sleep(ASK_AGAIN).await,
                None if conflict && tries < TRIES => sleep(PAUSE * tries).await,
                None if conflict => return Err(NotWritten::All(trouble)),
                None if of_all && may_be_stale && trouble.kind == FaultKind::Unreachable && tries < TRIES => {}
                None if of_all => return Err(NotWritten::All(trouble)),
                None => return Err(NotWritten::One(trouble)),
            }
        }
    }

    async fn close(self) {
        if let Some(connection) = self.connection {
            let _ = bounded(connection.close()).await;
        }
        self.database.pool.close().await;
    }
}
