//! What the demo says: one [`Step`] at a time, for a person or as a line of JSON.

use crate::chain::Facts;
use anstyle::{AnsiColor, Style};
use serde::Serialize;
use serde_json::Value;
use std::time::Duration;
use tollway::Amount;

/// One thing that happened. Amounts are atomic units as decimal strings; times are milliseconds.
#[derive(Debug, Serialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub(super) enum Step {
    Start {
        chains: Vec<Running>,
        facilitator: String,
        server: String,
    },
    Balances {
        when: &'static str,
        network: String,
        asset: String,
        symbol: &'static str,
        #[serde(skip)]
        decimals: u8,
        payer: Holding,
        payee: Holding,
    },
    Offer {
        ms: f64,
        resource: String,
        scheme: String,
        network: String,
        amount: Amount,
        asset: String,
        pay_to: String,
    },
    Signature {
        ms: f64,
        payload: Value,
    },
    Verify {
        ms: f64,
        valid: bool,
        payer: Option<String>,
        reason: Option<String>,
    },
    Settle {
        ms: f64,
        network: String,
        outcome: String,
        transaction: String,
    },
    Released {
        status: u16,
        body: String,
        transaction: String,
        total_ms: f64,
    },
    Replay {
        status: u16,
        reason: String,
        refused: bool,
    },
    Bought {
        network: String,
        resource: String,
        lasts: &'static str,
        transaction: String,
        total_ms: f64,
    },
    Return {
        network: String,
        number: u32,
        /// `sign_in` or `token`.
        opened_by: &'static str,
        status: u16,
        free: bool,
        ms: f64,
    },
    Expired {
        network: String,
        after: &'static str,
        status: u16,
        asked_again: bool,
    },
    Keep {
        server: String,
        facilitator: String,
        chains: Vec<Running>,
        commands: Vec<String>,
    },
    Summary(Summary),
}

/// A chain that runs.
#[derive(Debug, Serialize)]
pub(super) struct Running {
    pub(super) network: String,
    pub(super) rpc: String,
    /// A published development key, for trying by hand; only said where everything is kept running.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) payer_key: Option<String>,
}

impl Step {
    /// What payer and payee have, in atomic units.
    pub(super) fn balances(when: &'static str, facts: &Facts, payer: Amount, payee: Amount) -> Self {
        Self::Balances {
            when,
            network: facts.network.to_string(),
            asset: facts.asset.clone(),
            symbol: facts.symbol,
            decimals: facts.decimals,
            payer: Holding { address: facts.payer.clone(), amount: payer },
            payee: Holding { address: facts.payee.clone(), amount: payee },
        }
    }
}

/// Who has how much.
#[derive(Debug, Serialize)]
pub(super) struct Holding {
    pub(super) address: String,
    pub(super) amount: Amount,
}

/// How it ended.
#[derive(Debug, Serialize)]
pub(super) struct Summary {
    pub(super) paid: bool,
    pub(super) replay_refused: bool,
    /// Whether what was paid for once was free three times more.
    pub(super) returned_free: bool,
    /// Whether it had to be paid for again after its time.
    pub(super) asked_again: bool,
    pub(super) chains: Vec<ChainSummary>,
}

/// What one chain says: every number is read from it.
#[derive(Debug, Serialize)]
pub(super) struct ChainSummary {
    pub(super) network: String,
    pub(super) asset: String,
    pub(super) amount: Amount,
    pub(super) payer_before: Amount,
    pub(super) payer_after: Amount,
    pub(super) payee_before: Amount,
    pub(super) payee_after: Amount,
    pub(super) transaction: String,
}

/// A duration as milliseconds, to two digits.
pub(super) fn millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 100_000.0).round() / 100.0
}

const TITLE: Style = Style::new().bold().fg_color(Some(anstyle::Color::Ansi(AnsiColor::Cyan)));
const GOOD: Style = Style::new().bold().fg_color(Some(anstyle::Color::Ansi(AnsiColor::Green)));
const BAD: Style = Style::new().bold().fg_color(Some(anstyle::Color::Ansi(AnsiColor::Red)));
const DIM: Style = Style::new().dimmed();

/// Prints steps.
pub(super) struct Show {
    json: bool,
}

impl Show {
    pub(super) fn new(json: bool) -> Self {
        Self { json }
    }

    pub(super) fn step(&self, step: &Step) {
        if self.json {
            // A step is plain data: writing it as JSON cannot fail.
            if let Ok(line) = serde_json::to_string(step) {
                println!("{line}");
            }
            return;
        }
        // anstream leaves the colours out where nobody can see them.
        anstream::println!("{}", person(step));
    }
}

fn title(name: &str) -> String {
    format!("{TITLE}{name:10}{TITLE:#}")
}

fn took(ms: f64) -> String {
    format!("{DIM}{ms:.1} ms{DIM:#}")
}

fn mark(good: bool, text: &str) -> String {
    let style = if good { GOOD } else { BAD };
    format!("{style}{text}{style:#}")
}

/// A step as a person would want to read it.
fn person(step: &Step) -> String {
    match step {
        Step::Start { chains, facilitator, server } => {
            let mut text = format!("{} a facilitator, a paid server and clients, all in this process", title("start"));
            for chain in chains {
                text += &format!("\n{:11}embedded chain {} at {}", "", chain.network, chain.rpc);
            }
            text + &format!("\n{:11}facilitator at {facilitator}\n{:11}server at {server}", "", "")
        }
        Step::Balances { when, network, symbol, decimals, payer, payee, .. } => format!(
            "{} {when}, on {network}: payer {} has {} {symbol}, payee {} has {} {symbol}",
            title("balances"),
            short(&payer.address),
            payer.amount.to_decimal(*decimals),
            short(&payee.address),
            payee.amount.to_decimal(*decimals)
        ),
        Step::Offer { ms, resource, scheme, network, amount, asset, pay_to } => format!(
            "{} 402 Payment Required: {resource} costs {amount} units of {} on {network}, scheme {scheme}, to {}  {}",
            title("offer"),
            short(asset),
            short(pay_to),
            took(*ms)
        ),
        Step::Signature { ms, payload } => {
            let signature = payload.get("signature").and_then(Value::as_str).unwrap_or("(in the payload)");
            format!("{} the client signed: {}  {}", title("signature"), short(signature), took(*ms))
        }
        Step::Verify { ms, valid: true, payer, .. } => format!(
            "{} {}, payer {}  {}",
            title("verify"),
            mark(true, "valid"),
            payer.as_deref().map(short).unwrap_or_default(),
            took(*ms)
        ),
        Step::Verify { ms, reason, .. } => format!(
            "{} {}: {}  {}",
            title("verify"),
            mark(false, "refused"),
            reason.as_deref().unwrap_or_default(),
            took(*ms)
        ),
        Step::Settle { ms, network, outcome, transaction } => format!(
            "{} {} on {network}: {transaction}  {}",
            title("settle"),
            mark(outcome == "settled", outcome),
            took(*ms)
        ),
        Step::Released { status, body, total_ms, .. } => {
            format!("{} {status} after {} in all: {}", title("released"), took(*total_ms), body.trim())
        }
        Step::Replay { status, reason, refused } => format!(
            "{} the same payment again: {} ({status}, {reason})",
            title("replay"),
            mark(*refused, if *refused { "refused" } else { "ACCEPTED" })
        ),
        Step::Bought { network, resource, lasts, total_ms, .. } => format!(
            "{} {resource} paid for once on {network}: it opens for {lasts} from now on  {}",
            title("session"),
            took(*total_ms)
        ),
        Step::Return { number, opened_by, status, free, ms, .. } => format!(
            "{} {number}: {} by {} ({status}), with a client that pays nothing  {}",
            title("return"),
            mark(*free, if *free { "free" } else { "NOT FREE" }),
            if *opened_by == "token" { "its session token" } else { "signing in with the wallet" },
            took(*ms)
        ),
        Step::Expired { after, status, asked_again, .. } => format!(
            "{} {after} later (the server's clock of sessions is set forward): {}",
            title("expiry"),
            mark(
                *asked_again,
                &if *asked_again { format!("{status} Payment Required") } else { "STILL OPEN".to_owned() }
            )
        ),
        Step::Keep { server, facilitator, chains, commands } => {
            let mut text = format!("{} everything stays up until Ctrl-C", title("keep"));
            text += &format!("\n{:11}server {server}\n{:11}facilitator {facilitator}", "", "");
            for Running { network, rpc, payer_key } in chains {
                let key = payer_key.as_deref().unwrap_or_default();
                text += &format!("\n{:11}{network} at {rpc}, payer's key {key} (published: never fund it)", "");
            }
            text + &format!("\n{:11}try: {}", "", commands.join("\n                "))
        }
        Step::Summary(summary) => format!(
            "{} {}, {}, {}, {}",
            title("summary"),
            mark(summary.paid, if summary.paid { "paid" } else { "NOT PAID" }),
            mark(summary.replay_refused, if summary.replay_refused { "replay refused" } else { "REPLAY ACCEPTED" }),
            mark(summary.returned_free, if summary.returned_free { "came back free" } else { "NOT FREE" }),
            mark(summary.asked_again, if summary.asked_again { "asked again after its time" } else { "STILL OPEN" })
        ),
    }
}

/// The ends of something long.
fn short(text: &str) -> String {
    match (text.get(..8), text.get(text.len().saturating_sub(6)..)) {
        (Some(head), Some(tail)) if text.len() > 18 => format!("{head}…{tail}"),
        _ => text.to_owned(),
    }
}
