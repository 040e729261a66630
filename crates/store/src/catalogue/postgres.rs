//! [`PostgresCatalogue`]: entries in a PostgreSQL database, which several facilitators may share. Words and facets are the
//! lexemes of a `tsvector`, found through a GIN index where they are rare and in the order of the ranking where they are not,
//! as the planner sees fit.

use super::{Gathering, at_most, read, signed, tokens, unsigned, written};
use crate::postgres::database::{Database, PostgresConfig};
use crate::postgres::trouble::{Failed, bounded};
use async_trait::async_trait;
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{Row as _, query, query_scalar};
use std::fmt;
use std::num::NonZeroU32;
use tollway_core::{Build, BuildContext, Fault, Secret};
use tollway_discovery::{CatalogueStore, Entry, Filter, Found, Limits, Page, Put, Search, SharedCatalogue};

/// A catalogue in a PostgreSQL database, for any number of facilitators at once.
pub struct PostgresCatalogue {
    database: Database,
}

impl fmt::Debug for PostgresCatalogue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresCatalogue").finish_non_exhaustive()
    }
}

impl PostgresCatalogue {
    /// Connects to the database at a URL, with so many connections at most, and makes its tables.
    ///
    /// # Errors
    /// It cannot be reached, is too old or of a newer version of Tollway, or the user may not do what is needed; says what
    /// to do, and nothing of what the URL holds.
    pub async fn open(url: &Secret, connections: NonZeroU32) -> Result<Self, String> {
        Ok(Self { database: Database::open(url, connections).await? })
    }

    /// Does work in one transaction.
    async fn transact<T>(
        &self,
        begin: &'static str,
        work: impl AsyncFnOnce(&mut PgConnection) -> Result<T, Failed>,
    ) -> Result<T, Fault> {
        let done = bounded::<_, Failed>(async {
            let mut tx = self.database.pool.begin_with(begin).await?;
            let done = work(&mut tx).await?;
            tx.commit().await?;
            Ok(done)
        });
        Ok(done.await?)
    }
}

impl Build for PostgresCatalogue {
    type Config = PostgresConfig;
    const EXAMPLE: &'static str = r#"{ "url": "env:DATABASE_URL" }"#;

    async fn build(config: PostgresConfig, cx: BuildContext) -> Result<Self, String> {
        Ok(Self { database: Database::configured(&config, &cx).await? })
    }
}

impl From<PostgresCatalogue> for SharedCatalogue {
    fn from(store: PostgresCatalogue) -> Self {
        Self::new(store)
    }
}

/// A transaction that changes something, and one that sees one state all along.
const CHANGE: &str = "BEGIN";
const LOOK: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

fn read_row(row: &PgRow) -> Result<Entry, Failed> {
    Ok(read(row.try_get("entry")?, row.try_get("next_probe")?)?)
}

/// The query for entries that have all that is wanted. Quoted, a token is a lexeme, whatever is in it.
fn matching(words: &[String], filter: &Filter) -> Option<String> {
    let quoted = |token: String| format!("'{}'", token.replace('\\', r"\\").replace('\'', "''"));
    let wanted = tokens::wanted(words, filter)?;
    Some(wanted.into_iter().map(quoted).collect::<Vec<_>>().join(" & "))
}

async fn known(on: &mut PgConnection, key: &str) -> Result<Option<(i64, Entry)>, Failed> {
    let statement = "SELECT number, next_probe, entry FROM catalogue WHERE key = $1 FOR UPDATE";
    let Some(row) = query(statement).bind(key).fetch_optional(on).await? else { return Ok(None) };
    Ok(Some((row.try_get("number")?, read_row(&row)?)))
}

async fn replace(on: &mut PgConnection, (number, old): (i64, Entry), entry: &Entry) -> Result<(), Failed> {
    let mut entry = entry.clone();
    entry.listed = old.listed;
    let statement = "UPDATE catalogue SET position = $2, payer = $3, host = $4, next_probe = $5, price = $6, \
                     tokens = array_to_tsvector($7), entry = $8 WHERE number = $1";
    let update = query(statement).bind(number).bind(signed(entry.position(unsigned(number)))).bind(&entry.payer);
    let update = update.bind(&entry.host).bind(signed(entry.next_probe)).bind(entry.price.map(signed));
    update.bind(tokens::of(&entry)).bind(written(&entry)?).execute(on).await?;
    Ok(())
}

async fn insert(on: &mut PgConnection, entry: &Entry, number: i64) -> Result<(), Failed> {
    query("UPDATE catalogue_last SET number = $1").bind(number).execute(&mut *on).await?;
    let statement = "INSERT INTO catalogue (number, key, position, payer, host, next_probe, price, tokens, entry) \
                     VALUES ($1, $2, $3, $4, $5, $6, $7, array_to_tsvector($8), $9)";
    let insert = query(statement).bind(number).bind(&entry.key).bind(signed(entry.position(unsigned(number))));
    let insert = insert.bind(&entry.payer).bind(&entry.host).bind(signed(entry.next_probe));
    insert.bind(entry.price.map(signed)).bind(tokens::of(entry)).bind(written(entry)?).execute(on).await?;
    Ok(())
}

#[async_trait]
impl CatalogueStore for PostgresCatalogue {
    async fn put(&self, entry: &Entry, limits: Limits) -> Result<Put, Fault> {
        self.transact(CHANGE, async |on| {
            if let Some(old) = known(on, &entry.key).await? {
                return replace(on, old, entry).await.map(|()| Put::Listed);
            }
            // One at a time from here on, so that limits hold and numbers rise.
            let last: i64 = query_scalar("SELECT number FROM catalogue_last FOR UPDATE").fetch_one(&mut *on).await?;
            if let Some(old) = known(on, &entry.key).await? {
                return replace(on, old, entry).await.map(|()| Put::Listed);
            }
            for (statement, value, most) in [
                (
                    "SELECT count(*) FROM (SELECT FROM catalogue WHERE payer = $1 LIMIT $2) AS few",
                    &entry.payer,
                    limits.per_payer,
                ),
                (
                    "SELECT count(*) FROM (SELECT FROM catalogue WHERE host = $1 LIMIT $2) AS few",
                    &entry.host,
                    limits.per_host,
                ),
            ] {
                let most = at_most(most);
                let count: i64 = query_scalar(statement).bind(value).bind(most).fetch_one(&mut *on).await?;
                if count >= most {
                    return Ok(Put::OverLimit);
                }
            }
            insert(on, entry, last.saturating_add(1)).await.map(|()| Put::Listed)
        })
        .await
    }

    async fn find(&self, key: &str) -> Result<Option<Entry>, Fault> {
        let found = bounded::<_, Failed>(async {
            let ask = query("SELECT next_probe, entry FROM catalogue WHERE key = $1").bind(key);
            ask.fetch_optional(&self.database.pool).await?.as_ref().map(read_row).transpose()
        });
        Ok(found.await?)
    }

    async fn remove(&self, key: &str) -> Result<(), Fault> {
        let delete = query("DELETE FROM catalogue WHERE key = $1").bind(key).execute(&self.database.pool);
        bounded(delete).await.map_err(Failed::Sql)?;
        Ok(())
    }

    async fn due(&self, now: u64, again: u64, limit: usize) -> Result<Vec<Entry>, Fault> {
        self.transact(CHANGE, async |on| {
            // What somebody else is about to take is theirs.
            let statement = "SELECT number, next_probe, entry FROM catalogue WHERE next_probe <= $1 \
                             ORDER BY next_probe, number LIMIT $2 FOR UPDATE SKIP LOCKED";
            let rows = query(statement).bind(signed(now)).bind(at_most(limit)).fetch_all(&mut *on).await?;
            let (mut numbers, mut due) = (Vec::with_capacity(rows.len()), Vec::with_capacity(rows.len()));
            for row in &rows {
                let mut entry = read_row(row)?;
                entry.next_probe = again;
                numbers.push(row.try_get::<i64, _>("number")?);
                due.push(entry);
            }
            let taken = query("UPDATE catalogue SET next_probe = $2 WHERE number = ANY($1)").bind(&numbers);
            taken.bind(signed(again)).execute(on).await?;
            Ok(due)
        })
        .await
    }

    async fn browse(&self, filter: &Filter, limit: usize, offset: u64) -> Result<Page, Fault> {
        let (wanted, most) = (matching(&[], filter), filter.max_price.map(signed));
        self.transact(LOOK, async |on| {
            let count = "SELECT count(*) FROM catalogue \
                         WHERE ($1::text IS NULL OR tokens @@ $1::text::tsquery) AND ($2::bigint IS NULL OR price <= $2)";
            let page = "SELECT next_probe, entry FROM catalogue \
                        WHERE ($1::text IS NULL OR tokens @@ $1::text::tsquery) AND ($2::bigint IS NULL OR price <= $2) \
                        ORDER BY number LIMIT $3 OFFSET $4";
            // Planned for what is asked each time: how many have a word differs by a thousandfold.
            let total: i64 = query_scalar(count).persistent(false).bind(&wanted).bind(most).fetch_one(&mut *on).await?;
            let rows = query(page).persistent(false).bind(&wanted).bind(most).bind(at_most(limit)).bind(signed(offset));
            let entries = rows.fetch_all(on).await?.iter().map(read_row).collect::<Result<_, _>>()?;
            Ok(Page::new(entries, unsigned(total)))
        })
        .await
    }

    async fn search(&self, search: &Search) -> Result<Found, Fault> {
        if !search.words.iter().all(|word| tokens::is_word(word)) {
            return Ok(Found::default());
        }
        let wanted = matching(&search.words, &search.filter);
        let most = search.filter.max_price.map(signed);
        self.transact(LOOK, async |on| {
            // The price is looked at before the entry is read.
            let statement = "SELECT position, next_probe, \
                             CASE WHEN $2::bigint IS NULL OR price <= $2 THEN entry END AS entry FROM catalogue \
                             WHERE ($1::text IS NULL OR tokens @@ $1::text::tsquery) AND position > $3 \
                             ORDER BY position LIMIT $4";
            let mut gathering = Gathering::new(search);
            loop {
                let rows = query(statement).persistent(false).bind(&wanted).bind(most).bind(gathering.after);
                let rows = rows.bind(at_most(gathering.step)).fetch_all(&mut *on).await?;
                let rows: Vec<_> = rows.iter().map(candidate).collect::<Result<_, _>>()?;
                if let Some(found) = gathering.take(rows) {
                    return Ok(found);
                }
            }
        })
        .await
    }
}

/// A row of a search: its position, and the entry if its price will do.
fn candidate(row: &PgRow) -> Result<(i64, Option<Entry>), Failed> {
    let will_do = row.try_get::<Option<&str>, _>("entry")?.is_some();
    let entry = will_do.then(|| read_row(row)).transpose()?;
    Ok((row.try_get("position")?, entry))
}
