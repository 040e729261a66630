//! [`Registry`]: every part of every plug-in, found by name. Strict: duplicates and unknown names are errors that say
//! what there is.

use crate::erased::{ClientDyn, FacilitatorDyn, ServerDyn};
use crate::plugin::Maker;
use crate::{
    BuildContext, ClientExtension, FacilitatorExtension, FacilitatorSelector, Ledger, Network, NetworkId, NetworkWords,
    Part, PartKind, Plugin, ServerExtension, Signer, Vocabulary,
};
use serde_json::Value;
use std::any::Any;
use std::fmt;
use std::sync::Arc;

/// Why plug-ins could not be registered, or a part could not be had. Every text says what to change.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RegistryError {
    /// Two plug-ins of one name.
    DuplicatePlugin(&'static str),
    /// Two parts for the same thing.
    DuplicatePart {
        /// The part.
        part: String,
        /// The plug-ins that both bring it.
        plugins: [&'static str; 2],
    },
    /// A plug-in registers something for text that is no network pattern.
    BadPattern {
        /// The plug-in.
        plugin: &'static str,
        /// The text and what is wrong with it.
        why: String,
    },
    /// Nothing of that name is registered.
    Unknown {
        /// What kind of part was asked for.
        kind: PartKind,
        /// The name (and network) asked for.
        wanted: String,
        /// What is registered of that kind.
        registered: Vec<String>,
        /// The plug-ins linked into this program.
        plugins: Vec<&'static str>,
    },
    /// The part refused its configuration.
    Build {
        /// The part.
        part: String,
        /// What it said.
        why: String,
    },
}

impl fmt::Display for RegistryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DuplicatePlugin(name) => write!(f, "the plug-in `{name}` is registered twice; register it once"),
            Self::DuplicatePart { part, plugins: [a, b] } => {
                write!(f, "{part} is registered by both `{a}` and `{b}`; link only one of them")
            }
            Self::BadPattern { plugin, why } => write!(f, "the plug-in `{plugin}` registers a bad pattern: {why}"),
            Self::Unknown { kind, wanted, registered, plugins } => {
                write!(f, "no {kind} is registered for {wanted}; registered: {}", list(registered))?;
                write!(f, " (plug-ins linked: {})", list(plugins))?;
                f.write_str(
                    ". A plug-in crate that no source names is not linked: depend on it and write `use <crate> as _;`",
                )
            }
            Self::Build { part, why } => write!(f, "{part}: {why}"),
        }
    }
}

impl std::error::Error for RegistryError {}

fn list<T: AsRef<str>>(names: &[T]) -> String {
    match names {
        [] => "nothing".to_owned(),
        names => names.iter().map(AsRef::as_ref).collect::<Vec<_>>().join(", "),
    }
}

/// Every part of every plug-in, in an order that does not depend on linking.
#[derive(Debug, Clone)]
pub struct Registry {
    plugins: Vec<Plugin>,
    parts: Vec<Part>,
}

/// Collects plug-ins by hand: for tests, for wasm, for embedding.
#[derive(Debug, Default)]
pub struct RegistryBuilder {
    plugins: Vec<Plugin>,
}

impl RegistryBuilder {
    /// Adds a plug-in.
    pub fn plugin(mut self, plugin: Plugin) -> Self {
        self.plugins.push(plugin);
        self
    }

    /// Checks and sorts.
    ///
    /// # Errors
    /// Duplicates, naming both sides.
    pub fn build(self) -> Result<Registry, RegistryError> {
        Registry::new(self.plugins)
    }
}

/// A factory of the right kind, out of a part's maker.
macro_rules! make {
    ($self:ident, $maker:ident, $part:expr, $config:expr, $cx:expr) => {{
        let part = $part?;
        match part.make {
            Maker::$maker(make) => {
                make($config, $cx).await.map_err(|why| RegistryError::Build { part: format!("{part:?}"), why })
            }
            _ => {
                Err(RegistryError::Build { part: format!("{part:?}"), why: "registered under a wrong kind".to_owned() })
            }
        }
    }};
}

impl Registry {
    /// Every plug-in linked into this program.
    ///
    /// # Errors
    /// Duplicates, naming both sides.
    #[cfg(feature = "inventory")]
    pub fn discover() -> Result<Self, RegistryError> {
        Self::new(
            crate::__private::inventory::iter::<crate::__private::Submitted>().map(|submitted| submitted.0).collect(),
        )
    }

    /// Starts a registry by hand. The same path as [`discover`](Self::discover), without life before `main`.
    pub fn builder() -> RegistryBuilder {
        RegistryBuilder::default()
    }

    fn new(mut plugins: Vec<Plugin>) -> Result<Self, RegistryError> {
        plugins.sort_by_key(Plugin::name);
        if let Some(pair) = plugins.windows(2).find(|pair| pair[0].name() == pair[1].name()) {
            return Err(RegistryError::DuplicatePlugin(pair[0].name()));
        }
        let mut parts: Vec<Part> = plugins.iter().flat_map(Plugin::install).collect();
        for part in &parts {
            if let Some(Err(why)) = part.at.map(str::parse::<crate::NetworkPattern>) {
                return Err(RegistryError::BadPattern { plugin: part.plugin, why: why.to_string() });
            }
        }
        parts.sort_by_key(|part| (part.kind, part.name, part.at));
        if let Some([a, b]) = parts.windows(2).find_map(|pair| match pair {
            [a, b] if (a.kind, a.name, a.at) == (b.kind, b.name, b.at) => Some([a, b]),
            _ => None,
        }) {
            let part = format!("{} `{}`", a.kind, a.name);
            return Err(RegistryError::DuplicatePart { part, plugins: [a.plugin, b.plugin] });
        }
        let mut keys: Vec<_> = parts.iter().filter_map(|part| Some((part.route_key?, part.plugin))).collect();
        keys.sort_unstable();
        if let Some(pair) = keys.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            let part = format!("the route key `{}`", pair[0].0);
            return Err(RegistryError::DuplicatePart { part, plugins: [pair[0].1, pair[1].1] });
        }
        Ok(Self { plugins, parts })
    }

    /// The plug-ins, by name.
    pub fn plugins(&self) -> &[Plugin] {
        &self.plugins
    }

    /// The parts, by kind, name and pattern.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// Names of the schemes whose `kind` side is registered for a network.
    pub fn schemes(&self, kind: PartKind, network: &NetworkId) -> Vec<&'static str> {
        let mut names: Vec<_> = self.serving(kind, network).map(|part| part.name).collect();
        names.dedup();
        names
    }

    /// What people call a network, as its plug-in says; nothing if none is registered for it.
    pub fn network_words(&self, id: &NetworkId) -> NetworkWords {
        let part = self.at(PartKind::Network, None, id).ok();
        part.and_then(|part| part.speaks).map(|speaks| (speaks.words)(id)).unwrap_or_default()
    }

    /// Every name and ticker that registered networks know, namespaces among the names. Sorted, without repeats.
    pub fn vocabulary(&self) -> Vocabulary {
        let mut all = Vocabulary::default();
        for part in self.parts.iter().filter(|part| part.kind == PartKind::Network) {
            all.names.extend(part.at.and_then(|at| at.split_once(':')).map(|(namespace, _)| namespace));
            if let Some(speaks) = part.speaks {
                let Vocabulary { names, symbols } = (speaks.vocabulary)();
                all.names.extend(names);
                all.symbols.extend(symbols);
            }
        }
        for words in [&mut all.names, &mut all.symbols] {
            words.sort_unstable();
            words.dedup();
        }
        all
    }

    fn serving<'a>(&'a self, kind: PartKind, network: &'a NetworkId) -> impl Iterator<Item = &'a Part> {
        let serves = |part: &&Part| part.pattern().is_some_and(|pattern| pattern.matches(network));
        self.parts.iter().filter(move |part| part.kind == kind).filter(serves)
    }

    /// The part for a name on a network; an exact pattern outranks a wildcard.
    fn at<'a>(&'a self, kind: PartKind, name: Option<&str>, network: &'a NetworkId) -> Result<&'a Part, RegistryError> {
        self.serving(kind, network)
            .filter(|part| name.is_none_or(|name| part.name == name))
            .max_by_key(|part| part.pattern().is_some_and(|pattern| pattern.is_exact()))
            .ok_or_else(|| match name {
                Some(name) => self.unknown(kind, format!("`{name}` on {network}")),
                None => self.unknown(kind, network.to_string()),
            })
    }

    fn named(&self, kind: PartKind, name: &str) -> Result<&Part, RegistryError> {
        let found = self.parts.iter().find(|part| part.kind == kind && part.name == name);
        found.ok_or_else(|| self.unknown(kind, format!("`{name}`")))
    }

    fn unknown(&self, kind: PartKind, wanted: String) -> RegistryError {
        let of_kind = self.parts.iter().filter(|part| part.kind == kind);
        let shown = of_kind.map(|part| match part.at {
            Some(at) if at != part.name => format!("`{}` on {at}", part.name),
            _ => format!("`{}`", part.name),
        });
        RegistryError::Unknown {
            kind,
            wanted,
            registered: shown.collect(),
            plugins: self.plugins.iter().map(Plugin::name).collect(),
        }
    }

    /// Opens a network.
    ///
    /// # Errors
    /// None is registered for it, or it refused its configuration.
    pub async fn network(
        &self,
        id: &NetworkId,
        config: Value,
        cx: BuildContext,
    ) -> Result<Arc<dyn Network>, RegistryError> {
        let config = with_id(config, id);
        make!(self, Network, self.at(PartKind::Network, None, id), config, cx)
    }

    /// Makes a signer of a kind.
    ///
    /// # Errors
    /// As [`network`](Self::network).
    pub async fn signer(
        &self,
        name: &str,
        id: &NetworkId,
        config: Value,
        cx: BuildContext,
    ) -> Result<Arc<dyn Signer>, RegistryError> {
        make!(self, Signer, self.at(PartKind::Signer, Some(name), id), config, cx)
    }

    /// Makes a scheme's paying side.
    ///
    /// # Errors
    /// As [`network`](Self::network).
    pub async fn client(
        &self,
        scheme: &str,
        id: &NetworkId,
        config: Value,
        cx: BuildContext,
    ) -> Result<Arc<dyn ClientDyn>, RegistryError> {
        make!(self, Client, self.at(PartKind::SchemeClient, Some(scheme), id), config, cx)
    }

    /// Makes a scheme's selling side.
    ///
    /// # Errors
    /// As [`network`](Self::network).
    pub async fn server(
        &self,
        scheme: &str,
        id: &NetworkId,
        config: Value,
        cx: BuildContext,
    ) -> Result<Arc<dyn ServerDyn>, RegistryError> {
        make!(self, Server, self.at(PartKind::SchemeServer, Some(scheme), id), config, cx)
    }

    /// Makes a scheme's settling side.
    ///
    /// # Errors
    /// As [`network`](Self::network).
    pub async fn facilitator(
        &self,
        scheme: &str,
        id: &NetworkId,
        config: Value,
        cx: BuildContext,
    ) -> Result<Arc<dyn FacilitatorDyn>, RegistryError> {
        make!(self, Facilitator, self.at(PartKind::SchemeFacilitator, Some(scheme), id), config, cx)
    }

    /// Makes an extension's server side, by the route key it owns.
    ///
    /// # Errors
    /// As [`network`](Self::network).
    pub async fn server_extension(
        &self,
        route_key: &str,
        config: Value,
        cx: BuildContext,
    ) -> Result<Arc<dyn ServerExtension>, RegistryError> {
        let found = self.parts.iter().find(|part| part.route_key == Some(route_key));
        let part = found.ok_or_else(|| self.unknown(PartKind::ServerExtension, format!("the route key `{route_key}`")));
        make!(self, ServerExtension, part, config, cx)
    }

    /// Makes an extension's client side.
    ///
    /// # Errors
    /// As [`network`](Self::network).
    pub async fn client_extension(
        &self,
        key: &str,
        config: Value,
        cx: BuildContext,
    ) -> Result<Arc<dyn ClientExtension>, RegistryError> {
        make!(self, ClientExtension, self.named(PartKind::ClientExtension, key), config, cx)
    }

    /// Makes an extension's facilitator side.
    ///
    /// # Errors
    /// As [`network`](Self::network).
    pub async fn facilitator_extension(
        &self,
        key: &str,
        config: Value,
        cx: BuildContext,
    ) -> Result<Arc<dyn FacilitatorExtension>, RegistryError> {
        make!(self, FacilitatorExtension, self.named(PartKind::FacilitatorExtension, key), config, cx)
    }

    /// Makes a choice among facilitators.
    ///
    /// # Errors
    /// As [`network`](Self::network).
    pub async fn selector(
        &self,
        name: &str,
        config: Value,
        cx: BuildContext,
    ) -> Result<Arc<dyn FacilitatorSelector>, RegistryError> {
        make!(self, Selector, self.named(PartKind::Selector, name), config, cx)
    }

    /// Opens a store of claims.
    ///
    /// # Errors
    /// As [`network`](Self::network).
    pub async fn ledger(&self, name: &str, config: Value, cx: BuildContext) -> Result<Arc<dyn Ledger>, RegistryError> {
        make!(self, Ledger, self.named(PartKind::Ledger, name), config, cx)
    }

    /// Opens a store of another kind, by its whole name, such as `sessions/memory`. Its type is known to whoever asks.
    ///
    /// # Errors
    /// As [`network`](Self::network).
    pub async fn store(
        &self,
        name: &str,
        config: Value,
        cx: BuildContext,
    ) -> Result<Arc<dyn Any + Send + Sync>, RegistryError> {
        make!(self, Store, self.named(PartKind::Store, name), config, cx)
    }
}

/// A network registered for a pattern must learn which network it is: its section gets the id as `id`.
fn with_id(config: Value, id: &NetworkId) -> Value {
    match config {
        Value::Object(mut section) => {
            section.insert("id".to_owned(), Value::String(id.to_string()));
            Value::Object(section)
        }
        Value::Null => serde_json::json!({ "id": id }),
        other => other,
    }
}
