//! [`Query`]: what an agent looks for.

use super::FindError;
use crate::declared::Kind;
use crate::entry::micros;

/// What is looked for. Everything that is said must hold; of several networks, assets or tags one has to.
///
/// ```
/// use tollway_discovery::Query;
///
/// let query = Query::text("weather forecast").max_price("$0.01").network("eip155:8453").tag("weather");
/// # let _ = query;
/// ```
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct Query {
    pub(super) text: String,
    pub(super) max_price: Option<String>,
    pub(super) networks: Vec<String>,
    pub(super) assets: Vec<String>,
    pub(super) tags: Vec<String>,
    pub(super) kind: Option<Kind>,
}

impl Query {
    /// Services in whose description these words occur. An empty text finds all.
    pub fn text(words: impl Into<String>) -> Self {
        Self { text: words.into(), ..Self::default() }
    }

    /// At most this price for one call, in dollars: `"$0.01"`. Services of unknown price are left out then.
    pub fn max_price(mut self, dollars: impl Into<String>) -> Self {
        self.max_price = Some(dollars.into());
        self
    }

    /// Payable on this network, such as `eip155:8453`.
    pub fn network(mut self, id: impl Into<String>) -> Self {
        self.networks.push(id.into());
        self
    }

    /// Payable in this asset: a ticker such as `USDC`, or an address.
    pub fn asset(mut self, asset: impl Into<String>) -> Self {
        self.assets.push(asset.into());
        self
    }

    /// Carrying this tag.
    pub fn tag(mut self, tag: impl Into<String>) -> Self {
        self.tags.push(tag.into());
        self
    }

    /// Routes only, or tools only.
    pub fn kind(mut self, kind: Kind) -> Self {
        self.kind = Some(kind);
        self
    }

    /// The highest price in millionths of a dollar.
    pub(super) fn most(&self) -> Result<Option<u64>, FindError> {
        let read = |text: &String| {
            let advice = || FindError::Setting(format!("`{text}` is no price in dollars; write $0.01"));
            micros(text).ok_or_else(advice)
        };
        self.max_price.as_ref().map(read).transpose()
    }
}
