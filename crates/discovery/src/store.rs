//! [`CatalogueStore`]: where a catalogue is kept. Every operation is one transaction.

use crate::declared::Kind;
use crate::entry::Entry;
use async_trait::async_trait;
use std::fmt;
use std::sync::Arc;
use tollway_core::Fault;

/// Which entries are wanted. All that is said must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Filter {
    /// Routes or tools.
    pub kind: Option<Kind>,
    /// Recipient of one of its offers, in any letter case.
    pub pay_to: Option<String>,
    /// Scheme of one of its offers.
    pub scheme: Option<String>,
    /// Network of one of its offers.
    pub network: Option<String>,
    /// Asset of one of its offers, in any letter case.
    pub asset: Option<String>,
    /// An extension it declares.
    pub extension: Option<String>,
    /// A tag it carries, in any letter case.
    pub tag: Option<String>,
    /// Highest price, in millionths of a dollar; those of unknown price are left out.
    pub max_price: Option<u64>,
}

impl Filter {
    /// Whether an entry is wanted. What is asked of an offer must hold for one and the same offer.
    pub fn admits(&self, entry: &Entry) -> bool {
        let same = |wanted: &Option<String>, own: &str| wanted.as_ref().is_none_or(|wanted| wanted == own);
        let alike =
            |wanted: &Option<String>, own: &str| wanted.as_ref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(own));
        let offer = entry.accepts.iter().any(|offer| {
            same(&self.scheme, &offer.scheme)
                && same(&self.network, offer.network.as_str())
                && alike(&self.pay_to, &offer.pay_to)
                && alike(&self.asset, &offer.asset)
        });
        let tags = entry.resource.tags.as_deref().unwrap_or_default();
        offer
            && self.kind.is_none_or(|kind| kind == entry.kind())
            && self.extension.as_ref().is_none_or(|key| entry.extensions.contains(key))
            && self.tag.as_ref().is_none_or(|tag| tags.iter().any(|own| own.eq_ignore_ascii_case(tag)))
            && self.max_price.is_none_or(|most| entry.price.is_some_and(|price| price <= most))
    }

    /// What an index can look up: a text for each thing asked that is not a range, and one for all that is asked of an
    /// offer together. An entry is wanted if [`facets_of`](Self::facets_of) has all of them and its price will do.
    pub fn facets(&self) -> Vec<String> {
        let lower = |text: &String| text.to_ascii_lowercase();
        let offer =
            offer_facet(self.scheme.as_deref(), self.network.as_deref(), self.asset.as_deref(), self.pay_to.as_deref());
        let all = [
            self.kind.map(|kind| format!("type={}", kind.name())),
            offer,
            self.extension.as_ref().map(|text| format!("extension={text}")),
            self.tag.as_ref().map(|text| format!("tag={}", lower(text))),
        ];
        all.into_iter().flatten().collect()
    }

    /// All facets of an entry.
    pub fn facets_of(entry: &Entry) -> Vec<String> {
        let mut all = vec![format!("type={}", entry.kind().name())];
        for offer in &entry.accepts {
            // Each choice of what may be asked of it, so that two things asked hold for one and the same offer.
            for choice in 1..16u8 {
                let part = |bit: u8, text| (choice & bit != 0).then_some(text);
                all.extend(offer_facet(
                    part(1, offer.scheme.as_str()),
                    part(2, offer.network.as_str()),
                    part(4, offer.asset.as_str()),
                    part(8, offer.pay_to.as_str()),
                ));
            }
        }
        all.extend(entry.extensions.iter().map(|key| format!("extension={key}")));
        all.extend(entry.resource.tags.iter().flatten().map(|tag| format!("tag={}", tag.to_ascii_lowercase())));
        all.sort();
        all.dedup();
        all
    }
}

/// What is asked of an offer, as one text; `None` if nothing is.
fn offer_facet(
    scheme: Option<&str>,
    network: Option<&str>,
    asset: Option<&str>,
    pay_to: Option<&str>,
) -> Option<String> {
    let lower = |text: Option<&str>| text.map(str::to_ascii_lowercase);
    let parts = [
        ("scheme", scheme.map(str::to_owned)),
        ("network", network.map(str::to_owned)),
        ("asset", lower(asset)),
        ("payTo", lower(pay_to)),
    ];
    let said: Vec<_> = parts.into_iter().filter_map(|(name, text)| text.map(|text| format!("{name}={text}"))).collect();
    (!said.is_empty()).then(|| said.join(" "))
}

/// How much one party may list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Most entries that one payer's payments brought.
    pub per_payer: usize,
    /// Most entries of one host.
    pub per_host: usize,
}

impl Limits {
    /// So many by payer and by host.
    pub fn new(per_payer: usize, per_host: usize) -> Self {
        Self { per_payer, per_host }
    }
}

/// What came of writing an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Put {
    /// It is listed: it is new, or was replaced.
    Listed,
    /// It is new, and its payer or its host has as many as it may.
    OverLimit,
}

/// A page of a listing.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct Page {
    /// Its entries.
    pub entries: Vec<Entry>,
    /// How many there are in all.
    pub total: u64,
}

impl Page {
    /// Entries of so many.
    pub fn new(entries: Vec<Entry>, total: u64) -> Self {
        Self { entries, total }
    }
}

/// A search.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Search {
    /// Words, all of which must occur, as [`words`](crate::words) makes them. None: everything is found.
    pub words: Vec<String>,
    /// What else must hold.
    pub filter: Filter,
    /// Most entries wanted.
    pub limit: usize,
    /// The cursor of the page before.
    pub after: Option<u64>,
}

impl Search {
    /// A search for words.
    pub fn new(words: Vec<String>, filter: Filter, limit: usize, after: Option<u64>) -> Self {
        Self { words, filter, limit, after }
    }
}

/// What a search found, best first.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct Found {
    /// The entries.
    pub entries: Vec<Entry>,
    /// Where the next page begins, if there may be one.
    pub next: Option<u64>,
    /// Whether the store stopped looking before it had as many as were wanted, to keep the answer quick.
    pub partial: bool,
}

impl Found {
    /// What was found.
    pub fn new(entries: Vec<Entry>, next: Option<u64>, partial: bool) -> Self {
        Self { entries, next, partial }
    }
}

/// Keeps the entries of a catalogue. `tollway_testkit::catalogue_suite` checks all that is said here.
///
/// Entries have numbers, from 1 and rising in the order of their first listing, that they keep while they are listed.
#[async_trait]
pub trait CatalogueStore: Send + Sync {
    /// Writes an entry. One of the same key is replaced, but keeps its number and its `listed`; a new one is written
    /// only within the limits.
    ///
    /// # Errors
    /// The store cannot be reached.
    async fn put(&self, entry: &Entry, limits: Limits) -> Result<Put, Fault>;

    /// The entry of a key.
    ///
    /// # Errors
    /// The store cannot be reached.
    async fn find(&self, key: &str) -> Result<Option<Entry>, Fault>;

    /// Takes an entry out. Nothing if there is none.
    ///
    /// # Errors
    /// The store cannot be reached.
    async fn remove(&self, key: &str) -> Result<(), Fault>;

    /// Entries whose `next_probe` has come, the longest waiting first, at most `limit`. Their `next_probe` is set to
    /// `again`, so that of several processes one probes.
    ///
    /// # Errors
    /// The store cannot be reached.
    async fn due(&self, now: u64, again: u64, limit: usize) -> Result<Vec<Entry>, Fault>;

    /// Entries by number, from the `offset`th that is wanted on, at most `limit`, and how many are wanted in all.
    ///
    /// # Errors
    /// The store cannot be reached.
    async fn browse(&self, filter: &Filter, limit: usize, offset: u64) -> Result<Page, Fault>;

    /// Entries by [`Entry::position`]. `next` is the position of the last one looked at, to be given as `after`.
    ///
    /// # Errors
    /// The store cannot be reached.
    async fn search(&self, search: &Search) -> Result<Found, Fault>;
}

/// Any store, as plug-ins hand it over.
#[derive(Clone)]
pub struct SharedCatalogue(Arc<dyn CatalogueStore>);

impl SharedCatalogue {
    /// Any store.
    pub fn new(store: impl CatalogueStore + 'static) -> Self {
        Self(Arc::new(store))
    }

    /// The store.
    pub fn into_inner(self) -> Arc<dyn CatalogueStore> {
        self.0
    }
}

impl fmt::Debug for SharedCatalogue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedCatalogue").finish_non_exhaustive()
    }
}
