//! What the crate promises of a database, on SQLite and on PostgreSQL alike.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test has no better use for an error than to fail")]

use std::sync::{Arc, Mutex};

use sluice_domain::Span;
use sluice_storage::rows::{chunks, placeholders};
use sluice_storage::{
    Backend, Cause, Column, Database, Insertion, Options, Query, Row, StorageError, Transaction, Value,
};
use sluice_testkit::{TestDatabase, on_each_backend};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

async fn with_items(db: &TestDatabase) {
    let transaction = db.database().write("test").await.unwrap();
    let bytes = if db.backend() == Backend::Sqlite { "BLOB" } else { "BYTEA" };
    let table =
        format!("CREATE TABLE items (seq BIGINT PRIMARY KEY, name TEXT UNIQUE, body {bytes}, live BOOLEAN)");
    transaction.execute(&table, vec![]).await.unwrap();
    transaction.commit().await.unwrap();
}

async fn insert(transaction: &Transaction, seq: i64, name: &str) -> Result<u64, StorageError> {
    transaction.execute("INSERT INTO items (seq, name) VALUES ($1, $2)", vec![seq.into(), name.into()]).await
}

async fn count(database: &Database) -> i64 {
    let row = database.read().one("SELECT count(*) AS many FROM items", vec![]).await.unwrap();
    row.unwrap().get("many").unwrap()
}

#[tokio::test]
async fn what_is_committed_is_read_back_with_its_types() {
    on_each_backend(|db| async move {
        with_items(&db).await;
        let transaction = db.database().write("test").await.unwrap();
        let values: Vec<Value> = vec![
            7_i64.into(),
            "käse".into(),
            vec![0_u8, 255].into(),
            true.into(),
            8_i64.into(),
            None::<String>.into(),
        ];
        let sql = "INSERT INTO items (seq, name, body, live) VALUES ($1, $2, $3, $4), ($5, $6, NULL, NOT $4)";
        assert_eq!(transaction.execute(sql, values).await.unwrap(), 2);
        transaction.commit().await.unwrap();

        let rows = db.database().read().all("SELECT * FROM items ORDER BY seq", vec![]).await.unwrap();
        assert_eq!(rows.len(), 2);
        assert_eq!(rows[0].get::<i64>("seq").unwrap(), 7);
        assert_eq!(rows[0].get::<String>("name").unwrap(), "käse");
        assert_eq!(rows[0].get::<Vec<u8>>("body").unwrap(), [0, 255]);
        assert!(rows[0].get::<bool>("live").unwrap());
        assert_eq!(rows[1].get::<Option<String>>("name").unwrap(), None);
        assert_eq!(rows[1].at::<i64>(0).unwrap(), 8);
        let none = db.database().read().one("SELECT seq FROM items WHERE seq = $1", vec![9_i64.into()]).await;
        assert!(none.unwrap().is_none());
    })
    .await;
}

#[tokio::test]
async fn many_rows_go_in_with_null_among_their_values() {
    const ITEMS: Insertion<3> = Insertion::new(
        "items",
        [Column::int("seq"), Column::text("name"), Column::bytes("body")],
        "ON CONFLICT (seq) DO NOTHING",
    );
    on_each_backend(|db| async move {
        with_items(&db).await;
        let row = |seq: i64| {
            let name = (seq % 3 > 0).then(|| if seq == 1 { String::new() } else { format!("item {seq}") });
            [seq.into(), name.into(), (seq % 2 > 0).then(|| vec![0_u8, 255]).into()]
        };
        let transaction = db.database().write("test").await.unwrap();
        assert_eq!(ITEMS.run(&transaction, Vec::new()).await.unwrap(), 0);
        assert_eq!(ITEMS.run(&transaction, (1..=101).map(row).collect()).await.unwrap(), 101);
        assert_eq!(ITEMS.run(&transaction, (100..=103).map(row).collect()).await.unwrap(), 2);
        transaction.commit().await.unwrap();

        let rows = db.database().read().all("SELECT * FROM items ORDER BY seq", vec![]).await.unwrap();
        let read = |row: &Row| -> [Value; 3] {
            let (seq, name, body): (i64, Option<String>, Option<Vec<u8>>) =
                (row.at(0).unwrap(), row.at(1).unwrap(), row.at(2).unwrap());
            [seq.into(), name.into(), body.into()]
        };
        assert_eq!(rows.iter().map(read).collect::<Vec<_>>(), (1..=103).map(row).collect::<Vec<_>>());
    })
    .await;
}

#[tokio::test]
async fn every_statement_is_told_and_no_value() {
    on_each_backend(|db| async move {
        with_items(&db).await;
        let told = Told::default();
        let _listening = tracing_subscriber::registry().with(told.clone()).set_default();
        let transaction = db.database().write("test").await.unwrap();
        insert(&transaction, 1, "canary").await.unwrap();
        transaction.all("SELECT seq FROM items", vec![]).await.unwrap();
        transaction.commit().await.unwrap();
        count(db.database()).await;
        let told = told.0.lock().unwrap();
        let begin = ["INSERT INTO items (seq, name)", "SELECT seq FROM items", "SELECT count(*)"];
        assert!(
            told.len() == 3 && told.iter().zip(begin).all(|(sql, begin)| sql.starts_with(begin)),
            "{told:?}"
        );
        assert!(!told.iter().any(|sql| sql.contains("canary")), "{told:?}");
    })
    .await;
}

/// The statements that were told.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<String>>>);

impl<S: tracing::Subscriber> Layer<S> for Told {
    fn on_event(&self, event: &tracing::Event<'_>, _: tracing_subscriber::layer::Context<'_, S>) {
        event.record(&mut |field: &tracing::field::Field, value: &dyn std::fmt::Debug| {
            if field.name() == "sql" {
                self.0.lock().unwrap().push(format!("{value:?}").trim_matches('"').to_owned());
            }
        });
    }
}

#[tokio::test]
async fn what_is_not_as_expected_in_a_row_is_a_decode_error() {
    on_each_backend(|db| async move {
        let row =
            db.database().read().one("SELECT 'x' AS word, NULL AS empty", vec![]).await.unwrap().unwrap();
        for error in [
            row.get::<i64>("word").unwrap_err(),
            row.get::<i64>("empty").unwrap_err(),
            row.get::<String>("missing").unwrap_err(),
            row.at::<String>(9).unwrap_err(),
        ] {
            assert!(matches!(error, StorageError::Decode(_)), "{error:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn parameters_above_nine_and_repeated_ones_reach_their_places() {
    on_each_backend(|db| async move {
        with_items(&db).await;
        let items: Vec<i64> = (1..=600).collect();
        let transaction = db.database().write("test").await.unwrap();
        for piece in chunks(&items, db.backend(), 2) {
            let sql = format!("INSERT INTO items (seq, name) VALUES {}", placeholders(piece.len(), 2, 1));
            let values = piece.iter().flat_map(|seq| [Value::from(*seq), format!("n{seq}").into()]).collect();
            assert_eq!(transaction.execute(&sql, values).await.unwrap(), piece.len() as u64);
        }
        transaction.commit().await.unwrap();
        let sql = "SELECT count(*) AS many FROM items WHERE name = 'n' || seq AND seq > $2 AND seq <> $1 AND seq <> $1";
        let row = db.database().read().one(sql, vec![600_i64.into(), 100_i64.into()]).await.unwrap().unwrap();
        assert_eq!(row.get::<i64>("many").unwrap(), 499);
    })
    .await;
}

#[tokio::test]
async fn an_abandoned_transaction_leaves_nothing_and_frees_the_writer() {
    on_each_backend(|db| async move {
        with_items(&db).await;
        let transaction = db.database().write("test").await.unwrap();
        insert(&transaction, 1, "a").await.unwrap();
        drop(transaction);
        let transaction = db.database().write("test").await.unwrap();
        insert(&transaction, 2, "b").await.unwrap();
        transaction.rollback().await.unwrap();
        let transaction = db.database().write("test").await.unwrap();
        insert(&transaction, 1, "a").await.unwrap();
        transaction.commit().await.unwrap();
        assert_eq!(count(db.database()).await, 1);
    })
    .await;
}

#[tokio::test]
async fn a_transaction_dropped_in_the_middle_of_a_statement_leaves_nothing() {
    on_each_backend(|db| async move {
        with_items(&db).await;
        let database = db.database().clone();
        for _ in 0..20 {
            let transaction = database.write("test").await.unwrap();
            insert(&transaction, 1, "a").await.unwrap();
            // Polled once, then dropped with the statement under way.
            tokio::select! {
                biased;
                _ = insert(&transaction, 2, "b") => {}
                () = std::future::ready(()) => {}
            }
            drop(transaction);
        }
        let transaction = database.write("test").await.unwrap();
        assert_eq!(insert(&transaction, 1, "a").await.unwrap(), 1);
        transaction.commit().await.unwrap();
        assert_eq!(count(&database).await, 1);
    })
    .await;
}

#[tokio::test]
async fn a_transaction_given_up_while_it_begins_holds_nothing() {
    on_each_backend(|db| async move {
        with_items(&db).await;
        let other = db.reconnect().await;
        for polls in 0..60 {
            let patience = async {
                for _ in 0..polls {
                    tokio::task::yield_now().await;
                }
            };
            tokio::select! {
                biased;
                begun = db.database().write("test") => drop(begun.unwrap()),
                () = patience => {}
            }
        }
        let transaction = other.write("test").await.unwrap();
        insert(&transaction, 1, "a").await.unwrap();
        transaction.commit().await.unwrap();
        let transaction = db.database().write("test").await.unwrap();
        insert(&transaction, 2, "b").await.unwrap();
        transaction.commit().await.unwrap();
        assert_eq!(count(&other).await, 2);
    })
    .await;
}

#[tokio::test]
async fn an_existing_key_is_a_conflict_that_names_its_constraint() {
    on_each_backend(|db| async move {
        with_items(&db).await;
        let transaction = db.database().write("test").await.unwrap();
        insert(&transaction, 1, "a").await.unwrap();
        transaction.commit().await.unwrap();
        for (seq, name, sqlite, postgres) in
            [(1, "b", "items.seq", "items_pkey"), (2, "a", "items.name", "items_name_key")]
        {
            let transaction = db.database().write("test").await.unwrap();
            let expected = if db.backend() == Backend::Sqlite { sqlite } else { postgres };
            match insert(&transaction, seq, name).await.unwrap_err() {
                StorageError::Conflict { constraint } => assert_eq!(constraint, expected),
                other => panic!("{other:?}"),
            }
        }
    })
    .await;
}

#[tokio::test]
async fn bad_sql_is_an_error_whose_text_says_nothing_of_it() {
    on_each_backend(|db| async move {
        let error = db.database().read().all("SELECT s3cret FROM nowhere", vec![]).await.unwrap_err();
        assert!(matches!(error, StorageError::Other(_)), "{error:?}");
        assert_eq!(error.to_string(), "the database refused the statement");
    })
    .await;
}

#[tokio::test]
async fn readers_see_commits_only_and_are_not_held_up_by_the_writer() {
    on_each_backend(|db| async move {
        with_items(&db).await;
        let transaction = db.database().write("test").await.unwrap();
        insert(&transaction, 1, "a").await.unwrap();
        assert_eq!(count(db.database()).await, 0);
        transaction.commit().await.unwrap();
        assert_eq!(count(db.database()).await, 1);
    })
    .await;
}

#[tokio::test]
async fn many_writers_at_once_lose_no_update() {
    on_each_backend(|db| async move {
        with_items(&db).await;
        let transaction = db.database().write("test").await.unwrap();
        insert(&transaction, 0, "counter").await.unwrap();
        transaction.commit().await.unwrap();
        let second = db.reconnect().await;
        let mut writers = tokio::task::JoinSet::new();
        for number in 0..40 {
            let database = if number % 2 == 0 { db.database().clone() } else { second.clone() };
            writers.spawn(async move {
                let transaction = database.write("test").await?;
                let lock = if database.backend() == Backend::Postgres { " FOR UPDATE" } else { "" };
                let sql = format!("SELECT seq FROM items WHERE name = 'counter'{lock}");
                let row =
                    transaction.one(&sql, vec![]).await?.ok_or_else(|| StorageError::decode("no row"))?;
                let next: Value = (row.get::<i64>("seq")? + 1).into();
                transaction.execute("UPDATE items SET seq = $1 WHERE name = 'counter'", vec![next]).await?;
                transaction.commit().await
            });
        }
        for written in writers.join_all().await {
            written.unwrap();
        }
        let row = db.database().read().one("SELECT seq FROM items", vec![]).await.unwrap().unwrap();
        assert_eq!(row.get::<i64>("seq").unwrap(), 40);
    })
    .await;
}

#[tokio::test]
async fn time_in_a_transaction_is_read_when_asked_and_moves_with_the_test() {
    on_each_backend(|db| async move {
        let transaction = db.database().write("test").await.unwrap();
        let before = transaction.now().await.unwrap();
        // SQLite's clock is moved by hand here: the writer is taken by this very transaction.
        let later = db.time.advance(Span::from_secs(60)).await;
        assert_eq!(before.plus(Span::from_secs(60)), later);
        assert_eq!(transaction.now().await.unwrap(), later);
        assert_eq!(db.database().read().now().await.unwrap(), later);
    })
    .await;
}

#[tokio::test]
async fn a_writer_that_gets_no_turn_in_time_is_told_unavailable() {
    on_each_backend(|db| async move {
        let options = Options {
            acquire_timeout: std::time::Duration::from_secs(1),
            connections: 1,
            ..Options::default()
        };
        let database = Database::connect(&db.url, db.time.clock(), &options).await.unwrap();
        let held = database.write("test").await.unwrap();
        let error = database.write("test").await.unwrap_err();
        assert!(matches!(error, StorageError::Unavailable(_)), "{error:?}");
        drop(held);
        database.write("test").await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_closed_database_is_unavailable() {
    on_each_backend(|db| async move {
        let database = db.reconnect().await;
        database.close().await;
        let error = database.write("test").await.unwrap_err();
        assert!(matches!(error, StorageError::Unavailable(_)), "{error:?}");
        assert!(error.is_transient());
        let error = database.read().all("SELECT 1", vec![]).await.unwrap_err();
        assert!(matches!(error, StorageError::Unavailable(_)), "{error:?}");
    })
    .await;
}

#[tokio::test]
async fn the_live_settings_are_durable_and_printed() {
    on_each_backend(|db| async move {
        let line = db.database().durability().await.unwrap();
        match db.backend() {
            Backend::Sqlite => assert_eq!(line, "sqlite: journal_mode=wal synchronous=FULL"),
            Backend::Postgres => assert!(line.contains("synchronous_commit=on"), "{line}"),
        }
    })
    .await;
}

#[test]
fn a_cause_prints_as_what_the_driver_said() {
    let cause = Cause::new("disk I/O error");
    assert_eq!(format!("{cause} {cause:?}"), "disk I/O error \"disk I/O error\"");
}
