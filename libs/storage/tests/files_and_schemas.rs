//! What connecting makes, and what only one of the backends can do wrong.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test has no better use for an error than to fail")]

use std::os::unix::fs::PermissionsExt;

use sluice_runtime::Clock;
use sluice_storage::{ConnectError, Database, DatabaseUrl, Options, Query, StorageError, migrate};

fn mode(path: &std::path::Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn a_new_file_and_its_folder_are_for_their_owner_alone() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("deep/er/sluice.db");
    let url = DatabaseUrl::sqlite(&file);
    let database = Database::connect(&url, Clock::system(), &Options::default()).await.unwrap();
    migrate(&database, &[]).await.unwrap();
    assert_eq!(mode(&file), 0o600);
    assert_eq!(mode(&file.with_extension("db-wal")), 0o600);
    assert_eq!(mode(file.parent().unwrap()), 0o700);
}

#[tokio::test]
async fn a_file_that_can_not_be_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let url = DatabaseUrl::sqlite(folder.path());
    let error = Database::connect(&url, Clock::system(), &Options::default()).await.unwrap_err();
    assert!(matches!(&error, ConnectError::File { path, .. } if path == folder.path()), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_processes_may_open_a_new_file_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let url = DatabaseUrl::sqlite(folder.path().join("new.db"));
    let mut opening = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let url = url.clone();
        opening.spawn(async move { Database::connect(&url, Clock::system(), &Options::default()).await });
    }
    for opened in opening.join_all().await {
        opened.unwrap();
    }
}

#[tokio::test]
async fn readers_of_a_file_can_not_write() {
    let db = sluice_testkit::sqlite().await;
    let error = db.database().read().all("CREATE TABLE x (a)", vec![]).await.unwrap_err();
    assert!(matches!(error, StorageError::Other(_)), "{error:?}");
}

#[tokio::test]
async fn a_writer_kept_out_by_another_process_is_told_to_retry() {
    let db = sluice_testkit::sqlite().await;
    let held = db.database().write("test").await.unwrap();
    let options = Options { lock_timeout: std::time::Duration::from_millis(20), ..Options::default() };
    let other = Database::connect(&db.url, Clock::system(), &options).await.unwrap();
    let error = other.write("test").await.unwrap_err();
    assert!(matches!(error, StorageError::Retry(_)), "{error:?}");
    held.rollback().await.unwrap();
    other.write("test").await.unwrap().commit().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn schemas_of_one_database_are_made_on_demand_and_do_not_see_each_other() {
    let db = sluice_testkit::postgres().await;
    let mut opening = tokio::task::JoinSet::new();
    for number in 0..6 {
        let url = db.url.with_schema(&format!("room{}", number % 2)).unwrap();
        opening.spawn(async move {
            let options = Options { connections: 2, ..Options::default() };
            let database = Database::connect(&url, Clock::system(), &options).await.unwrap();
            migrate(&database, &[]).await.unwrap();
        });
    }
    opening.join_all().await;
    let sql = "SELECT schemaname FROM pg_tables WHERE tablename = 'sluice_migrations' ORDER BY 1";
    let rows = db.database().read().all(sql, vec![]).await.unwrap();
    let schemas: Vec<String> = rows.iter().map(|row| row.at(0).unwrap()).collect();
    assert_eq!(schemas, ["public", "room0", "room1"]);
}

#[tokio::test]
async fn a_lock_waited_for_too_long_is_a_retry_and_a_slow_statement_unavailable() {
    let db = sluice_testkit::postgres().await;
    let short = std::time::Duration::from_millis(500);
    let holding = db.database().write("test").await.unwrap();
    holding.execute("LOCK TABLE sluice_clock IN ACCESS EXCLUSIVE MODE", vec![]).await.unwrap();
    let url = db.url.clone();
    let options = Options { lock_timeout: short, ..Options::default() };
    let database = Database::connect(&url, Clock::system(), &options).await.unwrap();
    let error = database.read().all("SELECT * FROM sluice_clock", vec![]).await.unwrap_err();
    assert!(matches!(error, StorageError::Retry(_)), "{error:?}");
    let options = Options { statement_timeout: short, ..Options::default() };
    let database = Database::connect(&url, Clock::system(), &options).await.unwrap();
    let error =
        database.read().all("SELECT count(*) FROM generate_series(1, 1000000000)", vec![]).await.unwrap_err();
    assert!(matches!(error, StorageError::Unavailable(_)), "{error:?}");
}

#[tokio::test]
async fn connections_cut_by_the_server_are_unavailable_once_and_then_replaced() {
    let db = sluice_testkit::postgres().await;
    let transaction = db.database().write("test").await.unwrap();
    let killer = db.reconnect().await;
    let sql = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
               WHERE datname = current_database() AND pid <> pg_backend_pid()";
    killer.read().one(sql, vec![]).await.unwrap();
    let error = transaction.execute("SELECT 1", vec![]).await.unwrap_err();
    assert!(matches!(error, StorageError::Unavailable(_)), "{error:?}");
    drop(transaction);
    let mut refused = 0;
    while let Err(error) = db.database().read().all("SELECT 1", vec![]).await {
        assert!(matches!(error, StorageError::Unavailable(_)), "{error:?}");
        refused += 1;
        assert!(refused < 10, "dead connections should leave the pool");
    }
}

#[tokio::test]
async fn a_full_disk_is_told_apart_keeps_what_was_committed_and_passes() {
    let db = sluice_testkit::sqlite().await;
    let limit_pages = async |pages: u32| {
        let transaction = db.database().write("test").await.unwrap();
        transaction.one(&format!("PRAGMA max_page_count = {pages}"), vec![]).await.unwrap();
        transaction.commit().await.unwrap();
    };
    let fill = async |seq: i64| {
        let transaction = db.database().write("test").await?;
        let values = vec![seq.into(), vec![7_u8; 100_000].into()];
        transaction.execute("INSERT INTO blobs VALUES ($1, $2)", values).await?;
        transaction.commit().await
    };
    let transaction = db.database().write("test").await.unwrap();
    transaction.execute("CREATE TABLE blobs (seq BIGINT PRIMARY KEY, body BLOB)", vec![]).await.unwrap();
    transaction.commit().await.unwrap();
    fill(1).await.unwrap();

    limit_pages(40).await;
    let error: StorageError = fill(2).await.unwrap_err();
    assert!(matches!(error, StorageError::Full(_)) && error.is_transient(), "{error:?}");
    limit_pages(1_000_000).await;
    fill(3).await.unwrap();
    let rows = db.database().read().all("SELECT seq FROM blobs ORDER BY seq", vec![]).await.unwrap();
    let kept: Vec<i64> = rows.iter().map(|row| row.at(0).unwrap()).collect();
    assert_eq!(kept, [1, 3]);
}

#[tokio::test]
async fn a_transaction_after_one_that_the_database_ended_by_itself_is_one_and_is_committed() {
    let db = sluice_testkit::sqlite().await;
    let setup = db.database().write("test").await.unwrap();
    setup.execute("CREATE TABLE kept (piece BLOB)", vec![]).await.unwrap();
    setup.commit().await.unwrap();
    let options = Options { lock_timeout: std::time::Duration::from_millis(20), ..Options::default() };
    let other = Database::connect(&db.url, Clock::system(), &options).await.unwrap();
    for round in 1..=3_i64 {
        let full = db.database().write("test").await.unwrap();
        full.execute("PRAGMA max_page_count = 10", vec![]).await.unwrap();
        let error = full.execute("INSERT INTO kept VALUES (randomblob(1000000))", vec![]).await.unwrap_err();
        assert!(matches!(error, StorageError::Full(_)), "{error:?}");
        drop(full);

        let next = db.database().write("test").await.unwrap();
        let error = other.write("test").await.unwrap_err();
        assert!(
            matches!(error, StorageError::Retry(_)),
            "it has the file to itself from its beginning: {error:?}"
        );
        next.execute("INSERT INTO kept VALUES (x'00')", vec![]).await.unwrap();
        next.commit().await.unwrap();
        let row = other.read().one("SELECT count(*) FROM kept", vec![]).await.unwrap().unwrap();
        assert_eq!(row.at::<i64>(0).unwrap(), round, "others see what was committed");
    }
}
