//! In every file: its name, its length, and what no file of ours holds.

use super::references::Source;
use super::rooms::SERVICES;
use super::tree::{Fault, Tree, extension, is_test_file};

/// No file of ours is longer.
const LONGEST: usize = 600;
/// No file of tests is longer.
const LONGEST_TEST: usize = 800;
/// No service's `main.rs` is longer.
const LONGEST_MAIN: usize = 20;

/// Names that mean that the right word is still to be found.
const WEAK_NAMES: &[&str] =
    &["manager", "helper", "helpers", "processor", "util", "utils", "common", "misc", "data", "info"];

/// The broken rules of all files.
pub(crate) fn check(tree: &Tree) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (path, text) in tree.files() {
        let fault = |line: usize, rule: String| Fault { path: path.to_owned(), line, rule };
        let lines = text.lines().count();
        let longest = if is_test_file(path) { LONGEST_TEST } else { LONGEST };
        if lines > longest && extension(path) != "toml" {
            faults.push(fault(lines, format!("{lines} lines, and no such file has more than {longest}")));
        }
        if extension(path) == "rs" {
            faults.extend(check_rust(path, text));
        }
    }
    faults
}

fn check_rust(path: &str, text: &str) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut fault =
        |line: usize, rule: &str| faults.push(Fault { path: path.to_owned(), line, rule: rule.to_owned() });
    let leaf = path.rsplit('/').next().unwrap_or(path);
    let source = Source::read(text);
    if leaf == "mod.rs" {
        fault(0, "foo.rs and foo/, never mod.rs");
    }
    if WEAK_NAMES.contains(&leaf.trim_end_matches(".rs")) {
        fault(0, "the file's name says nothing; the right word is still to be found");
    }
    if leaf == "main.rs" && SERVICES.iter().any(|service| path == format!("services/{service}/src/main.rs")) {
        let lines = text.lines().count();
        if lines > LONGEST_MAIN {
            fault(lines, "a service's main.rs has at most 20 lines");
        }
    }
    for line in &source.unsafe_lines {
        fault(*line, "no unsafe");
    }
    for reference in source.references.iter().filter(|r| r.path.last().is_some_and(|last| last == "*")) {
        let in_tests = reference.test || is_test_file(path);
        let of_the_tested = reference.path.len() == 2 && reference.path[0] == "super";
        let prelude = reference.path.iter().any(|segment| segment == "prelude");
        if !(in_tests && (of_the_tested || prelude)) {
            fault(reference.line, "no glob imports: names say where they come from");
        }
    }
    let command_line = path.starts_with("services/sluice/src/");
    // The three service binaries' command line, which may have to say why there is no log yet.
    let service_command_line = path.starts_with("libs/boot/src/");
    for (name, line, test) in &source.macros {
        let in_tests = *test || is_test_file(path);
        match name.as_str() {
            "print" | "println" | "dbg" if !command_line && !in_tests && leaf != "build.rs" => {
                fault(*line, "only sluice's command line prints; everything else traces");
            }
            "eprint" | "eprintln"
                if !command_line
                    && !service_command_line
                    && !in_tests
                    && leaf != "main.rs"
                    && leaf != "build.rs" =>
            {
                fault(*line, "only a command line prints; everything else traces");
            }
            _ => {}
        }
    }
    faults
}

/// How long the Rust files are.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Lengths {
    /// How many files.
    pub(crate) files: usize,
    /// Half of them have at most so many lines.
    pub(crate) median: usize,
    /// Nine of ten have at most so many lines.
    pub(crate) p90: usize,
    /// The longest.
    pub(crate) max: usize,
}

/// The lengths of all Rust files.
pub(crate) fn lengths(tree: &Tree) -> Lengths {
    let mut lengths: Vec<usize> = tree.rust().map(|(_, text)| text.lines().count()).collect();
    lengths.sort_unstable();
    let share = |percent: usize| {
        lengths.get((lengths.len() * percent).div_ceil(100).max(1) - 1).copied().unwrap_or(0)
    };
    Lengths { files: lengths.len(), median: share(50), p90: share(90), max: share(100) }
}
