//! [`SqliteLedger`]: the ledger `sqlite`.

use super::file::{self, SqliteFile};
use super::pen::{Opened, Pen};
use super::tables;
use crate::ledger::desk::Desk;
use crate::ledger::ids::{self, Id};
use crate::ledger::op::{Answer, Holder, Op, Wanted};
use crate::ledger::record::{Entry, clamp, exact};
use crate::ledger::{Books, Reads, ledger_by_books};
use crate::trouble::Failed;
use crate::writer::{Answers, Failed as NotWritten, Transactions, Writer};
use serde::Deserialize;
use sqlx::Connection;
use sqlx::sqlite::SqliteConnection;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use tollway_core::{Build, BuildContext, Clock, Fault, OpenSlot, SignedTx, Ticket};

/// The section of the ledger `sqlite`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct SqliteConfig {
    /// The file; made if there is none, in a folder that exists. Two more stand beside it while it is open (`-wal`, `-shm`),
    /// and a `.lock`.
    pub path: PathBuf,
}

/// The ledger in one SQLite file, for one process at a time. What is answered is durable, after a power cut too.
///
/// Opened twice in one process, as a server and a facilitator with the same section do, it is one store with two holders.
/// It ends with its runtime: open it on the one that uses it.
#[derive(Debug)]
pub struct SqliteLedger {
    books: Books<Reader>,
    shared: Arc<Shared>,
}

/// Every file this process has open.
static OPEN: Opened<Shared> = Opened::new();

/// One opening of a file.
#[derive(Debug)]
struct Shared {
    reader: Reader,
    writer: Writer<Op>,
    living: Arc<Living>,
}

/// Holders that may be at work: those of this process that were not dropped.
#[derive(Debug)]
struct Living {
    clock: Arc<dyn Clock>,
    holders: Mutex<BTreeSet<Holder>>,
}

impl Living {
    fn with<T>(&self, change: impl FnOnce(&mut BTreeSet<Holder>) -> T) -> T {
        change(&mut self.holders.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl SqliteLedger {
    /// Opens a file, or makes it.
    ///
    /// # Errors
    /// Another process has it open, it is damaged, of another program or of a newer version, or its folder cannot be used;
    /// says what to do.
    pub async fn open(path: impl AsRef<Path>, clock: Arc<dyn Clock>) -> Result<Self, String> {
        let usable = |shared: &Shared| !shared.writer.is_closed();
        let shared = OPEN.get(path.as_ref(), usable, async |place: &Path| Shared::open(place, clock).await).await?;
        Self::join(shared).map_err(|why| why.to_string())
    }

    /// Another holder of a store that is open.
    fn join(shared: Arc<Shared>) -> Result<Self, Fault> {
        let holder = exact(ids::unique()?, "the holder")?;
        shared.living.with(|holders| holders.insert(holder));
        Ok(Self { books: Books::new(shared.reader.clone(), shared.writer.clone(), holder), shared })
    }

    /// Counts as dead from now on: others go on with what it held. Dropping it does the same.
    pub fn leave(&self) {
        self.shared.living.with(|holders| holders.remove(&self.books.holder));
    }

    fn may_be_shared(&self) -> bool {
        self.shared.living.with(|holders| holders.len()) > 1
    }

    /// Nobody takes it for dead before it says so itself.
    fn term(&self) -> Option<u64> {
        self.shared.living.with(|holders| holders.contains(&self.books.holder)).then_some(0)
    }
}

ledger_by_books!(SqliteLedger);

impl Drop for SqliteLedger {
    fn drop(&mut self) {
        self.leave();
    }
}

impl Build for SqliteLedger {
    type Config = SqliteConfig;
    const EXAMPLE: &'static str = r#"{ "path": "tollway.db" }"#;

    async fn build(config: SqliteConfig, cx: BuildContext) -> Result<Self, String> {
        Self::open(config.path, cx.clock).await
    }
}

impl Shared {
    async fn open(place: &Path, clock: Arc<dyn Clock>) -> Result<Self, String> {
        let file = Arc::new(SqliteFile::open(place).await?);
        let living = Arc::new(Living { clock, holders: Mutex::default() });
        let unusable = |why: sqlx::Error| file::trouble(&why).0.message;
        let mut connection = file.connect().await.map_err(unusable)?;
        tables::bury(&mut connection, clamp(living.clock.now())).await.map_err(unusable)?;
        let reader = Reader { file: file.clone(), living: living.clone() };
        let pen = Pen::new(file, Some(connection));
        let writer = Writer::start(Desks { pen, living: living.clone() });
        Ok(Self { reader, writer, living })
    }
}

/// Writes.
struct Desks {
    pen: Pen,
    living: Arc<Living>,
}

async fn transact(on: &mut SqliteConnection, living: &Living, ops: &mut [Op]) -> Result<Answers<Answer>, Failed> {
    let now = living.clock.now();
    let wanted = Wanted::by(ops);
    let mut desk = Desk::new(now);
    living.with(|holders| holders.iter().for_each(|holder| desk.put_alive(*holder)));
    let mut tx = on.begin_with("BEGIN IMMEDIATE").await?;
    if wanted.takes > 0 {
        tables::sweep(&mut tx, clamp(now), wanted.takes).await?;
    }
    tables::load(&mut tx, &wanted, &mut desk).await?;
    let answers = ops.iter_mut().map(|op| desk.decide(op)).collect();
    tables::store(&mut tx, &desk.changes()).await?;
    tx.commit().await?;
    Ok(answers)
}

impl Transactions for Desks {
    type Op = Op;

    /// A disk that hangs hangs this too; callers wait no longer than they said.
    async fn write(&mut self, ops: &mut [Op]) -> Result<Answers<Answer>, NotWritten> {
        let living = &self.living;
        self.pen.write(async |on| transact(on, living, ops).await).await
    }

    async fn close(self) {
        self.pen.close().await;
    }
}

#[derive(Clone)]
struct Reader {
    file: Arc<SqliteFile>,
    living: Arc<Living>,
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader").finish_non_exhaustive()
    }
}

#[async_trait::async_trait]
impl Reads for Reader {
    async fn find(&self, id: Id) -> Result<Option<(Entry, bool, Option<OpenSlot<SignedTx>>)>, Fault> {
        let mut tx = self.file.readers.begin().await.map_err(file::fault)?;
        let found = tables::find(&mut tx, &id).await.map_err(file::fault)?;
        Ok(found.map(|(entry, slot)| {
            let alive = self.living.with(|holders| holders.contains(&entry.holder));
            (entry, alive, slot)
        }))
    }

    async fn open(&self, limit: i64) -> Result<Vec<OpenSlot<SignedTx>>, Fault> {
        let mut tx = self.file.readers.begin().await.map_err(file::fault)?;
        tables::open(&mut tx, limit).await.map_err(file::fault)
    }

    async fn handed(&self, holder: Holder, limit: i64) -> Result<Vec<Ticket>, Fault> {
        let mut connection = self.file.readers.acquire().await.map_err(file::fault)?;
        tables::handed(&mut connection, holder, limit).await.map_err(file::fault)
    }
}
