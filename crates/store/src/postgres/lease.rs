//! [`Lease`]: how a holder stays alive in the eyes of the others. It is renewed by a task of its own, on a connection of its
//! own, by the database's clock.
//!
//! Whether somebody is alive decides who goes on with what, and never what may be written: that is for tickets and epochs.
//! So a process that was away for longer than its lease is alive again as soon as it is back, and goes on with what nobody
//! took over.

use super::database::Database;
use super::tables;
use super::trouble::{bounded, trouble};
use crate::ledger::op::Holder;
use crate::ledger::record::clamp;
use sqlx::Connection;
use sqlx::postgres::PgConnection;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until, timeout};
use tollway_core::Clock;

/// Renewals in the time of a lease: several may fail before it runs out.
const RENEWALS: u32 = 5;
/// How often what the dead left over is seen to.
const BURY_EVERY: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(super) struct Lease {
    pub(super) holder: Holder,
    length: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Until when nobody can take this holder for dead.
    sure: Option<Instant>,
    /// Grows whenever somebody could have.
    term: u64,
    /// Whether it has left for good.
    left: bool,
}

/// Ends a lease when it is dropped, and waits for that where somebody wants to.
#[derive(Debug)]
pub(super) struct Ending(Mutex<Option<oneshot::Sender<oneshot::Sender<()>>>>);

impl Lease {
    pub(super) fn new(holder: Holder, length: Duration) -> Self {
        Self { holder, length, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The time in which nobody can have taken this holder for dead, if it is sure of that now.
    pub(super) fn term(&self) -> Option<u64> {
        let state = self.state();
        let sure = state.sure.is_some_and(|until| Instant::now() < until);
        (sure && !state.left).then_some(state.term)
    }

    /// Renews it with whatever else is written, if it may have run out.
    pub(super) async fn renew_if_unsure(&self, on: &mut PgConnection) -> Result<Option<Instant>, sqlx::Error> {
        if self.term().is_some() || self.state().left {
            return Ok(None);
        }
        let asked = Instant::now();
        tables::beat(on, self.holder, self.length).await?;
        Ok(Some(asked))
    }

    /// It was renewed at some time after `asked`, by the database's clock. What two clocks differ by in the time of a lease
    /// is less than a tenth of it.
    pub(super) fn renewed(&self, asked: Instant) {
        let mut state = self.state();
        if state.sure.is_none_or(|until| until <= Instant::now()) {
            state.term = state.term.wrapping_add(1);
        }
        state.sure = state.sure.max(asked.checked_add(self.length * 9 / 10));
    }

    /// Renews it from now on. The connection has renewed it once.
    pub(super) fn keep(
        self: Arc<Self>,
        database: Arc<Database>,
        connection: PgConnection,
        clock: Arc<dyn Clock>,
    ) -> Ending {
        let (end, ended) = oneshot::channel();
        tokio::spawn(Keeper { lease: self, database, connection: Some(connection), clock }.run(ended));
        Ending(Mutex::new(Some(end)))
    }
}

impl Ending {
    /// Ends it, and waits until the database knows.
    pub(super) async fn end(&self) {
        let end = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let (tell, told) = oneshot::channel();
        if end.is_some_and(|end| end.send(tell).is_ok()) {
            let _ = told.await;
        }
    }
}

struct Keeper {
    lease: Arc<Lease>,
    database: Arc<Database>,
    connection: Option<PgConnection>,
    clock: Arc<dyn Clock>,
}

impl Keeper {
    async fn run(mut self, mut ended: oneshot::Receiver<oneshot::Sender<()>>) {
        let pause = self.lease.length / RENEWALS;
        let mut next = Instant::now() + pause;
        let mut bury = Instant::now();
        let mut failed = 0u32;
        let told = loop {
            tokio::select! {
                told = &mut ended => break told.ok(),
                () = sleep_until(next) => {}
            }
            next = Instant::now() + pause;
            // Twice the pause, so that a database that is slow for a moment is not taken for one that is gone.
            failed = match timeout(pause * 2, self.beat()).await {
                Ok(Ok(())) => 0,
                Ok(Err(why)) => self.failed(failed, &trouble(&why).0.message),
                Err(_) => self.failed(failed, "the PostgreSQL database does not answer"),
            };
            if failed == 0 && Instant::now() >= bury {
                bury = Instant::now() + BURY_EVERY;
                self.bury().await;
            }
        };
        self.lease.state().left = true;
        if let Err(why) = bounded(self.leave()).await {
            let why = trouble(&why).0.message;
            tracing::debug!(why, "the ledger's holder could not say that it leaves; its lease will run out");
        }
        let _ = told.map(|told| told.send(()));
    }

    /// Drops the connection, whatever state it is in.
    fn failed(&mut self, before: u32, why: &str) -> u32 {
        self.connection = None;
        if before == 0 {
            tracing::warn!(why, "the ledger's holder could not say that it is alive; it goes on trying");
        }
        before.saturating_add(1)
    }

    async fn connection(&mut self) -> Result<&mut PgConnection, sqlx::Error> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.database.connect().await?,
        };
        Ok(self.connection.insert(connection))
    }

    async fn beat(&mut self) -> Result<(), sqlx::Error> {
        let (holder, length) = (self.lease.holder, self.lease.length);
        let asked = Instant::now();
        tables::beat(self.connection().await?, holder, length).await?;
        self.lease.renewed(asked);
        Ok(())
    }

    async fn bury(&mut self) {
        let now = clamp(self.clock.now());
        let buried = bounded(async { tables::bury(self.connection().await?, now).await }).await;
        if let Err(why) = buried {
            self.failed(0, &trouble(&why).0.message);
        }
    }

    async fn leave(&mut self) -> Result<(), sqlx::Error> {
        let holder = self.lease.holder;
        tables::leave(self.connection().await?, holder).await?;
        match self.connection.take() {
            Some(connection) => connection.close().await,
            None => Ok(()),
        }
    }
}
