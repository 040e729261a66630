//! [`SqliteBudget`]: the store of budgets `budgets/sqlite`. A restarted client goes on with what it spent.

use super::file::{self, SqliteFile};
use super::ledger::SqliteConfig;
use super::pen::Opened;
use crate::ledger::record::{clamp, exact};
use crate::trouble::Failed;
use async_trait::async_trait;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{Connection, Row, query, query_scalar};
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use tokio::sync::Mutex;
use tollway_core::{
    Amount, BudgetStore, Build, BuildContext, Fate, Fault, FaultKind, Reserved, SharedBudget, SignedSpend, Spend,
    SpendKey, SpendRow, SpendState, SpendStep, Tally,
};

/// Seconds a counter is kept after its end.
const KEEP_SECONDS: u64 = 24 * 3600;
/// Counters forgotten with one reservation.
const SWEEP: i64 = 32;
/// Most rows of one look-up.
const MAX_FOUND: i64 = 64;

/// A client's books in one SQLite file, for one process at a time. What is answered is durable, after a power cut too.
///
/// Opened twice in one process it is one store. Its file is its own: a ledger takes another.
#[derive(Clone)]
pub struct SqliteBudget {
    shared: Arc<Shared>,
}

struct Shared {
    file: SqliteFile,
    /// The one connection; `None` after a failure, with which an open transaction ends.
    connection: Mutex<Option<SqliteConnection>>,
}

/// Every file this process has open.
static OPEN: Opened<Shared> = Opened::new();

impl fmt::Debug for SqliteBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteBudget").finish_non_exhaustive()
    }
}

type Tx<'a> = sqlx::Transaction<'a, sqlx::Sqlite>;

impl SqliteBudget {
    /// Opens a file, or makes it.
    ///
    /// # Errors
    /// Another process has it open, it is damaged, of another program or of a newer version, or its folder cannot be used;
    /// says what to do.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self, String> {
        let open = OPEN.get(
            path.as_ref(),
            |_| true,
            async |place: &Path| Ok(Shared { file: SqliteFile::open(place).await?, connection: Mutex::default() }),
        );
        Ok(Self { shared: open.await? })
    }

    /// Runs one transaction. A caller that leaves takes the connection with it, and with that what was not committed.
    async fn transact<T>(&self, work: impl AsyncFnOnce(&mut Tx<'_>) -> Result<T, Failed> + Send) -> Result<T, Fault>
    where
        T: Send,
    {
        let mut place = self.shared.connection.lock().await;
        let mut connection = match place.take() {
            Some(connection) => connection,
            None => self.shared.file.connect().await.map_err(|why| file::trouble(&why).0.fault())?,
        };
        let done = async {
            let mut tx = connection.begin_with("BEGIN IMMEDIATE").await?;
            let done = work(&mut tx).await?;
            tx.commit().await?;
            Ok(done)
        };
        match done.await {
            Ok(done) => {
                *place = Some(connection);
                Ok(done)
            }
            Err(why) => {
                let _ = connection.close().await;
                Err(match why {
                    Failed::Sql(why) => file::trouble(&why).0.fault(),
                    Failed::Row(why) => why,
                })
            }
        }
    }
}

fn written(value: &impl Serialize) -> Result<String, Fault> {
    serde_json::to_string(value)
        .map_err(|why| Fault::new(FaultKind::Internal, "a payment could not be written as JSON").source(why))
}

fn read<T: DeserializeOwned>(text: &str) -> Result<T, Fault> {
    serde_json::from_str(text).map_err(|why| {
        let message = format!("the budget's file holds a row that cannot be read: {why}; restore a backup");
        Fault::new(FaultKind::Internal, message)
    })
}

fn state_text(state: SpendState) -> &'static str {
    match state {
        SpendState::Signed => "signed",
        SpendState::Refused => "refused",
        SpendState::Spent => "spent",
        SpendState::Released => "released",
        _ => "reserved",
    }
}

const COLUMNS: &str = "SELECT number, state, settlement, changed, spend, signed FROM spends";

fn row(found: &SqliteRow) -> Result<SpendRow, Failed> {
    let text = |column: &str| found.try_get::<String, _>(column);
    let mut row = SpendRow::reserved(found.try_get::<i64, _>("number")?.unsigned_abs(), read(&text("spend")?)?);
    row.state = read(&format!("\"{}\"", text("state")?))?;
    row.transaction = text("settlement")?;
    row.changed = found.try_get::<i64, _>("changed")?.unsigned_abs();
    row.signed = found.try_get::<Option<String>, _>("signed")?.map(|signed| read(&signed)).transpose()?;
    Ok(row)
}

async fn by_id(tx: &mut Tx<'_>, id: &str) -> Result<Option<SpendRow>, Failed> {
    let statement = format!("{COLUMNS} WHERE id = ?1");
    let found = query(sqlx::AssertSqlSafe(statement)).bind(id).fetch_optional(&mut **tx).await?;
    found.as_ref().map(row).transpose()
}

async fn counted(tx: &mut Tx<'_>, key: &str) -> Result<Amount, Failed> {
    let statement = "SELECT counted FROM tallies WHERE key = ?1";
    let found: Option<String> = query_scalar(statement).bind(key).fetch_optional(&mut **tx).await?;
    match found {
        Some(text) => Ok(read(&format!("\"{text}\""))?),
        None => Ok(Amount::ZERO),
    }
}

async fn set(tx: &mut Tx<'_>, tally: &Tally, to: Amount) -> Result<(), Failed> {
    let statement = "INSERT INTO tallies (key, counted, until) VALUES (?1, ?2, ?3) \
                     ON CONFLICT (key) DO UPDATE SET counted = excluded.counted";
    let insert = query(statement).bind(&tally.key).bind(to.to_string()).bind(tally.until.map(clamp));
    insert.execute(&mut **tx).await?;
    Ok(())
}

/// Counts what the chain moved, whatever the caps.
async fn count(tx: &mut Tx<'_>, tallies: &[Tally]) -> Result<(), Failed> {
    for tally in tallies {
        let sum = counted(tx, &tally.key).await?.checked_add(tally.amount).unwrap_or(Amount::MAX);
        set(tx, tally, sum).await?;
    }
    Ok(())
}

async fn give_back(tx: &mut Tx<'_>, tallies: &[Tally]) -> Result<(), Failed> {
    for tally in tallies {
        let rest = counted(tx, &tally.key).await?.checked_sub(tally.amount).unwrap_or_default();
        let statement = "UPDATE tallies SET counted = ?2 WHERE key = ?1";
        query(statement).bind(&tally.key).bind(rest.to_string()).execute(&mut **tx).await?;
    }
    Ok(())
}

async fn update(tx: &mut Tx<'_>, row: &SpendRow) -> Result<(), Failed> {
    let statement =
        "UPDATE spends SET state = ?2, settlement = ?3, changed = ?4, digest = ?5, signed = ?6 WHERE number = ?1";
    let signed = row.signed.as_ref();
    query(statement)
        .bind(exact(row.number, "the row")?)
        .bind(state_text(row.state))
        .bind(&row.transaction)
        .bind(clamp(row.changed))
        .bind(signed.map(|signed| signed.digest.as_str()))
        .bind(signed.map(written).transpose()?)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

impl SqliteBudget {
    async fn page(&self, condition: &str, after: u64, limit: usize) -> Result<Vec<SpendRow>, Fault> {
        let statement = format!("{COLUMNS} WHERE number > ?1 {condition} ORDER BY number LIMIT ?2");
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.transact(async |tx| {
            let found = query(sqlx::AssertSqlSafe(statement)).bind(clamp(after)).bind(limit);
            found.fetch_all(&mut **tx).await?.iter().map(row).collect()
        })
        .await
    }
}

#[async_trait]
impl BudgetStore for SqliteBudget {
    async fn reserve(&self, spend: &Spend) -> Result<Reserved, Fault> {
        self.transact(async |tx| {
            let ended = clamp(spend.at.saturating_sub(KEEP_SECONDS));
            let statement = "DELETE FROM tallies WHERE key IN (SELECT key FROM tallies WHERE until < ?1 LIMIT ?2)";
            query(statement).bind(ended).bind(SWEEP).execute(&mut **tx).await?;
            if by_id(tx, &spend.id).await?.is_some() {
                return Err(Fault::new(FaultKind::Internal, format!("there is a payment {} already", spend.id)).into());
            }
            let mut sums = Vec::with_capacity(spend.tallies.len());
            for tally in &spend.tallies {
                match tally.added_to(counted(tx, &tally.key).await?) {
                    Ok(sum) => sums.push(sum),
                    Err(left) => return Ok(Reserved::Over { key: tally.key.clone(), left }),
                }
            }
            for (tally, sum) in spend.tallies.iter().zip(sums) {
                set(tx, tally, sum).await?;
            }
            let statement = "INSERT INTO spends (id, state, purchase, settlement, changed, spend) \
                             VALUES (?1, 'reserved', ?2, '', ?3, ?4)";
            let insert = query(statement).bind(&spend.id).bind(&spend.purchase).bind(clamp(spend.at));
            insert.bind(written(spend)?).execute(&mut **tx).await?;
            Ok(Reserved::Yes)
        })
        .await
    }

    async fn sign(&self, id: &str, signed: &SignedSpend, now: u64) -> Result<(), Fault> {
        self.transact(async |tx| {
            let row = by_id(tx, id).await?.filter(|row| row.state == SpendState::Reserved);
            let mut row = row.ok_or_else(|| SpendRow::lost(id))?;
            row.state = SpendState::Signed;
            row.signed = Some(signed.clone());
            row.changed = now;
            update(tx, &row).await
        })
        .await
    }

    async fn resolve(&self, id: &str, fate: &Fate, now: u64) -> Result<(), Fault> {
        self.transact(async |tx| {
            let Some(row) = by_id(tx, id).await? else { return Ok(()) };
            match row.state.step(fate) {
                SpendStep::Keep => return Ok(()),
                SpendStep::Write => {}
                SpendStep::CountAgain => count(tx, &row.spend.tallies).await?,
                SpendStep::GiveBack => give_back(tx, &row.spend.tallies).await?,
                SpendStep::Remove => {
                    give_back(tx, &row.spend.tallies).await?;
                    query("DELETE FROM spends WHERE id = ?1").bind(id).execute(&mut **tx).await?;
                    return Ok(());
                }
            }
            update(tx, &row.resolved(fate, now)).await
        })
        .await
    }

    async fn find(&self, by: SpendKey<'_>) -> Result<Vec<SpendRow>, Fault> {
        let (condition, key) = match by {
            SpendKey::Purchase(purchase) => ("purchase = ?1 AND state = 'signed'", purchase),
            SpendKey::Payment(digest) => ("digest = ?1", digest),
        };
        let statement = format!("{COLUMNS} WHERE {condition} ORDER BY number LIMIT ?2");
        self.transact(async |tx| {
            let found = query(sqlx::AssertSqlSafe(statement)).bind(key).bind(MAX_FOUND);
            found.fetch_all(&mut **tx).await?.iter().map(row).collect()
        })
        .await
    }

    async fn open(&self, after: u64, limit: usize) -> Result<Vec<SpendRow>, Fault> {
        self.page("AND state IN ('reserved', 'signed', 'refused')", after, limit).await
    }

    async fn export(&self, after: u64, limit: usize) -> Result<Vec<SpendRow>, Fault> {
        self.page("", after, limit).await
    }

    async fn counted(&self, key: &str) -> Result<Amount, Fault> {
        self.transact(async |tx| counted(tx, key).await).await
    }
}

impl Build for SqliteBudget {
    type Config = SqliteConfig;
    const EXAMPLE: &'static str = r#"{ "path": "agent.db" }"#;

    async fn build(config: SqliteConfig, _: BuildContext) -> Result<Self, String> {
        Self::open(config.path).await
    }
}

impl From<SqliteBudget> for SharedBudget {
    fn from(store: SqliteBudget) -> Self {
        Self::new(store)
    }
}
