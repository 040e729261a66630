//! Holding a token's own account against its entry.

use super::{Finding, TokenFacts, plain};
use crate::assets::{self, EIP3009};
use crate::config::TokenConfig;
use crate::permit2;
use alloy::primitives::Address;
use tollway_core::Asset;

/// What is wrong with an entry, and the entry that is right.
pub(super) fn judge(
    token: Address,
    configured: Option<&Asset>,
    facts: &TokenFacts,
) -> (Vec<Finding>, Option<TokenConfig>) {
    let mut findings = Findings::default();
    if !facts.deployed {
        findings.wrong("address", "there is no contract at this address; check it, and which network it is on");
        return (findings.0, None);
    }
    let Some(decimals) = facts.decimals else {
        findings.wrong("address", "the contract does not answer decimals(): it is no token, or not the right contract");
        return (findings.0, None);
    };
    let Some(method) = method(configured, facts) else {
        findings.wrong(
            "assetTransferMethod",
            "the token has no transferWithAuthorization (EIP-3009) whose EIP-712 domain clients could build, and no \
             allowances for Permit2: it cannot be paid with",
        );
        return (findings.0, None);
    };
    match configured {
        None => findings.note("address", "the token is not in the table; add it to the network's assets"),
        Some(asset) => compare(&mut findings, asset, decimals, method, facts),
    }
    if method == permit2::METHOD {
        deployments(&mut findings, facts);
    }
    // Where nobody can tell, what is configured stays.
    let believed = |member| configured.filter(|_| method == EIP3009).and_then(|asset| assets::text(asset, member));
    let proven = facts.domain.as_ref().filter(|_| method == EIP3009 || facts.eip2612);
    let (name, version) = match proven {
        Some(domain) => (Some(&*domain.name), Some(&*domain.version)),
        None => (believed("name"), believed("version")),
    };
    let entry = TokenConfig {
        address: token.to_checksum(None),
        symbol: configured.map_or_else(|| ticker(facts), |asset| asset.symbol.clone()),
        decimals,
        name: name.map(str::to_owned),
        version: version.map(str::to_owned),
        asset_transfer_method: (method != EIP3009).then(|| method.to_owned()),
        dollar: configured.is_some_and(|asset| asset.dollar),
    };
    findings.0.sort_by_key(|finding| !finding.wrong);
    (findings.0, Some(entry))
}

/// How the token can be paid with: as configured, where it can.
fn method(configured: Option<&Asset>, facts: &TokenFacts) -> Option<&'static str> {
    // Without a separator nobody can tell whether the name is right, so what is configured is believed.
    let named = facts.domain.is_some()
        || facts.domain_separator.is_none() && configured.is_some_and(|asset| assets::text(asset, "name").is_some());
    let by = |method: &'static str, can: bool| can.then_some(method);
    let (eip3009, permit2) = (by(EIP3009, facts.eip3009 && named), by(permit2::METHOD, facts.allowances));
    match configured.map(assets::method) {
        Some(permit2::METHOD) => permit2.or(eip3009),
        _ => eip3009.or(permit2),
    }
}

fn compare(findings: &mut Findings, asset: &Asset, decimals: u8, method: &str, facts: &TokenFacts) {
    if asset.decimals != decimals {
        let text = format!(
            "configured are {} decimals, the token has {decimals}: every price would be wrong by a factor of 10^{}",
            asset.decimals,
            asset.decimals.abs_diff(decimals)
        );
        findings.wrong("decimals", text);
    }
    if let Some(symbol) = facts.symbol.as_deref().filter(|symbol| *symbol != asset.symbol) {
        let text = format!("the token calls itself {}, configured is {}", shown(symbol), shown(&asset.symbol));
        findings.note("symbol", text);
    }
    let wanted = assets::method(asset);
    if wanted != method {
        let why = match (wanted, facts.eip3009) {
            (EIP3009, false) => {
                "it does not answer authorizationState, so it has no transferWithAuthorization (EIP-3009)"
            }
            (EIP3009, true) => "no name and version make its DOMAIN_SEPARATOR, so no signature would be good",
            (permit2::METHOD, _) => "it does not answer allowance(), so Permit2 cannot move it",
            _ => "there is no such method",
        };
        let text = format!("configured is {}; {why}; the token can be paid by {method}", shown(wanted));
        findings.wrong("assetTransferMethod", text);
        return;
    }
    names(findings, asset, method, facts);
    if method == permit2::METHOD && facts.eip3009 && facts.domain.is_some() {
        let text = "the token has EIP-3009, by which payers need no allowance: leave assetTransferMethod out to use it";
        findings.note("assetTransferMethod", text);
    }
}

/// The EIP-712 domain.
fn names(findings: &mut Findings, asset: &Asset, method: &str, facts: &TokenFacts) {
    let of = |member| assets::text(asset, member);
    let (name, version) = (of("name"), of("version"));
    if method == permit2::METHOD && !facts.eip2612 {
        if name.is_some() || version.is_some() {
            let text = "the token has no permit (EIP-2612), so no signature gives Permit2 its allowance: leave name and \
                        version out, or clients are asked for signatures it refuses";
            findings.wrong("name", text);
        }
        return;
    }
    let Some(domain) = &facts.domain else {
        let text = match method {
            EIP3009 => {
                "the token tells neither EIP-5267 nor DOMAIN_SEPARATOR, so nobody can tell whether name and \
                        version are right; pay a small amount once to see"
            }
            _ => {
                "no name and version make the token's DOMAIN_SEPARATOR, so its permits cannot be signed: leave both out"
            }
        };
        match method == permit2::METHOD && name.is_some() {
            true => findings.wrong("name", text),
            false => findings.note("name", text),
        }
        return;
    };
    for (member, given, right) in [("name", name, &domain.name), ("version", version, &domain.version)] {
        match given {
            Some(given) if given == right => {}
            Some(given) => {
                let text = format!(
                    "configured is the EIP-712 {member} {}, the token's is {}: no signature would be good",
                    shown(given),
                    shown(right)
                );
                findings.wrong(member, text);
            }
            None if method == EIP3009 => {
                findings.wrong(member, format!("the EIP-712 {member} is missing; the token's is {}", shown(right)));
            }
            None => {
                let text = format!(
                    "the token has permit (EIP-2612): with its {member} {} payers can give Permit2 its allowance by a \
                     signature",
                    shown(right)
                );
                findings.note(member, text);
            }
        }
    }
}

/// What a payment by Permit2 stands on.
fn deployments(findings: &mut Findings, facts: &TokenFacts) {
    let missing: Vec<&str> = [
        (facts.permit2, "Permit2"),
        (facts.exact_proxy, "the x402 proxy of `exact`"),
        (facts.upto_proxy, "the x402 proxy of `upto`"),
    ]
    .into_iter()
    .filter_map(|(there, name)| (!there).then_some(name))
    .collect();
    if missing.is_empty() {
        return;
    }
    let text = format!("not on this network: {}; payments by Permit2 need them", missing.join(", "));
    // `upto` alone may be missing where nothing is metered.
    match facts.permit2 && facts.exact_proxy {
        true => findings.note("assetTransferMethod", text),
        false => findings.wrong("assetTransferMethod", text),
    }
}

/// A ticker that prices can be written with.
fn ticker(facts: &TokenFacts) -> String {
    let told = facts.symbol.as_deref().unwrap_or_default();
    let letters =
        told.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '.').skip_while(|c| !c.is_ascii_alphabetic());
    let ticker: String = letters.take(16).collect();
    if ticker.is_empty() { "TOKEN".to_owned() } else { ticker }
}

/// A stranger's text in quotes, cut.
fn shown(text: &str) -> String {
    format!("`{}`", plain(&text.chars().take(64).collect::<String>()))
}

#[derive(Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn wrong(&mut self, about: &'static str, text: impl Into<String>) {
        self.0.push(Finding { wrong: true, about, text: text.into() });
    }

    fn note(&mut self, about: &'static str, text: impl Into<String>) {
        self.0.push(Finding { wrong: false, about, text: text.into() });
    }
}
