#![doc = include_str!("../README.md")]

use serde_json::{Value, json};
use std::error::Error;
use tokio::net::TcpListener;

/// Whatever went wrong, to be read by people.
pub type Failure = Box<dyn Error + Send + Sync>;

/// USDC on Base Sepolia, where nothing else is said.
const USDC: &str = "0x036CbD53842c5426634e7929541eC2318f3dCF7e";

/// What all three programs read from the environment.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `EVM_NETWORK`, a CAIP-2 id.
    pub evm: String,
    /// `SVM_NETWORK`, a CAIP-2 id.
    pub svm: String,
    /// `EVM_USDC`, a token with EIP-3009 and EIP-2612.
    pub usdc: String,
    /// `EVM_PLAIN`, a token with neither.
    pub plain: Option<String>,
    evm_rpc: Option<String>,
    svm_rpc: Option<String>,
}

impl Settings {
    /// Reads the environment.
    pub fn read() -> Self {
        Self {
            evm: setting("EVM_NETWORK").unwrap_or_else(|| "eip155:84532".to_owned()),
            svm: setting("SVM_NETWORK").unwrap_or_else(|| "solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1".to_owned()),
            usdc: setting("EVM_USDC").unwrap_or_else(|| USDC.to_owned()),
            plain: setting("EVM_PLAIN"),
            evm_rpc: setting("EVM_RPC_URL"),
            svm_rpc: setting("SVM_RPC_URL"),
        }
    }

    /// The section of the EVM's network: its node, if there is one, and what is paid in. Short blocks are looked for
    /// often; the time between long ones is learnt.
    pub fn evm_section(&self) -> Value {
        let usdc = json!({
            "address": self.usdc, "symbol": "USDC", "decimals": 6, "name": "USDC", "version": "2", "dollar": true,
        });
        with_rpc(json!({ "assets": [usdc], "blockTimeMs": 250 }), &self.evm_rpc)
    }

    /// The section of an extension that gives Permit2 its allowance, signed with a key; `None` without a node.
    pub fn sponsored(&self, key: &str) -> Option<Value> {
        let rpc = self.evm_rpc.as_deref()?;
        Some(json!({ "networks": { self.evm.as_str(): { "rpc": rpc, "key": key } } }))
    }

    /// The section of Solana's network.
    pub fn svm_section(&self) -> Value {
        with_rpc(json!({}), &self.svm_rpc)
    }
}

fn with_rpc(mut section: Value, rpc: &Option<String>) -> Value {
    if let Some(rpc) = rpc {
        section["rpc"] = json!(rpc);
    }
    section
}

/// A variable of the environment. One that is empty is not set.
pub fn setting(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// A variable that has to be set.
///
/// # Errors
/// It is not.
pub fn required(name: &str) -> Result<String, Failure> {
    setting(name).ok_or_else(|| format!("set {name}; the README of examples/interop says what to").into())
}

/// The port of `PORT` on this machine, and the URL it is reached by. Port 0, and no `PORT`, is any that is free.
///
/// # Errors
/// `PORT` is none, or taken.
pub async fn listen() -> Result<(TcpListener, String), Failure> {
    let port: u16 = match setting("PORT") {
        Some(text) => text.parse().map_err(|_| format!("PORT is `{text}`, which is no port"))?,
        None => 0,
    };
    let listener = TcpListener::bind(("127.0.0.1", port)).await.map_err(|why| format!("port {port}: {why}"))?;
    let url = format!("http://{}", listener.local_addr()?);
    Ok((listener, url))
}
