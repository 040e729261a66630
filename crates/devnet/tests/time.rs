//! Time that is told, blocks that are taken back, and snapshots.
#![allow(clippy::unwrap_used, reason = "a helper of tests that fails fails the test")]

mod common;

use std::sync::atomic::Ordering::Relaxed;

use alloy::primitives::{B256, U256};
use alloy::providers::Provider as _;
use common::{NOW, authorization, builder, clock, hash, nonce, transfer};
use serde_json::json;
use tollway_devnet::accounts::{CLIENT, FACILITATOR, PAY_TO};
use tollway_devnet::contracts::addresses::{MULTICALL3, USDC};
use tollway_devnet::contracts::{Multicall3, TestUsd};
use tollway_devnet::{Devnet, DevnetError, Mining};

const GWEI: u128 = 1_000_000_000;

fn manual() -> Devnet {
    builder().mining(Mining::Manual).build().unwrap()
}

#[tokio::test]
async fn calls_and_blocks_run_at_the_time_told() {
    let (now, source) = clock();
    let devnet = Devnet::builder().time(source).build().unwrap();
    let paid = authorization(CLIENT.address, PAY_TO.address, 1, nonce("timed"));
    let signature = paid.sign(&CLIENT.signer());
    let usdc = TestUsd::new(USDC, devnet.provider());
    let call = paid.call_vrs(&signature);
    let valid = async || {
        let call = call.clone();
        let asked = usdc.transferWithAuthorization_1(
            call.from,
            call.to,
            call.value,
            call.validAfter,
            call.validBefore,
            call.nonce,
            call.v,
            call.r,
            call.s,
        );
        asked.call().await.is_ok()
    };
    assert!(valid().await);
    now.store(NOW + 59, Relaxed);
    assert!(valid().await);
    now.store(NOW + 60, Relaxed);
    assert!(!valid().await, "no block was mined, and yet it is over");
    assert_eq!(devnet.timestamp(), NOW + 60);
    assert_eq!(devnet.mine().timestamp, NOW + 60);
}

#[tokio::test]
async fn time_never_goes_back() {
    let (now, source) = clock();
    let devnet = Devnet::builder().time(source).build().unwrap();
    assert_eq!(devnet.mine().timestamp, NOW);
    now.store(NOW - 1_000, Relaxed);
    assert_eq!(devnet.mine().timestamp, NOW);
    assert_eq!(devnet.timestamp(), NOW);
    now.store(NOW + 1, Relaxed);
    assert_eq!(devnet.mine().timestamp, NOW + 1);
    assert!(matches!(devnet.set_time(NOW), Err(DevnetError::Past { asked: NOW, .. })));
    devnet.set_time(NOW + 500).unwrap();
    now.fetch_add(5, Relaxed);
    assert_eq!(devnet.mine().timestamp, NOW + 505);
    devnet.advance(10);
    assert_eq!(devnet.mine().timestamp, NOW + 515);
}

#[tokio::test]
async fn time_can_be_set_over_rpc() {
    let devnet = manual();
    let client = devnet.rpc_client();
    let _: serde_json::Value = client.request("evm_increaseTime", json!([30])).await.unwrap();
    assert_eq!(devnet.timestamp(), NOW + 30);
    let _: serde_json::Value = client.request("evm_setNextBlockTimestamp", json!(["0x6b49d250"])).await.unwrap();
    let _: serde_json::Value = client.request("evm_mine", json!([])).await.unwrap();
    let _: serde_json::Value = client.request("evm_mine", json!([{ "blocks": "0x2" }])).await.unwrap();
    assert_eq!((devnet.block_number(), devnet.timestamp()), (3, 0x6b49_d250));
    let past = client.request::<_, serde_json::Value>("evm_setNextBlockTimestamp", json!([1])).await;
    assert!(past.unwrap_err().to_string().contains("choose that or later"));
}

#[tokio::test]
async fn a_reorg_takes_payments_back() {
    let devnet = manual();
    let provider = devnet.provider();
    let [first, second] = [0, 1].map(|nonce| transfer(&FACILITATOR, nonce, GWEI, 1));
    let before = devnet.balance(FACILITATOR.address);
    let filter = provider.new_block_filter().await.unwrap();
    let _ = provider.send_raw_transaction(&first).await.unwrap();
    let kept = devnet.mine();
    let _ = provider.send_raw_transaction(&second).await.unwrap();
    let lost = [devnet.mine(), devnet.mine()];
    let changes = provider.get_filter_changes::<B256>(filter).await.unwrap();
    assert_eq!(changes, [kept.hash, lost[0].hash, lost[1].hash]);

    let forgotten = devnet.reorg(2).unwrap();
    assert_eq!(forgotten, std::slice::from_ref(&second));
    assert_eq!(devnet.block_number(), kept.number);
    assert_eq!(devnet.balance(PAY_TO.address), U256::ONE);
    assert!(provider.get_transaction_receipt(hash(&second)).await.unwrap().is_none());
    assert!(provider.get_block_by_hash(lost[0].hash).await.unwrap().is_none());
    assert!(provider.get_transaction_receipt(hash(&first)).await.unwrap().is_some());

    let replacing = [devnet.mine(), devnet.mine(), devnet.mine()];
    assert!(replacing.iter().all(|block| block.transactions.is_empty()));
    assert_ne!(replacing[1].hash, lost[1].hash, "an empty block in place of an empty block");
    let changes = provider.get_filter_changes::<B256>(filter).await.unwrap();
    assert_eq!(changes, replacing.map(|block| block.hash));

    let _ = provider.send_raw_transaction(&second).await.unwrap();
    assert_eq!(devnet.mine().transactions, [hash(&second)]);
    let possible = devnet.block_number();
    let error = devnet.reorg(99).unwrap_err();
    assert!(matches!(error, DevnetError::TooDeep { asked: 99, possible: found } if found == possible));
    devnet.reorg(possible).unwrap();
    assert_eq!(devnet.balance(FACILITATOR.address), before);
}

#[tokio::test]
async fn block_hashes_follow_a_reorg() {
    let devnet = manual();
    let multicall = Multicall3::new(MULTICALL3, devnet.provider());
    devnet.mine();
    let lost = devnet.mine();
    devnet.mine();
    let hash_of = async |number| multicall.getBlockHash(U256::from(number)).call().await.unwrap();
    assert_eq!(hash_of(2).await, lost.hash);
    devnet.reorg(2).unwrap();
    let new = devnet.mine();
    devnet.mine();
    assert_eq!(hash_of(2).await, new.hash);
}

#[tokio::test]
async fn snapshots_bring_everything_back() {
    let devnet = manual();
    let provider = devnet.provider();
    let raw = transfer(&FACILITATOR, 0, GWEI, 1);
    let _ = provider.send_raw_transaction(&raw).await.unwrap();
    let first = devnet.snapshot();
    let mined = devnet.mine();
    let second = devnet.snapshot();
    assert!(devnet.revert(first));
    assert_eq!((devnet.block_number(), devnet.waiting()), (0, vec![hash(&raw)]));
    assert!(devnet.balance(PAY_TO.address).is_zero());
    assert!(!devnet.revert(second), "it was taken after the one gone back to");
    assert!(!devnet.revert(first), "it is used up");
    assert_ne!(devnet.mine().hash, mined.hash);

    let client = devnet.rpc_client();
    let id: U256 = client.request("evm_snapshot", ()).await.unwrap();
    devnet.mine();
    assert!(client.request::<_, bool>("evm_revert", (id,)).await.unwrap());
    assert_eq!(devnet.block_number(), 1);
}

#[tokio::test]
async fn finality_trails_behind() {
    let devnet = builder().finality(2).build().unwrap();
    let provider = devnet.provider();
    let finalized = async || {
        let block = provider.get_block(alloy::eips::BlockId::finalized()).await.unwrap();
        block.unwrap().header.number
    };
    assert_eq!(finalized().await, 0);
    for _ in 0..5 {
        devnet.mine();
    }
    assert_eq!(finalized().await, 3);
}

#[tokio::test]
async fn writes_are_seen_at_once_and_undone_by_a_reorg() {
    let devnet = manual();
    devnet.mine();
    devnet.set_token_balance(USDC, PAY_TO.address, U256::from(5));
    devnet.set_nonce(PAY_TO.address, 7);
    devnet.set_allowance(USDC, PAY_TO.address, CLIENT.address, U256::from(3));
    assert_eq!(devnet.balance_of(USDC, PAY_TO.address).unwrap(), U256::from(5));
    assert_eq!(devnet.provider().get_transaction_count(PAY_TO.address).await.unwrap(), 7);
    let usdc = TestUsd::new(USDC, devnet.provider());
    let allowed = usdc.allowance(PAY_TO.address, CLIENT.address).call().await.unwrap();
    assert_eq!(allowed, U256::from(3));
    devnet.reorg(1).unwrap();
    assert!(devnet.balance_of(USDC, PAY_TO.address).unwrap().is_zero());
    let error = devnet.balance_of(PAY_TO.address, PAY_TO.address).unwrap_err();
    assert!(matches!(error, DevnetError::Contract { .. }), "{error}");
}
