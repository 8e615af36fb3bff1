//! Reading and writing: a transaction, or single statements that read, with the same SQL on both backends.

use std::fmt;

use sea_orm::{ConnectionTrait, DatabaseConnection, Value};
use sluice_domain::Timestamp;
use sluice_runtime::{Clock, failpoint};

use crate::database::Backend;
use crate::error::StorageError;
use crate::rows::Row;
use crate::statement::Driver;

/// What a [`Transaction`] and a [`Reader`] can both do. SQL has `$1`-style parameters on both backends.
pub trait Query: Send + Sync {
    /// Which dialect to speak.
    fn backend(&self) -> Backend;

    /// All rows of the answer.
    fn all(
        &self,
        sql: &str,
        values: Vec<Value>,
    ) -> impl Future<Output = Result<Vec<Row>, StorageError>> + Send;

    /// The first row of the answer, if there is any.
    fn one(
        &self,
        sql: &str,
        values: Vec<Value>,
    ) -> impl Future<Output = Result<Option<Row>, StorageError>> + Send;

    /// The database's time. In a transaction it is read when asked, so after every lock that was taken before.
    fn now(&self) -> impl Future<Output = Result<Timestamp, StorageError>> + Send;
}

/// A transaction that may write; unless [committed](Transaction::commit), dropping it rolls it back.
pub struct Transaction {
    driver: Driver,
    name: &'static str,
    backend: Backend,
    clock: Clock,
}

/// Single statements that read, each by itself; cheap to clone. On SQLite its connections can't write.
#[derive(Clone)]
pub struct Reader {
    inner: DatabaseConnection,
    backend: Backend,
    clock: Clock,
}

impl Transaction {
    pub(crate) fn new(driver: Driver, name: &'static str, backend: Backend, clock: Clock) -> Self {
        failpoint::reach(name, "begun");
        Self { driver, name, backend, clock }
    }

    /// Runs one statement and returns how many rows it inserted, changed or deleted.
    ///
    /// # Errors
    /// After one, PostgreSQL refuses everything but the end of the transaction.
    pub async fn execute(&self, sql: &str, values: Vec<Value>) -> Result<u64, StorageError> {
        let (sql, values) = self.backend.worded(sql, values);
        self.driver.execute(sql, values).await
    }

    /// The same for one that is in the backend's own words.
    pub(crate) async fn execute_as_is(&self, sql: String, values: Vec<Value>) -> Result<u64, StorageError> {
        self.driver.execute(sql, values).await
    }

    /// All rows of the answer to a statement that is in the backend's own words.
    pub(crate) async fn all_as_is(&self, sql: String, values: Vec<Value>) -> Result<Vec<Row>, StorageError> {
        self.driver.all(sql, values).await
    }

    /// Runs a script of several statements without parameters.
    pub(crate) async fn script(&self, sql: &str) -> Result<(), StorageError> {
        self.driver.script(sql).await
    }

    /// Makes it all durable and visible. When it returns, the commit is synced to disk.
    ///
    /// # Errors
    /// `Unavailable` leaves in doubt whether it was committed; any other error means that it was not.
    pub async fn commit(self) -> Result<(), StorageError> {
        failpoint::reach(self.name, "committing");
        self.driver.commit().await?;
        failpoint::reach(self.name, "committed");
        Ok(())
    }

    /// Undoes it all, and has done so when it returns.
    ///
    /// # Errors
    /// When the connection is gone; the database undoes it by itself then.
    pub async fn rollback(self) -> Result<(), StorageError> {
        self.driver.rollback().await
    }
}

impl Reader {
    pub(crate) fn new(inner: DatabaseConnection, backend: Backend, clock: Clock) -> Self {
        Self { inner, backend, clock }
    }

    /// For sea-orm entities.
    pub fn connection(&self) -> &DatabaseConnection {
        &self.inner
    }
}

impl Query for Transaction {
    fn backend(&self) -> Backend {
        self.backend
    }

    async fn all(&self, sql: &str, values: Vec<Value>) -> Result<Vec<Row>, StorageError> {
        let (sql, values) = self.backend.worded(sql, values);
        self.driver.all(sql, values).await
    }

    async fn one(&self, sql: &str, values: Vec<Value>) -> Result<Option<Row>, StorageError> {
        Ok(self.all(sql, values).await?.into_iter().next())
    }

    async fn now(&self) -> Result<Timestamp, StorageError> {
        now(self, &self.clock).await
    }
}

impl Query for Reader {
    fn backend(&self) -> Backend {
        self.backend
    }

    async fn all(&self, sql: &str, values: Vec<Value>) -> Result<Vec<Row>, StorageError> {
        let rows = self.inner.query_all_raw(self.backend.statement(sql, values)).await?;
        Ok(rows.into_iter().map(Row::from_driver).collect())
    }

    async fn one(&self, sql: &str, values: Vec<Value>) -> Result<Option<Row>, StorageError> {
        let row = self.inner.query_one_raw(self.backend.statement(sql, values)).await?;
        Ok(row.map(Row::from_driver))
    }

    async fn now(&self) -> Result<Timestamp, StorageError> {
        now(self, &self.clock).await
    }
}

async fn now(query: &impl Query, clock: &Clock) -> Result<Timestamp, StorageError> {
    match query.backend() {
        Backend::Sqlite => Ok(clock.now()),
        Backend::Postgres => {
            let row = query.one("SELECT sluice_now()", Vec::new()).await?;
            let row = row.ok_or_else(|| StorageError::decode("sluice_now() returned no row"))?;
            Ok(Timestamp::from_micros(row.at(0)?))
        }
    }
}

impl fmt::Debug for Transaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Transaction").field(&self.backend).finish()
    }
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Reader").field(&self.backend).finish()
    }
}
