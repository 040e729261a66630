//! What tests share: recorded payments, keys everybody knows, and nodes that answer by script.

use crate::config::Commitment;
use crate::exact::{ExactFacilitator, ExactFacilitatorConfig};
use crate::rpc::{Account, Rpc};
use crate::{LocalKey, Solana};
use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};
use solana_pubkey::Pubkey;
use solana_rpc_client::nonblocking::rpc_client::RpcClient;
use solana_rpc_client::rpc_client::RpcClientConfig;
use solana_rpc_client::rpc_sender::{RpcSender, RpcTransportStats};
use solana_rpc_client_api::client_error::{Error, Result as ClientResult};
use solana_rpc_client_api::request::{RpcError, RpcRequest, RpcResponseErrorData};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tollway_core::{PaymentPayload, PaymentRequirements, Secret, SecretRef, Secrets};
use tollway_testkit::golden;

/// Published keys, of no worth on any chain.
pub(crate) const CLIENT_SEED: &str = "f5ad2a9a826cebc50f7c12f81d9e02bfb0360ac1df7a1e73746e41943b19be18";
pub(crate) const FACILITATOR_SEED: &str = "0fb4d5af8f14994adf2ee40ff085d378f37f25087ae8d3f23a12efc06519d6ea";

pub(crate) fn key(seed: &str) -> LocalKey {
    LocalKey::from_text(seed).unwrap()
}

pub(crate) fn golden_payment(name: &str) -> PaymentPayload {
    serde_json::from_value(golden::flow(name)["facilitator"][0]["request"]["body"]["paymentPayload"].clone()).unwrap()
}

pub(crate) fn golden_offer(name: &str) -> PaymentRequirements {
    let body = &golden::flow(name)["facilitator"][0]["request"]["body"];
    serde_json::from_value(body["paymentRequirements"].clone()).unwrap()
}

/// The recorded transaction's bytes.
pub(crate) fn golden_bytes(name: &str) -> Vec<u8> {
    BASE64.decode(golden_payment(name).payload["transaction"].as_str().unwrap()).unwrap()
}

/// The bytes with some of them replaced.
pub(crate) fn splice(bytes: &[u8], at: usize, with: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[at..at + with.len()].copy_from_slice(with);
    bytes
}

/// An account of a program.
pub(crate) fn account(owner: Pubkey, data: &[u8]) -> Account {
    serde_json::from_value(account_json(owner, data)).unwrap()
}

pub(crate) fn account_json(owner: Pubkey, data: &[u8]) -> Value {
    json!({
        "owner": owner.to_string(), "data": [BASE64.encode(data), "base64"],
        "lamports": 1, "executable": false, "rentEpoch": 0, "space": data.len()
    })
}

/// A mint's bytes, with extensions as type and value.
pub(crate) fn mint_data(decimals: u8, extensions: &[(u16, Vec<u8>)]) -> Vec<u8> {
    let mut data = vec![0; 82];
    data[44] = decimals;
    data[45] = 1;
    if !extensions.is_empty() {
        data.resize(165, 0);
        data.push(1);
        for (kind, value) in extensions {
            data.extend(kind.to_le_bytes());
            data.extend((value.len() as u16).to_le_bytes());
            data.extend(value);
        }
    }
    data
}

pub(crate) fn mint_account(program: Pubkey, decimals: u8, extensions: &[(u16, Vec<u8>)]) -> Account {
    account(program, &mint_data(decimals, extensions))
}

/// Extensions of Token-2022 mints.
pub(crate) mod extension {
    pub(crate) fn fee(basis_points: u16) -> (u16, Vec<u8>) {
        let mut value = vec![0; 108];
        value[80..88].copy_from_slice(&u64::MAX.to_le_bytes());
        value[88..90].copy_from_slice(&basis_points.to_le_bytes());
        (1, value)
    }

    pub(crate) fn default_state(state: u8) -> (u16, Vec<u8>) {
        (6, vec![state])
    }

    pub(crate) fn delegate(who: [u8; 32]) -> (u16, Vec<u8>) {
        (12, who.to_vec())
    }

    pub(crate) fn hook(program: [u8; 32]) -> (u16, Vec<u8>) {
        (14, [[9; 32], program].concat())
    }
}

/// Whatever is asked for is this.
#[derive(Debug)]
pub(crate) struct OneSecret(pub(crate) Secret);

impl Secrets for OneSecret {
    fn resolve(&self, _: &SecretRef) -> Result<Secret, String> {
        Ok(self.0.clone())
    }
}

pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// A node that never answers.
pub(crate) struct Silent;

#[async_trait]
impl RpcSender for Silent {
    async fn send(&self, _: RpcRequest, _: Value) -> ClientResult<Value> {
        std::future::pending().await
    }
    fn get_transport_stats(&self) -> RpcTransportStats {
        RpcTransportStats::default()
    }
    fn url(&self) -> String {
        String::new()
    }
}

/// What a scripted method answers: a result, or a JSON-RPC error. The code 0 stands for a broken connection.
type Answer = Result<Value, (i64, String)>;
type Method = Box<dyn FnMut(&Value) -> Answer + Send>;

/// A node whose methods are closures. Clones are the same node.
#[derive(Clone, Default)]
pub(crate) struct Script {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Default)]
struct Inner {
    methods: HashMap<&'static str, Method>,
    calls: HashMap<String, usize>,
}

impl Script {
    /// Answers a method from now on.
    pub(crate) fn on(&self, method: &'static str, answer: impl FnMut(&Value) -> Answer + Send + 'static) {
        self.inner.lock().unwrap().methods.insert(method, Box::new(answer));
    }

    /// How often a method was called.
    pub(crate) fn calls(&self, method: &str) -> usize {
        self.inner.lock().unwrap().calls.get(method).copied().unwrap_or_default()
    }

    /// How often any was.
    pub(crate) fn total(&self) -> usize {
        self.inner.lock().unwrap().calls.values().sum()
    }
}

#[async_trait]
impl RpcSender for Script {
    async fn send(&self, request: RpcRequest, params: Value) -> ClientResult<Value> {
        let method = request.to_string();
        let mut inner = self.inner.lock().unwrap();
        *inner.calls.entry(method.clone()).or_default() += 1;
        let answer = inner.methods.get_mut(&*method).unwrap_or_else(|| panic!("{method} is not scripted"))(&params);
        answer.map_err(|(code, message)| match code {
            0 => Error::from(std::io::Error::other(message)),
            _ => Error::from(RpcError::RpcResponseError { code, message, data: RpcResponseErrorData::Empty }),
        })
    }
    fn get_transport_stats(&self) -> RpcTransportStats {
        RpcTransportStats::default()
    }
    fn url(&self) -> String {
        String::new()
    }
}

pub(crate) fn client_over(node: impl RpcSender + Send + Sync + 'static) -> Arc<RpcClient> {
    Arc::new(RpcClient::new_sender(node, RpcClientConfig::default()))
}

pub(crate) fn rpc_over(node: impl RpcSender + Send + Sync + 'static) -> Rpc {
    let id = golden_offer("exact-svm").network;
    Rpc::new(id, client_over(node), Duration::from_secs(10), Commitment::Confirmed)
}

pub(crate) fn network_over(node: impl RpcSender + Send + Sync + 'static) -> Solana {
    Solana::builder(golden_offer("exact-svm").network).rpc(client_over(node)).build().unwrap()
}

/// A facilitator with the recorded one's key on a scripted node.
pub(crate) fn facilitator_over(node: Script, config: Value) -> ExactFacilitator {
    let config: ExactFacilitatorConfig = serde_json::from_value(config).unwrap();
    let keys: Vec<Arc<dyn tollway_core::Signer>> = vec![Arc::new(key(FACILITATOR_SEED))];
    ExactFacilitator::with_config(Arc::new(network_over(node)), keys, config).unwrap()
}

/// What a node says of a transaction that would move `gain` units of a mint to the recorded payment's recipient.
pub(crate) fn simulated(params: &Value, program: Pubkey, extensions: &[(u16, Vec<u8>)], gain: u64) -> Value {
    let asked = params[1].get("accounts").is_some();
    let accounts = asked.then(|| [account_json(program, &mint_data(6, extensions))]);
    // The recipient's account is the recorded message's third or fourth; the payer's is the other.
    let balance =
        |index: u8, amount: u64| json!({ "accountIndex": index, "uiTokenAmount": { "amount": amount.to_string() } });
    json!({ "context": { "slot": 1 }, "value": {
        "err": null, "logs": [], "accounts": accounts,
        "preTokenBalances": [balance(GOLDEN_DESTINATION, 5), balance(GOLDEN_SOURCE, 5000)],
        "postTokenBalances": [balance(GOLDEN_DESTINATION, 5 + gain), balance(GOLDEN_SOURCE, 5000 - gain)],
    }})
}

/// Places of the token accounts in the recorded message.
pub(crate) const GOLDEN_DESTINATION: u8 = 2;
pub(crate) const GOLDEN_SOURCE: u8 = 3;
