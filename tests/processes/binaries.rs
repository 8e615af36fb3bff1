//! The services' binaries, beside this suite in the target directory.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use super::service::Service;

/// The service's binary; the first to ask for one that is missing builds them all.
pub(crate) fn binary(service: Service) -> PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let suite = std::env::current_exe().expect("the suite's own path");
        // target/debug/deps/processes-…
        let folder = suite.parent().and_then(Path::parent).expect("the target directory").to_owned();
        if Service::ALL.iter().any(|service| !folder.join(service.binary()).exists()) {
            build(&folder);
        }
        folder
    });
    folder.join(service.binary())
}

fn build(folder: &Path) {
    let profile = match folder.file_name().and_then(|name| name.to_str()) {
        Some("debug") => "dev",
        Some(profile) => profile,
        None => panic!("{} should be named like a profile", folder.display()),
    };
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    // The whole workspace, as `tests/run` does it: features unify as they have for the suite, and nothing is built twice.
    let built = Command::new(cargo)
        .args(["build", "--locked", "--workspace", "--bins", "--profile", profile])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stdin(Stdio::null())
        .status()
        .expect("cargo should run");
    assert!(built.success(), "the services' binaries could not be built: {built}");
}
