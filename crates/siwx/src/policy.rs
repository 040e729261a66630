//! What a route's section says: what a payment buys, and what opens the route.

use crate::store::{Entitlement, Left, Scope};
use crate::{time, wire};
use serde::Deserialize;
use serde_json::Value;
use std::num::NonZeroU64;
use tollway_core::NetworkId;

/// How long calls and credit last unless the route says otherwise: 30 days.
const LASTING: u64 = 30 * 24 * 3600;
/// Longest life of an entitlement: ten years.
const LONGEST: u64 = 10 * 365 * 24 * 3600;
/// Longest life of a token: they are meant to be short.
pub(crate) const LONGEST_TOKEN: u64 = 24 * 3600;
/// Longest name or path, in bytes.
const LONGEST_NAME: usize = 200;

/// The section `session` of a route.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Section {
    /// A payment opens for so long: `1h`, `30d`.
    r#for: Option<String>,
    /// A payment opens for so many calls.
    calls: Option<NonZeroU64>,
    /// What is paid is credit, from which each call draws its price.
    credit: bool,
    /// What is bought opens every route under this path: `/files/*`.
    over: Option<String>,
    /// What is bought opens every route of this tier.
    tier: Option<String>,
    /// Tokens are handed out that live for so long: `15m`.
    token: Option<String>,
    /// Networks whose wallets may sign in; those the route is paid on if left out.
    chains: Option<Vec<NetworkId>>,
    /// One line that wallets show to their owner.
    statement: Option<String>,
}

/// What a payment buys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sells {
    pub(crate) scope: Scope,
    pub(crate) seconds: u64,
    pub(crate) what: What,
}

/// Beside time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    Time,
    Calls(u64),
    Credit,
}

impl Sells {
    /// What is left of it when it is new. `None` for credit, which is what was paid.
    pub(crate) fn left(&self) -> Option<Left> {
        match self.what {
            What::Time => Some(Left::Time),
            What::Calls(calls) => Some(Left::Calls(calls)),
            What::Credit => None,
        }
    }
}

/// One route's policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Policy {
    /// What a payment buys beyond the request it pays for.
    pub(crate) sells: Option<Sells>,
    /// What opens the route. Empty where signing in is enough.
    pub(crate) opened_by: Vec<Scope>,
    /// What a token is good for on a route where signing in is enough.
    pub(crate) own_scope: Scope,
    /// Seconds a token lives.
    pub(crate) token: Option<u64>,
    pub(crate) chains: Option<Vec<NetworkId>>,
    pub(crate) statement: Option<String>,
}

impl Policy {
    /// Reads the section of the route `pattern` of the server at `origin`; `paid` says whether it can be paid for, and `routes` are all routes
    /// of the server that have such a section.
    ///
    /// # Errors
    /// What is wrong and what to write instead.
    pub(crate) fn read(
        origin: &str,
        pattern: &str,
        section: &Value,
        paid: bool,
        routes: &[(String, Value)],
    ) -> Result<Self, String> {
        let section = parse(section)?;
        let own_scope = section.scope(origin, pattern);
        let sells = section.sells(origin, pattern, paid)?;
        if !paid && sells.is_some() {
            return Err(
                "`session` sells something and the route has no way to be paid; give it one with accepts".into()
            );
        }
        let mut opened_by = Vec::new();
        if section.tier.is_some() || sells.as_ref().is_some_and(|sells| sells.scope == Scope::route(origin, pattern)) {
            opened_by.push(own_scope.clone());
        }
        for (other, section) in routes {
            // One that cannot be read is an error of its own route.
            let Ok(section) = parse(section) else { continue };
            if section.over.as_deref().is_some_and(|over| covers(over, pattern))
                && let Ok(Some(sells)) = section.sells(origin, other, true)
                && !opened_by.contains(&sells.scope)
            {
                opened_by.push(sells.scope);
            }
        }
        // A payment that buys something elsewhere is reason enough for a section.
        if paid && opened_by.is_empty() && sells.is_none() {
            return Err("`session` says neither what a payment buys nor what opens the route; write \
                        session = { for = \"1h\" }, { calls = 100 } or { tier = \"pro\" }"
                .into());
        }
        if !paid && section.tier.is_none() {
            // No way to pay, and no tier that others sell: signing in is enough.
            opened_by.clear();
        }
        let token = section.token.as_deref().map(time::duration).transpose();
        let token = token.map_err(|why| format!("session.token: {why}"))?;
        if token.is_some_and(|token| token > LONGEST_TOKEN) {
            return Err("session.token: a token lives for 24h at most; who has one needs no key".into());
        }
        if section.statement.as_deref().is_some_and(|text| text.is_empty() || !wire::is_one_line(text)) {
            return Err("session.statement must be one line, and not empty".into());
        }
        if section.chains.as_ref().is_some_and(Vec::is_empty) {
            return Err("session.chains names no network; leave it out, or write chains = [\"eip155:8453\"]".into());
        }
        Ok(Self { sells, opened_by, own_scope, token, chains: section.chains, statement: section.statement })
    }

    /// Whether being somebody is enough.
    pub(crate) fn is_sign_in_only(&self) -> bool {
        self.opened_by.is_empty() && self.sells.is_none()
    }

    /// Whether credit may be spent here. Not where it is bought: a top-up is not to be paid out of what is left.
    pub(crate) fn takes_credit(&self) -> bool {
        self.sells.as_ref().is_none_or(|sells| sells.what != What::Credit)
    }

    /// An entitlement as a payment of this route buys it.
    pub(crate) fn entitlement(
        sells: &Sells,
        id: &str,
        owner: tollway_core::AccountId,
        left: Left,
        now: u64,
    ) -> Entitlement {
        Entitlement::new(id, owner, sells.scope.clone(), now.saturating_add(sells.seconds), left)
    }
}

fn parse(section: &Value) -> Result<Section, String> {
    Section::deserialize(section).map_err(|why| {
        format!("session: {why}; write session = {{ for = \"1h\" }}, with `calls`, `credit`, `over`, `tier` or `token`")
    })
}

impl Section {
    fn scope(&self, origin: &str, pattern: &str) -> Scope {
        match (&self.tier, &self.over) {
            (Some(tier), _) => Scope::tier(origin, tier),
            (None, Some(over)) => Scope::over(origin, over),
            (None, None) => Scope::route(origin, pattern),
        }
    }

    /// What a payment buys; where there can be none, `over` says where tokens of a sign-in are good.
    fn sells(&self, origin: &str, pattern: &str, paid: bool) -> Result<Option<Sells>, String> {
        let name = |what: &str, text: &Option<String>| match text.as_deref() {
            Some(text) if text.is_empty() || text.len() > LONGEST_NAME || !wire::is_one_line(text) => {
                Err(format!("session.{what} must be 1 to {LONGEST_NAME} bytes of text on one line"))
            }
            _ => Ok(()),
        };
        name("tier", &self.tier)?;
        name("over", &self.over)?;
        if pattern.len() > LONGEST_NAME {
            return Err(format!("a route with a session has a pattern of at most {LONGEST_NAME} bytes"));
        }
        if self.tier.is_some() && self.over.is_some() {
            return Err("session: `over` and `tier` are two ways to say what is opened; write one of them".into());
        }
        if let Some(over) = &self.over {
            prefix(over).ok_or_else(|| {
                format!("session.over: `{over}` is no path with everything under it; write one such as /files/*")
            })?;
        }
        let seconds = self.r#for.as_deref().map(time::duration).transpose();
        let seconds = seconds.map_err(|why| format!("session.for: {why}"))?;
        if seconds.is_some_and(|seconds| seconds > LONGEST) {
            return Err("session.for: an entitlement ends after ten years at most".into());
        }
        let what = match (self.calls, self.credit) {
            (Some(_), true) => {
                return Err("session: a payment buys `calls` or `credit`, not both; write one of them".into());
            }
            (Some(calls), false) => What::Calls(calls.get()),
            (None, true) if self.tier.is_none() && self.over.is_none() => {
                return Err("session.credit needs `over` or `tier`: the routes where it is spent, each call at its \
                            own price. To open this very route for several calls, write calls = 100"
                    .into());
            }
            (None, true) => What::Credit,
            (None, false) => What::Time,
        };
        if what == What::Time && seconds.is_none() {
            return match &self.over {
                Some(_) if paid => Err("session.over says where something opens and not what; add for = \"1h\"".into()),
                _ => Ok(None),
            };
        }
        Ok(Some(Sells { scope: self.scope(origin, pattern), seconds: seconds.unwrap_or(LASTING), what }))
    }
}

/// The path before `/*`, if that is all there is to a pattern.
fn prefix(over: &str) -> Option<&str> {
    let prefix = over.strip_suffix("/*")?;
    let plain = !prefix.contains(['*', ':', '[', '%', ' ']) && !prefix.ends_with('/');
    (plain && (prefix.is_empty() || prefix.starts_with('/'))).then_some(prefix)
}

/// Whether every path a route can have lies under a path such as `/files/*`. Decided by the two patterns, so that no
/// spelling of a request changes it.
fn covers(over: &str, pattern: &str) -> bool {
    let Some(prefix) = prefix(over) else { return false };
    let path = pattern.split_whitespace().next_back().unwrap_or_default().to_lowercase();
    match path.strip_prefix(&prefix.to_lowercase()) {
        Some(rest) => (rest.is_empty() && !prefix.is_empty()) || rest.starts_with('/'),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const ORIGIN: &str = "https://shop.test";

    fn read(section: Value) -> Result<Policy, String> {
        Policy::read(ORIGIN, "GET /report", &section, true, &[("GET /report".into(), section.clone())])
    }

    #[test]
    fn one_line_is_all_it_takes() {
        let policy = read(json!({ "for": "1h" })).unwrap();
        let scope = Scope::route(ORIGIN, "GET /report");
        assert_eq!(policy.sells, Some(Sells { scope: scope.clone(), seconds: 3600, what: What::Time }));
        assert_eq!((policy.opened_by, policy.token), (vec![scope], None));
    }

    #[test]
    fn calls_and_tiers_and_tokens() {
        let policy = read(json!({ "calls": 100, "tier": "pro", "token": "15m" })).unwrap();
        let sells = policy.sells.clone().unwrap();
        assert_eq!((sells.what, sells.seconds, sells.scope), (What::Calls(100), LASTING, Scope::tier(ORIGIN, "pro")));
        assert_eq!((policy.token, policy.takes_credit()), (Some(900), true));
        let member = read(json!({ "tier": "pro" })).unwrap();
        assert_eq!((member.sells, member.opened_by), (None, vec![Scope::tier(ORIGIN, "pro")]));
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_advice() {
        for (section, advice) in [
            (json!({}), "for = \"1h\""),
            (json!({ "fro": "1h" }), "`for`"),
            (json!(true), "session = {"),
            (json!({ "for": "soon" }), "15m"),
            (json!({ "for": "20000d" }), "ten years"),
            (json!({ "calls": 0 }), "session"),
            (json!({ "calls": -1 }), "session"),
            (json!({ "credit": true }), "calls = 100"),
            (json!({ "credit": true, "calls": 1, "tier": "pro" }), "not both"),
            (json!({ "for": "1h", "tier": "a", "over": "/b/*" }), "one of them"),
            (json!({ "for": "1h", "tier": "" }), "tier"),
            (json!({ "for": "1h", "over": "/files" }), "/files/*"),
            (json!({ "for": "1h", "over": "/:id/*" }), "/files/*"),
            (json!({ "over": "/files/*" }), "for = \"1h\""),
            (json!({ "for": "1h", "token": "2d" }), "24h"),
            (json!({ "for": "1h", "statement": "two\nlines" }), "one line"),
            (json!({ "for": "1h", "chains": [] }), "chains"),
            (json!({ "for": "1h", "chains": ["nowhere"] }), "CAIP-2"),
        ] {
            let error = read(section.clone()).unwrap_err();
            assert!(error.contains(advice), "{section}: {error}");
        }
    }

    #[test]
    fn a_route_without_a_price_is_opened_by_signing_in_or_by_a_tier() {
        let read = |section: Value| Policy::read(ORIGIN, "/me", &section, false, &[("/me".into(), section.clone())]);
        assert!(read(json!({})).unwrap().is_sign_in_only());
        let members = read(json!({ "tier": "pro" })).unwrap();
        assert!(!members.is_sign_in_only());
        assert_eq!(members.opened_by, [Scope::tier(ORIGIN, "pro")]);
        assert!(read(json!({ "for": "1h" })).unwrap_err().contains("accepts"));
        let grouped = read(json!({ "over": "/Me/*", "token": "15m" })).unwrap();
        assert!(grouped.is_sign_in_only());
        assert_eq!(grouped.own_scope, Scope::over(ORIGIN, "/me/*"));
    }

    #[test]
    fn what_is_sold_over_a_path_opens_the_routes_under_it() {
        let routes = [
            ("GET /index".to_owned(), json!({ "for": "1h", "over": "/Files/*" })),
            ("GET /files/:id".to_owned(), json!({ "for": "1m" })),
            ("GET /filesystem".to_owned(), json!({ "for": "1m" })),
            ("GET /fil*".to_owned(), json!({ "for": "1m" })),
            ("GET /broken".to_owned(), json!({ "x": 1 })),
        ];
        let opened_by = |i: usize| Policy::read(ORIGIN, &routes[i].0, &routes[i].1, true, &routes).unwrap().opened_by;
        assert_eq!(opened_by(1), [Scope::route(ORIGIN, "GET /files/:id"), Scope::over(ORIGIN, "/files/*")]);
        assert_eq!(opened_by(2), [Scope::route(ORIGIN, "GET /filesystem")], "a prefix of letters is none of paths");
        assert_eq!(opened_by(3), [Scope::route(ORIGIN, "GET /fil*")], "it reaches beyond");
        assert_eq!(opened_by(0), [], "what is sold there opens elsewhere");
        for (over, pattern, expected) in [
            ("/*", "/", true),
            ("/*", "/a", true),
            ("/a/*", "/a", true),
            ("/a/*", "POST /a/b", true),
            ("/a/*", "/ab", false),
            ("/a/*", "*", false),
            ("/a/b/*", "/a/*", false),
            ("/a/*", "/a/*", true),
        ] {
            assert_eq!(covers(over, pattern), expected, "{over} {pattern}");
        }
    }

    #[test]
    fn credit_is_not_spent_where_it_is_bought() {
        let policy = read(json!({ "credit": true, "tier": "pro" })).unwrap();
        assert!(!policy.takes_credit());
        assert_eq!(policy.sells.unwrap().left(), None);
    }
}
