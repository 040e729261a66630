//! [`ExactClient`]: signs transfers of exactly what an offer asks for, and only in tokens that are what they should be.

use super::Exact;
use super::transaction::{Order, partially_signed};
use super::types::{LONGEST_MEMO, Payload};
use crate::address::{offer_address, parse_address, shown};
use crate::assets::Token;
use crate::mint::Mint;
use crate::programs::token_account;
use crate::signer::sign_message;
use crate::{Solana, codes};
use serde::Deserialize;
use serde_json::Value;
use solana_pubkey::Pubkey;
use std::fmt;
use std::sync::Arc;
use tollway_core::codes::{INVALID_NETWORK, INVALID_PAYMENT_REQUIREMENTS};
use tollway_core::{
    Ask, Build, BuildContext, Fault, FaultKind, Network as _, Payment, Rejected, Result, SchemeClient, Signed, Signer,
    Standing,
};

/// Where what makes a payment unlike any other comes from. Exchanged by tests that must reproduce a signature.
type Entropy = fn(&mut [u8; 16]) -> Result<(), Fault>;

/// What a transfer and a short memo take, and what they take more for each byte of a longer memo.
const COMPUTE_UNITS: u32 = 20_000;
const SHORT_MEMO: usize = 32;
const COMPUTE_UNITS_A_BYTE: u32 = 120;
/// What is added at most, at random, to the limit of a payment whose memo is the server's: two such payments on one
/// blockhash would otherwise be the same transaction, and the network would run only one.
const SPREAD: u32 = 0x3fff;

/// The paying side of `exact`. Needs a node only where the offer brings no blockhash or the token is not listed.
pub struct ExactClient {
    network: Arc<Solana>,
    signer: Arc<dyn Signer>,
    address: Pubkey,
    compute_unit_price: u64,
    entropy: Entropy,
}

impl ExactClient {
    /// A client that pays with this key, and offers 1 micro-lamport for a compute unit.
    ///
    /// # Errors
    /// The signer's address is no Solana address.
    pub fn new(network: Arc<Solana>, signer: Arc<dyn Signer>) -> Result<Self, String> {
        let address = parse_address(signer.address()).ok_or_else(|| {
            format!("the signer's address `{}` is no Solana address; check its kind", signer.address())
        })?;
        Ok(Self { network, signer, address, compute_unit_price: 1, entropy: random })
    }

    /// Offers so many micro-lamports for a compute unit, at the facilitator's expense: more is faster when the network
    /// is busy, and refused above what the facilitator accepts.
    #[must_use]
    pub fn compute_unit_price(mut self, micro_lamports: u64) -> Self {
        self.compute_unit_price = micro_lamports;
        self
    }

    /// Refuses an offer that cannot be paid, or should not be, before anything is asked.
    fn examine(&self, ask: &Ask<'_, Exact>) -> Result<Pubkey, Rejected> {
        let (offer, extra) = (ask.offer, &ask.extra);
        if offer.network != *self.network.id() {
            let message = format!("the offer is on {}, this client is for {}", offer.network, self.network.id());
            return Err(Rejected::new(INVALID_NETWORK).because(message));
        }
        let named = extra.fee_payer.as_deref().ok_or_else(|| {
            Rejected::new(codes::MISSING_FEE_PAYER)
                .because("the offer names no account that pays the fee (extra.feePayer)")
        })?;
        let fee_payer = parse_address(named).filter(|payer| *payer != self.address).ok_or_else(|| {
            let message = format!("`{}` cannot pay the fee: it is no Solana address, or it is the payer", shown(named));
            Rejected::new(codes::MISSING_FEE_PAYER).because(message)
        })?;
        if extra.memo.as_ref().is_some_and(|memo| memo.len() > LONGEST_MEMO) {
            let message = format!("the offer asks for a memo of more than {LONGEST_MEMO} bytes");
            return Err(Rejected::new(INVALID_PAYMENT_REQUIREMENTS).because(message));
        }
        Ok(fee_payer)
    }

    /// The token's program and decimals: as the chain says, or else as the table does.
    async fn token(&self, mint: &Pubkey, offered: Option<&Value>) -> Result<(Pubkey, u8)> {
        let known = self.network.known_token(mint);
        let (program, decimals) = match (self.network.node(), known) {
            (Some(chain), known) => {
                let read = chain.mints.read(&chain.rpc, mint).await;
                let read = read.map_err(|why| chain.rpc.fault("reading the token's mint", why))?;
                let found = read.ok_or_else(|| mismatch(format!("there is no token {mint}")))?;
                if let Some(known) = known {
                    agrees(known, &found)?;
                }
                (found.program, found.decimals)
            }
            (None, Some(Token { asset, program: Some(program), .. })) => (*program, asset.decimals),
            (None, _) => {
                let id = self.network.id();
                let message = format!(
                    "the token {mint} can be paid with only after its mint is read; set networks.\"{id}\".rpc to the URL \
                     of a node, or list it with its program under networks.\"{id}\".assets"
                );
                return Err(Fault::new(FaultKind::Configuration, message).into());
            }
        };
        let same = match offered {
            None | Some(Value::Null) => true,
            Some(Value::String(text)) => text.parse() == Ok(decimals),
            Some(other) => other.as_u64() == Some(u64::from(decimals)),
        };
        if !same {
            let message = format!("the offer gives {mint} other decimals than its {decimals}");
            return Err(Rejected::new(INVALID_PAYMENT_REQUIREMENTS).because(message).into());
        }
        Ok((program, decimals))
    }

    /// The blockhash to build on: the offer's hint, or else the node's newest.
    async fn blockhash(&self, hint: Option<Pubkey>) -> Result<Pubkey> {
        if let Some(hint) = hint {
            return Ok(hint);
        }
        let chain = self.network.chain().map_err(|fault| {
            Fault::new(fault.kind, format!("the offer brings no recentBlockhash, and {}", fault.message))
        })?;
        // Each payment has a memo of its own, so that they may share a blockhash.
        if let Some(kept) = chain.blockhashes.hint().and_then(|kept| parse_address(&kept.blockhash)) {
            return Ok(kept);
        }
        let newest = chain.rpc.latest_blockhash().await;
        let newest = newest.map_err(|why| chain.rpc.fault("asking for a recent blockhash", why))?;
        parse_address(&newest.blockhash).ok_or_else(|| {
            let message = format!("{}: the node's newest blockhash is none", self.network.id());
            Fault::new(FaultKind::Invalid, message).into()
        })
    }
}

fn mismatch(message: String) -> Rejected {
    Rejected::new(codes::MINT_MISMATCH).because(message)
}

/// Holds the chain to what is known of a token. Where they differ, one of them is not the token it seems to be.
fn agrees(known: &Token, found: &Mint) -> Result<(), Rejected> {
    let (symbol, decimals) = (&known.asset.symbol, known.asset.decimals);
    if found.decimals != decimals {
        return Err(mismatch(format!(
            "{symbol} should have {decimals} decimals, on this chain it has {}",
            found.decimals
        )));
    }
    match known.program {
        Some(program) if program != found.program => Err(mismatch(format!(
            "{symbol} should be a token of {program}, on this chain it is one of {}",
            found.program
        ))),
        _ => Ok(()),
    }
}

fn random(nonce: &mut [u8; 16]) -> Result<(), Fault> {
    getrandom::fill(nonce)
        .map_err(|why| Fault::new(FaultKind::Internal, "the system gave no random bytes for a payment").source(why))
}

impl SchemeClient for ExactClient {
    type Scheme = Exact;

    async fn sign(&self, ask: Ask<'_, Exact>) -> Result<Signed<Payload>> {
        let fee_payer = self.examine(&ask)?;
        let offer = ask.offer;
        let (mint, pay_to) = (offer_address(offer, "asset")?, offer_address(offer, "payTo")?);
        let amount = offer.amount.to_u64().ok_or_else(|| {
            Rejected::new(INVALID_PAYMENT_REQUIREMENTS).because("no token account holds as much as the offer asks for")
        })?;
        let (program, decimals) = self.token(&mint, ask.extra.decimals.as_ref()).await?;
        let places = token_account(&self.address, &mint, &program).zip(token_account(&pay_to, &mint, &program));
        let (source, destination) =
            places.ok_or_else(|| mismatch("the token accounts cannot be derived".to_owned()))?;
        let mut nonce = [0; 16];
        (self.entropy)(&mut nonce)?;
        let nonce = u128::from_be_bytes(nonce);
        let (memo, spread) = match &ask.extra.memo {
            Some(memo) => (memo.clone(), u32::try_from(nonce & u128::from(SPREAD)).unwrap_or_default()),
            None => (format!("{nonce:032x}"), 0),
        };
        let longer = u32::try_from(memo.len().saturating_sub(SHORT_MEMO)).unwrap_or_default();
        let order = Order {
            fee_payer,
            payer: self.address,
            mint,
            program,
            source,
            destination,
            amount,
            decimals,
            memo: memo.as_bytes(),
            compute_unit_limit: COMPUTE_UNITS + spread + longer.saturating_mul(COMPUTE_UNITS_A_BYTE),
            compute_unit_price: self.compute_unit_price,
            blockhash: self.blockhash(ask.extra.blockhash()).await?,
        };
        let message = order.message().ok_or_else(|| {
            let message = "the offer pays its payer, or uses one account for two purposes";
            Rejected::new(INVALID_PAYMENT_REQUIREMENTS).because(message)
        })?;
        let signature = sign_message(&*self.signer, &self.address, &message).await?;
        Ok(Signed::new(Payload::of(&partially_signed(&signature, &message))))
    }

    async fn standing(&self, payment: &Payment<'_, Exact>) -> Result<Standing> {
        let Ok(chain) = self.network.chain() else { return Ok(Standing::Unknown) };
        let Ok(transaction) = payment.payload.decoded() else { return Ok(Standing::Unknown) };
        let standing = chain.standing(transaction).await;
        Ok(standing.map_err(|why| chain.rpc.fault("looking for a payment among what is on chain", why))?)
    }
}

impl fmt::Debug for ExactClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExactClient")
            .field("network", self.network.id())
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

/// The section of the client side.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
#[non_exhaustive]
pub struct ExactClientConfig {
    /// Micro-lamports to offer for a compute unit; 1 if left out.
    pub compute_unit_price: Option<u64>,
}

impl Build for ExactClient {
    type Config = ExactClientConfig;
    const EXAMPLE: &'static str = r#"{ "computeUnitPrice": 1 }"#;

    async fn build(config: ExactClientConfig, cx: BuildContext) -> Result<Self, String> {
        let client = Self::new(cx.network()?, cx.signer()?)?;
        Ok(match config.compute_unit_price {
            Some(price) => client.compute_unit_price(price),
            None => client,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Transaction;
    use crate::programs::{TOKEN, TOKEN_2022};
    use crate::test::{
        CLIENT_SEED, FACILITATOR_SEED, Script, account_json, block_on, golden_bytes, golden_offer, golden_payment, key,
        mint_data, network_over,
    };
    use serde_json::json;
    use tollway_core::erased::ClientDyn;
    use tollway_core::{Failure, PaymentRequirements, ResourceInfo};

    /// The random part of the recorded payment: its memo, or nothing.
    fn golden_entropy(flow: &str) -> Entropy {
        match flow {
            "exact-svm" => |nonce| {
                *nonce = 0x1e6d_9ea1_10a6_27d5_bb23_abb7_d204_6d7a_u128.to_be_bytes();
                Ok(())
            },
            "multi-svm" => |nonce| {
                *nonce = 0x61d6_b686_4d7f_3513_8847_d051_6d70_e47d_u128.to_be_bytes();
                Ok(())
            },
            _ => |nonce| {
                *nonce = [0; 16];
                Ok(())
            },
        }
    }

    fn client(network: Solana, entropy: Entropy) -> ExactClient {
        let mut client = ExactClient::new(Arc::new(network), Arc::new(key(CLIENT_SEED))).unwrap();
        client.entropy = entropy;
        client
    }

    fn without_node() -> Solana {
        Solana::builder(golden_offer("exact-svm").network).build().unwrap()
    }

    /// The recorded offer with the blockhash that was then.
    fn hinted(flow: &str) -> PaymentRequirements {
        let hash = Transaction::decode(golden_bytes(flow)).unwrap().blockhash();
        golden_offer(flow).with_extra("recentBlockhash", hash.to_string())
    }

    fn sign(client: &ExactClient, offer: &PaymentRequirements) -> Result<Signed<Value>> {
        block_on(ClientDyn::sign(client, offer, &ResourceInfo::new("https://shop.test/report")))
    }

    fn refused(client: &ExactClient, offer: &PaymentRequirements) -> (String, String) {
        match sign(client, offer).unwrap_err() {
            Failure::Rejected(rejected) => (rejected.code.to_string(), rejected.message.unwrap_or_default()),
            Failure::Fault(fault) => (format!("{:?}", fault.kind), fault.message),
        }
    }

    fn signed(client: &ExactClient, offer: &PaymentRequirements) -> Transaction {
        let payload: Payload = serde_json::from_value(sign(client, offer).unwrap().payload).unwrap();
        payload.decoded().unwrap().clone()
    }

    #[test]
    fn golden_payments_are_reproduced_to_the_byte() {
        for flow in ["exact-svm", "exact-svm-memo", "multi-svm"] {
            let signed = sign(&client(without_node(), golden_entropy(flow)), &hinted(flow)).unwrap();
            assert_eq!(signed.payload, golden_payment(flow).payload, "{flow}");
            assert_eq!(signed.dead_after, None);
        }
    }

    #[test]
    fn two_payments_are_never_the_same_transaction() {
        let client = client(without_node(), random);
        for flow in ["exact-svm", "exact-svm-memo"] {
            let pay = || signed(&client, &hinted(flow)).message_hash();
            assert_ne!(pay(), pay(), "{flow}");
        }
    }

    /// A node that knows one mint and one blockhash.
    fn node(program: Pubkey, decimals: u8) -> Script {
        let script = Script::default();
        script.on("getAccountInfo", move |_| {
            Ok(json!({ "context": { "slot": 1 }, "value": account_json(program, &mint_data(decimals, &[])) }))
        });
        script.on("getLatestBlockhash", |_| {
            let hash = Pubkey::from([5; 32]).to_string();
            Ok(json!({ "context": { "slot": 1 }, "value": { "blockhash": hash, "lastValidBlockHeight": 9 } }))
        });
        script
    }

    #[test]
    fn with_a_node_the_mint_and_the_blockhash_are_asked_for() {
        let script = node(TOKEN, 6);
        let client = client(network_over(script.clone()), random);
        let transaction = signed(&client, &golden_offer("exact-svm"));
        assert_eq!(transaction.blockhash(), Pubkey::from([5; 32]));
        let offer = hinted("exact-svm");
        assert_ne!(signed(&client, &offer).blockhash(), Pubkey::from([5; 32]), "the offer's is good enough");
        assert_eq!(script.calls("getAccountInfo"), 1, "the mint is asked for once");
    }

    #[test]
    fn a_known_token_with_other_decimals_or_program_is_refused() {
        for (program, decimals, part) in [(TOKEN, 9, "decimals"), (TOKEN_2022, 6, "Tokenz")] {
            let client = client(network_over(node(program, decimals)), random);
            let (code, message) = refused(&client, &hinted("exact-svm"));
            assert_eq!(code, "invalid_exact_svm_payload_mint_mismatch");
            assert!(message.contains("USDC") && message.contains(part), "{message}");
        }
        for wrong in [json!(9), json!("9"), json!(6.5), json!(true)] {
            let offer = hinted("exact-svm").with_extra("decimals", wrong);
            assert_eq!(refused(&client(without_node(), random), &offer).0, "invalid_payment_requirements");
        }
        for right in [json!(6), json!("6"), json!(null)] {
            let offer = hinted("exact-svm").with_extra("decimals", right);
            assert!(sign(&client(without_node(), random), &offer).is_ok());
        }
    }

    #[test]
    fn an_unlisted_token_is_paid_as_the_chain_says() {
        let mut offer = hinted("exact-svm");
        offer.asset = Pubkey::from([8; 32]).to_string();
        let (kind, message) = refused(&client(without_node(), random), &offer);
        assert!(kind == "Configuration" && message.contains(".rpc") && message.contains(".assets"), "{message}");
        let transaction = signed(&client(network_over(node(TOKEN_2022, 2)), random), &offer);
        let transfer = transaction.instructions().nth(2).unwrap();
        assert_eq!((transfer.program, transfer.data.last()), (TOKEN_2022, Some(&2)));
        let nothing = node(TOKEN, 6);
        nothing.on("getAccountInfo", |_| Ok(json!({ "context": { "slot": 1 }, "value": null })));
        let (code, _) = refused(&client(network_over(nothing), random), &offer);
        assert_eq!(code, "invalid_exact_svm_payload_mint_mismatch");
    }

    #[test]
    fn what_cannot_or_must_not_be_paid_is_refused() {
        let refused_as = |change: &dyn Fn(&mut PaymentRequirements)| {
            let mut offer = hinted("exact-svm");
            change(&mut offer);
            refused(&client(without_node(), random), &offer).0
        };
        let missing = "invalid_exact_svm_payload_missing_fee_payer";
        let wrong = "invalid_payment_requirements";
        assert_eq!(refused_as(&|offer| drop(offer.extra.as_mut().unwrap().remove("feePayer"))), missing);
        assert_eq!(refused_as(&|offer| *offer = offer.clone().with_extra("feePayer", 7)), missing);
        assert_eq!(refused_as(&|offer| *offer = offer.clone().with_extra("feePayer", "0x12")), missing);
        let own = "F5VXWaBNSv1khZWE1wwCusDZ7o9hp8Nsii9R2j24xuKs";
        assert_eq!(refused_as(&|offer| *offer = offer.clone().with_extra("feePayer", own)), missing);
        assert_eq!(refused_as(&|offer| *offer = offer.clone().with_extra("memo", "é".repeat(129))), wrong);
        assert_eq!(refused_as(&|offer| offer.pay_to = own.to_owned()), wrong);
        assert_eq!(refused_as(&|offer| offer.pay_to = "alice.sol".to_owned()), wrong);
        assert_eq!(refused_as(&|offer| offer.asset = "USDC".to_owned()), wrong);
        assert_eq!(refused_as(&|offer| offer.amount = tollway_core::Amount::MAX), wrong);
        let elsewhere = refused_as(&|offer| offer.network = "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp".parse().unwrap());
        assert_eq!(elsewhere, "invalid_network");
    }

    #[test]
    fn without_a_hint_and_a_node_there_is_advice() {
        for offer in [golden_offer("exact-svm"), golden_offer("exact-svm").with_extra("recentBlockhash", "rubbish")] {
            let (kind, message) = refused(&client(without_node(), random), &offer);
            assert!(
                kind == "Configuration" && message.contains("recentBlockhash") && message.contains(".rpc"),
                "{message}"
            );
        }
    }

    #[test]
    fn the_key_must_be_a_solana_key_and_the_section_known() {
        struct Foreign;
        #[tollway_core::async_trait]
        impl Signer for Foreign {
            fn address(&self) -> &str {
                "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
            }
            async fn sign(&self, _: tollway_core::Signable<'_>) -> Result<Vec<u8>, Fault> {
                Ok(Vec::new())
            }
        }
        let error = ExactClient::new(Arc::new(without_node()), Arc::new(Foreign)).unwrap_err();
        assert!(error.contains("0x7099"), "{error}");
        assert!(serde_json::from_str::<ExactClientConfig>(r#"{ "__unknown__": 1 }"#).is_err());
        let cx = BuildContext::new()
            .with_network(Arc::new(without_node()))
            .with_signers(vec![Arc::new(key(FACILITATOR_SEED))]);
        let config = serde_json::from_str(ExactClient::EXAMPLE).unwrap();
        block_on(ExactClient::build(config, cx)).unwrap();
    }
}
