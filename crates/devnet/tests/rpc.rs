//! The handler itself, with whatever a stranger may send.
#![allow(clippy::unwrap_used, reason = "a helper of tests that fails fails the test")]

mod common;

use alloy::rpc::json_rpc::ResponsePayload;
use common::{devnet, transfer};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tollway_devnet::Devnet;
use tollway_devnet::accounts::FACILITATOR;

/// Every method there is.
const METHODS: [&str; 33] = [
    "eth_accounts",
    "eth_blockNumber",
    "eth_call",
    "eth_chainId",
    "eth_estimateGas",
    "eth_feeHistory",
    "eth_gasPrice",
    "eth_getBalance",
    "eth_getBlockByHash",
    "eth_getBlockByNumber",
    "eth_getBlockReceipts",
    "eth_getCode",
    "eth_getFilterChanges",
    "eth_getLogs",
    "eth_getStorageAt",
    "eth_getTransactionByHash",
    "eth_getTransactionCount",
    "eth_getTransactionReceipt",
    "eth_maxPriorityFeePerGas",
    "eth_newBlockFilter",
    "eth_newFilter",
    "eth_sendRawTransaction",
    "eth_syncing",
    "eth_uninstallFilter",
    "evm_increaseTime",
    "evm_mine",
    "evm_revert",
    "evm_setNextBlockTimestamp",
    "evm_snapshot",
    "net_listening",
    "net_version",
    "web3_clientVersion",
    "web3_sha3",
];

fn call(devnet: &Devnet, method: &str, params: &Value) -> Result<Value, (i64, String)> {
    let raw = RawValue::from_string(params.to_string()).unwrap();
    match devnet.handle(method, Some(&raw)) {
        ResponsePayload::Success(value) => Ok(serde_json::from_str(value.get()).unwrap()),
        ResponsePayload::Failure(error) => Err((error.code, error.message.into_owned())),
    }
}

#[test]
fn no_parameter_makes_a_method_panic() {
    let devnet = devnet();
    let word = format!("0x{}", "ff".repeat(32));
    let values = [
        json!(null),
        json!(true),
        json!(-1),
        json!(1.5),
        json!(u64::MAX),
        json!("latest"),
        json!("pending"),
        json!("0x"),
        json!("0x0"),
        json!("0xffffffffffffffff"),
        json!(word),
        json!("0x0000000000000000000000000000000000000001"),
        json!({}),
        json!({ "to": word }),
        json!({ "gas": "0xffffffffffffffff", "gasPrice": word }),
        json!({ "from": "0x0000000000000000000000000000000000000001", "value": word }),
        json!({ "input": "0xfe", "maxFeePerGas": "0xffffffffffffffffffffffffffffffff" }),
        json!({ "fromBlock": "0xffffffffffffffff", "toBlock": "0x0" }),
        json!({ "fromBlock": "earliest", "toBlock": "0xffffffffffffffff" }),
        json!({ "blockHash": word }),
        json!({ "blocks": "0xffffffffffffffff" }),
        json!([[[]]]),
        json!([1, 2, 3]),
    ];
    for method in METHODS {
        // Time that jumped to the end of all days stays there.
        if matches!(method, "evm_increaseTime" | "evm_setNextBlockTimestamp") {
            continue;
        }
        for params in [json!(null), json!({}), json!(7), json!([])] {
            let _ = call(&devnet, method, &params);
        }
        for first in &values {
            let _ = call(&devnet, method, &json!([first]));
            for second in &values {
                let _ = call(&devnet, method, &json!([first, second]));
                let _ = call(&devnet, method, &json!([first, "latest", second]));
            }
        }
    }
    for method in ["evm_increaseTime", "evm_setNextBlockTimestamp"] {
        for value in &values {
            let _ = call(&devnet, method, &json!([value]));
            devnet.mine();
        }
    }
    assert_eq!(call(&devnet, "eth_chainId", &json!([])), Ok(json!("0x14a34")));
}

#[test]
fn the_list_above_is_complete() {
    let devnet = devnet();
    for method in METHODS {
        let unknown = matches!(call(&devnet, method, &json!([])), Err((-32601, _)));
        assert!(!unknown, "{method}");
    }
    assert_eq!(devnet.calls().methods.len(), METHODS.len());
    assert_eq!(devnet.calls().of("unknown"), 0);
}

#[test]
fn mistakes_are_told_apart() {
    let devnet = devnet();
    let address = "0x0000000000000000000000000000000000000001";
    for (method, params, code, words) in [
        ("eth_sign", json!([]), -32601, "the method eth_sign does not exist"),
        ("eth_getBalance", json!([]), -32602, "missing value for argument 0"),
        ("eth_getBalance", json!({ "address": address }), -32602, "not a list"),
        ("eth_getBalance", json!([address, "0x99"]), -32000, "header not found"),
        ("eth_getBalance", json!(["0x01"]), -32602, "argument 0"),
        ("eth_getLogs", json!([{ "fromBlock": "0x2", "toBlock": "0x1" }]), -32602, "before it begins"),
        ("eth_feeHistory", json!(["0x1", "latest", [50, 20]]), -32602, "increasing"),
        ("eth_feeHistory", json!(["0x1", "0x9"]), -32000, "beyond head"),
        ("eth_call", json!([{ "to": address, "gasPrice": "0x1" }]), -32000, "less than block base fee"),
        ("eth_call", json!([{ "to": address, "gasPrice": "0x1", "maxFeePerGas": "0x1" }]), -32000, "both gasPrice and"),
        ("eth_call", json!([{ "to": address, "value": "0x1", "from": address }]), -32000, "insufficient funds"),
        ("eth_call", json!([{ "to": address, "chainId": "0x1" }]), -32000, "chainId does not match"),
        ("eth_call", json!([{ "to": address, "gas": "0x1" }]), -32000, "intrinsic gas too low"),
        ("eth_estimateGas", json!([{ "input": "0xfe" }]), -32000, "invalid opcode"),
        ("eth_sendRawTransaction", json!(["0x"]), -32000, "does not decode"),
        ("evm_mine", json!([{ "blocks": "0xffffff" }]), -32005, "blocks in one call"),
    ] {
        let (found, message) = call(&devnet, method, &params).unwrap_err();
        assert_eq!(found, code, "{method}: {message}");
        assert!(message.contains(words), "{method}: {message} instead of {words}");
    }
    let long = "x".repeat(10_000);
    assert!(call(&devnet, &long, &json!([])).unwrap_err().1.len() < 200);
}

#[test]
fn log_ranges_are_bounded() {
    let devnet = devnet();
    for _ in 0..3 {
        devnet.mine();
    }
    let wide = json!([{ "fromBlock": "0x0", "toBlock": "0xffffff" }]);
    assert_eq!(call(&devnet, "eth_getLogs", &wide), Ok(json!([])), "only blocks that exist count");
    for _ in 0..10_000 {
        devnet.mine();
    }
    let (code, message) = call(&devnet, "eth_getLogs", &wide).unwrap_err();
    assert_eq!((code, &*message), (-32005, "query exceeds max block range 10000"));
    let (_, message) = call(&devnet, "eth_getBalance", &json!([FACILITATOR.address, "0x1"])).unwrap_err();
    assert!(message.contains("historical state is not available"), "{message}");
}

#[test]
fn idle_filters_make_room() {
    let devnet = devnet();
    let install = || call(&devnet, "eth_newBlockFilter", &json!([])).unwrap();
    let polled = |id: &Value| call(&devnet, "eth_getFilterChanges", &json!([id])).is_ok();
    let (busy, idle) = (install(), install());
    for _ in 0..1_023 {
        install();
        assert!(polled(&busy));
    }
    assert!(!polled(&idle));
}

#[test]
fn a_handle_works_without_any_runtime() {
    let devnet = devnet();
    let raw = alloy::primitives::Bytes::from(transfer(&FACILITATOR, 0, 1_000_000_000, 1));
    let hash = call(&devnet, "eth_sendRawTransaction", &json!([raw])).unwrap();
    let receipt = call(&devnet, "eth_getTransactionReceipt", &json!([hash])).unwrap();
    assert_eq!((&receipt["status"], &receipt["type"]), (&json!("0x1"), &json!("0x2")));
    assert_eq!(receipt["logs"], json!([]));
    let block = call(&devnet, "eth_getBlockByNumber", &json!(["latest", false])).unwrap();
    assert_eq!(block["transactions"], json!([hash]));
    assert!(block["hash"].is_string() && block["baseFeePerGas"].is_string());
}
