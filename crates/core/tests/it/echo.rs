//! The extension echo and the comparison under it, against the reference's vectors.

use crate::golden::{self, list, text};
use proptest::prelude::*;
use serde_json::{Value, json};
use tollway_core::json::is_subset;
use tollway_core::{EchoRules, echo_is_faithful};

#[test]
fn echoes_are_judged_as_the_reference_judges_them() {
    let golden = golden::extension_echo();
    let advertised = golden["advertised"].as_object().unwrap();
    let cases = list(&golden["cases"]);
    assert_eq!(cases.len(), 13);
    for case in cases {
        let echoed = case["extensions"].as_object();
        let ours =
            advertised.iter().all(|(key, declared)| echo_is_faithful(key, Some(declared), echoed, &EchoRules::PLAIN));
        assert_eq!(ours, case["result"]["valid"].as_bool().unwrap(), "{}", text(&case["name"]));
    }
}

#[test]
fn subsets_both_ways_are_the_references_deep_equality() {
    let golden = golden::deep_equal();
    let cases = list(&golden);
    assert_eq!(cases.len(), 9);
    for case in cases {
        let (a, b) = (&case["a"], &case["b"]);
        let equal = is_subset(a, b) && is_subset(b, a);
        assert_eq!(equal, case["equal"].as_bool().unwrap(), "{a} and {b}");
    }
}

#[test]
fn a_server_owned_member_may_not_appear_without_a_declaration() {
    let rules = EchoRules::PLAIN.owned(&["a"]);
    let echoed = json!({ "builder": { "info": { "a": "mine" } } });
    assert!(!echo_is_faithful("builder", None, echoed.as_object(), &rules));
    assert!(echo_is_faithful("other", None, echoed.as_object(), &rules), "rules are for one key");
}

/// JSON of moderate size.
pub(crate) fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[a-c]{0,3}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-d]", inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn everything_contains_itself_and_equality_is_containment_both_ways(a in any_json(), b in any_json()) {
        prop_assert!(is_subset(&a, &a));
        prop_assert_eq!(is_subset(&a, &b) && is_subset(&b, &a), a == b);
    }

    #[test]
    fn a_faithful_copy_passes_and_an_added_member_changes_nothing(info in any_json(), more in any_json()) {
        let declared = json!({ "info": { "ours": info } });
        let echoed = json!({ "x": { "info": { "ours": info, "added": more } } });
        prop_assert!(echo_is_faithful("x", Some(&declared), echoed.as_object(), &EchoRules::PLAIN));
    }

    #[test]
    fn another_value_of_a_declared_member_fails(info in any_json(), other in any_json()) {
        prop_assume!(!is_subset(&info, &other));
        let declared = json!({ "info": { "ours": info } });
        let echoed = json!({ "x": { "info": { "ours": other } } });
        prop_assert!(!echo_is_faithful("x", Some(&declared), echoed.as_object(), &EchoRules::PLAIN));
    }
}
