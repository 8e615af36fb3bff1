//! What a case is run on: a shape of the suite, and a backend.

use std::fmt;

use sluice_storage::Backend;

/// How the three services are run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// As `sluice up` runs them: one process, one public port, calls between them without a socket.
    OneProcess,
    /// Three binaries, each with its own listeners, token and database.
    ThreeProcesses,
}

/// A shape on a backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deployment {
    /// The shape.
    pub shape: Shape,
    /// The backend.
    pub backend: Backend,
}

impl Deployment {
    /// `sluice up` on this backend.
    pub const fn one_process(backend: Backend) -> Self {
        Self { shape: Shape::OneProcess, backend }
    }

    /// Three binaries on this backend.
    pub const fn three_processes(backend: Backend) -> Self {
        Self { shape: Shape::ThreeProcesses, backend }
    }
}

/// A case that is only about the backend is run in one process.
impl From<Backend> for Deployment {
    fn from(backend: Backend) -> Self {
        Self::one_process(backend)
    }
}

impl fmt::Display for Deployment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shape = match self.shape {
            Shape::OneProcess => "one process",
            Shape::ThreeProcesses => "three processes",
        };
        let backend = match self.backend {
            Backend::Sqlite => "SQLite",
            Backend::Postgres => "PostgreSQL",
        };
        write!(f, "{shape} on {backend}")
    }
}

/// Makes of each case, an `async fn(Backend)`, a test on SQLite and one on PostgreSQL.
#[macro_export]
macro_rules! on_each_backend {
    ($($case:ident),+ $(,)?) => {
        $crate::cases!(sqlite, $crate::Backend::Sqlite, $($case),+);
        $crate::cases!(postgres, $crate::Backend::Postgres, $($case),+);
    };
}

/// Makes of each case, an `async fn(Deployment)`, four tests: in one process and in three, on SQLite and on PostgreSQL.
#[macro_export]
macro_rules! on_each_deployment {
    ($($case:ident),+ $(,)?) => {
        $crate::cases!(
            one_process_on_sqlite, $crate::Deployment::one_process($crate::Backend::Sqlite), $($case),+
        );
        $crate::cases!(
            one_process_on_postgres, $crate::Deployment::one_process($crate::Backend::Postgres), $($case),+
        );
        $crate::cases!(
            three_processes_on_sqlite, $crate::Deployment::three_processes($crate::Backend::Sqlite), $($case),+
        );
        $crate::cases!(
            three_processes_on_postgres, $crate::Deployment::three_processes($crate::Backend::Postgres), $($case),+
        );
    };
}

/// Makes of each case, an `async fn(Deployment)` in which the backend plays no part, two tests: in one process and in three.
#[macro_export]
macro_rules! on_each_shape {
    ($($case:ident),+ $(,)?) => {
        $crate::cases!(one_process, $crate::Deployment::one_process($crate::Backend::Sqlite), $($case),+);
        $crate::cases!(three_processes, $crate::Deployment::three_processes($crate::Backend::Sqlite), $($case),+);
    };
}

/// A module with one test a case, each run on the same.
#[doc(hidden)]
#[macro_export]
macro_rules! cases {
    ($module:ident, $on:expr, $($case:ident),+) => {
        mod $module {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    Box::pin(super::$case($on)).await;
                }
            )+
        }
    };
}
