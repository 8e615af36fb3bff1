//! `sluice up` as a process: starts without configuration, takes tokens of its data directory, drains on SIGTERM.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests; a failure is the test's")]

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;

use sluice::demo::client::{Caller, Client};
use sluice::demo::requests::{automation_webhook, entitlements};

/// A suite in a process of its own.
struct Up {
    child: Child,
    address: SocketAddr,
    said: JoinHandle<Vec<String>>,
}

impl Up {
    fn start(data: &Path, flags: &[&str]) -> Self {
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
        Self { child, address, said }
    }

    /// Sends SIGTERM; returns how the process ended and all that it said.
    fn stop(mut self) -> (ExitStatus, String) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        (self.child.wait().unwrap(), self.said.join().unwrap().join("\n"))
    }
}

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
