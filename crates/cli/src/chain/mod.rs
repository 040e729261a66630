//! The embedded chains. Another chain is another file here and a line in [`start_all`].

#[cfg(feature = "evm")]
mod evm;
#[cfg(feature = "solana")]
mod solana;

use async_trait::async_trait;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tollway::core::Signer;
use tollway::{Amount, NetworkId};

/// Who is who on a chain, and what is paid in.
pub(crate) struct Facts {
    pub(crate) network: NetworkId,
    /// Address of the token that is paid in.
    pub(crate) asset: String,
    pub(crate) symbol: &'static str,
    pub(crate) decimals: u8,
    pub(crate) payer: String,
    pub(crate) payee: String,
    pub(crate) rpc: String,
    /// The payer's key, for trying by hand. Everybody knows it: it is a published development key.
    pub(crate) payer_key: String,
    /// The environment in which the example client pays on this chain.
    pub(crate) client_settings: String,
    /// The facilitator's key, as public.
    pub(crate) facilitator_key: String,
    /// Everybody there is, with their keys, as public.
    pub(crate) accounts: Vec<Account>,
    /// Every token there is: ticker and address.
    pub(crate) tokens: BTreeMap<&'static str, String>,
}

/// A development account. Everybody knows its key.
#[derive(Clone, serde::Serialize)]
pub(crate) struct Account {
    pub(crate) name: &'static str,
    pub(crate) address: String,
    /// As wallets export it.
    pub(crate) key: String,
}

/// One embedded chain with its people.
#[async_trait]
pub(crate) trait DemoChain: Send + Sync {
    fn facts(&self) -> &Facts;

    /// What an account has, read from the chain in atomic units.
    fn balance(&self, account: &str) -> Result<Amount, String>;

    fn payer(&self) -> Result<Arc<dyn Signer>, String>;

    fn facilitator(&self) -> Result<Arc<dyn Signer>, String>;

    async fn stop(self: Box<Self>);
}

/// Every chain this program was built with, on ports from `port` upwards (0: any).
pub(crate) async fn start_all(port: u16, block_time: Duration) -> Result<Vec<Box<dyn DemoChain>>, String> {
    let mut ports = (port..).take(if port == 0 { 0 } else { 8 });
    let mut next = || ports.next().unwrap_or(0);
    let mut chains: Vec<Box<dyn DemoChain>> = Vec::new();
    #[cfg(feature = "evm")]
    chains.push(Box::new(evm::Evm::start(next(), block_time).await?));
    #[cfg(feature = "solana")]
    chains.push(Box::new(solana::Solana::start(next(), block_time).await?));
    let _ = (&mut next, block_time);
    match chains.is_empty() {
        true => Err("this program was built without a chain; build it with `--features evm`".to_owned()),
        false => Ok(chains),
    }
}
