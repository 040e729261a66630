//! [`Trouble`]: what went wrong in a database, in words that help and give nothing away.

use tollway_core::{Fault, FaultKind};

/// Why a database did not do what it was asked. Can be told to everybody who waited for the same transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Trouble {
    pub(crate) kind: FaultKind,
    pub(crate) message: String,
}

impl Trouble {
    pub(crate) fn new(kind: FaultKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    /// Something that should never be.
    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self::new(FaultKind::Internal, message)
    }

    /// The fault of a call, before which nothing was sent.
    pub(crate) fn fault(&self) -> Fault {
        Fault::new(self.kind, self.message.clone())
    }
}

/// Why something was not read or not written.
#[derive(Debug)]
pub(crate) enum Failed {
    Sql(sqlx::Error),
    /// What was read makes no sense, or what is to be written cannot be.
    Row(Fault),
}

impl From<sqlx::Error> for Failed {
    fn from(why: sqlx::Error) -> Self {
        Self::Sql(why)
    }
}

impl From<Fault> for Failed {
    fn from(why: Fault) -> Self {
        Self::Row(why)
    }
}

/// What is in the books and cannot be read.
pub(crate) fn damaged(what: &str, why: impl std::fmt::Display) -> Fault {
    Fault::new(FaultKind::Internal, format!("the store holds {what} that cannot be read: {why}; restore a backup"))
}

/// What a database said, without anything of where it is or who asked. Never the text of an error about a connection's
/// settings: they are a secret.
pub(crate) fn said(why: &sqlx::Error) -> String {
    match why {
        sqlx::Error::Database(error) => match error.code() {
            Some(code) => format!("{} (code {code})", error.message()),
            None => error.message().to_owned(),
        },
        sqlx::Error::Io(error) => error.to_string(),
        sqlx::Error::PoolTimedOut => "no connection became free in time".to_owned(),
        sqlx::Error::Tls(_) => "the encrypted connection failed".to_owned(),
        sqlx::Error::Configuration(_) => "its settings are wrong".to_owned(),
        sqlx::Error::Protocol(_) => "it did not keep to its protocol".to_owned(),
        sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => "the connection is closed".to_owned(),
        _ => "the driver failed".to_owned(),
    }
}
