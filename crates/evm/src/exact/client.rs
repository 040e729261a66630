//! [`ExactClient`]: signs EIP-3009 transfers and, where the offer asks for them, permits for Permit2, and only those whose offer agrees with what is known of the token.

use super::types::{Authorization, Eip3009Payload, Extra, Payload, word_of};
use super::{Exact, offer_address};
use crate::address::parse_address;
use crate::assets::{self, EIP3009};
use crate::permit2::{self, Permit2Payload};
use crate::signer::sign_digest;
use crate::{Evm, codes};
use alloy::primitives::{Address, B256};
use serde_json::Value;
use std::fmt;
use std::sync::Arc;
use tollway_core::codes::INVALID_NETWORK;
use tollway_core::{
    Ask, Asset, Build, BuildContext, Fault, FaultKind, NoConfig, Payment, Rejected, Result, SchemeClient, Signed,
    Signer, Standing,
};

/// Where nonces come from. Exchanged by tests that must reproduce a signature.
pub(crate) type Entropy = fn(&mut [u8; 32]) -> Result<(), Fault>;

/// The paying side of `exact`. Needs no RPC; with one it can also tell what became of a payment.
pub struct ExactClient {
    network: Arc<Evm>,
    signer: Arc<dyn Signer>,
    address: Address,
    entropy: Entropy,
}

impl ExactClient {
    /// A client that pays with this key.
    ///
    /// # Errors
    /// The signer's address is no EVM address.
    pub fn new(network: Arc<Evm>, signer: Arc<dyn Signer>) -> Result<Self, String> {
        Self::with_entropy(network, signer, random)
    }

    fn with_entropy(network: Arc<Evm>, signer: Arc<dyn Signer>, entropy: Entropy) -> Result<Self, String> {
        let address = parse_address(signer.address())
            .ok_or_else(|| format!("the signer's address `{}` is no EVM address; check its kind", signer.address()))?;
        Ok(Self { network, signer, address, entropy })
    }

    /// Refuses an offer that asks for something else than it says.
    fn examine(&self, ask: &Ask<'_, Exact>) -> Result<(), Rejected> {
        let (offer, extra) = (ask.offer, &ask.extra);
        if offer.network != *self.network.chain_name() {
            let message =
                format!("the offer is on {}, this client is for {}", offer.network, self.network.chain_name());
            return Err(Rejected::new(INVALID_NETWORK).because(message));
        }
        if extra.method() == permit2::METHOD {
            // What is signed is for Permit2, so the token's own domain does not matter.
            return Ok(());
        }
        if extra.method() != EIP3009 {
            let shown: String = extra.method().chars().take(64).collect();
            let message = format!("this client pays by eip3009 and permit2, the offer wants {shown}");
            return Err(Rejected::new(codes::UNSUPPORTED_METHOD).because(message));
        }
        if extra.domain().is_none() {
            let message = "the offer names no EIP-712 name and version of its token (extra.name, extra.version)";
            return Err(Rejected::new(codes::MISSING_DOMAIN).because(message));
        }
        match self.network.known_asset(&offer.asset) {
            Some(asset) => agrees(asset, EIP3009, extra),
            // An unknown token is the policy's to allow: its own address is in the domain, so a signature for it is
            // good for nothing else.
            None => Ok(()),
        }
    }
}

/// Holds an offer in a known token to what is known: a server that calls a token by another name, or counts it in
/// other units, is mistaken or lying.
pub(crate) fn agrees(asset: &Asset, method: &str, extra: &Extra) -> Result<(), Rejected> {
    // Permit2 moves any token; EIP-3009 is for those that have it.
    if method == EIP3009 && assets::method(asset) != EIP3009 {
        let message = format!("{} is paid by {}, not by eip3009", asset.symbol, assets::method(asset));
        return Err(Rejected::new(codes::UNSUPPORTED_METHOD).because(message));
    }
    for (member, offered, code) in
        [("name", &extra.name, codes::TOKEN_NAME), ("version", &extra.version, codes::TOKEN_VERSION)]
    {
        let Some(offered) = offered else { continue };
        let known = assets::text(asset, member);
        if known.is_some_and(|known| known != offered) {
            let shown: String = offered.chars().take(64).collect();
            let message = format!(
                "the offer gives {} the {member} `{shown}`, known is `{}`",
                asset.symbol,
                known.unwrap_or_default()
            );
            return Err(Rejected::new(code).because(message));
        }
    }
    let same = match &extra.decimals {
        None | Some(Value::Null) => true,
        Some(Value::String(text)) => text.parse() == Ok(asset.decimals),
        Some(other) => other.as_u64() == Some(u64::from(asset.decimals)),
    };
    if !same {
        let message = format!("the offer gives {} other decimals than the known {}", asset.symbol, asset.decimals);
        return Err(Rejected::new(tollway_core::codes::INVALID_PAYMENT_REQUIREMENTS).because(message));
    }
    Ok(())
}

pub(crate) fn random(nonce: &mut [u8; 32]) -> Result<(), Fault> {
    getrandom::fill(nonce).map_err(|why| {
        Fault::new(FaultKind::Internal, format!("the system gave no random bytes for a payment's nonce: {why}"))
    })
}

impl SchemeClient for ExactClient {
    type Scheme = Exact;

    async fn sign(&self, ask: Ask<'_, Exact>) -> Result<Signed<Payload>> {
        self.examine(&ask)?;
        let offer = ask.offer;
        let (asset, pay_to) = (offer_address(offer, "asset")?, offer_address(offer, "payTo")?);
        let end = self.network.now().checked_add(offer.max_timeout_seconds.get()).ok_or_else(|| {
            Rejected::new(codes::VALID_BEFORE).because("the offer's maxTimeoutSeconds is beyond the end of time")
        })?;
        let mut nonce = [0; 32];
        (self.entropy)(&mut nonce)?;
        if ask.extra.method() == permit2::METHOD {
            let asked = (offer, &ask.extra);
            let signed =
                permit2::sign(&permit2::EXACT, &self.network, &*self.signer, self.address, asked, None, nonce).await?;
            let (permit, signature, end) = signed;
            return Ok(Signed::new(Payload::Permit2(Permit2Payload::new(permit.to_exact(), signature))).dead_after(end));
        }
        let authorization = Authorization::new(self.address, pay_to, offer.amount, end, B256::new(nonce));
        let (name, version) = ask.extra.domain().unwrap_or_default();
        let digest = authorization.transfer().digest(&self.network.domains().separator(asset, name, version));
        let signature = sign_digest(&*self.signer, self.address, &digest).await?;
        let payload = Eip3009Payload::new(authorization, alloy::hex::encode_prefixed(signature.to_bytes()));
        Ok(Signed::new(Payload::Eip3009(payload)).dead_after(end))
    }

    async fn standing(&self, payment: &Payment<'_, Exact>) -> Result<Standing> {
        let authorization = match &payment.payload {
            Payload::Eip3009(payload) => &payload.authorization,
            Payload::Permit2(payload) => {
                return permit2::permit_state(&self.network, &payload.permit2_authorization.permit()).await;
            }
        };
        let Ok(chain) = self.network.chain() else { return Ok(Standing::Unknown) };
        let asset = offer_address(payment.offer, "asset")?;
        // The chain's own time at the block asked: this computer's clock cannot prove that the chain is past the end.
        let (used, time) = chain.authorization_state(asset, authorization.from, authorization.nonce).await?;
        Ok(match used {
            // A cancelled authorization counts as used too. Taking it for spent errs on the budget's safe side.
            true => Standing::Spent,
            false if alloy::primitives::U256::from(time) >= word_of(authorization.valid_before) => Standing::Dead,
            false => Standing::Open,
        })
    }
}

impl fmt::Debug for ExactClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExactClient")
            .field("network", self.network.chain_name())
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl Build for ExactClient {
    type Config = NoConfig;

    async fn build(_: NoConfig, cx: BuildContext) -> Result<Self, String> {
        Self::new(cx.network()?, cx.signer()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LocalKey;
    use crate::test::{CLIENT_KEY, GOLDEN_NONCE, Hour, block_on, golden_offer, golden_payment};
    use tollway_core::erased::ClientDyn;
    use tollway_core::{Failure, NetworkId, PaymentRequirements, ResourceInfo};

    fn shop() -> ResourceInfo {
        ResourceInfo::new("https://shop.test/report")
    }

    /// When the golden payment was signed.
    const THEN: u64 = 1_795_188_022 - 300;

    fn client(id: &str) -> ExactClient {
        let id: NetworkId = id.parse().unwrap();
        let network = Evm::builder(id).clock(Arc::new(Hour(THEN))).build().unwrap();
        let signer = Arc::new(LocalKey::from_hex(CLIENT_KEY).unwrap());
        let golden = |nonce: &mut [u8; 32]| {
            *nonce = GOLDEN_NONCE.0;
            Ok(())
        };
        ExactClient::with_entropy(Arc::new(network), signer, golden).unwrap()
    }

    fn sign(offer: &PaymentRequirements) -> Result<tollway_core::Signed<Value>> {
        block_on(ClientDyn::sign(&client("eip155:84532"), offer, &shop()))
    }

    fn refused(offer: &PaymentRequirements) -> (String, String) {
        match sign(offer).unwrap_err() {
            Failure::Rejected(rejected) => (rejected.code.to_string(), rejected.message.unwrap_or_default()),
            Failure::Fault(fault) => panic!("{fault}"),
        }
    }

    #[test]
    fn the_golden_payment_is_reproduced_to_the_byte() {
        let signed = sign(&golden_offer()).unwrap();
        assert_eq!(signed.payload, golden_payment().payload);
        assert_eq!(signed.dead_after, Some(1_795_188_022));
    }

    #[test]
    fn nonces_are_random() {
        let network = Arc::new(Evm::builder("eip155:84532".parse().unwrap()).build().unwrap());
        let client = ExactClient::new(network, Arc::new(LocalKey::from_hex(CLIENT_KEY).unwrap())).unwrap();
        let offer = golden_offer();
        let nonce = || {
            let signed = block_on(ClientDyn::sign(&client, &offer, &shop())).unwrap();
            signed.payload["authorization"]["nonce"].as_str().unwrap().to_owned()
        };
        assert_ne!(nonce(), nonce());
    }

    #[test]
    fn a_network_that_is_not_configured_is_refused() {
        let other = client("eip155:8453");
        let offer = golden_offer();
        let failure = block_on(ClientDyn::sign(&other, &offer, &shop())).unwrap_err();
        assert_eq!(failure.rejected().unwrap().code, INVALID_NETWORK);
    }

    #[test]
    fn an_offer_without_a_domain_is_refused() {
        for member in ["name", "version"] {
            let mut offer = golden_offer();
            offer.extra.as_mut().unwrap().remove(member);
            assert_eq!(refused(&offer).0, "invalid_exact_evm_missing_eip712_domain");
        }
    }

    #[test]
    fn a_known_asset_under_another_name_version_or_decimals_is_refused() {
        let mut offer = golden_offer().with_extra("name", "USD Coin");
        assert_eq!(refused(&offer).0, "invalid_exact_evm_token_name_mismatch");
        // Spelled otherwise it is the same asset.
        offer.asset = offer.asset.to_lowercase();
        assert_eq!(refused(&offer).0, "invalid_exact_evm_token_name_mismatch");
        let offer = golden_offer().with_extra("version", "1");
        assert_eq!(refused(&offer).0, "invalid_exact_evm_token_version_mismatch");
        for wrong in [Value::from(18), "18".into(), Value::from(6.5), true.into()] {
            let offer = golden_offer().with_extra("decimals", wrong);
            assert_eq!(refused(&offer).0, "invalid_payment_requirements");
        }
        assert!(sign(&golden_offer().with_extra("decimals", 6)).is_ok());
        assert!(sign(&golden_offer().with_extra("decimals", "6")).is_ok());
    }

    #[test]
    fn another_transfer_method_is_refused() {
        let offer = golden_offer().with_extra("assetTransferMethod", "erc7710");
        assert_eq!(refused(&offer).0, "unsupported_asset_transfer_method");
        assert!(sign(&golden_offer().with_extra("assetTransferMethod", "eip3009")).is_ok());
        let mezo = client("eip155:31611");
        let mut offer = golden_offer().with_extra("name", "Mezo USD").with_extra("version", "1");
        offer.network = "eip155:31611".parse().unwrap();
        offer.asset = "0x118917a40FAF1CD7a13dB0Ef56C86De7973Ac503".to_owned();
        let failure = block_on(ClientDyn::sign(&mezo, &offer, &shop())).unwrap_err();
        assert!(failure.to_string().contains("permit2"), "{failure}");
    }

    #[test]
    fn addresses_that_are_none_are_refused() {
        let mut offer = golden_offer();
        offer.pay_to = "alice.eth".to_owned();
        assert_eq!(refused(&offer).0, "invalid_payment_requirements");
    }

    #[test]
    fn an_endless_authorization_is_refused() {
        let offer = golden_offer().with_timeout(std::num::NonZeroU64::MAX);
        assert_eq!(refused(&offer).0, "invalid_exact_evm_payload_authorization_valid_before");
    }

    #[test]
    fn without_rpc_the_standing_is_unknown() {
        let (raw, offer) = (golden_payment(), golden_offer());
        let standing = block_on(ClientDyn::standing(&client("eip155:84532"), &raw, &offer)).unwrap();
        assert_eq!(standing, Standing::Unknown);
    }
}
