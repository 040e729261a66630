//! [`SqliteFile`]: one file, open in one process, brought up to date. Whatever store this crate keeps in SQLite stands on it.

use crate::migrations::{self, Script};
use crate::trouble::{Failed, Trouble, said};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{ConnectOptions, Connection, query, query_scalar};
use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::{Instant, sleep};
use tollway_core::{Fault, FaultKind};

/// Every migration, oldest first.
const MIGRATIONS: [Script; 4] = [
    ("ledger", include_str!("../../migrations/sqlite/1_ledger.sql")),
    ("budgets", include_str!("../../migrations/sqlite/2_budgets.sql")),
    ("sessions", include_str!("../../migrations/sqlite/3_sessions.sql")),
    ("tokens", include_str!("../../migrations/sqlite/4_tokens.sql")),
];
/// Marks a file as this crate's: "TOLL".
const APPLICATION: i64 = 0x544f_4c4c;
const MARK: &str = "PRAGMA application_id = 0x544f4c4c";
/// How long the file's former owner is waited for, which may be about to end.
const HANDOVER: Duration = Duration::from_secs(2);
/// How long a connection is waited for, and a lock inside of this process.
const PATIENCE: Duration = Duration::from_secs(5);
/// Readers at once. They are quick, and the disk is one.
const READERS: u32 = 4;

pub(crate) struct SqliteFile {
    pub(crate) readers: SqlitePool,
    options: SqliteConnectOptions,
    /// Held for as long as anything of the file is in use, and let go by the operating system however the process ends.
    _lock: File,
}

/// The one name of a file, whether or not it exists yet.
pub(crate) fn place(path: &Path) -> Result<PathBuf, String> {
    if let Ok(place) = path.canonicalize() {
        return Ok(place);
    }
    let name = path.file_name().ok_or_else(|| format!("`{}` is no path of a file", path.display()))?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let folder = folder.canonicalize().map_err(|why| {
        format!("the folder {} for the store's file cannot be used: {why}; create it first", folder.display())
    })?;
    Ok(folder.join(name))
}

impl SqliteFile {
    /// Opens a file that [`place`] named; creates it if there is none.
    pub(crate) async fn open(place: &Path) -> Result<Self, String> {
        let shown = place.display().to_string();
        let lock = lock(place).await?;
        create(place).map_err(|why| format!("{shown} cannot be written: {why}"))?;
        let unreadable = |why: sqlx::Error| match code(&why) {
            Some(NOT_A_DATABASE | CORRUPT) => format!(
                "{shown} is no SQLite database, or is damaged ({}); restore a backup, or name another file",
                said(&why)
            ),
            _ => format!("{shown} cannot be opened: {}", said(&why)),
        };
        let is_new = match whose(place).await.map_err(unreadable)? {
            Whose::Nobodys => true,
            Whose::Ours => false,
            Whose::Anothers => return Err(format!("{shown} is a database of another program; name another file")),
        };
        let options = SqliteConnectOptions::new()
            .filename(place)
            .journal_mode(SqliteJournalMode::Wal)
            // Durable means after a power cut too, on every system.
            .synchronous(SqliteSynchronous::Full)
            .pragma("fullfsync", "1")
            .pragma("checkpoint_fullfsync", "1")
            // The log is cut back to this after a checkpoint: 16 MiB.
            .pragma("journal_size_limit", "16777216")
            .busy_timeout(PATIENCE)
            .disable_statement_logging();
        let mut first = options.connect().await.map_err(unreadable)?;
        if is_new {
            query(MARK).execute(&mut first).await.map_err(unreadable)?;
        }
        migrations::run(&MIGRATIONS, &mut first, &shown).await?;
        first.close().await.map_err(unreadable)?;
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            .acquire_timeout(PATIENCE)
            .idle_timeout(Duration::from_secs(60))
            .connect_lazy_with(options.clone().read_only(true));
        Ok(Self { readers, options, _lock: lock })
    }

    /// A connection that writes.
    pub(crate) async fn connect(&self) -> Result<SqliteConnection, sqlx::Error> {
        self.options.connect().await
    }
}

/// The lock is a file beside the database: SQLite locks the database itself, and only while it writes.
async fn lock(place: &Path) -> Result<File, String> {
    let mut path = place.as_os_str().to_owned();
    path.push(".lock");
    let path = PathBuf::from(path);
    let cannot = |why: std::io::Error| format!("the lock {} cannot be taken: {why}", path.display());
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path).map_err(cannot)?;
    let until = Instant::now() + HANDOVER;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(why)) => return Err(cannot(why)),
            Err(TryLockError::WouldBlock) if Instant::now() < until => sleep(Duration::from_millis(50)).await,
            Err(TryLockError::WouldBlock) => {
                return Err(format!(
                    "{} is open in another process or for another store, and a SQLite file belongs to one at a time; stop \
                     that process, or give this one a file of its own",
                    place.display()
                ));
            }
        }
    }
}

/// Makes the file, for nobody else to read: callers' tokens are in it. SQLite gives its log the same permissions.
fn create(place: &Path) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(place).map(drop)
}

enum Whose {
    Nobodys,
    Ours,
    Anothers,
}

/// Looks before anything is written: a database of another program is left as it is.
async fn whose(place: &Path) -> Result<Whose, sqlx::Error> {
    let options = SqliteConnectOptions::new().filename(place).read_only(true).disable_statement_logging();
    let mut connection = options.connect().await?;
    let mark: i64 = query_scalar("PRAGMA application_id").fetch_one(&mut connection).await?;
    let tables: i64 = query_scalar("SELECT count(*) FROM sqlite_schema").fetch_one(&mut connection).await?;
    connection.close().await?;
    Ok(match (mark, tables) {
        (APPLICATION, _) => Whose::Ours,
        (0, 0) => Whose::Nobodys,
        _ => Whose::Anothers,
    })
}

const BUSY: i64 = 5;
const READ_ONLY: i64 = 8;
const IO: i64 = 10;
const CORRUPT: i64 = 11;
const FULL: i64 = 13;
const CANNOT_OPEN: i64 = 14;
const NOT_A_DATABASE: i64 = 26;

/// SQLite's primary result code.
fn code(why: &sqlx::Error) -> Option<i64> {
    let code: i64 = why.as_database_error()?.code()?.parse().ok()?;
    Some(code & 0xff)
}

/// What a failed call means, and whether it is the fault of the whole file and not of what was to be written.
pub(crate) fn trouble(why: &sqlx::Error) -> (Trouble, bool) {
    let of_all = |kind, help: &str| {
        (Trouble::new(kind, format!("the store's file cannot be used: {}; {help}", said(why))), true)
    };
    match (why, code(why)) {
        (_, Some(FULL)) => of_all(FaultKind::Unreachable, "make room on its disk"),
        (_, Some(BUSY)) => {
            of_all(FaultKind::Timeout, "another program holds it; nothing but this process may write it")
        }
        (_, Some(IO | CANNOT_OPEN | READ_ONLY)) => {
            of_all(FaultKind::Unreachable, "see that its disk is there and can be written")
        }
        (_, Some(CORRUPT | NOT_A_DATABASE)) => of_all(FaultKind::Internal, "it is damaged: restore a backup"),
        (sqlx::Error::Database(_), _) => {
            (Trouble::internal(format!("the store's file refused a row: {}", said(why))), false)
        }
        (sqlx::Error::PoolTimedOut, _) => of_all(FaultKind::Timeout, "too much is read at once; ask again"),
        _ => of_all(FaultKind::Unreachable, "ask again"),
    }
}

/// The fault of a call that did not get what it asked for.
pub(crate) fn fault(why: impl Into<Failed>) -> Fault {
    match why.into() {
        Failed::Sql(why) => trouble(&why).0.fault(),
        Failed::Row(why) => why,
    }
}
