//! A shell in the folder that a suite was started in: commands, what they print, how they end.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::process::Up;

/// Between two looks.
const PACE: Duration = Duration::from_millis(50);
/// Looks before the test fails.
const LOOKS: usize = 600;

/// An empty folder, a suite that runs on `./sluice-data` in it, and an account.
pub(crate) struct Shell {
    folder: tempfile::TempDir,
    variables: Vec<(&'static str, String)>,
    up: Option<Up>,
}

/// How a command ended and what it printed.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Shell {
    /// A folder where nothing runs.
    pub(crate) fn empty() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), variables: Vec::new(), up: None }
    }

    /// A folder with a suite that sends to this machine, acted for as `acme`.
    pub(crate) fn with_suite() -> Self {
        Self::with_flags(&["--dev"])
    }

    /// The same with these flags of `sluice up`.
    pub(crate) fn with_flags(flags: &[&str]) -> Self {
        let mut shell = Self::empty();
        let up = Up::start(&shell.path("sluice-data"), flags);
        shell.variables =
            vec![("SLUICE_SERVER", up.address.to_string()), ("SLUICE_ACCOUNT", "acme".to_owned())];
        shell.up = Some(up);
        shell
    }

    /// The same with an account on a plan, a webhook called `Won deals` and an active automation `Tell the ERP` that uses it.
    pub(crate) fn furnished(endpoint: &str) -> Self {
        let shell = Self::with_suite();
        shell.done(&["account", "put", "--plan", "advanced"]);
        shell.done(&["webhook", "create", "Won deals", "--kind", "automation", "--url", endpoint]);
        shell.write("automation.json", AUTOMATION);
        shell.done(&["automation", "create", "-f", "automation.json", "--activate"]);
        shell
    }

    /// A path in the folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file in the folder.
    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    /// Stops the suite.
    pub(crate) fn stop(&mut self) {
        let (status, said) = self.up.take().unwrap().stop();
        assert!(status.success(), "{said}");
    }

    /// Runs `sluice` with these arguments.
    pub(crate) fn run(&self, arguments: &[&str]) -> Told {
        self.run_with(arguments, &[], b"")
    }

    /// Runs `sluice` with more variables and something on standard input.
    pub(crate) fn run_with(&self, arguments: &[&str], variables: &[(&str, &str)], input: &[u8]) -> Told {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sluice"));
        command.args(arguments).current_dir(self.folder.path());
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("SLUICE_")) {
            command.env_remove(name);
        }
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.envs(variables.iter().copied());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // A command that does not read its input may have ended.
        let _written = child.stdin.take().unwrap().write_all(input);
        let output = child.wait_with_output().unwrap();
        Told {
            code: output.status.code().unwrap(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Runs `sluice`, which must end well; returns what it printed.
    pub(crate) fn done(&self, arguments: &[&str]) -> String {
        let told = self.run(arguments);
        assert_eq!(told.code, 0, "{arguments:?}: {}{}", told.out, told.err);
        told.out
    }

    /// The same with `--json`: the objects that it printed, one a line.
    pub(crate) fn objects(&self, arguments: &[&str]) -> Vec<Value> {
        let out = self.done(&[arguments, &["--json"]].concat());
        out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The same where it prints one object.
    pub(crate) fn object(&self, arguments: &[&str]) -> Value {
        let mut objects = self.objects(arguments);
        assert_eq!(objects.len(), 1, "{objects:?}");
        objects.remove(0)
    }

    /// Sends an event with this id whose deal is won now; returns the id of what it set off.
    pub(crate) fn deal_won(&self, event: &str) -> String {
        let now = r#"{"id": 42, "title": "Big one", "value": 1.10, "stage": "won"}"#;
        let was = r#"{"id": 42, "title": "Big one", "value": 1.10, "stage": "open"}"#;
        let what = ["event", "send", "--object", "deal", "--action", "updated", "--record-id", "42"];
        let answer =
            self.object(&[&what[..], &["--id", event, "--current", now, "--previous", was]].concat());
        let name = answer["executions"][0].as_str().unwrap_or_else(|| panic!("{answer}"));
        name.rsplit('/').next().unwrap().to_owned()
    }

    /// Looks at an execution until it is in this state; returns the command's text.
    pub(crate) async fn until_state(&self, execution: &str, state: &str) -> String {
        for _ in 0..LOOKS {
            let text = self.done(&["execution", "get", execution]);
            if text.lines().any(|line| line.starts_with("state") && line.contains(state)) {
                return text;
            }
            tokio::time::sleep(PACE).await;
        }
        panic!("{execution} is not {state}: {}", self.done(&["execution", "get", execution]));
    }
}

/// When a deal is won, a request to the webhook called `Won deals`.
pub(crate) const AUTOMATION: &str = r#"{
  "displayName": "Tell the ERP",
  "trigger": {"object": "deal", "actions": ["ACTION_UPDATED"]},
  "condition": {"comparison": {"path": "deal.stage", "operator": "OPERATOR_HAS_CHANGED_TO", "operands": [{"text": "won"}]}},
  "steps": [{"request": {
    "webhook": "Won deals",
    "path": "deals/{{ deal.id }}/won",
    "raw": {"contentType": "application/json", "template": "{\"title\": \"{{ deal.title }}\", \"value\": {{ deal.value }}}"}
  }}]
}"#;

/// A token of the suite in `data` as `sluice token` prints it.
pub(crate) fn token(data: &Path, flags: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sluice"));
    let output = command.args(["token", "--data"]).arg(data).args(flags).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
