//! Headers of base64, and what nodes say about balances.

use super::http::Message;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

pub(super) fn decode(header: &str) -> Result<Value, String> {
    let bytes = STANDARD.decode(header).map_err(|why| format!("a header is not base64: {why}"))?;
    serde_json::from_slice(&bytes).map_err(|why| format!("a header is no JSON: {why}"))
}

pub(super) fn encode(value: &Value) -> String {
    STANDARD.encode(value.to_string())
}

/// Bytes in base64, changed.
pub(super) fn changed(text: &str, change: impl FnOnce(&mut Vec<u8>)) -> Result<String, String> {
    let mut bytes = STANDARD.decode(text).map_err(|why| why.to_string())?;
    change(&mut bytes);
    Ok(STANDARD.encode(bytes))
}

fn rpc(node: &str, method: &str, params: Value) -> Result<Value, String> {
    let ask = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
    let answer = Message::request("POST", "/").json(&ask).send(node)?;
    let mut answer: Value = serde_json::from_slice(&answer.body).map_err(|why| format!("{method}: {why}"))?;
    match answer["result"].take() {
        Value::Null => Err(format!("{method}: {answer}")),
        result => Ok(result),
    }
}

/// Units of an ERC-20 token.
pub(super) fn evm_balance(node: &str, token: &str, holder: &str) -> Result<u64, String> {
    let data = format!("0x70a08231{:0>64}", holder.trim_start_matches("0x"));
    let word = rpc(node, "eth_call", json!([{ "to": token, "data": data }, "latest"]))?;
    let digits = word.as_str().and_then(|word| word.get(50..66)).ok_or("eth_call: no word")?;
    u64::from_str_radix(digits, 16).map_err(|why| why.to_string())
}

/// Units of an SPL token, over all of a wallet's accounts.
pub(super) fn svm_balance(node: &str, mint: &str, wallet: &str) -> Result<u64, String> {
    let asked = json!([wallet, { "mint": mint }, { "encoding": "base64", "commitment": "confirmed" }]);
    let found = rpc(node, "getTokenAccountsByOwner", asked)?;
    let accounts = found["value"].as_array().ok_or("getTokenAccountsByOwner: no list")?;
    accounts.iter().try_fold(0, |sum, account| {
        let address = account["pubkey"].as_str().unwrap_or_default();
        let balance = rpc(node, "getTokenAccountBalance", json!([address, { "commitment": "confirmed" }]))?;
        let units = balance["value"]["amount"].as_str().and_then(|text| text.parse::<u64>().ok());
        Ok(sum + units.ok_or("getTokenAccountBalance: no amount")?)
    })
}
