//! One word of a preference: what it means, and whether it holds for an offer.

use super::Subject;
use serde_json::Value;
use std::sync::Arc;
use tollway_core::{Network, NetworkPattern, Realm, Vocabulary};

/// A text of this length or more that nobody knows is taken for an address: no name is as long.
const ADDRESS: usize = 26;
/// Words that need no plug-in.
const REALMS: [(&str, Realm); 2] = [("mainnet", Realm::Mainnet), ("testnet", Realm::Testnet)];

/// What a word may be about. Words of one kind are alternatives for `only`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Facet {
    Network,
    Realm,
    Asset,
    Facilitator,
    Scheme,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Means {
    /// A CAIP-2 id or pattern.
    Pattern(NetworkPattern),
    /// A name of a network or namespace, in lower case.
    Name(String),
    Realm(Realm),
    /// A ticker or an address.
    Asset(String),
    /// A configured name, or an address that the offer's `extra` binds the payment to.
    Facilitator(String),
    Scheme(String),
}

/// A word, as written and as understood.
#[derive(Debug, Clone)]
pub(super) struct Word {
    pub(super) text: String,
    means: Means,
}

/// Everything a word can name.
pub(crate) struct Known {
    /// What plug-ins know without opening a network.
    pub(crate) vocabulary: Vocabulary,
    /// Networks that are open.
    pub(crate) networks: Vec<Arc<dyn Network>>,
    pub(crate) schemes: Vec<String>,
    pub(crate) facilitators: Vec<String>,
}

impl Known {
    fn symbols(&self) -> impl Iterator<Item = &str> {
        let open = self.networks.iter().flat_map(|network| network.assets()).map(|asset| asset.symbol.as_str());
        self.vocabulary.symbols.iter().copied().chain(open)
    }

    fn has_name(&self, text: &str) -> bool {
        self.vocabulary.names.iter().any(|name| name.eq_ignore_ascii_case(text))
    }

    fn is_asset(&self, text: &str) -> bool {
        self.symbols().any(|symbol| symbol.eq_ignore_ascii_case(text))
            || self.networks.iter().any(|network| network.asset(text).is_some())
    }

    /// Every word there is, for suggestions.
    fn words(&self) -> impl Iterator<Item = &str> {
        let names = self.vocabulary.names.iter().copied();
        let realms = REALMS.iter().map(|(word, _)| *word);
        let ours = self.schemes.iter().chain(&self.facilitators).map(String::as_str);
        realms.chain(names).chain(self.symbols()).chain(ours)
    }

    /// What to write instead of `text`.
    fn advice(&self, text: &str) -> String {
        let wanted = text.to_lowercase();
        let distance = |word: &str| strsim::osa_distance(&wanted, &word.to_lowercase());
        let nearest = self.words().map(|word| (distance(word), word)).min();
        match nearest {
            // One mistake in three letters.
            Some((distance, word)) if distance <= (wanted.chars().count() / 3).max(1) => {
                format!("did you mean `{word}`?")
            }
            _ => {
                let mut names: Vec<_> = self.vocabulary.names.iter().copied().take(12).collect();
                names.extend(REALMS.iter().map(|(word, _)| *word));
                format!(
                    "write a network ({}, or a pattern such as `eip155:*`), a ticker, a scheme, a facilitator's name, or \
                     say which it is: `asset:…`, `facilitator:…`",
                    names.join(", ")
                )
            }
        }
    }
}

impl Word {
    /// Understands a word.
    ///
    /// # Errors
    /// It names nothing, or several things; says what to write instead.
    pub(super) fn parse(text: &str, known: &Known) -> Result<Self, String> {
        let text = text.trim();
        let means = Self::meaning(text, known)?;
        Ok(Self { text: text.to_owned(), means })
    }

    fn meaning(text: &str, known: &Known) -> Result<Means, String> {
        if text.is_empty() {
            return Err("an empty word prefers nothing; take it out".to_owned());
        }
        match text.split_once(':') {
            Some((_, "")) => Err(format!("`{text}` ends too soon; name something after the colon")),
            Some(("network", name)) if !name.contains(':') => match known.has_name(name) {
                true => Ok(Means::Name(name.to_ascii_lowercase())),
                false => Err(format!("`{text}`: no network called `{name}` is known here; {}", known.advice(name))),
            },
            Some(("network", id)) => Self::pattern(id, known),
            Some(("asset", asset)) => Ok(Means::Asset(asset.to_owned())),
            Some(("facilitator", name)) => Ok(Means::Facilitator(name.to_owned())),
            Some(("scheme", name)) => Ok(Means::Scheme(name.to_owned())),
            Some(_) => Self::pattern(text, known),
            None => Self::plain(text, known),
        }
    }

    fn pattern(text: &str, known: &Known) -> Result<Means, String> {
        let namespace = text.split(':').next().unwrap_or_default();
        if !known.vocabulary.names.contains(&namespace) {
            return Err(format!("`{text}`: no namespace `{namespace}` is known here; {}", known.advice(namespace)));
        }
        text.parse().map(Means::Pattern).map_err(|why: tollway_core::CaipError| why.to_string())
    }

    /// A word that does not say what it is about.
    fn plain(text: &str, known: &Known) -> Result<Means, String> {
        let lower = text.to_lowercase();
        if let Some((_, realm)) = REALMS.iter().find(|(word, _)| *word == lower) {
            return Ok(Means::Realm(*realm));
        }
        let mut meanings = Vec::new();
        if known.has_name(text) {
            meanings.push(("network", Means::Name(lower)));
        }
        if known.is_asset(text) {
            meanings.push(("asset", Means::Asset(text.to_owned())));
        }
        if known.schemes.iter().any(|scheme| scheme == text) {
            meanings.push(("scheme", Means::Scheme(text.to_owned())));
        }
        if known.facilitators.iter().any(|name| name == text) {
            meanings.push(("facilitator", Means::Facilitator(text.to_owned())));
        }
        match meanings.len() {
            1 => Ok(meanings.remove(0).1),
            0 if text.len() >= ADDRESS && text.bytes().all(|b| b.is_ascii_alphanumeric()) => {
                Ok(Means::Asset(text.to_owned()))
            }
            0 => {
                let shown: String = text.chars().take(64).collect();
                Err(format!("`{shown}` is no network, asset, scheme or facilitator known here; {}", known.advice(text)))
            }
            _ => {
                let kinds: Vec<_> = meanings.iter().map(|(kind, _)| format!("`{kind}:{text}`")).collect();
                Err(format!("`{text}` can be more than one thing; write {}", kinds.join(" or ")))
            }
        }
    }

    pub(super) fn facet(&self) -> Facet {
        match self.means {
            Means::Pattern(_) | Means::Name(_) => Facet::Network,
            Means::Realm(_) => Facet::Realm,
            Means::Asset(_) => Facet::Asset,
            Means::Facilitator(_) => Facet::Facilitator,
            Means::Scheme(_) => Facet::Scheme,
        }
    }

    /// Whether two words mean the same.
    pub(super) fn is(&self, other: &Self) -> bool {
        match (&self.means, &other.means) {
            (Means::Asset(ours), Means::Asset(theirs)) => ours.eq_ignore_ascii_case(theirs),
            (ours, theirs) => ours == theirs,
        }
    }

    /// Whether it holds; `None` where that cannot be told yet.
    pub(super) fn holds(&self, subject: &Subject<'_>) -> Option<bool> {
        Some(match &self.means {
            Means::Pattern(pattern) => pattern.matches(subject.network),
            Means::Name(name) => {
                subject.network.namespace() == name || subject.words.names.iter().any(|known| known == name)
            }
            Means::Realm(realm) => subject.words.realm == Some(*realm),
            Means::Scheme(name) => subject.scheme == name,
            Means::Asset(wanted) => {
                let (network, asset) = (subject.open?, subject.asset?);
                // The ticker is the table's, never the offer's.
                let known = network.asset(asset).is_some_and(|known| known.symbol.eq_ignore_ascii_case(wanted));
                known || network.canonical(wanted).is_ok_and(|wanted| network.canonical(asset) == Ok(wanted))
            }
            Means::Facilitator(wanted) => {
                // An offer that is not made yet has neither facilitator nor asset.
                if subject.facilitator.is_none() && subject.asset.is_none() {
                    return None;
                }
                let named = |value: &Value| value.as_str() == Some(wanted);
                subject.facilitator == Some(wanted) || subject.extra.is_some_and(|extra| extra.values().any(named))
            }
        })
    }
}
