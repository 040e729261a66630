//! [`GasTable`]: how much gas payments take, remembered by what is called for which token, so that not every payment
//! is estimated.
//!
//! An estimate holds for a minute. It is of some payment and not of this one: one to somebody who had nothing of the
//! token before takes more, for which there is room.

use alloy::primitives::Address;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// How long an estimate holds. Some chains count the fee of another chain as gas, and that moves.
const FRESH: Duration = Duration::from_secs(60);
/// What a payment may take beyond another of its kind: a balance that was zero takes 17 100 more.
const ROOM: u64 = 25_000;
/// Most kinds remembered. Only known tokens are, so this is never reached by strangers' doing.
const MOST: usize = 1024;

/// A kind of payment: the contract called, the function's selector, the token.
pub(crate) type Kind = (Address, [u8; 4], Address);

/// Estimates by kind of payment.
#[derive(Debug, Default)]
pub(crate) struct GasTable(Mutex<HashMap<Kind, (u64, Instant)>>);

impl GasTable {
    fn lines(&self) -> MutexGuard<'_, HashMap<Kind, (u64, Instant)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a payment of this kind takes alone, with room; `None` where it should be estimated.
    pub(crate) fn get(&self, kind: Kind) -> Option<u64> {
        let (gas, at) = *self.lines().get(&kind)?;
        (at.elapsed() < FRESH).then(|| gas.saturating_add(ROOM))
    }

    /// Remembers an estimate.
    pub(crate) fn learn(&self, kind: Kind, gas: u64) {
        let mut lines = self.lines();
        if lines.len() < MOST || lines.contains_key(&kind) {
            lines.insert(kind, (gas, Instant::now()));
        }
    }
}

/// The kind of a call for a token.
pub(crate) fn kind(to: Address, data: &[u8], token: Address) -> Kind {
    (to, data.first_chunk().copied().unwrap_or_default(), token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_estimate_holds_for_a_minute() {
        let table = GasTable::default();
        let (token, proxy) = (Address::repeat_byte(1), Address::repeat_byte(2));
        let by_token = kind(token, &[1, 2, 3, 4, 5], token);
        assert_eq!(table.get(by_token), None);
        table.learn(by_token, 60_000);
        assert_eq!(table.get(by_token), Some(85_000));
        assert_eq!(table.get(kind(proxy, &[1, 2, 3, 4], token)), None);
        assert_eq!(table.get(kind(token, &[1, 2, 3, 9], token)), None);
        tokio::time::advance(FRESH).await;
        assert_eq!(table.get(by_token), None);
    }
}
