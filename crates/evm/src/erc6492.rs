//! ERC-6492: signatures of contract wallets that do not exist yet.
//!
//! Such a signature names a factory and what to call it with; afterwards the wallet is there and answers for itself.
//! A factory is a stranger's code. So only those the operator lists are called, and never by an account that has
//! anything: the call goes through Multicall3, which owns nothing, may spend nothing and may be used by everybody. It
//! is simulated that way too. Where the wallet exists by now the factory is not called at all.

use crate::chain::Chain;
use crate::codes;
use crate::exact::{gas_limit, unestimated};
use crate::fees::Quote;
use crate::lane::Order;
use crate::rpc::{Call, CallError};
use alloy::primitives::{Address, B256, Bytes, U64, address, b256};
use alloy::sol_types::{SolCall as _, SolValue as _};
use serde_json::json;
use tollway_core::Result;

/// What a wrapped signature ends with.
pub(crate) const WRAPPER: B256 = b256!("6492649264926492649264926492649264926492649264926492649264926492");
/// Where Multicall3 is on nearly every chain.
pub(crate) const MULTICALL3: Address = address!("cA11bde05977b3631167028862bE2a173976CA11");

alloy::sol! {
    struct Call3 { address target; bool allowFailure; bytes callData; }
    struct CallResult { bool success; bytes returnData; }
    function aggregate3(Call3[] calls) external payable returns (CallResult[] results);
}

/// What makes a wallet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Deployment {
    pub(crate) factory: Address,
    call: Bytes,
}

impl Deployment {
    /// Whether a signature is wrapped.
    pub(crate) fn wraps(signature: &[u8]) -> bool {
        signature.ends_with(WRAPPER.as_slice())
    }

    /// Opens a wrapper; gives the signature in it too. `None` where it is broken.
    pub(crate) fn open(wrapped: &[u8]) -> Option<(Self, Bytes)> {
        let body = wrapped.strip_suffix(WRAPPER.as_slice())?;
        let (factory, call, signature) = <(Address, Bytes, Bytes)>::abi_decode_params(body).ok()?;
        Some((Self { factory, call }, signature))
    }

    /// The call of Multicall3 that makes the wallet, and then, where given, carries a transfer out. The factory may
    /// fail, since somebody else may have made the wallet first; the transfer may not.
    pub(crate) fn call(&self, transfer: Option<(Address, &Bytes)>) -> Bytes {
        let call = |target, allow, data: &Bytes| Call3 { target, allowFailure: allow, callData: data.clone() };
        let mut calls = vec![call(self.factory, true, &self.call)];
        calls.extend(transfer.map(|(token, data)| call(token, false, data)));
        aggregate3Call { calls }.abi_encode().into()
    }

    /// The transaction that makes a payer's wallet and carries its transfer out. It is sponsored, so it is taken out of
    /// the day's share here, sent or not.
    pub(crate) async fn order(
        &self,
        chain: &Chain,
        signer: Address,
        payer: Address,
        (token, transfer): (Address, &Bytes),
        quote: Quote,
    ) -> Result<Order> {
        let data = self.call(Some((token, transfer)));
        let most = chain.limits.max_gas;
        let estimate = json!({ "from": signer, "to": MULTICALL3, "data": data, "gas": U64::from(most) });
        let gas: Result<U64, CallError> = chain.rpc.call(&Call::new("eth_estimateGas", &[estimate])).await;
        let gas = gas.map_err(|error| unestimated(chain, payer, codes::SIMULATION_FAILED, error))?;
        chain.limits.sponsoring.take(true, payer, most, codes::UNDEPLOYED_WALLET)?.spent();
        Ok(Order { to: MULTICALL3, data, gas: gas_limit(gas.to(), most), quote })
    }
}

/// A wrapped signature.
#[cfg(test)]
pub(crate) fn wrap(factory: Address, call: &[u8], signature: &[u8]) -> Vec<u8> {
    let parts = (factory, Bytes::copy_from_slice(call), Bytes::copy_from_slice(signature));
    [parts.abi_encode_params(), WRAPPER.to_vec()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_wrapper_is_opened() {
        let wrapped = wrap(Address::repeat_byte(7), b"create", b"signature");
        assert!(Deployment::wraps(&wrapped) && !Deployment::wraps(b"signature"));
        let (deployment, signature) = Deployment::open(&wrapped).unwrap();
        assert_eq!((deployment.factory, &deployment.call[..]), (Address::repeat_byte(7), &b"create"[..]));
        assert_eq!(signature[..], b"signature"[..]);
        assert_eq!(Deployment::open(b"signature"), None);
    }

    #[test]
    fn the_factory_may_fail_and_the_transfer_may_not() {
        let (deployment, _) = Deployment::open(&wrap(Address::repeat_byte(7), b"create", b"")).unwrap();
        let calls = |data: &Bytes| aggregate3Call::abi_decode(data).unwrap().calls;
        let alone = calls(&deployment.call(None));
        assert!(matches!(&alone[..], [made] if made.allowFailure && made.target == deployment.factory));
        let token = Address::repeat_byte(8);
        let both = calls(&deployment.call(Some((token, &Bytes::from_static(b"transfer")))));
        assert!(matches!(&both[..], [made, paid] if made.allowFailure && !paid.allowFailure && paid.target == token));
    }

    proptest! {
        #[test]
        fn no_wrapper_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Deployment::open(&bytes);
            let _ = Deployment::open(&[&bytes, WRAPPER.as_slice()].concat());
        }

        #[test]
        fn wrappers_round_trip(factory: [u8; 20], call: Vec<u8>, signature: Vec<u8>) {
            let (deployment, inner) = Deployment::open(&wrap(factory.into(), &call, &signature)).unwrap();
            prop_assert_eq!(deployment.factory, Address::from(factory));
            prop_assert_eq!(&deployment.call[..], &call[..]);
            prop_assert_eq!(&inner[..], &signature[..]);
        }
    }
}
