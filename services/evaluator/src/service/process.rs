//! The evaluator as a process of its own.

use std::process::ExitCode;

use serde::Deserialize;
use sluice_boot::{Doors, Ground, Process, Settings, Upstream};
use sluice_rpc::Server;
use sluice_runtime::BoxError;

use super::{Config, Deps, Evaluator, StartError};

/// The settings of the process.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct EvaluatorSettings {
    /// `process.…`: listener, database, tokens, log.
    process: Process,
    /// `registry.…`: the registry's internal listener.
    registry: Upstream,
    /// `dispatcher.…`: the dispatcher's internal listener.
    dispatcher: Upstream,
    /// `evaluator.…`: the evaluator's own settings.
    #[serde(default)]
    evaluator: Config,
}

impl Settings for EvaluatorSettings {
    fn process(&self) -> &Process {
        &self.process
    }

    fn check(&self) -> Result<(), BoxError> {
        self.registry.check("registry")?;
        self.dispatcher.check("dispatcher")?;
        match self.evaluator.broken_rule() {
            Some(rule) => Err(named(StartError::Config(rule))),
            None => Ok(()),
        }
    }
}

/// Runs until SIGTERM.
pub fn run() -> ExitCode {
    sluice_boot::run("sluice-evaluator", async |settings: EvaluatorSettings, ground: Ground| {
        let registry = ground.transport("registry", &settings.registry)?;
        let dispatcher = ground.transport("dispatcher", &settings.dispatcher)?;
        let Ground { database, clock, entropy, supervisor, .. } = ground;
        let deps = Deps { database, clock, entropy, supervisor, registry, dispatcher };
        let evaluator = Evaluator::start(&settings.evaluator, deps).await.map_err(named)?;
        let public = evaluator.add_public(Server::builder("evaluator").descriptors(proto::DESCRIPTORS))?;
        Ok(Doors { public, internal: None })
    })
}

/// The error, a setting named as it is in the file.
fn named(error: StartError) -> BoxError {
    match error {
        StartError::Config(rule) => format!("evaluator.{rule}").into(),
        other => other.into(),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_example_file_is_in_order() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("evaluator.example.toml");
        let settings: EvaluatorSettings =
            sluice_runtime::config::load(Some(&file), "SLUICE_EVALUATOR_UNIT_", &[]).unwrap();
        settings.process.check().unwrap();
        settings.check().unwrap();
        assert_eq!(settings.evaluator, Config::default());
    }
}
