//! Counting, and failing on demand.

mod common;

use std::time::Duration;

use alloy::primitives::U256;
use alloy::providers::Provider as _;
use common::{devnet, hash, transfer};
use tollway_devnet::Fault;
use tollway_devnet::accounts::{FACILITATOR, PAY_TO};

const GWEI: u128 = 1_000_000_000;

#[tokio::test]
async fn a_batch_is_one_round_trip_of_many_calls() {
    let devnet = devnet();
    let client = devnet.rpc_client();
    let mut batch = client.new_batch();
    let number = batch.add_call::<_, U256>("eth_blockNumber", &()).unwrap();
    let chain = batch.add_call::<_, U256>("eth_chainId", &()).unwrap();
    let again = batch.add_call::<_, U256>("eth_chainId", &()).unwrap();
    batch.send().await.unwrap();
    assert_eq!(number.await.unwrap(), U256::ZERO);
    assert_eq!(chain.await.unwrap(), again.await.unwrap());
    let calls = devnet.calls();
    assert_eq!((calls.round_trips, calls.total()), (1, 3));
    assert_eq!((calls.of("eth_chainId"), calls.of("eth_blockNumber"), calls.of("eth_call")), (2, 1, 0));

    let unknown = client.request_noparams::<U256>("eth_coinbase").await.unwrap_err();
    assert_eq!(unknown.as_error_resp().unwrap().code, -32601);
    assert_eq!(devnet.calls().of("unknown"), 1);
    devnet.reset_calls();
    assert_eq!(devnet.calls(), tollway_devnet::Calls::default());
}

#[tokio::test]
async fn a_dropped_answer_was_executed() {
    let devnet = devnet();
    let provider = devnet.provider();
    let raw = transfer(&FACILITATOR, 0, GWEI, 1);
    devnet.inject("eth_sendRawTransaction", Fault::DropAnswer, 1);
    let error = provider.send_raw_transaction(&raw).await.unwrap_err();
    assert!(error.as_transport_err().is_some(), "{error}");
    assert_eq!(devnet.balance(PAY_TO.address), U256::ONE);
    assert!(provider.get_transaction_receipt(hash(&raw)).await.unwrap().unwrap().status());
}

#[tokio::test]
async fn a_refused_call_was_not_executed() {
    let devnet = devnet();
    let provider = devnet.provider();
    let raw = transfer(&FACILITATOR, 0, GWEI, 1);
    devnet.inject("eth_sendRawTransaction", Fault::Refuse, 1);
    devnet.inject("eth_sendRawTransaction", Fault::Status(503), 1);
    let error = provider.send_raw_transaction(&raw).await.unwrap_err();
    assert!(error.as_transport_err().is_some(), "{error}");
    let error = provider.send_raw_transaction(&raw).await.unwrap_err();
    assert_eq!(error.as_transport_err().unwrap().as_http_error().unwrap().status, 503);
    assert_eq!(devnet.block_number(), 0);
    let _ = provider.send_raw_transaction(&raw).await.unwrap();
    assert_eq!(devnet.block_number(), 1);
    assert_eq!(devnet.calls().of("eth_sendRawTransaction"), 3, "what failed was asked too");
}

#[tokio::test]
async fn an_error_can_be_anything() {
    let devnet = devnet();
    let provider = devnet.provider();
    let fault = Fault::Error { code: -32007, message: "request limit reached".into() };
    devnet.inject("*", fault, 2);
    for _ in 0..2 {
        let error = provider.get_block_number().await.unwrap_err();
        let error = error.as_error_resp().unwrap();
        assert_eq!((error.code, &*error.message), (-32007, "request limit reached"));
    }
    provider.get_block_number().await.unwrap();
    devnet.inject("*", Fault::Refuse, 100);
    devnet.clear_faults();
    provider.get_block_number().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_delayed_answer_comes_late_and_was_executed_at_once() {
    let devnet = devnet();
    let provider = devnet.provider();
    let raw = transfer(&FACILITATOR, 0, GWEI, 1);
    devnet.inject("eth_sendRawTransaction", Fault::Delay(Duration::from_secs(60)), 1);
    let sending = provider.send_raw_transaction(&raw);
    assert!(tokio::time::timeout(Duration::from_secs(59), sending).await.is_err());
    assert_eq!(devnet.block_number(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_late_call_is_executed_behind_those_that_came_after_it() {
    let devnet = devnet();
    let provider = devnet.provider();
    devnet.inject("eth_sendRawTransaction", Fault::Late(Duration::from_secs(60)), 1);
    let error = provider.send_raw_transaction(&transfer(&FACILITATOR, 0, GWEI, 1)).await.unwrap_err();
    assert!(error.as_transport_err().is_some(), "{error}");
    let _ = provider.send_raw_transaction(&transfer(&FACILITATOR, 1, GWEI, 2)).await.unwrap();
    assert_eq!((devnet.block_number(), devnet.waiting().len()), (0, 1), "it waits for the first");
    tokio::time::sleep(Duration::from_secs(61)).await;
    assert_eq!((devnet.balance(PAY_TO.address), devnet.waiting().len()), (U256::from(2), 0));
}

#[tokio::test]
async fn what_is_delivered_twice_is_executed_once() {
    let devnet = devnet();
    let provider = devnet.provider();
    devnet.inject("eth_sendRawTransaction", Fault::Twice, 1);
    let error = provider.send_raw_transaction(&transfer(&FACILITATOR, 0, GWEI, 1)).await.unwrap_err();
    assert!(error.as_error_resp().unwrap().message.contains("nonce too low"), "{error}");
    assert_eq!(devnet.balance(PAY_TO.address), U256::ONE);
    assert_eq!(devnet.calls().of("eth_sendRawTransaction"), 2);
}

#[tokio::test]
async fn an_error_can_come_after_all_was_done() {
    let devnet = devnet();
    let provider = devnet.provider();
    devnet.inject("eth_sendRawTransaction", Fault::ErrorAfter { code: -32603, message: "internal".into() }, 1);
    let error = provider.send_raw_transaction(&transfer(&FACILITATOR, 0, GWEI, 1)).await.unwrap_err();
    assert_eq!(error.as_error_resp().unwrap().code, -32603);
    assert_eq!(devnet.balance(PAY_TO.address), U256::ONE);
}
