//! Everything a verification wants to know of the chain, in one `eth_call` (`contracts/Probe.sol`).

use crate::abi::{Probe, Token, Wallet};
use crate::eip712::Transfer;
use crate::erc6492::{Deployment, MULTICALL3};
use crate::rpc::Call;
use alloy::primitives::{Address, B256, Bytes, U64, U256};
use alloy::sol_types::{SolCall as _, SolValue as _};
use serde::Serialize;
use std::fmt::Write as _;
use std::sync::LazyLock;

/// Gas for each view asked of the asset.
const VIEW_GAS: u64 = 100_000;
/// Gas of a question beyond what its parts are given: creation, its own code and calldata, six views, the answer.
const FRAME_GAS: u64 = 1_500_000;

/// The probe's creation code as it is sent.
static CODE: LazyLock<String> = LazyLock::new(|| alloy::hex::encode_prefixed(&Probe::BYTECODE));

/// One payment, as the chain is asked about it.
#[derive(Debug)]
pub(crate) struct Question<'a> {
    /// The token.
    pub(crate) asset: Address,
    /// What the payer signed.
    pub(crate) transfer: &'a Transfer,
    /// Its EIP-712 digest.
    pub(crate) digest: &'a B256,
    /// The payer's signature.
    pub(crate) signature: &'a Bytes,
    /// Whether it is the payer's own ECDSA signature.
    pub(crate) recovers: bool,
    /// What makes the payer's wallet, where it may be called.
    pub(crate) deployment: Option<&'a Deployment>,
    /// Gas for the transfer, as much again for the wallet's verdict, and for making the wallet.
    pub(crate) gas: u64,
}

/// The parameters of the `eth_call`.
#[derive(Serialize)]
struct Params<'a> {
    data: &'a str,
    gas: U64,
}

impl Question<'_> {
    /// The calldata of the transfer itself.
    pub(crate) fn transfer_call(&self) -> Vec<u8> {
        transfer_call(self.transfer, self.signature)
    }

    /// The call that asks it now.
    pub(crate) fn call(&self) -> Call {
        self.call_at("latest")
    }

    /// The call that asks it as of a block or a tag. `from` is left to the node: no account with money speaks to
    /// strangers' code.
    pub(crate) fn call_at(&self, block: &str) -> Call {
        let transfer = self.transfer_call();
        let wallet =
            Wallet::isValidSignatureCall { digest: *self.digest, signature: self.signature.clone() }.abi_encode();
        let make = self.deployment.map(|deployment| deployment.call(None)).unwrap_or_default();
        let maker = if make.is_empty() { Address::ZERO } else { MULTICALL3 };
        let words = (
            self.asset,
            self.transfer.from,
            self.transfer.to,
            self.transfer.value,
            self.transfer.nonce,
            U256::from(transfer.len()),
            U256::from(wallet.len()),
            U256::from(self.gas),
            U256::from(VIEW_GAS),
            self.recovers,
            maker,
            U256::from(make.len()),
        )
            .abi_encode();
        let parts = [&transfer[..], &wallet, &make, &words];
        let length: usize = parts.iter().map(|part| 2 * part.len()).sum();
        let mut data = String::with_capacity(CODE.len() + length);
        data.push_str(&CODE);
        for part in parts {
            // Writing to a text cannot fail.
            let _ = write!(data, "{}", alloy::hex::display(part));
        }
        let gas = U64::from(self.gas.saturating_mul(3).saturating_add(FRAME_GAS));
        Call::new("eth_call", &(Params { data: &data, gas }, block))
    }
}

/// The calldata that carries a transfer out. A signature that looks like ECDSA goes in three parts, which every
/// EIP-3009 token takes; any other goes whole, which tokens that know contract wallets take.
pub(crate) fn transfer_call(transfer: &Transfer, signature: &Bytes) -> Vec<u8> {
    let Transfer { from, to, value, valid_after, valid_before, nonce } = *transfer;
    match <&[u8; 65]>::try_from(&signature[..]) {
        Ok(parts) if matches!(parts[64], 27 | 28) => {
            let (r, s, v) = (B256::from_slice(&parts[..32]), B256::from_slice(&parts[32..64]), parts[64]);
            let in_parts = (from, to, value, valid_after, valid_before, nonce, v, r, s);
            Token::transferWithAuthorization_0Call::new(in_parts).abi_encode()
        }
        _ => {
            let whole = (from, to, value, valid_after, valid_before, nonce, signature.clone());
            Token::transferWithAuthorization_1Call::new(whole).abi_encode()
        }
    }
}

/// What the chain said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    /// The id of the chain that was asked.
    pub(crate) chain: u64,
    /// The payer has code, so only its own verdict counts.
    pub(crate) payer_has_code: bool,
    /// The payer had none, and has by its factory.
    pub(crate) deployed: bool,
    /// The payer's code confirmed the signature.
    pub(crate) confirmed: bool,
    /// The asset has code.
    pub(crate) asset_has_code: bool,
    /// The asset answered `authorizationState`.
    pub(crate) knows_nonces: bool,
    /// The nonce was used before.
    pub(crate) nonce_used: bool,
    /// The transfer did not revert.
    pub(crate) ran: bool,
    /// It did what it must.
    pub(crate) moved: bool,
    /// Where it reverted: what may have been the reason.
    pub(crate) diagnosis: Option<Diagnosis>,
}

/// What the asset said of itself and the payer after the transfer reverted. `None` where it did not answer, or
/// nothing that makes sense.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Diagnosis {
    /// The payer's balance.
    pub(crate) balance: Option<U256>,
    /// The token's name.
    pub(crate) name: Option<String>,
    /// The token's version.
    pub(crate) version: Option<String>,
}

impl Answer {
    /// Reads an answer; `None` where it is none of the probe's.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let (head, rest) = bytes.split_first_chunk::<32>()?;
        let word = U256::from_be_bytes(*head);
        let flags = word.byte(0);
        let flag = |bit: u8| flags & bit != 0;
        let diagnosis = match rest {
            [] => None,
            rest if rest.len() == 32 + 128 + 128 => {
                let balance = U256::from_be_slice(&rest[..32]);
                Some(Diagnosis {
                    balance: (balance != U256::MAX).then_some(balance),
                    name: text(&rest[32..160]),
                    version: text(&rest[160..]),
                })
            }
            _ => return None,
        };
        Some(Self {
            chain: u64::try_from(word >> 8).ok()?,
            payer_has_code: flag(1),
            deployed: flag(128),
            confirmed: flag(2),
            asset_has_code: flag(4),
            knows_nonces: flag(8),
            nonce_used: flag(16),
            ran: flag(32),
            moved: flag(64),
            diagnosis,
        })
    }
}

/// An ABI-encoded text of at most 64 bytes; a longer one is no answer, and no name either.
fn text(bytes: &[u8]) -> Option<String> {
    let word = |at: usize| U256::try_from_be_slice(bytes.get(at..at.checked_add(32)?)?);
    (word(0)? == U256::from(32)).then_some(())?;
    let length = usize::try_from(word(32)?).ok()?;
    let text = bytes.get(64..)?.get(..length)?;
    String::from_utf8(text.to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test::vector_a1;
    use proptest::prelude::*;

    #[test]
    fn the_code_is_small() {
        assert!(Probe::BYTECODE.len() < 640, "{}", Probe::BYTECODE.len());
    }

    #[test]
    fn only_what_looks_like_ecdsa_goes_in_three_parts() {
        let transfer = vector_a1();
        let with = |length: usize, v: u8| {
            let mut bytes = vec![7; length];
            if let Some(last) = bytes.last_mut() {
                *last = v;
            }
            transfer_call(&transfer, &bytes.into())
        };
        let three = Token::transferWithAuthorization_0Call::SELECTOR;
        let whole = Token::transferWithAuthorization_1Call::SELECTOR;
        assert_eq!(with(65, 27)[..4], three);
        assert_eq!(with(65, 28)[..4], three);
        for (length, v) in [(65, 0), (65, 31), (64, 27), (66, 27), (0, 0), (130, 28)] {
            assert_eq!(with(length, v)[..4], whole, "{length} {v}");
        }
    }

    #[test]
    fn an_answer_is_read() {
        let mut bytes = [0; 32];
        bytes[31] = 0b0110_1100;
        bytes[28..31].copy_from_slice(&84532u32.to_be_bytes()[1..]);
        let answer = Answer::read(&bytes).unwrap();
        assert_eq!(answer.chain, 84532);
        assert!(answer.asset_has_code && answer.knows_nonces && answer.ran && answer.moved);
        assert!(!answer.payer_has_code && !answer.confirmed && !answer.nonce_used);
        assert_eq!(answer.diagnosis, None);
    }

    #[test]
    fn a_diagnosis_is_read_as_far_as_it_makes_sense() {
        let texts = |name: &str| {
            let mut bytes = name.to_owned().abi_encode();
            bytes.resize(128, 0);
            bytes
        };
        let bytes = [vec![0; 32], vec![0xff; 32], texts("USDC"), vec![0; 128]].concat();
        let diagnosis = Answer::read(&bytes).unwrap().diagnosis.unwrap();
        assert_eq!(diagnosis, Diagnosis { balance: None, name: Some("USDC".into()), version: None });
        assert_eq!(text(&texts(&"n".repeat(64))).unwrap().len(), 64);
        let mut endless = texts("USDC");
        endless[32..64].fill(0xff);
        assert_eq!(text(&endless), None);
        let mut elsewhere = texts("USDC");
        elsewhere[..32].fill(0xff);
        assert_eq!(text(&elsewhere), None);
    }

    proptest! {
        #[test]
        fn no_answer_panics(bytes in proptest::collection::vec(any::<u8>(), 0..400), word in 0usize..9) {
            let _ = Answer::read(&bytes);
            let _ = text(&bytes);
            let mut long = vec![0u8; 320];
            long[word * 32..word * 32 + bytes.len().min(32)].copy_from_slice(&bytes[..bytes.len().min(32)]);
            let _ = Answer::read(&long);
        }
    }
}
