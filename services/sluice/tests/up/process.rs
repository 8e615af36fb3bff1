//! `sluice up` in a process of its own.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;

/// A suite in a process of its own.
pub(crate) struct Up {
    child: Child,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    said: Option<JoinHandle<Vec<String>>>,
}

impl Up {
    /// Starts it on a free port and returns once it listens.
    pub(crate) fn start(data: &Path, flags: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sluice"));
        command.args(["up", "--listen", "127.0.0.1:0", "--data"]).arg(data).args(flags);
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
        let mut said = Vec::new();
        let address = loop {
            let line = lines.next().unwrap_or_else(|| panic!("it ended: {said:#?}"));
            let address = line.strip_prefix("sluice: listening on ").and_then(|rest| rest.split(' ').next());
            let address = address.map(|text| text.parse().unwrap());
            said.push(line);
            if let Some(address) = address {
                break address;
            }
        };
        let said = std::thread::spawn(move || said.into_iter().chain(lines).collect());
        Self { child, address, said: Some(said) }
    }

    /// Sends SIGTERM; returns how the process ended and all that it said.
    pub(crate) fn stop(mut self) -> (ExitStatus, String) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        let said = self.said.take().unwrap();
        (self.child.wait().unwrap(), said.join().unwrap().join("\n"))
    }
}

impl Drop for Up {
    /// Leaves no process behind when a test fails.
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _status = self.child.wait();
    }
}
