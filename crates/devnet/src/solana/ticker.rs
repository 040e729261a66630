//! The thread that lets slots pass at a fixed interval.

use std::sync::Weak;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use super::devnet::Inner;
use super::error::DevnetError;

/// Its thread ends when this is dropped. A thread, not a task: a devnet needs no async runtime to make blocks.
#[derive(Debug)]
pub(crate) struct Ticker {
    _alive: mpsc::Sender<()>,
}

impl Ticker {
    pub(crate) fn start(chain: Weak<Inner>, interval: Duration) -> Result<Self, DevnetError> {
        let interval = interval.max(Duration::from_millis(1));
        let (alive, ended) = mpsc::channel();
        thread::Builder::new()
            .name("solana-devnet".to_owned())
            .spawn(move || {
                let mut next = Instant::now() + interval;
                loop {
                    let pause = next.saturating_duration_since(Instant::now());
                    if ended.recv_timeout(pause) != Err(RecvTimeoutError::Timeout) {
                        return;
                    }
                    let Some(chain) = chain.upgrade() else { return };
                    chain.chain().advance(1);
                    // Slots that could not be made in time are not made up for.
                    next = (next + interval).max(Instant::now());
                }
            })
            .map_err(|source| DevnetError::Io { what: "start the thread that lets slots pass", source })?;
        Ok(Self { _alive: alive })
    }
}
