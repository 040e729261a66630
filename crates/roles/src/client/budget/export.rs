//! The ledger of what was spent, for spreadsheets and programs.

use super::Books;
use serde::Serialize;
use std::io;
use tollway_core::{Amount, NetworkId, SpendRow, SpendState};

/// Rows read at a time.
const PAGE: usize = 1000;

/// How [`PaymentClient::export`](crate::PaymentClient::export) writes what was spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExportFormat {
    /// A header and a line per payment.
    Csv,
    /// An array with an object per payment.
    Json,
}

/// One line. The payment itself is not in it: it may still be good for money.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    number: u64,
    /// Unix seconds.
    reserved: u64,
    changed: u64,
    state: SpendState,
    origin: &'a str,
    resource: String,
    scheme: String,
    network: &'a NetworkId,
    asset: String,
    /// Atomic units.
    amount: Amount,
    pay_to: String,
    transaction: String,
}

impl<'a> Line<'a> {
    /// `plain` takes the edge off texts that spreadsheets would run: most of them come from strangers.
    fn new(row: &'a SpendRow, plain: fn(&str) -> String) -> Self {
        let offer = &row.spend.offer;
        Self {
            number: row.number,
            reserved: row.spend.at,
            changed: row.changed,
            state: row.state,
            origin: &row.spend.origin,
            resource: plain(&row.spend.resource),
            scheme: plain(&offer.scheme),
            network: &offer.network,
            asset: plain(&offer.asset),
            amount: offer.amount,
            pay_to: plain(&offer.pay_to),
            transaction: plain(&row.transaction),
        }
    }
}

/// A text that a spreadsheet shows and does not calculate.
fn inert(text: &str) -> String {
    match text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        true => format!("'{text}"),
        false => text.to_owned(),
    }
}

impl Books {
    /// Writes every row of the books, page by page.
    pub(in super::super) async fn export(
        &self,
        format: ExportFormat,
        out: &mut (dyn io::Write + Send),
    ) -> io::Result<()> {
        let mut after = 0;
        let mut first = true;
        loop {
            let rows = self.store().export(after, PAGE).await.map_err(io::Error::other)?;
            match format {
                ExportFormat::Csv => write_csv(&rows, first, out)?,
                ExportFormat::Json => write_json(&rows, first, out)?,
            }
            first = false;
            match rows.last() {
                Some(last) if rows.len() == PAGE => after = last.number,
                _ => break,
            }
        }
        if format == ExportFormat::Json {
            out.write_all(b"\n]\n")?;
        }
        out.flush()
    }
}

fn write_csv(rows: &[SpendRow], first: bool, out: &mut (dyn io::Write + Send)) -> io::Result<()> {
    let mut writer = csv::WriterBuilder::new().has_headers(false).from_writer(out);
    if first {
        writer.write_record([
            "number",
            "reserved",
            "changed",
            "state",
            "origin",
            "resource",
            "scheme",
            "network",
            "asset",
            "amount",
            "payTo",
            "transaction",
        ])?;
    }
    for row in rows {
        writer.serialize(Line::new(row, inert))?;
    }
    writer.flush()
}

fn write_json(rows: &[SpendRow], first: bool, out: &mut (dyn io::Write + Send)) -> io::Result<()> {
    for (index, row) in rows.iter().enumerate() {
        out.write_all(if first && index == 0 { b"[\n  " } else { b",\n  " })?;
        serde_json::to_writer(&mut *out, &Line::new(row, str::to_owned))?;
    }
    if first && rows.is_empty() {
        out.write_all(b"[")?;
    }
    Ok(())
}
