//! Gas sponsoring: how Permit2 gets the payer's allowance within a payment (specification of the extensions
//! `eip2612GasSponsoring` and `erc20ApprovalGasSponsoring`).
//!
//! The server declares them, the client adds what it signed, and the facilitator's schemes consume it.

mod approval;
mod client;
mod declare;
mod permit;
mod quota;

pub(crate) use approval::Approval;
pub use client::{Eip2612Client, Erc20ApprovalClient, PayerConfig, SponsorConfig};
pub use declare::{Eip2612Server, Erc20ApprovalServer};
pub(crate) use permit::PERMIT_TYPE;
pub(crate) use quota::{ALLOWED, Allowed, Quota};

use crate::permit2::{Permit, Permit2612};
use serde_json::Value;
use tollway_core::{Object, Rejected};

/// The extension by which a signature gives the allowance.
pub(crate) const EIP2612: &str = "eip2612GasSponsoring";
/// The extension by which a transaction of the payer gives it.
pub(crate) const ERC20: &str = "erc20ApprovalGasSponsoring";
/// What the facilitators of `exact` and `upto` consume.
pub(crate) const SPONSORING: &[&str] = &[EIP2612, ERC20];

/// How Permit2 gets its allowance in one payment.
#[derive(Debug, Clone)]
pub(crate) enum Sponsor {
    /// It has one.
    None,
    /// By a permit that the proxy hands to the token.
    Permit(Permit2612),
    /// By a transaction of the payer that is sent before.
    Approval(Approval),
}

impl Sponsor {
    /// Whether there is anything to sponsor.
    pub(crate) fn pays(&self) -> bool {
        !matches!(self, Self::None)
    }
}

/// What a payment carries to give Permit2 its allowance, checked without asking the chain. `now` is in Unix seconds.
///
/// # Errors
/// What it carries is wrong.
pub(crate) fn sponsored(
    extensions: Option<&Object>,
    permit: &Permit,
    chain: u64,
    now: u64,
) -> Result<Sponsor, Rejected> {
    if let Some(info) = carried(extensions, EIP2612, permit::MEMBERS) {
        return permit::check(info, permit, now).map(Sponsor::Permit);
    }
    if let Some(info) = carried(extensions, ERC20, approval::MEMBERS) {
        return approval::check(info, permit, chain).map(Sponsor::Approval);
    }
    Ok(Sponsor::None)
}

/// An extension's `info`, where the client completed it: a mere echo of the declaration gives no allowance.
fn carried<'a>(extensions: Option<&'a Object>, key: &str, members: &[&str]) -> Option<&'a Object> {
    let info = extensions?.get(key)?.get("info")?.as_object()?;
    members.iter().all(|member| info.get(*member).is_some_and(|value| !value.is_null())).then_some(info)
}

/// A member that is text of a form.
fn text<'a>(info: &'a Object, member: &str, form: fn(&str) -> bool) -> Option<&'a str> {
    info.get(member).and_then(Value::as_str).filter(|text| form(text))
}

fn is_address(text: &str) -> bool {
    crate::address::parse_address(text).is_some()
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.len() <= 78 && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_hex(text: &str) -> bool {
    let digits = text.strip_prefix("0x").unwrap_or_default();
    !digits.is_empty() && digits.len() <= 8192 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn is_version(text: &str) -> bool {
    text.len() <= 32 && text.split('.').all(is_number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_those_of_the_schema() {
        assert!(is_number("0") && is_number("007") && !is_number("") && !is_number("1e3") && !is_number("-1"));
        assert!(is_hex("0xaB") && !is_hex("0x") && !is_hex("ab") && !is_hex("0xg"));
        assert!(is_version("1") && is_version("1.2.3") && !is_version("") && !is_version("1.") && !is_version("v1"));
    }
}
