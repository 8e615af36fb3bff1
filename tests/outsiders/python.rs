//! The Python that the programs of tests/python run in.

use std::process::{Command, Stdio};

const VARIABLE: &str = "SLUICE_TEST_PYTHON";

/// A program of tests/python, with no more of our environment than it needs.
///
/// # Panics
/// Without a Python to run it in, in one line that says what to do.
pub(crate) fn program(name: &str) -> Command {
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
pub(crate) fn printed(mut program: Command) -> String {
    let output = program.output().unwrap_or_else(|error| panic!("{program:?} should start: {error}"));
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{program:?}: {}\n{out}{err}", output.status);
    out.into_owned()
}
