//! Payments as the schemes make them: EIP-3009 in both overloads, contract wallets, permits, and tokens that cheat.
#![allow(clippy::unwrap_used, reason = "a helper of tests that fails fails the test")]

mod common;

use alloy::eips::eip7702::Authorization;
use alloy::network::TransactionBuilder7702 as _;
use alloy::primitives::{Address, B256, Bytes, Signature, U256};
use alloy::providers::Provider as _;
use alloy::rpc::types::{TransactionReceipt, TransactionRequest};
use alloy::signers::SignerSync as _;
use alloy::sol_types::{SolCall, SolEvent as _, SolStruct as _};
use common::{
    CancelAuthorization, NOW, Permit, ReceiveWithAuthorization, TransferWithAuthorization, authorization, builder,
    devnet, domain, nonce, parts, usdc_domain,
};
use tollway_devnet::accounts::{CLIENT, DevAccount, FACILITATOR, FRESH_2612, PAY_TO, POOR, STRANGER};
use tollway_devnet::contracts::addresses::{
    DIRTY_MAGIC_WALLET, FEE_TOKEN, GAS_BURNER_WALLET, HUGE_ANSWER_WALLET, NO_EVENT_TOKEN, PADDED_MAGIC_WALLET, PERMIT2,
    REVERTING_WALLET, SHORT_MAGIC_WALLET, SILENT_TOKEN, STUCK_TOKEN, USDC, WALLET_1271, WALLET_1271_FACTORY,
};
use tollway_devnet::contracts::{TestUsd, Wallet1271, Wallet1271Factory};
use tollway_devnet::{Devnet, Token};

/// Simulates as a facilitator does; answers the refusal.
async fn simulate(devnet: &Devnet, token: Address, call: impl SolCall) -> Result<(), String> {
    let request = TransactionRequest::default().from(FACILITATOR.address).to(token).input(call.abi_encode().into());
    devnet.provider().call(request).await.map(drop).map_err(|error| error.to_string())
}

/// Settles, whatever a simulation would say.
async fn settle(devnet: &Devnet, token: Address, call: impl SolCall) -> TransactionReceipt {
    let request = TransactionRequest {
        gas: Some(3_000_000),
        ..TransactionRequest::default().to(token).input(call.abi_encode().into())
    };
    let provider = devnet.provider_of(&FACILITATOR);
    provider.send_transaction(request).await.unwrap().get_receipt().await.unwrap()
}

fn earned(devnet: &Devnet) -> U256 {
    devnet.balance_of(USDC, PAY_TO.address).unwrap()
}

fn pay(payer: &DevAccount, label: &str) -> (TransferWithAuthorization, Signature) {
    let paid = authorization(payer.address, PAY_TO.address, 1_000, nonce(label));
    let signature = paid.sign(&payer.signer());
    (paid, signature)
}

#[tokio::test]
async fn an_authorization_settles_once_by_either_overload() {
    let devnet = devnet();
    let (first, first_signature) = pay(&CLIENT, "first");
    let (second, second_signature) = pay(&CLIENT, "second");
    simulate(&devnet, USDC, first.call_vrs(&first_signature)).await.unwrap();
    let receipt = settle(&devnet, USDC, first.call_vrs(&first_signature)).await;
    assert!(receipt.status());
    let used = receipt.decoded_log::<TestUsd::AuthorizationUsed>().unwrap();
    assert_eq!((used.authorizer, used.nonce), (CLIENT.address, first.nonce));
    let moved = receipt.decoded_log::<TestUsd::Transfer>().unwrap();
    assert_eq!((moved.from, moved.to, moved.value), (first.from, first.to, first.value));
    assert!(devnet.authorization_state(USDC, CLIENT.address, first.nonce).unwrap());

    let second_bytes = second_signature.as_bytes();
    assert!(settle(&devnet, USDC, second.call_bytes(&second_bytes)).await.status());
    assert_eq!(earned(&devnet), U256::from(2_000));

    for (paid, signature) in [(&first, &first_signature), (&second, &second_signature)] {
        let used = "FiatTokenV2: authorization is used or canceled";
        let error = simulate(&devnet, USDC, paid.call_vrs(signature)).await.unwrap_err();
        assert!(error.contains(used), "{error}");
        let bytes = paid.call_bytes(&signature.as_bytes());
        let error = simulate(&devnet, USDC, bytes.clone()).await.unwrap_err();
        assert!(error.contains(used), "{error}");
        assert!(!settle(&devnet, USDC, bytes).await.status());
    }
    assert_eq!(earned(&devnet), U256::from(2_000));
}

#[tokio::test]
async fn what_is_wrong_is_refused_in_words() {
    let devnet = devnet();
    let (good, signature) = pay(&CLIENT, "good");
    let refusal = async |paid: &TransferWithAuthorization, signature: &Signature| {
        simulate(&devnet, USDC, paid.call_vrs(signature)).await.unwrap_err()
    };
    let late = TransferWithAuthorization { validBefore: U256::from(NOW), ..good.clone() };
    let early = TransferWithAuthorization { validAfter: U256::from(NOW), ..good.clone() };
    let more = TransferWithAuthorization { value: good.value + U256::ONE, ..good.clone() };
    let (broke, broke_signature) = pay(&POOR, "poor");
    for (paid, signature, words) in [
        (&late, signature, "FiatTokenV2: authorization is expired"),
        (&early, signature, "FiatTokenV2: authorization is not yet valid"),
        (&more, signature, "FiatTokenV2: invalid signature"),
        (&good, high_s(&signature), "ECRecover: invalid signature 's' value"),
        (&broke, broke_signature, "ERC20: transfer amount exceeds balance"),
    ] {
        let error = refusal(paid, &signature).await;
        assert!(error.contains(words), "{error} instead of {words}");
    }

    let mut odd_v = good.call_vrs(&signature);
    odd_v.v = 1;
    let error = simulate(&devnet, USDC, odd_v).await.unwrap_err();
    assert!(error.contains("ECRecover: invalid signature 'v' value"), "{error}");
    let short = &signature.as_bytes()[..64];
    let error = simulate(&devnet, USDC, good.call_bytes(short)).await.unwrap_err();
    assert!(error.contains("ECRecover: invalid signature length"), "{error}");
}

/// The same signature's other form.
fn high_s(signature: &Signature) -> Signature {
    const ORDER: U256 = U256::from_be_bytes(alloy::primitives::hex!(
        "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141"
    ));
    Signature::new(signature.r(), ORDER - signature.s(), !signature.v())
}

#[tokio::test]
async fn only_the_payee_receives_with_authorization() {
    let devnet = devnet();
    devnet.set_balance(PAY_TO.address, devnet.balance(FACILITATOR.address));
    let paid = ReceiveWithAuthorization {
        from: CLIENT.address,
        to: PAY_TO.address,
        value: U256::from(7),
        validAfter: U256::ZERO,
        validBefore: U256::from(NOW + 60),
        nonce: nonce("receive"),
    };
    let digest = paid.eip712_signing_hash(&usdc_domain());
    let (v, r, s) = parts(&CLIENT.signer().sign_hash_sync(&digest).unwrap());
    let usdc = |account: &DevAccount| TestUsd::new(USDC, devnet.provider_of(account));
    let receive = |usdc: TestUsd::TestUsdInstance<_>| async move {
        let call = usdc.receiveWithAuthorization_1(
            paid.from,
            paid.to,
            paid.value,
            paid.validAfter,
            paid.validBefore,
            paid.nonce,
            v,
            r,
            s,
        );
        call.send().await.map(drop).map_err(|error| error.to_string())
    };
    let error = receive(usdc(&FACILITATOR)).await.unwrap_err();
    assert!(error.contains("FiatTokenV2: caller must be the payee"), "{error}");
    receive(usdc(&PAY_TO)).await.unwrap();
    assert_eq!(earned(&devnet), U256::from(7));
}

#[tokio::test]
async fn a_cancelled_authorization_pays_nothing() {
    let devnet = devnet();
    let (paid, signature) = pay(&CLIENT, "cancelled");
    let cancel = CancelAuthorization { authorizer: CLIENT.address, nonce: paid.nonce };
    let digest = cancel.eip712_signing_hash(&usdc_domain());
    let (v, r, s) = parts(&CLIENT.signer().sign_hash_sync(&digest).unwrap());
    let call = TestUsd::cancelAuthorization_0Call { authorizer: cancel.authorizer, nonce: cancel.nonce, v, r, s };
    let receipt = settle(&devnet, USDC, call).await;
    assert!(receipt.decoded_log::<TestUsd::AuthorizationCanceled>().is_some());
    let error = simulate(&devnet, USDC, paid.call_vrs(&signature)).await.unwrap_err();
    assert!(error.contains("used or canceled"), "{error}");
}

#[tokio::test]
async fn a_permit_approves_once() {
    let devnet = devnet();
    let usdc = TestUsd::new(USDC, devnet.provider());
    let permit = Permit {
        owner: FRESH_2612.address,
        spender: PERMIT2,
        value: U256::from(500),
        nonce: U256::ZERO,
        deadline: U256::from(NOW),
    };
    let digest = permit.eip712_signing_hash(&usdc_domain());
    let signature = FRESH_2612.signer().sign_hash_sync(&digest).unwrap();
    let (v, r, s) = parts(&signature);
    let call = TestUsd::permit_1Call {
        owner: permit.owner,
        spender: permit.spender,
        value: permit.value,
        deadline: permit.deadline,
        v,
        r,
        s,
    };
    assert!(settle(&devnet, USDC, call.clone()).await.status());
    assert_eq!(usdc.allowance(permit.owner, PERMIT2).call().await.unwrap(), U256::from(500));
    assert_eq!(usdc.nonces(permit.owner).call().await.unwrap(), U256::ONE);
    let error = simulate(&devnet, USDC, call).await.unwrap_err();
    assert!(error.contains("EIP2612: invalid signature"), "{error}");
    devnet.advance(1);
    let by_bytes = TestUsd::permit_0Call {
        owner: permit.owner,
        spender: permit.spender,
        value: permit.value,
        deadline: permit.deadline,
        signature: Bytes::copy_from_slice(&signature.as_bytes()),
    };
    let error = simulate(&devnet, USDC, by_bytes).await.unwrap_err();
    assert!(error.contains("FiatTokenV2: permit is expired"), "{error}");
}

#[tokio::test]
async fn a_contract_wallet_pays_by_its_owner() {
    let devnet = devnet();
    let paid = authorization(WALLET_1271, PAY_TO.address, 50, nonce("wallet"));
    let foreign = paid.sign(&CLIENT.signer());
    let error = simulate(&devnet, USDC, paid.call_vrs(&foreign)).await.unwrap_err();
    assert!(error.contains("FiatTokenV2: invalid signature"), "{error}");
    let owners = paid.sign(&STRANGER.signer());
    assert!(settle(&devnet, USDC, paid.call_bytes(&owners.as_bytes())).await.status());
    assert_eq!(earned(&devnet), U256::from(50));

    let wallet = Wallet1271::new(WALLET_1271, devnet.provider_of(&STRANGER));
    let transfer = TestUsd::transferCall { to: PAY_TO.address, value: U256::from(1) }.abi_encode();
    let receipt = wallet.execute(USDC, U256::ZERO, transfer.into()).send().await.unwrap().get_receipt().await.unwrap();
    assert!(receipt.status());
    assert_eq!(earned(&devnet), U256::from(51));
}

#[tokio::test]
async fn a_delegated_account_answers_by_its_code() {
    let devnet = devnet();
    let delegate = Authorization {
        chain_id: U256::from(devnet.chain_id()),
        address: WALLET_1271,
        nonce: devnet.provider().get_transaction_count(CLIENT.address).await.unwrap(),
    };
    let signature = CLIENT.signer().sign_hash_sync(&delegate.signature_hash()).unwrap();
    let request =
        TransactionRequest::default().to(CLIENT.address).with_authorization_list(vec![delegate.into_signed(signature)]);
    let provider = devnet.provider_of(&FACILITATOR);
    let receipt = provider.send_transaction(request).await.unwrap().get_receipt().await.unwrap();
    assert!(receipt.status());
    assert_eq!(devnet.code(CLIENT.address)[..3], [0xef, 0x01, 0x00]);

    // Its wallet code, without an owner of its own, trusts the account's key.
    let (paid, signature) = pay(&CLIENT, "delegated");
    assert!(settle(&devnet, USDC, paid.call_vrs(&signature)).await.status());
    // Under hostile code the same key counts for nothing.
    devnet.set_code(WALLET_1271, tollway_devnet::contracts::RevertingWallet::DEPLOYED_BYTECODE.clone());
    let (paid, signature) = pay(&CLIENT, "delegated to hostile code");
    let error = simulate(&devnet, USDC, paid.call_vrs(&signature)).await.unwrap_err();
    assert!(error.contains("FiatTokenV2: invalid signature"), "{error}");
}

#[tokio::test]
async fn a_wallet_has_its_address_before_it_exists() {
    let devnet = devnet();
    let factory = Wallet1271Factory::new(WALLET_1271_FACTORY, devnet.provider_of(&FACILITATOR));
    let salt = B256::with_last_byte(1);
    let wallet = factory.addressOf(STRANGER.address, salt).call().await.unwrap();
    devnet.set_token_balance(USDC, wallet, U256::from(10));
    let paid = authorization(wallet, PAY_TO.address, 10, nonce("counterfactual"));
    let signature = paid.sign(&STRANGER.signer());
    assert!(simulate(&devnet, USDC, paid.call_vrs(&signature)).await.is_err());
    for _ in 0..2 {
        let sent = factory.create(STRANGER.address, salt).send().await.unwrap();
        assert!(sent.get_receipt().await.unwrap().status());
    }
    assert!(settle(&devnet, USDC, paid.call_vrs(&signature)).await.status());
    assert_eq!(earned(&devnet), U256::from(10));
}

#[tokio::test]
async fn hostile_wallets_pay_nothing() {
    let devnet = builder().hostile_contracts().call_gas_cap(2_000_000).build().unwrap();
    for wallet in [GAS_BURNER_WALLET, PADDED_MAGIC_WALLET, DIRTY_MAGIC_WALLET, SHORT_MAGIC_WALLET, REVERTING_WALLET] {
        let paid = authorization(wallet, PAY_TO.address, 1, nonce("hostile"));
        assert!(simulate(&devnet, USDC, paid.call_bytes(&[0; 65])).await.is_err(), "{wallet}");
    }
    // A megabyte behind the right word is valid, and costs accordingly.
    let paid = authorization(HUGE_ANSWER_WALLET, PAY_TO.address, 1, nonce("hostile"));
    assert!(simulate(&devnet, USDC, paid.call_bytes(&[])).await.is_err());
    let roomy = builder().hostile_contracts().build().unwrap();
    simulate(&roomy, USDC, paid.call_bytes(&[])).await.unwrap();
    let request = TransactionRequest::default().to(HUGE_ANSWER_WALLET);
    assert_eq!(roomy.provider().call(request).await.unwrap().len(), 1 << 20);
}

#[tokio::test]
async fn hostile_tokens_succeed_without_paying() {
    let devnet = builder().hostile_contracts().build().unwrap();
    let payment = |name: &str, token: Address| {
        let paid = authorization(CLIENT.address, PAY_TO.address, 100, nonce(name));
        let signature = paid.sign_for(&CLIENT.signer(), &domain(name, "1", token));
        paid.call_vrs(&signature)
    };
    let balance = |token| devnet.balance_of(token, PAY_TO.address).unwrap();
    let moved = |receipt: &TransactionReceipt| receipt.decoded_log::<TestUsd::Transfer>();

    let silent = payment("Silent", SILENT_TOKEN);
    assert!(moved(&settle(&devnet, SILENT_TOKEN, silent.clone()).await).is_some());
    let replay = settle(&devnet, SILENT_TOKEN, silent).await;
    assert!(replay.status() && replay.inner.logs().is_empty());
    assert_eq!(balance(SILENT_TOKEN), U256::from(100));

    let stuck = settle(&devnet, STUCK_TOKEN, payment("Stuck", STUCK_TOKEN)).await;
    assert!(stuck.status() && moved(&stuck).is_none());
    assert_eq!(stuck.logs()[0].topic0(), Some(&TestUsd::AuthorizationUsed::SIGNATURE_HASH));
    assert!(balance(STUCK_TOKEN).is_zero());

    let quiet = settle(&devnet, NO_EVENT_TOKEN, payment("No Event", NO_EVENT_TOKEN)).await;
    assert!(quiet.status() && moved(&quiet).is_none());
    assert_eq!(balance(NO_EVENT_TOKEN), U256::from(100));

    let greedy = settle(&devnet, FEE_TOKEN, payment("Fee", FEE_TOKEN)).await;
    assert!(greedy.status());
    assert_eq!(balance(FEE_TOKEN), U256::from(90));
}

#[tokio::test]
async fn one_code_serves_tokens_of_several_names() {
    let token = Address::with_last_byte(0x77);
    let devnet = builder()
        .token(token, Token::new("USD Coin", "USDC", "2", 6))
        .token_balance(token, CLIENT.address, U256::from(1_000))
        .build()
        .unwrap();
    let paid = authorization(CLIENT.address, PAY_TO.address, 1_000, nonce("other"));
    let wrong = paid.sign(&CLIENT.signer());
    assert!(simulate(&devnet, token, paid.call_vrs(&wrong)).await.is_err());
    let right = paid.sign_for(&CLIENT.signer(), &domain("USD Coin", "2", token));
    assert!(settle(&devnet, token, paid.call_vrs(&right)).await.status());
    assert_eq!(devnet.balance_of(token, PAY_TO.address).unwrap(), U256::from(1_000));
}
