//! What a desk reads from PostgreSQL's tables, and writes into them; each step in one statement, however many rows it is
//! about.
//!
//! Several processes write at once. Whoever decides on a row has locked it, and everybody locks in one order: claims by
//! id, signers, attempts by number. A row that is not there cannot be locked: of two that put one in, the later one fails,
//! and is tried again from the start.

use super::trouble::Failed;
use crate::ledger::desk::{Changes, Desk, Held};
use crate::ledger::ids::{self, Id};
use crate::ledger::op::{Holder, Wanted};
use crate::ledger::record::{AttemptColumns, ClaimColumns, Entry, claim_columns, clamp, exact, slots, tx_text};
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, query, query_as, query_scalar, raw_sql};
use std::time::Duration;
use tollway_core::{ClaimState, NetworkId, OpenSlot, SignedTx, Ticket};

/// Finished rows forgotten for each row that is taken: forgetting keeps pace, and no call pays for all.
const SWEEP: i64 = 4;
/// Rows of dead holders seen to in one go.
const BURIED: i64 = 1000;

/// Forgets rows whose time has come, in a transaction of its own: no harm is done if a crash brings them back, and so it
/// does not wait for the disk. What another process looks at is left for the next time.
pub(super) async fn sweep(on: &mut PgConnection, now: i64, takes: usize) -> Result<(), sqlx::Error> {
    let most = SWEEP.saturating_mul(i64::try_from(takes).unwrap_or(i64::MAX));
    let statements = format!(
        "BEGIN; SET LOCAL synchronous_commit = off; DELETE FROM claims WHERE id IN (SELECT id FROM claims \
         WHERE due <= {now} ORDER BY due, id LIMIT {most} FOR UPDATE SKIP LOCKED); COMMIT"
    );
    raw_sql(AssertSqlSafe(statements)).execute(on).await.map(drop)
}

/// Says that a holder is alive, for `lease` from now by the database's clock.
pub(super) async fn beat(on: &mut PgConnection, holder: Holder, lease: Duration) -> Result<(), sqlx::Error> {
    let statement = "INSERT INTO holders (id, until) VALUES ($1, clock_timestamp() + $2 * interval '1 millisecond') \
                     ON CONFLICT (id) DO UPDATE SET until = greatest(holders.until, excluded.until)";
    query(statement)
        .bind(holder)
        .bind(clamp(lease.as_millis().try_into().unwrap_or(u64::MAX)))
        .execute(on)
        .await
        .map(drop)
}

/// Counts a holder as dead.
pub(super) async fn leave(on: &mut PgConnection, holder: Holder) -> Result<(), sqlx::Error> {
    query("UPDATE holders SET until = '-infinity' WHERE id = $1").bind(holder).execute(on).await.map(drop)
}

/// What dead holders took and did not finish may be forgotten some time, unless something was signed for it; the holders
/// themselves are forgotten now. One that was only away for long is put in again when it is back.
pub(super) async fn bury(on: &mut PgConnection, now: i64) -> Result<(), sqlx::Error> {
    let statement = "WITH dead AS (SELECT id FROM holders WHERE until < clock_timestamp() - interval '1 minute'), \
                     left_over AS (SELECT id FROM claims WHERE holder IN (SELECT id FROM dead) \
                     AND outcome IS NULL AND NOT signed AND due IS NULL LIMIT $5 FOR UPDATE SKIP LOCKED) \
                     UPDATE claims SET due = greatest(least(coalesce(dead_after, $1), $2), $1) \
                     + CASE scope WHEN 'facilitator' THEN $3 ELSE $4 END WHERE id IN (SELECT id FROM left_over)";
    let (grace, keep) = (clamp(ClaimState::GRACE_SECONDS), clamp(ClaimState::KEEP_SECONDS));
    query(statement).bind(now).bind(i64::MAX - keep).bind(grace).bind(keep).bind(BURIED).execute(&mut *on).await?;
    let statement = "DELETE FROM holders WHERE until < clock_timestamp() - interval '1 minute' \
                     AND NOT EXISTS (SELECT 1 FROM claims WHERE holder = holders.id \
                     AND outcome IS NULL AND NOT signed AND due IS NULL)";
    query(statement).execute(on).await.map(drop)
}

/// Lays everything wanted by a holder on the desk, locked until the transaction ends.
pub(super) async fn load(on: &mut PgConnection, wanted: &Wanted, by: Holder, desk: &mut Desk) -> Result<(), Failed> {
    if !wanted.claims.is_empty() {
        let statement =
            concat!("SELECT ", claim_columns!(), " FROM claims c WHERE c.id = ANY($1) ORDER BY c.id FOR UPDATE OF c");
        let found: Vec<ClaimColumns> = query_as(statement).bind(bytes(&wanted.claims)).fetch_all(&mut *on).await?;
        for columns in found {
            if let Ok(id) = Id::try_from(&columns.0[..]) {
                desk.put(id, Entry::read(columns)?);
            }
        }
    }
    if !wanted.tokens.is_empty() {
        let statement = "SELECT token, id FROM claims WHERE token = ANY($1)";
        let found: Vec<(Vec<u8>, Vec<u8>)> =
            query_as(statement).bind(bytes(&wanted.tokens)).fetch_all(&mut *on).await?;
        for (token, claim) in found {
            if let (Ok(token), Ok(claim)) = (Id::try_from(token), Id::try_from(claim)) {
                desk.put_token(token, claim);
            }
        }
    }
    signers(on, &wanted.signers, desk).await?;
    let mut holders = desk.holders();
    // Rows that it takes now are asked about by those who come next.
    holders.insert(by);
    let statement = "SELECT id FROM holders WHERE id = ANY($1) AND until > clock_timestamp()";
    let alive: Vec<Holder> =
        query_scalar(statement).bind(holders.into_iter().collect::<Vec<_>>()).fetch_all(on).await?;
    alive.into_iter().for_each(|holder| desk.put_alive(holder));
    Ok(())
}

async fn signers(on: &mut PgConnection, wanted: &[(NetworkId, String)], desk: &mut Desk) -> Result<(), sqlx::Error> {
    // There are few, and nearly always one: each in the order in which everybody locks.
    for (network, signer) in wanted {
        let statement = "SELECT holder, epoch FROM signers WHERE network = $1 AND signer = $2 FOR UPDATE";
        let held: Option<(Option<Holder>, i64)> =
            query_as(statement).bind(network.as_str()).bind(signer).fetch_optional(&mut *on).await?;
        if let Some((holder, epoch)) = held {
            desk.put_signer(network.clone(), signer.clone(), Held::stored(holder, epoch));
        }
    }
    Ok(())
}

fn bytes(ids: &[Id]) -> Vec<Vec<u8>> {
    ids.iter().map(|id| id.to_vec()).collect()
}

/// Writes what was decided.
pub(super) async fn store(on: &mut PgConnection, changes: &Changes<'_>) -> Result<(), Failed> {
    end(on, &changes.ended).await?;
    if !changes.removed.is_empty() {
        query("DELETE FROM claims WHERE id = ANY($1)").bind(bytes(&changes.removed)).execute(&mut *on).await?;
    }
    update(on, &changes.updated).await?;
    insert(on, &changes.inserted).await?;
    for (slot, attempt) in &changes.attempts {
        let statement = "INSERT INTO attempts (slot, hash, tx, bytes) VALUES ($1, $2, $3, $4) \
                         ON CONFLICT (slot, hash) DO UPDATE SET hash = excluded.hash RETURNING number";
        let number: i64 = query_scalar(statement)
            .bind(&slot[..])
            .bind(&attempt.tx.hash)
            .bind(tx_text(&attempt.tx)?)
            .bind(&attempt.tx.bytes)
            .fetch_one(&mut *on)
            .await?;
        let claims: Vec<_> = attempt.claims.iter().map(|id| id.to_vec()).collect();
        let statement = "INSERT INTO carried (attempt, claim) SELECT $1, claim FROM unnest($2::bytea[]) AS claim \
                         ON CONFLICT DO NOTHING";
        query(statement).bind(number).bind(claims).execute(&mut *on).await?;
    }
    for (slot, hash, claims) in &changes.unsigned {
        let claims: Vec<_> = claims.iter().map(|id| id.to_vec()).collect();
        let statement = "SELECT number FROM attempts WHERE slot = $1 AND hash = $2 FOR UPDATE";
        let number: Option<i64> = query_scalar(statement).bind(&slot[..]).bind(hash).fetch_optional(&mut *on).await?;
        let number: Vec<_> = number.into_iter().collect();
        let statement = "DELETE FROM carried WHERE attempt = ANY($1) AND claim = ANY($2)";
        query(statement).bind(&number).bind(&claims).execute(&mut *on).await?;
        let statement = "UPDATE claims SET signed = EXISTS (SELECT 1 FROM carried WHERE claim = claims.id) \
                         WHERE id = ANY($1)";
        query(statement).bind(&claims).execute(&mut *on).await?;
        forget(on, &number).await?;
    }
    for (network, signer, held) in &changes.signers {
        // Not put over a row that somebody else put in meanwhile.
        let statement = match held.stored {
            true => "UPDATE signers SET holder = $3, epoch = $4 WHERE network = $1 AND signer = $2",
            false => "INSERT INTO signers (network, signer, holder, epoch) VALUES ($1, $2, $3, $4)",
        };
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

async fn update(on: &mut PgConnection, rows: &[(Id, &Entry)]) -> Result<(), Failed> {
    if rows.is_empty() {
        return Ok(());
    }
    let turns = rows.iter().map(|(_, entry)| exact(entry.row.turn, "the turn")).collect::<Result<Vec<_>, _>>()?;
    let outcomes = rows.iter().map(|(_, entry)| entry.outcome_text()).collect::<Result<Vec<_>, _>>()?;
    let statement = "UPDATE claims SET turn = new.turn, holder = new.holder, signed = new.signed, handed = new.handed, \
                     due = new.due, outcome = new.outcome \
                     FROM unnest($1::bytea[], $2::bigint[], $3::bigint[], $4::bool[], $5::bool[], $6::bigint[], $7::text[]) \
                     AS new (id, turn, holder, signed, handed, due, outcome) WHERE claims.id = new.id";
    query(statement)
        .bind(rows.iter().map(|(id, _)| id.to_vec()).collect::<Vec<_>>())
        .bind(turns)
        .bind(rows.iter().map(|(_, entry)| entry.holder).collect::<Vec<_>>())
        .bind(rows.iter().map(|(_, entry)| entry.signed).collect::<Vec<_>>())
        .bind(rows.iter().map(|(_, entry)| entry.handed).collect::<Vec<_>>())
        .bind(rows.iter().map(|(_, entry)| entry.due).collect::<Vec<_>>())
        .bind(outcomes)
        .execute(on)
        .await?;
    Ok(())
}

async fn insert(on: &mut PgConnection, rows: &[(Id, &Entry)]) -> Result<(), Failed> {
    if rows.is_empty() {
        return Ok(());
    }
    let turns = rows.iter().map(|(_, entry)| exact(entry.row.turn, "the turn")).collect::<Result<Vec<_>, _>>()?;
    let outcomes = rows.iter().map(|(_, entry)| entry.outcome_text()).collect::<Result<Vec<_>, _>>()?;
    let records = rows.iter().map(|(_, entry)| entry.record()).collect::<Result<Vec<_>, _>>()?;
    let token = |entry: &Entry| ids::token(entry.row.scope, &entry.row.caller).map(Vec::from);
    let statement = "INSERT INTO claims (id, token, scope, turn, holder, signed, handed, due, dead_after, outcome, record) \
                     SELECT * FROM unnest($1::bytea[], $2::bytea[], $3::text[], $4::bigint[], $5::bigint[], $6::bool[], \
                     $7::bool[], $8::bigint[], $9::bigint[], $10::text[], $11::text[])";
    query(statement)
        .bind(rows.iter().map(|(id, _)| id.to_vec()).collect::<Vec<_>>())
        .bind(rows.iter().map(|(_, entry)| token(entry)).collect::<Vec<_>>())
        .bind(rows.iter().map(|(_, entry)| entry.row.scope.name()).collect::<Vec<_>>())
        .bind(turns)
        .bind(rows.iter().map(|(_, entry)| entry.holder).collect::<Vec<_>>())
        .bind(rows.iter().map(|(_, entry)| entry.signed).collect::<Vec<_>>())
        .bind(rows.iter().map(|(_, entry)| entry.handed).collect::<Vec<_>>())
        .bind(rows.iter().map(|(_, entry)| entry.due).collect::<Vec<_>>())
        .bind(rows.iter().map(|(_, entry)| entry.dead_after()).collect::<Vec<_>>())
        .bind(outcomes)
        .bind(records)
        .execute(on)
        .await?;
    Ok(())
}

/// Transactions no longer wait for claims; those that wait for none are gone. They are locked first: of two processes that
/// end the last two claims of one transaction, one has to see what the other did.
async fn end(on: &mut PgConnection, claims: &[Id]) -> Result<(), sqlx::Error> {
    if claims.is_empty() {
        return Ok(());
    }
    let statement = "SELECT number FROM attempts WHERE number IN (SELECT attempt FROM carried WHERE claim = ANY($1)) \
                     ORDER BY number FOR UPDATE";
    let attempts: Vec<i64> = query_scalar(statement).bind(bytes(claims)).fetch_all(&mut *on).await?;
    query("DELETE FROM carried WHERE claim = ANY($1)").bind(bytes(claims)).execute(&mut *on).await?;
    forget(on, &attempts).await
}

/// Of these transactions, those that nobody waits for.
async fn forget(on: &mut PgConnection, attempts: &[i64]) -> Result<(), sqlx::Error> {
    let statement = "DELETE FROM attempts WHERE number = ANY($1) \
                     AND NOT EXISTS (SELECT 1 FROM carried WHERE attempt = number)";
    query(statement).bind(attempts).execute(on).await.map(drop)
}

/// A claim and whether its holder is alive.
pub(super) async fn claim(on: &mut PgConnection, id: &Id) -> Result<Option<(Entry, bool)>, Failed> {
    let statement = concat!("SELECT ", claim_columns!(), " FROM claims c WHERE c.id = $1");
    let found: Option<ClaimColumns> = query_as(statement).bind(&id[..]).fetch_optional(&mut *on).await?;
    let Some(entry) = found.map(Entry::read).transpose()? else { return Ok(None) };
    if entry.outcome.is_some() {
        return Ok(Some((entry, true)));
    }
    let statement = "SELECT EXISTS (SELECT 1 FROM holders WHERE id = $1 AND until > clock_timestamp())";
    let alive = query_scalar(statement).bind(entry.holder).fetch_one(on).await?;
    Ok(Some((entry, alive)))
}

/// The slot of the newest transaction that was signed for a claim.
pub(super) async fn slot_of(on: &mut PgConnection, id: &Id) -> Result<Option<OpenSlot<SignedTx>>, Failed> {
    let statement = "SELECT slot FROM attempts WHERE number = (SELECT max(attempt) FROM carried WHERE claim = $1)";
    let slot: Option<Vec<u8>> = query_scalar(statement).bind(&id[..]).fetch_optional(&mut *on).await?;
    match slot {
        Some(slot) => Ok(whole(on, &[slot]).await?.pop()),
        None => Ok(None),
    }
}

pub(super) async fn open(on: &mut PgConnection, limit: i64) -> Result<Vec<OpenSlot<SignedTx>>, Failed> {
    let statement = "SELECT slot FROM attempts GROUP BY slot ORDER BY min(number) LIMIT $1";
    let places: Vec<Vec<u8>> = query_scalar(statement).bind(limit).fetch_all(&mut *on).await?;
    whole(on, &places).await
}

/// Slots with all their attempts and claims, oldest first.
async fn whole(on: &mut PgConnection, places: &[Vec<u8>]) -> Result<Vec<OpenSlot<SignedTx>>, Failed> {
    let statement = "SELECT number, slot, tx, bytes FROM attempts WHERE slot = ANY($1) ORDER BY number";
    let attempts: Vec<AttemptColumns> = query_as(statement).bind(places).fetch_all(&mut *on).await?;
    let numbers: Vec<i64> = attempts.iter().map(|(number, ..)| *number).collect();
    let statement = "SELECT attempt, claim FROM carried WHERE attempt = ANY($1) ORDER BY attempt, claim";
    let carried: Vec<(i64, Vec<u8>)> = query_as(statement).bind(&numbers).fetch_all(&mut *on).await?;
    let statement = concat!(
        "SELECT ",
        claim_columns!(),
        " FROM claims c WHERE c.id IN (SELECT claim FROM carried WHERE attempt = ANY($1))"
    );
    let claims: Vec<ClaimColumns> = query_as(statement).bind(&numbers).fetch_all(&mut *on).await?;
    Ok(slots(attempts, carried, claims)?)
}

pub(super) async fn handed(on: &mut PgConnection, holder: Holder, limit: i64) -> Result<Vec<Ticket>, Failed> {
    let statement = concat!(
        "SELECT ",
        claim_columns!(),
        " FROM claims c WHERE c.handed AND c.holder = $1 AND c.outcome IS NULL ORDER BY c.id LIMIT $2"
    );
    let found: Vec<ClaimColumns> = query_as(statement).bind(holder).bind(limit).fetch_all(on).await?;
    let tickets = found.into_iter().map(|columns| Entry::read(columns).map(|entry| entry.row.ticket()));
    Ok(tickets.collect::<Result<_, _>>()?)
}
