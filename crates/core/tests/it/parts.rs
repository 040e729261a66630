//! The smallest possible parts, to fill registries with.

use serde::Deserialize;
use tollway_core::{
    Asset, Build, BuildContext, Candidate, Claim, ClaimKey, FacilitatorSelector, Network, NetworkId, NoConfig, Nothing,
    Payment, PaymentRequirements, Plugin, Rejected, Scheme, SchemeServer, ServerExtension, SupportedKind,
};

/// A network that says where it was opened and by which plug-in.
pub(crate) struct Chain {
    id: NetworkId,
    assets: Vec<Asset>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChainConfig {
    id: NetworkId,
    #[serde(default)]
    symbol: String,
}

impl Build for Chain {
    type Config = ChainConfig;
    const EXAMPLE: &'static str = r#"{ "symbol": "COIN" }"#;

    async fn build(config: ChainConfig, _: BuildContext) -> Result<Self, String> {
        match config.symbol.as_str() {
            "BAD" => Err("`symbol` may not be BAD; choose another".to_owned()),
            symbol => Ok(Self { id: config.id, assets: vec![Asset::new("coin", symbol, 6)] }),
        }
    }
}

impl Network for Chain {
    fn id(&self) -> &NetworkId {
        &self.id
    }

    fn assets(&self) -> &[Asset] {
        &self.assets
    }

    fn canonical(&self, address: &str) -> Result<String, Rejected> {
        Ok(address.to_ascii_lowercase())
    }
}

/// The same network under a second type, so that tests can tell which factory ran.
pub(crate) struct SpecialChain(Chain);

impl Build for SpecialChain {
    type Config = ChainConfig;

    async fn build(config: ChainConfig, cx: BuildContext) -> Result<Self, String> {
        let mut chain = Chain::build(config, cx).await?;
        chain.assets[0].symbol = "SPECIAL".to_owned();
        Ok(Self(chain))
    }
}

impl Network for SpecialChain {
    fn id(&self) -> &NetworkId {
        self.0.id()
    }

    fn assets(&self) -> &[Asset] {
        self.0.assets()
    }

    fn canonical(&self, address: &str) -> Result<String, Rejected> {
        self.0.canonical(address)
    }
}

/// A scheme whose selling side writes where it was made into its offers.
pub(crate) struct Flat;

impl Scheme for Flat {
    const NAME: &'static str = "flat";
    type Payload = Nothing;
    type Extra = Nothing;

    fn claim(payment: &Payment<'_, Self>) -> Result<Claim, Rejected> {
        let network = &payment.offer.network;
        Ok(Claim::new(ClaimKey::new(network, "flat", &[]), tollway_core::AccountId::new(network.clone(), "nobody")))
    }
}

pub(crate) struct FlatServer {
    made_for: String,
}

impl Build for FlatServer {
    type Config = NoConfig;

    async fn build(_: NoConfig, cx: BuildContext) -> Result<Self, String> {
        let network = cx.network::<Chain>()?;
        Ok(Self { made_for: network.id().to_string() })
    }
}

impl SchemeServer for FlatServer {
    type Scheme = Flat;

    fn offer(&self, draft: PaymentRequirements, _: &SupportedKind) -> Result<PaymentRequirements, String> {
        Ok(draft.with_extra("madeFor", self.made_for.clone()))
    }
}

/// An extension and a selector, which belong to no network.
pub(crate) struct Silent;

impl Build for Silent {
    type Config = NoConfig;

    async fn build(_: NoConfig, _: BuildContext) -> Result<Self, String> {
        Ok(Self)
    }
}

impl ServerExtension for Silent {
    fn key(&self) -> &'static str {
        "silent"
    }
}

impl FacilitatorSelector for Silent {
    fn rank(&self, candidates: &mut [Candidate<'_>]) {
        candidates.reverse();
    }
}

pub(crate) const CHAIN: Plugin = Plugin::new("chain", "a chain for tests", |r| {
    r.network::<Chain>("test:*").server::<FlatServer>("test:*");
});
pub(crate) const SPECIAL: Plugin = Plugin::new("special", "one network of another type", |r| {
    r.network::<SpecialChain>("test:special");
});
pub(crate) const EXTRAS: Plugin = Plugin::new("extras", "parts of no network", |r| {
    r.server_extension::<Silent>("silent", "quiet").selector::<Silent>("backwards");
});
