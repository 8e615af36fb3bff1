//! What the operating system says a process has used.

use std::fs;

use anyhow::Context as _;

/// Ticks of the operating system's processor accounting in a second, on Linux whatever the machine.
const TICKS: f64 = 100.0;

/// Processor seconds of a process so far, its threads and its ended children.
pub(crate) fn cpu_seconds(process: u32) -> anyhow::Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).context("a process of the run is gone")?;
    Ok(ticks(&stat).context("/proc/<pid>/stat is not as expected")? / TICKS)
}

/// Processor seconds of a process and of all processes that it started.
pub(crate) fn cpu_seconds_with_children(process: u32) -> anyhow::Result<f64> {
    let mut sum = cpu_seconds(process)?;
    for entry in fs::read_dir("/proc")?.flatten() {
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else { continue };
        if fields(&stat).nth(1).and_then(|parent| parent.parse().ok()) == Some(process) {
            sum += ticks(&stat).unwrap_or(0.0) / TICKS;
        }
    }
    Ok(sum)
}

/// The most memory a process has had resident, in MiB.
pub(crate) fn peak_memory_mib(process: u32) -> anyhow::Result<f64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
    let kib: f64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kib / 1024.0)
}

/// What follows the name, which may hold spaces and parentheses: state, parent, …
fn fields(stat: &str) -> impl Iterator<Item = &str> {
    stat.rsplit_once(") ").map_or("", |(_, rest)| rest).split(' ')
}

/// User and system time, its own and that of its ended children.
fn ticks(stat: &str) -> Option<f64> {
    let numbers: Vec<f64> = fields(stat).skip(11).take(4).map_while(|field| field.parse().ok()).collect();
    (numbers.len() == 4).then(|| numbers.iter().sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_found_behind_a_name_that_looks_like_fields() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4 0 0 0 0 10 20 3 4 20 0 1 0";
        assert_eq!(ticks(stat).map(f64::to_bits), Some(37f64.to_bits()));
        assert_eq!(fields(stat).nth(1), Some("1"));
    }

    #[test]
    fn a_process_that_works_uses_time_and_memory() {
        let own = std::process::id();
        let before = cpu_seconds(own).unwrap();
        let mut sum = 0u64;
        while cpu_seconds(own).unwrap() < before + 0.02 {
            sum = sum.wrapping_add(std::hint::black_box(1));
        }
        assert!(sum > 0 && peak_memory_mib(own).unwrap() > 1.0);
    }
}
