//! [`Solana`]: one cluster, opened once and shared by its schemes.

use crate::address::{parse_address, shown};
use crate::assets::{self, Token};
use crate::chain::Chain;
use crate::config::{Commitment, SolanaConfig, TokenConfig, TokenProgram};
use crate::rpc::Rpc;
use crate::transport::HttpTransport;
use solana_pubkey::Pubkey;
use solana_rpc_client::nonblocking::rpc_client::RpcClient;
use solana_rpc_client::rpc_client::RpcClientConfig;
use std::fmt;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;
use tollway_core::codes::INVALID_PAYLOAD;
use tollway_core::{
    Asset, Build, BuildContext, Fault, FaultKind, Network, NetworkId, NetworkWords, Rejected, Settler, SignIn,
    Vocabulary,
};

/// A cluster: its tokens and, where a node is configured, all that paying, verifying and settling share.
///
/// Opening it contacts nobody. Clients and servers get by without a node, as long as the other has one.
pub struct Solana {
    id: NetworkId,
    assets: Vec<Asset>,
    /// What is known of the assets beyond what offers say, in their order.
    tokens: Vec<Token>,
    chain: Option<Chain>,
}

impl Solana {
    /// Starts a network for embedding, with the known tokens and no node.
    ///
    /// ```
    /// # use tollway_core::Network as _;
    /// let devnet = tollway_solana::Solana::builder("solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1".parse()?).build()?;
    /// assert_eq!(devnet.assets()[0].symbol, "USDC");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn builder(id: NetworkId) -> SolanaBuilder {
        SolanaBuilder {
            id,
            client: None,
            tokens: Vec::new(),
            commitment: Commitment::default(),
            rpc_timeout: Duration::from_secs(10),
            settle_timeout: Duration::from_secs(60),
            poll: Duration::from_millis(100),
        }
    }

    /// What a node makes possible.
    ///
    /// # Errors
    /// None is configured.
    pub(crate) fn chain(&self) -> Result<&Chain, Fault> {
        self.chain.as_ref().ok_or_else(|| {
            let message = format!("{id} has no node; set networks.\"{id}\".rpc to the URL of one", id = self.id);
            Fault::new(FaultKind::Configuration, message)
        })
    }

    /// The node, if there is one.
    pub(crate) fn node(&self) -> Option<&Chain> {
        self.chain.as_ref()
    }

    /// The known token with this mint.
    pub(crate) fn known_token(&self, mint: &Pubkey) -> Option<&Token> {
        self.tokens.iter().find(|token| token.mint == *mint)
    }
}

impl Network for Solana {
    fn id(&self) -> &NetworkId {
        &self.id
    }

    fn assets(&self) -> &[Asset] {
        &self.assets
    }

    /// Base58 of 32 bytes, the only spelling there is.
    fn canonical(&self, address: &str) -> Result<String, Rejected> {
        parse_address(address).map(|address| address.to_string()).ok_or_else(|| {
            let message =
                format!("`{}` is no Solana address (base58 of 32 bytes; letter case matters)", shown(address));
            Rejected::new(INVALID_PAYLOAD).because(message)
        })
    }

    fn words(id: &NetworkId) -> NetworkWords {
        assets::words(id.reference())
    }

    fn vocabulary() -> Vocabulary {
        assets::vocabulary()
    }

    fn settler(&self) -> Option<&dyn Settler> {
        self.chain.as_ref().map(|chain| chain as &dyn Settler)
    }

    fn sign_in(&self) -> Option<&dyn SignIn> {
        Some(self)
    }

    fn asset(&self, address: &str) -> Option<&Asset> {
        let mint = parse_address(address)?;
        self.known_token(&mint).map(|token| &token.asset)
    }
}

impl fmt::Debug for Solana {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Solana").field("id", &self.id).field("node", &self.chain.is_some()).finish_non_exhaustive()
    }
}

/// Sets up a [`Solana`] in code.
#[must_use]
pub struct SolanaBuilder {
    id: NetworkId,
    client: Option<Arc<RpcClient>>,
    tokens: Vec<TokenConfig>,
    commitment: Commitment,
    rpc_timeout: Duration,
    settle_timeout: Duration,
    poll: Duration,
}

impl fmt::Debug for SolanaBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SolanaBuilder").field("id", &self.id).finish_non_exhaustive()
    }
}

impl SolanaBuilder {
    /// The node, by a client of the Solana SDK's with any sender: an embedded chain, a pool of nodes.
    pub fn rpc(mut self, client: Arc<RpcClient>) -> Self {
        self.client = Some(client);
        self
    }

    /// A node by its URL.
    ///
    /// # Errors
    /// The URL is neither https nor loopback.
    pub fn rpc_url(self, url: &str) -> Result<Self, String> {
        let client = RpcClient::new_sender(HttpTransport::new(url)?, RpcClientConfig::default());
        Ok(self.rpc(Arc::new(client)))
    }

    /// Tokens beyond those known; one with a known token's mint replaces it.
    pub fn tokens(mut self, tokens: impl IntoIterator<Item = TokenConfig>) -> Self {
        self.tokens.extend(tokens);
        self
    }

    /// How sure a settlement must be; `confirmed` where not set.
    pub fn commitment(mut self, commitment: Commitment) -> Self {
        self.commitment = commitment;
        self
    }

    /// How long a node may take for an answer; 10 s where not set.
    pub fn rpc_timeout(mut self, time: Duration) -> Self {
        self.rpc_timeout = time;
        self
    }

    /// How long a settlement waits to be confirmed before it is pending; 60 s where not set.
    pub fn settle_timeout(mut self, time: Duration) -> Self {
        self.settle_timeout = time;
        self
    }

    /// Least time between two looks at the settlements under way; 100 ms where not set.
    pub fn poll(mut self, time: Duration) -> Self {
        self.poll = time;
        self
    }

    /// Opens the network. Contacts nobody.
    ///
    /// # Errors
    /// The id is no `solana:<genesis hash>`, or a token's address is none.
    pub fn build(self) -> Result<Solana, String> {
        let id = self.id;
        let tokens = merge(assets::known(genesis(&id)?), &self.tokens)?;
        let assets = tokens.iter().map(|token| token.asset.clone()).collect();
        let chain = self.client.map(|client| {
            Chain::new(Rpc::new(id.clone(), client, self.rpc_timeout, self.commitment), self.poll, self.settle_timeout)
        });
        Ok(Solana { id, assets, tokens, chain })
    }
}

/// The reference of a `solana` network: 32 characters of base58, the beginning of a genesis hash (CAIP-30).
fn genesis(id: &NetworkId) -> Result<&str, String> {
    let reference = Some(id.reference()).filter(|_| id.namespace() == "solana");
    let base58 = |byte: u8| byte.is_ascii_alphanumeric() && !b"0OIl".contains(&byte);
    reference.filter(|reference| reference.len() == 32 && reference.bytes().all(base58)).ok_or_else(|| {
        format!(
            "`{id}` is no Solana network; write solana: and the first 32 characters of the genesis hash, such as \
             solana:{} for mainnet",
            assets::MAINNET
        )
    })
}

/// The known tokens, corrected and extended.
fn merge(mut tokens: Vec<Token>, own: &[TokenConfig]) -> Result<Vec<Token>, String> {
    for config in own {
        let Some(mint) = parse_address(&config.address) else {
            return Err(format!("the address `{}` of {} is no Solana address", shown(&config.address), config.symbol));
        };
        let program = config.program.map(TokenProgram::address);
        let token = Token { asset: config.asset(), mint, program, listed: false };
        match tokens.iter_mut().find(|known| known.mint == mint) {
            Some(known) => *known = token,
            None => tokens.push(token),
        }
    }
    Ok(tokens)
}

impl Build for Solana {
    type Config = SolanaConfig;
    const EXAMPLE: &'static str = r#"{
  "id": "solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1",
  "rpc": "https://api.devnet.solana.com",
  "assets": [{
    "address": "8qbHbw2BbbTHBW1sbeqakYXVKRQM8Ne7pLK7m6CVfeR", "symbol": "MYUSD", "decimals": 6, "program": "token-2022"
  }],
  "commitment": "confirmed",
  "rpcTimeoutMs": 10000,
  "settleTimeoutSeconds": 60,
  "pollMs": 100
}"#;

    async fn build(config: SolanaConfig, cx: BuildContext) -> Result<Self, String> {
        let mut builder = Self::builder(config.id).commitment(config.commitment).tokens(config.assets);
        if let Some(rpc) = config.rpc {
            builder = builder.rpc_url(&rpc.resolve(&*cx.secrets)?)?;
        }
        if let Some(time) = config.rpc_timeout_ms {
            builder = builder.rpc_timeout(Duration::from_millis(time.get()));
        }
        if let Some(time) = config.settle_timeout_seconds.map(NonZeroU64::get) {
            builder = builder.settle_timeout(Duration::from_secs(time.min(MOST_SECONDS)));
        }
        if let Some(time) = config.poll_ms {
            builder = builder.poll(Duration::from_millis(time.get().min(MOST_SECONDS)));
        }
        builder.build()
    }
}

/// Longest time a configuration may set; a point in time that far off can still be named.
const MOST_SECONDS: u64 = 24 * 3600;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test::{OneSecret, block_on};
    use serde_json::{Value, json};
    use tollway_core::Secret;

    const DEVNET: &str = "solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1";
    const USDC: &str = "4zMMC9srt5Ri5X14GAgXhaHii3GnPAEERYPJgZJDncDU";

    fn configured(section: Value) -> Result<Solana, String> {
        let config = serde_json::from_value(section).map_err(|why| why.to_string())?;
        block_on(<Solana as Build>::build(config, BuildContext::new()))
    }

    #[test]
    fn the_example_is_accepted_and_contacts_nobody() {
        let network = configured(serde_json::from_str(Solana::EXAMPLE).unwrap()).unwrap();
        assert_eq!(network.assets().last().unwrap().symbol, "MYUSD");
        assert!(network.settler().is_some());
    }

    #[test]
    fn unknown_keys_are_refused() {
        for section in [
            json!({ "id": DEVNET, "__unknown__": 1 }),
            json!({ "id": DEVNET, "commitment": "processed" }),
            json!({ "id": DEVNET, "assets": [{ "address": USDC, "symbol": "U", "decimals": 6, "x": 1 }] }),
            json!({ "id": DEVNET, "rpcTimeoutMs": 0 }),
        ] {
            assert!(configured(section.clone()).is_err(), "{section}");
        }
    }

    #[test]
    fn any_genesis_opens_and_nothing_else_does() {
        for id in ["solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp", DEVNET, "solana:4uhcVJyU9pJkvQyS88uRDiswHXSCkY3z"] {
            assert!(!configured(json!({ "id": id })).unwrap().assets().is_empty());
        }
        let own = configured(json!({ "id": "solana:8E9rvCKLFQia2Y35HXjjpWzj8weVo44K" })).unwrap();
        assert!(own.assets().is_empty() && own.settler().is_none());
        for id in ["solana:mainnet", "solana:devnet", "eip155:1", "solana:0OIl1111111111111111111111111111"] {
            let error = configured(json!({ "id": id })).unwrap_err();
            assert!(error.contains("5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp"), "{error}");
        }
    }

    #[test]
    fn a_url_may_be_a_secret_and_is_never_shown() {
        let config: SolanaConfig = serde_json::from_value(json!({ "id": DEVNET, "rpc": "env:NODE" })).unwrap();
        let mut cx = BuildContext::new();
        cx.secrets = Arc::new(OneSecret(Secret::new("https://node.test/v2/canary")));
        let network = block_on(<Solana as Build>::build(config, cx)).unwrap();
        assert!(!format!("{network:?}").contains("canary"));
        let literal: SolanaConfig =
            serde_json::from_value(json!({ "id": DEVNET, "rpc": "http://n.test/canary" })).unwrap();
        assert!(!format!("{literal:?}").contains("canary"));
        let error = block_on(<Solana as Build>::build(literal, BuildContext::new())).unwrap_err();
        assert!(!error.contains("canary") && error.contains("https"), "{error}");
    }

    #[test]
    fn own_tokens_extend_and_correct_the_known() {
        let network = configured(json!({ "id": DEVNET, "assets": [
            { "address": USDC, "symbol": "MINE", "decimals": 9 },
            { "address": "8qbHbw2BbbTHBW1sbeqakYXVKRQM8Ne7pLK7m6CVfeR", "symbol": "OWN", "decimals": 2 },
        ]}))
        .unwrap();
        assert_eq!(network.assets()[0].symbol, "MINE");
        assert_eq!(network.asset(USDC).unwrap().decimals, 9);
        assert_eq!(network.assets().len(), 4);
        let bad = configured(json!({ "id": DEVNET, "assets": [{ "address": "USDC", "symbol": "U", "decimals": 6 }] }));
        assert!(bad.unwrap_err().contains("`USDC`"));
    }

    #[test]
    fn addresses_keep_their_case() {
        let network = configured(json!({ "id": DEVNET })).unwrap();
        assert_eq!(network.canonical(USDC).unwrap(), USDC);
        assert_ne!(network.canonical(&USDC.to_lowercase()).ok().as_deref(), Some(USDC));
        for bad in ["alice.sol", "0x036CbD53842c5426634e7929541eC2318f3dCF7e", ""] {
            assert!(network.canonical(bad).is_err(), "{bad}");
        }
    }
}
