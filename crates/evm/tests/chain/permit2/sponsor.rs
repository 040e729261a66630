//! Gas sponsoring: declared, added by the client, consumed, and each way it can be wrong.

use super::*;
use alloy::consensus::{SignableTransaction as _, TxEip1559};
use alloy::eips::eip2718::Encodable2718 as _;
use alloy::network::TxSignerSync as _;
use alloy::primitives::{Bytes, TxKind};
use tollway_core::{ClientExtension, Declaring, Object, PaymentRequired, ServerExtension};
use tollway_devnet::accounts::{FRESH_2612, FRESH_ERC20};
use tollway_evm::{Eip2612Client, Eip2612Server, Erc20ApprovalClient, Erc20ApprovalServer};

const EIP2612: &str = "eip2612GasSponsoring";
const ERC20: &str = "erc20ApprovalGasSponsoring";

/// A challenge with whatever both extensions declare for an offer.
fn challenge(offer: &PaymentRequirements) -> PaymentRequired {
    let (resource, route) = (shop(), json!({}));
    let accepts = [offer.clone()];
    let declaring = Declaring::new(&resource, &accepts, &route, "GET /report");
    let mut declared = Object::new();
    let sides: [&dyn ServerExtension; 2] = [&Eip2612Server::default(), &Erc20ApprovalServer::default()];
    for side in sides {
        if let Some(declaration) = side.declare(&declaring) {
            declared.insert(side.key().to_owned(), declaration);
        }
    }
    let mut required = PaymentRequired::new("Payment required", resource.clone(), accepts.to_vec());
    required.extensions = Some(declared);
    required
}

/// A payment with all that its client adds.
pub(super) async fn enriched(
    world: &World,
    payer: &DevAccount,
    asset: Address,
) -> (PaymentPayload, PaymentRequirements) {
    let offer = offer(world, asset);
    let required = challenge(&offer);
    let client = ExactClient::new(world.evm.clone(), key(payer)).unwrap();
    let signed = ClientDyn::sign(&client, &offer, &shop()).await.unwrap();
    let mut raw = PaymentPayload::new(offer.clone(), signed.payload);
    raw.extensions.clone_from(&required.extensions);
    let permits = Eip2612Client::new().payer(world.evm.clone(), key(payer)).unwrap();
    let approves = Erc20ApprovalClient::new().payer(world.evm.clone(), key(payer)).unwrap();
    permits.enrich(&required, &mut raw).await.unwrap();
    approves.enrich(&required, &mut raw).await.unwrap();
    (raw, offer)
}

fn info<'a>(raw: &'a mut PaymentPayload, key: &str) -> &'a mut Value {
    &mut raw.extensions.as_mut().unwrap().get_mut(key).unwrap()["info"]
}

/// The same with a member of an extension changed.
fn changed(raw: &PaymentPayload, key: &str, member: &str, value: impl Into<Value>) -> PaymentPayload {
    let mut raw = raw.clone();
    info(&mut raw, key)[member] = value.into();
    raw
}

#[tokio::test(start_paused = true)]
async fn a_signature_gives_the_allowance_within_the_payment() {
    let world = World::new();
    let (raw, offer) = enriched(&world, &FRESH_2612, USDC).await;
    world.devnet.reset_calls();
    verify(&*world.side, &raw, &offer).await.unwrap();
    assert_eq!(world.devnet.calls().round_trips, 1);
    settled(settle(&world, &*world.side, &raw, &offer).await);
    assert_eq!(world.earned(), U256::from(1000));
    assert_eq!(FacilitatorDyn::extensions(&*world.side), [EIP2612, ERC20]);
}

/// Somebody sent the permit first: the proxy goes on, since the allowance is there.
#[tokio::test(start_paused = true)]
async fn a_permit_that_was_used_before_does_not_matter_while_the_allowance_is_there() {
    let world = World::new();
    let (raw, offer) = enriched(&world, &FRESH_2612, USDC).await;
    world.devnet.set_allowance(USDC, FRESH_2612.address, PERMIT2, U256::from(1000));
    let broken = changed(&raw, EIP2612, "signature", format!("0x{}1b", "11".repeat(64)));
    settled(settle(&world, &*world.side, &broken, &offer).await);
}

#[tokio::test(start_paused = true)]
async fn whoever_has_an_allowance_signs_nothing_more() {
    let world = World::new();
    let (mut raw, _) = enriched(&world, &CLIENT, USDC).await;
    for key in [EIP2612, ERC20] {
        assert_eq!(info(&mut raw, key).as_object().unwrap().len(), 2, "the declaration alone");
    }
    let (mut raw, _) = enriched(&world, &FRESH_2612, USDC).await;
    assert_eq!(info(&mut raw, EIP2612).as_object().unwrap().len(), 9);
    assert_eq!(info(&mut raw, ERC20).as_object().unwrap().len(), 2, "a signature is cheaper than a transaction");
}

/// An echo without what the client should have added is none.
#[tokio::test(start_paused = true)]
async fn an_echo_alone_gives_no_allowance() {
    let world = World::new();
    let (mut raw, offer) = pay(&world, &NO_ALLOWANCE).await;
    raw.extensions = challenge(&offer).extensions;
    assert_eq!(refused(&world, &raw, &offer, 1).await, "permit2_allowance_required");
}

#[tokio::test(start_paused = true)]
async fn each_member_of_an_eip_2612_permit_is_checked() {
    let world = World::new();
    let (raw, offer) = enriched(&world, &FRESH_2612, USDC).await;
    let other = STRANGER.address.to_string();
    let rows: [(&str, Value, &str); 12] = [
        ("from", "0x12".into(), "invalid_eip2612_extension_format"),
        ("amount", "1e3".into(), "invalid_eip2612_extension_format"),
        ("amount", 1000.into(), "invalid_eip2612_extension_format"),
        ("nonce", "-1".into(), "invalid_eip2612_extension_format"),
        ("signature", "0x12".into(), "invalid_eip2612_extension_format"),
        ("version", "one".into(), "invalid_eip2612_extension_format"),
        ("from", other.clone().into(), "eip2612_from_mismatch"),
        ("asset", other.clone().into(), "eip2612_asset_mismatch"),
        ("spender", other.into(), "eip2612_spender_not_permit2"),
        ("deadline", (NOW + 5).to_string().into(), "eip2612_deadline_expired"),
        ("amount", "999".into(), "permit2_2612_amount_mismatch"),
        ("deadline", "9".repeat(78).into(), "invalid_eip2612_extension_format"),
    ];
    for (member, value, wanted) in rows {
        let raw = changed(&raw, EIP2612, member, value.clone());
        assert_eq!(refused(&world, &raw, &offer, 0).await, wanted, "{member} {value}");
    }
    let forged = changed(&raw, EIP2612, "signature", format!("0x{}1b", "11".repeat(64)));
    assert_eq!(refused(&world, &forged, &offer, 1).await, "permit2_allowance_required");
}

#[tokio::test(start_paused = true)]
async fn an_approval_is_sent_before_the_settlement() {
    let world = World::new();
    let (raw, offer) = enriched(&world, &FRESH_ERC20, PLAIN).await;
    world.devnet.reset_calls();
    verify(&*world.side, &raw, &offer).await.unwrap();
    assert_eq!(world.devnet.calls().round_trips, 1);
    settled(settle(&world, &*world.side, &raw, &offer).await);
    assert_eq!(world.devnet.balance_of(PLAIN, PAY_TO.address).unwrap(), U256::from(1000));
    assert_eq!(world.ledger.signed().len(), 1, "the approval is the payer's own");
}

#[tokio::test(start_paused = true)]
async fn an_approval_the_chain_would_not_take_is_refused() {
    let world = World::new();
    let (raw, offer) = enriched(&world, &FRESH_ERC20, PLAIN).await;
    world.devnet.set_nonce(FRESH_ERC20.address, 5);
    assert_eq!(refused(&world, &raw, &offer, 1).await, "erc20_approval_tx_failed");
    world.devnet.set_nonce(FRESH_ERC20.address, 0);
    world.devnet.set_balance(FRESH_ERC20.address, U256::from(1));
    assert_eq!(refused(&world, &raw, &offer, 1).await, "erc20_approval_tx_failed");
    assert_eq!(code(settle(&world, &*world.side, &raw, &offer).await), "erc20_approval_tx_failed");
    assert!(world.ledger.signed().is_empty() && world.devnet.waiting().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_node_that_refuses_the_approval_is_told() {
    let world = World::new();
    let (raw, offer) = enriched(&world, &FRESH_ERC20, PLAIN).await;
    let no = tollway_devnet::Fault::Error { code: -32000, message: "transaction underpriced".into() };
    world.devnet.inject("eth_sendRawTransaction", no, 1);
    assert_eq!(code(settle(&world, &*world.side, &raw, &offer).await), "erc20_approval_broadcast_failed");
    assert!(world.ledger.signed().is_empty());
    settled(settle(&world, &*world.side, &raw, &offer).await);
}

/// A transaction of somebody, signed.
fn transaction(by: &DevAccount, change: impl FnOnce(&mut TxEip1559)) -> String {
    let spender = [vec![0x09, 0x5e, 0xa7, 0xb3], PERMIT2.into_word().to_vec(), vec![0xff; 32]].concat();
    let mut transaction = TxEip1559 {
        chain_id: 84532,
        nonce: 0,
        gas_limit: 70_000,
        max_fee_per_gas: 2_000_000_000,
        max_priority_fee_per_gas: 1_000_000,
        to: TxKind::Call(PLAIN),
        value: U256::ZERO,
        access_list: Default::default(),
        input: Bytes::from(spender),
    };
    change(&mut transaction);
    let signature = by.signer().sign_transaction_sync(&mut transaction).unwrap();
    alloy::hex::encode_prefixed(transaction.into_signed(signature).encoded_2718())
}

#[tokio::test(start_paused = true)]
async fn each_part_of_an_approval_is_checked() {
    let world = World::new();
    let (raw, offer) = enriched(&world, &FRESH_ERC20, PLAIN).await;
    let other = STRANGER.address;
    for (member, value, wanted) in [
        ("from", "0x12".to_owned(), "invalid_erc20_approval_extension_format"),
        ("signedTransaction", "0x".to_owned(), "invalid_erc20_approval_extension_format"),
        ("amount", "max".to_owned(), "invalid_erc20_approval_extension_format"),
        ("version", "v1".to_owned(), "invalid_erc20_approval_extension_format"),
        ("from", other.to_string(), "erc20_approval_from_mismatch"),
        ("asset", other.to_string(), "erc20_approval_asset_mismatch"),
        ("spender", other.to_string(), "erc20_approval_spender_not_permit2"),
        ("signedTransaction", "0x02c0".to_owned(), "erc20_approval_tx_parse_failed"),
        ("signedTransaction", "0xabc".to_owned(), "erc20_approval_tx_parse_failed"),
    ] {
        assert_eq!(refused(&world, &changed(&raw, ERC20, member, value), &offer, 0).await, wanted, "{member}");
    }
    let replaced = |at: usize, byte: u8| {
        move |transaction: &mut TxEip1559| {
            let mut input = transaction.input.to_vec();
            input[at] = byte;
            transaction.input = input.into();
        }
    };
    let payer = &FRESH_ERC20;
    for (transaction, wanted) in [
        (transaction(payer, |tx| tx.chain_id = 8453), "erc20_approval_tx_parse_failed"),
        (transaction(payer, |tx| tx.to = TxKind::Call(USDC)), "erc20_approval_tx_wrong_target"),
        (transaction(payer, |tx| tx.to = TxKind::Create), "erc20_approval_tx_wrong_target"),
        (transaction(payer, replaced(0, 0xa9)), "erc20_approval_tx_wrong_selector"),
        (transaction(payer, |tx| tx.input = Bytes::new()), "erc20_approval_tx_wrong_selector"),
        (transaction(payer, |tx| tx.input = tx.input.slice(..40)), "erc20_approval_tx_invalid_calldata"),
        (transaction(payer, replaced(5, 1)), "erc20_approval_tx_invalid_calldata"),
        (transaction(payer, replaced(35, 1)), "erc20_approval_tx_wrong_spender"),
        (transaction(&STRANGER, |_| ()), "erc20_approval_tx_signer_mismatch"),
    ] {
        let raw = changed(&raw, ERC20, "signedTransaction", transaction);
        assert_eq!(refused(&world, &raw, &offer, 0).await, wanted);
    }
    // An `r` of zero is nobody's.
    let text = transaction(payer, |_| ());
    let unsigned = format!("{}8080", &text[..text.len() - 132]);
    let refusal = refused(&world, &changed(&raw, ERC20, "signedTransaction", unsigned), &offer, 0).await;
    assert!(refusal == "erc20_approval_tx_invalid_signature" || refusal == "erc20_approval_tx_parse_failed");
    // Nothing after the transaction.
    let longer = changed(&raw, ERC20, "signedTransaction", format!("{}00", transaction(payer, |_| ())));
    assert_eq!(refused(&world, &longer, &offer, 0).await, "erc20_approval_tx_parse_failed");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_declared_where_nothing_can_be_sponsored() {
    let world = World::new();
    let offer = offer(&world, PLAIN);
    let declared =
        |offer: &PaymentRequirements| challenge(offer).extensions.unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(declared(&offer), [ERC20], "a token without EIP-2612");
    let mut plain = offer;
    plain.extra = None;
    assert!(declared(&plain).is_empty(), "an offer by EIP-3009");
}

#[tokio::test(start_paused = true)]
async fn an_extension_without_a_section_adds_nothing() {
    let world = World::new();
    let (raw, offer) = pay(&world, &NO_ALLOWANCE).await;
    let mut same = raw.clone();
    world.devnet.reset_calls();
    Eip2612Client::new().enrich(&challenge(&offer), &mut same).await.unwrap();
    Erc20ApprovalClient::new().enrich(&challenge(&offer), &mut same).await.unwrap();
    assert_eq!((same, world.devnet.calls().total()), (raw, 0));
}

/// Tokens and wallets that cheat are seen through as they are with EIP-3009.
#[tokio::test(start_paused = true)]
async fn cheating_tokens_and_wallets_are_refused_for_one_round_trip() {
    let world = World::hostile(Mining::Auto);
    for token in [FEE_TOKEN, STUCK_TOKEN] {
        world.devnet.set_allowance(token, CLIENT.address, PERMIT2, U256::MAX);
        let offer = offer(&world, token);
        let client = ExactClient::new(world.evm.clone(), key(&CLIENT)).unwrap();
        let payload = ClientDyn::sign(&client, &offer, &shop()).await.unwrap().payload;
        let raw = PaymentPayload::new(offer.clone(), payload);
        let refusal = refused(&world, &raw, &offer, 1).await;
        assert!(token == STUCK_TOKEN || refusal == "permit2_simulation_failed", "{refusal}");
    }
    let (raw, offer) = pay(&world, &STRANGER).await;
    for wallet in [GAS_BURNER_WALLET, HUGE_ANSWER_WALLET, SHORT_MAGIC_WALLET, DIRTY_MAGIC_WALLET, REVERTING_WALLET] {
        world.devnet.set_allowance(USDC, wallet, PERMIT2, U256::MAX);
        let raw = with(&raw, "/permit2Authorization/from", wallet.to_string().into());
        assert_eq!(refused(&world, &raw, &offer, 1).await, "invalid_permit2_signature", "{wallet}");
    }
}
