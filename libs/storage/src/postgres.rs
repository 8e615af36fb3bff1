//! A schema of a PostgreSQL server: one pool, every commit synced, time from the server.

use std::time::Duration;

use sea_orm::DatabaseConnection;
use sluice_domain::Timestamp;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{ConnectOptions, Connection};
use url::Url;

use crate::database::{ConnectError, Database, Options};
use crate::error::StorageError;
use crate::transaction::Transaction;

/// A connection that lay idle longer is asked whether it still lives before it is used.
const TRUSTED_IDLE: Duration = Duration::from_secs(1);

/// A transaction that does nothing for so long has lost its owner; the server ends it.
const IDLE_IN_TRANSACTION: Duration = Duration::from_secs(60);

/// Prepared statements kept by each connection.
const STATEMENTS: usize = 256;

/// The pool, with the schema in place.
pub(crate) async fn connect(
    server: &Url,
    schema: &str,
    options: &Options,
) -> Result<DatabaseConnection, StorageError> {
    // Given at connection start, so that they hold for every connection the pool will ever open.
    let settings = [
        ("search_path", schema.to_owned()),
        ("synchronous_commit", "on".to_owned()),
        ("default_transaction_isolation", "read committed".to_owned()),
        ("statement_timeout", milliseconds(options.statement_timeout)),
        ("lock_timeout", milliseconds(options.lock_timeout)),
        ("idle_in_transaction_session_timeout", milliseconds(IDLE_IN_TRANSACTION)),
    ];
    let connecting = PgConnectOptions::from_url(server)?
        .options(settings)
        .statement_cache_capacity(STATEMENTS)
        .disable_statement_logging();
    let pool = PgPoolOptions::new()
        .max_connections(options.connections.max(1))
        .acquire_timeout(options.acquire_timeout)
        .test_before_acquire(false)
        .before_acquire(|connection, seen| {
            Box::pin(async move {
                if seen.idle_for > TRUSTED_IDLE {
                    connection.ping().await?;
                }
                Ok(true)
            })
        })
        .connect_with(connecting)
        .await?;
    create_schema(&pool, schema).await?;
    Ok(pool.into())
}

/// `schema` holds nothing that would need quoting; see [`DatabaseUrl`](crate::DatabaseUrl).
async fn create_schema(pool: &PgPool, schema: &str) -> Result<(), StorageError> {
    // Asked first, so that a role that may not create schemas can use one that is there.
    let exists = "SELECT EXISTS (SELECT 1 FROM pg_namespace WHERE nspname = $1)";
    if sqlx::query_scalar::<_, bool>(exists).bind(schema).fetch_one(pool).await? {
        return Ok(());
    }
    let mut transaction = pool.begin().await?;
    // CREATE … IF NOT EXISTS alone fails when two processes run it at once.
    sqlx::query("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))")
        .bind(format!("sluice schema {schema}"))
        .execute(&mut *transaction)
        .await?;
    sqlx::raw_sql(sqlx::AssertSqlSafe(format!("CREATE SCHEMA IF NOT EXISTS \"{schema}\"")))
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok(())
}

/// Serialises the migrations of one schema until `transaction` ends, and lets them take their time.
pub(crate) async fn lock_migrations(transaction: &Transaction) -> Result<(), StorageError> {
    transaction.script("SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0").await?;
    transaction
        .execute(
            "SELECT pg_advisory_xact_lock(hashtextextended('sluice migrate ' || current_schema(), 0))",
            Vec::new(),
        )
        .await?;
    Ok(())
}

/// Creates `sluice_now()`, the time in microseconds since the Unix epoch: the server's, or what [`set_clock`] said last.
pub(crate) async fn create_clock(transaction: &Transaction, settable: bool) -> Result<(), StorageError> {
    const SERVER_TIME: &str = "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint";
    if !settable {
        return transaction
            .script(&format!(
                "CREATE OR REPLACE FUNCTION sluice_now() RETURNS bigint LANGUAGE sql VOLATILE
                 AS $$ SELECT {SERVER_TIME} $$"
            ))
            .await;
    }
    transaction
        .script(&format!(
            "CREATE TABLE IF NOT EXISTS sluice_clock (
                 one BOOLEAN PRIMARY KEY DEFAULT TRUE CHECK (one),
                 now BIGINT NOT NULL
             );
             CREATE OR REPLACE FUNCTION sluice_now() RETURNS bigint LANGUAGE sql VOLATILE
             AS $$ SELECT coalesce((SELECT now FROM sluice_clock), {SERVER_TIME}) $$"
        ))
        .await
}

/// Sets what a settable `sluice_now()` returns from now on.
pub(crate) async fn set_clock(database: &Database, now: Timestamp) -> Result<(), StorageError> {
    let transaction = database.write("clock").await?;
    transaction
        .execute(
            "INSERT INTO sluice_clock (now) VALUES ($1) ON CONFLICT (one) DO UPDATE SET now = excluded.now",
            vec![now.as_micros().into()],
        )
        .await?;
    transaction.commit().await
}

/// Refuses a session that acknowledges before it has synced, whatever stands between us and the server.
pub(crate) async fn require_durable(database: &Database) -> Result<(), ConnectError> {
    let found: String = database.scalar("SHOW synchronous_commit").await?;
    if found != "on" {
        return Err(ConnectError::NotDurable { setting: "synchronous_commit", found, required: "on" });
    }
    Ok(())
}

/// The settings of the session and of the server.
pub(crate) async fn durability(database: &Database) -> Result<String, StorageError> {
    let mut line = "postgres:".to_owned();
    for setting in ["fsync", "synchronous_commit", "full_page_writes"] {
        let value: String = database.scalar(&format!("SHOW {setting}")).await?;
        line.push_str(&format!(" {setting}={value}"));
    }
    Ok(line)
}

fn milliseconds(timeout: Duration) -> String {
    timeout.as_millis().to_string()
}
