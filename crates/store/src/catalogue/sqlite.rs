//! [`SqliteCatalogue`]: entries in one file. The index of words hands entries out in the order of their rank, so that a
//! search stops as soon as it has enough, however many there are.

use super::{Gathering, at_most, read, signed, tokens, unsigned, written};
use async_trait::async_trait;
use serde::Deserialize;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteRow, SqliteSynchronous,
};
use sqlx::{ConnectOptions, Row, SqliteConnection, query, query_scalar, raw_sql};
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;
use tollway_core::{Build, BuildContext, Fault, FaultKind};
use tollway_discovery::{CatalogueStore, Entry, Filter, Found, Limits, Page, Put, Search, SharedCatalogue};

/// Marks a file as a catalogue of this version: "TOLC".
const MARK: i64 = 0x544f_4c43;
/// How long a connection or the file's lock is waited for.
const PATIENCE: Duration = Duration::from_secs(5);
/// Readers at once.
const READERS: u32 = 4;

const TABLES: &str = "
CREATE TABLE IF NOT EXISTS catalogue (
    number INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    position INTEGER NOT NULL UNIQUE,
    payer TEXT NOT NULL,
    host TEXT NOT NULL,
    next_probe INTEGER NOT NULL,
    price INTEGER,
    entry TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS catalogue_payer ON catalogue (payer);
CREATE INDEX IF NOT EXISTS catalogue_host ON catalogue (host);
CREATE INDEX IF NOT EXISTS catalogue_due ON catalogue (next_probe, number);
CREATE TABLE IF NOT EXISTS catalogue_last (number INTEGER NOT NULL) STRICT;
INSERT INTO catalogue_last SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM catalogue_last);
CREATE VIRTUAL TABLE IF NOT EXISTS catalogue_words
    USING fts5(tokens, content='', contentless_delete=1, tokenize='ascii', detail=none);
PRAGMA application_id = 0x544f4c43;
";

/// A catalogue in a file of its own. Several processes may have it open: one writes at a time.
pub struct SqliteCatalogue {
    readers: SqlitePool,
    writer: SqlitePool,
}

impl fmt::Debug for SqliteCatalogue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteCatalogue").finish_non_exhaustive()
    }
}

/// The section of the store `catalogue/sqlite`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[non_exhaustive]
pub struct SqliteCatalogueConfig {
    /// The file; made if there is none.
    pub path: PathBuf,
}

impl Build for SqliteCatalogue {
    type Config = SqliteCatalogueConfig;
    const EXAMPLE: &'static str = r#"{ "path": "catalogue.db" }"#;

    async fn build(config: SqliteCatalogueConfig, _: BuildContext) -> Result<Self, String> {
        Self::open(&config.path).await
    }
}

impl From<SqliteCatalogue> for SharedCatalogue {
    fn from(store: SqliteCatalogue) -> Self {
        Self::new(store)
    }
}

impl SqliteCatalogue {
    /// Opens a file, or makes it.
    ///
    /// # Errors
    /// It cannot be opened or written, or is a database of another kind.
    pub async fn open(path: &std::path::Path) -> Result<Self, String> {
        let shown = path.display().to_string();
        let cannot =
            |why: sqlx::Error| format!("{shown} cannot be opened: {why}; name another file, or see to its folder");
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // What a crash loses is asked for again: every entry can be had anew from its resource.
            .synchronous(SqliteSynchronous::Normal)
            .busy_timeout(PATIENCE)
            .disable_statement_logging();
        let mut first = options.connect().await.map_err(cannot)?;
        let mark: i64 = query_scalar("PRAGMA application_id").fetch_one(&mut first).await.map_err(cannot)?;
        let tables: i64 =
            query_scalar("SELECT count(*) FROM sqlite_schema").fetch_one(&mut first).await.map_err(cannot)?;
        if mark != MARK && (mark, tables) != (0, 0) {
            return Err(format!("{shown} is a database of another kind; a catalogue has a file of its own"));
        }
        raw_sql(TABLES).execute(&mut first).await.map_err(cannot)?;
        drop(first);
        let pool = |most| SqlitePoolOptions::new().max_connections(most).acquire_timeout(PATIENCE);
        Ok(Self {
            readers: pool(READERS).connect_lazy_with(options.clone().read_only(true)),
            writer: pool(1).connect_lazy_with(options),
        })
    }
}

impl SqliteCatalogue {
    /// Writes many entries in one transaction and without limits: for moving a catalogue. One that is there is replaced.
    ///
    /// # Errors
    /// The file cannot be written; nothing was.
    pub async fn import(&self, entries: &[Entry]) -> Result<(), Fault> {
        let mut change = self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(fault)?;
        for entry in entries {
            match query(BY_KEY).bind(&entry.key).fetch_optional(&mut *change).await.map_err(fault)? {
                Some(old) => replace(&mut change, &old, entry).await?,
                None => insert(&mut change, entry).await?,
            }
        }
        change.commit().await.map_err(fault)
    }
}

fn fault(why: sqlx::Error) -> Fault {
    let kind = if matches!(why, sqlx::Error::PoolTimedOut) { FaultKind::Overloaded } else { FaultKind::Unreachable };
    Fault::new(kind, "the catalogue's file cannot be used; see that its disk is there and has room").source(why)
}

fn read_row(row: &SqliteRow) -> Result<Entry, Fault> {
    let text: &str = row.try_get("entry").map_err(fault)?;
    read(text, row.try_get("next_probe").map_err(fault)?)
}

/// The tokens of an entry as the index takes them.
fn text_of(entry: &Entry) -> String {
    tokens::of(entry).join(" ")
}

/// The full-text query for entries that have all that is wanted.
fn matching(words: &[String], filter: &Filter) -> Option<String> {
    let quoted = |token: String| format!("\"{}\"", token.replace('"', "\"\""));
    let wanted = tokens::wanted(words, filter)?;
    Some(wanted.into_iter().map(quoted).collect::<Vec<_>>().join(" AND "))
}

/// Puts the tokens of an entry at its position.
async fn index(on: &mut SqliteConnection, position: i64, tokens: &str) -> Result<(), sqlx::Error> {
    query("INSERT INTO catalogue_words (rowid, tokens) VALUES (?1, ?2)")
        .bind(position)
        .bind(tokens)
        .execute(on)
        .await?;
    Ok(())
}

async fn unindex(on: &mut SqliteConnection, position: i64) -> Result<(), sqlx::Error> {
    query("DELETE FROM catalogue_words WHERE rowid = ?1").bind(position).execute(on).await?;
    Ok(())
}

/// Whether as many entries as may be have this value.
async fn full(on: &mut SqliteConnection, sql: &'static str, value: &str, most: usize) -> Result<bool, sqlx::Error> {
    let count: i64 = query_scalar(sql).bind(value).bind(at_most(most)).fetch_one(on).await?;
    Ok(count >= at_most(most))
}

async fn replace(on: &mut SqliteConnection, old: &SqliteRow, entry: &Entry) -> Result<(), Fault> {
    let number: i64 = old.try_get("number").map_err(fault)?;
    let at: i64 = old.try_get("position").map_err(fault)?;
    let known = read_row(old)?;
    let mut entry = entry.clone();
    entry.listed = known.listed;
    let position = signed(entry.position(unsigned(number)));
    let tokens = text_of(&entry);
    if position != at || tokens != text_of(&known) {
        unindex(on, at).await.map_err(fault)?;
        index(on, position, &tokens).await.map_err(fault)?;
    }
    query(
        "UPDATE catalogue SET position = ?2, payer = ?3, host = ?4, next_probe = ?5, price = ?6, entry = ?7
         WHERE number = ?1",
    )
    .bind(number)
    .bind(position)
    .bind(&entry.payer)
    .bind(&entry.host)
    .bind(signed(entry.next_probe))
    .bind(entry.price.map(signed))
    .bind(written(&entry)?)
    .execute(on)
    .await
    .map_err(fault)?;
    Ok(())
}

async fn insert(on: &mut SqliteConnection, entry: &Entry) -> Result<(), Fault> {
    let number: i64 = query_scalar("UPDATE catalogue_last SET number = number + 1 RETURNING number")
        .fetch_one(&mut *on)
        .await
        .map_err(fault)?;
    let position = signed(entry.position(unsigned(number)));
    query(
        "INSERT INTO catalogue (number, key, position, payer, host, next_probe, price, entry)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )
    .bind(number)
    .bind(&entry.key)
    .bind(position)
    .bind(&entry.payer)
    .bind(&entry.host)
    .bind(signed(entry.next_probe))
    .bind(entry.price.map(signed))
    .bind(written(entry)?)
    .execute(&mut *on)
    .await
    .map_err(fault)?;
    index(on, position, &text_of(entry)).await.map_err(fault)
}

const BY_KEY: &str = "SELECT number, position, next_probe, entry FROM catalogue WHERE key = ?1";

#[async_trait]
impl CatalogueStore for SqliteCatalogue {
    async fn put(&self, entry: &Entry, limits: Limits) -> Result<Put, Fault> {
        let mut change = self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(fault)?;
        let known = query(BY_KEY).bind(&entry.key).fetch_optional(&mut *change).await.map_err(fault)?;
        match known {
            Some(old) => replace(&mut change, &old, entry).await?,
            None => {
                const OF_PAYER: &str = "SELECT count(*) FROM (SELECT 1 FROM catalogue WHERE payer = ?1 LIMIT ?2)";
                const OF_HOST: &str = "SELECT count(*) FROM (SELECT 1 FROM catalogue WHERE host = ?1 LIMIT ?2)";
                if full(&mut change, OF_PAYER, &entry.payer, limits.per_payer).await.map_err(fault)?
                    || full(&mut change, OF_HOST, &entry.host, limits.per_host).await.map_err(fault)?
                {
                    return Ok(Put::OverLimit);
                }
                insert(&mut change, entry).await?;
            }
        }
        change.commit().await.map_err(fault)?;
        Ok(Put::Listed)
    }

    async fn find(&self, key: &str) -> Result<Option<Entry>, Fault> {
        let row = query(BY_KEY).bind(key).fetch_optional(&self.readers).await.map_err(fault)?;
        row.as_ref().map(read_row).transpose()
    }

    async fn remove(&self, key: &str) -> Result<(), Fault> {
        let mut change = self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(fault)?;
        let gone = query_scalar("DELETE FROM catalogue WHERE key = ?1 RETURNING position").bind(key);
        let gone: Option<i64> = gone.fetch_optional(&mut *change).await.map_err(fault)?;
        if let Some(position) = gone {
            unindex(&mut change, position).await.map_err(fault)?;
        }
        change.commit().await.map_err(fault)
    }

    async fn due(&self, now: u64, again: u64, limit: usize) -> Result<Vec<Entry>, Fault> {
        let mut change = self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(fault)?;
        let rows = query(
            "SELECT number, next_probe, entry FROM catalogue WHERE next_probe <= ?1 ORDER BY next_probe, number LIMIT ?2",
        )
        .bind(signed(now))
        .bind(at_most(limit))
        .fetch_all(&mut *change)
        .await
        .map_err(fault)?;
        let mut due = Vec::with_capacity(rows.len());
        for row in rows {
            let number: i64 = row.try_get("number").map_err(fault)?;
            let taken =
                query("UPDATE catalogue SET next_probe = ?2 WHERE number = ?1").bind(number).bind(signed(again));
            taken.execute(&mut *change).await.map_err(fault)?;
            let mut entry = read_row(&row)?;
            entry.next_probe = again;
            due.push(entry);
        }
        change.commit().await.map_err(fault)?;
        Ok(due)
    }

    async fn browse(&self, filter: &Filter, limit: usize, offset: u64) -> Result<Page, Fault> {
        // Both questions see the same state.
        let mut look = self.readers.begin().await.map_err(fault)?;
        let wanted = matching(&[], filter);
        let most = filter.max_price.map(signed);
        let total: i64 = match (&wanted, most) {
            (None, None) => query_scalar("SELECT count(*) FROM catalogue").fetch_one(&mut *look).await,
            (None, Some(most)) => {
                query_scalar("SELECT count(*) FROM catalogue WHERE price <= ?1").bind(most).fetch_one(&mut *look).await
            }
            (Some(wanted), None) => {
                let count = query_scalar("SELECT count(*) FROM catalogue_words WHERE catalogue_words MATCH ?1");
                count.bind(wanted).fetch_one(&mut *look).await
            }
            (Some(wanted), Some(most)) => {
                let count = query_scalar(
                    "SELECT count(*) FROM catalogue WHERE price <= ?2 AND position IN
                     (SELECT rowid FROM catalogue_words WHERE catalogue_words MATCH ?1)",
                );
                count.bind(wanted).bind(most).fetch_one(&mut *look).await
            }
        }
        .map_err(fault)?;
        let sql = match &wanted {
            None => {
                "SELECT next_probe, entry FROM catalogue WHERE (?1 IS NULL) AND (?2 IS NULL OR price <= ?2)
                     ORDER BY number LIMIT ?3 OFFSET ?4"
            }
            Some(_) => {
                "SELECT next_probe, entry FROM catalogue WHERE (?2 IS NULL OR price <= ?2) AND position IN
                        (SELECT rowid FROM catalogue_words WHERE catalogue_words MATCH ?1)
                        ORDER BY number LIMIT ?3 OFFSET ?4"
            }
        };
        let rows = query(sql)
            .bind(wanted)
            .bind(most)
            .bind(at_most(limit))
            .bind(signed(offset))
            .fetch_all(&mut *look)
            .await
            .map_err(fault)?;
        let entries = rows.iter().map(read_row).collect::<Result<_, _>>()?;
        Ok(Page::new(entries, unsigned(total)))
    }

    async fn search(&self, search: &Search) -> Result<Found, Fault> {
        if !search.words.iter().all(|word| tokens::is_word(word)) {
            return Ok(Found::default());
        }
        let wanted = matching(&search.words, &search.filter);
        let most = search.filter.max_price.map(signed);
        // The price is looked at before the entry is read.
        let sql = match &wanted {
            None => {
                "SELECT position, next_probe, CASE WHEN ?2 IS NULL OR price <= ?2 THEN entry END AS entry
                     FROM catalogue WHERE (?1 IS NULL) AND position > ?3 ORDER BY position LIMIT ?4"
            }
            Some(_) => {
                "SELECT position, next_probe, CASE WHEN ?2 IS NULL OR price <= ?2 THEN entry END AS entry
                        FROM (SELECT rowid AS found FROM catalogue_words
                              WHERE catalogue_words MATCH ?1 AND rowid > ?3 ORDER BY rowid LIMIT ?4)
                        CROSS JOIN catalogue ON position = found ORDER BY position"
            }
        };
        let mut look = self.readers.begin().await.map_err(fault)?;
        let mut gathering = Gathering::new(search);
        loop {
            let rows = query(sql).bind(&wanted).bind(most).bind(gathering.after).bind(at_most(gathering.step));
            let rows = rows.fetch_all(&mut *look).await.map_err(fault)?;
            let rows: Vec<_> = rows.iter().map(candidate).collect::<Result<_, _>>()?;
            if let Some(found) = gathering.take(rows) {
                return Ok(found);
            }
        }
    }
}

/// A row of a search: its position, and the entry if its price will do.
fn candidate(row: &SqliteRow) -> Result<(i64, Option<Entry>), Fault> {
    let will_do = row.try_get::<Option<&str>, _>("entry").map_err(fault)?.is_some();
    let entry = will_do.then(|| read_row(row)).transpose()?;
    Ok((row.try_get("position").map_err(fault)?, entry))
}
