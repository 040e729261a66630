//! The embedded EVM.

use super::{Account, DemoChain, Facts};
use async_trait::async_trait;
use std::sync::Arc;
use std::time::Duration;
use tollway::Amount;
use tollway::core::Signer;
use tollway::evm::LocalKey;
use tollway_devnet::accounts::{self, DevAccount};
use tollway_devnet::{Devnet, DevnetServer, Mining, contracts};

/// The Base Sepolia test network: its id is what the embedded chain answers to.
const NETWORK: &str = "eip155:84532";

pub(super) struct Evm {
    facts: Facts,
    devnet: Devnet,
    server: DevnetServer,
}

impl Evm {
    pub(super) async fn start(port: u16, block_time: Duration) -> Result<Self, String> {
        let mining = if block_time.is_zero() { Mining::Auto } else { Mining::Interval(block_time) };
        let devnet = Devnet::builder().mining(mining).build().map_err(|why| why.to_string())?;
        let server = devnet.serve(("127.0.0.1", port)).await.map_err(|why| why.to_string())?;
        let facts = Facts {
            network: NETWORK.parse().map_err(|why| format!("{why}"))?,
            asset: contracts::addresses::USDC.to_checksum(None),
            symbol: "USDC",
            decimals: 6,
            payer: accounts::CLIENT.address.to_checksum(None),
            payee: accounts::PAY_TO.address.to_checksum(None),
            rpc: server.url(),
            client_settings: format!("PAYER_KEY={}", accounts::CLIENT.private_key()),
            payer_key: accounts::CLIENT.private_key().to_string(),
            facilitator_key: accounts::FACILITATOR.private_key().to_string(),
            accounts: accounts::ACCOUNTS.iter().map(public).collect(),
            tokens: [("USDC", contracts::addresses::USDC), ("PLAIN", contracts::addresses::PLAIN)]
                .map(|(symbol, address)| (symbol, address.to_checksum(None)))
                .into(),
        };
        Ok(Self { facts, devnet, server })
    }
}

#[async_trait]
impl DemoChain for Evm {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn balance(&self, account: &str) -> Result<Amount, String> {
        let holder = account.parse().map_err(|why| format!("`{account}`: {why}"))?;
        let balance = self.devnet.balance_of(contracts::addresses::USDC, holder).map_err(|why| why.to_string())?;
        Ok(Amount::from_be_bytes(balance.to_be_bytes()))
    }

    fn payer(&self) -> Result<Arc<dyn Signer>, String> {
        key(&accounts::CLIENT)
    }

    fn facilitator(&self) -> Result<Arc<dyn Signer>, String> {
        key(&accounts::FACILITATOR)
    }

    async fn stop(self: Box<Self>) {
        self.server.shutdown().await;
    }
}

fn public(account: &DevAccount) -> Account {
    let (address, key) = (account.address.to_checksum(None), account.private_key().to_string());
    Account { name: account.name, address, key }
}

fn key(account: &DevAccount) -> Result<Arc<dyn Signer>, String> {
    Ok(Arc::new(LocalKey::from_hex(&account.private_key().to_string())?))
}
