//! The registry's manners: order never matters, duplicates and unknown names are errors that say what there is.

use crate::parts::{CHAIN, Chain, EXTRAS, SPECIAL, SpecialChain};
use serde_json::{Value, json};
use std::future::Future;
use std::task::{Context, Poll, Waker};
use tollway_core::{BuildContext, Candidate, NetworkId, PartKind, Plugin, Registry, RegistryError, SupportedKind};

/// Runs a future that never waits: core knows no runtime, and neither do its tests.
pub(crate) fn now<T>(future: impl Future<Output = T>) -> T {
    match std::pin::pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("nothing here waits"),
    }
}

fn registry(plugins: &[Plugin]) -> Registry {
    plugins.iter().fold(Registry::builder(), |builder, plugin| builder.plugin(*plugin)).build().expect("a registry")
}

fn id(text: &str) -> NetworkId {
    text.parse().expect("a network")
}

fn open(registry: &Registry, at: &str, config: Value) -> Result<String, RegistryError> {
    let network = now(registry.network(&id(at), config, BuildContext::new()))?;
    assert_eq!(network.id().as_str(), at, "a factory learns which network it opens");
    Ok(network.assets()[0].symbol.clone())
}

#[test]
fn the_order_of_plugins_never_matters() {
    let orders = [
        [CHAIN, SPECIAL, EXTRAS],
        [CHAIN, EXTRAS, SPECIAL],
        [SPECIAL, CHAIN, EXTRAS],
        [SPECIAL, EXTRAS, CHAIN],
        [EXTRAS, CHAIN, SPECIAL],
        [EXTRAS, SPECIAL, CHAIN],
    ];
    let shown = |order: &[Plugin]| {
        let registry = registry(order);
        let special = open(&registry, "test:special", json!({})).unwrap();
        (format!("{registry:?}"), special)
    };
    let first = shown(&orders[0]);
    assert!(first.0.contains("network `test:*`") && first.0.contains("from special"), "{}", first.0);
    for order in &orders {
        assert_eq!(shown(order), first);
    }
}

#[test]
fn an_exact_pattern_outranks_a_wildcard() {
    let registry = registry(&[CHAIN, SPECIAL]);
    assert_eq!(open(&registry, "test:special", json!({})).unwrap(), "SPECIAL");
    assert_eq!(open(&registry, "test:other", json!({ "symbol": "COIN" })).unwrap(), "COIN");
    assert_eq!(open(&registry, "test:other", Value::Null).unwrap(), "", "no section is an empty section");
}

#[test]
fn a_plugin_twice_is_refused_by_name() {
    let error = Registry::builder().plugin(CHAIN).plugin(EXTRAS).plugin(CHAIN).build().unwrap_err();
    assert_eq!(error, RegistryError::DuplicatePlugin("chain"));
    assert!(error.to_string().contains("`chain`"));
}

#[test]
fn a_part_twice_names_both_sides_in_either_order() {
    const RIVAL: Plugin = Plugin::new("rival", "the same chain again", |r| {
        r.network::<Chain>("test:*");
    });
    for order in [[CHAIN, RIVAL], [RIVAL, CHAIN]] {
        let builder = order.iter().fold(Registry::builder(), |builder, plugin| builder.plugin(*plugin));
        let error = builder.build().unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, RegistryError::DuplicatePart { plugins: ["chain", "rival"], .. }), "{text}");
        assert!(text.contains("test:*") && text.contains("`chain`") && text.contains("`rival`"), "{text}");
    }
}

#[test]
fn one_plugin_bringing_a_part_twice_is_refused() {
    const STUTTER: Plugin = Plugin::new("stutter", "says it twice", |r| {
        r.network::<Chain>("a:*").network::<SpecialChain>("a:*");
    });
    let error = Registry::builder().plugin(STUTTER).build().unwrap_err();
    assert!(matches!(error, RegistryError::DuplicatePart { plugins: ["stutter", "stutter"], .. }), "{error}");
}

#[test]
fn two_extensions_may_not_own_one_route_key() {
    const RIVAL: Plugin = Plugin::new("rival", "another key, the same route key", |r| {
        r.server_extension::<crate::parts::Silent>("other", "quiet");
    });
    let error = Registry::builder().plugin(EXTRAS).plugin(RIVAL).build().unwrap_err();
    let text = error.to_string();
    assert!(text.contains("quiet") && text.contains("`extras`") && text.contains("`rival`"), "{text}");
}

#[test]
fn a_bad_pattern_names_its_plugin() {
    const BAD: Plugin = Plugin::new("bad", "no pattern", |r| {
        r.network::<Chain>("*");
    });
    let error = Registry::builder().plugin(BAD).build().unwrap_err();
    assert!(matches!(error, RegistryError::BadPattern { plugin: "bad", .. }));
    assert!(error.to_string().contains("`*`"), "{error}");
}

#[test]
fn an_unknown_name_lists_what_there_is() {
    let registry = registry(&[CHAIN, SPECIAL, EXTRAS]);
    let says = |error: RegistryError, words: &[&str]| {
        let text = error.to_string();
        for word in words {
            assert!(text.contains(word), "`{word}` is missing in: {text}");
        }
    };
    let cx = BuildContext::new;
    let advice = "use <crate> as _;";
    let linked = "plug-ins linked: chain, extras, special";
    says(
        open(&registry, "eip155:1", json!({})).unwrap_err(),
        &["eip155:1", "`test:*`", "`test:special`", linked, advice],
    );
    let server = now(registry.server("exact", &id("test:1"), json!({}), cx())).err().unwrap();
    says(server, &["scheme server", "`exact` on test:1", "`flat` on test:*", linked]);
    let client = now(registry.client("flat", &id("test:1"), json!({}), cx())).err().unwrap();
    says(client, &["scheme client", "registered: nothing", linked]);
    let facilitator = now(registry.facilitator("flat", &id("test:1"), json!({}), cx())).err().unwrap();
    says(facilitator, &["scheme facilitator", "registered: nothing"]);
    says(
        now(registry.signer("local", &id("test:1"), json!({}), cx())).err().unwrap(),
        &["signer", "`local` on test:1"],
    );
    says(now(registry.server_extension("silence", json!({}), cx())).err().unwrap(), &["`silence`", "`silent`"]);
    says(now(registry.client_extension("x", json!({}), cx())).err().unwrap(), &["client extension", "`x`"]);
    says(now(registry.facilitator_extension("x", json!({}), cx())).err().unwrap(), &["facilitator extension", "`x`"]);
    says(now(registry.selector("best", json!({}), cx())).err().unwrap(), &["`best`", "`backwards`"]);
    says(now(registry.ledger("sqlite", json!({}), cx())).err().unwrap(), &["ledger", "`sqlite`"]);
    says(Registry::builder().build().map(|empty| open(&empty, "a:b", json!({})).unwrap_err()).unwrap(), &["nothing"]);
}

#[test]
fn a_part_that_refuses_its_section_is_named_with_its_reason() {
    let registry = registry(&[CHAIN]);
    for (config, word) in [
        (json!({ "symbol": "BAD" }), "choose another"),
        (json!({ "symbl": "X" }), "symbl"),
        (json!({ "symbol": 5 }), "string"),
        (json!([]), "ChainConfig"),
    ] {
        let error = open(&registry, "test:1", config.clone()).unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, RegistryError::Build { .. }), "{text}");
        assert!(text.contains("test:*") && text.contains("chain") && text.contains(word), "{config}: {text}");
    }
}

#[test]
fn a_configuration_cannot_open_a_network_under_another_name() {
    let registry = registry(&[CHAIN]);
    assert_eq!(open(&registry, "test:1", json!({ "id": "test:2", "symbol": "X" })).unwrap(), "X");
}

#[test]
fn schemes_get_the_network_they_were_configured_for_as_its_own_type() {
    let registry = registry(&[CHAIN, SPECIAL]);
    let cx = |at: &str| {
        let network = now(registry.network(&id(at), json!({}), BuildContext::new())).unwrap();
        BuildContext::new().with_network(network)
    };
    let server = now(registry.server("flat", &id("test:1"), json!({}), cx("test:1"))).unwrap();
    let draft = tollway_core::PaymentRequirements::new("flat", id("test:1"), 1.into(), "coin", "bob");
    let kind = SupportedKind::new("flat", &id("test:1"), None);
    assert_eq!(server.offer(draft, &kind).unwrap().extra_member("madeFor"), Some(&json!("test:1")));
    let foreign = now(registry.server("flat", &id("test:special"), json!({}), cx("test:special"))).err().unwrap();
    assert!(foreign.to_string().contains("test:special was opened by another plug-in"), "{foreign}");
    let none = now(registry.server("flat", &id("test:1"), json!({}), BuildContext::new())).err().unwrap();
    assert!(none.to_string().contains("needs a network"), "{none}");
}

#[test]
fn parts_can_be_listed_and_tried() {
    let registry = registry(&[EXTRAS, CHAIN]);
    let names: Vec<_> = registry.parts().iter().map(|part| (part.kind(), part.name(), part.plugin())).collect();
    let expected = [
        (PartKind::Network, "test:*", "chain"),
        (PartKind::SchemeServer, "flat", "chain"),
        (PartKind::ServerExtension, "silent", "extras"),
        (PartKind::Selector, "backwards", "extras"),
    ];
    assert_eq!(names, expected);
    assert_eq!(registry.plugins().iter().map(Plugin::name).collect::<Vec<_>>(), ["chain", "extras"]);
    assert_eq!(registry.plugins()[1].summary(), "parts of no network");
    let network = &registry.parts()[0];
    assert_eq!((network.at(), network.example()), (Some("test:*"), r#"{ "symbol": "COIN" }"#));
    assert_eq!(registry.parts()[2].route_key(), Some("quiet"));
    assert!(now(network.try_config(json!({ "id": "test:1", "symbol": "COIN" }), BuildContext::new())).is_ok());
    let refused = now(network.try_config(json!({ "id": "test:1", "__unknown__": 1 }), BuildContext::new()));
    assert!(refused.unwrap_err().contains("__unknown__"));
    assert_eq!(registry.schemes(PartKind::SchemeServer, &id("test:1")), ["flat"]);
    assert!(registry.schemes(PartKind::SchemeClient, &id("test:1")).is_empty());
    assert!(registry.schemes(PartKind::SchemeServer, &id("other:1")).is_empty());
}

#[test]
fn parts_of_no_network_are_made_by_name() {
    let registry = registry(&[EXTRAS]);
    let extension = now(registry.server_extension("quiet", json!({}), BuildContext::new())).unwrap();
    assert_eq!(extension.key(), "silent");
    let selector = now(registry.selector("backwards", json!({}), BuildContext::new())).unwrap();
    let kind = SupportedKind::new("flat", &id("test:1"), None);
    let mut candidates = [Candidate::new("a", 0, &kind), Candidate::new("b", 1, &kind)];
    selector.rank(&mut candidates);
    assert_eq!(candidates.map(|candidate| candidate.name), ["b", "a"]);
}
