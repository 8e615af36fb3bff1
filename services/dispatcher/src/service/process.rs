//! The dispatcher as a process of its own.

use std::process::ExitCode;

use serde::Deserialize;
use sluice_boot::{Doors, Ground, Process, Settings, Upstream};
use sluice_rpc::Server;
use sluice_runtime::BoxError;

use super::{Deps, Dispatcher, StartError};
use crate::config::Config;

/// The settings of the process.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct DispatcherSettings {
    /// `process.…`: listeners, database, tokens, log.
    process: Process,
    /// `registry.…`: the registry's internal listener.
    registry: Upstream,
    /// `dispatcher.…`: the dispatcher's own settings.
    #[serde(default)]
    dispatcher: Config,
}

impl Settings for DispatcherSettings {
    fn process(&self) -> &Process {
        &self.process
    }

    fn check(&self) -> Result<(), BoxError> {
        self.registry.check("registry")?;
        self.dispatcher.check().map_err(|rule| named(rule.into()))?;
        if self.process.drain_within.to_duration() < self.dispatcher.drain_within() {
            let rule = "process.drain_within: must be dispatcher.delivery.timeout and 10s more: what is dialled ends, and is recorded";
            return Err(rule.into());
        }
        Ok(())
    }
}

/// Runs until SIGTERM.
pub fn run() -> ExitCode {
    sluice_boot::run("sluice-dispatcher", async |settings: DispatcherSettings, ground: Ground| {
        let registry = ground.transport("registry", &settings.registry)?;
        let Ground { database, clock, entropy, supervisor, .. } = ground;
        let deps = Deps { database, clock, entropy, supervisor, registry };
        let dispatcher = Dispatcher::start(&settings.dispatcher, deps).await.map_err(named)?;
        let server = || Server::builder("dispatcher").descriptors(proto::DESCRIPTORS);
        let (public, internal) = (dispatcher.add_public(server())?, dispatcher.add_internal(server())?);
        Ok(Doors { public, internal: Some(internal) })
    })
}

/// The error, a setting named as it is in the file.
fn named(error: StartError) -> BoxError {
    match error {
        StartError::Config(rule) => format!("dispatcher.{rule}").into(),
        StartError::Policy(rule) => format!("dispatcher.{rule}").into(),
        other => other.into(),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_example_file_is_in_order() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("dispatcher.example.toml");
        let settings: DispatcherSettings =
            sluice_runtime::config::load(Some(&file), "SLUICE_DISPATCHER_UNIT_", &[]).unwrap();
        settings.process.check().unwrap();
        settings.check().unwrap();
        assert_eq!(settings.dispatcher.retry, crate::retry::Schedule::default());
        assert_eq!(settings.dispatcher.breaker, crate::breaker::Policy::default());
    }

    #[test]
    fn a_drain_is_no_shorter_than_the_longest_request() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("dispatcher.example.toml");
        let said = |pairs: &[(&str, &str)]| {
            let flags: Vec<_> =
                pairs.iter().map(|(key, text)| ((*key).to_owned(), (*text).to_owned())).collect();
            let settings: DispatcherSettings =
                sluice_runtime::config::load(Some(&file), "SLUICE_DISPATCHER_UNIT_", &flags).unwrap();
            settings.check().map_err(|error| error.to_string())
        };
        assert!(said(&[("process.drain_within", "29s")]).unwrap_err().starts_with("process.drain_within: "));
        assert!(
            said(&[("dispatcher.delivery.timeout", "21s")])
                .unwrap_err()
                .starts_with("process.drain_within: ")
        );
        assert_eq!(said(&[("process.drain_within", "31s"), ("dispatcher.delivery.timeout", "21s")]), Ok(()));
    }
}
