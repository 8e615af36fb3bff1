//! One way to a database, a SQLite file or a schema of a PostgreSQL server, chosen by one URL.
//!
//! Who is here:
//! - [`DatabaseUrl`]: where the database is, parsed once, its password never shown;
//! - [`Database`]: the pools behind that URL; on SQLite one writer and several readers;
//! - [`Transaction`]: the one way to write; rolled back unless committed;
//! - [`Reader`]: single statements that read, outside of any transaction;
//! - [`Query`]: what both can do, with `$1`-style SQL on both backends; [`Row`] is what comes back;
//! - [`Migration`] and [`migrate`]: the schema's steps, each applied once, by whichever process comes first;
//! - [`StorageError`]: what went wrong, sorted by what a caller can do about it;
//! - [`Insertion`]: many rows into one table; [`rows`]: text and sizes of other statements about many rows;
//! - [`Batcher`]: group commit, one flush at a time, never a timer.
//!
//! Time is the database's: [`Query::now`] is `sluice_now()` on PostgreSQL and our Clock on SQLite, so that what is read
//! after a lock was taken is never older than the lock.

mod batcher;
mod database;
mod database_url;
mod error;
mod insertion;
mod migrate;
mod parameters;
mod postgres;
pub mod rows;
mod sqlite;
mod statement;
mod transaction;

pub use batcher::{Batcher, BatcherHandle, Closed};
pub use database::{Backend, ConnectError, Database, Options};
pub use database_url::{DatabaseUrl, UrlError};
pub use error::{Cause, StorageError};
pub use insertion::{Column, Insertion};
pub use migrate::{Migration, MigrationError, migrate};
pub use rows::Row;
pub use sea_orm::Value;
pub use transaction::{Query, Reader, Transaction};
