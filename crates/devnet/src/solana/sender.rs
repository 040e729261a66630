//! The way in without a network: an [`RpcSender`] for the Solana SDK's client.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;

use async_trait::async_trait;
use serde_json::Value;
use solana_rpc_client::nonblocking::rpc_client::RpcClient;
use solana_rpc_client::rpc_client::RpcClientConfig;
use solana_rpc_client::rpc_sender::{RpcSender, RpcTransportStats};
use solana_rpc_client_api::client_error::{Error, Result};
use solana_rpc_client_api::request::{RpcError, RpcRequest, RpcResponseErrorData};

use super::devnet::Devnet;
use super::rpc::{Broken, RpcFailure, answer};

/// Carries requests to a devnet in this process, and its faults back: a broken connection is an I/O error, an HTTP
/// status a request error.
#[derive(Debug)]
pub struct DevnetSender {
    devnet: Devnet,
    requests: AtomicUsize,
}

impl Devnet {
    /// A sender to this chain.
    #[must_use]
    pub fn sender(&self) -> DevnetSender {
        DevnetSender { devnet: self.clone(), requests: AtomicUsize::new(0) }
    }

    /// The Solana SDK's client over [`sender`](Self::sender).
    #[must_use]
    pub fn client(&self) -> Arc<RpcClient> {
        Arc::new(RpcClient::new_sender(self.sender(), RpcClientConfig::default()))
    }
}

#[async_trait]
impl RpcSender for DevnetSender {
    async fn send(&self, request: RpcRequest, params: Value) -> Result<Value> {
        self.requests.fetch_add(1, Relaxed);
        self.devnet.watch().count_round_trip();
        match answer(&self.devnet, &request.to_string(), &params).await {
            Ok(reply) => reply.map_err(|failure| RpcError::from(failure).into()),
            Err(Broken::Connection) => Err(Error::from(io::Error::other("connection closed by a planned fault"))),
            Err(Broken::Status(status)) => {
                Err(RpcError::RpcRequestError(format!("HTTP status {status}: planned fault")).into())
            }
        }
    }

    fn get_transport_stats(&self) -> RpcTransportStats {
        RpcTransportStats { request_count: self.requests.load(Relaxed), ..RpcTransportStats::default() }
    }

    fn url(&self) -> String {
        "in this process".to_owned()
    }
}

/// As the SDK's own transport reads them.
impl From<RpcFailure> for RpcError {
    fn from(RpcFailure { code, message, data }: RpcFailure) -> Self {
        let data = data.filter(|_| code == -32002).and_then(|data| serde_json::from_value(data).ok());
        let data = data.map_or(RpcResponseErrorData::Empty, RpcResponseErrorData::SendTransactionPreflightFailure);
        Self::RpcResponseError { code, message, data }
    }
}
