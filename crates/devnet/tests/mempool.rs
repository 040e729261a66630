//! What waits for a block, in which order it goes, and what is refused.
#![allow(clippy::unwrap_used, reason = "a helper of tests that fails fails the test")]

mod common;

use std::time::Duration;

use alloy::consensus::{TxEip1559, TxEip2930, TxEip7702, TxLegacy};
use alloy::primitives::{Bytes, TxKind, U256};
use alloy::providers::Provider as _;
use common::{builder, devnet, hash, signed, transfer};
use tollway_devnet::accounts::{CLIENT, FACILITATOR, PAY_TO, POOR, STRANGER};
use tollway_devnet::{Devnet, Mining};

const GWEI: u128 = 1_000_000_000;

fn manual() -> Devnet {
    builder().mining(Mining::Manual).build().unwrap()
}

async fn send(devnet: &Devnet, raw: &[u8]) -> Result<(), String> {
    let sent = devnet.provider().send_raw_transaction(raw).await;
    sent.map(|sent| assert_eq!(*sent.tx_hash(), hash(raw))).map_err(|error| error.to_string())
}

async fn refusal(devnet: &Devnet, raw: &[u8]) -> String {
    send(devnet, raw).await.unwrap_err()
}

#[tokio::test]
async fn nonces_go_in_order_however_they_came() {
    let devnet = manual();
    let provider = devnet.provider();
    let count = async |pending: bool| {
        let count = provider.get_transaction_count(FACILITATOR.address);
        if pending { count.pending().await } else { count.await }.unwrap()
    };
    let [first, second, third, fifth] = [0, 1, 2, 4].map(|nonce| transfer(&FACILITATOR, nonce, GWEI, 1));
    for raw in [&third, &first, &fifth] {
        send(&devnet, raw).await.unwrap();
    }
    assert_eq!((count(false).await, count(true).await), (0, 1), "what is behind a gap does not count");
    send(&devnet, &second).await.unwrap();
    assert_eq!((count(false).await, count(true).await), (0, 3));
    assert_eq!(devnet.mine().transactions, [&first, &second, &third].map(|raw| hash(raw)));
    assert_eq!(devnet.waiting(), [hash(&fifth)]);
    assert_eq!((count(false).await, count(true).await), (3, 3));
    send(&devnet, &transfer(&FACILITATOR, 3, GWEI, 1)).await.unwrap();
    assert_eq!(devnet.mine().transactions.len(), 2);
}

#[tokio::test]
async fn automine_fills_gaps_too() {
    let devnet = devnet();
    send(&devnet, &transfer(&FACILITATOR, 1, GWEI, 1)).await.unwrap();
    assert_eq!(devnet.block_number(), 0);
    send(&devnet, &transfer(&FACILITATOR, 0, GWEI, 1)).await.unwrap();
    assert_eq!(devnet.block_number(), 1);
    assert!(devnet.waiting().is_empty());
}

#[tokio::test]
async fn what_cannot_run_makes_no_blocks() {
    let devnet = devnet();
    // It waits behind a gap, until its sender has nothing left.
    send(&devnet, &transfer(&CLIENT, 1, GWEI, 1)).await.unwrap();
    devnet.set_nonce(CLIENT.address, 1);
    devnet.set_balance(CLIENT.address, U256::ZERO);
    for nonce in 0..3 {
        send(&devnet, &transfer(&FACILITATOR, nonce, GWEI, 1)).await.unwrap();
    }
    assert_eq!(devnet.block_number(), 3);
    assert_eq!(devnet.waiting().len(), 1);
    devnet.set_balance(CLIENT.address, U256::from(10_u64.pow(18)));
    assert_eq!(devnet.mine().transactions.len(), 1);
}

#[tokio::test]
async fn better_tips_go_first() {
    let devnet = manual();
    let low = transfer(&FACILITATOR, 0, GWEI, 1);
    let after_low = transfer(&FACILITATOR, 1, GWEI, 100);
    let middle = transfer(&CLIENT, 0, GWEI, 2);
    let also_middle = transfer(&STRANGER, 0, GWEI, 2);
    for raw in [&low, &after_low, &middle, &also_middle] {
        send(&devnet, raw).await.unwrap();
    }
    let order = [middle, also_middle, low, after_low].map(|raw| hash(&raw));
    assert_eq!(devnet.mine().transactions, order);
}

#[tokio::test]
async fn a_stuck_transaction_is_replaced() {
    let devnet = manual();
    let stuck = transfer(&FACILITATOR, 0, GWEI, GWEI / 10);
    send(&devnet, &stuck).await.unwrap();
    devnet.set_base_fee(2_000_000_000);
    assert!(devnet.mine().transactions.is_empty());
    assert_eq!(devnet.waiting(), [hash(&stuck)]);

    let dearer = transfer(&FACILITATOR, 0, 4 * GWEI, GWEI / 10);
    assert!(refusal(&devnet, &dearer).await.contains("replacement transaction underpriced"));
    let replacement = transfer(&FACILITATOR, 0, 4 * GWEI, GWEI / 5);
    send(&devnet, &replacement).await.unwrap();
    assert_eq!(devnet.mine().transactions, [hash(&replacement)]);
    let provider = devnet.provider();
    assert!(provider.get_transaction_by_hash(hash(&stuck)).await.unwrap().is_none());
    assert!(provider.get_transaction_receipt(hash(&stuck)).await.unwrap().is_none());
    assert!(refusal(&devnet, &stuck).await.contains("nonce too low"));
}

#[tokio::test]
async fn a_fee_spike_passes_and_the_transaction_with_it() {
    let devnet = manual();
    let waiting = transfer(&FACILITATOR, 0, GWEI, 0);
    send(&devnet, &waiting).await.unwrap();
    devnet.set_base_fee(2_000_000_000);
    // Empty blocks lower the fee by an eighth each.
    let blocks = (1..).find(|_| !devnet.mine().transactions.is_empty());
    assert_eq!(blocks, Some(7));
}

#[tokio::test]
async fn an_interval_mines_without_being_told() {
    let devnet = Devnet::builder().mining(Mining::Interval(Duration::from_millis(20))).build().unwrap();
    let provider = devnet.provider();
    let mut sent = Vec::new();
    for nonce in [4, 2, 0, 1, 3] {
        let raw = transfer(&FACILITATOR, nonce, GWEI, 1);
        sent.push((nonce, provider.send_raw_transaction(&raw).await.unwrap()));
    }
    sent.sort_by_key(|(nonce, _)| *nonce);
    let mut places = Vec::new();
    for (_, sent) in sent {
        let receipt = sent.get_receipt().await.unwrap();
        assert!(receipt.status());
        places.push((receipt.block_number, receipt.transaction_index));
    }
    assert!(places.is_sorted(), "{places:?}");
}

#[tokio::test]
async fn a_provider_keeps_the_chain_going() {
    let devnet = Devnet::builder().mining(Mining::Interval(Duration::from_millis(1))).build().unwrap();
    let provider = devnet.provider();
    drop(devnet);
    // The provider is a handle too.
    let seen = provider.get_block_number().await.unwrap();
    while provider.get_block_number().await.unwrap() == seen {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn waiting_transactions_can_be_asked_for_and_lost() {
    let devnet = manual();
    let raw = transfer(&FACILITATOR, 0, GWEI, 1);
    send(&devnet, &raw).await.unwrap();
    let provider = devnet.provider();
    let found = provider.get_transaction_by_hash(hash(&raw)).await.unwrap().unwrap();
    assert_eq!((found.block_hash, found.transaction_index), (None, None));
    assert!(provider.get_transaction_receipt(hash(&raw)).await.unwrap().is_none());
    assert!(refusal(&devnet, &raw).await.contains("already known"));
    assert!(devnet.evict(&hash(&raw)));
    assert!(!devnet.evict(&hash(&raw)));
    assert!(provider.get_transaction_by_hash(hash(&raw)).await.unwrap().is_none());
    send(&devnet, &raw).await.unwrap();
    assert_eq!(devnet.mine().transactions, [hash(&raw)]);
}

#[tokio::test]
async fn the_pending_state_includes_what_waits() {
    let devnet = manual();
    let provider = devnet.provider();
    send(&devnet, &transfer(&FACILITATOR, 0, GWEI, 1)).await.unwrap();
    assert!(provider.get_balance(PAY_TO.address).await.unwrap().is_zero());
    assert_eq!(provider.get_balance(PAY_TO.address).pending().await.unwrap(), U256::ONE);
    let block = provider.get_block_by_number(alloy::eips::BlockNumberOrTag::Pending).await.unwrap().unwrap();
    assert_eq!((block.header.number, block.transactions.len()), (1, 1));
    assert_eq!(devnet.block_number(), 0);
}

#[tokio::test]
async fn every_refusal_has_its_words() {
    let devnet = devnet();
    send(&devnet, &transfer(&FACILITATOR, 0, GWEI, 1)).await.unwrap();
    let base = TxEip1559 {
        chain_id: 84_532,
        nonce: 1,
        gas_limit: 21_000,
        max_fee_per_gas: GWEI,
        max_priority_fee_per_gas: 1,
        to: TxKind::Call(PAY_TO.address),
        ..TxEip1559::default()
    };
    let from_facilitator = |transaction: TxEip1559| signed(&FACILITATOR, transaction);
    for (raw, words) in [
        (transfer(&FACILITATOR, 0, 2 * GWEI, 1), "nonce too low: next nonce 1, tx nonce 0"),
        (transfer(&POOR, 0, GWEI, 1), "insufficient funds for gas * price + value"),
        (transfer(&FACILITATOR, 1, 1, 1), "max fee per gas less than block base fee"),
        (transfer(&FACILITATOR, 1, GWEI, GWEI + 1), "max priority fee per gas higher than max fee per gas"),
        (from_facilitator(TxEip1559 { chain_id: 1, ..base.clone() }), "invalid chain id"),
        (from_facilitator(TxEip1559 { gas_limit: 20_999, ..base.clone() }), "intrinsic gas too low"),
        (from_facilitator(TxEip1559 { gas_limit: u64::MAX, ..base.clone() }), "exceeds block gas limit"),
        (from_facilitator(TxEip1559 { input: vec![0; 130 * 1024].into(), ..base.clone() }), "oversized data"),
        (
            signed(
                &FACILITATOR,
                TxLegacy { chain_id: None, nonce: 1, gas_limit: 21_000, gas_price: GWEI, ..TxLegacy::default() },
            ),
            "only replay-protected (EIP-155) transactions allowed",
        ),
        (vec![2, 0xc0], "does not decode"),
        (vec![], "does not decode"),
        ([transfer(&FACILITATOR, 1, GWEI, 1), vec![0]].concat(), "does not decode"),
    ] {
        let error = refusal(&devnet, &raw).await;
        assert!(error.contains(words), "{error} instead of {words}");
    }
    assert!(devnet.waiting().is_empty());
}

#[tokio::test]
async fn every_kind_of_transaction_is_mined() {
    let devnet = devnet();
    let (chain_id, gas_limit, to) = (84_532, 60_000, TxKind::Call(PAY_TO.address));
    let authorization = {
        use alloy::signers::SignerSync as _;
        let authorization =
            alloy::eips::eip7702::Authorization { chain_id: U256::ZERO, address: PAY_TO.address, nonce: 0 };
        let signature = STRANGER.signer().sign_hash_sync(&authorization.signature_hash()).unwrap();
        authorization.into_signed(signature)
    };
    let kinds = [
        signed(
            &FACILITATOR,
            TxLegacy { chain_id: Some(chain_id), nonce: 0, gas_price: GWEI, gas_limit, to, ..TxLegacy::default() },
        ),
        signed(&FACILITATOR, TxEip2930 { chain_id, nonce: 1, gas_price: GWEI, gas_limit, to, ..TxEip2930::default() }),
        transfer(&FACILITATOR, 2, GWEI, 1),
        signed(
            &FACILITATOR,
            TxEip7702 {
                chain_id,
                nonce: 3,
                max_fee_per_gas: GWEI,
                gas_limit,
                to: PAY_TO.address,
                authorization_list: vec![authorization],
                ..TxEip7702::default()
            },
        ),
    ];
    let provider = devnet.provider();
    for (kind, raw) in [0, 1, 2, 4].into_iter().zip(&kinds) {
        send(&devnet, raw).await.unwrap();
        let receipt = provider.get_transaction_receipt(hash(raw)).await.unwrap().unwrap();
        assert!(receipt.status());
        assert_eq!(receipt.inner.tx_type() as u8, kind);
    }
    assert_eq!(devnet.code(STRANGER.address).len(), 23);
    // The authorization used the authority's nonce.
    assert_eq!(provider.get_transaction_count(STRANGER.address).await.unwrap(), 1);
}

#[tokio::test]
async fn an_authorization_makes_waiting_nonces_stale() {
    use alloy::signers::SignerSync as _;
    let devnet = manual();
    let stale = transfer(&STRANGER, 0, GWEI, 1);
    send(&devnet, &stale).await.unwrap();
    let authorization =
        alloy::eips::eip7702::Authorization { chain_id: U256::from(84_532), address: PAY_TO.address, nonce: 0 };
    let signature = STRANGER.signer().sign_hash_sync(&authorization.signature_hash()).unwrap();
    let delegation = signed(
        &FACILITATOR,
        TxEip7702 {
            chain_id: 84_532,
            max_fee_per_gas: GWEI,
            max_priority_fee_per_gas: 5,
            gas_limit: 100_000,
            to: PAY_TO.address,
            authorization_list: vec![authorization.into_signed(signature)],
            ..TxEip7702::default()
        },
    );
    send(&devnet, &delegation).await.unwrap();
    assert_eq!(devnet.mine().transactions, [hash(&delegation)]);
    assert!(devnet.waiting().is_empty());
}

#[tokio::test]
async fn a_full_block_leaves_the_rest_waiting() {
    let devnet = builder().mining(Mining::Manual).block_gas_limit(50_000).build().unwrap();
    for nonce in 0..5 {
        send(&devnet, &transfer(&FACILITATOR, nonce, GWEI, 1)).await.unwrap();
    }
    let filled: Vec<usize> = (0..3).map(|_| devnet.mine().transactions.len()).collect();
    assert_eq!(filled, [2, 2, 1]);
    assert!(devnet.base_fee() > 10_000_000, "full blocks raise the fee");
}

#[tokio::test]
async fn creations_name_their_contract() {
    let devnet = devnet();
    let create = |nonce, input: Bytes| {
        signed(
            &FACILITATOR,
            TxEip1559 {
                chain_id: 84_532,
                nonce,
                gas_limit: 100_000,
                max_fee_per_gas: GWEI,
                to: TxKind::Create,
                input,
                ..TxEip1559::default()
            },
        )
    };
    for (nonce, code, succeeds) in [(0, "60016000f3", true), (1, "60006000fd", false)] {
        let raw = create(nonce, Bytes::from(alloy::primitives::hex::decode(code).unwrap()));
        send(&devnet, &raw).await.unwrap();
        let receipt = devnet.provider().get_transaction_receipt(hash(&raw)).await.unwrap().unwrap();
        assert_eq!(receipt.status(), succeeds);
        assert_eq!(receipt.contract_address, Some(FACILITATOR.address.create(nonce)));
    }
}
