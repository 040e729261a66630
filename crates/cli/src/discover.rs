//! `tollway discover`: paid services that facilitators list, the best first.

use clap::Args;
use serde_json::json;
use tollway::discovery::{Finder, Kind, Query, Service, dollars};

/// What is looked for.
#[derive(Debug, Args)]
#[command(after_help = "What services say about themselves is their own word. Example:\n\n    \
                        tollway discover weather --max '$0.01' --network eip155:8453")]
pub(crate) struct DiscoverArgs {
    /// Words that must occur; all services if left out
    words: Vec<String>,
    /// Highest price of one call in dollars, such as '$0.01'
    #[arg(long, value_name = "PRICE")]
    max: Option<String>,
    /// A network it must be payable on, such as eip155:8453; any of several
    #[arg(long, value_name = "NETWORK")]
    network: Vec<String>,
    /// An asset it must be payable in, by ticker or address; any of several
    #[arg(long, value_name = "ASSET")]
    asset: Vec<String>,
    /// A tag it must carry; any of several
    #[arg(long, value_name = "TAG")]
    tag: Vec<String>,
    /// http or mcp
    #[arg(long, value_name = "KIND")]
    kind: Option<String>,
    /// A facilitator to ask; several are merged
    #[arg(long, value_name = "URL", default_value = "https://x402.org/facilitator")]
    facilitator: Vec<String>,
    /// Most services shown
    #[arg(long, default_value_t = 20, value_name = "NUMBER")]
    limit: usize,
    /// Print one JSON object; what strangers wrote is under `untrusted`
    #[arg(long)]
    json: bool,
}

/// Searches and prints.
pub(crate) async fn run(args: DiscoverArgs) -> Result<(), String> {
    let mut query = Query::text(args.words.join(" "));
    if let Some(max) = &args.max {
        query = query.max_price(max);
    }
    if let Some(kind) = &args.kind {
        query = query.kind(Kind::from_name(kind).ok_or("--kind is http or mcp")?);
    }
    query = args.network.into_iter().fold(query, Query::network);
    query = args.asset.into_iter().fold(query, Query::asset);
    query = args.tag.into_iter().fold(query, Query::tag);
    let finder = Finder::new(args.facilitator).map_err(|why| why.to_string())?;
    let mut found = finder.find(&query).await.map_err(|why| why.to_string())?;
    let total = found.services.len();
    found.services.truncate(args.limit);
    if args.json {
        let failures: Vec<_> =
            found.failures.iter().map(|(facilitator, why)| json!({ "facilitator": facilitator, "why": why })).collect();
        println!("{}", json!({ "services": found.services, "total": total, "failures": failures }));
        return Ok(());
    }
    for (facilitator, why) in &found.failures {
        anstream::eprintln!("tollway: {facilitator}: {why}");
    }
    if found.services.is_empty() {
        println!("nothing is listed that fits; use other words, or allow a higher price");
        return Ok(());
    }
    print!("{}", table(&found.services));
    if total > found.services.len() {
        println!("{} more; show them with --limit {total}", total - found.services.len());
    }
    Ok(())
}

/// A table whose columns are as wide as they have to be.
fn table(services: &[Service]) -> String {
    let mut rows = vec![["PRICE", "LATENCY", "UP", "NETWORK", "SERVICE", ""].map(str::to_owned)];
    for service in services {
        let price = service.price_micros.map_or_else(|| "?".to_owned(), |price| format!("${}", dollars(price)));
        let latency = service.latency_ms.map_or_else(|| "?".to_owned(), |ms| format!("{ms} ms"));
        let up = service.success.map_or_else(|| "?".to_owned(), |rate| format!("{} %", rate / 10));
        let mut networks: Vec<_> = service.accepts.iter().map(|offer| offer.network.as_str()).collect();
        networks.dedup();
        let about = service.untrusted.description.as_deref().or(service.untrusted.service_name.as_deref());
        let about: String = about.unwrap_or_default().chars().take(48).collect();
        let tool = service.tool.as_ref().map_or_else(String::new, |tool| format!(" {tool}"));
        let what = format!("{} {}{tool}", service.method, service.resource);
        rows.push([price, latency, up, networks.join(","), what, about]);
    }
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let widths: Vec<_> = (0..6).map(width).collect();
    let mut out = String::new();
    for row in &rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        out.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        out.push('\n');
    }
    out
}
