//! [`SqliteSessions`]: the store `sessions/sqlite`. Who paid before a restart comes back after it.

use super::op::{self, Answer, Op};
use super::{Books, Reads, sessions_by_books};
use crate::sqlite::file::{self, SqliteFile};
use crate::sqlite::ledger::SqliteConfig;
use crate::sqlite::pen::{Opened, Pen};
use crate::trouble::Failed;
use crate::writer::{Answers, Failed as NotWritten, Transactions, Writer};
use async_trait::async_trait;
use sqlx::Connection;
use sqlx::sqlite::SqliteConnection;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use tollway_core::{AccountId, Build, BuildContext, Fault};
use tollway_siwx::{Entered, Entitlement, Entry, SharedSessions};

mod tables {
    crate::sessions::tables::session_tables!(sqlx::Sqlite, sqlx::sqlite::SqliteConnection, "", "");
}

/// Sessions in one SQLite file, for one process at a time. What is answered is durable, after a power cut too.
///
/// Opened twice in one process it is one store. Its file is its own, and it ends with its runtime: open it on the one that
/// uses it. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct SqliteSessions {
    books: Arc<Books<Arc<SqliteFile>>>,
}

/// Every file this process has open.
static OPEN: Opened<Books<Arc<SqliteFile>>> = Opened::new();

impl fmt::Debug for SqliteSessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteSessions").finish_non_exhaustive()
    }
}

impl SqliteSessions {
    /// Opens a file, or makes it.
    ///
    /// # Errors
    /// Another process or another store has it open, it is damaged, of another program or of a newer version, or its folder
    /// cannot be used; says what to do.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self, String> {
        let books = OPEN.get(
            path.as_ref(),
            |books| !books.is_closed(),
            async |place: &Path| {
                let file = Arc::new(SqliteFile::open(place).await?);
                let writer = Writer::start(Desk(Pen::new(file.clone(), None)));
                Ok(Books::new(file, writer))
            },
        );
        Ok(Self { books: books.await? })
    }
}

sessions_by_books!(SqliteSessions);

impl Build for SqliteSessions {
    type Config = SqliteConfig;
    const EXAMPLE: &'static str = r#"{ "path": "sessions.db" }"#;

    async fn build(config: SqliteConfig, _: BuildContext) -> Result<Self, String> {
        Self::open(config.path).await
    }
}

impl From<SqliteSessions> for SharedSessions {
    fn from(store: SqliteSessions) -> Self {
        Self::new(store)
    }
}

#[async_trait]
impl Reads for Arc<SqliteFile> {
    async fn look(&self, entry: &Entry<'_>) -> Result<Option<Entered>, Fault> {
        // All of it is as of one moment.
        let mut tx = self.readers.begin().await.map_err(file::fault)?;
        tables::look(&mut tx, entry).await.map_err(file::fault)
    }

    async fn entitlements(&self, account: &AccountId, now: u64) -> Result<Vec<Entitlement>, Fault> {
        let mut connection = self.readers.acquire().await.map_err(file::fault)?;
        tables::entitlements(&mut connection, account, now).await.map_err(file::fault)
    }
}

/// Writes.
struct Desk(Pen);

async fn transact(on: &mut SqliteConnection, ops: &[Op]) -> Result<Answers<Answer>, Failed> {
    let mut tx = on.begin_with("BEGIN IMMEDIATE").await?;
    if let Some((before, most)) = op::forgettable(ops) {
        tables::sweep(&mut tx, before, most).await?;
    }
    let mut answers = Vec::with_capacity(ops.len());
    for op in ops {
        answers.push(Ok(tables::apply(&mut tx, op).await?));
    }
    tx.commit().await?;
    Ok(answers)
}

impl Transactions for Desk {
    type Op = Op;

    async fn write(&mut self, ops: &mut [Op]) -> Result<Answers<Answer>, NotWritten> {
        self.0.write(async |on| transact(on, ops).await).await
    }

    async fn close(self) {
        self.0.close().await;
    }
}
