//! The matrix, as a table for people and as JSON.

use super::{Outcome, Verdict};
use serde_json::{Map, Value, json};
use std::time::Duration;

/// Rows are cases, columns are mixes.
pub(super) struct Matrix {
    cases: Vec<&'static str>,
    columns: Vec<(&'static str, Vec<Verdict>)>,
    /// What two who play the same role say differently.
    pub(super) apart: Vec<String>,
}

fn word(verdict: &Verdict) -> &'static str {
    match verdict {
        Ok(Outcome::Agrees) => "ok",
        Ok(Outcome::Deviates(_)) => "deviates",
        Err(_) => "FAILED",
    }
}

impl Matrix {
    pub(super) fn new(cases: Vec<&'static str>) -> Self {
        Self { cases, columns: Vec::new(), apart: Vec::new() }
    }

    pub(super) fn add(&mut self, head: &'static str, verdicts: Vec<Verdict>) {
        self.columns.push((head, verdicts));
    }

    /// How many cases failed and how much is said differently.
    pub(super) fn failed(&self) -> usize {
        let verdicts = self.columns.iter().flat_map(|(_, verdicts)| verdicts);
        verdicts.filter(|verdict| verdict.is_err()).count() + self.apart.len()
    }

    pub(super) fn print(&self, as_json: bool, took: Duration) {
        match as_json {
            true => println!("{}", self.json(took)),
            false => self.table(took),
        }
    }

    fn json(&self, took: Duration) -> Value {
        let cell = |verdict: &Verdict| match verdict {
            Ok(Outcome::Agrees) => json!({ "result": "ok" }),
            Ok(Outcome::Deviates(how)) => json!({ "result": "deviates", "how": how }),
            Err(why) => json!({ "result": "failed", "why": why }),
        };
        let row = |at: usize| {
            let cells = self.columns.iter().map(|(head, verdicts)| ((*head).to_owned(), cell(&verdicts[at])));
            cells.chain([("case".to_owned(), json!(self.cases[at]))]).collect::<Map<_, _>>()
        };
        let rows: Vec<_> = (0..self.cases.len()).map(row).collect();
        json!({ "seconds": took.as_secs(), "cases": rows, "apart": self.apart })
    }

    fn table(&self, took: Duration) {
        let width = self.cases.iter().map(|case| case.len()).max().unwrap_or_default();
        let heads: Vec<_> = self.columns.iter().map(|(head, _)| *head).collect();
        println!("{:width$}  {}", "", heads.join("  "));
        for (at, case) in self.cases.iter().enumerate() {
            let cell = |(head, verdicts): &(&str, Vec<Verdict>)| format!("{:1$}", word(&verdicts[at]), head.len());
            let cells: Vec<_> = self.columns.iter().map(cell).collect();
            println!("{case:width$}  {}", cells.join("  ").trim_end());
        }
        for (head, verdicts) in &self.columns {
            for (case, verdict) in self.cases.iter().zip(verdicts) {
                match verdict {
                    Ok(Outcome::Agrees) => {}
                    Ok(Outcome::Deviates(how)) => println!("{head}, {case}: see docs/interop.md, \"{how}\""),
                    Err(why) => println!("{head}, {case}: FAILED: {why}"),
                }
            }
        }
        match self.apart.as_slice() {
            [] => println!("challenges and /supported are the same, whoever gives them"),
            apart => apart.iter().for_each(|line| println!("FAILED: {line}")),
        }
        println!("{} s", took.as_secs());
    }
}
