//! The programs of tests/python, and the Python that they run in.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

const VARIABLE: &str = "SLUICE_TEST_PYTHON";

/// A program of tests/python, with no more of our environment than it needs.
///
/// # Panics
/// Without a Python to run it in, in one line that says what to do.
pub fn program(name: &str) -> Command {
    let Some(python) = std::env::var_os(VARIABLE) else {
        panic!(
            "this test needs Python: use tests/run, or set {VARIABLE}=$(.ci/python outsiders <tests/python/requirements.txt)"
        )
    };
    let mut command = Command::new(python);
    command
        .arg(format!("{}/python/{name}", env!("CARGO_MANIFEST_DIR")))
        .env_clear()
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::null());
    command
}

/// What a program prints that ends at once.
///
/// # Panics
/// When it fails, with what it said.
pub fn printed(mut program: Command) -> String {
    let output = program.output().unwrap_or_else(|error| panic!("{program:?} should start: {error}"));
    text(&program, &output)
}

/// What a program saw that was given `input`, step by step.
///
/// # Panics
/// When it fails, with what it said.
pub async fn run(name: &str, input: Value) -> Steps {
    let mut program = program(name);
    let printed = tokio::task::spawn_blocking(move || {
        let mut child = program
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{program:?} should start: {error}"));
        let mut pipe = child.stdin.take().expect("its standard input");
        pipe.write_all(input.to_string().as_bytes()).expect("it should read its input");
        drop(pipe);
        text(&program, &child.wait_with_output().expect("it should end"))
    });
    let printed = printed.await.expect("it should run");
    Steps(printed.lines().map(step).collect())
}

fn text(program: &Command, output: &Output) -> String {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{program:?}: {}\n{out}{err}", output.status);
    out.into_owned()
}

fn step(line: &str) -> (String, Value) {
    let (name, seen) = line.split_once(' ').unwrap_or_else(|| panic!("a name and JSON: {line}"));
    (name.to_owned(), serde_json::from_str(seen).unwrap_or_else(|error| panic!("{error}: {line}")))
}

/// What was seen at each step of a program, in order.
#[derive(Debug)]
pub struct Steps(Vec<(String, Value)>);

impl Steps {
    /// All that was seen at the steps of this name.
    pub fn all(&self, name: &str) -> Vec<&Value> {
        self.0.iter().filter(|(step, _)| step == name).map(|(_, seen)| seen).collect()
    }

    /// What was seen at the one step of this name.
    pub fn one(&self, name: &str) -> &Value {
        let [seen] = self.all(name)[..] else { panic!("one {name}: {self:#?}") };
        seen
    }
}
