//! The demo as a shell sees it: it shows what it must, and notices a planted loss.

#![allow(clippy::unwrap_used, reason = "helpers of tests; a failure is the test's")]

use std::process::{Command, Output};

use serde_json::Value;

fn demo(flags: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_sluice")).arg("demo").args(flags).output().unwrap()
}

fn counts(output: &Output) -> Value {
    let text = std::str::from_utf8(&output.stdout).unwrap();
    assert_eq!(text.lines().count(), 1, "{text}{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_str(text).unwrap()
}

#[test]
fn nothing_is_lost_nothing_comes_twice_and_what_paused_goes_on() {
    let output = demo(&["--json"]);
    let counts = counts(&output);
    assert_eq!(output.status.code(), Some(0), "{counts} {}", String::from_utf8_lossy(&output.stderr));
    assert_eq!((&counts["lost"], &counts["duplicates"]), (&Value::from(0), &Value::from(0)));
    assert_eq!(counts["resumed"], counts["paused"]);
    assert_eq!(counts["delivered"], counts["matched"]);
    assert!(counts["paused"].as_u64().unwrap() >= 20, "{counts}");
    assert!(counts["retried"].as_u64().unwrap() >= 1, "{counts}");
    assert_eq!(counts["refused"], 6);
}

#[test]
fn a_planted_loss_makes_the_demo_fail() {
    let output = demo(&["--json", "--plant-loss"]);
    assert_eq!(counts(&output)["lost"], 1);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("1 matched and were not delivered"), "{said}");
}
