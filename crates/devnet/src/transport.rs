//! The way in without a network: an alloy transport.

use std::task::{Context, Poll};
use std::time::Duration;

use alloy::network::EthereumWallet;
use alloy::providers::{DynProvider, Provider as _, ProviderBuilder, RootProvider};
use alloy::rpc::client::RpcClient;
use alloy::rpc::json_rpc::{RequestPacket, ResponsePacket, SerializedRequest};
use alloy::transports::{TransportError, TransportErrorKind, TransportFut};
use tower::Service;

use crate::accounts::DevAccount;
use crate::devnet::Devnet;
use crate::rpc::serve::{Broken, Question, answer};

/// How often clients in the process look for new blocks.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// Carries requests to a devnet in this process, and its faults back: a broken connection is a custom transport
/// error, an HTTP status an HTTP error.
#[derive(Clone, Debug)]
pub struct DevnetTransport {
    devnet: Devnet,
}

impl Devnet {
    /// An alloy transport to this chain.
    #[must_use]
    pub fn transport(&self) -> DevnetTransport {
        DevnetTransport { devnet: self.clone() }
    }

    /// An alloy RPC client over [`transport`](Self::transport).
    #[must_use]
    pub fn rpc_client(&self) -> RpcClient {
        RpcClient::new(self.transport(), true).with_poll_interval(POLL_INTERVAL)
    }

    /// An alloy provider that adds nothing to what it is given: it reads, and it sends signed transactions.
    #[must_use]
    pub fn provider(&self) -> DynProvider {
        RootProvider::new(self.rpc_client()).erased()
    }

    /// An alloy provider that fills in nonce, gas and fees, and signs with an account's key.
    #[must_use]
    pub fn provider_of(&self, account: &DevAccount) -> DynProvider {
        ProviderBuilder::new().wallet(EthereumWallet::from(account.signer())).connect_client(self.rpc_client()).erased()
    }
}

impl Service<RequestPacket> for DevnetTransport {
    type Response = ResponsePacket;
    type Error = TransportError;
    type Future = TransportFut<'static>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, packet: RequestPacket) -> Self::Future {
        let devnet = self.devnet.clone();
        Box::pin(async move {
            devnet.watch().count_round_trip();
            let one = async |request: SerializedRequest| {
                let question = Question { id: request.id(), method: request.method(), params: request.params() };
                answer(&devnet, question).await.map_err(transport_error)
            };
            Ok(match packet {
                RequestPacket::Single(request) => ResponsePacket::Single(one(request).await?),
                RequestPacket::Batch(requests) => {
                    let mut answers = Vec::with_capacity(requests.len());
                    for request in requests {
                        answers.push(one(request).await?);
                    }
                    ResponsePacket::Batch(answers)
                }
            })
        })
    }
}

fn transport_error(broken: Broken) -> TransportError {
    match broken {
        Broken::Connection => TransportErrorKind::custom_str("connection closed by a planned fault"),
        Broken::Status(status) => TransportErrorKind::http_error(status, "planned fault".to_owned()),
    }
}
