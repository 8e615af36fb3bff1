//! What went wrong with the database, sorted by what a caller can do about it.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use sea_orm::{DbErr, RuntimeErr};
use thiserror::Error;

/// A failed statement or transaction. Its own text is fit for anybody; the driver's text is in its source, for logs only.
#[derive(Debug, Clone, Error)]
pub enum StorageError {
    /// The database can't be reached or is not ready: connection gone, pool exhausted, server starting, statement timed
    /// out. A commit that ends so is in doubt. Try again later.
    #[error("the database is unavailable")]
    Unavailable(#[source] Cause),
    /// No room left on the database's disk. What was committed is safe; try again when there is room.
    #[error("the database is out of space")]
    Full(#[source] Cause),
    /// A unique key exists already.
    #[error("a row with this key exists already")]
    Conflict {
        /// The constraint's name on PostgreSQL (`receipts_pkey`), its columns on SQLite
        /// (`receipts.account, receipts.event_id`; `index 'name'` for an index on an expression). Both begin with the
        /// table's name unless the constraint was named otherwise.
        constraint: String,
    },
    /// Another transaction was in the way (serialization failure, deadlock, lock timeout, busy). Run the whole
    /// transaction again.
    #[error("the transaction has to be tried again")]
    Retry(#[source] Cause),
    /// A row holds something else than the code expects: a bug or a foreign hand.
    #[error("a stored value could not be read")]
    Decode(#[source] Cause),
    /// Anything else; a bug most likely.
    #[error("the database refused the statement")]
    Other(#[source] Cause),
}

/// What the driver said, as text; not for clients.
#[derive(Clone, PartialEq, Eq)]
pub struct Cause(Arc<str>);

impl Cause {
    /// A cause out of any text.
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

impl std::error::Error for Cause {}

impl StorageError {
    /// Whether the same call may succeed later without anybody changing anything but the database's health.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::Full(_) | Self::Retry(_))
    }

    /// A stored value that could not be read, with what was wrong about it.
    pub fn decode(what: impl fmt::Display) -> Self {
        Self::Decode(Cause::new(what.to_string()))
    }
}

impl From<DbErr> for StorageError {
    fn from(error: DbErr) -> Self {
        match &error {
            DbErr::Conn(RuntimeErr::SqlxError(inner))
            | DbErr::Exec(RuntimeErr::SqlxError(inner))
            | DbErr::Query(RuntimeErr::SqlxError(inner)) => classify(inner),
            DbErr::ConnectionAcquire(_) | DbErr::Conn(_) => Self::Unavailable(cause(&error)),
            DbErr::Type(_) | DbErr::Json(_) | DbErr::TryIntoErr { .. } | DbErr::ConvertFromU64(_) => {
                Self::Decode(cause(&error))
            }
            _ => Self::Other(cause(&error)),
        }
    }
}

impl From<sqlx::Error> for StorageError {
    fn from(error: sqlx::Error) -> Self {
        classify(&error)
    }
}

fn cause(error: &dyn std::error::Error) -> Cause {
    Cause::new(error.to_string())
}

fn classify(error: &sqlx::Error) -> StorageError {
    match error {
        sqlx::Error::Database(refusal) => {
            if let Some(error) = refusal.try_downcast_ref::<sqlx::postgres::PgDatabaseError>() {
                postgres(error.code(), error.constraint(), cause(refusal))
            } else {
                let code = refusal.code().unwrap_or(Cow::Borrowed(""));
                sqlite(code.parse().unwrap_or(0), refusal.message(), cause(refusal))
            }
        }
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => StorageError::Unavailable(cause(error)),
        sqlx::Error::ColumnNotFound(_)
        | sqlx::Error::ColumnIndexOutOfBounds { .. }
        | sqlx::Error::ColumnDecode { .. }
        | sqlx::Error::Decode(_)
        | sqlx::Error::TypeNotFound { .. } => StorageError::Decode(cause(error)),
        _ => StorageError::Other(cause(error)),
    }
}

/// By SQLSTATE, PostgreSQL manual, appendix A.
fn postgres(code: &str, constraint: Option<&str>, cause: Cause) -> StorageError {
    match code {
        "23505" => StorageError::Conflict { constraint: constraint.unwrap_or_default().to_owned() },
        "53100" => StorageError::Full(cause),
        // Serialization failure, deadlock, lock not available in time.
        "40001" | "40P01" | "55P03" => StorageError::Retry(cause),
        // Statement timeout, idle-in-transaction and transaction timeout, shutdowns and crash recovery, a standby's
        // read-only refusal during a fail-over, an I/O error of the server.
        "57014" | "25P03" | "25P04" | "57P01" | "57P02" | "57P03" | "57P05" | "25006" | "58030" => {
            StorageError::Unavailable(cause)
        }
        // Connection exceptions; insufficient resources other than the disk.
        _ if code.starts_with("08") || code.starts_with("53") => StorageError::Unavailable(cause),
        _ => StorageError::Other(cause),
    }
}

/// By extended result code, sqlite.org/rescode.html.
fn sqlite(code: i32, message: &str, cause: Cause) -> StorageError {
    const BUSY: i32 = 5;
    const LOCKED: i32 = 6;
    const IOERR: i32 = 10;
    const FULL: i32 = 13;
    const CANTOPEN: i32 = 14;
    const CONSTRAINT_PRIMARYKEY: i32 = 1555;
    const CONSTRAINT_UNIQUE: i32 = 2067;
    const CONSTRAINT_ROWID: i32 = 2579;

    match (code, code & 0xff) {
        (CONSTRAINT_PRIMARYKEY | CONSTRAINT_UNIQUE | CONSTRAINT_ROWID, _) => {
            let constraint = message.split_once("failed: ").map_or(message, |(_, columns)| columns);
            StorageError::Conflict { constraint: constraint.to_owned() }
        }
        (_, BUSY | LOCKED) => StorageError::Retry(cause),
        (_, FULL) => StorageError::Full(cause),
        (_, IOERR | CANTOPEN) => StorageError::Unavailable(cause),
        _ => StorageError::Other(cause),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(error: &StorageError) -> &'static str {
        match error {
            StorageError::Unavailable(_) => "unavailable",
            StorageError::Full(_) => "full",
            StorageError::Conflict { .. } => "conflict",
            StorageError::Retry(_) => "retry",
            StorageError::Decode(_) => "decode",
            StorageError::Other(_) => "other",
        }
    }

    #[test]
    fn postgres_codes_sort_by_what_a_caller_can_do() {
        for (code, expected) in [
            ("23505", "conflict"),
            ("53100", "full"),
            ("40001", "retry"),
            ("40P01", "retry"),
            ("57P03", "unavailable"),
            ("08006", "unavailable"),
            ("53300", "unavailable"),
            ("57014", "unavailable"),
            ("42601", "other"),
            ("23503", "other"),
        ] {
            assert_eq!(kind(&postgres(code, Some("x_pkey"), Cause::new("said"))), expected, "{code}");
        }
    }

    #[test]
    fn sqlite_codes_sort_by_what_a_caller_can_do_extended_ones_included() {
        for (code, expected) in [
            (5, "retry"),
            (517, "retry"),
            (6, "retry"),
            (13, "full"),
            (778, "unavailable"),
            (14, "unavailable"),
            (1555, "conflict"),
            (2067, "conflict"),
            (787, "other"),
            (1, "other"),
        ] {
            let message = "UNIQUE constraint failed: t.a, t.b";
            assert_eq!(kind(&sqlite(code, message, Cause::new("said"))), expected, "{code}");
        }
    }

    #[test]
    fn a_sqlite_conflict_names_its_columns() {
        let error = sqlite(2067, "UNIQUE constraint failed: t.a, t.b", Cause::new("said"));
        assert!(matches!(error, StorageError::Conflict { constraint } if constraint == "t.a, t.b"));
    }

    #[test]
    fn the_drivers_words_are_in_the_source_and_not_in_the_text() {
        let error = StorageError::from(DbErr::Custom("column s3cret".to_owned()));
        assert!(!error.to_string().contains("s3cret"));
        assert!(std::error::Error::source(&error).unwrap().to_string().contains("s3cret"));
    }

    #[test]
    fn a_closed_or_exhausted_pool_is_unavailable() {
        assert_eq!(kind(&sqlx::Error::PoolTimedOut.into()), "unavailable");
        assert_eq!(kind(&sqlx::Error::PoolClosed.into()), "unavailable");
        assert_eq!(kind(&DbErr::ConnectionAcquire(sea_orm::ConnAcquireErr::Timeout).into()), "unavailable");
    }
}
