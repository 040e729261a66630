//! The embedded Solana: what is on it, what time does to it, and what its JSON-RPC answers.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use serde_json::{Value, json};
use solana_hash::Hash;
use solana_keypair::{Keypair, Signer as _};
use solana_message::{VersionedMessage, v0};
use solana_pubkey::Pubkey;
use solana_rpc_client::nonblocking::rpc_client::RpcClient;
use solana_rpc_client_api::client_error::ErrorKind;
use solana_rpc_client_api::request::RpcError;
use solana_transaction::versioned::VersionedTransaction;
use solana_transaction::{AccountMeta, Instruction};
use solana_transaction_error::TransactionError;
use tollway_devnet::solana::accounts::{ACCOUNTS, CLIENT, FACILITATOR, PAY_TO, POOR, STRANGER};
use tollway_devnet::solana::{
    Devnet, Fault, PYUSD, Slots, TOKEN_2022_PROGRAM, TOKEN_PROGRAM, Token, USDC, token_account,
};

const MEMO: Pubkey = Pubkey::from_str_const("MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr");

fn transfer(from: Pubkey, to: Pubkey, mint: Pubkey, program: Pubkey, amount: u64) -> Instruction {
    let at = |owner| token_account(owner, mint, program);
    Instruction {
        program_id: program,
        accounts: vec![
            AccountMeta::new(at(from), false),
            AccountMeta::new_readonly(mint, false),
            AccountMeta::new(at(to), false),
            AccountMeta::new_readonly(from, true),
        ],
        data: [&[12], &amount.to_le_bytes()[..], &[6]].concat(),
    }
}

fn memo(text: &str) -> Instruction {
    Instruction { program_id: MEMO, accounts: Vec::new(), data: text.as_bytes().to_vec() }
}

fn signed(instructions: &[Instruction], keys: &[&Keypair], blockhash: &str) -> VersionedTransaction {
    let hash: Hash = blockhash.parse().unwrap();
    let message = v0::Message::try_compile(&keys[0].pubkey(), instructions, &[], hash).unwrap();
    VersionedTransaction::try_new(VersionedMessage::V0(message), keys).unwrap()
}

/// The client pays somebody, the facilitator pays the fee.
fn payment(devnet: &Devnet, to: Pubkey, amount: u64, note: &str) -> VersionedTransaction {
    let instructions = [transfer(CLIENT.address, to, USDC, TOKEN_PROGRAM, amount), memo(note)];
    signed(&instructions, &[&FACILITATOR.keypair(), &CLIENT.keypair()], &devnet.latest_blockhash().0)
}

#[tokio::test]
async fn there_is_what_there_should_be() {
    let devnet = Devnet::new().unwrap();
    assert_eq!(devnet.network_id(), "solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1");
    for mint in [USDC, PYUSD] {
        assert_eq!(devnet.token_balance(CLIENT.address, mint), Some(1_000_000_000_000));
        assert_eq!(devnet.token_balance(PAY_TO.address, mint), Some(0));
        assert_eq!(devnet.token_balance(POOR.address, mint), Some(0));
        assert_eq!(devnet.token_balance(STRANGER.address, mint), None);
    }
    let client = devnet.client();
    let funded: Vec<bool> = ACCOUNTS.iter().map(|account| devnet.lamports(&account.address) > 0).collect();
    assert_eq!(funded, [true, true, false, false, true]);
    assert_eq!(client.get_balance(&FACILITATOR.address).await.unwrap(), 100_000_000_000);
    assert_eq!(client.get_account(&USDC).await.unwrap().owner, TOKEN_PROGRAM);
    assert_eq!(client.get_account(&PYUSD).await.unwrap().owner, TOKEN_2022_PROGRAM);
    assert_eq!(client.get_genesis_hash().await.unwrap().to_string(), "EtWTRABZaYq6iMfeYKouRu166VU2xqa1wcaWoxPkrZBG");
    let held = token_account(CLIENT.address, USDC, TOKEN_PROGRAM);
    assert_eq!(client.get_token_account_balance(&held).await.unwrap().ui_amount_string, "1000000");
    assert!(client.get_minimum_balance_for_rent_exemption(165).await.unwrap() > 2_000_000);
    assert_eq!(client.get_epoch_info().await.unwrap().absolute_slot, client.get_slot().await.unwrap());
    assert!(!client.get_version().await.unwrap().solana_core.is_empty());
    let many = client.get_multiple_accounts(&[USDC, STRANGER.address, Pubkey::from([1; 32])]).await.unwrap();
    assert_eq!(many.iter().map(Option::is_some).collect::<Vec<_>>(), [true, true, false]);
}

#[tokio::test]
async fn both_tokens_move_and_the_fee_is_taken() {
    let devnet = Devnet::new().unwrap();
    let client = devnet.client();
    for (mint, program) in [(USDC, TOKEN_PROGRAM), (PYUSD, TOKEN_2022_PROGRAM)] {
        let before = devnet.lamports(&FACILITATOR.address);
        let instructions = [transfer(CLIENT.address, PAY_TO.address, mint, program, 1000), memo("paid")];
        let hash = devnet.latest_blockhash().0;
        let transaction = signed(&instructions, &[&FACILITATOR.keypair(), &CLIENT.keypair()], &hash);
        let signature = client.send_transaction(&transaction).await.unwrap();
        assert_eq!(devnet.succeeded(&signature), Some(true));
        assert_eq!(devnet.token_balance(PAY_TO.address, mint), Some(1000));
        assert_eq!(before - devnet.lamports(&FACILITATOR.address), 10_000);
        let status = client.get_signature_statuses(&[signature]).await.unwrap().value.remove(0).unwrap();
        assert!(status.err.is_none() && status.satisfies_commitment(solana_commitment()));
        assert_ne!(devnet.latest_blockhash().0, hash, "each transaction ends its slot");
    }
}

fn solana_commitment() -> solana_rpc_client_api::config::CommitmentConfig {
    solana_rpc_client_api::config::CommitmentConfig::confirmed()
}

#[tokio::test]
async fn messages_run_once_whatever_their_signatures() {
    let devnet = Devnet::new().unwrap();
    let client = devnet.client();
    let paid = payment(&devnet, PAY_TO.address, 5, "once");
    client.send_transaction(&paid).await.unwrap();
    let mut again = paid.clone();
    again.signatures[0] = Default::default();
    let simulated = client.simulate_transaction(&again).await.unwrap().value;
    assert_eq!(simulated.err.map(TransactionError::from), Some(TransactionError::AlreadyProcessed));
    let error = client.send_transaction(&paid).await.unwrap_err();
    assert_eq!(error.get_transaction_error(), Some(TransactionError::AlreadyProcessed));
    assert_eq!(devnet.token_balance(PAY_TO.address, USDC), Some(5));
}

#[tokio::test]
async fn blockhashes_expire_with_slots() {
    let devnet = Devnet::builder().slots(Slots::Manual).build().unwrap();
    let client = devnet.client();
    let (hash, last) = client.get_latest_blockhash_with_commitment(solana_commitment()).await.unwrap();
    assert_eq!(last, devnet.block_height() + 150);
    let transaction = payment(&devnet, PAY_TO.address, 5, "late");
    devnet.advance(150);
    assert_eq!(client.get_block_height_with_commitment(solana_commitment()).await.unwrap(), last - 1);
    assert!(client.is_blockhash_valid(&hash, solana_commitment()).await.unwrap());
    assert!(client.simulate_transaction(&transaction).await.unwrap().value.err.is_none());
    devnet.advance(2);
    assert!(!client.is_blockhash_valid(&hash, solana_commitment()).await.unwrap());
    let simulated = client.simulate_transaction(&transaction).await.unwrap().value;
    assert_eq!(simulated.err.map(TransactionError::from), Some(TransactionError::BlockhashNotFound));
    devnet.advance(1000);
    assert_eq!(devnet.slot() - devnet.block_height(), 900, "heights are not slots");
}

#[tokio::test]
async fn what_was_signed_for_another_chain_runs_where_its_blockhash_is_given() {
    let recorded = Hash::new_from_array([7; 32]);
    let payment = |devnet: &Devnet| {
        let instructions = [transfer(CLIENT.address, PAY_TO.address, USDC, TOKEN_PROGRAM, 5)];
        let transaction = signed(&instructions, &[&FACILITATOR.keypair(), &CLIENT.keypair()], &recorded.to_string());
        let client = devnet.client();
        async move { client.send_transaction(&transaction).await }
    };
    let other = Devnet::new().unwrap();
    assert!(payment(&other).await.is_err());
    let devnet = Devnet::builder().blockhash(recorded).build().unwrap();
    assert_eq!(devnet.latest_blockhash().0, recorded.to_string());
    payment(&devnet).await.unwrap();
    assert_eq!(devnet.token_balance(PAY_TO.address, USDC), Some(5));
}

#[tokio::test]
async fn statuses_grow_surer_with_slots() {
    let devnet = Devnet::builder().slots(Slots::Manual).build().unwrap();
    let client = devnet.client();
    let signature = client.send_transaction(&payment(&devnet, PAY_TO.address, 5, "sure")).await.unwrap();
    let status = async |thorough: bool| -> Value {
        let params = json!([[signature.to_string()], { "searchTransactionHistory": thorough }]);
        devnet.handle("getSignatureStatuses", &params).unwrap()["value"][0].clone()
    };
    for (slots, wanted) in [(0, "processed"), (1, "confirmed"), (30, "confirmed"), (1, "finalized")] {
        devnet.advance(slots);
        assert_eq!(status(false).await["confirmationStatus"], wanted);
    }
    devnet.advance(200);
    assert_eq!(status(false).await, Value::Null, "forgotten, unless history is searched");
    assert_eq!(status(true).await["confirmationStatus"], "finalized");
}

#[tokio::test]
async fn a_confirmation_takes_the_time_it_is_told_to() {
    for (time, sure) in [(Duration::ZERO, true), (Duration::from_secs(3600), false)] {
        let devnet = Devnet::builder().confirmed_after(time).build().unwrap();
        let client = devnet.client();
        let signature = client.send_transaction(&payment(&devnet, PAY_TO.address, 5, "sure")).await.unwrap();
        devnet.advance(100);
        let status = client.get_signature_statuses(&[signature]).await.unwrap().value.remove(0).unwrap();
        assert_eq!(status.satisfies_commitment(solana_commitment()), sure);
    }
}

#[tokio::test]
async fn slots_pass_by_themselves_where_they_should() {
    let devnet = Devnet::builder().slots(Slots::Every(Duration::from_millis(1))).build().unwrap();
    let start = devnet.slot();
    while devnet.slot() < start + 3 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn preflight_failures_carry_what_the_simulation_found() {
    let devnet = Devnet::new().unwrap();
    let client = devnet.client();
    let poor = [transfer(POOR.address, PAY_TO.address, USDC, TOKEN_PROGRAM, 1)];
    let transaction = signed(&poor, &[&FACILITATOR.keypair(), &POOR.keypair()], &devnet.latest_blockhash().0);
    let error = client.send_transaction(&transaction).await.unwrap_err();
    let ErrorKind::RpcError(RpcError::RpcResponseError { code, .. }) = error.kind() else { panic!("{error}") };
    assert_eq!(*code, -32002);
    let Some(TransactionError::InstructionError(0, why)) = error.get_transaction_error() else { panic!("{error}") };
    assert!(why.to_string().contains("0x1"), "{why}");
    let mut unsigned = payment(&devnet, PAY_TO.address, 1, "unsigned");
    unsigned.signatures[1] = Default::default();
    let error = client.send_transaction(&unsigned).await.unwrap_err();
    assert!(error.to_string().contains("-32003"), "{error}");
    assert_eq!(devnet.transaction_count(), 0);
}

#[tokio::test]
async fn without_preflight_a_failure_costs_its_fee_and_garbage_vanishes() {
    let devnet = Devnet::new().unwrap();
    let send = |transaction: &VersionedTransaction| {
        let text = bs58::encode(bincode::serialize(transaction).unwrap()).into_string();
        devnet.handle("sendTransaction", &json!([text, { "skipPreflight": true }])).unwrap();
    };
    let before = devnet.lamports(&FACILITATOR.address);
    let poor = [transfer(POOR.address, PAY_TO.address, USDC, TOKEN_PROGRAM, 1)];
    let failing = signed(&poor, &[&FACILITATOR.keypair(), &POOR.keypair()], &devnet.latest_blockhash().0);
    send(&failing);
    assert_eq!(devnet.succeeded(&failing.signatures[0]), Some(false));
    assert_eq!(before - devnet.lamports(&FACILITATOR.address), 10_000);
    let mut unsigned = payment(&devnet, PAY_TO.address, 1, "unsigned");
    unsigned.signatures[0] = Default::default();
    send(&unsigned);
    let unfunded = signed(&[memo("x")], &[&PAY_TO.keypair()], &devnet.latest_blockhash().0);
    send(&unfunded);
    assert_eq!(devnet.succeeded(&unfunded.signatures[0]), None);
    assert_eq!(devnet.transaction_count(), 1);
}

#[tokio::test]
async fn simulations_show_accounts_and_token_balances() {
    let devnet = Devnet::new().unwrap();
    let transaction = payment(&devnet, PAY_TO.address, 7, "would");
    let to = token_account(PAY_TO.address, USDC, TOKEN_PROGRAM);
    let text = bs58::encode(bincode::serialize(&transaction).unwrap()).into_string();
    let config = json!({ "sigVerify": true, "accounts": { "encoding": "base64", "addresses": [to.to_string()] } });
    let value = devnet.handle("simulateTransaction", &json!([text, config])).unwrap()["value"].clone();
    assert_eq!(value["err"], Value::Null);
    assert!(value["unitsConsumed"].as_u64().unwrap() > 0 && !value["logs"].as_array().unwrap().is_empty());
    let index = transaction.message.static_account_keys().iter().position(|key| *key == to).unwrap();
    let amount = |balances: &str| {
        let balances = value[balances].as_array().unwrap();
        let ours = balances.iter().find(|balance| balance["accountIndex"] == index).unwrap();
        ours["uiTokenAmount"]["amount"].as_str().unwrap().to_owned()
    };
    assert_eq!((&*amount("preTokenBalances"), &*amount("postTokenBalances")), ("0", "7"));
    assert_eq!(value["accounts"][0]["owner"], TOKEN_PROGRAM.to_string());
    assert_eq!(devnet.token_balance(PAY_TO.address, USDC), Some(0), "nothing happened");
}

#[tokio::test]
async fn tokens_with_extensions_can_be_placed() {
    let mint = Pubkey::from([7; 32]);
    let mut fee = vec![0; 108];
    fee[80..88].copy_from_slice(&u64::MAX.to_le_bytes());
    fee[88..90].copy_from_slice(&100u16.to_le_bytes());
    fee[98..106].copy_from_slice(&u64::MAX.to_le_bytes());
    fee[106..108].copy_from_slice(&100u16.to_le_bytes());
    let devnet = Devnet::builder()
        .token(mint, Token::new_2022(6).extension(1, fee))
        .token_balance(CLIENT.address, mint, 10_000)
        .token_balance(PAY_TO.address, mint, 0)
        .build()
        .unwrap();
    let instructions = [transfer(CLIENT.address, PAY_TO.address, mint, TOKEN_2022_PROGRAM, 10_000)];
    let transaction = signed(&instructions, &[&FACILITATOR.keypair(), &CLIENT.keypair()], &devnet.latest_blockhash().0);
    devnet.client().send_transaction(&transaction).await.unwrap();
    assert_eq!(devnet.token_balance(PAY_TO.address, mint), Some(9_900), "one percent is withheld");
    assert!(devnet.set_token_balance(CLIENT.address, Pubkey::from([8; 32]), 1).is_err());
}

#[tokio::test]
async fn faults_do_what_they_are_named() {
    let devnet = Devnet::new().unwrap();
    let client = devnet.client();
    devnet.inject("sendTransaction", Fault::Lose, 1);
    let lost = client.send_transaction(&payment(&devnet, PAY_TO.address, 1, "lost")).await.unwrap();
    assert_eq!(devnet.succeeded(&lost), None);
    devnet.inject("sendTransaction", Fault::DropAnswer, 1);
    let unheard = payment(&devnet, PAY_TO.address, 2, "unheard");
    assert!(client.send_transaction(&unheard).await.is_err());
    assert_eq!(devnet.succeeded(&unheard.signatures[0]), Some(true));
    devnet.inject("getSlot", Fault::Refuse, 1);
    devnet.inject("getSlot", Fault::Error { code: -32005, message: "behind".to_owned() }, 1);
    devnet.inject("getSlot", Fault::Status(503), 1);
    for part in ["fault", "-32005", "503"] {
        let error = client.get_slot().await.unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
    assert!(client.get_slot().await.is_ok());
    let calls = devnet.calls();
    assert_eq!((calls.of("sendTransaction"), calls.of("getSlot"), calls.round_trips), (2, 4, 6));
    devnet.reset_calls();
    assert_eq!(devnet.calls().total(), 0);
}

/// Over HTTP, with the client that the Solana SDK brings.
#[tokio::test]
async fn it_speaks_json_rpc_over_http() {
    let devnet = Devnet::new().unwrap();
    let server = devnet.serve("127.0.0.1:0").await.unwrap();
    let client = RpcClient::new(server.url());
    let (hash, _) = client.get_latest_blockhash_with_commitment(solana_commitment()).await.unwrap();
    let instructions = [transfer(CLIENT.address, PAY_TO.address, USDC, TOKEN_PROGRAM, 3)];
    let transaction = signed(&instructions, &[&FACILITATOR.keypair(), &CLIENT.keypair()], &hash.to_string());
    client.send_and_confirm_transaction(&transaction).await.unwrap();
    assert_eq!(devnet.token_balance(PAY_TO.address, USDC), Some(3));
    let error = client.send_transaction(&transaction).await.unwrap_err();
    assert_eq!(error.get_transaction_error(), Some(TransactionError::AlreadyProcessed));
    client.request_airdrop(&PAY_TO.address, 1_000_000_000).await.unwrap();
    assert_eq!(client.get_balance(&PAY_TO.address).await.unwrap(), 1_000_000_000);
    devnet.inject("getSlot", Fault::DropAnswer, 1);
    assert!(client.get_slot().await.is_err());
    devnet.inject("getSlot", Fault::Status(503), 1);
    assert!(client.get_slot().await.unwrap_err().to_string().contains("503"));
    assert!(devnet.serve("0.0.0.0:0").await.is_err(), "its keys are public");
    server.shutdown().await;
}

#[test]
fn malformed_requests_are_refused() {
    let devnet = Devnet::new().unwrap();
    for (method, params, code) in [
        ("getBlock", json!([]), -32601),
        ("getAccountInfo", json!([]), -32602),
        ("getAccountInfo", json!(["0x12"]), -32602),
        ("getAccountInfo", json!({ "not": "a list" }), -32602),
        ("sendTransaction", json!(["AAAA", { "encoding": "base64" }]), -32602),
        ("sendTransaction", json!(["AAAA", { "encoding": "base32" }]), -32602),
        ("getSignatureStatuses", json!([vec!["x"; 257]]), -32602),
        ("getMultipleAccounts", json!([vec!["x"; 101]]), -32602),
        ("isBlockhashValid", json!(["x"]), -32602),
    ] {
        assert_eq!(devnet.handle(method, &params).unwrap_err().code, code, "{method} {params}");
    }
}
