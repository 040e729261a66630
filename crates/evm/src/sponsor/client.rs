//! The paying side: reads what the chain knows of the payer's allowance and adds what Permit2 needs.
//!
//! An extension is made without network or keys, so it has a section of its own that names both. Without one it adds
//! nothing, and a payment that lacks the allowance is refused as `permit2_allowance_required`.

use super::permit::digest;
use super::{EIP2612, ERC20, approval::approveCall};
use crate::config::RpcUrl;
use crate::exact::Extra;
use crate::permit2::{METHOD, PERMIT2, Permit2Authorization};
use crate::rpc::{Call, missing, read};
use crate::signer::sign_digest;
use crate::{Evm, LocalKey};
use alloy::consensus::{SignableTransaction as _, TxEip1559};
use alloy::eips::eip2718::Encodable2718 as _;
use alloy::primitives::{Address, Bytes, Signature, TxKind, U64, U256};
use alloy::sol_types::SolCall as _;
use async_trait::async_trait;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use tollway_core::{
    Build, BuildContext, ClientExtension, Network as _, NetworkId, PaymentPayload, PaymentRequired, Result, SecretRef,
    Signer,
};

alloy::sol! {
    function allowance(address owner, address spender) external view returns (uint256);
    function nonces(address owner) external view returns (uint256);
}

/// Gas of an approval, as the reference implementation's client gives it.
const APPROVE_GAS: u64 = 70_000;
/// Wei per gas where the node tells no fees, and of that for the block's builder.
const FALLBACK_FEE: (u128, u128) = (1_000_000_000, 100_000_000);

/// The section of both extensions.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
#[non_exhaustive]
pub struct SponsorConfig {
    /// Network → who pays there, and the node that knows its allowance. Empty: nothing is ever added.
    pub networks: BTreeMap<NetworkId, PayerConfig>,
}

/// A payer on one network.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[non_exhaustive]
pub struct PayerConfig {
    /// URL of a node, or `env:NAME` or `file:PATH` where the URL holds a key.
    pub rpc: RpcUrl,
    /// Where the private key is: the key that signs payments there.
    pub key: SecretRef,
}

/// A payer that can be asked for more signatures.
#[derive(Clone)]
struct Payer {
    network: Arc<Evm>,
    signer: Arc<dyn Signer>,
    address: Address,
}

/// Payers by network.
#[derive(Clone, Default)]
struct Payers(Vec<Payer>);

impl fmt::Debug for Payers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|payer| (payer.network.id(), payer.address))).finish()
    }
}

impl Payers {
    fn add(&mut self, network: Arc<Evm>, signer: Arc<dyn Signer>) -> Result<(), String> {
        let address = crate::address::parse_address(signer.address())
            .ok_or_else(|| format!("the signer's address `{}` is no EVM address", signer.address()))?;
        network.chain().map_err(|fault| fault.to_string())?;
        self.0.push(Payer { network, signer, address });
        Ok(())
    }

    async fn build(config: SponsorConfig, cx: &BuildContext) -> Result<Self, String> {
        let mut payers = Self::default();
        for (id, payer) in config.networks {
            let url = payer.rpc.resolve(&*cx.secrets)?;
            let network = Evm::builder(id).clock(cx.clock.clone()).rpc(&url)?.build()?;
            let secret = cx.secrets.resolve(&payer.key)?;
            let key = LocalKey::from_hex(secret.expose()).map_err(|why| format!("{:?}: {why}", payer.key))?;
            payers.add(Arc::new(network), Arc::new(key))?;
        }
        Ok(payers)
    }

    /// The payer of a payment by Permit2, what it permits, and what its offer's `extra` says; `None` where this is no
    /// such payment or nobody here can sign for it.
    fn of(&self, payment: &PaymentPayload) -> Option<(&Payer, Permitting)> {
        let offer = &payment.accepted;
        let extra = Extra::deserialize(Value::Object(offer.extra.clone()?)).ok()?;
        (extra.asset_transfer_method.as_deref() == Some(METHOD)).then_some(())?;
        // A permit of `upto` has one more member in its witness, which does not matter here.
        let permit = Permit2Authorization::deserialize(payment.payload.get("permit2Authorization")?).ok()?.permit();
        let payer =
            self.0.iter().find(|payer| *payer.network.id() == offer.network && payer.address == permit.owner)?;
        Some((payer, Permitting { asset: permit.token, amount: permit.amount, deadline: permit.deadline, extra }))
    }
}

/// What a payment permits.
struct Permitting {
    asset: Address,
    amount: U256,
    deadline: U256,
    extra: Extra,
}

fn declares(required: &PaymentRequired, key: &str) -> bool {
    required.extensions.as_ref().is_some_and(|extensions| extensions.contains_key(key))
}

/// Adds members to an extension's echoed `info`.
fn add(required: &PaymentRequired, payment: &mut PaymentPayload, key: &str, members: Value) {
    let declared = required.extensions.as_ref().and_then(|extensions| extensions.get(key)).cloned();
    let extensions = payment.extensions.get_or_insert_default();
    let entry = extensions.entry(key.to_owned()).or_insert_with(|| declared.unwrap_or_else(|| json!({})));
    let info = entry.as_object_mut().map(|entry| entry.entry("info").or_insert_with(|| json!({})));
    if let (Some(Value::Object(info)), Value::Object(members)) = (info, members) {
        for (member, value) in members {
            // What the server wrote stays: it must come back as it was.
            info.entry(member).or_insert(value);
        }
    }
}

/// A view of the token at the newest block.
fn view(asset: Address, data: Vec<u8>) -> Call {
    Call::new("eth_call", &(json!({ "to": asset, "data": Bytes::from(data) }), "latest"))
}

fn word(bytes: &Bytes) -> U256 {
    U256::try_from_be_slice(bytes.get(..32).unwrap_or_default()).unwrap_or_default()
}

impl Payer {
    /// Permit2's allowance, and the answer to one more call, in one round trip.
    async fn asked(&self, asset: Address, more: Call) -> Result<(U256, Box<serde_json::value::RawValue>)> {
        let chain = self.network.chain()?;
        let spends = allowanceCall { owner: self.address, spender: PERMIT2 }.abi_encode();
        let asked = async {
            let mut answers = chain.rpc.batch(&[view(asset, spends), more]).await?.into_iter();
            let mut next = || answers.next().unwrap_or_else(|| Err(missing()));
            Ok((word(&read(&next()?)?), next()?))
        };
        Ok(asked.await.map_err(|error| chain.rpc.fault("asking for an allowance", error))?)
    }
}

/// The client's side of `eip2612GasSponsoring`: signs an EIP-2612 permit of exactly the amount where Permit2 has no
/// allowance. One round trip to the configured node.
#[derive(Debug, Clone, Default)]
pub struct Eip2612Client {
    payers: Payers,
}

impl Eip2612Client {
    /// An extension that signs for nobody yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets a key sign on a network that has a node.
    ///
    /// # Errors
    /// The network has no node, or the key is no EVM key.
    pub fn payer(mut self, network: Arc<Evm>, signer: Arc<dyn Signer>) -> Result<Self, String> {
        self.payers.add(network, signer)?;
        Ok(self)
    }
}

#[async_trait]
impl ClientExtension for Eip2612Client {
    fn key(&self) -> &'static str {
        EIP2612
    }

    async fn enrich(&self, required: &PaymentRequired, payment: &mut PaymentPayload) -> Result<()> {
        let Some((payer, permitting)) = self.payers.of(payment).filter(|_| declares(required, EIP2612)) else {
            return Ok(());
        };
        let Permitting { asset, amount, deadline, extra } = permitting;
        let Some((name, version)) = extra.domain() else { return Ok(()) };
        let more = view(asset, noncesCall { owner: payer.address }.abi_encode());
        let (allowance, answer) = payer.asked(asset, more).await?;
        if allowance >= amount {
            return Ok(());
        }
        let nonce = read::<Bytes>(&answer).map(|bytes| word(&bytes)).unwrap_or_default();
        let separator = payer.network.domains().separator(asset, name, version);
        let signed = digest(separator, payer.address, amount, nonce, deadline);
        let signature = sign_digest(&*payer.signer, payer.address, &signed).await?;
        let members = json!({
            "from": payer.address.to_checksum(None),
            "asset": asset.to_checksum(None),
            "spender": PERMIT2.to_checksum(None),
            "amount": amount.to_string(),
            "nonce": nonce.to_string(),
            "deadline": deadline.to_string(),
            "signature": alloy::hex::encode_prefixed(signature.to_bytes()),
            "version": "1",
        });
        add(required, payment, EIP2612, members);
        Ok(())
    }
}

/// The client's side of `erc20ApprovalGasSponsoring`: signs an `approve` transaction where Permit2 has no allowance and
/// no EIP-2612 permit can give it. The payer pays for its gas.
#[derive(Debug, Clone, Default)]
pub struct Erc20ApprovalClient {
    payers: Payers,
}

impl Erc20ApprovalClient {
    /// An extension that signs for nobody yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets a key sign on a network that has a node.
    ///
    /// # Errors
    /// The network has no node, or the key is no EVM key.
    pub fn payer(mut self, network: Arc<Evm>, signer: Arc<dyn Signer>) -> Result<Self, String> {
        self.payers.add(network, signer)?;
        Ok(self)
    }
}

#[async_trait]
impl ClientExtension for Erc20ApprovalClient {
    fn key(&self) -> &'static str {
        ERC20
    }

    async fn enrich(&self, required: &PaymentRequired, payment: &mut PaymentPayload) -> Result<()> {
        let Some((payer, permitting)) = self.payers.of(payment).filter(|_| declares(required, ERC20)) else {
            return Ok(());
        };
        let Permitting { asset, amount, extra, .. } = permitting;
        if declares(required, EIP2612) && extra.domain().is_some() {
            return Ok(());
        }
        let chain = payer.network.chain()?;
        let count = Call::new("eth_getTransactionCount", &(payer.address, "pending"));
        let (answers, quote) =
            tokio::join!(payer.asked(asset, count), chain.fees.quote(&chain.rpc, chain.blocks.block_time()));
        let (allowance, answer) = answers?;
        if allowance >= amount {
            return Ok(());
        }
        let nonce = read::<U64>(&answer).map_err(|error| chain.rpc.fault("asking for the payer's nonce", error))?;
        let (max_fee, tip) = quote.map_or(FALLBACK_FEE, |quote| (quote.max_fee, quote.tip));
        let transaction = TxEip1559 {
            chain_id: payer.network.chain_id(),
            nonce: nonce.to(),
            gas_limit: APPROVE_GAS,
            max_fee_per_gas: max_fee,
            max_priority_fee_per_gas: tip,
            to: TxKind::Call(asset),
            value: U256::ZERO,
            access_list: Default::default(),
            input: approveCall { spender: PERMIT2, amount: U256::MAX }.abi_encode().into(),
        };
        let signature = sign_digest(&*payer.signer, payer.address, &transaction.signature_hash()).await?;
        let signature = Signature::from_scalars_and_parity(signature.r(), signature.s(), signature.v() == 28);
        let members = json!({
            "from": payer.address.to_checksum(None),
            "asset": asset.to_checksum(None),
            "spender": PERMIT2.to_checksum(None),
            "amount": U256::MAX.to_string(),
            "signedTransaction": alloy::hex::encode_prefixed(transaction.into_signed(signature).encoded_2718()),
            "version": "1",
        });
        add(required, payment, ERC20, members);
        Ok(())
    }
}

const EXAMPLE: &str =
    r#"{ "networks": { "eip155:84532": { "rpc": "https://sepolia.base.org", "key": "env:EVM_KEY" } } }"#;

impl Build for Eip2612Client {
    type Config = SponsorConfig;
    const EXAMPLE: &'static str = EXAMPLE;

    async fn build(config: SponsorConfig, cx: BuildContext) -> Result<Self, String> {
        Ok(Self { payers: Payers::build(config, &cx).await? })
    }
}

impl Build for Erc20ApprovalClient {
    type Config = SponsorConfig;
    const EXAMPLE: &'static str = EXAMPLE;

    async fn build(config: SponsorConfig, cx: BuildContext) -> Result<Self, String> {
        Ok(Self { payers: Payers::build(config, &cx).await? })
    }
}
