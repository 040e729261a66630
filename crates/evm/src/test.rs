//! What the unit tests share: published development keys, golden texts, a payment to mutate.

use crate::eip712::{Domains, Transfer};
use crate::exact::types::{Authorization, Eip3009Payload};
use crate::rpc::Rpc;
use crate::signature::Ecdsa;
use alloy::primitives::{Address, B256, U256, address, b256};
use alloy::providers::{Provider as _, RootProvider};
use alloy::rpc::client::RpcClient;
use alloy::rpc::json_rpc::{RequestPacket, ResponsePacket};
use alloy::transports::{TransportError, TransportFut};
use secp256k1::SecretKey;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;
use tollway_core::{Clock, PaymentPayload, PaymentRequirements, Secret, SecretRef, Secrets};

/// The client of the vectors: an account of the mnemonic that development nodes publish.
pub(crate) const CLIENT_KEY: &str = "0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d";
/// The nonce of the golden flow.
pub(crate) const GOLDEN_NONCE: B256 = b256!("74495a19cc75962b80afd7ded1d220b76b2f11fd3dfd1388ed5a263a271ad3d7");

pub(crate) fn key(hex: &str) -> SecretKey {
    hex.trim_start_matches("0x").parse().unwrap()
}

/// Vector A.1 of the specification's vectors.
pub(crate) fn vector_a1() -> Transfer {
    Transfer {
        from: address!("70997970C51812dc3A010C7d01b50e0d17dc79C8"),
        to: address!("209693Bc6afc0C5328bA36FaF03C514EF312287C"),
        value: U256::from(10_000),
        valid_after: U256::ZERO,
        valid_before: U256::from(1_900_000_000),
        nonce: B256::repeat_byte(0x11),
    }
}

/// A flow recorded from the reference implementation.
pub(crate) fn golden_flow() -> Value {
    tollway_testkit::golden::flow("exact-evm-eip3009")
}

pub(crate) fn golden_payment() -> PaymentPayload {
    let flow = golden_flow();
    serde_json::from_value(flow["facilitator"][0]["request"]["body"]["paymentPayload"].clone()).unwrap()
}

pub(crate) fn golden_offer() -> PaymentRequirements {
    let flow = golden_flow();
    serde_json::from_value(flow["facilitator"][0]["request"]["body"]["paymentRequirements"].clone()).unwrap()
}

/// A payment and its offer, to be changed and signed again.
pub(crate) struct Signed {
    pub(crate) raw: PaymentPayload,
    pub(crate) offer: PaymentRequirements,
    authorization: Authorization,
}

impl Signed {
    /// A good payment of the golden offer at a time.
    pub(crate) fn new(now: u64) -> Self {
        let offer = golden_offer();
        let to: Address = offer.pay_to.parse().unwrap();
        let from = vector_a1().from;
        let authorization = Authorization::new(from, to, offer.amount, now + 300, B256::repeat_byte(0x11));
        let raw = PaymentPayload::new(offer.clone(), Value::Null);
        Self { raw, offer, authorization }.sign_with(&key(CLIENT_KEY))
    }

    /// Changes what is signed.
    pub(crate) fn authorize(mut self, change: impl FnOnce(&mut Authorization)) -> Self {
        change(&mut self.authorization);
        self.sign_with(&key(CLIENT_KEY))
    }

    pub(crate) fn sign_with(mut self, key: &SecretKey) -> Self {
        let asset = self.offer.asset.parse().unwrap();
        let digest = self.authorization.transfer().digest(&Domains::new(84532).separator(asset, "USDC", "2"));
        let signature = alloy::hex::encode_prefixed(Ecdsa::sign(key, &digest).to_bytes());
        let payload = Eip3009Payload::new(self.authorization.clone(), signature);
        self.raw.payload = serde_json::to_value(payload).unwrap();
        self
    }
}

/// A clock that stands.
#[derive(Debug)]
pub(crate) struct Hour(pub(crate) u64);

impl Clock for Hour {
    fn now(&self) -> u64 {
        self.0
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
#[derive(Clone)]
pub(crate) struct Silent;

impl tower::Service<RequestPacket> for Silent {
    type Response = ResponsePacket;
    type Error = TransportError;
    type Future = TransportFut<'static>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: RequestPacket) -> TransportFut<'static> {
        Box::pin(std::future::pending())
    }
}

/// A node that answers each method, or selector of an `eth_call`, with what is listed for it, and reverts to all else.
#[derive(Clone)]
pub(crate) struct Scripted {
    answers: Arc<[(&'static str, Value)]>,
    calls: Arc<AtomicUsize>,
}

impl Scripted {
    pub(crate) fn new(answers: impl IntoIterator<Item = (&'static str, Value)>) -> Self {
        Self { answers: answers.into_iter().collect(), calls: Arc::default() }
    }

    pub(crate) fn calls(&self) -> usize {
        self.calls.load(Relaxed)
    }
}

impl tower::Service<RequestPacket> for Scripted {
    type Response = ResponsePacket;
    type Error = TransportError;
    type Future = TransportFut<'static>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, packet: RequestPacket) -> TransportFut<'static> {
        let answers: Vec<Value> = packet
            .requests()
            .iter()
            .map(|request| {
                self.calls.fetch_add(1, Relaxed);
                let params: Value =
                    request.params().and_then(|params| serde_json::from_str(params.get()).ok()).unwrap_or_default();
                let selector = params[0]["data"].as_str().and_then(|data| data.get(..10)).unwrap_or_default();
                match self.answers.iter().find(|(key, _)| [request.method(), selector].contains(key)) {
                    Some((_, result)) => json!({ "id": request.id(), "result": result }),
                    None => json!({ "id": request.id(), "error": { "code": 3, "message": "execution reverted" } }),
                }
            })
            .collect();
        let single = packet.as_single().is_some();
        let answer = if single { answers.into_iter().next().unwrap_or_default() } else { Value::Array(answers) };
        Box::pin(async move { Ok(serde_json::from_value(answer).unwrap()) })
    }
}

/// A node that answers calls with their method's name and batches with one error for all.
#[derive(Clone, Default)]
pub(crate) struct NoBatches(Arc<AtomicUsize>);

impl NoBatches {
    pub(crate) fn round_trips(&self) -> usize {
        self.0.load(Relaxed)
    }
}

impl tower::Service<RequestPacket> for NoBatches {
    type Response = ResponsePacket;
    type Error = TransportError;
    type Future = TransportFut<'static>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, packet: RequestPacket) -> TransportFut<'static> {
        self.0.fetch_add(1, Relaxed);
        let error = |id: Value, code: i64| json!({ "id": id, "error": { "code": code, "message": "no" } });
        let answer = match packet.as_single() {
            None => error(Value::Null, -32600),
            Some(request) if request.method() == "eth_none" => error(json!(request.id()), -32601),
            Some(request) => json!({ "id": request.id(), "result": request.method() }),
        };
        Box::pin(async move { Ok(serde_json::from_value(answer).unwrap()) })
    }
}

fn provider_over(node: impl alloy::transports::IntoBoxTransport) -> alloy::providers::DynProvider {
    RootProvider::<alloy::network::Ethereum>::new(RpcClient::new(node, true)).erased()
}

pub(crate) fn rpc_over(node: impl alloy::transports::IntoBoxTransport) -> Rpc {
    Rpc::new("eip155:84532".parse().unwrap(), provider_over(node), Duration::from_secs(10))
}

pub(crate) fn evm_over(node: impl alloy::transports::IntoBoxTransport) -> crate::EvmBuilder {
    crate::Evm::builder("eip155:84532".parse().unwrap()).provider(provider_over(node))
}
