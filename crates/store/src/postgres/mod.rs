//! x
pub struct PostgresConfig;
pub struct PostgresLedger;
