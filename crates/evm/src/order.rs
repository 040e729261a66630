//! [`Order`]: what to send, and what it may cost.

use crate::chain::Chain;
use crate::fees::Quote;
use alloy::consensus::{Transaction as _, TxEip1559, TxEnvelope};
use alloy::eips::eip2718::Decodable2718 as _;
use alloy::primitives::{Address, Bytes, TxKind, U256};
use tollway_core::{Durable, Fault, FaultKind};

/// A call to be made by a transaction.
#[derive(Debug, Clone)]
pub(crate) struct Order {
    pub(crate) to: Address,
    pub(crate) data: Bytes,
    pub(crate) gas: u64,
    pub(crate) quote: Quote,
    /// Most wei per gas that may be offered for it.
    pub(crate) cap: u128,
}

impl Order {
    /// An order that carries so many payments.
    ///
    /// # Errors
    /// Gas is dearer than a payment may cost.
    pub(crate) fn new(
        chain: &Chain,
        (to, data): (Address, Bytes),
        gas: u64,
        mut quote: Quote,
        payments: usize,
    ) -> Result<Self, Fault> {
        let cap = cap(chain, gas, payments);
        let least = quote.base.saturating_add(quote.tip);
        if let (Some(most), true) = (chain.limits.max_fee_per_payment, least > cap) {
            let each = least.saturating_mul(gas.into()) / u128::try_from(payments.max(1)).unwrap_or(1);
            let message = format!(
                "{}: gas for one payment costs {each} wei now, more than maxFeePerPayment allows ({most}); wait, or raise \
                 maxFeePerPayment in the network's section",
                chain.name()
            );
            return Err(Fault::new(FaultKind::Overloaded, message));
        }
        quote.max_fee = quote.max_fee.min(cap);
        Ok(Self { to, data, gas, quote, cap })
    }

    /// The call of a transaction that was sent for so many payments; `None` where its bytes are none of ours.
    pub(crate) fn of(chain: &Chain, sent: &Durable, payments: usize) -> Option<Self> {
        let transaction = TxEnvelope::decode_2718_exact(&sent.tx().bytes).ok()?;
        let quote = Quote {
            max_fee: transaction.max_fee_per_gas(),
            tip: transaction.max_priority_fee_per_gas()?,
            base: 0,
            head: 0,
        };
        let (to, data, gas) = (transaction.to()?, transaction.input().clone(), transaction.gas_limit());
        Some(Self { to, data, gas, quote, cap: cap(chain, gas, payments) })
    }

    /// As a transaction that is not signed yet.
    pub(crate) fn transaction(&self, chain_id: u64, nonce: u64) -> TxEip1559 {
        TxEip1559 {
            chain_id,
            nonce,
            gas_limit: self.gas,
            max_fee_per_gas: self.quote.max_fee,
            max_priority_fee_per_gas: self.quote.tip,
            to: TxKind::Call(self.to),
            value: U256::ZERO,
            access_list: Default::default(),
            input: self.data.clone(),
        }
    }

    /// What it costs at most, in wei.
    pub(crate) fn worst(&self) -> u128 {
        self.quote.max_fee.saturating_mul(self.gas.into())
    }

    /// The same for more: what it costs now, and at least an eighth more than before, up to the cap.
    pub(crate) fn raised(&self, now: &Quote) -> Self {
        let raised = |fee: u128| fee.saturating_add(fee / 8).saturating_add(1);
        let max_fee = now.max_fee.max(raised(self.quote.max_fee)).min(self.cap);
        let tip = now.tip.max(raised(self.quote.tip)).min(max_fee);
        Self { quote: Quote { max_fee, tip, ..*now }, ..self.clone() }
    }

    /// Whether nodes take it in place of another with its nonce: they want a tenth more of both fees.
    pub(crate) fn replaces(&self, other: &Self) -> bool {
        let enough = |new: u128, old: u128| new > old && new - old >= old.div_ceil(10);
        enough(self.quote.max_fee, other.quote.max_fee) && enough(self.quote.tip, other.quote.tip)
    }
}

/// Most wei per gas that may be offered for a transaction of so much gas and so many payments.
fn cap(chain: &Chain, gas: u64, payments: usize) -> u128 {
    let payments = u128::try_from(payments).unwrap_or(u128::MAX);
    let each = chain.limits.max_fee_per_payment.map(|most| most.saturating_mul(payments) / u128::from(gas.max(1)));
    each.map_or(chain.fees.cap(), |each| each.min(chain.fees.cap()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(max_fee: u128, tip: u128, cap: u128) -> Order {
        let quote = Quote { max_fee, tip, base: 0, head: 0 };
        Order { to: Address::ZERO, data: Bytes::new(), gas: 100_000, quote, cap }
    }

    #[test]
    fn what_replaces_costs_a_tenth_more_in_both_fees() {
        let old = order(1000, 100, u128::MAX);
        for (max_fee, tip, replaces) in [(1100, 110, true), (1099, 110, false), (1100, 109, false), (5000, 100, false)]
        {
            assert_eq!(order(max_fee, tip, u128::MAX).replaces(&old), replaces, "{max_fee} {tip}");
        }
        assert!(!order(0, 0, 1).replaces(&order(0, 0, 1)));
    }

    #[test]
    fn a_raise_replaces_until_the_cap_is_reached() {
        let now = Quote { max_fee: 10, tip: 1, base: 5, head: 7 };
        let mut last = order(1000, 100, 2000);
        let mut raises = 0;
        loop {
            let next = last.raised(&now);
            assert!(next.quote.max_fee <= 2000 && next.quote.tip <= next.quote.max_fee);
            if !next.replaces(&last) {
                break;
            }
            (last, raises) = (next, raises + 1);
        }
        assert_eq!((raises, last.quote.max_fee, last.quote.head), (6, 2000, 7));
        // A price that has risen is met at once.
        assert_eq!(order(1000, 100, 9000).raised(&Quote { max_fee: 8000, ..now }).quote.max_fee, 8000);
    }

    #[test]
    fn the_worst_case_does_not_overflow() {
        assert_eq!(order(10, 1, 10).worst(), 1_000_000);
        assert_eq!(order(u128::MAX, 1, u128::MAX).worst(), u128::MAX);
    }
}
