//! How wallets of the fake chain sign in: by saying so.

use super::{FakeChain, canonical};
use async_trait::async_trait;
use std::hash::{DefaultHasher, Hash, Hasher};
use tollway_core::{
    AccountId, Fault, FaultKind, Network, Rejected, Result, SignIn, SignInInfo, Signable, SignedIn, Signer, codes,
};

/// What a wallet signs: enough of it to tell one challenge from another.
fn message(info: &SignInInfo, address: &str) -> String {
    let text = serde_json::to_string(info).unwrap_or_default();
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    format!("{address} signs in by {:016x}", hasher.finish())
}

/// Addresses that begin with `contract` are wallets of one network; all others are keys, the same everywhere.
#[async_trait]
impl SignIn for FakeChain {
    fn kind(&self) -> &'static str {
        "fake"
    }

    async fn sign(&self, info: &SignInInfo, signer: &(dyn Signer + 'static)) -> Result<String> {
        let message = message(info, &canonical(signer.address())?);
        let signed = signer.sign(Signable::Message(message.as_bytes())).await?;
        String::from_utf8(signed).map_err(|_| Fault::new(FaultKind::Invalid, "a fake key signs with text").into())
    }

    async fn verify(&self, info: &SignInInfo, address: &str, signature: &str) -> Result<SignedIn> {
        let address = canonical(address)?;
        if signature != message(info, &address) {
            return Err(Rejected::new(codes::INVALID_SIWX_SIGNATURE).into());
        }
        let signed = SignedIn::new(AccountId::new(self.id().clone(), &address));
        Ok(if address.starts_with("contract") { signed } else { signed.everywhere() })
    }
}
