//! A process that a test started, and that never outlives it.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use crate::wait::until;

/// Reads one line from the pipe that the suite holds. When the suite is gone before it wrote one, however it went, the pipe
/// closes, and the process is killed.
const GUARD: &str = r#"trap '' INT TERM HUP; read -r _ || kill -KILL "$0" 2>/dev/null"#;

/// How much of what a process said is shown when its test fails.
const SHOWN_LINES: usize = 15;

/// A running process; dropping it kills it.
#[derive(Debug)]
pub struct Process {
    name: &'static str,
    child: Child,
    guard: Child,
    said: PathBuf,
    ended: Option<ExitStatus>,
}

impl Process {
    /// Starts it. All that it says, on standard output and error, is added to the file `said`.
    pub fn start(name: &'static str, mut command: Command, said: &Path) -> Self {
        let file = || -> File {
            OpenOptions::new().create(true).append(true).open(said).expect("the file for what it says")
        };
        let mut child = command
            .stdin(Stdio::null())
            .stdout(file())
            .stderr(file())
            .spawn()
            .unwrap_or_else(|error| panic!("{name} should start: {error}"));
        let guard = Command::new("sh")
            .args(["-c", GUARD, &child.id().to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .process_group(0)
            .spawn();
        let guard = match guard {
            Ok(guard) => guard,
            Err(error) => {
                let _ = child.kill();
                panic!("{name} can't be guarded: {error}");
            }
        };
        Self { name, child, guard, said: said.to_owned(), ended: None }
    }

    /// Its number.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL; returns when it is gone.
    pub fn kill(mut self) {
        assert_eq!(self.status(), None, "{} was to be killed, and had ended: {}", self.name, self.said());
        self.end();
    }

    /// SIGTERM; it goes on until it has drained.
    pub fn terminate(&self) {
        let id = self.child.id().to_string();
        let sent = Command::new("sh").args(["-c", r#"kill -TERM "$0""#, &id]).status();
        assert!(
            sent.expect("sh should run").success(),
            "{} was to be asked to end: {}",
            self.name,
            self.said()
        );
    }

    /// Lets the guard see what it sees when the suite is gone.
    pub fn lose_the_suite(&mut self) {
        drop(self.guard.stdin.take());
    }

    /// Waits until it has ended by itself; how.
    pub async fn end_of(&mut self) -> ExitStatus {
        until("the process ends", async || self.status()).await
    }

    /// How it ended; `None` while it runs.
    pub fn status(&mut self) -> Option<ExitStatus> {
        if self.ended.is_none() {
            self.ended = self.child.try_wait().expect("a child can be waited for");
        }
        self.ended
    }

    /// All that it said, in earlier lives, too.
    pub fn said(&self) -> String {
        std::fs::read_to_string(&self.said).expect("what it said should be readable")
    }

    fn end(&mut self) {
        if self.status().is_none() {
            // It can only have ended by itself in between.
            let _ = self.child.kill();
            self.ended = self.child.wait().ok();
        }
        // The guard's line: there is nobody left to be killed.
        if let Some(mut pipe) = self.guard.stdin.take() {
            let _ = pipe.write_all(b"\n");
        }
        let _ = self.guard.wait();
    }
}

impl Drop for Process {
    #[allow(clippy::print_stderr, reason = "the test harness shows it beside the panic")]
    fn drop(&mut self) {
        self.end();
        if std::thread::panicking()
            && let Ok(said) = std::fs::read_to_string(&self.said)
        {
            let lines: Vec<&str> = said.lines().collect();
            let last = lines[lines.len().saturating_sub(SHOWN_LINES)..].join("\n");
            eprintln!("the last that {} said:\n{last}", self.name);
        }
    }
}
