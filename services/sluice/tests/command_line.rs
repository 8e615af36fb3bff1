//! The commands as a shell sees them: output, exit code.

#![allow(clippy::unwrap_used, reason = "helpers of tests; a failure is the test's")]

use std::io::Write;
use std::process::{Command, Output, Stdio};

fn sluice(arguments: &[&str], input: &[u8]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sluice"));
    command.args(arguments).env_remove("SLUICE_DATA");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    child.wait_with_output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn url_check_answers_each_line_and_ends_well_with_refusals() {
    let input = b"http://169.254.169.254/\nhttps://example.com/hook\n\xff\nhttp://known.dev/";
    let arguments = ["url", "check", "--allow-http", "--resolve", "known.dev=93.184.215.14,93.184.215.15"];
    let output = sluice(&arguments, input);
    assert_eq!(output.status.code(), Some(0));
    let lines: Vec<_> = text(&output.stdout).lines().map(str::to_owned).collect();
    let verdicts: Vec<_> = lines.iter().map(|line| line.split_once('\t').unwrap().0).collect();
    assert_eq!(verdicts, ["refuse", "needs-dns", "refuse", "allow"]);
}

#[test]
fn bad_flags_are_a_usage_error() {
    for arguments in [
        &["url", "check", "--resolve", "nonsense"][..],
        &["url", "check", "--no-such-flag"],
        &["url"],
        &["token", "--user", "u", "--ttl", "soon"],
    ] {
        assert_eq!(sluice(arguments, b"").status.code(), Some(2), "{arguments:?}");
    }
}

#[test]
fn token_prints_the_token_alone_and_says_on_the_side_that_it_made_a_key() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let arguments = ["token", "--account", "acme", "--user", "ada", "--role", "member", "--data"];
    let arguments = [&arguments[..], &[data.to_str().unwrap()]].concat();
    let first = sluice(&arguments, b"");
    assert_eq!(first.status.code(), Some(0), "{}", text(&first.stderr));
    assert!(text(&first.stderr).contains("token-signing-key.pem"));
    let printed = text(&first.stdout);
    assert_eq!((printed.lines().count(), printed.trim().split('.').count()), (1, 3));
    assert_eq!(text(&sluice(&arguments, b"").stderr), "");
}

#[test]
fn a_data_directory_that_can_not_be_made_says_what_to_do() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let data = file.path().join("below");
    let arguments = ["token", "--account", "a", "--user", "u", "--role", "member", "--data"];
    let output = sluice(&[&arguments[..], &[data.to_str().unwrap()]].concat(), b"");
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("--data"), "{}", text(&output.stderr));
}
