//! [`Assets`]: what a unit of an asset is worth in dollars, by the tables of the linked networks.

use serde_json::json;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use tokio::sync::Mutex;
use tollway_core::{Asset, BuildContext, Network, NetworkId, PaymentRequirements, Registry, RegistryError};

/// Most networks opened: strangers name them.
const MOST: usize = 64;

/// The networks of all linked plug-ins, opened without a node when they are first asked about.
pub struct Assets {
    registry: Registry,
    open: Mutex<HashMap<NetworkId, Option<Arc<dyn Network>>>>,
}

impl fmt::Debug for Assets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Assets").finish_non_exhaustive()
    }
}

impl Assets {
    /// Of the plug-ins linked into this program.
    ///
    /// # Errors
    /// Two plug-ins bring the same part.
    pub fn linked() -> Result<Self, RegistryError> {
        Registry::discover().map(Self::of)
    }

    /// Of these plug-ins.
    pub fn of(registry: Registry) -> Self {
        Self { registry, open: Mutex::default() }
    }

    /// A network, if a plug-in serves it that can open it without a configuration.
    pub async fn network(&self, id: &NetworkId) -> Option<Arc<dyn Network>> {
        let mut open = self.open.lock().await;
        if let Some(known) = open.get(id) {
            return known.clone();
        }
        if open.len() >= MOST {
            open.clear();
        }
        let network = self.registry.network(id, json!({}), BuildContext::new()).await.ok();
        open.insert(id.clone(), network.clone());
        network
    }

    /// The asset of an offer, and whether one unit of it is meant to be a dollar.
    pub async fn of_offer(&self, offer: &PaymentRequirements) -> Option<(Asset, bool)> {
        known(&*self.network(&offer.network).await?, offer)
    }

    /// An offer's price in millionths of a dollar, rounded up; `None` where that is not known.
    pub async fn price(&self, offer: &PaymentRequirements) -> Option<u64> {
        price_on(&*self.network(&offer.network).await?, offer)
    }
}

fn known(network: &dyn Network, offer: &PaymentRequirements) -> Option<(Asset, bool)> {
    let asset = network.asset(&offer.asset)?.clone();
    let dollar = asset.dollar || network.assets().first().is_some_and(|first| first.address == asset.address);
    Some((asset, dollar))
}

/// An offer's price on its network in millionths of a dollar, rounded up; `None` where that is not known.
pub(crate) fn price_on(network: &dyn Network, offer: &PaymentRequirements) -> Option<u64> {
    let (asset, dollar) = known(network, offer)?;
    if !dollar {
        return None;
    }
    let text = offer.amount.to_decimal(asset.decimals);
    let price = crate::entry::micros(&text)?;
    // What is cut beyond the sixth digit is still money.
    let exact = text.split_once('.').is_none_or(|(_, digits)| digits.bytes().skip(6).all(|digit| digit == b'0'));
    Some(if exact { price } else { price.saturating_add(1) })
}
