//! [`Pen`]: the one connection that writes a file. [`Opened`]: what this process has open.

use super::file::{self, SqliteFile};
use crate::trouble::{Failed, Trouble};
use crate::writer::Failed as NotWritten;
use sqlx::Connection;
use sqlx::sqlite::SqliteConnection;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use tokio::sync::Mutex;

/// Writes a file, one transaction after the other.
pub(crate) struct Pen {
    file: Arc<SqliteFile>,
    /// `None` after a failure, with which an open transaction ends.
    connection: Option<SqliteConnection>,
}

impl Pen {
    pub(crate) fn new(file: Arc<SqliteFile>, connection: Option<SqliteConnection>) -> Self {
        Self { file, connection }
    }

    /// Does `work`, which is a transaction. SQLite knows what it wrote: there is no doubt.
    pub(crate) async fn write<T>(
        &mut self,
        work: impl AsyncFnOnce(&mut SqliteConnection) -> Result<T, Failed>,
    ) -> Result<T, NotWritten> {
        let failed = |why: &sqlx::Error| match file::trouble(why) {
            (trouble, true) => NotWritten::All(trouble),
            (trouble, false) => NotWritten::One(trouble),
        };
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.file.connect().await.map_err(|why| failed(&why))?,
        };
        match work(&mut connection).await {
            Ok(done) => {
                self.connection = Some(connection);
                Ok(done)
            }
            Err(why) => {
                // With its connection the transaction ends, whatever state it is in.
                let _ = connection.close().await;
                Err(match why {
                    Failed::Sql(why) => failed(&why),
                    Failed::Row(why) => NotWritten::One(Trouble::new(why.kind, why.to_string())),
                })
            }
        }
    }

    /// Closes the file.
    pub(crate) async fn close(self) {
        if let Some(connection) = self.connection {
            let _ = connection.close().await;
        }
        self.file.readers.close().await;
    }
}

/// Stores of one kind that this process has open, by their files: opened twice, a file is one store.
pub(crate) struct Opened<T>(Mutex<Vec<(PathBuf, Weak<T>)>>);

impl<T> Opened<T> {
    pub(crate) const fn new() -> Self {
        Self(Mutex::const_new(Vec::new()))
    }

    /// The store in a file, opened if it is not, or not usable any more.
    pub(crate) async fn get(
        &self,
        path: &Path,
        is_usable: impl Fn(&T) -> bool,
        open: impl AsyncFnOnce(&Path) -> Result<T, String>,
    ) -> Result<Arc<T>, String> {
        let place = file::place(path)?;
        let mut known = self.0.lock().await;
        known.retain(|(_, store)| store.strong_count() > 0);
        let found = known.iter().find(|(at, _)| *at == place).and_then(|(_, store)| store.upgrade());
        if let Some(found) = found.filter(|store| is_usable(store)) {
            return Ok(found);
        }
        let store = Arc::new(open(&place).await?);
        known.push((place, Arc::downgrade(&store)));
        Ok(store)
    }
}
