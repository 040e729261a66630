//! Permit2 itself, as whoever is its spender sees it: signatures in all their forms, nonces, and batches.
#![allow(clippy::unwrap_used, reason = "a helper of tests that fails fails the test")]

mod common;

use alloy::primitives::{Address, Bytes, Signature, U256, hex};
use alloy::providers::Provider as _;
use alloy::rpc::types::TransactionRequest;
use alloy::signers::SignerSync as _;
use alloy::sol;
use alloy::sol_types::{Revert, SolCall as _, SolError as _, SolStruct as _};
use common::permit2::{Call, Payment, exact, permit2_digest, refusal, send};
use common::{NOW, builder, devnet};
use tollway_devnet::Devnet;
use tollway_devnet::accounts::{CLIENT, FACILITATOR, PAY_TO, STRANGER};
use tollway_devnet::contracts::addresses::{
    DIRTY_MAGIC_WALLET, EXACT_PERMIT2_PROXY, HUGE_ANSWER_WALLET, PADDED_MAGIC_WALLET, PERMIT2, PLAIN, REVERTING_WALLET,
    SHORT_MAGIC_WALLET, USDC,
};
use tollway_devnet::contracts::{Permit2, RevertingWallet, TestUsd, Wallet1271};

sol! {
    #[derive(Debug)]
    struct TokenPermissions {
        address token;
        uint256 amount;
    }

    #[derive(Debug)]
    struct PermitTransferFrom {
        TokenPermissions permitted;
        address spender;
        uint256 nonce;
        uint256 deadline;
    }

    #[derive(Debug)]
    struct PermitBatchTransferFrom {
        TokenPermissions[] permitted;
        address spender;
        uint256 nonce;
        uint256 deadline;
    }
}

/// A permission of `client` for `facilitator` to take up to a thousand.
fn permission(nonce: u64) -> PermitTransferFrom {
    PermitTransferFrom {
        permitted: TokenPermissions { token: USDC, amount: U256::from(1_000) },
        spender: FACILITATOR.address,
        nonce: U256::from(nonce),
        deadline: U256::from(NOW),
    }
}

fn signature(permission: &PermitTransferFrom) -> Signature {
    CLIENT.signer().sign_hash_sync(&permit2_digest(permission)).unwrap()
}

fn take(permission: &PermitTransferFrom, amount: u64, signature: &[u8]) -> Call {
    take_from(CLIENT.address, permission, amount, signature)
}

fn take_from(owner: Address, permission: &PermitTransferFrom, amount: u64, signature: &[u8]) -> Call {
    let call = Permit2::permitTransferFrom_0Call {
        permit: Permit2::PermitTransferFrom {
            permitted: Permit2::TokenPermissions {
                token: permission.permitted.token,
                amount: permission.permitted.amount,
            },
            nonce: permission.nonce,
            deadline: permission.deadline,
        },
        transferDetails: to_payee(amount),
        owner,
        signature: Bytes::copy_from_slice(signature),
    };
    Call { to: PERMIT2, input: call.abi_encode().into() }
}

fn to_payee(amount: u64) -> Permit2::SignatureTransferDetails {
    Permit2::SignatureTransferDetails { to: PAY_TO.address, requestedAmount: U256::from(amount) }
}

fn earned(devnet: &Devnet, token: Address) -> U256 {
    devnet.balance_of(token, PAY_TO.address).unwrap()
}

async fn refused(devnet: &Devnet, call: Call, with: [u8; 4]) {
    assert_eq!(refusal(devnet, FACILITATOR.address, call).await, with);
}

#[tokio::test]
async fn a_key_signs_in_65_bytes_or_64() {
    let devnet = devnet();
    // Both parities, for the short form hides it in the highest bit.
    let mut parities = [false; 2];
    for nonce in 0..8 {
        let permission = permission(nonce);
        let signature = signature(&permission);
        parities[usize::from(signature.v())] = true;
        let mut short = signature.as_bytes()[..64].to_vec();
        short[32] |= if signature.v() { 0x80 } else { 0 };
        let form = if nonce < 4 { short } else { signature.as_bytes().to_vec() };
        assert!(send(&devnet, &FACILITATOR, take(&permission, 10, &form)).await.status());
    }
    assert_eq!(parities, [true; 2]);
    assert_eq!(earned(&devnet, USDC), U256::from(80));

    let permission = permission(8);
    let good = signature(&permission).as_bytes();
    let zeros: &[u8] = &[0; 65];
    let mut odd_v = good;
    odd_v[64] -= 27;
    for (form, error) in [
        (&good[..63], Permit2::InvalidSignatureLength::SELECTOR),
        (&[&good[..], &[0]].concat(), Permit2::InvalidSignatureLength::SELECTOR),
        (zeros, Permit2::InvalidSignature::SELECTOR),
        (&odd_v, Permit2::InvalidSignature::SELECTOR),
    ] {
        refused(&devnet, take(&permission, 10, form), error).await;
    }
    assert!(send(&devnet, &FACILITATOR, take(&permission, 10, &high_s(&good))).await.status());
}

/// The same signature's other form, which tokens refuse and Permit2 takes.
fn high_s(signature: &[u8; 65]) -> [u8; 65] {
    const ORDER: U256 = U256::from_be_bytes(hex!("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141"));
    let mut other = *signature;
    let s = ORDER - U256::from_be_slice(&signature[32..64]);
    other[32..64].copy_from_slice(&s.to_be_bytes::<32>());
    other[64] = 27 + 28 - signature[64];
    other
}

#[tokio::test]
async fn a_permission_is_for_its_spender_and_its_amount() {
    let devnet = devnet();
    let permission = permission(0);
    let good = signature(&permission).as_bytes();
    let call = take(&permission, 1_000, &good);
    assert_eq!(refusal(&devnet, STRANGER.address, call).await, Permit2::InvalidSigner::SELECTOR);
    let data = refusal(&devnet, FACILITATOR.address, take(&permission, 1_001, &good)).await;
    assert_eq!(data, Permit2::InvalidAmount { maxAmount: U256::from(1_000) }.abi_encode());
    devnet.advance(1);
    let data = refusal(&devnet, FACILITATOR.address, take(&permission, 1_000, &good)).await;
    assert_eq!(data, Permit2::SignatureExpired { signatureDeadline: U256::from(NOW) }.abi_encode());
}

#[tokio::test]
async fn who_sees_a_payment_cannot_take_it_past_the_proxy() {
    let devnet = devnet();
    let payment = Payment::exact("seen");
    let witness = exact::Witness { to: payment.to, validAfter: payment.valid_after }.eip712_hash_struct();
    let call = |to| Permit2::permitWitnessTransferFrom_0Call {
        permit: Permit2::PermitTransferFrom {
            permitted: Permit2::TokenPermissions { token: payment.token, amount: payment.amount },
            nonce: payment.nonce,
            deadline: payment.deadline,
        },
        transferDetails: Permit2::SignatureTransferDetails { to, requestedAmount: payment.amount },
        owner: payment.from,
        witness,
        witnessTypeString:
            "Witness witness)TokenPermissions(address token,uint256 amount)Witness(address to,uint256 validAfter)"
                .to_owned(),
        signature: payment.signed(&CLIENT),
    };
    let stolen = Call { to: PERMIT2, input: call(STRANGER.address).abi_encode().into() };
    assert_eq!(refusal(&devnet, STRANGER.address, stolen.clone()).await, Permit2::InvalidSigner::SELECTOR);
    // It is the spender that counts: in the proxy's name the very same call goes through.
    let request = TransactionRequest::default().from(EXACT_PERMIT2_PROXY).to(PERMIT2).input(stolen.input.into());
    devnet.provider().call(request).await.unwrap();
}

#[tokio::test]
async fn nonces_are_bits_in_any_order() {
    let devnet = devnet();
    let permit2 = Permit2::new(PERMIT2, devnet.provider_of(&CLIENT));
    for nonce in [255, 0, 256] {
        let permission = permission(nonce);
        let call = take(&permission, 1, &signature(&permission).as_bytes());
        assert!(send(&devnet, &FACILITATOR, call.clone()).await.status());
        refused(&devnet, call, Permit2::InvalidNonce::SELECTOR).await;
    }
    let word = async |word| permit2.nonceBitmap(CLIENT.address, U256::from(word)).call().await.unwrap();
    assert_eq!(word(0).await, U256::ONE | U256::ONE << 255);
    assert_eq!(word(1).await, U256::ONE);

    // The owner takes some back; what is used stays used.
    let mask = U256::from(0b110);
    let sent = permit2.invalidateUnorderedNonces(U256::ONE, mask).send().await.unwrap();
    let event = sent.get_receipt().await.unwrap().decoded_log::<Permit2::UnorderedNonceInvalidation>().unwrap();
    assert_eq!((event.owner, event.word, event.mask), (CLIENT.address, U256::ONE, mask));
    assert_eq!(word(1).await, U256::from(0b111));
    for (nonce, usable) in [(256, false), (257, false), (258, false), (259, true)] {
        let permission = permission(nonce);
        let call = take(&permission, 1, &signature(&permission).as_bytes());
        assert_eq!(send(&devnet, &FACILITATOR, call).await.status(), usable, "{nonce}");
    }
    // Another owner's nonces are his own.
    assert!(permit2.nonceBitmap(STRANGER.address, U256::ZERO).call().await.unwrap().is_zero());
}

#[tokio::test]
async fn accounts_with_code_answer_for_themselves() {
    let devnet = builder().hostile_contracts().call_gas_cap(2_000_000).build().unwrap();
    let permission = permission(0);
    let good = signature(&permission).as_bytes();
    // An account that delegates to a wallet still has its key, unless the code says otherwise.
    devnet.set_code(CLIENT.address, RevertingWallet::DEPLOYED_BYTECODE.clone());
    refusal(&devnet, FACILITATOR.address, take(&permission, 1, &good)).await;
    devnet.set_code(CLIENT.address, Wallet1271::DEPLOYED_BYTECODE.clone());
    assert!(send(&devnet, &FACILITATOR, take(&permission, 1, &good)).await.status());
    assert_eq!(earned(&devnet, USDC), U256::ONE);

    for wallet in [REVERTING_WALLET, SHORT_MAGIC_WALLET, DIRTY_MAGIC_WALLET, PADDED_MAGIC_WALLET] {
        devnet.set_allowance(USDC, wallet, PERMIT2, U256::MAX);
        let call = take_from(wallet, &permission, 1, &good);
        assert!(!send(&devnet, &FACILITATOR, call).await.status(), "{wallet}");
    }
    // Within its gas a call does not wait for a megabyte.
    devnet.set_allowance(USDC, HUGE_ANSWER_WALLET, PERMIT2, U256::MAX);
    assert!(!send(&devnet, &FACILITATOR, take_from(HUGE_ANSWER_WALLET, &permission, 1, &good)).await.status());
}

#[tokio::test]
async fn a_tokens_own_reason_is_lost() {
    let devnet = devnet();
    let mut permission = permission(0);
    permission.permitted.token = PLAIN; // not approved
    let data = refusal(&devnet, FACILITATOR.address, take(&permission, 1, &signature(&permission).as_bytes())).await;
    assert_eq!(Revert::abi_decode(&data).unwrap().reason, "TRANSFER_FROM_FAILED");
    // A token that is not there moves nothing, successfully.
    permission.permitted.token = Address::with_last_byte(0x99);
    let receipt = send(&devnet, &FACILITATOR, take(&permission, 1, &signature(&permission).as_bytes())).await;
    assert!(receipt.status() && receipt.logs().is_empty());
}

#[tokio::test]
async fn a_batch_moves_several_tokens_under_one_nonce() {
    let devnet = devnet();
    devnet.set_allowance(PLAIN, CLIENT.address, PERMIT2, U256::MAX);
    let tokens = [USDC, PLAIN, USDC];
    let signed = PermitBatchTransferFrom {
        permitted: tokens.map(|token| TokenPermissions { token, amount: U256::from(100) }).to_vec(),
        spender: FACILITATOR.address,
        nonce: U256::from(7),
        deadline: U256::from(NOW),
    };
    let signature = CLIENT.signer().sign_hash_sync(&permit2_digest(&signed)).unwrap();
    let call = |amounts: &[u64]| {
        let call = Permit2::permitTransferFrom_1Call {
            permit: Permit2::PermitBatchTransferFrom {
                permitted: tokens.map(|token| Permit2::TokenPermissions { token, amount: U256::from(100) }).to_vec(),
                nonce: signed.nonce,
                deadline: signed.deadline,
            },
            transferDetails: amounts.iter().map(|amount| to_payee(*amount)).collect(),
            owner: CLIENT.address,
            signature: signature.as_bytes().into(),
        };
        Call { to: PERMIT2, input: call.abi_encode().into() }
    };
    refused(&devnet, call(&[1, 2]), Permit2::LengthMismatch::SELECTOR).await;
    let data = refusal(&devnet, FACILITATOR.address, call(&[1, 2, 101])).await;
    assert_eq!(data, Permit2::InvalidAmount { maxAmount: U256::from(100) }.abi_encode());
    let receipt = send(&devnet, &FACILITATOR, call(&[100, 50, 0])).await;
    let moved = receipt.logs().iter().filter(|log| log.log_decode::<TestUsd::Transfer>().is_ok()).count();
    assert_eq!((receipt.status(), moved), (true, 2));
    assert_eq!((earned(&devnet, USDC), earned(&devnet, PLAIN)), (U256::from(100), U256::from(50)));
    refused(&devnet, call(&[0, 0, 0]), Permit2::InvalidNonce::SELECTOR).await;
}
