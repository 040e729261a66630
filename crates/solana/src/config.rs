//! The section of a network of namespace `solana`, and of a token in it.

use crate::programs::{TOKEN, TOKEN_2022};
use serde::Deserialize;
use solana_pubkey::Pubkey;
use std::fmt;
use std::num::NonZeroU64;
use tollway_core::{Asset, NetworkId, SecretRef, Secrets};

/// A network's section.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[non_exhaustive]
pub struct SolanaConfig {
    /// The network, `solana:` and the first 32 characters of the genesis hash. The registry fills it in.
    pub id: NetworkId,
    /// URL of a node, or `env:NAME` or `file:PATH` where the URL holds a key. Https, or http to this machine.
    /// Facilitators need it. A server with it spares its clients a call; a client with it can pay where the server
    /// does not, and in tokens that are not listed.
    #[serde(default)]
    pub rpc: Option<RpcUrl>,
    /// Tokens beyond those known, and corrections to known ones by address. The first is what a dollar means where
    /// nothing is known.
    #[serde(default)]
    pub assets: Vec<TokenConfig>,
    /// How sure a settlement must be: `confirmed` if left out.
    #[serde(default)]
    pub commitment: Commitment,
    /// Milliseconds a node may take for an answer; 10 000 if left out.
    #[serde(default)]
    pub rpc_timeout_ms: Option<NonZeroU64>,
    /// Seconds a settlement waits to be confirmed before it is reported as pending; 60 if left out.
    #[serde(default)]
    pub settle_timeout_seconds: Option<NonZeroU64>,
    /// Least milliseconds between two looks at the settlements under way, all of which share one; 100 if left out.
    #[serde(default)]
    pub poll_ms: Option<NonZeroU64>,
}

impl SolanaConfig {
    /// The defaults for a network: enough for clients whose servers have a node.
    pub fn new(id: NetworkId) -> Self {
        Self {
            id,
            rpc: None,
            assets: Vec::new(),
            commitment: Commitment::default(),
            rpc_timeout_ms: None,
            settle_timeout_seconds: None,
            poll_ms: None,
        }
    }
}

/// How sure the chain is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum Commitment {
    /// Two thirds of the stake voted for it: about half a second.
    #[default]
    Confirmed,
    /// It can no longer be undone: about 13 seconds.
    Finalized,
}

impl Commitment {
    /// Its name in JSON-RPC.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Confirmed => "confirmed",
            Self::Finalized => "finalized",
        }
    }

    /// Whether a status a node reports is at least this.
    pub(crate) fn is_met_by(self, status: &str) -> bool {
        status == "finalized" || status == self.name()
    }
}

/// A node's URL or a reference to one. Neither `Debug` nor an error shows it: URLs of nodes hold API keys.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct RpcUrl(String);

impl RpcUrl {
    /// A URL, or a reference `env:NAME` or `file:PATH`.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The URL itself.
    pub(crate) fn resolve(&self, secrets: &dyn Secrets) -> Result<String, String> {
        match self.0.split_once(':') {
            Some(("env" | "file", _)) => {
                secrets.resolve(&SecretRef::new(&*self.0)).map(|secret| secret.expose().to_owned())
            }
            _ => Ok(self.0.clone()),
        }
    }
}

impl fmt::Debug for RpcUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RpcUrl(…)")
    }
}

/// A token.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[non_exhaustive]
pub struct TokenConfig {
    /// Its mint.
    pub address: String,
    /// Its ticker, for prices such as `"1.50 MYUSD"`.
    pub symbol: String,
    /// Digits after the point.
    pub decimals: u8,
    /// Its program; if left out, whatever the chain says.
    #[serde(default)]
    pub program: Option<TokenProgram>,
}

impl TokenConfig {
    /// A token whose program the chain tells.
    pub fn new(address: impl Into<String>, symbol: impl Into<String>, decimals: u8) -> Self {
        Self { address: address.into(), symbol: symbol.into(), decimals, program: None }
    }

    /// Sets its program, so that a client without a node can pay with it.
    #[must_use]
    pub fn program(mut self, program: TokenProgram) -> Self {
        self.program = Some(program);
        self
    }

    pub(crate) fn asset(&self) -> Asset {
        Asset::new(&self.address, &self.symbol, self.decimals)
    }
}

/// One of the two programs that keep tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub enum TokenProgram {
    /// SPL Token.
    #[serde(rename = "token")]
    Token,
    /// Token-2022, also called Token Extensions.
    #[serde(rename = "token-2022")]
    Token2022,
}

impl TokenProgram {
    pub(crate) fn address(self) -> Pubkey {
        match self {
            Self::Token => TOKEN,
            Self::Token2022 => TOKEN_2022,
        }
    }
}
