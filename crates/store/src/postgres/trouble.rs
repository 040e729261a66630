//! What PostgreSQL's errors mean, and an end for everything it is asked.

pub(crate) use crate::trouble::Failed;
use crate::trouble::{Trouble, said};
use std::io;
use std::time::Duration;
use tollway_core::{Fault, FaultKind};

/// Longest wait for anything the database is asked in one go. Its own limits are shorter and say more; this is for a
/// network that swallows everything.
const PATIENCE: Duration = Duration::from_secs(12);

impl From<Failed> for Fault {
    fn from(why: Failed) -> Self {
        match why {
            Failed::Sql(why) => fault(&why),
            Failed::Row(why) => why,
        }
    }
}

/// Work that ends. Whoever gives up leaves a transaction that was not committed, and that the database ends by itself.
pub(crate) async fn bounded<T, E: From<sqlx::Error>>(work: impl Future<Output = Result<T, E>>) -> Result<T, E> {
    match tokio::time::timeout(PATIENCE, work).await {
        Ok(done) => done,
        Err(_) => {
            let message = format!("no answer within {} s", PATIENCE.as_secs());
            Err(sqlx::Error::Io(io::Error::new(io::ErrorKind::TimedOut, message)).into())
        }
    }
}

/// The fault of a call that failed.
pub(crate) fn fault(why: &sqlx::Error) -> Fault {
    trouble(why).0.fault()
}

/// What a failed call means, and whether it is the fault of the whole database and not of what was to be written.
pub(crate) fn trouble(why: &sqlx::Error) -> (Trouble, bool) {
    let of_all = |kind, help: &str| {
        (Trouble::new(kind, format!("the PostgreSQL database cannot be used: {}; {help}", said(why))), true)
    };
    let sqlx::Error::Database(error) = why else {
        return match why {
            sqlx::Error::PoolTimedOut => of_all(FaultKind::Overloaded, "ask again, or allow it more `connections`"),
            sqlx::Error::Io(io) if io.kind() == io::ErrorKind::TimedOut => of_all(FaultKind::Timeout, "ask again"),
            sqlx::Error::Configuration(_) | sqlx::Error::Tls(_) => {
                of_all(FaultKind::Configuration, "see to its URL and its certificate (`sslmode`, `sslrootcert`)")
            }
            sqlx::Error::Encode(_) | sqlx::Error::Decode(_) | sqlx::Error::ColumnDecode { .. } => {
                (Trouble::internal("a row in the PostgreSQL database cannot be read; restore a backup"), false)
            }
            _ => of_all(FaultKind::Unreachable, "see that it runs and can be reached"),
        };
    };
    // Classes and codes: appendix A of PostgreSQL's manual.
    let code = error.code().unwrap_or_default();
    match &*code {
        // Asked to end what took too long: a statement, a wait for a lock.
        "57014" | "55P03" => of_all(FaultKind::Timeout, "ask again"),
        // Somebody else was in the way, and both may try again.
        "40001" | "40P01" => of_all(FaultKind::Overloaded, "ask again"),
        "25006" => of_all(FaultKind::Unreachable, "it is a standby; connect to the primary"),
        "42501" => of_all(FaultKind::Configuration, "grant its user what is missing"),
        "42P01" | "42703" | "3F000" => {
            of_all(FaultKind::Configuration, "its tables are missing or another version's; open the store again")
        }
        "3D000" => of_all(FaultKind::Configuration, "create the database, or name another in its URL"),
        _ => match code.get(..2).unwrap_or_default() {
            // Connection, a transaction that was ended, resources, intervention by its operator, its system.
            "08" | "25" | "53" | "57" | "58" => of_all(FaultKind::Unreachable, "see that it runs and can be reached"),
            "28" => of_all(FaultKind::Configuration, "see to the user and the password in its URL"),
            "XX" => of_all(FaultKind::Internal, "it is damaged: restore a backup"),
            _ => (Trouble::internal(format!("the PostgreSQL database refused a row: {}", said(why))), false),
        },
    }
}
