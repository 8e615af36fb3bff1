//! `sluice up` as a process: starts without configuration, takes tokens of its data directory, drains on SIGTERM, and is all that
//! the client commands need.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests; a failure is the test's")]

mod by_hand;
mod https;
mod process;
mod refusals;
mod shell;

use std::path::Path;
use std::process::Command;

use sluice::demo::client::{Caller, Client};
use sluice::demo::requests::{automation_webhook, entitlements};

use process::Up;

fn caller(data: &Path, flags: &[&str]) -> Caller {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sluice"));
    let output = command.args(["token", "--data"]).arg(data).args(flags).output().unwrap();
    Caller::new(std::str::from_utf8(&output.stdout).unwrap().trim()).unwrap()
}

fn billing(data: &Path) -> Caller {
    caller(data, &["--user", "billing", "--scope", "entitlements.write accounts.any"])
}

fn admin(data: &Path) -> Caller {
    caller(data, &["--account", "demo", "--user", "ada", "--role", "global_admin"])
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_is_there_after_a_restart_and_the_drain_is_clean() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let up = Up::start(&data, &[]);
    let client = Client::connect(up.address).await.unwrap();
    client.put_entitlements(&billing(&data), entitlements("advanced", 1)).await.unwrap();
    let wanted = || automation_webhook("Shop", "https://shop.example.com/hooks/");
    client.create_webhook(&admin(&data), wanted()).await.unwrap();
    let (status, said) = up.stop();
    assert!(status.success(), "{said}");
    assert!(said.ends_with("sluice: stopped"), "{said}");
    assert_eq!(said.matches("synchronous=FULL").count(), 3, "{said}");

    let up = Up::start(&data, &[]);
    let client = Client::connect(up.address).await.unwrap();
    let refused = client.create_webhook(&admin(&data), wanted()).await.unwrap_err();
    assert_eq!(refused.reason, "NAME_TAKEN");
    assert!(up.stop().0.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_dev_a_refused_target_says_how_to_allow_it_and_with_dev_it_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let wanted = || automation_webhook("Here", "http://127.0.0.1:9100/hooks/");
    let up = Up::start(&data, &[]);
    let client = Client::connect(up.address).await.unwrap();
    client.put_entitlements(&billing(&data), entitlements("advanced", 1)).await.unwrap();
    let refused = client.create_webhook(&admin(&data), wanted()).await.unwrap_err();
    assert_eq!(refused.reason, "TARGET_FORBIDDEN");
    assert!(refused.message.contains("--dev") || refused.message.contains("egress.allow"), "{refused}");
    assert!(up.stop().0.success());

    let up = Up::start(&data, &["--dev"]);
    let client = Client::connect(up.address).await.unwrap();
    client.create_webhook(&admin(&data), wanted()).await.unwrap();
    let (_, said) = up.stop();
    assert!(said.contains("DEVELOPMENT"), "{said}");
}

#[test]
fn a_setting_that_can_not_be_used_is_named_and_nothing_is_started() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sluice.toml");
    for (text, named) in [
        ("colour = 1", "colour"),
        ("[dispatcher.delivery]\nin_flight = 0", "delivery.in_flight"),
        ("[evaluator]\ncatch_up = \"1h\"", "catch_up"),
        ("[registry.feed]\nkeep = 1", "feed.keep"),
        ("egress.allow = [\"10.0.0.1/8\"]", "egress.allow"),
    ] {
        std::fs::write(&file, text).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_sluice"));
        command.args(["up", "--listen", "127.0.0.1:0", "--data"]).arg(folder.path().join("data"));
        let output = command.arg("--config").arg(&file).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.lines().last().unwrap().contains(named), "{said}");
    }
}
