//! The registry as a process of its own.

use std::process::ExitCode;

use serde::Deserialize;
use sluice_boot::{Doors, Ground, Process, Settings};
use sluice_rpc::Server;
use sluice_runtime::BoxError;

use super::{Deps, Registry, StartError};
use crate::config::Config;

/// The settings of the process.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RegistrySettings {
    /// `process.…`: listeners, database, tokens, log.
    process: Process,
    /// `registry.…`: the registry's own settings.
    #[serde(default)]
    registry: Config,
}

impl Settings for RegistrySettings {
    fn process(&self) -> &Process {
        &self.process
    }

    fn check(&self) -> Result<(), BoxError> {
        self.registry.check().map_err(|rule| named(rule.into()))
    }
}

/// Runs until SIGTERM.
pub fn run() -> ExitCode {
    sluice_boot::run("sluice-registry", async |settings: RegistrySettings, ground: Ground| {
        let Ground { database, clock, entropy, supervisor, .. } = ground;
        let deps = Deps { database, clock, entropy, shutdown: supervisor.shutdown().clone() };
        let registry = Registry::start(&settings.registry, deps).await.map_err(named)?;
        let server = || Server::builder("registry").descriptors(proto::DESCRIPTORS);
        let (public, internal) = (registry.add_public(server())?, registry.add_internal(server())?);
        Ok(Doors { public, internal: Some(internal) })
    })
}

/// The error, a setting named as it is in the file.
fn named(error: StartError) -> BoxError {
    match error {
        StartError::Config(rule) => format!("registry.{rule}").into(),
        other => other.into(),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_example_file_is_in_order() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("registry.example.toml");
        let settings: RegistrySettings =
            sluice_runtime::config::load(Some(&file), "SLUICE_REGISTRY_UNIT_", &[]).unwrap();
        settings.process.check().unwrap();
        settings.registry.feed().unwrap();
        settings.registry.policy().unwrap();
        assert!(settings.registry.sealing.keys_file.is_some());
    }
}
