//! How much memory a process has resident.

use std::time::Duration;

use tokio::task::JoinHandle;

/// The most that a process had since this began to look.
#[derive(Debug)]
pub struct Peak {
    before: u64,
    looking: JoinHandle<u64>,
    stop: tokio::sync::watch::Sender<bool>,
}

impl Peak {
    /// Begins to look at the process with this number.
    pub fn of(pid: u32) -> Self {
        let (stop, mut stopped) = tokio::sync::watch::channel(false);
        let looking = tokio::spawn(async move {
            let mut most = 0;
            loop {
                most = most.max(resident(pid));
                tokio::select! {
                    () = tokio::time::sleep(Duration::from_millis(50)) => {}
                    _ = stopped.changed() => return most.max(resident(pid)),
                }
            }
        });
        Self { before: resident(pid), looking, stop }
    }

    /// How many bytes more than at the beginning it had at most.
    ///
    /// # Panics
    /// When the process has ended.
    pub async fn rise(self) -> u64 {
        self.stop.send_replace(true);
        self.looking.await.unwrap().saturating_sub(self.before)
    }
}

/// How many bytes a process has resident now.
///
/// # Panics
/// When there is no such process.
pub fn resident(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the process should run");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its memory");
    let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
    kilobytes * 1_024
}
