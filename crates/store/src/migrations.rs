//! Migrations: the tables of every store, numbered, part of the program. A database remembers which it has had.

use sqlx::SqlSafeStr;
use sqlx::migrate::{Migrate, MigrateError, Migration, MigrationType, Migrator};

/// Where a database remembers. Not sqlx's own name, so that a program with migrations of its own can share the database.
const TABLE: &str = "tollway_migrations";

/// What a migration does, in one word, and its statements. Its number is its place, from 1. Once released it never changes.
pub(crate) type Script = (&'static str, &'static str);

/// Brings a database up to date.
///
/// The error says what to do. `database` is how the user calls it.
pub(crate) async fn run(scripts: &[Script], on: &mut impl Migrate, database: &str) -> Result<(), String> {
    let numbered = (1i64..).zip(scripts).map(|(number, (name, script))| {
        Migration::new(number, (*name).into(), MigrationType::Simple, (*script).into_sql_str(), false)
    });
    let mut migrator = Migrator::with_migrations(numbered.collect());
    migrator.dangerous_set_table_name(TABLE);
    migrator.run_direct(None, on, false).await.map_err(|why| match why {
        MigrateError::VersionMissing(number) => format!(
            "{database} was written by a newer Tollway: it has migration {number}, this version knows {}; use that version \
             or a newer one",
            scripts.len()
        ),
        MigrateError::VersionMismatch(number) => format!(
            "migration {number} of {database} is not the one this version knows: it was written by another build, or \
             changed by hand; use that build, or restore a backup"
        ),
        MigrateError::Dirty(number) => {
            format!("migration {number} of {database} was begun and not finished; restore a backup")
        }
        MigrateError::Execute(why) | MigrateError::ExecuteMigration(why, _) => {
            format!("the tables of {database} could not be brought up to date: {}", crate::trouble::said(&why))
        }
        why => format!("the tables of {database} could not be brought up to date: {why}"),
    })
}
