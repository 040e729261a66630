//! What tokens say of themselves, held against what is configured.

use crate::support::*;
use alloy::primitives::Address;
use tollway_core::{Asset, FaultKind};
use tollway_devnet::contracts::addresses::*;
use tollway_devnet::{Devnet, Fault, Mining, Token};
use tollway_evm::{Evm, Finding, Inspection};

/// A network with these entries beside the known ones.
fn evm(devnet: &Devnet, assets: impl IntoIterator<Item = Asset>) -> Evm {
    let id = "eip155:84532".parse().unwrap();
    Evm::builder(id).provider(devnet.provider()).assets(assets).build().unwrap()
}

async fn inspect(devnet: &Devnet, asset: Asset) -> Inspection {
    let address = asset.address.clone();
    evm(devnet, [asset]).inspect(&address).await.unwrap()
}

fn usdc(name: &str, version: &str, decimals: u8) -> Asset {
    Asset::new(USDC.to_string(), "USDC", decimals).dollar().with_extra("name", name).with_extra("version", version)
}

/// The keys that are wrong.
fn wrong(inspection: &Inspection) -> Vec<&'static str> {
    let wrong = |finding: &&Finding| finding.wrong;
    let keys = inspection.findings.iter().filter(wrong).map(|finding| finding.about).collect();
    assert_eq!(inspection.is_right(), inspection.findings.iter().all(|finding| !finding.wrong));
    keys
}

const RIGHT: &str = r#"[[shared.networks."eip155:84532".assets]]
address = "0x036CbD53842c5426634e7929541eC2318f3dCF7e"
symbol = "USDC"
decimals = 6
name = "USDC"
version = "2"
dollar = true"#;

#[tokio::test(start_paused = true)]
async fn the_known_token_is_right_for_one_round_trip() {
    let world = World::new();
    let lower = format!("{USDC:#x}");
    world.devnet.reset_calls();
    let seen = world.evm.inspect(&lower).await.unwrap();
    assert_eq!(world.devnet.calls().round_trips, 1);
    assert_eq!((seen.is_right(), &seen.findings[..], seen.address.as_str()), (true, &[][..], &*USDC.to_string()));
    assert_eq!(seen.lines().as_deref(), Some(RIGHT));
    assert_eq!(seen.entry, seen.configured);
    let facts = &seen.on_chain;
    assert_eq!((facts.decimals, facts.symbol.as_deref()), (Some(6), Some("USDC")));
    assert!(facts.eip3009 && facts.eip2612 && facts.allowances && facts.permit2 && facts.exact_proxy);
    let json = serde_json::to_value(&seen).unwrap();
    assert_eq!((&json["onChain"]["domain"]["version"], &json["entry"]["name"]), (&"2".into(), &"USDC".into()));
}

#[tokio::test(start_paused = true)]
async fn each_wrong_key_is_named_and_mended() {
    let devnet = Devnet::new().unwrap();
    for (asset, keys) in [
        (usdc("USD Coin", "2", 6), vec!["name"]),
        (usdc("USDC", "1", 6), vec!["version"]),
        (usdc("USDC", "2", 18), vec!["decimals"]),
        (usdc("USD Coin", "1", 8), vec!["decimals", "name", "version"]),
        (Asset::new(USDC.to_string(), "USDC", 6).dollar(), vec!["name", "version"]),
    ] {
        let seen = inspect(&devnet, asset.clone()).await;
        assert_eq!(wrong(&seen), keys, "{asset:?}");
        assert_eq!(seen.lines().as_deref(), Some(RIGHT), "{asset:?}");
        let mended = inspect(&devnet, mend(&seen)).await;
        assert!(mended.findings.is_empty(), "{mended:?}");
    }
    let seen = inspect(&devnet, usdc("USDC", "2", 18)).await;
    assert!(seen.findings[0].text.contains("10^12"), "{seen:?}");
}

/// The entry as configuration would read it.
fn mend(seen: &Inspection) -> Asset {
    let entry = seen.entry.as_ref().unwrap();
    let mut asset = Asset::new(&*entry.address, &*entry.symbol, entry.decimals);
    asset.dollar = entry.dollar;
    for (member, text) in
        [("name", &entry.name), ("version", &entry.version), ("assetTransferMethod", &entry.asset_transfer_method)]
    {
        if let Some(text) = text {
            asset = asset.with_extra(member, text.clone());
        }
    }
    asset
}

#[tokio::test(start_paused = true)]
async fn a_plain_token_is_paid_by_permit2() {
    let devnet = Devnet::new().unwrap();
    let plain = || Asset::new(PLAIN.to_string(), "PLAIN", 6);
    let seen = inspect(&devnet, plain().with_extra("name", "Plain").with_extra("version", "1")).await;
    assert_eq!(wrong(&seen), ["assetTransferMethod"]);
    assert!(seen.lines().unwrap().ends_with("decimals = 6\nassetTransferMethod = \"permit2\""), "{seen:?}");
    let by_permit2 = || plain().with_extra("assetTransferMethod", "permit2");
    assert!(inspect(&devnet, by_permit2()).await.findings.is_empty());
    // It has no permit, so nothing may be signed in its name.
    let seen = inspect(&devnet, by_permit2().with_extra("name", "Plain").with_extra("version", "1")).await;
    assert_eq!(wrong(&seen), ["name"]);
    assert_eq!(mend(&seen), by_permit2());
    // Permit2 is nowhere.
    devnet.set_code(PERMIT2, Vec::new());
    assert_eq!(wrong(&inspect(&devnet, by_permit2()).await), ["assetTransferMethod"]);
}

#[tokio::test(start_paused = true)]
async fn a_token_with_eip_3009_that_is_paid_by_permit2_is_advised_on() {
    let devnet = Devnet::new().unwrap();
    let asset = Asset::new(USDC.to_string(), "USDC", 6).with_extra("assetTransferMethod", "permit2");
    let seen = inspect(&devnet, asset).await;
    assert!(seen.is_right());
    let about: Vec<_> = seen.findings.iter().map(|finding| finding.about).collect();
    assert_eq!(about, ["name", "version", "assetTransferMethod"]);
    // What is advised keeps the method that was chosen.
    assert_eq!(seen.entry.unwrap().asset_transfer_method.as_deref(), Some("permit2"));
}

#[tokio::test(start_paused = true)]
async fn an_unknown_token_is_described_with_the_entry_that_makes_it_known() {
    let own = Address::repeat_byte(0x11);
    let devnet = Devnet::builder().token(own, Token::new("My Dollar", "MYUSD", "7", 18)).build().unwrap();
    let seen = evm(&devnet, []).inspect(&own.to_string()).await.unwrap();
    assert!(seen.is_right() && seen.configured.is_none());
    let lines = seen.lines().unwrap();
    assert!(lines.ends_with("symbol = \"MYUSD\"\ndecimals = 18\nname = \"My Dollar\"\nversion = \"7\""), "{lines}");
}

#[tokio::test(start_paused = true)]
async fn what_is_no_token_is_said_to_be_none() {
    let devnet = Devnet::new().unwrap();
    for address in [Address::repeat_byte(0x77), WALLET_1271, MULTICALL3] {
        let seen = inspect(&devnet, Asset::new(address.to_string(), "USDC", 6)).await;
        assert_eq!((wrong(&seen), &seen.entry), (vec!["address"], &None), "{address}");
        assert_eq!(seen.lines(), None);
    }
}

#[tokio::test(start_paused = true)]
async fn who_cannot_be_asked_says_nothing() {
    let world = World::new();
    let usdc = USDC.to_string();
    let trouble = Fault::Error { code: -32005, message: "limit exceeded".into() };
    world.devnet.inject("eth_call", trouble, 1);
    let fault = world.evm.inspect(&usdc).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Unreachable, "{fault}");
    let other = World::with(Mining::Auto, |chain| chain.chain_id(8453), |evm| evm);
    assert!(other.evm.inspect(&usdc).await.unwrap_err().message.contains("chain 8453"));
    assert!(world.evm.inspect("USDC").await.unwrap_err().message.contains("no address"));
    let bare = Evm::builder("eip155:84532".parse().unwrap()).build().unwrap();
    assert!(bare.inspect(&usdc).await.unwrap_err().message.contains("has no node"));
}
