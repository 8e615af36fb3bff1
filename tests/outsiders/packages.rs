//! What `tests/run` prepares is what the programs need.

use std::process::Command;

use sluice_tests::python::{printed, program};

#[test]
fn the_packages_are_the_pinned_ones() {
    let pins = include_str!("../python/requirements.txt").lines().filter(|line| line.contains("=="));
    let installed = printed(program("packages.py"));
    assert_eq!(installed.lines().collect::<Vec<_>>(), pins.collect::<Vec<_>>());
}

#[test]
fn the_collector_runs_on_this_machine() {
    let mut collector = Command::new(printed(program("collector.py")).trim());
    collector.arg("version");
    assert_ne!(printed(collector), "");
}
