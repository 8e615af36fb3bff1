//! A collector of spans that nobody here wrote: rotel, a native program that prints what it takes.

mod printed;

use std::net::SocketAddr;
use std::process::{Command, ExitStatus};

use tempfile::TempDir;
use tokio::net::TcpStream;

use crate::ports::free_address;
use crate::process::Process;
use crate::python::{printed, program};
use crate::wait::until;

pub use printed::{Collected, CollectedSpan};

/// A collector at work on loopback; it needs the Python of [`program`].
#[derive(Debug)]
pub struct Rotel {
    // Dropped before the folder.
    process: Process,
    address: SocketAddr,
    _folder: TempDir,
}

impl Rotel {
    /// Starts one that prints every span it takes.
    pub async fn start() -> Self {
        Self::start_with(&["--debug-log", "traces", "--debug-log-verbosity", "detailed"]).await
    }

    /// Starts one that takes spans and says nothing, which costs the least.
    pub async fn start_silent() -> Self {
        Self::start_with(&[]).await
    }

    async fn start_with(flags: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder should be free");
        let [address, other] = [free_address(), free_address()];
        let mut command = Command::new(binary());
        command
            .env_clear()
            .current_dir(folder.path())
            .args(["start", "--exporter", "blackhole"])
            .args(["--otlp-grpc-endpoint", &address.to_string()])
            .args(["--otlp-http-endpoint", &other.to_string()])
            .args(flags);
        let mut process = Process::start("the collector", command, &folder.path().join("printed"));
        until("the collector listens", async || {
            assert_eq!(process.status(), None, "the collector ended: {}", process.said());
            TcpStream::connect(address).await.ok()
        })
        .await;
        Self { process, address, _folder: folder }
    }

    /// Where it takes spans, for `telemetry.otlp_endpoint`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Ends it once whoever sends spans has ended; all that it took.
    pub async fn end(mut self) -> Collected {
        self.process.terminate();
        let status: ExitStatus = self.process.end_of().await;
        assert!(status.success(), "the collector: {status}: {}", self.process.said());
        Collected::read(self.process.said())
    }
}

/// The collector's program.
fn binary() -> String {
    printed(program("collector.py")).trim().to_owned()
}
