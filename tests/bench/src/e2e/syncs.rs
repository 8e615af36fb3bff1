//! How often the disk is asked to sync: PostgreSQL counts that itself, SQLite's calls are counted by strace in runs of
//! their own, since it slows what it watches.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;

use anyhow::Context as _;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;

use super::deliveries::Deliveries;
use crate::cli::Mode;

/// Of the events of a measured run, the part that is sent while syncs are counted.
const SHARE: usize = 4;

/// Syncs for a thousand deliveries in each way of sending; empty where nothing can count them.
pub(crate) async fn count(
    deliveries: &mut Deliveries<'_>,
    modes: &[Mode],
    events: usize,
) -> anyhow::Result<BTreeMap<Mode, f64>> {
    let events = (events / SHARE).max(Mode::Batch256.size());
    let mut counted = BTreeMap::new();
    for &mode in modes {
        let syncs = match deliveries.house().stores().syncs().await? {
            Some(before) => {
                deliveries.run(mode, events).await?;
                let after = deliveries.house().stores().syncs().await?.context("it counted a moment ago")?;
                Some(after - before)
            }
            None => traced(deliveries, mode, events).await?,
        };
        if let Some(syncs) = syncs {
            counted.insert(mode, syncs as f64 * 1_000.0 / events as f64);
        }
    }
    Ok(counted)
}

/// `None` without strace, or where it may not look.
async fn traced(deliveries: &mut Deliveries<'_>, mode: Mode, events: usize) -> anyhow::Result<Option<u64>> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("syncs");
    let Some(mut strace) = attach(deliveries.house().process(), &file).await? else { return Ok(None) };
    deliveries.run(mode, events).await?;
    let id = strace.id().context("strace ended early")?.to_string();
    Command::new("kill").args(["-INT", &id]).status().await?;
    strace.wait().await?;
    let calls = std::fs::read_to_string(file)?;
    Ok(Some(calls.lines().filter(|line| line.contains("sync(")).count() as u64))
}

async fn attach(process: u32, file: &Path) -> anyhow::Result<Option<tokio::process::Child>> {
    let started = Command::new("strace")
        .args(["-f", "-e", "trace=fsync,fdatasync", "-p", &process.to_string(), "-o"])
        .arg(file)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn();
    let Ok(mut strace) = started else { return Ok(None) };
    // It says so once it watches.
    let said = strace.stderr.take().context("its standard error is a pipe")?;
    let mut lines = BufReader::new(said).lines();
    let attached = lines.next_line().await?.is_some_and(|line| line.contains("attached"));
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    Ok(attached.then_some(strace))
}
