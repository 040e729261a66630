//! The embedded Solana.

use super::{Account, DemoChain, Facts};
use async_trait::async_trait;
use std::sync::Arc;
use std::time::Duration;
use tollway::Amount;
use tollway::core::Signer;
use tollway::solana::LocalKey;
use tollway_devnet::solana::accounts::{self, DevAccount};
use tollway_devnet::solana::{Devnet, DevnetServer, PYUSD, Slots, USDC};

/// Longest slot of the demo: Solana's own.
const SLOT: Duration = Duration::from_millis(400);

pub(super) struct Solana {
    facts: Facts,
    devnet: Devnet,
    server: DevnetServer,
}

impl Solana {
    pub(super) async fn start(port: u16, block_time: Duration) -> Result<Self, String> {
        let slots = if block_time.is_zero() { Slots::PerTransaction } else { Slots::Every(block_time.min(SLOT)) };
        let devnet = Devnet::builder().slots(slots).build().map_err(|why| why.to_string())?;
        let server = devnet.serve(("127.0.0.1", port)).await.map_err(|why| why.to_string())?;
        let facts = Facts {
            network: devnet.network_id().parse().map_err(|why| format!("{why}"))?,
            asset: USDC.to_string(),
            symbol: "USDC",
            decimals: 6,
            payer: accounts::CLIENT.address.to_string(),
            payee: accounts::PAY_TO.address.to_string(),
            rpc: server.url(),
            client_settings: format!("SOLANA_KEY={} SOLANA_RPC={}", accounts::CLIENT.seed_hex(), server.url()),
            payer_key: accounts::CLIENT.seed_hex().to_owned(),
            facilitator_key: accounts::FACILITATOR.seed_hex().to_owned(),
            accounts: accounts::ACCOUNTS.iter().map(public).collect(),
            tokens: [("USDC", USDC), ("PYUSD", PYUSD)].map(|(symbol, mint)| (symbol, mint.to_string())).into(),
        };
        Ok(Self { facts, devnet, server })
    }
}

#[async_trait]
impl DemoChain for Solana {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn balance(&self, account: &str) -> Result<Amount, String> {
        let owner = account.parse().map_err(|why| format!("`{account}`: {why}"))?;
        Ok(Amount::from(self.devnet.token_balance(owner, USDC).unwrap_or_default()))
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
    let (address, key) = (account.address.to_string(), account.keypair().to_base58_string());
    Account { name: account.name, address, key }
}

fn key(account: &DevAccount) -> Result<Arc<dyn Signer>, String> {
    Ok(Arc::new(LocalKey::from_text(account.seed_hex())?))
}
