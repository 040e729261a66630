//! The stage a plug-in is tried on: its networks opened, its keys made.

use super::Conformance;
use crate::host::FakeHost;
use crate::report::Notes;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;
use tollway_core::{BuildContext, Network, NetworkId, NetworkPattern, Part, PartKind, Registry, RegistryError, Signer};

/// An open network with its keys.
pub(super) struct Ground {
    pub(super) id: NetworkId,
    pub(super) network: Arc<dyn Network>,
    pub(super) signers: Vec<(&'static str, Arc<dyn Signer>)>,
    /// The network and all keys: what schemes are made with.
    pub(super) cx: BuildContext,
}

/// A registry with the plug-in and its neighbours, and what could be opened.
pub(super) struct Stage {
    pub(super) registry: Registry,
    pub(super) grounds: Vec<Ground>,
}

impl Stage {
    /// Opens what can be opened and notes what cannot.
    pub(super) async fn build(subject: &Conformance, notes: &Notes) -> Option<Self> {
        let registry = notes.take("registration: with its neighbours", subject.registry(), || subject.name())?;
        let mut grounds = Vec::new();
        for id in subject.ids(&registry) {
            match Ground::open(subject, &registry, &id).await {
                Ok(ground) => grounds.push(ground),
                Err(why) => notes.check("networks: open", false, || format!("{id}: {why}")),
            }
        }
        Some(Self { registry, grounds })
    }

    /// The plug-in's own parts.
    pub(super) fn parts<'a>(&'a self, subject: &'a Conformance) -> impl Iterator<Item = &'a Part> {
        self.registry.parts().iter().filter(|part| part.plugin() == subject.plugin.name())
    }

    /// Where a part can be tried: on every open network it serves, or on none if it belongs to none.
    pub(super) fn grounds_of(&self, part: &Part) -> Vec<&Ground> {
        self.grounds.iter().filter(|ground| serves(part, &ground.id)).collect()
    }

    /// The contexts a part can be made in, each with the network's name.
    pub(super) fn contexts(&self, subject: &Conformance, part: &Part) -> Vec<(Option<NetworkId>, BuildContext)> {
        let plain = subject.context();
        match part.kind() {
            PartKind::Network => {
                self.grounds_of(part).iter().map(|ground| (Some(ground.id.clone()), plain.clone())).collect()
            }
            PartKind::Signer => {
                let on = |ground: &&Ground| (Some(ground.id.clone()), plain.with_network(ground.network.clone()));
                self.grounds_of(part).iter().map(on).collect()
            }
            _ if part.at().is_some() => {
                self.grounds_of(part).iter().map(|ground| (Some(ground.id.clone()), ground.cx.clone())).collect()
            }
            // An extension may ask for a network and its keys; the first one will do. Its host knows fake ones only.
            _ => {
                let cx = self.grounds.first().map_or(plain, |ground| ground.cx.clone());
                vec![(None, cx.with_host(FakeHost::of("alice").shared()))]
            }
        }
    }
}

impl Ground {
    async fn open(subject: &Conformance, registry: &Registry, id: &NetworkId) -> Result<Self, RegistryError> {
        let plain = subject.context();
        let network = registry.network(id, subject.section(registry, id), plain.clone()).await?;
        let cx = plain.with_network(network.clone());
        let mut signers = Vec::new();
        for part in registry.parts().iter().filter(|part| part.kind() == PartKind::Signer && serves(part, id)) {
            let section = example(part).unwrap_or_else(|_| json!({}));
            signers.push((part.name(), registry.signer(part.name(), id, section, cx.clone()).await?));
        }
        let cx = cx.with_signers(signers.iter().map(|(_, signer)| signer.clone()).collect());
        Ok(Self { id: id.clone(), network, signers, cx })
    }
}

impl Conformance {
    pub(super) fn name(&self) -> String {
        self.plugin.name().to_owned()
    }

    pub(super) fn registry(&self) -> Result<Registry, RegistryError> {
        let builder = Registry::builder().plugin(self.plugin);
        self.beside.iter().fold(builder, |builder, plugin| builder.plugin(*plugin)).build()
    }

    /// What parts are made with: the suite's clock, and the canary for every secret.
    pub(super) fn context(&self) -> BuildContext {
        let mut cx = BuildContext::new();
        cx.clock = self.clock.clone();
        cx.secrets = Arc::new(self.secrets.clone());
        cx
    }

    /// The networks to try: those the plug-in names for the suite, or one for each of its patterns.
    fn ids(&self, registry: &Registry) -> BTreeSet<NetworkId> {
        if !self.networks.is_empty() {
            return self.networks.keys().cloned().collect();
        }
        let mine = registry.parts().iter().filter(|part| part.plugin() == self.plugin.name());
        let patterns = mine.filter_map(|part| part.at()?.parse::<NetworkPattern>().ok());
        patterns
            .filter_map(|pattern| match pattern {
                NetworkPattern::Exact(id) => Some(id),
                NetworkPattern::Namespace(namespace) => format!("{namespace}:1").parse().ok(),
            })
            .collect()
    }

    /// The section a network is opened with.
    fn section(&self, registry: &Registry, id: &NetworkId) -> Value {
        let given = self.networks.get(id).filter(|section| !section.is_null()).cloned();
        let part = || {
            let serving = registry.parts().iter().filter(|part| part.kind() == PartKind::Network && serves(part, id));
            serving.max_by_key(|part| part.at() == Some(id.as_str())).and_then(|part| example(part).ok())
        };
        given.or_else(part).unwrap_or_else(|| json!({}))
    }
}

/// Whether a part is registered for a network.
pub(super) fn serves(part: &Part, id: &NetworkId) -> bool {
    part.at().and_then(|at| at.parse::<NetworkPattern>().ok()).is_some_and(|pattern| pattern.matches(id))
}

/// A part's example, which must be a JSON object.
pub(super) fn example(part: &Part) -> Result<Value, String> {
    match serde_json::from_str(part.example()) {
        Ok(section @ Value::Object(_)) => Ok(section),
        Ok(other) => Err(format!("the example is no object: {other}")),
        Err(why) => Err(format!("the example is not JSON: {why}")),
    }
}

/// The section with the id that engines write into a network's section.
pub(super) fn with_id(mut section: Value, part: &Part, id: Option<&NetworkId>) -> Value {
    if let (PartKind::Network, Some(id), Some(members)) = (part.kind(), id, section.as_object_mut()) {
        members.insert("id".to_owned(), Value::String(id.to_string()));
    }
    section
}
