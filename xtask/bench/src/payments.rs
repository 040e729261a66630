//! Signed payments to measure with.

use serde_json::json;
use std::sync::Arc;
use tollway::core::{Amount, PaymentPayload, PaymentRequired, PaymentRequirements, ResourceInfo};
use tollway::evm::LocalKey;
use tollway::{NetworkId, PaymentClient};
use tollway_devnet::accounts::DevAccount;
use tollway_devnet::{accounts, contracts};

pub(crate) const NETWORK: &str = "eip155:84532";

/// The offer that is paid again and again: a thousandth of a dollar.
pub(crate) fn offer() -> Result<PaymentRequirements, String> {
    let network: NetworkId = NETWORK.parse().map_err(|why| format!("{why}"))?;
    let asset = contracts::addresses::USDC.to_checksum(None);
    let payee = accounts::PAY_TO.address.to_checksum(None);
    Ok(PaymentRequirements::new("exact", network, Amount::from(1000), asset, payee)
        .with_extra("name", "USDC")
        .with_extra("version", "2"))
}

/// A challenge with this offer.
pub(crate) fn required(offer: &PaymentRequirements) -> PaymentRequired {
    PaymentRequired::new("Payment required", ResourceInfo::new("http://127.0.0.1/report"), vec![offer.clone()])
}

/// Signs payments of an offer.
pub(crate) struct Payer {
    client: PaymentClient,
    required: PaymentRequired,
}

impl Payer {
    pub(crate) async fn new(account: &DevAccount, offer: &PaymentRequirements) -> Result<Self, String> {
        let key = LocalKey::from_hex(&account.private_key().to_string())?;
        let client = PaymentClient::builder().signer(NETWORK, Arc::new(key)).without_spend_limit().build().await;
        Ok(Self::with(client.map_err(|why| why.to_string())?, offer))
    }

    /// A client with its own wallet.
    pub(crate) fn with(client: PaymentClient, offer: &PaymentRequirements) -> Self {
        Self { client, required: required(offer) }
    }

    /// One, with a nonce of its own.
    pub(crate) async fn sign(&self) -> Result<PaymentPayload, String> {
        self.client.pay(&self.required, "http://127.0.0.1").await.map_err(|why| why.to_string())
    }

    /// So many of them, no two alike.
    pub(crate) async fn sign_many(&self, count: usize) -> Result<Vec<PaymentPayload>, String> {
        let mut payments = Vec::with_capacity(count);
        for _ in 0..count {
            payments.push(self.sign().await?);
        }
        Ok(payments)
    }
}

/// Signs `count` payments of an offer.
pub(crate) async fn sign(
    account: &DevAccount,
    offer: &PaymentRequirements,
    count: usize,
) -> Result<Vec<PaymentPayload>, String> {
    Payer::new(account, offer).await?.sign_many(count).await
}

/// The body of `/verify` and `/settle`.
pub(crate) fn envelope(payment: &PaymentPayload) -> String {
    json!({ "x402Version": 2, "paymentPayload": payment, "paymentRequirements": payment.accepted }).to_string()
}
