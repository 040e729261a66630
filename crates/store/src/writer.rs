//! [`Writer`]: one task that writes for everybody. Whatever waits when it begins shares one transaction, so that a hundred
//! callers pay for one commit; each gets its own answer after that.
//!
//! What a store can promise when a database goes away in the middle:
//! - nothing is said to be written before it is durable;
//! - a commit whose answer was lost is tried again, and finds what it did ([`Operation`]s can be done twice);
//! - what could not be found out within [`DOUBT`] is told as a failure, and undone as soon as the database is back, unless it
//!   is about something that would be sent: then it is told that it may have been, and stays;
//! - what is true whenever it is written (an outcome) is written then.

use crate::trouble::Trouble;
use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use tollway_core::{Fault, FaultKind};

/// Calls that may wait for a transaction; those above wait to be let in.
const QUEUE: usize = 1024;
/// Calls that share a transaction.
const SHARE: usize = 256;
/// Longest wait of a caller, for its turn and its transaction.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long a store tries to find out what became of a commit.
#[cfg(feature = "postgres")]
pub(crate) const DOUBT: Duration = Duration::from_secs(5);
/// How often what was left over is tried again.
const AGAIN: Duration = Duration::from_millis(200);
/// Operations kept for when the database is back. A process that has more has other troubles.
const BACKLOG: usize = 65_536;

/// One call. It can be done twice without harm.
pub(crate) trait Operation: Clone + Send + 'static {
    /// What its caller is told.
    type Answer: Send + 'static;

    /// What it is about, for logs.
    fn about(&self) -> String;

    /// What undoes it if the answer reached nobody, if anything has to be. Without an answer nobody knows whether it was
    /// done; undoing what was not done changes nothing.
    fn undo(self, answer: Option<&Self::Answer>) -> Option<Self>;

    /// Whether somebody sends what it writes, if not its caller then whoever reads it.
    fn is_to_be_sent(&self) -> bool;

    /// Whether it is kept and written later where it cannot be written now.
    fn is_late_better_than_never(&self) -> bool;
}

pub(crate) type Answers<A> = Vec<Result<A, Fault>>;

/// Why a batch was not written.
#[derive(Debug)]
pub(crate) enum Failed {
    /// Something in it cannot be written. Alone, the others can.
    One(Trouble),
    /// Nothing can be written now.
    All(Trouble),
    /// The answer to the commit was lost: it was written, or not.
    #[cfg(feature = "postgres")]
    Doubt(Trouble),
}

impl Failed {
    /// What a caller is told whose write shared with no other.
    #[cfg(all(feature = "sessions", feature = "sqlite"))]
    pub(crate) fn into_fault(self) -> Fault {
        match self {
            Self::One(trouble) | Self::All(trouble) => trouble.fault(),
            #[cfg(feature = "postgres")]
            Self::Doubt(trouble) => trouble.fault(),
        }
    }
}

/// Where batches are written.
pub(crate) trait Transactions: Send + 'static {
    type Op: Operation;

    /// Does all of these in one transaction, in order; answers after the commit. An answer that is a fault is of its
    /// operation alone. Ends within a time of its own.
    fn write(
        &mut self,
        ops: &mut [Self::Op],
    ) -> impl Future<Output = Result<Answers<<Self::Op as Operation>::Answer>, Failed>> + Send;

    /// Ends it.
    fn close(self) -> impl Future<Output = ()> + Send;
}

type Told<O> = (O, Result<<O as Operation>::Answer, Fault>);

struct Job<O: Operation> {
    op: O,
    /// `None` where nobody waits.
    tell: Option<oneshot::Sender<Told<O>>>,
}

/// The way to the task. It ends when nobody has one any more.
pub(crate) struct Writer<O: Operation> {
    jobs: mpsc::Sender<Job<O>>,
}

impl<O: Operation> Clone for Writer<O> {
    fn clone(&self) -> Self {
        Self { jobs: self.jobs.clone() }
    }
}

impl<O: Operation> fmt::Debug for Writer<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").finish_non_exhaustive()
    }
}

impl<O: Operation> Writer<O> {
    /// Starts the task.
    pub(crate) fn start<T: Transactions<Op = O>>(transactions: T) -> Self {
        let (jobs, receiver) = mpsc::channel(QUEUE);
        tokio::spawn(Task { transactions, receiver, backlog: VecDeque::new() }.run());
        Self { jobs }
    }

    /// Whether the task has ended, as it does with its runtime.
    pub(crate) fn is_closed(&self) -> bool {
        self.jobs.is_closed()
    }

    /// Does one operation. Dropping the future undoes it, or leaves it undone.
    pub(crate) async fn call(&self, op: O) -> Result<O::Answer, Fault> {
        let gone =
            || Fault::new(FaultKind::Unreachable, "the store's writer has ended with its runtime; open it again");
        let (tell, told) = oneshot::channel();
        let mut waiting = Waiting { told, writer: self };
        let to_be_sent = op.is_to_be_sent();
        let answer = timeout(PATIENCE, async {
            self.jobs.send(Job { op, tell: Some(tell) }).await.map_err(|_| gone())?;
            (&mut waiting.told).await.map_err(|_| gone())?.1
        });
        answer.await.unwrap_or_else(|_| {
            let message = format!("the store's database took longer than {} s", PATIENCE.as_secs());
            let fault = Fault::new(FaultKind::Timeout, message);
            Err(if to_be_sent { fault.maybe_sent() } else { fault })
        })
    }
}

/// A caller that waits. If it leaves after it was answered and before it heard, the answer is undone.
struct Waiting<'a, O: Operation> {
    told: oneshot::Receiver<Told<O>>,
    writer: &'a Writer<O>,
}

impl<O: Operation> Drop for Waiting<'_, O> {
    fn drop(&mut self) {
        self.told.close();
        let Ok((op, Ok(answer))) = self.told.try_recv() else { return };
        let (Some(op), Ok(runtime)) = (op.undo(Some(&answer)), tokio::runtime::Handle::try_current()) else { return };
        let jobs = self.writer.jobs.clone();
        runtime.spawn(async move { jobs.send(Job { op, tell: None }).await });
    }
}

struct Task<T: Transactions> {
    transactions: T,
    receiver: mpsc::Receiver<Job<T::Op>>,
    /// What could not be written while the database was away; goes before everything that came later.
    backlog: VecDeque<T::Op>,
}

/// What shares a transaction.
struct Batch<O: Operation> {
    ops: Vec<O>,
    tells: Vec<Option<oneshot::Sender<Told<O>>>>,
}

impl<O: Operation> Batch<O> {
    fn of(jobs: impl IntoIterator<Item = Job<O>>) -> Self {
        let (ops, tells) = jobs.into_iter().map(|job| (job.op, job.tell)).unzip();
        Self { ops, tells }
    }

    fn into_jobs(self) -> impl Iterator<Item = Job<O>> {
        self.ops.into_iter().zip(self.tells).map(|(op, tell)| Job { op, tell })
    }
}

impl<T: Transactions> Task<T> {
    async fn run(mut self) {
        let mut jobs = Vec::with_capacity(SHARE);
        loop {
            let open = self.receive(&mut jobs).await;
            let caught_up = self.catch_up().await;
            let batch = Batch::of(jobs.drain(..));
            match caught_up {
                Ok(()) => self.write(batch).await,
                Err(trouble) => self.fail(batch, &trouble),
            }
            if !open {
                break;
            }
        }
        if !self.backlog.is_empty() {
            tracing::error!(lost = self.backlog.len(), "the store was closed before everything was written");
        }
        self.transactions.close().await;
    }

    /// Waits for calls. Says whether anybody can still make one.
    async fn receive(&mut self, jobs: &mut Vec<Job<T::Op>>) -> bool {
        let waiting = self.receiver.recv_many(jobs, SHARE);
        if self.backlog.is_empty() {
            return waiting.await > 0;
        }
        // Nobody may ask for a long time, and what is left over waits.
        timeout(AGAIN, waiting).await.map_or(true, |received| received > 0)
    }

    async fn catch_up(&mut self) -> Result<(), Trouble> {
        while !self.backlog.is_empty() {
            let count = self.backlog.len().min(SHARE);
            match self.write_left_over(count).await {
                Ok(()) => {}
                Err(Failed::One(_)) if count > 1 => {
                    for _ in 0..count {
                        match self.write_left_over(1).await {
                            Ok(()) => {}
                            Err(failed) => self.give_up(failed)?,
                        }
                    }
                }
                Err(failed) => self.give_up(failed)?,
            }
        }
        Ok(())
    }

    async fn write_left_over(&mut self, count: usize) -> Result<(), Failed> {
        let mut ops: Vec<_> = self.backlog.iter().take(count).cloned().collect();
        self.transactions.write(&mut ops).await?;
        self.backlog.drain(..count);
        Ok(())
    }

    /// Drops what is left over and cannot be written by itself; an error if nothing can be written now.
    fn give_up(&mut self, failed: Failed) -> Result<(), Trouble> {
        match failed {
            Failed::One(trouble) => {
                let about = self.backlog.pop_front().map(|op| op.about()).unwrap_or_default();
                tracing::error!(why = trouble.message, "{about} could not be written, and never will be");
                Ok(())
            }
            Failed::All(trouble) => Err(trouble),
            #[cfg(feature = "postgres")]
            Failed::Doubt(trouble) => Err(trouble),
        }
    }

    async fn write(&mut self, mut batch: Batch<T::Op>) {
        if batch.ops.is_empty() {
            return;
        }
        match self.transactions.write(&mut batch.ops).await {
            Ok(answers) => self.tell(batch, answers),
            // Later would be no better.
            Err(Failed::One(trouble)) if batch.ops.len() == 1 => Self::refuse(batch.into_jobs(), &trouble),
            Err(Failed::One(_)) => {
                for job in batch.into_jobs() {
                    Box::pin(self.write(Batch::of([job]))).await;
                }
            }
            Err(Failed::All(trouble)) => self.fail(batch, &trouble),
            #[cfg(feature = "postgres")]
            Err(Failed::Doubt(trouble)) => self.fail_in_doubt(batch, &trouble),
        }
    }

    fn tell(&mut self, batch: Batch<T::Op>, answers: Answers<<T::Op as Operation>::Answer>) {
        for (job, answer) in batch.into_jobs().zip(answers) {
            let Some(tell) = job.tell else { continue };
            if let Err((op, Ok(answer))) = tell.send((job.op, answer)) {
                self.keep(op.undo(Some(&answer)));
            }
        }
    }

    /// Nothing of this was written now.
    fn fail(&mut self, batch: Batch<T::Op>, trouble: &Trouble) {
        for op in batch.ops.iter().filter(|op| op.is_late_better_than_never()) {
            self.keep(Some(op.clone()));
        }
        Self::refuse(batch.into_jobs(), trouble);
    }

    /// Nobody knows whether this was written.
    #[cfg(feature = "postgres")]
    fn fail_in_doubt(&mut self, batch: Batch<T::Op>, trouble: &Trouble) {
        for Job { op, tell } in batch.into_jobs() {
            let fault = if op.is_to_be_sent() { trouble.fault().maybe_sent() } else { trouble.fault() };
            self.keep(if op.is_late_better_than_never() { Some(op.clone()) } else { op.clone().undo(None) });
            let _ = tell.map(|tell| tell.send((op, Err(fault))));
        }
    }

    fn refuse(jobs: impl Iterator<Item = Job<T::Op>>, trouble: &Trouble) {
        for Job { op, tell } in jobs {
            // Whoever left needs no answer.
            let _ = tell.map(|tell| tell.send((op, Err(trouble.fault()))));
        }
    }

    fn keep(&mut self, op: Option<T::Op>) {
        let Some(op) = op else { return };
        match self.backlog.len() < BACKLOG {
            true => self.backlog.push_back(op),
            false => tracing::error!("too much waits for the database already; {} is not written", op.about()),
        }
    }
}
