//! A fresh database for each test, gone afterwards.

use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};

use sluice_runtime::{Clock, Entropy};
use sluice_storage::{Backend, Database, DatabaseUrl, Options, migrate};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tempfile::TempDir;

use crate::cluster;
use crate::time::{START, TestTime};

/// A connected database that nobody else uses, its time in the test's hand; removed when dropped.
pub struct TestDatabase {
    /// Where it is, to connect to it once more.
    pub url: DatabaseUrl,
    /// Its time, 2026-01-01T00:00:00Z at first.
    pub time: TestTime,
    database: Database,
    // Whichever is there has to go with the database.
    _folder: Option<TempDir>,
    on_server: Option<OnServer>,
}

/// A database on the PostgreSQL server.
struct OnServer {
    name: String,
    address: String,
}

impl TestDatabase {
    /// The connected database.
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// The URL of a PostgreSQL database as a setting has it: complete, a password included.
    pub fn address(&self) -> Option<&str> {
        self.on_server.as_ref().map(|on_server| on_server.address.as_str())
    }

    /// Which backend this run of the test is on.
    pub fn backend(&self) -> Backend {
        self.database.backend()
    }

    /// Connects to the same database once more, as a second process or after a restart would.
    pub async fn reconnect(&self) -> Database {
        Database::connect(&self.url, self.time.clock(), &options())
            .await
            .expect("the test database should take another connection")
    }

    async fn open(url: DatabaseUrl, folder: Option<TempDir>, on_server: Option<OnServer>) -> Self {
        let (clock, hand) = Clock::manual(START);
        let database =
            Database::connect(&url, clock.clone(), &options()).await.expect("the test database should open");
        migrate(&database, &[]).await.expect("the test database should get its clock");
        let time = TestTime::new(clock, hand, database.clone()).await;
        Self { url, time, database, _folder: folder, on_server }
    }
}

impl fmt::Debug for TestDatabase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TestDatabase").field(&self.url).finish()
    }
}

/// Runs one test on SQLite, then on PostgreSQL, each time with a fresh database. A failure says on which.
pub async fn on_each_backend<F, Fut>(test: F)
where
    F: Fn(TestDatabase) -> Fut,
    Fut: Future<Output = ()>,
{
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let database = match backend {
            Backend::Sqlite => sqlite().await,
            Backend::Postgres => postgres().await,
        };
        let noted = NoteOnPanic(backend);
        test(database).await;
        drop(noted);
    }
}

/// A fresh database on each backend.
pub async fn databases() -> [TestDatabase; 2] {
    [sqlite().await, postgres().await]
}

/// A fresh SQLite file in a folder of its own.
pub async fn sqlite() -> TestDatabase {
    let folder = tempfile::tempdir().expect("a temporary folder should be free");
    let url = DatabaseUrl::sqlite(folder.path().join("test.db"));
    TestDatabase::open(url, Some(folder), None).await
}

/// A fresh PostgreSQL database, on the server that `SLUICE_TEST_POSTGRES_URL` names or on one of this process's own.
pub async fn postgres() -> TestDatabase {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    // Starting a server blocks for a second or two.
    let server = match tokio::task::spawn_blocking(cluster::server_url).await {
        Ok(server) => server,
        Err(failed) => std::panic::resume_unwind(failed.into_panic()),
    };
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let name = format!("sluice_test_{:016x}_{number}", Entropy::system().u64());
    run_on(&server, format!("CREATE DATABASE {name} TEMPLATE template0")).await;
    let address = with_database(&server, &name);
    let url = address.parse().expect("the server's URL should be one of ours");
    TestDatabase::open(url, None, Some(OnServer { name, address })).await
}

// It also keeps the value whole: an async block that uses but a field of it takes all of it along, not that field alone.
impl Drop for TestDatabase {
    fn drop(&mut self) {
        let Some(OnServer { name, .. }) = self.on_server.take() else { return };
        // A destructor can't await, and the test's runtime may be gone: a thread with a runtime of its own can.
        let dropping = std::thread::spawn(move || {
            let drop_database = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime should start").block_on(run_on(&cluster::server_url(), drop_database));
        });
        assert!(dropping.join().is_ok() || std::thread::panicking(), "a test database could not be dropped");
    }
}

/// Says which backend a test failed on; the panic's own message can't know.
struct NoteOnPanic(Backend);

impl Drop for NoteOnPanic {
    #[allow(clippy::print_stderr, reason = "the test harness shows it beside the panic")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the test failed on {:?}", self.0);
        }
    }
}

fn options() -> Options {
    Options { settable_clock: true, connections: 8, readers: 2, ..Options::default() }
}

async fn run_on(server: &str, sql: String) {
    let mut connection =
        PgConnection::connect(server).await.expect("the PostgreSQL server for tests should answer");
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.expect("the statement should succeed");
    connection.close().await.expect("the connection should close");
}

/// The URL with another database's name in it.
fn with_database(server: &str, name: &str) -> String {
    let (address, parameters) = server.split_once('?').map_or((server, None), |(a, p)| (a, Some(p)));
    let host_ends = address.find("://").map_or(0, |at| at + 3);
    let path = address[host_ends..].find('/').map_or(address.len(), |at| host_ends + at);
    let parameters = parameters.map_or(String::new(), |parameters| format!("?{parameters}"));
    format!("{}/{name}{parameters}", &address[..path])
}

#[cfg(test)]
mod tests {
    use sluice_domain::Span;
    use sluice_storage::Query;

    use super::*;

    #[test]
    fn only_the_databases_name_changes_in_a_url() {
        assert_eq!(
            with_database("postgres://u:p@h:1/x?sslmode=disable", "y"),
            "postgres://u:p@h:1/y?sslmode=disable"
        );
        assert_eq!(with_database("postgres://h", "y"), "postgres://h/y");
    }

    #[tokio::test]
    async fn each_backend_gets_its_turn_and_both_clocks_move_together() {
        let seen = std::sync::Mutex::new(Vec::new());
        on_each_backend(|db| {
            seen.lock().unwrap().push(db.backend());
            async move {
                assert_eq!(db.database().read().now().await.unwrap(), START);
                let later = db.time.advance(Span::from_secs(90)).await;
                assert_eq!(later, START.plus(Span::from_secs(90)));
                assert_eq!(db.reconnect().await.read().now().await.unwrap(), later);
                assert_eq!(db.time.clock().now(), later);
            }
        })
        .await;
        assert_eq!(*seen.lock().unwrap(), [Backend::Sqlite, Backend::Postgres]);
    }

    #[tokio::test]
    async fn a_dropped_test_database_is_gone_from_the_server() {
        let database = postgres().await;
        let url = database.url.clone();
        drop(database);
        assert!(Database::connect(&url, Clock::system(), &Options::default()).await.is_err());
    }
}
