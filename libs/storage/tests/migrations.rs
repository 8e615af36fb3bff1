//! The schema's steps: each applied once, whoever comes first, on both backends.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test has no better use for an error than to fail")]

use sluice_runtime::Clock;
use sluice_storage::{Backend, Database, Migration, MigrationError, Options, Query, migrate};
use sluice_testkit::{TestDatabase, on_each_backend};

const FIRST: Migration = Migration {
    name: "0001_first",
    sqlite: "CREATE TABLE one (a BIGINT); CREATE INDEX one_a ON one (a); INSERT INTO one VALUES (1);",
    postgres: "CREATE TABLE one (a BIGINT); CREATE INDEX one_a ON one (a); INSERT INTO one VALUES (1);",
};

const SECOND: Migration = Migration {
    name: "0002_second",
    sqlite: "INSERT INTO one VALUES (2); CREATE TABLE two (b BLOB);",
    postgres: "INSERT INTO one VALUES (2); CREATE TABLE two (b BYTEA);",
};

async fn rows(db: &TestDatabase, table: &str) -> i64 {
    let sql = format!("SELECT count(*) FROM {table}");
    db.database().read().one(&sql, vec![]).await.unwrap().unwrap().at(0).unwrap()
}

#[tokio::test]
async fn steps_are_applied_once_and_in_order() {
    on_each_backend(|db| async move {
        assert_eq!(migrate(db.database(), &[FIRST]).await.unwrap(), 1);
        assert_eq!(migrate(db.database(), &[FIRST, SECOND]).await.unwrap(), 1);
        assert_eq!(migrate(db.database(), &[FIRST, SECOND]).await.unwrap(), 0);
        assert_eq!(rows(&db, "one").await, 2);
        let sql = "SELECT applied_at FROM sluice_migrations ORDER BY name";
        let applied = db.database().read().all(sql, vec![]).await.unwrap();
        assert_eq!(applied[1].get::<i64>("applied_at").unwrap(), db.time.now().as_micros());
    })
    .await;
}

#[tokio::test]
async fn a_changed_step_is_refused_by_name() {
    on_each_backend(|db| async move {
        migrate(db.database(), &[FIRST]).await.unwrap();
        let changed = Migration { sqlite: "SELECT 1", postgres: "SELECT 1", ..FIRST };
        let error = migrate(db.database(), &[changed, SECOND]).await.unwrap_err();
        assert!(matches!(error, MigrationError::Changed { name: "0001_first" }), "{error}");
        assert_eq!(rows(&db, "one").await, 1);
    })
    .await;
}

#[tokio::test]
async fn a_failing_step_leaves_nothing_of_its_call() {
    on_each_backend(|db| async move {
        let broken = Migration { name: "0002_broken", sqlite: "CREATE TABL x", postgres: "CREATE TABL x" };
        let error = migrate(db.database(), &[FIRST, broken]).await.unwrap_err();
        assert!(matches!(error, MigrationError::Failed { name: "0002_broken", .. }), "{error}");
        assert_eq!(rows(&db, "sluice_migrations").await, 0);
        assert_eq!(migrate(db.database(), &[FIRST, SECOND]).await.unwrap(), 2);
    })
    .await;
}

#[tokio::test]
async fn two_steps_of_one_name_are_refused() {
    on_each_backend(|db| async move {
        let error = migrate(db.database(), &[FIRST, FIRST]).await.unwrap_err();
        assert!(matches!(error, MigrationError::Duplicate { name: "0001_first" }), "{error}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn services_that_connect_and_migrate_at_once_apply_each_step_once() {
    on_each_backend(|db| async move {
        let mut services = tokio::task::JoinSet::new();
        for _ in 0..6 {
            let (url, clock) = (db.url.clone(), db.time.clock());
            services.spawn(async move {
                let options = Options { settable_clock: true, ..Options::default() };
                let database = Database::connect(&url, clock, &options).await.unwrap();
                migrate(&database, &[FIRST, SECOND]).await.unwrap()
            });
        }
        assert_eq!(services.join_all().await.into_iter().sum::<usize>(), 2);
        assert_eq!(rows(&db, "one").await, 2);
    })
    .await;
}

#[tokio::test]
async fn production_takes_its_time_from_the_server_and_refuses_a_test_clock() {
    on_each_backend(|db| async move {
        let clock = Clock::system();
        let database = Database::connect(&db.url, clock.clone(), &Options::default()).await.unwrap();
        migrate(&database, &[]).await.unwrap();
        let seen = database.read().now().await.unwrap();
        assert!(seen > db.time.now().plus(sluice_domain::Span::from_secs(86_400)), "{seen}");
        let refused = database.set_test_clock(db.time.now()).await.is_err();
        assert_eq!(refused, db.backend() == Backend::Postgres);
    })
    .await;
}
