//! [`Database`]: connections to one PostgreSQL database, brought up to date. Whatever store this crate keeps in PostgreSQL
//! stands on it.

use super::trouble::{bounded, trouble};
use super::url;
use crate::migrations::{self, Script};
use serde::Deserialize;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};
use sqlx::{ConnectOptions, Connection, query, query_scalar};
use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;
use tollway_core::{BuildContext, Secret, SecretRef};

/// Every migration, oldest first, of every store.
const MIGRATIONS: [Script; 3] = [
    ("ledger", include_str!("../../migrations/postgres/1_ledger.sql")),
    ("sessions", include_str!("../../migrations/postgres/2_sessions.sql")),
    ("catalogue", include_str!("../../migrations/postgres/3_catalogue.sql")),
];
/// Connections for reading where no number is named.
pub(crate) const CONNECTIONS: NonZeroU32 = NonZeroU32::new(8).unwrap();
/// The oldest PostgreSQL that is served, as it says itself.
const OLDEST: i32 = 130_000;
/// How long a connection is waited for.
const PATIENCE: Duration = Duration::from_secs(5);
/// Longest wait until the tables are up to date.
const LONGEST: Duration = Duration::from_secs(900);
/// A connection that is idle for longer is given back.
const IDLE: Duration = Duration::from_secs(60);

/// Limits the database keeps by itself, in milliseconds: a statement, a wait for a lock, a transaction nobody goes on with.
/// The last is the shortest: what a process that stands still has locked is free before anybody gives up waiting for it.
struct Limits {
    statement: u32,
    lock: u32,
    idle: u32,
}

const LIMITS: Limits = Limits { statement: 6_000, lock: 5_000, idle: 3_000 };
/// Tables may be large, and another process may be at it.
const WHILE_MIGRATING: Limits = Limits { statement: 600_000, lock: 60_000, idle: 60_000 };

/// The section of every store in PostgreSQL.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[non_exhaustive]
pub struct PostgresConfig {
    /// Where the database's URL is, `env:NAME` or `file:PATH`: it holds a password. The database exists; its tables are made.
    /// Without `sslmode` in the URL, connections to other machines are encrypted. They go to PostgreSQL itself and not to
    /// a pooler that changes sessions between transactions.
    pub url: SecretRef,
    /// Most connections for reading; a store has one or two more for itself.
    #[serde(default = "connections")]
    pub connections: NonZeroU32,
}

const fn connections() -> NonZeroU32 {
    CONNECTIONS
}

/// One database.
pub(crate) struct Database {
    pub(crate) pool: PgPool,
    options: PgConnectOptions,
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database").finish_non_exhaustive()
    }
}

impl Database {
    /// Opens what a section names.
    pub(crate) async fn configured(config: &PostgresConfig, cx: &BuildContext) -> Result<Self, String> {
        Self::open(&cx.secrets.resolve(&config.url)?, config.connections).await
    }

    /// Connects, and brings the tables up to date.
    ///
    /// The error says what to do, and nothing of what the URL holds.
    pub(crate) async fn open(url: &Secret, connections: NonZeroU32) -> Result<Self, String> {
        let options = url::read(url)?.disable_statement_logging();
        let unusable = |why: sqlx::Error| trouble(&why).0.message;
        let mut first = connect(&options, &WHILE_MIGRATING).await.map_err(unusable)?;
        let version: i32 =
            bounded(query_scalar("SELECT current_setting('server_version_num')::int").fetch_one(&mut first))
                .await
                .map_err(unusable)?;
        if version < OLDEST {
            let (is, needs) = (version / 10_000, OLDEST / 10_000);
            return Err(format!("the database is PostgreSQL {is}; use {needs} or newer"));
        }
        // However it ends, the lock of whoever migrates goes with its connection.
        tokio::time::timeout(LONGEST, migrations::run(&MIGRATIONS, &mut first, "the PostgreSQL database"))
            .await
            .map_err(|_| "the tables of the PostgreSQL database took too long to be brought up to date".to_owned())??;
        let _ = bounded(first.close()).await;
        let pool = PgPoolOptions::new()
            .max_connections(connections.get())
            .acquire_timeout(PATIENCE)
            .idle_timeout(IDLE)
            .after_connect(|connection, _| Box::pin(prepare(connection, &LIMITS)))
            .connect_lazy_with(options.clone());
        Ok(Self { pool, options })
    }

    /// A connection of one's own.
    pub(crate) async fn connect(&self) -> Result<PgConnection, sqlx::Error> {
        connect(&self.options, &LIMITS).await
    }
}

async fn connect(options: &PgConnectOptions, limits: &Limits) -> Result<PgConnection, sqlx::Error> {
    bounded(async {
        let mut connection = options.connect().await?;
        prepare(&mut connection, limits).await?;
        Ok(connection)
    })
    .await
}

/// What every session keeps to, whatever the database's own settings are. A commit that is answered is on disk.
async fn prepare(on: &mut PgConnection, limits: &Limits) -> Result<(), sqlx::Error> {
    let statement = "SELECT set_config('statement_timeout', $1, false), set_config('lock_timeout', $2, false), \
                     set_config('idle_in_transaction_session_timeout', $3, false), \
                     set_config('default_transaction_isolation', 'read committed', false), \
                     set_config('synchronous_commit', \
                     CASE current_setting('synchronous_commit') WHEN 'off' THEN 'on' \
                     ELSE current_setting('synchronous_commit') END, false)";
    let Limits { statement: longest, lock, idle } = limits;
    query(statement).bind(longest.to_string()).bind(lock.to_string()).bind(idle.to_string()).execute(on).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres::trouble::fault;
    use tollway_core::FaultKind;
    use tollway_testkit::postgres;

    const FEW: NonZeroU32 = NonZeroU32::new(2).unwrap();

    async fn opened(url: &str) -> Result<Database, String> {
        Database::open(&Secret::new(url), FEW).await
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn many_may_start_at_once() {
        let Some(cluster) = postgres::shared() else { return };
        let url = cluster.database();
        let all: Vec<_> = (0..8)
            .map(|_| {
                let url = url.clone();
                tokio::spawn(async move { opened(&url).await })
            })
            .collect();
        for one in all {
            one.await.unwrap().unwrap();
        }
        let database = opened(&url).await.unwrap();
        let had: i64 = query_scalar("SELECT count(*) FROM tollway_migrations").fetch_one(&database.pool).await.unwrap();
        assert_eq!(usize::try_from(had).unwrap(), MIGRATIONS.len());
    }

    #[tokio::test]
    async fn sessions_keep_their_limits_whatever_the_database_says() {
        let Some(cluster) = postgres::shared() else { return };
        let url = cluster.database();
        let name = url.split(['/', '?']).nth(3).unwrap();
        for setting in ["synchronous_commit = off", "default_transaction_isolation = 'serializable'"] {
            cluster.ask(name, &format!("ALTER DATABASE {name} SET {setting}")).unwrap();
        }
        let database = opened(&url).await.unwrap();
        let mut own = database.connect().await.unwrap();
        for (setting, value) in [
            ("statement_timeout", "6s"),
            ("lock_timeout", "5s"),
            ("synchronous_commit", "on"),
            ("default_transaction_isolation", "read committed"),
        ] {
            let show = "SELECT current_setting($1)";
            let of_own: String = query_scalar(show).bind(setting).fetch_one(&mut own).await.unwrap();
            let of_pool: String = query_scalar(show).bind(setting).fetch_one(&database.pool).await.unwrap();
            assert_eq!((&*of_own, &*of_pool), (value, value), "{setting}");
        }
        let why = query("SELECT pg_sleep(10)").execute(&database.pool).await.unwrap_err();
        assert_eq!(fault(&why).kind, FaultKind::Timeout);
    }

    #[tokio::test]
    async fn what_is_wrong_is_told_and_the_url_is_not() {
        let Some(cluster) = postgres::shared() else { return };
        let url = cluster.database();
        let missing = url.replacen("/d", "/nosuch", 1).replace("user=", "password=canary&user=");
        let why = opened(&missing).await.unwrap_err();
        assert!(why.contains("create the database") && !why.contains("canary"), "{why}");
        let why = opened("postgres://u:canary@127.0.0.1:1/d").await.unwrap_err();
        assert!(why.contains("see that it runs and can be reached") && !why.contains("canary"), "{why}");
        let database = opened(&url).await.unwrap();
        assert!(!format!("{database:?}").contains("user"));
    }

    #[tokio::test]
    async fn a_database_of_a_newer_version_is_refused() {
        let Some(cluster) = postgres::shared() else { return };
        let url = cluster.database();
        let database = opened(&url).await.unwrap();
        let newer = "INSERT INTO tollway_migrations VALUES (99, 'later', now(), TRUE, '', 0)";
        query(newer).execute(&database.pool).await.unwrap();
        let why = opened(&url).await.unwrap_err();
        assert!(why.contains("was written by a newer Tollway: it has migration 99"), "{why}");
    }

    #[tokio::test]
    async fn a_schema_of_its_own_holds_the_tables() {
        let Some(cluster) = postgres::shared() else { return };
        let url = cluster.database();
        let name = url.split(['/', '?']).nth(3).unwrap();
        cluster.ask(name, "CREATE SCHEMA tollway").unwrap();
        opened(&format!("{url}&options=-csearch_path%3Dtollway")).await.unwrap();
        let elsewhere =
            "SELECT count(*) FROM pg_tables WHERE schemaname NOT IN ('tollway', 'pg_catalog', 'information_schema')";
        assert_eq!(cluster.ask(name, elsewhere).unwrap(), "0");
        let ours = "SELECT count(*) FROM pg_tables WHERE schemaname = 'tollway'";
        assert_ne!(cluster.ask(name, ours).unwrap(), "0");
    }
}
