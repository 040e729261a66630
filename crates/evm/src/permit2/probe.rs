//! Everything a verification wants to know of the chain, in one `eth_call` (`contracts/PermitProbe.sol`).

use super::contracts::Permit;
use crate::abi::{PermitProbe, Wallet};
use crate::rpc::Call;
use alloy::primitives::{Address, B256, Bytes, U64, U256};
use alloy::sol_types::{SolCall as _, SolValue as _};
use serde_json::json;
use std::fmt::Write as _;
use std::sync::LazyLock;

/// Gas for each view asked of the asset.
const VIEW_GAS: u64 = 100_000;
/// Gas of a question beyond what its parts are given: creation, its own code and calldata, five views, the answer.
const FRAME_GAS: u64 = 1_500_000;

/// The probe's creation code as it is sent.
static CODE: LazyLock<String> = LazyLock::new(|| alloy::hex::encode_prefixed(&PermitProbe::BYTECODE));

/// One payment, as the chain is asked about it.
#[derive(Debug)]
pub(super) struct Question<'a> {
    pub(super) permit: &'a Permit,
    pub(super) digest: &'a B256,
    pub(super) signature: &'a Bytes,
    pub(super) recovers: bool,
    /// What is settled.
    pub(super) amount: U256,
    /// The calldata for the proxy.
    pub(super) settle: Bytes,
    /// Gas for the settlement, and as much again for the wallet's verdict.
    pub(super) gas: u64,
}

impl Question<'_> {
    /// The call that asks it now.
    pub(super) fn call(&self) -> Call {
        self.call_at("latest")
    }

    /// The call that asks it as of a block or a tag. A permit of `upto` binds who calls the proxy, so there the probe runs as the code of that
    /// account, for the length of this call.
    pub(super) fn call_at(&self, block: &str) -> Call {
        let permit = self.permit;
        let wallet =
            Wallet::isValidSignatureCall { digest: *self.digest, signature: self.signature.clone() }.abi_encode();
        let words = (
            permit.token,
            permit.owner,
            permit.to,
            self.amount,
            permit.spender,
            permit.nonce,
            U256::from(self.settle.len()),
            U256::from(wallet.len()),
            U256::from(self.gas),
            U256::from(VIEW_GAS),
            self.recovers,
        )
            .abi_encode();
        let parts = [&self.settle[..], &wallet, &words];
        let length: usize = parts.iter().map(|part| 2 * part.len()).sum();
        let mut data = String::with_capacity(CODE.len() + length);
        data.push_str(&CODE);
        for part in parts {
            // Writing to a text cannot fail.
            let _ = write!(data, "{}", alloy::hex::display(part));
        }
        let gas = U64::from(self.gas.saturating_mul(2).saturating_add(FRAME_GAS));
        match permit.facilitator {
            None => Call::new("eth_call", &(json!({ "data": data, "gas": gas }), block)),
            Some(at) => {
                let code = json!({ at.to_string(): { "code": data } });
                // From nobody: an account with code may not be a sender everywhere.
                let call = json!({ "from": Address::ZERO, "to": at, "gas": gas });
                Call::new("eth_call", &(call, block, code))
            }
        }
    }
}

/// What the chain said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    /// The id of the chain that was asked.
    pub(super) chain: u64,
    pub(super) payer_has_code: bool,
    /// The payer's code confirmed the signature.
    pub(super) confirmed: bool,
    pub(super) asset_has_code: bool,
    pub(super) proxy_has_code: bool,
    /// The settlement did not revert.
    pub(super) ran: bool,
    /// It did what it must.
    pub(super) moved: bool,
    /// Where it did not: what may have been the reason.
    pub(super) diagnosis: Option<Diagnosis>,
}

/// What token and Permit2 said after the settlement failed; `None` where they did not answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Diagnosis {
    pub(super) allowance: Option<U256>,
    pub(super) balance: Option<U256>,
    /// The word of the bitmap that holds the nonce.
    pub(super) bitmap: Option<U256>,
    /// The error's selector.
    pub(super) selector: [u8; 4],
}

impl Answer {
    /// Reads an answer; `None` where it is none of the probe's.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let (head, rest) = bytes.split_first_chunk::<32>()?;
        let word = U256::from_be_bytes(*head);
        let flag = |bit: usize| word.bit(bit);
        let diagnosis = match rest {
            [] => None,
            rest if rest.len() == 4 * 32 => {
                let word = |at: usize| U256::from_be_slice(&rest[32 * at..32 * (at + 1)]);
                let mut selector = [0; 4];
                selector.copy_from_slice(&rest[96..100]);
                Some(Diagnosis {
                    allowance: flag(6).then(|| word(0)),
                    balance: flag(7).then(|| word(1)),
                    bitmap: flag(8).then(|| word(2)),
                    selector,
                })
            }
            _ => return None,
        };
        Some(Self {
            chain: u64::try_from(word >> 16).ok()?,
            payer_has_code: flag(0),
            confirmed: flag(1),
            asset_has_code: flag(2),
            proxy_has_code: flag(3),
            ran: flag(4),
            moved: flag(5),
            diagnosis,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_code_is_small() {
        assert!(PermitProbe::BYTECODE.len() < 640, "{}", PermitProbe::BYTECODE.len());
    }

    #[test]
    fn answers_are_read() {
        let head = (U256::from(84532) << 16) | U256::from(4 | 8 | 64 | 256);
        let words = [head, U256::from(5), U256::from(6), U256::from(7), U256::from_be_bytes([9; 32])];
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes::<32>()).collect();
        let answer = Answer::read(&bytes).unwrap();
        assert_eq!(answer.chain, 84532);
        assert!(answer.asset_has_code && answer.proxy_has_code && !answer.ran && !answer.payer_has_code);
        let diagnosis = answer.diagnosis.unwrap();
        assert_eq!((diagnosis.allowance, diagnosis.balance), (Some(U256::from(5)), None));
        assert_eq!((diagnosis.bitmap, diagnosis.selector), (Some(U256::from(7)), [9; 4]));
        assert!(Answer::read(&bytes[..64]).is_none() && Answer::read(&[]).is_none());
    }

    proptest! {
        #[test]
        fn no_answer_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Answer::read(&bytes);
            let mut whole = bytes;
            whole.resize(160, 0);
            let _ = Answer::read(&whole);
        }
    }
}
