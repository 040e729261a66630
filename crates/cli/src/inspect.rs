//! `tollway inspect`: what a resource offers, and what is wrong with it.

use anstyle::{AnsiColor, Style};
use clap::Args;
use std::process::ExitCode;
use tollway::discovery::inspect::{Inspector, Report, Severity};

/// What is asked.
#[derive(Debug, Args)]
#[command(after_help = "Exit code: 0 where it can be paid for, 1 where something is wrong (with --strict also where \
                        some clients would not pay), 2 where it could not be asked. Nothing is paid.")]
pub(crate) struct InspectArgs {
    /// URL of the resource
    url: String,
    /// Verb to ask with
    #[arg(long, default_value = "GET", value_name = "VERB")]
    method: String,
    /// Warnings count as errors
    #[arg(long)]
    strict: bool,
    /// Print one JSON object; what strangers wrote is under `untrusted`
    #[arg(long)]
    json: bool,
}

/// Asks and prints.
pub(crate) async fn run(args: InspectArgs) -> Result<ExitCode, String> {
    let report = Inspector::new()?.inspect(&args.method.to_ascii_uppercase(), &args.url).await?;
    if args.json {
        println!("{}", serde_json::to_string(&report).map_err(|why| why.to_string())?);
    } else {
        print(&report);
    }
    let bad = if args.strict { Severity::Warning } else { Severity::Error };
    Ok(if report.has(bad) { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn print(report: &Report) {
    let strong = Style::new().bold();
    anstream::println!("{strong}{} {}{strong:#}  answers {}", report.method, report.url, report.status);
    if let Some(text) = report.untrusted.description.as_deref().filter(|text| !text.is_empty()) {
        anstream::println!("  says: {text}");
    }
    for offer in &report.offers {
        let price = offer.dollars.as_ref().map_or_else(String::new, |dollars| format!("${dollars} = "));
        let price = format!("{price}{}", offer.price);
        let verdict = if offer.payable { "" } else { "  not payable" };
        anstream::println!("  {price}  by {} on {}  to {}{verdict}", offer.scheme, offer.network, offer.pay_to);
        anstream::println!("      valid for {} s, flow {}", offer.max_timeout_seconds, offer.flow);
    }
    if !report.extensions.is_empty() {
        anstream::println!("  extensions: {}", report.extensions.join(", "));
    }
    if let Some(session) = &report.session {
        anstream::println!("  session: {session}");
    }
    for finding in &report.findings {
        let (label, colour) = match finding.severity {
            Severity::Error => ("error", AnsiColor::Red),
            Severity::Warning => ("warning", AnsiColor::Yellow),
            _ => ("note", AnsiColor::Cyan),
        };
        let colour = colour.on_default().bold();
        anstream::println!("{colour}{label}{colour:#} [{}] {}", finding.code, finding.what);
        anstream::println!("    fix: {}", finding.fix);
    }
    match report.payable {
        true => anstream::println!("It can be paid for."),
        false => anstream::println!("It cannot be paid for as it stands."),
    }
}
