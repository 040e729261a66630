//! What an operation reads from the tables of sessions, and writes into them: the same statements for every database.

/// The functions for one database. `$lock` ends a query whose row of `e` is about to change, `$skip` one whose rows are to go
/// unless somebody is at them.
macro_rules! session_tables {
    ($database:ty, $connection:ty, $lock:literal, $skip:literal) => {
        use crate::sessions::op::{Answer, Op};
        use crate::sessions::row::{self, EntitlementColumns, entitlement_columns};
        use crate::trouble::Failed;
        use sqlx::{FromRow as _, QueryBuilder, Row as _, query, query_as, query_scalar};
        use tollway_core::{AccountId, Amount};
        use tollway_siwx::{Draw, Drawn, Entered, Entitlement, Entry, Left, MAX_GUESTS};

        /// Most entitlements listed for one account.
        const LISTED: i64 = 1000;
        const LOCK: &str = $lock;

        /// Decides an entry that changes nothing. `None` for one that uses something up.
        pub(super) async fn look(on: &mut $connection, entry: &Entry<'_>) -> Result<Option<Entered>, Failed> {
            Ok(match judge(on, entry, "").await? {
                Err(refused) => Some(refused),
                Ok(found) => {
                    let lasts = entry.nonce.is_none() && found.as_ref().is_none_or(|(_, drawn)| drawn.taken == Left::Time);
                    lasts.then(|| Entered::In(found.map(|(_, drawn)| drawn)))
                }
            })
        }

        /// Does one operation.
        pub(super) async fn apply(on: &mut $connection, op: &Op) -> Result<Answer, Failed> {
            Ok(Answer::Done(match op {
                Op::Enter(entering) => return enter(on, &entering.entry()).await.map(Answer::Entered),
                Op::GiveBack(drawn) => give_back(on, drawn).await?,
                Op::Record { entitlement, now } => record(on, entitlement, *now).await?,
                Op::Share { id, owner, guest, now } => share(on, id, owner, guest, *now).await?,
                Op::Unshare { id, owner, guest } => {
                    let statement = "DELETE FROM entitled WHERE entitlement = $1 AND account = $3 AND account <> $2 AND EXISTS \
                                     (SELECT 1 FROM entitlements WHERE id = $1 AND owner = $2)";
                    let delete = query(statement).bind(id).bind(owner.to_string()).bind(guest.to_string());
                    delete.execute(on).await?.rows_affected() > 0
                }
                Op::End(id) => {
                    let delete = query("DELETE FROM entitlements WHERE id = $1").bind(id);
                    delete.execute(on).await?.rows_affected() > 0
                }
                Op::Revoke { revocation, .. } => {
                    let statement = "INSERT INTO revocations (revoked, issued_until, until) VALUES ($1, $2, $3) \
                                     ON CONFLICT (revoked) DO UPDATE SET \
                                     issued_until = CASE WHEN excluded.issued_until > revocations.issued_until \
                                         THEN excluded.issued_until ELSE revocations.issued_until END, \
                                     until = CASE WHEN excluded.until > revocations.until \
                                         THEN excluded.until ELSE revocations.until END";
                    let insert = query(statement).bind(&*revocation.of).bind(row::time(revocation.issued_until));
                    insert.bind(row::time(revocation.until)).execute(on).await?;
                    true
                }
            }))
        }

        /// What has ended before this second is forgotten, so many of each kind.
        pub(super) async fn sweep(on: &mut $connection, before: u64, most: i64) -> Result<(), sqlx::Error> {
            for statement in [
                concat!(
                    "DELETE FROM entitlements WHERE id IN \
                     (SELECT id FROM entitlements WHERE ends < $1 ORDER BY ends LIMIT $2",
                    $skip,
                    ")"
                ),
                concat!(
                    "DELETE FROM nonces WHERE nonce IN (SELECT nonce FROM nonces WHERE until < $1 ORDER BY until LIMIT $2",
                    $skip,
                    ")"
                ),
                concat!(
                    "DELETE FROM revocations WHERE revoked IN \
                     (SELECT revoked FROM revocations WHERE until < $1 ORDER BY until LIMIT $2",
                    $skip,
                    ")"
                ),
            ] {
                query(statement).bind(row::time(before)).bind(most).execute(&mut *on).await?;
            }
            Ok(())
        }

        /// What an account owns or shares.
        pub(super) async fn entitlements(
            on: &mut $connection,
            account: &AccountId,
            now: u64,
        ) -> Result<Vec<Entitlement>, Failed> {
            let statement = concat!(
                "SELECT ",
                entitlement_columns!(),
                " FROM entitled h JOIN entitlements e ON e.id = h.entitlement \
                 WHERE h.account = $1 AND NOT h.spent AND h.ends > $2 ORDER BY h.ends, e.id LIMIT $3"
            );
            let found = query_as(statement).bind(account.to_string()).bind(row::time(now)).bind(LISTED);
            let found: Vec<EntitlementColumns> = found.fetch_all(on).await?;
            Ok(found.into_iter().map(row::read).collect::<Result<_, _>>()?)
        }

        /// Whether an entry may be, and what it draws from; an error is its answer.
        async fn judge(
            on: &mut $connection,
            entry: &Entry<'_>,
            lock: &'static str,
        ) -> Result<Result<Option<(Entitlement, Drawn)>, Entered>, Failed> {
            if let Some(token) = &entry.token {
                let mut ask = QueryBuilder::<$database>::new("SELECT 1 FROM revocations WHERE issued_until >= ");
                ask.push_bind(row::time(token.issued_at)).push(" AND revoked IN (");
                let mut names = ask.separated(", ");
                names.push_bind(token.id);
                for account in entry.accounts {
                    names.push_bind(account.to_string());
                }
                if ask.push(") LIMIT 1").build().fetch_optional(&mut *on).await?.is_some() {
                    return Ok(Err(Entered::Revoked));
                }
            }
            if let Some(shown) = &entry.nonce {
                let used = query("SELECT 1 FROM nonces WHERE nonce = $1").bind(shown.nonce);
                if used.fetch_optional(&mut *on).await?.is_some() {
                    return Ok(Err(Entered::NonceUsed));
                }
            }
            let Some(draw) = &entry.draw else { return Ok(Ok(None)) };
            Ok(find(on, entry, draw, lock).await?.map(Some).ok_or(Entered::NotEntitled))
        }

        /// What to draw from, and what.
        async fn find(
            on: &mut $connection,
            entry: &Entry<'_>,
            draw: &Draw<'_>,
            lock: &'static str,
        ) -> Result<Option<(Entitlement, Drawn)>, Failed> {
            if entry.accounts.is_empty() || draw.scopes.is_empty() {
                return Ok(None);
            }
            let mut ask = QueryBuilder::<$database>::new(concat!(
                "SELECT ",
                entitlement_columns!(),
                ", h.account FROM entitled h JOIN entitlements e ON e.id = h.entitlement WHERE NOT h.spent AND h.ends > "
            ));
            ask.push_bind(row::time(entry.now)).push(" AND h.account IN (");
            let mut accounts = ask.separated(", ");
            for account in entry.accounts {
                accounts.push_bind(account.to_string());
            }
            let mut scopes = ask.push(") AND h.scope IN (").separated(", ");
            for scope in draw.scopes {
                scopes.push_bind(scope.as_str());
            }
            ask.push(") AND (h.kind = ").push_bind(row::TIME).push(" OR h.kind = ").push_bind(row::CALLS);
            ask.push(" AND e.amount > ").push_bind(row::bytes(Amount::ZERO));
            for price in draw.prices {
                ask.push(" OR e.network = ").push_bind(price.network.as_str()).push(" AND e.asset = ");
                ask.push_bind(&*price.asset).push(" AND e.amount >= ").push_bind(row::bytes(price.amount));
            }
            // What costs nothing more comes first, then what ends first.
            ask.push(") ORDER BY h.kind, h.ends LIMIT 1").push(lock);
            let Some(found) = ask.build().fetch_optional(on).await? else { return Ok(None) };
            let account: String = found.try_get("account")?;
            let entitlement = row::read(EntitlementColumns::from_row(&found)?)?;
            let account = entry.accounts.iter().find(|known| known.to_string() == account);
            let drawn = account.cloned().zip(row::price(&entitlement.left, draw));
            Ok(drawn.map(|(account, taken)| {
                let drawn = Drawn::new(&entitlement, account, taken);
                (entitlement, drawn)
            }))
        }

        async fn enter(on: &mut $connection, entry: &Entry<'_>) -> Result<Entered, Failed> {
            let found = match judge(on, entry, LOCK).await? {
                Ok(found) => found,
                Err(refused) => return Ok(refused),
            };
            if let Some(shown) = &entry.nonce {
                let statement = "INSERT INTO nonces (nonce, until) VALUES ($1, $2) ON CONFLICT (nonce) DO NOTHING";
                let insert = query(statement).bind(shown.nonce).bind(row::time(shown.until));
                if insert.execute(&mut *on).await?.rows_affected() == 0 {
                    return Ok(Entered::NonceUsed);
                }
            }
            let Some((entitlement, drawn)) = found else { return Ok(Entered::In(None)) };
            if let Some(rest) = row::less(&entitlement.left, &drawn.taken) {
                set(on, &entitlement.id, rest).await?;
                if rest.is_zero() {
                    spend(on, &entitlement.id, true).await?;
                }
            }
            Ok(Entered::In(Some(drawn)))
        }

        async fn set(on: &mut $connection, id: &str, amount: Amount) -> Result<(), sqlx::Error> {
            let update = query("UPDATE entitlements SET amount = $2 WHERE id = $1").bind(id).bind(row::bytes(amount));
            update.execute(on).await.map(drop)
        }

        /// Takes an entitlement off the lists of all who may draw from it, or puts it back.
        async fn spend(on: &mut $connection, id: &str, spent: bool) -> Result<(), sqlx::Error> {
            let update = query("UPDATE entitled SET spent = $2 WHERE entitlement = $1").bind(id).bind(spent);
            update.execute(on).await.map(drop)
        }

        async fn by_id(on: &mut $connection, id: &str) -> Result<Option<Entitlement>, Failed> {
            let statement = concat!("SELECT ", entitlement_columns!(), " FROM entitlements e WHERE e.id = $1", $lock);
            let found: Option<EntitlementColumns> = query_as(statement).bind(id).fetch_optional(on).await?;
            Ok(found.map(row::read).transpose()?)
        }

        async fn give_back(on: &mut $connection, drawn: &Drawn) -> Result<bool, Failed> {
            let Some(entitlement) = by_id(on, &drawn.id).await? else { return Ok(false) };
            let Some(sum) = row::more(&entitlement.left, &drawn.taken) else { return Ok(false) };
            set(on, &drawn.id, sum).await?;
            if row::is_spent(&entitlement.left) {
                spend(on, &drawn.id, false).await?;
            }
            Ok(true)
        }

        async fn record(on: &mut $connection, entitlement: &Entitlement, now: u64) -> Result<bool, Failed> {
            let Entitlement { id, owner, scope, ends, left, .. } = entitlement;
            if *ends <= now {
                return Ok(false);
            }
            let (kind, credit, amount) = row::columns(left);
            let statement = "INSERT INTO entitlements (id, owner, scope, ends, kind, network, asset, amount) \
                             VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (id) DO NOTHING";
            let insert = query(statement).bind(&**id).bind(owner.to_string()).bind(scope.as_str());
            let insert = insert.bind(row::time(*ends)).bind(kind).bind(credit.map(|credit| credit.network.as_str()));
            let insert = insert.bind(credit.map(|credit| &*credit.asset)).bind(amount);
            let is_new = insert.execute(&mut *on).await?.rows_affected() > 0;
            if is_new {
                entitle(on, entitlement, owner).await?;
            }
            Ok(is_new)
        }

        /// Lets an account draw.
        async fn entitle(on: &mut $connection, to: &Entitlement, account: &AccountId) -> Result<(), sqlx::Error> {
            let statement = "INSERT INTO entitled (entitlement, account, scope, ends, kind, spent) \
                             VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (entitlement, account) DO NOTHING";
            let insert = query(statement).bind(&*to.id).bind(account.to_string()).bind(to.scope.as_str());
            let insert = insert.bind(row::time(to.ends)).bind(row::columns(&to.left).0).bind(row::is_spent(&to.left));
            insert.execute(on).await.map(drop)
        }

        async fn share(
            on: &mut $connection,
            id: &str,
            owner: &AccountId,
            guest: &AccountId,
            now: u64,
        ) -> Result<bool, Failed> {
            let owned = by_id(on, id).await?.filter(|known| known.owner == *owner && known.ends > now);
            let Some(owned) = owned else { return Ok(false) };
            let statement = "SELECT count(*) FROM entitled WHERE entitlement = $1 AND account <> $2 AND account <> $3";
            let others = query_scalar(statement).bind(id).bind(owner.to_string()).bind(guest.to_string());
            let others: i64 = others.fetch_one(&mut *on).await?;
            let may = guest == owner || usize::try_from(others).is_ok_and(|others| others < MAX_GUESTS);
            if may {
                entitle(on, &owned, guest).await?;
            }
            Ok(may)
        }
    };
}
pub(super) use session_tables;
