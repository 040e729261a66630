//! [`Wire`]: what is between a store and its database, and can fail at the worst moment.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering::SeqCst};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tollway_core::Secret;
use tollway_testkit::postgres::Cluster;

/// How it fails, once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Fail {
    /// Not at all.
    Not,
    /// The next commit arrives, and its answer does not.
    AnswerToCommit,
    /// The next commit does not arrive.
    Commit,
}

/// A commit as the driver sends it: type, length, text.
const COMMIT: &[u8] = b"Q\0\0\0\x0bCOMMIT\0";

struct State {
    fail: AtomicU8,
    /// After a failure nobody gets through any more.
    stays_down: AtomicBool,
    is_down: AtomicBool,
    /// Everything is taken and nothing goes on.
    swallows: AtomicBool,
}

pub(crate) struct Wire {
    state: Arc<State>,
    folder: TempDir,
}

impl Wire {
    pub(crate) fn to(cluster: &Cluster) -> Self {
        let folder = TempDir::new().unwrap();
        let listener = UnixListener::bind(folder.path().join(".s.PGSQL.5432")).unwrap();
        let state = Arc::new(State {
            fail: AtomicU8::new(Fail::Not as u8),
            stays_down: AtomicBool::default(),
            is_down: AtomicBool::default(),
            swallows: AtomicBool::default(),
        });
        tokio::spawn(accept(listener, cluster.socket(), state.clone()));
        Self { state, folder }
    }

    /// The URL of a database through it.
    pub(crate) fn through(&self, url: &str) -> Secret {
        let (database, query) = url.split_once("?host=").unwrap();
        let user = query.split_once('&').unwrap().1;
        Secret::new(format!("{database}?host={}&{user}", self.folder.path().display()))
    }

    pub(crate) fn fail(&self, how: Fail, stays_down: bool) {
        self.state.stays_down.store(stays_down, SeqCst);
        self.state.fail.store(how as u8, SeqCst);
    }

    /// Whether it has failed as it was told to.
    pub(crate) fn has_failed(&self) -> bool {
        self.state.fail.load(SeqCst) == Fail::Not as u8
    }

    pub(crate) fn swallow(&self, everything: bool) {
        self.state.swallows.store(everything, SeqCst);
    }

    pub(crate) fn heal(&self) {
        self.state.is_down.store(false, SeqCst);
    }
}

async fn accept(listener: UnixListener, to: PathBuf, state: Arc<State>) {
    while let Ok((client, _)) = listener.accept().await {
        if state.is_down.load(SeqCst) {
            continue;
        }
        let Ok(server) = UnixStream::connect(&to).await else { continue };
        tokio::spawn(carry(client, server, state.clone()));
    }
}

async fn carry(mut client: UnixStream, mut server: UnixStream, state: Arc<State>) {
    let (mut asked, mut said) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    loop {
        let (bytes, to_server) = tokio::select! {
            read = client.read(&mut asked) => (&asked[..read.unwrap_or(0)], true),
            read = server.read(&mut said) => (&said[..read.unwrap_or(0)], false),
        };
        if bytes.is_empty() || state.is_down.load(SeqCst) {
            return;
        }
        if state.swallows.load(SeqCst) {
            continue;
        }
        let fail = state.fail.load(SeqCst);
        if to_server && fail != Fail::Not as u8 && bytes.windows(COMMIT.len()).any(|window| window == COMMIT) {
            if fail == Fail::AnswerToCommit as u8 {
                server.write_all(bytes).await.unwrap();
                assert!(server.read(&mut said).await.unwrap() > 0, "the commit was answered");
            }
            state.is_down.store(state.stays_down.load(SeqCst), SeqCst);
            state.fail.store(Fail::Not as u8, SeqCst);
            return;
        }
        let on = if to_server { &mut server } else { &mut client };
        if on.write_all(bytes).await.is_err() {
            return;
        }
    }
}
