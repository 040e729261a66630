//! The thread that makes blocks at a fixed interval.

use std::sync::Weak;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use crate::devnet::Inner;
use crate::error::DevnetError;

/// Its thread ends when this is dropped. A thread, not a task: a devnet needs no async runtime to make blocks.
#[derive(Debug)]
pub(crate) struct Miner {
    _alive: mpsc::Sender<()>,
}

impl Miner {
    pub(crate) fn start(chain: Weak<Inner>, interval: Duration) -> Result<Self, DevnetError> {
        let interval = interval.max(Duration::from_millis(1));
        let (alive, ended) = mpsc::channel();
        thread::Builder::new()
            .name("devnet-miner".to_owned())
            .spawn(move || {
                let mut next = Instant::now() + interval;
                loop {
                    let pause = next.saturating_duration_since(Instant::now());
                    if ended.recv_timeout(pause) != Err(RecvTimeoutError::Timeout) {
                        return;
                    }
                    let Some(chain) = chain.upgrade() else { return };
                    chain.mine();
                    // Blocks that could not be made in time are not made up for.
                    next = (next + interval).max(Instant::now());
                }
            })
            .map_err(|source| DevnetError::Io { what: "start the miner", source })?;
        Ok(Self { _alive: alive })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Devnet, Mining};

    #[test]
    fn the_last_handle_ends_the_chain() {
        let devnet = Devnet::builder().mining(Mining::Interval(Duration::ZERO)).build().unwrap();
        while devnet.block_number() == 0 {
            thread::yield_now();
        }
        let chain = devnet.downgrade();
        drop(devnet);
        // The miner may hold it for one more block.
        while chain.upgrade().is_some() {
            thread::yield_now();
        }
    }
}
