//! Who is at work in a house: the suite within the test's own process, or processes outside of it.

use std::path::Path;

use sluice::cli::Up;
use sluice::commands::up::prepare;
use sluice::settings::Settings;
use sluice::suite::RunningSuite;
use sluice_runtime::Shutdown;

use crate::process::Process;
use crate::service::Service;

/// Whoever is at work.
#[derive(Debug)]
pub(crate) enum Residents {
    /// What `sluice up` runs, in the test's own process.
    Suite(Option<RunningSuite>),
    /// `sluice up`.
    Up(Option<Process>),
    /// A process for each service.
    Three([Option<Process>; 3]),
}

impl Residents {
    /// The place of a service's process; `None` when there are no processes.
    pub(crate) fn slot(&mut self, service: Service) -> Option<&mut Option<Process>> {
        match self {
            Self::Suite(_) => None,
            Self::Up(process) => Some(process),
            Self::Three(processes) => Some(&mut processes[service as usize]),
        }
    }

    /// The processes that were started.
    pub(crate) fn processes(&mut self) -> impl Iterator<Item = &mut Process> {
        self.slots().iter_mut().flatten()
    }

    /// The same, handed over.
    pub(crate) fn take(&mut self) -> Vec<Process> {
        self.slots().iter_mut().filter_map(Option::take).collect()
    }

    /// Forgets processes that have ended, and kills those that have not.
    pub(crate) fn clear(&mut self) {
        self.take();
    }

    fn slots(&mut self) -> &mut [Option<Process>] {
        match self {
            Self::Suite(_) => &mut [],
            Self::Up(process) => std::slice::from_mut(process),
            Self::Three(processes) => processes,
        }
    }
}

/// Starts what `sluice up --config <file>` starts.
pub(crate) async fn suite(file: &Path) -> RunningSuite {
    let flags = Up { config: Some(file.to_owned()), ..Up::default() };
    let settings = Settings::load(&flags).expect("the settings should be in order");
    let suite = prepare(&settings).await.expect("what the suite stands on should be usable");
    Box::pin(suite.start(Shutdown::new())).await.expect("the suite should start")
}
