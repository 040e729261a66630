//! Registers alone without error, and twice not at all.

use super::Conformance;
use crate::report::Notes;
use tollway_core::{Registry, RegistryError};

/// Members of a route's configuration that are the engine's own.
const TAKEN_ROUTE_KEYS: [&str; 8] =
    ["path", "accepts", "resource", "description", "mimeType", "serviceName", "tags", "iconUrl"];

pub(super) fn check(subject: &Conformance, notes: &Notes) {
    let plugin = subject.plugin;
    let plain = |text: &str| !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || c.is_control());
    notes.check("registration: name", plain(plugin.name()), || format!("`{}` is no crate's name", plugin.name()));
    let summary = plugin.summary();
    let one_line = !summary.trim().is_empty() && !summary.contains('\n');
    notes.check("registration: summary", one_line, || format!("say in one line what it adds, not `{summary}`"));

    let alone = Registry::builder().plugin(plugin).build();
    let Some(registry) = notes.take("registration: alone", alone, || subject.name()) else { return };
    notes.check("registration: parts", !registry.parts().is_empty(), || "it installs no part".to_owned());
    for part in registry.parts() {
        let key = part.route_key().unwrap_or("free");
        let free = !key.is_empty() && !TAKEN_ROUTE_KEYS.contains(&key);
        notes.check("registration: route key", free, || format!("{part:?} owns the route key `{key}`, which is taken"));
    }
    let twice = Registry::builder().plugin(plugin).plugin(plugin).build();
    let refused = matches!(&twice, Err(RegistryError::DuplicatePlugin(name)) if *name == plugin.name());
    notes.check("registration: twice", refused, || format!("twice must be refused by name, but gave {twice:?}"));
}
