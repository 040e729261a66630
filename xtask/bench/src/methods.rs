//! A signed payment of every kind that a facilitator verifies.

use crate::payments::{NETWORK, offer, required, sign};
use alloy::primitives::{Address, B256, U256, hex};
use alloy::sol_types::SolCall as _;
use serde_json::json;
use std::sync::Arc;
use tollway::core::{
    Amount, ClientExtension, Declaring, Object, PaymentPayload, PaymentRequirements, ResourceInfo, ServerExtension,
};
use tollway::evm::{Eip2612Client, Eip2612Server, Erc20ApprovalClient, Erc20ApprovalServer, Evm, LocalKey};
use tollway_devnet::accounts::{CLIENT, DevAccount, FACILITATOR, FRESH_2612, FRESH_ERC20, STRANGER};
use tollway_devnet::contracts::Wallet1271Factory;
use tollway_devnet::contracts::addresses::{PLAIN, USDC, WALLET_1271, WALLET_1271_FACTORY};
use tollway_devnet::{Devnet, Transfer, accounts, wrapped};

/// How a payment is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    Eip3009,
    Permit2,
    Permit2Eip2612,
    Permit2Erc20,
    Upto,
    /// A contract wallet, by EIP-3009.
    Wallet1271,
    /// A contract wallet that does not exist yet, by EIP-3009.
    Wallet6492,
}

/// A method under its name on the command line.
pub(crate) type Named = (&'static str, Method);

/// All of them.
pub(crate) const METHODS: [Named; 7] = [
    ("eip3009", Method::Eip3009),
    ("permit2", Method::Permit2),
    ("permit2-eip2612", Method::Permit2Eip2612),
    ("permit2-erc20", Method::Permit2Erc20),
    ("upto", Method::Upto),
    ("1271", Method::Wallet1271),
    ("6492", Method::Wallet6492),
];

fn text(why: impl ToString) -> String {
    why.to_string()
}

impl Method {
    /// Signs `count` payments, each with a nonce of its own, that this chain takes.
    pub(crate) async fn sign(self, devnet: &Devnet, count: usize) -> Result<Vec<PaymentPayload>, String> {
        match self {
            Self::Eip3009 | Self::Permit2 | Self::Upto => sign(&CLIENT, &self.offer()?, count).await,
            Self::Permit2Eip2612 => self.sponsored(devnet, &FRESH_2612, count).await,
            Self::Permit2Erc20 => self.sponsored(devnet, &FRESH_ERC20, count).await,
            Self::Wallet1271 => (0..count).map(|number| by_wallet(WALLET_1271, number, None)).collect(),
            Self::Wallet6492 => absent(devnet, count).await,
        }
    }

    fn offer(self) -> Result<PaymentRequirements, String> {
        let permit2 = |offer: PaymentRequirements| offer.with_extra("assetTransferMethod", "permit2");
        Ok(match self {
            Self::Permit2 | Self::Permit2Eip2612 => permit2(offer()?),
            Self::Permit2Erc20 => {
                let payee = accounts::PAY_TO.address.to_checksum(None);
                let network = NETWORK.parse().map_err(text)?;
                let asset = PLAIN.to_checksum(None);
                permit2(PaymentRequirements::new("exact", network, Amount::from(1000), asset, payee))
            }
            Self::Upto => {
                let mut offer =
                    permit2(offer()?).with_extra("facilitatorAddress", FACILITATOR.address.to_checksum(None));
                "upto".clone_into(&mut offer.scheme);
                offer
            }
            _ => offer()?,
        })
    }

    /// Payments with the allowance for Permit2 within them.
    async fn sponsored(
        self,
        devnet: &Devnet,
        account: &DevAccount,
        count: usize,
    ) -> Result<Vec<PaymentPayload>, String> {
        let offer = self.offer()?;
        let network = Evm::builder(NETWORK.parse().map_err(text)?).provider(devnet.provider()).build()?;
        let (network, key) = (Arc::new(network), Arc::new(local(account)?));
        let approvals = self == Self::Permit2Erc20;
        let server: &dyn ServerExtension =
            if approvals { &Erc20ApprovalServer::default() } else { &Eip2612Server::default() };
        let client: Box<dyn ClientExtension> = match approvals {
            true => Box::new(Erc20ApprovalClient::new().payer(network, key)?),
            false => Box::new(Eip2612Client::new().payer(network, key)?),
        };
        let (resource, accepts, route) = (ResourceInfo::new("http://127.0.0.1/report"), [offer.clone()], json!({}));
        let declared = server.declare(&Declaring::new(&resource, &accepts, &route, "GET /report"));
        let mut challenge = required(&offer);
        challenge.extensions =
            Some(Object::from_iter([(server.key().to_owned(), declared.ok_or("nothing is declared")?)]));
        let mut payments = sign(account, &offer, count).await?;
        for payment in &mut payments {
            payment.extensions.clone_from(&challenge.extensions);
            client.enrich(&challenge, payment).await.map_err(text)?;
        }
        Ok(payments)
    }
}

fn local(account: &DevAccount) -> Result<LocalKey, String> {
    LocalKey::from_hex(&account.private_key().to_string())
}

/// A payment of a wallet of `stranger`, wrapped by whatever is to be done first.
fn by_wallet(wallet: Address, number: usize, made_by: Option<&[u8]>) -> Result<PaymentPayload, String> {
    let offer = offer()?;
    let transfer = Transfer {
        from: wallet,
        to: accounts::PAY_TO.address,
        value: U256::from(1000),
        valid_after: U256::ZERO,
        valid_before: U256::from(u32::MAX),
        nonce: B256::from(U256::from(number)),
    };
    let signature = STRANGER.sign(&transfer.digest(84532, USDC, "USDC", "2")).to_vec();
    let signature = match made_by {
        None => signature,
        Some(call) => wrapped(WALLET_1271_FACTORY, call, &signature),
    };
    let payload = json!({
        "authorization": {
            "from": wallet,
            "to": transfer.to,
            "value": "1000",
            "validAfter": "0",
            "validBefore": transfer.valid_before.to_string(),
            "nonce": transfer.nonce,
        },
        "signature": hex::encode_prefixed(signature),
    });
    Ok(PaymentPayload::new(offer, payload))
}

/// Payments of a wallet that does not exist yet and has money.
async fn absent(devnet: &Devnet, count: usize) -> Result<Vec<PaymentPayload>, String> {
    let (owner, salt) = (STRANGER.address, B256::repeat_byte(1));
    let factory = Wallet1271Factory::new(WALLET_1271_FACTORY, devnet.provider());
    let wallet = factory.addressOf(owner, salt).call().await.map_err(text)?;
    devnet.set_token_balance(USDC, wallet, U256::from(1_000_000));
    let create = Wallet1271Factory::createCall { owner, salt }.abi_encode();
    (0..count).map(|number| by_wallet(wallet, number, Some(&create))).collect()
}
