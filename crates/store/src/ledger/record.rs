//! Rows as the databases keep them, and how they are read: decisions in columns, everything else as JSON text, so that
//! members this version does not know survive.

use crate::trouble::damaged;
use std::collections::HashMap;
use tollway_core::{ClaimRow, ClaimState, Fault, FaultKind, OpenSlot, Outcome, SignedTx};

/// The columns of a claim, in this order, for every query that reads one.
macro_rules! claim_columns {
    () => {
        "c.id, c.turn, c.holder, c.signed, c.handed, c.due, c.outcome, c.record"
    };
}
pub(crate) use claim_columns;

/// [`claim_columns`] as a driver gives them.
pub(crate) type ClaimColumns = (Vec<u8>, i64, i64, bool, bool, Option<i64>, Option<String>, String);

/// Number, slot, transaction without bytes, and bytes of an attempt.
pub(crate) type AttemptColumns = (i64, Vec<u8>, String, Vec<u8>);

/// A claim with what decisions need.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) row: ClaimRow,
    pub(crate) outcome: Option<Outcome>,
    pub(crate) holder: i64,
    pub(crate) signed: bool,
    pub(crate) handed: bool,
    /// Unix seconds when it may be forgotten.
    pub(crate) due: Option<i64>,
}

impl Entry {
    pub(crate) fn state(&self, alive: bool) -> ClaimState<'_> {
        ClaimState::new(&self.row, self.outcome.as_ref()).signed(self.signed).alive(alive)
    }

    pub(crate) fn read(columns: ClaimColumns) -> Result<Self, Fault> {
        let (_, turn, holder, signed, handed, due, outcome, record) = columns;
        let row: ClaimRow = serde_json::from_str(&record).map_err(|why| damaged("a claim", why))?;
        let outcome = outcome.map(|text| serde_json::from_str(&text)).transpose();
        let outcome = outcome.map_err(|why| damaged("an outcome", why))?;
        Ok(Self { row: row.with_turn(turn.unsigned_abs()), outcome, holder, signed, handed, due })
    }

    /// The row as JSON. Its turn is a column of its own.
    pub(crate) fn record(&self) -> Result<String, Fault> {
        text(&self.row.clone().with_turn(0))
    }

    pub(crate) fn outcome_text(&self) -> Result<Option<String>, Fault> {
        self.outcome.as_ref().map(text).transpose()
    }

    pub(crate) fn dead_after(&self) -> Option<i64> {
        self.row.claim.dead_after.map(clamp)
    }
}

fn text(value: &impl serde::Serialize) -> Result<String, Fault> {
    serde_json::to_string(value)
        .map_err(|why| Fault::new(FaultKind::Internal, "a row could not be written as JSON").source(why))
}

/// A time as a column holds it; what is later than any column can say is as late as one can.
pub(crate) fn clamp(seconds: u64) -> i64 {
    i64::try_from(seconds).unwrap_or(i64::MAX)
}

/// A number that must not change.
pub(crate) fn exact(number: u64, what: &str) -> Result<i64, Fault> {
    i64::try_from(number).map_err(|_| Fault::new(FaultKind::Internal, format!("{what} {number} is above 2^63")))
}

/// A transaction without its bytes, as JSON.
pub(crate) fn tx_text(tx: &SignedTx) -> Result<String, Fault> {
    let mut light = tx.clone();
    light.bytes = Vec::new();
    text(&light)
}

fn read_tx(record: &str, bytes: Vec<u8>) -> Result<SignedTx, Fault> {
    let mut tx: SignedTx = serde_json::from_str(record).map_err(|why| damaged("a transaction", why))?;
    tx.bytes = bytes;
    Ok(tx)
}

/// Attempts and the claims they carry, put together as slots; oldest first, each whole.
pub(crate) fn slots(
    attempts: Vec<AttemptColumns>,
    carried: Vec<(i64, Vec<u8>)>,
    claims: Vec<ClaimColumns>,
) -> Result<Vec<OpenSlot<SignedTx>>, Fault> {
    let mut rows = HashMap::with_capacity(claims.len());
    for columns in claims {
        rows.insert(columns.0.clone(), Entry::read(columns)?.row);
    }
    let mut carries: HashMap<i64, Vec<ClaimRow>> = HashMap::new();
    for (attempt, claim) in carried {
        carries.entry(attempt).or_default().extend(rows.get(&claim).cloned());
    }
    let mut slots: Vec<OpenSlot<SignedTx>> = Vec::new();
    let mut places: HashMap<Vec<u8>, usize> = HashMap::new();
    for (number, slot, record, bytes) in attempts {
        let index = *places.entry(slot).or_insert(slots.len());
        if index == slots.len() {
            slots.push(OpenSlot::empty());
        }
        slots[index].push(read_tx(&record, bytes)?, carries.remove(&number).unwrap_or_default());
    }
    Ok(slots)
}
