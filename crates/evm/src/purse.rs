//! [`Purse`]: what a signer has for gas, and the alarm when it is little.

use crate::lane::Lane;
use crate::rpc::Call;
use alloy::primitives::U256;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// How long a balance is believed. It is asked for only while something is sent.
const FRESH: Duration = Duration::from_secs(60);
/// How many more payments a balance should pay for, where no limit is configured.
const ENOUGH: u128 = 100;
/// Gas of one payment, for that rule.
const PAYMENT_GAS: u128 = 100_000;

/// A signer's coin, as far as it is known.
#[derive(Debug, Default)]
pub(crate) struct Purse {
    seen: Mutex<Seen>,
    /// The node refused a transaction because the signer cannot pay for it.
    dry: AtomicBool,
}

/// The last look.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Seen {
    /// In wei.
    pub(crate) balance: Option<U256>,
    pub(crate) low: bool,
    asked: Option<Instant>,
}

impl Purse {
    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn seen(&self) -> Seen {
        *self.lock()
    }

    /// Whether the signer could not pay when it last had to.
    pub(crate) fn is_dry(&self) -> bool {
        self.dry.load(Relaxed)
    }

    /// Notes whether the signer could pay.
    pub(crate) fn paid(&self, could: bool) {
        self.dry.store(!could, Relaxed);
        if !could {
            // Whoever fills it wants to be believed soon.
            self.lock().asked = None;
        }
    }

    /// Whether it is time to ask; if so, nobody else asks meanwhile.
    pub(crate) fn due(&self) -> bool {
        let mut seen = self.lock();
        let due = seen.asked.is_none_or(|asked| asked.elapsed() >= FRESH);
        if due {
            seen.asked = Some(Instant::now());
        }
        due
    }
}

impl Lane {
    /// Asks for the signer's balance, and warns where it is low. `max_fee` is what gas costs now, in wei.
    pub(crate) async fn look_into_purse(&self, max_fee: u128) {
        let chain = self.chain();
        let balance: U256 = match chain.rpc.call(&Call::new("eth_getBalance", &(self.address(), "latest"))).await {
            Ok(balance) => balance,
            Err(error) => {
                tracing::warn!(network = %chain.name(), %error, "a signer's balance could not be asked for");
                return;
            }
        };
        let least = chain.limits.low_balance.unwrap_or_else(|| max_fee.saturating_mul(ENOUGH * PAYMENT_GAS));
        let low = balance < U256::from(least);
        {
            let mut seen = self.purse.lock();
            (seen.balance, seen.low) = (Some(balance), low);
        }
        self.purse.dry.store(balance.is_zero(), Relaxed);
        if low {
            tracing::warn!(
                network = %chain.name(), signer = %self.address(), %balance, least,
                "a signer's balance is low; send it some of the network's coin"
            );
        }
    }
}
