//! What the full-text index holds: words as they are, and facets as numbers.

use tollway_discovery::{Entry, Filter};

/// The token of a word. The index is told to take every letter beyond ASCII for one, so that no word falls apart.
pub(super) fn word(word: &str) -> String {
    format!("w{word}")
}

/// The token of a facet: FNV-1a, since it has to be the same tomorrow. Whoever makes two collide is found out when the
/// entry is read.
pub(super) fn facet(text: &str) -> String {
    let hash = text
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    format!("f{hash:016x}")
}

/// All tokens of an entry.
pub(super) fn of(entry: &Entry) -> Vec<String> {
    let words = entry.words().into_iter().map(|text| word(&text));
    let facets = Filter::facets_of(entry).into_iter().map(|text| facet(&text));
    words.chain(facets).collect()
}

/// The tokens that all must be there for words and a filter; `None` where every entry will do. A word that is none finds
/// nothing.
pub(super) fn wanted(words: &[String], filter: &Filter) -> Option<Vec<String>> {
    let words = words.iter().map(|text| word(text));
    let facets = filter.facets().into_iter().map(|text| facet(&text));
    let all: Vec<_> = words.chain(facets).collect();
    (!all.is_empty()).then_some(all)
}

/// Whether a word can be in the index at all.
pub(super) fn is_word(text: &str) -> bool {
    !text.is_empty() && text.chars().all(char::is_alphanumeric)
}
