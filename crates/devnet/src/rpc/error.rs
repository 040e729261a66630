//! The errors a node answers, worded as go-ethereum words them, because clients match on its words.

use std::borrow::Cow;

use alloy::primitives::Bytes;
use alloy::rpc::json_rpc::ErrorPayload;
use alloy::sol_types::{Revert, SolError as _, decode_revert_reason};
use revm::context::result::{HaltReason, InvalidTransaction};
use serde_json::value::{RawValue, to_raw_value};

/// Execution reverted; the data are what the contract said.
const REVERTED: i64 = 3;
/// The catch-all of nodes.
const SERVER: i64 = -32000;
/// A limit of this node.
const LIMIT: i64 = -32005;

/// A JSON-RPC error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) code: i64,
    pub(crate) message: Cow<'static, str>,
    pub(crate) data: Option<Bytes>,
}

impl Failure {
    pub(crate) fn new(code: i64, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code, message: message.into(), data: None }
    }

    pub(crate) fn server(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(SERVER, message)
    }

    pub(crate) fn limit(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(LIMIT, message)
    }

    pub(crate) fn params(message: impl std::fmt::Display) -> Self {
        Self::new(-32602, format!("invalid params: {message}"))
    }

    pub(crate) fn unknown_method(name: &str) -> Self {
        // A stranger chose the name: it is echoed, but not at any length.
        let shown: String = name.chars().take(64).collect();
        Self::new(-32601, format!("the method {shown} does not exist/is not available"))
    }

    pub(crate) fn internal(error: impl std::fmt::Display) -> Self {
        Self::new(-32603, format!("internal error: {error}"))
    }

    /// A revert with its reason in words where it has one.
    pub(crate) fn reverted(data: Bytes) -> Self {
        let reason = Revert::abi_decode(&data)
            .map(|revert| revert.reason)
            .ok()
            .or_else(|| decode_revert_reason(&data).filter(|_| !data.is_empty()));
        let message = match reason {
            Some(reason) => format!("execution reverted: {reason}").into(),
            None => Cow::Borrowed("execution reverted"),
        };
        Self { code: REVERTED, message, data: Some(data) }
    }

    pub(crate) fn halted(reason: &HaltReason) -> Self {
        Self::server(match reason {
            HaltReason::OutOfGas(_) => "out of gas".into(),
            HaltReason::OpcodeNotFound | HaltReason::InvalidFEOpcode => "invalid opcode".into(),
            HaltReason::StateChangeDuringStaticCall => "write protection".into(),
            HaltReason::CreateContractSizeLimit => "max code size exceeded".into(),
            HaltReason::OutOfFunds => "insufficient balance for transfer".into(),
            other => Cow::Owned(other.to_string()),
        })
    }

    pub(crate) fn invalid(reason: &InvalidTransaction) -> Self {
        use InvalidTransaction as Invalid;
        Self::server(match reason {
            Invalid::LackOfFundForMaxFee { fee, balance } => {
                format!("{INSUFFICIENT_FUNDS}: balance {balance}, tx cost {fee}")
            }
            Invalid::CallGasCostMoreThanGasLimit { initial_gas: want, gas_limit: have }
            | Invalid::GasFloorMoreThanGasLimit { gas_floor: want, gas_limit: have } => {
                format!("intrinsic gas too low: gas {have}, minimum needed {want}")
            }
            Invalid::NonceTooLow { tx, state } => {
                format!("nonce too low: next nonce {state}, tx nonce {tx}")
            }
            Invalid::GasPriceLessThanBasefee => FEE_TOO_LOW.into(),
            Invalid::PriorityFeeGreaterThanMaxFee => "max priority fee per gas higher than max fee per gas".into(),
            Invalid::CreateInitCodeSizeLimit => "max initcode size exceeded".into(),
            other => other.to_string(),
        })
    }
}

pub(crate) const INSUFFICIENT_FUNDS: &str = "insufficient funds for gas * price + value";
pub(crate) const FEE_TOO_LOW: &str = "max fee per gas less than block base fee";

impl From<Failure> for ErrorPayload<Box<RawValue>> {
    fn from(failure: Failure) -> Self {
        Self {
            code: failure.code,
            message: failure.message,
            data: failure.data.and_then(|data| to_raw_value(&data).ok()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy::sol_types::Panic;

    #[test]
    fn a_revert_tells_its_reason() {
        let failure = Failure::reverted(Revert::from("no money").abi_encode().into());
        assert_eq!((failure.code, &*failure.message), (3, "execution reverted: no money"));
        assert!(failure.data.is_some());
    }

    #[test]
    fn a_panic_tells_its_kind() {
        let data = Panic::from(0x11_u64).abi_encode();
        let failure = Failure::reverted(data.into());
        assert!(failure.message.contains("overflow"), "{}", failure.message);
    }

    #[test]
    fn silent_and_unknown_reverts_claim_no_reason() {
        for data in [Bytes::new(), Bytes::from_static(&[1, 2, 3, 4, 0xff])] {
            assert_eq!(Failure::reverted(data).message, "execution reverted");
        }
    }
}
