//! What a desk reads from SQLite's tables, and writes into them.

use crate::ledger::desk::{Changes, Desk, Held};
use crate::ledger::ids::{self, Id};
use crate::ledger::op::{Holder, Wanted};
use crate::ledger::record::{AttemptColumns, ClaimColumns, Entry, claim_columns, exact, slots, tx_text};
use crate::trouble::Failed;
use sqlx::sqlite::SqliteConnection;
use sqlx::{query, query_as, query_scalar};
use tollway_core::{ClaimState, OpenSlot, SignedTx, Ticket};

/// Finished rows forgotten for each row that is taken: forgetting keeps pace, and no call pays for all.
const SWEEP: i64 = 4;

/// Forgets rows whose time has come.
pub(super) async fn sweep(on: &mut SqliteConnection, now: i64, takes: usize) -> Result<(), sqlx::Error> {
    let most = SWEEP.saturating_mul(i64::try_from(takes).unwrap_or(i64::MAX));
    let statement = "DELETE FROM claims WHERE rowid IN \
                     (SELECT rowid FROM claims WHERE due <= ?1 ORDER BY due, rowid LIMIT ?2)";
    query(statement).bind(now).bind(most).execute(on).await.map(drop)
}

/// Everybody who had the file open before is dead: what they took and did not finish may be forgotten some time, unless
/// something was signed for it.
pub(super) async fn bury(on: &mut SqliteConnection, now: i64) -> Result<(), sqlx::Error> {
    let statement = "UPDATE claims SET due = max(min(coalesce(dead_after, ?1), ?2), ?1) \
                     + CASE scope WHEN 'facilitator' THEN ?3 ELSE ?4 END \
                     WHERE outcome IS NULL AND NOT signed AND due IS NULL";
    let (grace, keep) = (seconds(ClaimState::GRACE_SECONDS), seconds(ClaimState::KEEP_SECONDS));
    query(statement).bind(now).bind(i64::MAX - keep).bind(grace).bind(keep).execute(on).await.map(drop)
}

fn seconds(seconds: u64) -> i64 {
    crate::ledger::record::clamp(seconds)
}

/// Lays everything wanted on the desk.
pub(super) async fn load(on: &mut SqliteConnection, wanted: &Wanted, desk: &mut Desk) -> Result<(), Failed> {
    for id in &wanted.claims {
        let statement = concat!("SELECT ", claim_columns!(), " FROM claims c WHERE c.id = ?1");
        let found: Option<ClaimColumns> = query_as(statement).bind(&id[..]).fetch_optional(&mut *on).await?;
        if let Some(columns) = found {
            desk.put(*id, Entry::read(columns)?);
        }
    }
    for token in &wanted.tokens {
        let statement = "SELECT id FROM claims WHERE token = ?1";
        let claim: Option<Vec<u8>> = query_scalar(statement).bind(&token[..]).fetch_optional(&mut *on).await?;
        if let Some(claim) = claim.and_then(|claim| Id::try_from(claim).ok()) {
            desk.put_token(*token, claim);
        }
    }
    for (network, signer) in &wanted.signers {
        let statement = "SELECT holder, epoch FROM signers WHERE network = ?1 AND signer = ?2";
        let held: Option<(Option<Holder>, i64)> =
            query_as(statement).bind(network.as_str()).bind(signer).fetch_optional(&mut *on).await?;
        if let Some((holder, epoch)) = held {
            desk.put_signer(network.clone(), signer.clone(), Held::stored(holder, epoch));
        }
    }
    Ok(())
}

/// Writes what was decided.
pub(super) async fn store(on: &mut SqliteConnection, changes: &Changes<'_>) -> Result<(), Failed> {
    for id in &changes.ended {
        end(on, id).await?;
    }
    for id in &changes.removed {
        query("DELETE FROM claims WHERE id = ?1").bind(&id[..]).execute(&mut *on).await?;
    }
    for (id, entry) in &changes.updated {
        let statement = "UPDATE claims SET turn = ?2, holder = ?3, signed = ?4, handed = ?5, due = ?6, outcome = ?7 \
                         WHERE id = ?1";
        query(statement)
            .bind(&id[..])
            .bind(exact(entry.row.turn, "the turn")?)
            .bind(entry.holder)
            .bind(entry.signed)
            .bind(entry.handed)
            .bind(entry.due)
            .bind(entry.outcome_text()?)
            .execute(&mut *on)
            .await?;
    }
    for (id, entry) in &changes.inserted {
        let statement = "INSERT INTO claims \
                         (id, token, scope, turn, holder, signed, handed, due, dead_after, outcome, record) \
                         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";
        query(statement)
            .bind(&id[..])
            .bind(ids::token(entry.row.scope, &entry.row.caller).map(Vec::from))
            .bind(entry.row.scope.name())
            .bind(exact(entry.row.turn, "the turn")?)
            .bind(entry.holder)
            .bind(entry.signed)
            .bind(entry.handed)
            .bind(entry.due)
            .bind(entry.dead_after())
            .bind(entry.outcome_text()?)
            .bind(entry.record()?)
            .execute(&mut *on)
            .await?;
    }
    for (slot, attempt) in &changes.attempts {
        let statement = "INSERT INTO attempts (slot, hash, tx, bytes) VALUES (?1, ?2, ?3, ?4) \
                         ON CONFLICT (slot, hash) DO UPDATE SET hash = excluded.hash RETURNING number";
        let number: i64 = query_scalar(statement)
            .bind(&slot[..])
            .bind(&attempt.tx.hash)
            .bind(tx_text(&attempt.tx)?)
            .bind(&attempt.tx.bytes)
            .fetch_one(&mut *on)
            .await?;
        for claim in &attempt.claims {
            let statement = "INSERT INTO carried (attempt, claim) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
            query(statement).bind(number).bind(&claim[..]).execute(&mut *on).await?;
        }
    }
    for (slot, hash, claims) in &changes.unsigned {
        for claim in *claims {
            let statement = "DELETE FROM carried WHERE claim = ?3 \
                             AND attempt IN (SELECT number FROM attempts WHERE slot = ?1 AND hash = ?2)";
            query(statement).bind(&slot[..]).bind(hash).bind(&claim[..]).execute(&mut *on).await?;
            let statement = "UPDATE claims SET signed = EXISTS (SELECT 1 FROM carried WHERE claim = ?1) WHERE id = ?1";
            query(statement).bind(&claim[..]).execute(&mut *on).await?;
        }
        let statement = "DELETE FROM attempts WHERE slot = ?1 AND hash = ?2 \
                         AND NOT EXISTS (SELECT 1 FROM carried WHERE attempt = number)";
        query(statement).bind(&slot[..]).bind(hash).execute(&mut *on).await?;
    }
    for (network, signer, held) in &changes.signers {
        let statement = "INSERT INTO signers (network, signer, holder, epoch) VALUES (?1, ?2, ?3, ?4) \
                         ON CONFLICT DO UPDATE SET holder = excluded.holder, epoch = excluded.epoch";
        query(statement)
            .bind(network.as_str())
            .bind(signer)
            .bind(held.holder)
            .bind(exact(held.epoch, "the epoch")?)
            .execute(&mut *on)
            .await?;
    }
    Ok(())
}

/// Transactions no longer wait for a claim; those that wait for none are gone.
async fn end(on: &mut SqliteConnection, claim: &Id) -> Result<(), sqlx::Error> {
    let statement = "DELETE FROM carried WHERE claim = ?1 RETURNING attempt";
    let attempts: Vec<i64> = query_scalar(statement).bind(&claim[..]).fetch_all(&mut *on).await?;
    for attempt in attempts {
        let statement =
            "DELETE FROM attempts WHERE number = ?1 AND NOT EXISTS (SELECT 1 FROM carried WHERE attempt = ?1)";
        query(statement).bind(attempt).execute(&mut *on).await?;
    }
    Ok(())
}

pub(super) async fn find(
    on: &mut SqliteConnection,
    id: &Id,
) -> Result<Option<(Entry, Option<OpenSlot<SignedTx>>)>, Failed> {
    let statement = concat!("SELECT ", claim_columns!(), " FROM claims c WHERE c.id = ?1");
    let found: Option<ClaimColumns> = query_as(statement).bind(&id[..]).fetch_optional(&mut *on).await?;
    let Some(entry) = found.map(Entry::read).transpose()? else { return Ok(None) };
    if !entry.signed {
        return Ok(Some((entry, None)));
    }
    let statement = "SELECT slot FROM attempts WHERE number = (SELECT max(attempt) FROM carried WHERE claim = ?1)";
    let slot: Option<Vec<u8>> = query_scalar(statement).bind(&id[..]).fetch_optional(&mut *on).await?;
    let slot = match slot {
        Some(slot) => whole(on, vec![slot]).await?.pop(),
        None => None,
    };
    Ok(Some((entry, slot)))
}

pub(super) async fn open(on: &mut SqliteConnection, limit: i64) -> Result<Vec<OpenSlot<SignedTx>>, Failed> {
    let statement = "SELECT slot FROM attempts GROUP BY slot ORDER BY min(number) LIMIT ?1";
    let places: Vec<Vec<u8>> = query_scalar(statement).bind(limit).fetch_all(&mut *on).await?;
    whole(on, places).await
}

/// Slots with all their attempts and claims, in the order given.
async fn whole(on: &mut SqliteConnection, places: Vec<Vec<u8>>) -> Result<Vec<OpenSlot<SignedTx>>, Failed> {
    let (mut attempts, mut carried, mut claims) = (Vec::new(), Vec::new(), Vec::new());
    for place in places {
        let statement = "SELECT number, slot, tx, bytes FROM attempts WHERE slot = ?1 ORDER BY number";
        let found: Vec<AttemptColumns> = query_as(statement).bind(&place[..]).fetch_all(&mut *on).await?;
        for (number, ..) in &found {
            let statement = "SELECT attempt, claim FROM carried WHERE attempt = ?1";
            carried.extend(query_as::<_, (i64, Vec<u8>)>(statement).bind(number).fetch_all(&mut *on).await?);
        }
        let statement = concat!(
            "SELECT ",
            claim_columns!(),
            " FROM claims c WHERE c.id IN (SELECT claim FROM carried, attempts WHERE attempt = number AND slot = ?1)"
        );
        claims.extend(query_as::<_, ClaimColumns>(statement).bind(&place[..]).fetch_all(&mut *on).await?);
        attempts.extend(found);
    }
    Ok(slots(attempts, carried, claims)?)
}

pub(super) async fn handed(on: &mut SqliteConnection, holder: Holder, limit: i64) -> Result<Vec<Ticket>, Failed> {
    let statement = concat!(
        "SELECT ",
        claim_columns!(),
        " FROM claims c WHERE c.outcome IS NULL AND c.holder = ?1 AND c.handed ORDER BY c.rowid LIMIT ?2"
    );
    let found: Vec<ClaimColumns> = query_as(statement).bind(holder).bind(limit).fetch_all(on).await?;
    let tickets = found.into_iter().map(|columns| Entry::read(columns).map(|entry| entry.row.ticket()));
    Ok(tickets.collect::<Result<_, _>>()?)
}
