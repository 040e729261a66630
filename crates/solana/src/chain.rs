//! [`Chain`]: all that a node makes possible, shared by the schemes of one network.

use crate::blockhash::Blockhashes;
use crate::confirm::Confirmations;
use crate::mint::Mints;
use crate::rpc::Rpc;
use std::sync::Arc;
use std::time::Duration;

/// A node, and what is remembered of its answers.
#[derive(Debug)]
pub(crate) struct Chain {
    pub(crate) rpc: Rpc,
    pub(crate) mints: Mints,
    pub(crate) blockhashes: Arc<Blockhashes>,
    pub(crate) confirmations: Arc<Confirmations>,
}

impl Chain {
    /// `pause` is the least time between two looks at settlements under way, `patience` the longest wait for one.
    pub(crate) fn new(rpc: Rpc, pause: Duration, patience: Duration) -> Self {
        Self {
            mints: Mints::default(),
            blockhashes: Arc::new(Blockhashes::new(rpc.clone())),
            confirmations: Arc::new(Confirmations::new(rpc.clone(), pause, patience)),
            rpc,
        }
    }
}
