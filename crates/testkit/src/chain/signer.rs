//! [`FakeSigner`]: a key that is a name.

use async_trait::async_trait;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use tollway_core::{Build, BuildContext, Fault, FaultKind, KeyConfig, Signable, Signer};

/// Signs for an address. Not cryptography: the fake scheme's signatures are plain statements.
pub struct FakeSigner {
    address: String,
}

impl fmt::Debug for FakeSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeSigner").field("address", &self.address).finish_non_exhaustive()
    }
}

impl FakeSigner {
    /// The signer of an address.
    pub fn new(address: &str) -> Self {
        Self { address: address.to_ascii_lowercase() }
    }

    /// For a builder's `signer` method.
    pub fn shared(address: &str) -> Arc<dyn Signer> {
        Arc::new(Self::new(address))
    }
}

impl Build for FakeSigner {
    type Config = KeyConfig;
    const EXAMPLE: &'static str = r#"{ "key": "env:FAKE_KEY" }"#;

    async fn build(config: KeyConfig, cx: BuildContext) -> Result<Self, String> {
        let secret = cx.secrets.resolve(&config.key)?;
        let mut hasher = DefaultHasher::new();
        secret.expose().hash(&mut hasher);
        Ok(Self { address: format!("payer-{:016x}", hasher.finish()) })
    }
}

#[async_trait]
impl Signer for FakeSigner {
    fn address(&self) -> &str {
        &self.address
    }

    async fn sign(&self, what: Signable<'_>) -> Result<Vec<u8>, Fault> {
        match what {
            Signable::Message(message) => Ok(message.to_vec()),
            _ => Err(Fault::new(FaultKind::Configuration, "a fake key signs messages and nothing else")),
        }
    }
}
