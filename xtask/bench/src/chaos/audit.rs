//! What the chain says of what was presented.

use super::load::{End, Presented};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt;
use tollway_devnet::contracts::addresses::USDC;
use tollway_devnet::{Devnet, accounts};

/// `AuthorizationUsed(address indexed authorizer, bytes32 indexed nonce)`.
const AUTHORIZATION_USED: &str = "0x98de503528ee59b575ef0c0a2576a82497bfc029a5685b209e9ec333479b10a5";
/// Blocks asked about at once: a node answers so many logs and no more.
const RANGE: u64 = 50;

pub(super) struct Report {
    presented: usize,
    again: usize,
    settled: usize,
    /// Answered "settled", and the chain says otherwise.
    lies: Vec<String>,
    /// Moved, and whoever presented it was told otherwise or nothing.
    lost: Vec<String>,
    /// Neither moved nor refused.
    unanswered: Vec<String>,
    refused: Vec<String>,
    doubled: usize,
    /// Uses of nonces that nobody presented.
    strange: usize,
    paid: String,
    due: String,
    open: usize,
}

impl Report {
    pub(super) fn new(devnet: &Devnet, payments: &[Presented], open: usize) -> Result<Self, String> {
        let used = used(devnet)?;
        let uses = |payment: &Presented| used.get(&payment.nonce).copied().unwrap_or_default();
        let (mut lies, mut lost, mut unanswered, mut refused) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for payment in payments {
            match (&payment.end, uses(payment)) {
                (End::Settled(_), 1..) => {}
                (End::Settled(transaction), 0) => lies.push(format!("{} in {transaction}", payment.nonce)),
                (End::Refused(why) | End::Unanswered(why), 1..) => lost.push(format!("{}: {why}", payment.nonce)),
                (End::Refused(why), 0) => refused.push(format!("{}: {why}", payment.nonce)),
                (End::Unanswered(why), 0) => unanswered.push(format!("{}: {why}", payment.nonce)),
            }
        }
        let settled = payments.iter().filter(|payment| matches!(payment.end, End::Settled(_))).count();
        let paid = devnet.balance_of(USDC, accounts::PAY_TO.address).map_err(|why| why.to_string())?;
        Ok(Self {
            presented: payments.len(),
            again: payments.iter().map(|payment| payment.times.saturating_sub(1)).sum(),
            settled,
            lies,
            lost,
            unanswered,
            refused,
            doubled: used.values().filter(|times| **times > 1).count(),
            strange: used.keys().filter(|nonce| !payments.iter().any(|payment| payment.nonce == **nonce)).count(),
            paid: paid.to_string(),
            due: (used.len() as u128 * 1000).to_string(),
            open,
        })
    }

    /// An error if anything was lost, doubled, or left open.
    pub(super) fn verdict(&self) -> Result<(), String> {
        let bad = [&self.lies, &self.lost, &self.unanswered, &self.refused];
        for (what, payments) in ["lie", "lost", "unanswered", "refused"].iter().zip(bad) {
            payments.iter().take(5).for_each(|payment| eprintln!("{what}: {payment}"));
        }
        let counts = self.doubled + self.strange + self.open + bad.iter().map(|list| list.len()).sum::<usize>();
        match counts == 0 && self.paid == self.due && self.settled == self.presented && self.settled > 0 {
            true => Ok(()),
            false => Err("the invariants do not hold".to_owned()),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { presented, again, settled, doubled, strange, paid, due, open, .. } = self;
        writeln!(f, "payments presented {presented} (and {again} times again), settled {settled}")?;
        writeln!(
            f,
            "lost {}, told wrongly {}, unanswered {}, refused {}",
            self.lost.len(),
            self.lies.len(),
            self.unanswered.len(),
            self.refused.len()
        )?;
        writeln!(f, "doubled {doubled}, of nobody {strange}; the payee has {paid} of {due} atomic units")?;
        write!(f, "rows still open: {open}")
    }
}

/// How often each authorization's nonce was used, by the token's own log.
fn used(devnet: &Devnet) -> Result<BTreeMap<String, usize>, String> {
    let mut used = BTreeMap::new();
    let last = devnet.block_number();
    let mut from = 0;
    while from <= last {
        let to = last.min(from + RANGE - 1);
        let filter = json!([{ "fromBlock": format!("{from:#x}"), "toBlock": format!("{to:#x}"), "address": USDC, "topics": [AUTHORIZATION_USED] }]);
        let params = serde_json::value::to_raw_value(&filter).map_err(|why| why.to_string())?;
        let answer = devnet.handle("eth_getLogs", Some(&params));
        let logs = answer.as_success().ok_or_else(|| format!("the chain's logs cannot be read: {answer:?}"))?;
        let logs: Vec<Value> = serde_json::from_str(logs.get()).map_err(|why| why.to_string())?;
        for log in logs {
            let nonce = log["topics"][2].as_str().unwrap_or_default().to_lowercase();
            *used.entry(nonce).or_insert(0) += 1;
        }
        from = to + 1;
    }
    Ok(used)
}
