//! Contract wallets that pay over HTTP: by EIP-1271, and before they exist (ERC-6492).

use crate::world::{PAYEE, World};
use serde_json::{Value, json};
use tollway_devnet::accounts::{CLIENT, STRANGER};
use tollway_devnet::contracts::Wallet1271Factory;
use tollway_devnet::contracts::addresses::{PERMIT2, USDC, WALLET_1271, WALLET_1271_FACTORY};
use tollway_devnet::{Transfer, wrapped};
use tollway_testkit::FakeClock;

/// A payment for the route by EIP-3009, from a wallet of `stranger`; `seal` has the last word on its signature.
async fn by_wallet(world: &World, wallet: &str, seal: impl FnOnce(&[u8]) -> Vec<u8>) -> Value {
    let mut payment = world.signed_by(CLIENT, "/evm/eip3009").await;
    let transfer = Transfer {
        from: wallet.parse().unwrap(),
        to: PAYEE.parse().unwrap(),
        value: "1000".parse().unwrap(),
        valid_after: "0".parse().unwrap(),
        valid_before: (FakeClock::START + 300).to_string().parse().unwrap(),
        nonce: [7; 32].into(),
    };
    let signature = seal(&STRANGER.sign(&transfer.digest(84532, USDC, "USDC", "2")));
    let authorization = &mut payment["payload"]["authorization"];
    authorization["from"] = json!(transfer.from);
    authorization["nonce"] = json!(transfer.nonce);
    payment["payload"]["signature"] =
        signature.iter().fold("0x".to_owned(), |text, byte| format!("{text}{byte:02x}")).into();
    payment
}

#[tokio::test]
async fn a_contract_wallet_pays_by_eip_3009() {
    let world = World::at(FakeClock::START).await;
    let payment = by_wallet(&world, &WALLET_1271.to_string(), <[u8]>::to_vec).await;
    let answer = world.present("/evm/eip3009", &payment).await;
    assert_eq!((answer.status, world.paid_to_payee()), (200, 1000), "{}", answer.error());
    assert_eq!(answer.receipt().unwrap().payer, Some(WALLET_1271.to_string()));
}

/// The owner is not in what is signed for Permit2, so a wallet's owner signs as for himself.
#[tokio::test]
async fn a_contract_wallet_pays_by_permit2() {
    let world = World::at(FakeClock::START).await;
    world.devnet.set_allowance(USDC, WALLET_1271, PERMIT2, "1000".parse().unwrap());
    let mut payment = world.signed_by(STRANGER, "/evm/permit2").await;
    payment["payload"]["permit2Authorization"]["from"] = json!(WALLET_1271);
    let answer = world.present("/evm/permit2", &payment).await;
    assert_eq!((answer.status, world.paid_to_payee()), (200, 1000), "{}", answer.error());
}

#[tokio::test]
async fn a_wallet_that_does_not_exist_yet_is_made_and_pays() {
    let world = World::at(FakeClock::START).await;
    let factory = Wallet1271Factory::new(WALLET_1271_FACTORY, world.devnet.provider());
    let salt = [1; 32].into();
    let wallet = factory.addressOf(STRANGER.address, salt).call().await.unwrap();
    world.devnet.set_token_balance(USDC, wallet, "1000".parse().unwrap());
    let create = factory.create(STRANGER.address, salt).calldata().clone();
    let seal = |signature: &[u8]| wrapped(WALLET_1271_FACTORY, &create, signature);
    let payment = by_wallet(&world, &wallet.to_string(), seal).await;
    let answer = world.present("/evm/eip3009", &payment).await;
    assert_eq!((answer.status, world.paid_to_payee()), (200, 1000), "{}", answer.error());
    assert!(!world.devnet.code(wallet).is_empty());
}

#[tokio::test]
async fn row_18_a_foreign_6492_factory_is_refused() {
    let world = World::at(FakeClock::START).await;
    for wallet in ["0x5555555555555555555555555555555555555555".to_owned(), CLIENT.address.to_string()] {
        let payment = by_wallet(&world, &wallet, |signature| wrapped(USDC, b"transfer", signature)).await;
        let answer = world.present("/evm/eip3009", &payment).await;
        assert_eq!((answer.status, answer.error().as_str()), (402, "eip6492_factory_not_allowed"));
    }
    assert_eq!(world.paid_to_payee(), 0);
}
