//! Our files, by path: read from the disk, or planted.

use std::collections::BTreeMap;
use std::path::Path;

/// The sources of the workspace: path from its root, with `/`, to text.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tree(BTreeMap<String, String>);

/// A rule that is broken, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    /// The file.
    pub(crate) path: String,
    /// The line, from 1; 0 when the whole file is meant.
    pub(crate) line: usize,
    /// What the rule is.
    pub(crate) rule: String,
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.rule)
    }
}

impl Tree {
    /// Reads the folders that hold our files, and the root manifest.
    pub(crate) fn read(root: &Path) -> std::io::Result<Self> {
        let mut tree = Self::default();
        tree.plant("Cargo.toml", &std::fs::read_to_string(root.join("Cargo.toml"))?);
        for folder in ["libs", "proto", "services", "tests"] {
            tree.enter(&root.join(folder), folder)?;
        }
        Ok(tree)
    }

    fn enter(&mut self, folder: &Path, name: &str) -> std::io::Result<()> {
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            let leaf = entry.file_name().to_string_lossy().into_owned();
            let path = format!("{name}/{leaf}");
            if entry.file_type()?.is_dir() {
                if !matches!(leaf.as_str(), "target" | "node_modules" | ".git") {
                    self.enter(&entry.path(), &path)?;
                }
            } else if ["rs", "toml", "sql", "proto"].contains(&extension(&leaf)) {
                self.plant(&path, &std::fs::read_to_string(entry.path())?);
            }
        }
        Ok(())
    }

    /// Adds a file or replaces it.
    pub(crate) fn plant(&mut self, path: &str, text: &str) {
        self.0.insert(path.to_owned(), text.to_owned());
    }

    /// The text of a file.
    pub(crate) fn text(&self, path: &str) -> Option<&str> {
        self.0.get(path).map(String::as_str)
    }

    /// All files.
    pub(crate) fn files(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(path, text)| (path.as_str(), text.as_str()))
    }

    /// The Rust files.
    pub(crate) fn rust(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files().filter(|(path, _)| extension(path) == "rs")
    }

    /// The members of the workspace: folder and manifest.
    pub(crate) fn members(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files().filter_map(|(path, text)| Some((path.strip_suffix("/Cargo.toml")?, text)))
    }
}

/// What follows the last dot of a path.
pub(crate) fn extension(path: &str) -> &str {
    path.rsplit_once('.').map_or("", |(_, extension)| extension)
}

/// Whether a file holds nothing but tests, by where it stands.
pub(crate) fn is_test_file(path: &str) -> bool {
    path.starts_with("tests/")
        || path.starts_with("libs/testkit/")
        || path.contains("/tests/")
        || path.ends_with("/tests.rs")
}
