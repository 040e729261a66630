//! For applications built on the Solana SDK's whole crates: their client and their keys, handed over in a line each.
//! The types are the SDK's own; `solana_client`'s client is the one that [`SolanaBuilder::rpc`] takes anyway.

use crate::rpc::{CallError, cut};
use crate::{Solana, SolanaBuilder};
use async_trait::async_trait;
use solana_client::nonblocking::rpc_client::RpcClient;
use solana_sdk::signer::{Signer as SdkSign, SignerError};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tollway_core::{Fault, FaultKind, Signable, Signer};

/// How long a node may take to say which network it is of.
const PATIENCE: Duration = Duration::from_secs(10);
/// How much of a genesis hash names a network (CAIP-30).
const REFERENCE: usize = 32;

impl Solana {
    /// Starts the network that a client of the SDK's is connected to. Asks it for the genesis hash, by which networks
    /// are named. A blocking client has this one inside: `client.get_inner_client().clone()`.
    ///
    /// # Errors
    /// The node did not answer within ten seconds, or not with a genesis hash.
    pub async fn of(client: Arc<RpcClient>) -> Result<SolanaBuilder, Fault> {
        let asking = "asking the Solana client's node for its genesis hash";
        let hash = match tokio::time::timeout(PATIENCE, client.get_genesis_hash()).await {
            Err(_) => return Err(Fault::new(FaultKind::Timeout, format!("{asking}: no answer within {PATIENCE:?}"))),
            Ok(Err(why)) => {
                let why = CallError::from(why);
                return Err(Fault::new(FaultKind::Unreachable, format!("{asking}: {why}; check the client's URL")));
            }
            Ok(Ok(hash)) => hash.to_string(),
        };
        let id = hash.get(..REFERENCE).and_then(|reference| format!("solana:{reference}").parse().ok());
        let id = id.ok_or_else(|| Fault::new(FaultKind::Invalid, format!("{asking}: `{hash}` is none")))?;
        Ok(Self::builder(id).rpc(client))
    }
}

/// A signer of the SDK's: a `Keypair`, a hardware wallet, a `Box` or an `Arc` of any. One that asks somebody to press a
/// button does so on a thread of its own.
pub struct SdkSigner {
    signer: Arc<dyn SdkSign + Send + Sync>,
    address: String,
}

impl SdkSigner {
    /// Takes over a signer.
    ///
    /// # Errors
    /// It cannot say its address: a wallet that is not plugged in, for instance.
    pub fn new(signer: impl SdkSign + Send + Sync + 'static) -> Result<Self, String> {
        let address = signer.try_pubkey().map_err(|why| format!("the signer does not say its address: {why}"))?;
        Ok(Self { signer: Arc::new(signer), address: address.to_string() })
    }
}

impl fmt::Debug for SdkSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SdkSigner").field("address", &self.address).finish_non_exhaustive()
    }
}

#[async_trait]
impl Signer for SdkSigner {
    fn address(&self) -> &str {
        &self.address
    }

    async fn sign(&self, what: Signable<'_>) -> Result<Vec<u8>, Fault> {
        let message = match what {
            Signable::Digest(digest) => &digest[..],
            Signable::Message(message) => message,
            _ => return Err(Fault::new(FaultKind::Configuration, "a Solana signer cannot sign this kind of thing")),
        };
        let runtime = tokio::runtime::Handle::try_current().ok().filter(|_| self.signer.is_interactive());
        let signature = match runtime {
            None => self.signer.try_sign_message(message),
            Some(runtime) => {
                let (signer, message) = (self.signer.clone(), message.to_vec());
                let signing = runtime.spawn_blocking(move || signer.try_sign_message(&message));
                signing.await.map_err(|_| Fault::new(FaultKind::Internal, "the Solana signer panicked"))?
            }
        };
        let signature = signature.map_err(|why| {
            let kind = match why {
                SignerError::Connection(_) | SignerError::Protocol(_) => FaultKind::Unreachable,
                _ => FaultKind::Configuration,
            };
            Fault::new(kind, cut(&format!("the signer of {} did not sign: {why}", self.address)))
        })?;
        Ok(signature.as_ref().to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test::{CLIENT_SEED, Script, Silent, block_on, client_over, key};
    use serde_json::json;
    use solana_sdk::pubkey::Pubkey;
    use solana_sdk::signature::{Keypair, Signature};
    use solana_sdk::signer::keypair::keypair_from_seed;
    use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
    use std::thread::{ThreadId, current};
    use tollway_core::Network as _;

    fn keypair() -> Keypair {
        let byte = |at: usize| u8::from_str_radix(&CLIENT_SEED[2 * at..2 * at + 2], 16).unwrap();
        keypair_from_seed(&std::array::from_fn::<u8, 32, _>(byte)).unwrap()
    }

    #[test]
    fn a_keypair_signs_as_the_local_key_does() {
        let (sdk, local) = (SdkSigner::new(keypair()).unwrap(), key(CLIENT_SEED));
        assert_eq!(sdk.address(), local.address());
        for what in [Signable::Message(b"message"), Signable::Digest(&[7; 32])] {
            assert_eq!(block_on(sdk.sign(what)).unwrap(), block_on(local.sign(what)).unwrap());
        }
        let shown = format!("{sdk:?}");
        assert!(shown.contains(sdk.address()) && !shown.contains("245, 173") && !shown.contains("f5ad"), "{shown}");
        assert!(SdkSigner::new(Arc::new(keypair())).is_ok(), "shared with the application");
    }

    /// A wallet with a button, which may be refused; remembers on which thread it was pressed.
    struct Wallet {
        refuses: AtomicBool,
        pressed: std::sync::Mutex<Option<ThreadId>>,
    }

    impl SdkSign for Wallet {
        fn try_pubkey(&self) -> Result<Pubkey, SignerError> {
            keypair().try_pubkey()
        }
        fn try_sign_message(&self, message: &[u8]) -> Result<Signature, SignerError> {
            *self.pressed.lock().unwrap() = Some(current().id());
            match self.refuses.load(Relaxed) {
                true => Err(SignerError::UserCancel("cancelled by the user".to_owned())),
                false => keypair().try_sign_message(message),
            }
        }
        fn is_interactive(&self) -> bool {
            true
        }
    }

    #[test]
    fn a_wallet_with_a_button_holds_up_nobody_and_may_refuse() {
        let wallet = Arc::new(Wallet { refuses: AtomicBool::new(false), pressed: Default::default() });
        let signer = SdkSigner::new(wallet.clone()).unwrap();
        let signature = block_on(signer.sign(Signable::Message(b"message"))).unwrap();
        assert_eq!(signature, block_on(key(CLIENT_SEED).sign(Signable::Message(b"message"))).unwrap());
        assert_ne!(wallet.pressed.lock().unwrap().unwrap(), current().id());
        wallet.refuses.store(true, Relaxed);
        let fault = block_on(signer.sign(Signable::Message(b"message"))).unwrap_err();
        assert!(fault.message.contains("cancelled by the user") && fault.message.contains(signer.address()), "{fault}");
    }

    #[test]
    fn a_signer_without_an_address_is_refused() {
        struct Unplugged;
        impl SdkSign for Unplugged {
            fn try_pubkey(&self) -> Result<Pubkey, SignerError> {
                Err(SignerError::NoDeviceFound)
            }
            fn try_sign_message(&self, _: &[u8]) -> Result<Signature, SignerError> {
                Err(SignerError::NoDeviceFound)
            }
            fn is_interactive(&self) -> bool {
                true
            }
        }
        let error = SdkSigner::new(Unplugged).unwrap_err();
        assert!(error.contains("no device found"), "{error}");
    }

    #[tokio::test(start_paused = true)]
    async fn the_network_is_the_one_whose_genesis_the_node_tells() {
        let script = Script::default();
        script.on("getGenesisHash", |_| Ok(json!("5eykt4UsFv8P8NJdTREpY1vzqKqZKvdpKuc147dw2N9d")));
        let network = Solana::of(client_over(script.clone())).await.unwrap().build().unwrap();
        assert_eq!(network.id().as_str(), "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp");
        assert_eq!(network.assets()[0].symbol, "USDC");
        assert!(network.settler().is_some(), "it has the client as its node");

        script.on("getGenesisHash", |_| Err((-32005, "behind".to_owned())));
        let fault = Solana::of(client_over(script)).await.map(|_| ()).unwrap_err();
        assert!(fault.kind == FaultKind::Unreachable && fault.message.contains("behind"), "{fault}");
        let fault = Solana::of(client_over(Silent)).await.map(|_| ()).unwrap_err();
        assert_eq!(fault.kind, FaultKind::Timeout);
    }
}
