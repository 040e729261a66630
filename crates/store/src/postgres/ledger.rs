//! [`PostgresLedger`]: the ledger `postgres`.

use super::database::{CONNECTIONS, Database, PostgresConfig};
use super::lease::{Ending, Lease};
use super::tables;
use super::trouble::{Failed, bounded, trouble};
use super::writes::Desks;
use crate::ledger::ids::{self, Id};
use crate::ledger::op::Holder;
use crate::ledger::record::{Entry, exact};
use crate::ledger::{Books, Reads, ledger_by_books};
use crate::writer::Writer;
use serde::Deserialize;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tollway_core::{Build, BuildContext, Clock, Fault, OpenSlot, Secret, SecretRef, SignedTx, Ticket};

/// The section of the ledger `postgres`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[non_exhaustive]
pub struct PostgresLedgerConfig {
    /// As [`PostgresConfig::url`].
    pub url: SecretRef,
    /// As [`PostgresConfig::connections`].
    #[serde(default = "connections")]
    pub connections: NonZeroU32,
    /// After how many milliseconds without a word others go on with what a process held, at least 100. The shorter, the
    /// sooner they do; a process that was only slow has to ask for its signers anew.
    #[serde(default = "lease_ms")]
    pub lease_ms: u32,
}

const fn connections() -> NonZeroU32 {
    CONNECTIONS
}

const fn lease_ms() -> u32 {
    5_000
}

const SHORTEST_LEASE: Duration = Duration::from_millis(100);

/// The ledger in a PostgreSQL database, for as many processes as have it open. What is answered is durable, as far as the
/// database's disk and `synchronous_commit` make it.
///
/// Each opening is a holder with a lease. It leaves when it is dropped: others go on with what it held at once, and after
/// the lease where it was killed. It ends with its runtime: open it on the one that uses it.
#[derive(Debug)]
pub struct PostgresLedger {
    books: Books<Reader>,
    lease: Arc<Lease>,
    ending: Ending,
}

impl PostgresLedger {
    /// The lease where none is named.
    pub const LEASE: Duration = Duration::from_secs(5);

    /// Opens the ledger in the database at `url`, and makes its tables where there are none. `clock` says what may be
    /// forgotten; who is alive the database's own clock does.
    ///
    /// # Errors
    /// The database cannot be reached or used, or is of a newer version; says what to do, and nothing of what the URL holds.
    pub async fn open(url: &Secret, lease: Duration, clock: Arc<dyn Clock>) -> Result<Self, String> {
        Self::on(Database::open(url, CONNECTIONS).await?, lease, clock).await
    }

    async fn on(database: Database, lease: Duration, clock: Arc<dyn Clock>) -> Result<Self, String> {
        if lease < SHORTEST_LEASE {
            return Err(format!("`leaseMs` is at least {}", SHORTEST_LEASE.as_millis()));
        }
        let holder: Holder =
            ids::unique().and_then(|number| exact(number, "the holder")).map_err(|why| why.to_string())?;
        let (database, lease) = (Arc::new(database), Arc::new(Lease::new(holder, lease)));
        let unusable = |why: sqlx::Error| trouble(&why).0.message;
        let mut connection = database.connect().await.map_err(unusable)?;
        let asked = Instant::now();
        bounded(lease.renew_if_unsure(&mut connection)).await.map_err(unusable)?;
        lease.renewed(asked);
        let ending = lease.clone().keep(database.clone(), connection, clock.clone());
        let writer = Writer::start(Desks::new(database.clone(), lease.clone(), clock));
        Ok(Self { books: Books::new(Reader { database }, writer, holder), lease, ending })
    }

    /// Counts as dead from now on: others go on with what it held. Dropping it does the same, a little later.
    pub async fn leave(&self) {
        self.ending.end().await;
    }

    /// Whoever else has the database open may come and go.
    #[expect(clippy::unused_self, reason = "a store that can be alone says so here")]
    fn may_be_shared(&self) -> bool {
        true
    }

    fn term(&self) -> Option<u64> {
        self.lease.term()
    }
}

ledger_by_books!(PostgresLedger);

impl Build for PostgresLedger {
    type Config = PostgresLedgerConfig;
    const EXAMPLE: &'static str = r#"{ "url": "env:DATABASE_URL" }"#;

    async fn build(config: PostgresLedgerConfig, cx: BuildContext) -> Result<Self, String> {
        let lease = Duration::from_millis(config.lease_ms.into());
        let database = PostgresConfig { url: config.url, connections: config.connections };
        Self::on(Database::configured(&database, &cx).await?, lease, cx.clock).await
    }
}

#[derive(Debug)]
struct Reader {
    database: Arc<Database>,
}

#[async_trait::async_trait]
impl Reads for Reader {
    async fn find(&self, id: Id) -> Result<Option<(Entry, bool, Option<OpenSlot<SignedTx>>)>, Fault> {
        let pool = &self.database.pool;
        let found = bounded(async {
            let mut connection = pool.acquire().await?;
            tables::claim(&mut connection, &id).await
        });
        match found.await? {
            // As of one moment, with its transactions.
            Some((entry, _)) if entry.signed => {}
            found => return Ok(found.map(|(entry, alive)| (entry, alive, None))),
        }
        let found = bounded(async {
            let mut tx = pool.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
            let Some((entry, alive)) = tables::claim(&mut tx, &id).await? else { return Ok(None) };
            let slot = if entry.signed { tables::slot_of(&mut tx, &id).await? } else { None };
            tx.commit().await?;
            Ok::<_, Failed>(Some((entry, alive, slot)))
        });
        Ok(found.await?)
    }

    async fn open(&self, limit: i64) -> Result<Vec<OpenSlot<SignedTx>>, Fault> {
        let slots = bounded(async {
            let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
            let mut tx = self.database.pool.begin_with(begin).await?;
            let slots = tables::open(&mut tx, limit).await?;
            tx.commit().await?;
            Ok::<_, Failed>(slots)
        });
        Ok(slots.await?)
    }

    async fn handed(&self, holder: Holder, limit: i64) -> Result<Vec<Ticket>, Fault> {
        let tickets = bounded(async {
            let mut connection = self.database.pool.acquire().await?;
            tables::handed(&mut connection, holder, limit).await
        });
        Ok(tickets.await?)
    }
}
