//! What a house is made of, before it is opened.

use std::path::{Path, PathBuf};

use sluice_storage::Backend;
use sluice_testkit::FaultProxy;

use crate::deployment::{Deployment, Shape};
use crate::house::{House, Residents};
use crate::premises::Premises;
use crate::service::Service;
use crate::settings::place_of;

/// The plan, the settings and the kind of a house.
#[derive(Debug, Clone)]
pub struct Setup {
    deployment: Deployment,
    plan: &'static str,
    settings: Vec<String>,
    outside: bool,
    proxied: bool,
    server: Option<String>,
    variables: Vec<(&'static str, PathBuf)>,
    through: Vec<String>,
}

impl Setup {
    pub(crate) fn new(deployment: Deployment) -> Self {
        let settings = Vec::new();
        Self {
            deployment,
            plan: "advanced",
            settings,
            outside: false,
            proxied: false,
            server: None,
            variables: Vec::new(),
            through: Vec::new(),
        }
    }

    /// `acme` is on this plan from the first, instead of `advanced`.
    #[must_use]
    pub fn on_plan(mut self, plan: &'static str) -> Self {
        self.plan = plan;
        self
    }

    /// With this setting, `key=value`, in the words of every shape: `registry.…`, `evaluator.…` and `dispatcher.…` are those
    /// services' own; `egress.…` is for both that judge targets; `telemetry.…` and `origins` are for every process; `process.…` is for each of
    /// three binaries, and nothing in one process.
    #[must_use]
    pub fn with(mut self, setting: impl Into<String>) -> Self {
        self.settings.push(setting.into());
        self
    }

    /// One process is `sluice up` itself, outside of the test's own process, so that it can be killed and asked to end.
    /// Three processes are outside in any case.
    #[must_use]
    pub fn outside(mut self) -> Self {
        self.outside = true;
        self
    }

    /// A PostgreSQL database is behind a proxy that can be cut: [`House::database`].
    #[must_use]
    pub fn proxied(mut self) -> Self {
        self.proxied = true;
        self
    }

    /// On this PostgreSQL server, which is the test's own and has no other house on it.
    #[must_use]
    pub fn on_server(mut self, url: &str) -> Self {
        self.server = Some(url.to_owned());
        self
    }

    /// The processes have this in their environment.
    #[must_use]
    pub fn knowing(mut self, variable: &'static str, value: &Path) -> Self {
        self.variables.push((variable, value.to_owned()));
        self
    }

    /// The processes are started by this command, which runs what it is given.
    #[must_use]
    pub fn through(mut self, command: Vec<String>) -> Self {
        self.through = command;
        self
    }

    /// All at work, the account `acme` on its plan.
    pub async fn open(self) -> House {
        let plan = self.plan;
        let mut house = self.empty().await;
        house.start().await;
        house.put_plan(plan).await;
        house
    }

    /// Keys, tokens and databases, and nobody at home yet.
    pub async fn empty(self) -> House {
        let Deployment { shape, backend } = self.deployment;
        let on_server = match backend {
            Backend::Sqlite => None,
            Backend::Postgres if self.server.is_some() => None,
            Backend::Postgres => Some(sluice_testkit::postgres().await),
        };
        let proxy = match on_server.as_ref().and_then(sluice_testkit::TestDatabase::address) {
            Some(address) if self.proxied => Some(FaultProxy::start(&place_of(address)).await),
            _ => None,
        };
        let residents = match (shape, self.outside) {
            (Shape::OneProcess, false) => Residents::Suite(None),
            (Shape::OneProcess, true) => Residents::Up(None),
            (Shape::ThreeProcesses, _) => Residents::Three(Service::ALL.map(|_| None)),
        };
        let mut premises = Premises::new(shape, on_server, proxy, self.settings);
        (premises.own_server, premises.variables, premises.through) =
            (self.server, self.variables, self.through);
        House::new(residents, premises)
    }
}
