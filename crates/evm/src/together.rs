//! Trying payments that are to share one transaction, in one `eth_call` (`contracts/BatchProbe.sol`), and the calldata
//! of that transaction.

use crate::abi::{BatchProbe, MULTICALL3, Multicall3};
use crate::rpc::Call;
use alloy::primitives::{Address, Bytes, U64, U256};
use alloy::sol_types::{SolCall as _, SolValue as _};
use serde_json::json;

/// What creation code may have in bytes (EIP-3860), less the probe's own and its four words.
pub(crate) const MOST_BYTES: usize = 48_000;
/// Bytes of a payment beside its calldata.
pub(crate) const HEAD_BYTES: usize = 96;
/// Gas of the question beyond what the calls take: creation, calldata, the answer.
const FRAME_GAS: u64 = 4_000_000;

/// A payment's call.
#[derive(Debug, Clone)]
pub(crate) struct PaymentCall {
    pub(crate) payer: Address,
    pub(crate) to: Address,
    pub(crate) data: Bytes,
}

/// What the chain said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tried {
    /// The id of the chain that was asked.
    pub(crate) chain: u64,
    /// Whether Multicall3 exists.
    pub(crate) shares: bool,
    /// For each payment the gas its call took, if it did not revert and its payer has no code.
    pub(crate) gas: Vec<Option<u64>>,
}

/// The call that tries them. `each` is the most gas one may take, `all` the most all together should.
pub(crate) fn question(calls: &[&PaymentCall], each: u64, all: u64) -> Call {
    let mut data = BatchProbe::BYTECODE.to_vec();
    let begin = data.len();
    for call in calls {
        data.extend((call.payer, call.to, U256::from(call.data.len())).abi_encode());
        data.extend_from_slice(&call.data);
    }
    let size = data.len() - begin;
    data.extend((U256::from(size), U256::from(calls.len()), U256::from(each), MULTICALL3).abi_encode());
    let gas = U64::from(all.saturating_add(each).saturating_add(FRAME_GAS));
    Call::new("eth_call", &(json!({ "data": Bytes::from(data), "gas": gas }), "latest"))
}

impl Tried {
    /// Reads the answer about so many payments; `None` where it is none of the probe's.
    pub(crate) fn read(bytes: &[u8], payments: usize) -> Option<Self> {
        let mut words = bytes.chunks_exact(32).map(U256::from_be_slice);
        if bytes.len() != payments.checked_add(1)?.checked_mul(32)? {
            return None;
        }
        let head = words.next()?;
        let gas = words.map(|word| word.bit(1).then(|| u64::try_from(word >> 8).ok()).flatten()).collect();
        Some(Self { chain: u64::try_from(head >> 8).ok()?, shares: head.bit(0), gas })
    }
}

/// The calldata of the transaction: each call may fail without failing the others.
pub(crate) fn shared_call(calls: &[&PaymentCall]) -> Bytes {
    let call =
        |call: &&PaymentCall| Multicall3::Call3 { target: call.to, allowFailure: true, callData: call.data.clone() };
    Multicall3::aggregate3Call { calls: calls.iter().map(call).collect() }.abi_encode().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_question_fits_into_creation_code() {
        assert!(BatchProbe::BYTECODE.len() + 128 + MOST_BYTES <= 49_152, "{}", BatchProbe::BYTECODE.len());
    }

    #[test]
    fn answers_are_read() {
        let words = [U256::from(84532) << 8 | U256::from(1), U256::from(30_000) << 8 | U256::from(2)];
        let more = [U256::from(1), U256::from(500_000) << 8, U256::MAX];
        let bytes: Vec<u8> = words.iter().chain(&more).flat_map(|word| word.to_be_bytes::<32>()).collect();
        let tried = Tried::read(&bytes, 4).unwrap();
        assert_eq!(tried, Tried { chain: 84532, shares: true, gas: vec![Some(30_000), None, None, None] });
        assert!(Tried::read(&bytes, 3).is_none() && Tried::read(&bytes[..100], 4).is_none());
        assert!(Tried::read(&[], 0).is_none() && Tried::read(&bytes, usize::MAX).is_none());
    }

    proptest! {
        #[test]
        fn no_answer_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200), payments in 0usize..8) {
            let _ = Tried::read(&bytes, payments);
        }
    }
}
