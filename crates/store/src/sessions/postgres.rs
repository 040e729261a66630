//! [`PostgresSessions`]: the store `sessions/postgres`. Several servers share what was paid for at any of them.

use super::op::{self, Answer, Op};
use super::{Books, Reads, sessions_by_books};
use crate::postgres::database::{Database, PostgresConfig};
use crate::postgres::trouble::{Failed, bounded, fault};
use crate::writer::{Answers, Failed as NotWritten, Transactions, Writer};
use async_trait::async_trait;
use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use tokio::task::JoinSet;
use tollway_core::{AccountId, Build, BuildContext, Fault, FaultKind, Secret};
use tollway_siwx::{Entered, Entitlement, Entry, SharedSessions};

mod tables {
    crate::sessions::tables::session_tables!(
        sqlx::Postgres,
        sqlx::postgres::PgConnection,
        " FOR UPDATE OF e",
        " FOR UPDATE SKIP LOCKED"
    );
}

/// Sessions in a PostgreSQL database, for any number of servers at once. What is answered is durable.
///
/// A commit whose answer is lost on the way is told as a failure: a call may have been taken then, and is never given twice.
/// It ends with its runtime: open it on the one that uses it. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct PostgresSessions {
    books: Arc<Books<Arc<Database>>>,
}

impl fmt::Debug for PostgresSessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresSessions").finish_non_exhaustive()
    }
}

impl PostgresSessions {
    /// Connects to the database at a URL, with so many connections at most, and makes its tables.
    ///
    /// # Errors
    /// It cannot be reached, is too old or of a newer version of Tollway, or the user may not do what is needed; says what
    /// to do, and nothing of what the URL holds.
    pub async fn open(url: &Secret, connections: NonZeroU32) -> Result<Self, String> {
        Database::open(url, connections).await.map(Self::on)
    }

    fn on(database: Database) -> Self {
        let database = Arc::new(database);
        let writer = Writer::start(Desks(database.clone()));
        Self { books: Arc::new(Books::new(database, writer)) }
    }
}

sessions_by_books!(PostgresSessions);

impl Build for PostgresSessions {
    type Config = PostgresConfig;
    const EXAMPLE: &'static str = r#"{ "url": "env:DATABASE_URL" }"#;

    async fn build(config: PostgresConfig, cx: BuildContext) -> Result<Self, String> {
        Database::configured(&config, &cx).await.map(Self::on)
    }
}

impl From<PostgresSessions> for SharedSessions {
    fn from(store: PostgresSessions) -> Self {
        Self::new(store)
    }
}

#[async_trait]
impl Reads for Arc<Database> {
    async fn look(&self, entry: &Entry<'_>) -> Result<Option<Entered>, Fault> {
        let looked = bounded::<_, Failed>(async { tables::look(&mut *self.pool.acquire().await?, entry).await });
        Ok(looked.await?)
    }

    async fn entitlements(&self, account: &AccountId, now: u64) -> Result<Vec<Entitlement>, Fault> {
        let listed =
            bounded::<_, Failed>(async { tables::entitlements(&mut *self.pool.acquire().await?, account, now).await });
        Ok(listed.await?)
    }
}

/// Writes: each call in a transaction of its own, as many at once as there are connections. Calls of one transaction would
/// lock rows in an order that another server's may cross.
struct Desks(Arc<Database>);

async fn write(database: &Database, op: &Op) -> Result<Answer, Fault> {
    let written = bounded::<_, Failed>(async {
        let mut tx = database.pool.begin().await?;
        let answer = tables::apply(&mut tx, op).await?;
        tx.commit().await?;
        Ok(answer)
    });
    Ok(written.await?)
}

/// Forgetting can wait: where it fails, the next does it.
async fn forget(database: &Database, before: u64, most: i64) {
    let swept = bounded(async { tables::sweep(&mut *database.pool.acquire().await?, before, most).await });
    if let Err(why) = swept.await {
        tracing::debug!(why = %fault(&why), "what has ended could not be forgotten");
    }
}

impl Transactions for Desks {
    type Op = Op;

    async fn write(&mut self, ops: &mut [Op]) -> Result<Answers<Answer>, NotWritten> {
        if let Some((before, most)) = op::forgettable(ops) {
            forget(&self.0, before, most).await;
        }
        let mut writing = JoinSet::new();
        for (number, op) in ops.iter().enumerate() {
            let (database, op) = (self.0.clone(), op.clone());
            writing.spawn(async move { (number, write(&database, &op).await) });
        }
        let lost = || Err(Fault::new(FaultKind::Internal, "a call to the store of sessions ended abnormally"));
        let mut answers: Answers<Answer> = ops.iter().map(|_| lost()).collect();
        while let Some(written) = writing.join_next().await {
            if let Ok((number, answer)) = written {
                answers[number] = answer;
            }
        }
        Ok(answers)
    }

    async fn close(self) {
        self.0.pool.close().await;
    }
}
