//! Signing in: keys without asking the chain, contract wallets by their own code, on their own chain only.

use crate::support::*;
use alloy::primitives::{Address, Bytes};
use alloy::sol_types::SolValue as _;
use async_trait::async_trait;
use serde_json::json;
use tollway_core::{FaultKind, Network as _, Result, SignIn as _, SignInInfo, Signable, SignedIn, Signer};
use tollway_devnet::accounts::{CLIENT, DevAccount, STRANGER};
use tollway_devnet::contracts::addresses::*;
use tollway_devnet::{Fault, Mining};
use tollway_evm::LocalKey;

fn info() -> SignInInfo {
    serde_json::from_value(json!({
        "domain": "shop.test", "uri": "https://shop.test/", "version": "1", "nonce": "0123456789abcdef",
        "issuedAt": "2027-01-15T08:00:00.000Z",
    }))
    .unwrap()
}

/// A contract wallet's signer: its owner's key, in the wallet's name.
struct Owner(String, LocalKey);

impl Owner {
    fn of(wallet: Address, owner: DevAccount) -> Self {
        Self(wallet.to_string(), LocalKey::from_hex(&owner.private_key().to_string()).unwrap())
    }
}

#[async_trait]
impl Signer for Owner {
    fn address(&self) -> &str {
        &self.0
    }

    async fn sign(&self, what: Signable<'_>) -> Result<Vec<u8>, tollway_core::Fault> {
        self.1.sign(what).await
    }
}

/// What the owner signs in the wallet's name.
async fn signed(world: &World, wallet: Address, owner: DevAccount) -> String {
    world.evm.sign_in().unwrap().sign(&info(), &Owner::of(wallet, owner)).await.unwrap()
}

async fn verify(world: &World, wallet: Address, signature: &str) -> Result<SignedIn> {
    world.devnet.reset_calls();
    world.evm.verify(&info(), &wallet.to_string(), signature).await
}

#[tokio::test(start_paused = true)]
async fn a_key_signs_in_without_asking_the_chain() {
    let world = World::new();
    let signature = signed(&world, CLIENT.address, CLIENT).await;
    assert!(verify(&world, CLIENT.address, &signature).await.unwrap().everywhere);
    assert_eq!(world.devnet.calls().round_trips, 0);
    // A delegated account is its key's: who holds the key can undo the delegation at any time.
    let delegate = [&[0xef, 0x01, 0x00][..], WALLET_1271.as_slice()].concat();
    world.devnet.set_code(CLIENT.address, delegate);
    verify(&world, CLIENT.address, &signature).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_contract_wallet_signs_in_on_its_own_chain_in_one_round_trip() {
    let world = World::new();
    let signature = signed(&world, WALLET_1271, STRANGER).await;
    let verified = verify(&world, WALLET_1271, &signature).await.unwrap();
    assert_eq!(world.devnet.calls().round_trips, 1);
    assert_eq!(verified.account.to_string(), format!("eip155:84532:{WALLET_1271}"));
    assert!(!verified.everywhere, "elsewhere the address may be another's");
    let wrong_owner = signed(&world, WALLET_1271, CLIENT).await;
    assert_eq!(code(verify(&world, WALLET_1271, &wrong_owner).await.map(drop)), "invalid_siwx_signature");
    // A wrapper of EIP-6492 around a deployed wallet's signature is opened; its factory is never called.
    let inner = Bytes::from(alloy::hex::decode(&signature).unwrap());
    let body = (WALLET_1271_FACTORY, Bytes::from_static(b"deploy"), inner).abi_encode_params();
    let wrapped = alloy::hex::encode_prefixed([body, [0x64, 0x92].repeat(16)].concat());
    verify(&world, WALLET_1271, &wrapped).await.unwrap();
    let absent = Address::repeat_byte(0x55);
    assert_eq!(code(verify(&world, absent, &wrapped).await.map(drop)), "invalid_siwx_signature");
}

#[tokio::test(start_paused = true)]
async fn wallets_that_burn_gas_answer_too_much_or_lie_do_not_sign_in() {
    let world = World::hostile(Mining::Auto);
    for wallet in [
        GAS_BURNER_WALLET,
        HUGE_ANSWER_WALLET,
        PADDED_MAGIC_WALLET,
        DIRTY_MAGIC_WALLET,
        SHORT_MAGIC_WALLET,
        REVERTING_WALLET,
        USDC,
    ] {
        let signature = signed(&world, wallet, STRANGER).await;
        assert_eq!(code(verify(&world, wallet, &signature).await.map(drop)), "invalid_siwx_signature", "{wallet}");
        assert_eq!(world.devnet.calls().round_trips, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_in_trouble_or_of_another_chain_is_a_fault_and_no_verdict() {
    let world = World::new();
    let signature = signed(&world, WALLET_1271, STRANGER).await;
    for (trouble, kind) in [(Fault::DropAnswer, FaultKind::Unreachable), (Fault::Status(429), FaultKind::Overloaded)] {
        world.devnet.inject("eth_call", trouble, 1);
        let fault = crate::support::fault(verify(&world, WALLET_1271, &signature).await);
        assert_eq!(fault.kind, kind, "{fault}");
    }
    let world = World::with(Mining::Auto, |chain| chain.chain_id(8453), |evm| evm);
    let fault = crate::support::fault(verify(&world, WALLET_1271, &signature).await);
    assert!(fault.message.contains("chain 8453"), "{fault}");
}
