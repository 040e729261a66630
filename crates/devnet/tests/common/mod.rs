//! What several tests need: a clock of their own, and signed authorizations.
#![allow(dead_code, reason = "each test binary uses its part")]
#![allow(clippy::unwrap_used, reason = "a helper of tests that fails fails the test")]

pub(crate) mod permit2;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use alloy::consensus::{SignableTransaction, TxEip1559, TxEnvelope, TypedTransaction};
use alloy::eips::eip2718::Encodable2718 as _;
use alloy::network::TxSignerSync as _;
use alloy::primitives::{Address, B256, Bytes, Signature, TxHash, TxKind, U256, keccak256};
use alloy::signers::SignerSync as _;
use alloy::signers::local::PrivateKeySigner;
use alloy::sol;
use alloy::sol_types::{Eip712Domain, SolStruct as _, eip712_domain};
use tollway_devnet::accounts::{DevAccount, PAY_TO};
use tollway_devnet::contracts::TestUsd;
use tollway_devnet::contracts::addresses::USDC;
use tollway_devnet::{Devnet, DevnetBuilder, TimeSource};

/// A time that every test can count on.
pub(crate) const NOW: u64 = 1_800_000_000;

sol! {
    #[derive(Debug)]
    struct TransferWithAuthorization {
        address from;
        address to;
        uint256 value;
        uint256 validAfter;
        uint256 validBefore;
        bytes32 nonce;
    }

    #[derive(Debug)]
    struct ReceiveWithAuthorization {
        address from;
        address to;
        uint256 value;
        uint256 validAfter;
        uint256 validBefore;
        bytes32 nonce;
    }

    #[derive(Debug)]
    struct CancelAuthorization {
        address authorizer;
        bytes32 nonce;
    }

    #[derive(Debug)]
    struct Permit {
        address owner;
        address spender;
        uint256 value;
        uint256 nonce;
        uint256 deadline;
    }
}

/// A clock that the test moves.
pub(crate) fn clock() -> (Arc<AtomicU64>, TimeSource) {
    let now = Arc::new(AtomicU64::new(NOW));
    let source = Arc::clone(&now);
    (now, Arc::new(move || source.load(Relaxed)))
}

/// A devnet to build upon, whose clock stands still.
pub(crate) fn builder() -> DevnetBuilder {
    Devnet::builder().time(Arc::new(|| NOW))
}

pub(crate) fn devnet() -> Devnet {
    builder().build().unwrap()
}

pub(crate) fn usdc_domain() -> Eip712Domain {
    domain("USDC", "2", USDC)
}

pub(crate) fn domain(name: &str, version: &str, token: Address) -> Eip712Domain {
    eip712_domain! {
        name: name.to_owned(),
        version: version.to_owned(),
        chain_id: 84_532,
        verifying_contract: token,
    }
}

pub(crate) fn nonce(label: &str) -> B256 {
    keccak256(label)
}

/// An authorization that is valid for a minute.
pub(crate) fn authorization(from: Address, to: Address, value: u64, nonce: B256) -> TransferWithAuthorization {
    TransferWithAuthorization {
        from,
        to,
        value: U256::from(value),
        validAfter: U256::ZERO,
        validBefore: U256::from(NOW + 60),
        nonce,
    }
}

impl TransferWithAuthorization {
    pub(crate) fn sign(&self, signer: &PrivateKeySigner) -> Signature {
        self.sign_for(signer, &usdc_domain())
    }

    pub(crate) fn sign_for(&self, signer: &PrivateKeySigner, domain: &Eip712Domain) -> Signature {
        signer.sign_hash_sync(&self.eip712_signing_hash(domain)).unwrap()
    }

    /// The call with the signature in three parts.
    pub(crate) fn call_vrs(&self, signature: &Signature) -> TestUsd::transferWithAuthorization_1Call {
        let (v, r, s) = parts(signature);
        TestUsd::transferWithAuthorization_1Call {
            from: self.from,
            to: self.to,
            value: self.value,
            validAfter: self.validAfter,
            validBefore: self.validBefore,
            nonce: self.nonce,
            v,
            r,
            s,
        }
    }

    /// The call with the signature in one piece.
    pub(crate) fn call_bytes(&self, signature: &[u8]) -> TestUsd::transferWithAuthorization_0Call {
        TestUsd::transferWithAuthorization_0Call {
            from: self.from,
            to: self.to,
            value: self.value,
            validAfter: self.validAfter,
            validBefore: self.validBefore,
            nonce: self.nonce,
            signature: Bytes::copy_from_slice(signature),
        }
    }
}

/// A signed transfer of one wei, encoded, with these fees per gas.
pub(crate) fn transfer(from: &DevAccount, nonce: u64, fee: u128, tip: u128) -> Vec<u8> {
    signed(
        from,
        TxEip1559 {
            chain_id: 84_532,
            nonce,
            gas_limit: 21_000,
            max_fee_per_gas: fee,
            max_priority_fee_per_gas: tip,
            to: TxKind::Call(PAY_TO.address),
            value: U256::ONE,
            ..TxEip1559::default()
        },
    )
}

pub(crate) fn signed(
    from: &DevAccount,
    mut transaction: impl SignableTransaction<Signature> + Into<TypedTransaction>,
) -> Vec<u8> {
    let signature = from.signer().sign_transaction_sync(&mut transaction).unwrap();
    TxEnvelope::from(transaction.into().into_signed(signature)).encoded_2718()
}

pub(crate) fn hash(raw: &[u8]) -> TxHash {
    keccak256(raw)
}

pub(crate) fn parts(signature: &Signature) -> (u8, B256, B256) {
    (27 + u8::from(signature.v()), signature.r().into(), signature.s().into())
}
