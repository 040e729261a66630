//! [`SqliteTokens`]: the store `tokens/sqlite`. A client that is started again shows the tokens it was given.

use crate::ledger::record::clamp;
use crate::sqlite::file::{self, SqliteFile};
use crate::sqlite::ledger::SqliteConfig;
use crate::sqlite::pen::{Opened, Pen};
use crate::trouble::Failed;
use crate::writer::Failed as NotWritten;
use async_trait::async_trait;
use sqlx::{Connection, query, query_as};
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use tokio::sync::Mutex;
use tollway_core::{Build, BuildContext, Fault};
use tollway_siwx::{KeptToken, SharedTokens, TokenStore};

/// Most tokens kept for one origin: as many as a server looks at.
const MAX_TOKENS: i64 = 8;
/// Longest life of a token that a client keeps, in seconds: what ended so long before another's end has ended now.
const LONGEST_LIFE: u64 = 7 * 24 * 3600;

/// A client's session tokens in one SQLite file, which nobody else can read, for one process at a time. Opened twice in one
/// process it is one store. Its file is its own.
#[derive(Clone)]
pub struct SqliteTokens {
    shared: Arc<Shared>,
}

struct Shared {
    file: Arc<SqliteFile>,
    pen: Mutex<Pen>,
}

/// Every file this process has open.
static OPEN: Opened<Shared> = Opened::new();

impl fmt::Debug for SqliteTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteTokens").finish_non_exhaustive()
    }
}

impl SqliteTokens {
    /// Opens a file, or makes it.
    ///
    /// # Errors
    /// Another process or another store has it open, it is damaged, of another program or of a newer version, or its folder
    /// cannot be used; says what to do.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self, String> {
        let shared = OPEN.get(
            path.as_ref(),
            |_| true,
            async |place: &Path| {
                let file = Arc::new(SqliteFile::open(place).await?);
                Ok(Shared { pen: Mutex::new(Pen::new(file.clone(), None)), file })
            },
        );
        Ok(Self { shared: shared.await? })
    }
}

impl Build for SqliteTokens {
    type Config = SqliteConfig;
    const EXAMPLE: &'static str = r#"{ "path": "tokens.db" }"#;

    async fn build(config: SqliteConfig, _: BuildContext) -> Result<Self, String> {
        Self::open(config.path).await
    }
}

impl From<SqliteTokens> for SharedTokens {
    fn from(store: SqliteTokens) -> Self {
        Self::new(store)
    }
}

#[async_trait]
impl TokenStore for SqliteTokens {
    async fn keep(&self, origin: &str, token: &KeptToken) -> Result<(), Fault> {
        let (until, ended) = (clamp(token.until), clamp(token.until.saturating_sub(LONGEST_LIFE)));
        let mut pen = self.shared.pen.lock().await;
        let written = pen.write(async |on| {
            let mut tx = on.begin_with("BEGIN IMMEDIATE").await?;
            query("DELETE FROM tokens WHERE until <= ?1").bind(ended).execute(&mut *tx).await?;
            // Given once more, it is the newest.
            let statement = "INSERT OR REPLACE INTO tokens (origin, token, until) VALUES (?1, ?2, ?3)";
            query(statement).bind(origin).bind(&token.token).bind(until).execute(&mut *tx).await?;
            let statement = "DELETE FROM tokens WHERE origin = ?1 AND number NOT IN \
                             (SELECT number FROM tokens WHERE origin = ?1 ORDER BY number DESC LIMIT ?2)";
            query(statement).bind(origin).bind(MAX_TOKENS).execute(&mut *tx).await?;
            Ok(tx.commit().await?)
        });
        written.await.map_err(NotWritten::into_fault)
    }

    async fn of(&self, origin: &str, now: u64) -> Result<Vec<KeptToken>, Fault> {
        let statement =
            "SELECT token, until FROM tokens WHERE origin = ?1 AND until > ?2 ORDER BY number DESC LIMIT ?3";
        let found = query_as(statement).bind(origin).bind(clamp(now)).bind(MAX_TOKENS);
        let found: Vec<(String, i64)> =
            found.fetch_all(&self.shared.file.readers).await.map_err(|why| file::fault(Failed::Sql(why)))?;
        Ok(found.into_iter().map(|(token, until)| KeptToken::new(token, until.unsigned_abs())).collect())
    }
}
