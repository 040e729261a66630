//! What the integration tests share: keys everybody knows, golden flows, and transactions to be spoilt.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "each test program uses its own part")]

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};
use solana_keypair::Keypair;
use solana_keypair::Signer as _;
use solana_pubkey::Pubkey;
use solana_rpc_client::rpc_client::RpcClientConfig;
use solana_rpc_client::rpc_sender::{RpcSender, RpcTransportStats};
use solana_rpc_client_api::client_error::Result as ClientResult;
use solana_rpc_client_api::request::RpcRequest;
use std::sync::Arc;
use tollway_core::erased::FacilitatorDyn;
use tollway_core::{PaymentPayload, PaymentRequirements, Signer};
use tollway_solana::{ExactFacilitator, ExactFacilitatorConfig, LocalKey, RpcClient, Solana};

pub const DEVNET: &str = "solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1";
pub const TOKEN: Pubkey = Pubkey::from_str_const("TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA");
pub const TOKEN_2022: Pubkey = Pubkey::from_str_const("TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb");
pub const ASSOCIATED_TOKEN: Pubkey = Pubkey::from_str_const("ATokenGPvbdGVxr1b2hvZbsiqW5xWH25efTNsLJA8knL");
pub const COMPUTE_BUDGET: Pubkey = Pubkey::from_str_const("ComputeBudget111111111111111111111111111111");
pub const MEMO: Pubkey = Pubkey::from_str_const("MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr");
pub const LIGHTHOUSE: Pubkey = Pubkey::from_str_const("L2TExMFKdjpN9kozasaurPirfHy9P8sbXoAN1qA3S95");
pub const SYSTEM: Pubkey = Pubkey::new_from_array([0; 32]);
pub const USDC: Pubkey = Pubkey::from_str_const("4zMMC9srt5Ri5X14GAgXhaHii3GnPAEERYPJgZJDncDU");

/// A key everybody knows, by its seed.
#[derive(Clone, Copy)]
pub struct Key(pub &'static str);

pub const FACILITATOR: Key = Key("0fb4d5af8f14994adf2ee40ff085d378f37f25087ae8d3f23a12efc06519d6ea");
pub const CLIENT: Key = Key("f5ad2a9a826cebc50f7c12f81d9e02bfb0360ac1df7a1e73746e41943b19be18");
pub const PAY_TO: Key = Key("5491200c53b66087fb1e9ef14db2deeb0127a06a8353aa35a56cab9aa0065c32");
pub const POOR: Key = Key("83ab8f8039a21a11c8027b28cbb4c5b02d10b7b65738a1fb8d33e8a01dee9ad3");
pub const STRANGER: Key = Key("bccb58eaf70354ca03812c022ced8528596a7bb51a9e5a21fea3f90a8d4deb0a");

impl Key {
    pub fn keypair(self) -> Keypair {
        let byte = |at: usize| u8::from_str_radix(&self.0[2 * at..2 * at + 2], 16).unwrap();
        Keypair::new_from_array(std::array::from_fn(byte))
    }

    pub fn address(self) -> Pubkey {
        self.keypair().pubkey()
    }

    pub fn signer(self) -> Arc<dyn Signer> {
        Arc::new(LocalKey::from_text(self.0).unwrap())
    }
}

/// A wallet's own account for a token.
pub fn token_account(owner: Pubkey, mint: Pubkey, program: Pubkey) -> Pubkey {
    let seeds = [owner.as_ref(), program.as_ref(), mint.as_ref()];
    Pubkey::find_program_address(&seeds, &ASSOCIATED_TOKEN).0
}

/// The recorded requests of a flow: payment and offer.
pub fn golden(name: &str) -> (PaymentPayload, PaymentRequirements) {
    let flow = tollway_testkit::golden::flow(name);
    let body = &flow["facilitator"][0]["request"]["body"];
    let read = |member: &str| body[member].clone();
    (
        serde_json::from_value(read("paymentPayload")).unwrap(),
        serde_json::from_value(read("paymentRequirements")).unwrap(),
    )
}

pub fn golden_offer() -> PaymentRequirements {
    golden("exact-svm").1
}

#[derive(Clone)]
pub struct Instruction {
    pub program: Pubkey,
    pub accounts: Vec<Pubkey>,
    pub data: Vec<u8>,
}

pub fn limit(units: u32) -> Instruction {
    let data = [&[2], &units.to_le_bytes()[..]].concat();
    Instruction { program: COMPUTE_BUDGET, accounts: Vec::new(), data }
}

pub fn price(micro_lamports: u64) -> Instruction {
    let data = [&[3], &micro_lamports.to_le_bytes()[..]].concat();
    Instruction { program: COMPUTE_BUDGET, accounts: Vec::new(), data }
}

pub fn transfer(from: Pubkey, to: Pubkey, mint: Pubkey, program: Pubkey, amount: u64) -> Instruction {
    let (source, destination) = (token_account(from, mint, program), token_account(to, mint, program));
    let data = [&[12], &amount.to_le_bytes()[..], &[6]].concat();
    Instruction { program, accounts: vec![source, mint, destination, from], data }
}

pub fn memo(text: &str) -> Instruction {
    Instruction { program: MEMO, accounts: Vec::new(), data: text.as_bytes().to_vec() }
}

/// Lamports from one account to another.
pub fn system_transfer(from: Pubkey, to: Pubkey, lamports: u64) -> Instruction {
    let data = [&2u32.to_le_bytes()[..], &lamports.to_le_bytes()].concat();
    Instruction { program: SYSTEM, accounts: vec![from, to], data }
}

/// A transaction in parts.
#[derive(Clone)]
pub struct Draft {
    pub fee_payer: Pubkey,
    /// Who signs beside the fee payer.
    pub signers: Vec<Key>,
    pub instructions: Vec<Instruction>,
    pub blockhash: Pubkey,
    pub legacy: bool,
    /// Tables, with the indices that are loaded to write and to read.
    pub lookups: Vec<(Pubkey, Vec<u8>, Vec<u8>)>,
}

impl Draft {
    /// A good payment of the golden offer, by the client.
    pub fn good() -> Self {
        let offer = golden_offer();
        Self::paying(&offer, TOKEN, CLIENT)
    }

    /// A good payment of an offer.
    pub fn paying(offer: &PaymentRequirements, program: Pubkey, payer: Key) -> Self {
        let (mint, to) = (offer.asset.parse().unwrap(), offer.pay_to.parse().unwrap());
        let amount = offer.amount.to_u64().unwrap();
        Self {
            fee_payer: FACILITATOR.address(),
            signers: vec![payer],
            instructions: vec![
                limit(40_000),
                price(1),
                transfer(payer.address(), to, mint, program, amount),
                memo("unique"),
            ],
            blockhash: Pubkey::from([5; 32]),
            legacy: false,
            lookups: Vec::new(),
        }
    }

    /// The serialized transaction, all signed but the fee payer's place.
    pub fn bytes(&self) -> Vec<u8> {
        let mut keys = vec![self.fee_payer];
        let mut add = |key: Pubkey| {
            if !keys.contains(&key) {
                keys.push(key);
            }
        };
        self.signers.iter().for_each(|signer| add(signer.address()));
        let writable = self.instructions.iter().flat_map(|instruction| instruction.accounts.iter().copied());
        writable.for_each(&mut add);
        self.instructions.iter().for_each(|instruction| add(instruction.program));
        let at = |key: &Pubkey| keys.iter().position(|known| known == key).unwrap() as u8;

        let signatures = 1 + self.signers.len() as u8;
        let mut message = if self.legacy { Vec::new() } else { vec![0x80] };
        message.extend([signatures, 0, 0, keys.len() as u8]);
        keys.iter().for_each(|key| message.extend(key.as_ref()));
        message.extend(self.blockhash.as_ref());
        message.push(self.instructions.len() as u8);
        for instruction in &self.instructions {
            message.push(at(&instruction.program));
            message.push(instruction.accounts.len() as u8);
            message.extend(instruction.accounts.iter().map(at));
            compact(&mut message, instruction.data.len());
            message.extend(&instruction.data);
        }
        if !self.legacy {
            message.push(self.lookups.len() as u8);
            for (table, written, read) in &self.lookups {
                message.extend(table.as_ref());
                for indices in [written, read] {
                    message.push(indices.len() as u8);
                    message.extend(indices);
                }
            }
        }
        let mut bytes = vec![signatures];
        bytes.extend([0; 64]);
        self.signers.iter().for_each(|signer| bytes.extend(signer.keypair().sign_message(&message).as_ref()));
        bytes.extend(message);
        bytes
    }

    pub fn payment(&self, offer: &PaymentRequirements) -> PaymentPayload {
        payment_of(&self.bytes(), offer)
    }
}

fn compact(bytes: &mut Vec<u8>, length: usize) {
    match length {
        0..0x80 => bytes.push(length as u8),
        _ => bytes.extend([length as u8 & 0x7f | 0x80, (length >> 7) as u8]),
    }
}

/// A payment of these bytes.
pub fn payment_of(bytes: &[u8], offer: &PaymentRequirements) -> PaymentPayload {
    PaymentPayload::new(offer.clone(), json!({ "transaction": BASE64.encode(bytes) }))
}

/// A node that must not be asked.
pub struct Nobody;

#[async_trait]
impl RpcSender for Nobody {
    async fn send(&self, request: RpcRequest, _: Value) -> ClientResult<Value> {
        panic!("{request} was called, and nothing should be")
    }
    fn get_transport_stats(&self) -> RpcTransportStats {
        RpcTransportStats::default()
    }
    fn url(&self) -> String {
        String::new()
    }
}

pub fn client_of(sender: impl RpcSender + Send + Sync + 'static) -> Arc<RpcClient> {
    Arc::new(RpcClient::new_sender(sender, RpcClientConfig::default()))
}

/// A facilitator that does everything it can without a node.
pub fn offline(config: Value) -> ExactFacilitator {
    let network = Solana::builder(DEVNET.parse().unwrap()).rpc(client_of(Nobody)).build().unwrap();
    let config: ExactFacilitatorConfig = serde_json::from_value(config).unwrap();
    ExactFacilitator::with_config(Arc::new(network), vec![FACILITATOR.signer()], config).unwrap()
}

/// What the local checks say: the refusal's code, or the claim's key.
pub fn open(
    facilitator: &ExactFacilitator,
    payment: &PaymentPayload,
    offer: &PaymentRequirements,
) -> Result<String, String> {
    let opened = FacilitatorDyn::open(facilitator, payment, offer);
    let checked = opened.and_then(|open| open.check().map(|()| open.claim().key.to_string()));
    checked.map_err(|rejected| rejected.code.to_string())
}
