//! The suite's binaries, beside the running test in the target directory.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use crate::service::Service;

/// The binary that runs all three services in one process, and has the commands.
pub(crate) const SLUICE: &str = "sluice";

/// A binary's path; the first to ask for one that is missing builds them all.
pub(crate) fn binary(name: &str) -> PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let test = std::env::current_exe().expect("the test's own path");
        // target/debug/deps/processes-…
        let folder = test.parent().and_then(Path::parent).expect("the target directory").to_owned();
        let mut names = Service::ALL.map(Service::binary).into_iter().chain([SLUICE]);
        if names.any(|name| !folder.join(name).exists()) {
            build(&folder);
        }
        folder
    });
    folder.join(name)
}

fn build(folder: &Path) {
    let profile = match folder.file_name().and_then(|name| name.to_str()) {
        Some("debug") => "dev",
        Some(profile) => profile,
        None => panic!("{} should be named like a profile", folder.display()),
    };
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    // The whole workspace, as `tests/run` does it: features unify as they have for the tests, and nothing is built twice.
    let built = Command::new(cargo)
        .args(["build", "--locked", "--workspace", "--bins", "--profile", profile])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stdin(Stdio::null())
        .status()
        .expect("cargo should run");
    assert!(built.success(), "the suite's binaries could not be built: {built}");
}
