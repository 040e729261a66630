//! Checking that a client echoed the extensions it was shown (specification v2, "Extension envelope").

use crate::Object;
use crate::json::is_subset;
use serde_json::Value;

/// Most entries an additive array may hold, the server's and the client's together.
const MAX_ADDITIVE: usize = 10;

/// How one extension's `info` must come back. The default: every member unchanged, additions allowed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct EchoRules {
    /// Members that are fresh per challenge and not compared.
    pub dynamic: &'static [&'static str],
    /// Arrays the client may append to; the server's entries must all be there.
    pub additive: &'static [&'static str],
    /// Members only the server may write: equal to what was declared, or absent, even if nothing was declared.
    pub owned: &'static [&'static str],
}

impl EchoRules {
    /// The default rules.
    pub const PLAIN: Self = Self { dynamic: &[], additive: &[], owned: &[] };

    /// Names members that are fresh per challenge.
    pub const fn dynamic(mut self, members: &'static [&'static str]) -> Self {
        self.dynamic = members;
        self
    }

    /// Names arrays the client may append to.
    pub const fn additive(mut self, members: &'static [&'static str]) -> Self {
        self.additive = members;
        self
    }

    /// Names members only the server may write.
    pub const fn owned(mut self, members: &'static [&'static str]) -> Self {
        self.owned = members;
        self
    }
}

/// Whether the client's `extensions[key]` keeps what the server declared under that key.
///
/// An extension the client left out is fine, and so is one the server never declared, apart from its owned members.
pub fn echo_is_faithful(key: &str, declared: Option<&Value>, echoed: Option<&Object>, rules: &EchoRules) -> bool {
    let Some(echoed) = echoed.and_then(|extensions| extensions.get(key)) else { return true };
    let theirs = echoed.get("info");
    let ours = declared.and_then(|declared| declared.get("info"));
    let their_member = |member: &str| theirs.and_then(|info| info.get(member));
    let our_member = |member: &str| ours.and_then(|info| info.get(member));
    if !rules.owned.iter().all(|member| their_member(member).is_none_or(|value| our_member(member) == Some(value))) {
        return false;
    }
    match ours {
        None => true,
        Some(Value::Object(ours)) => ours.iter().all(|(member, value)| {
            let name = member.as_str();
            if rules.dynamic.contains(&name) || rules.owned.contains(&name) {
                true
            } else if rules.additive.contains(&name) {
                appended(value, their_member(name))
            } else {
                their_member(name).is_some_and(|other| is_subset(value, other))
            }
        }),
        Some(ours) => theirs == Some(ours),
    }
}

fn appended(ours: &Value, theirs: Option<&Value>) -> bool {
    let (Some(ours), Some(theirs)) = (ours.as_array(), theirs.and_then(Value::as_array)) else { return false };
    theirs.len() <= MAX_ADDITIVE && ours.iter().all(|entry| theirs.contains(entry))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn faithful(declared: Option<Value>, echoed: Value, rules: EchoRules) -> bool {
        let extensions = json!({ "ext": { "info": echoed } });
        echo_is_faithful("ext", declared.map(|info| json!({ "info": info })).as_ref(), extensions.as_object(), &rules)
    }

    #[test]
    fn dynamic_members_may_differ() {
        let rules = EchoRules::PLAIN.dynamic(&["nonce"]);
        assert!(faithful(Some(json!({"nonce": "a", "x": 1})), json!({"nonce": "b", "x": 1}), rules));
        assert!(!faithful(Some(json!({"nonce": "a", "x": 1})), json!({"nonce": "a"}), rules));
    }

    #[test]
    fn additive_arrays_keep_the_servers_entries_up_to_the_cap() {
        let rules = EchoRules::PLAIN.additive(&["s"]);
        assert!(faithful(Some(json!({"s": ["a"]})), json!({"s": ["b", "a"]}), rules));
        assert!(!faithful(Some(json!({"s": ["a"]})), json!({"s": ["b"]}), rules));
        let many: Vec<_> = (0..11).map(|i| i.to_string()).collect();
        assert!(!faithful(Some(json!({"s": ["1"]})), json!({"s": many}), rules));
    }

    #[test]
    fn owned_members_belong_to_the_server_even_undeclared() {
        let rules = EchoRules::PLAIN.owned(&["a"]);
        assert!(!faithful(None, json!({"a": "mine"}), rules));
        assert!(faithful(None, json!({}), rules));
        assert!(faithful(Some(json!({"a": "x"})), json!({}), rules));
        assert!(!faithful(Some(json!({"a": "x"})), json!({"a": "y"}), rules));
    }
}
