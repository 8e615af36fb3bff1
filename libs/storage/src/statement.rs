//! Statements of a transaction as the driver takes them.
//!
//! They go to sqlx itself, beneath sea-orm and on its pool: sea-orm would make a second copy of every value, and those of the one
//! hot writer are all the requests there are.

use sea_orm::Value;
use sea_orm::sea_query::{ArrayType, Nullable, ValueType};
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Arguments as _, AssertSqlSafe, Executor as _, Postgres, Sqlite};
use tokio::sync::Mutex;

use crate::error::{Cause, StorageError};
use crate::rows::Row;

/// A statement is about to run: its text is told to whoever listens, its values to nobody.
pub(crate) fn told(sql: &str) {
    tracing::trace!(sql, "statement");
}

/// A transaction of either driver.
pub(crate) enum Driver {
    Sqlite(Mutex<sqlx::Transaction<'static, Sqlite>>),
    Postgres(Mutex<sqlx::Transaction<'static, Postgres>>),
}

impl Driver {
    /// Runs one statement in the backend's own words, and says how many rows it inserted, changed or deleted.
    pub(crate) async fn execute(&self, sql: String, values: Vec<Value>) -> Result<u64, StorageError> {
        told(&sql);
        match self {
            Self::Sqlite(tx) => {
                let query = sqlx::query_with(AssertSqlSafe(sql), sqlite(values)?);
                Ok(query.execute(&mut **tx.lock().await).await?.rows_affected())
            }
            Self::Postgres(tx) => {
                let query = sqlx::query_with(AssertSqlSafe(sql), postgres(values)?);
                Ok(query.execute(&mut **tx.lock().await).await?.rows_affected())
            }
        }
    }

    /// All rows of the answer to a statement in the backend's own words.
    pub(crate) async fn all(&self, sql: String, values: Vec<Value>) -> Result<Vec<Row>, StorageError> {
        told(&sql);
        match self {
            Self::Sqlite(tx) => {
                let query = sqlx::query_with(AssertSqlSafe(sql), sqlite(values)?);
                let rows: Vec<SqliteRow> = query.fetch_all(&mut **tx.lock().await).await?;
                Ok(rows.into_iter().map(Row::from_driver).collect())
            }
            Self::Postgres(tx) => {
                let query = sqlx::query_with(AssertSqlSafe(sql), postgres(values)?);
                let rows: Vec<PgRow> = query.fetch_all(&mut **tx.lock().await).await?;
                Ok(rows.into_iter().map(Row::from_driver).collect())
            }
        }
    }

    /// Runs a script of several statements without parameters.
    pub(crate) async fn script(&self, sql: &str) -> Result<(), StorageError> {
        let script = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()));
        match self {
            Self::Sqlite(tx) => tx.lock().await.execute(script).await.map(drop)?,
            Self::Postgres(tx) => tx.lock().await.execute(script).await.map(drop)?,
        }
        Ok(())
    }

    pub(crate) async fn commit(self) -> Result<(), StorageError> {
        match self {
            Self::Sqlite(tx) => tx.into_inner().commit().await?,
            Self::Postgres(tx) => tx.into_inner().commit().await?,
        }
        Ok(())
    }

    pub(crate) async fn rollback(self) -> Result<(), StorageError> {
        match self {
            Self::Sqlite(tx) => tx.into_inner().rollback().await?,
            Self::Postgres(tx) => tx.into_inner().rollback().await?,
        }
        Ok(())
    }
}

fn unknown(value: &Value) -> StorageError {
    StorageError::Other(Cause::new(format!(
        "no parameter is of the kind {:?}",
        std::mem::discriminant(value)
    )))
}

fn refused(error: sqlx::error::BoxDynError) -> StorageError {
    StorageError::Other(Cause::new(error.to_string()))
}

fn sqlite(values: Vec<Value>) -> Result<SqliteArguments, StorageError> {
    let mut arguments = SqliteArguments::default();
    arguments.reserve(values.len(), 0);
    for value in values {
        match value {
            Value::BigInt(number) => arguments.add(number),
            Value::String(text) => arguments.add(text),
            Value::Bytes(bytes) => arguments.add(bytes),
            Value::Int(number) => arguments.add(number),
            Value::Bool(bit) => arguments.add(bit),
            other => return Err(unknown(&other)),
        }
        .map_err(refused)?;
    }
    Ok(arguments)
}

fn postgres(values: Vec<Value>) -> Result<PgArguments, StorageError> {
    let mut arguments = PgArguments::default();
    arguments.reserve(values.len(), 0);
    for value in values {
        match value {
            Value::BigInt(number) => arguments.add(number),
            Value::String(text) => arguments.add(text),
            Value::Bytes(bytes) => arguments.add(bytes),
            Value::Int(number) => arguments.add(number),
            Value::Bool(bit) => arguments.add(bit),
            Value::Array(ArrayType::BigInt, Some(elements)) => arguments.add(column::<i64>(*elements)?),
            Value::Array(ArrayType::String, Some(elements)) => arguments.add(column::<String>(*elements)?),
            Value::Array(ArrayType::Bytes, Some(elements)) => arguments.add(column::<Vec<u8>>(*elements)?),
            other => return Err(unknown(&other)),
        }
        .map_err(refused)?;
    }
    Ok(arguments)
}

/// The elements of an array that are all of one kind, NULL among them.
fn column<T: ValueType + Nullable>(elements: Vec<Value>) -> Result<Vec<Option<T>>, StorageError> {
    let mixed = |_| StorageError::Other(Cause::new("an array of several kinds"));
    elements.into_iter().map(|value| <Option<T> as ValueType>::try_from(value).map_err(mixed)).collect()
}
