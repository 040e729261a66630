//! The embedded chain of the demo, and who is who on it.

use std::sync::Arc;
use std::time::Duration;
use tollway::core::{Asset, Signer};
use tollway::evm::LocalKey;
use tollway::{Amount, NetworkId};
use tollway_devnet::accounts::{self, DevAccount};
use tollway_devnet::{Devnet, DevnetServer, Mining, contracts};

/// The Base Sepolia test network: its id is what the embedded chain answers to.
const NETWORK: &str = "eip155:84532";

/// One embedded chain with its people.
pub(super) struct DemoChain {
    pub(super) network: NetworkId,
    /// Address of the token that is paid in.
    pub(super) asset: String,
    pub(super) known: Asset,
    pub(super) payer: String,
    pub(super) payee: String,
    pub(super) rpc: String,
    devnet: Devnet,
    server: DevnetServer,
}

impl DemoChain {
    pub(super) async fn start(port: u16, block_time_ms: u64) -> Result<Self, String> {
        let mining = match block_time_ms {
            0 => Mining::Auto,
            ms => Mining::Interval(Duration::from_millis(ms)),
        };
        let devnet = Devnet::builder().mining(mining).build().map_err(|why| why.to_string())?;
        let server = devnet.serve(("127.0.0.1", port)).await.map_err(|why| why.to_string())?;
        let asset = contracts::addresses::USDC.to_checksum(None);
        Ok(Self {
            network: NETWORK.parse().map_err(|why| format!("{why}"))?,
            known: Asset::new(&asset, "USDC", 6),
            asset,
            payer: accounts::CLIENT.address.to_checksum(None),
            payee: accounts::PAY_TO.address.to_checksum(None),
            rpc: server.url(),
            devnet,
            server,
        })
    }

    /// What an account has, read from the chain in atomic units.
    pub(super) fn balance(&self, account: &str) -> Result<Amount, String> {
        let holder = account.parse().map_err(|why| format!("`{account}`: {why}"))?;
        let balance = self.devnet.balance_of(contracts::addresses::USDC, holder).map_err(|why| why.to_string())?;
        Ok(Amount::from_be_bytes(balance.to_be_bytes()))
    }

    pub(super) fn payer_key(&self) -> Result<Arc<dyn Signer>, String> {
        key(&accounts::CLIENT)
    }

    pub(super) fn facilitator_key(&self) -> Result<Arc<dyn Signer>, String> {
        key(&accounts::FACILITATOR)
    }

    /// The payer's key in hex, for trying by hand. Everybody knows it: it is a published development key.
    pub(super) fn payer_key_text(&self) -> String {
        accounts::CLIENT.private_key().to_string()
    }

    pub(super) async fn stop(self) {
        self.server.shutdown().await;
    }
}

fn key(account: &DevAccount) -> Result<Arc<dyn Signer>, String> {
    Ok(Arc::new(LocalKey::from_hex(&account.private_key().to_string())?))
}
