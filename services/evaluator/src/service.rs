//! The plug board: the evaluator put together out of its rooms and what it is given.

use std::sync::Arc;

use proto::evaluator::v1::automation_service_server::AutomationServiceServer;
use proto::evaluator::v1::event_service_server::EventServiceServer;
use sluice_auth::AccessError;
use sluice_rpc::{MAX_BATCH_BYTES, MAX_MESSAGE_BYTES, ServerBuilder, Transport};
use sluice_runtime::{Clock, Entropy, Supervisor};
use sluice_storage::{Database, MigrationError, StorageError};
use thiserror::Error;

use crate::clients::dispatcher::Dispatcher;
use crate::clients::registry::Registry;
use crate::grpc::{AutomationDoor, EventDoor, access_table};
use crate::store::Store;
use crate::worker::{Accounts, Automations, Directory, Editor, Explainer, Stops, follow};

mod config;
pub mod process;

pub use config::Config;

/// What the evaluator needs from the process it runs in.
#[derive(Debug, Clone)]
pub struct Deps {
    /// Its own database; [`Evaluator::start`] migrates it.
    pub database: Database,
    /// The time.
    pub clock: Clock,
    /// Randomness for ids and waits.
    pub entropy: Entropy,
    /// Runs its workers and stops them.
    pub supervisor: Supervisor,
    /// The registry's internal services (`FeedService`, `AccountService`).
    pub registry: Transport,
    /// The dispatcher's internal services (`DispatchService`).
    pub dispatcher: Transport,
}

/// Why the evaluator can't start.
#[derive(Debug, Error)]
pub enum StartError {
    /// A setting breaks its rule.
    #[error("{0}")]
    Config(&'static str),
    /// The database can't be migrated.
    #[error(transparent)]
    Migration(#[from] MigrationError),
    /// The database can't be read.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// A running evaluator: its workers run under the supervisor, its doors can be put into a server. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Evaluator {
    directory: Arc<Directory>,
    automations: AutomationDoor,
    events: EventDoor,
    registry: Transport,
    dispatcher: Transport,
}

impl Evaluator {
    /// Migrates the database and starts following the registry and carrying stops. Returns without waiting for the
    /// registry: until its state was read, calls that need it answer `UNAVAILABLE` ([`Evaluator::ready`]).
    ///
    /// # Errors
    /// When a setting breaks its rule or the database can't be used.
    pub async fn start(config: &Config, deps: Deps) -> Result<Self, StartError> {
        if let Some(rule) = config.broken_rule() {
            return Err(StartError::Config(rule));
        }
        let Deps { database, clock, entropy, supervisor, registry, dispatcher } = deps;
        let others = (registry.clone(), dispatcher.clone());
        let store = Store::open(database).await?;
        let directory = Arc::new(Directory::new(config.catch_up.to_duration()));
        let automations = Arc::new(Automations::new(store.clone(), clock.clone()).await?);
        let dispatcher = Dispatcher::new(dispatcher);
        let stops = Stops::new(store.clone(), dispatcher.clone(), config.stops_interval.to_duration());

        let registry = Registry::new(registry);
        let accounts = Accounts::new(Arc::clone(&directory), registry.clone());
        let (known, random) = (Arc::clone(&directory), entropy.clone());
        supervisor.spawn("evaluator.follow", |shutdown| follow(registry, known, random, shutdown));
        let (carrier, random) = (stops.clone(), entropy.clone());
        supervisor.spawn("evaluator.stops", |shutdown| carrier.run(random, shutdown));

        let editor = Editor {
            store: store.clone(),
            accounts: accounts.clone(),
            automations: Arc::clone(&automations),
            stops,
            clock: clock.clone(),
            entropy: entropy.clone(),
            most: config.automations_per_account,
        };
        let explainer = Explainer {
            accounts: accounts.clone(),
            automations: Arc::clone(&automations),
            editor: editor.clone(),
            clock: clock.clone(),
        };
        Ok(Self {
            directory,
            automations: AutomationDoor { store, accounts: accounts.clone(), editor, explainer },
            events: EventDoor { accounts, automations, dispatcher, clock },
            registry: others.0,
            dispatcher: others.1,
        })
    }

    /// Adds the public services (`AutomationService`, `EventService`) and their rows of the access table to a server. The
    /// server's descriptors have to hold them (`proto::DESCRIPTORS`). There are no internal services. The server is healthy
    /// once the registry's state was read and while the database answers: otherwise calls answer `UNAVAILABLE`.
    ///
    /// # Errors
    /// Never for the table of this crate; a test builds it.
    pub fn add_public(&self, server: ServerBuilder) -> Result<ServerBuilder, AccessError> {
        let automations = AutomationServiceServer::new(self.automations.clone())
            .max_decoding_message_size(MAX_MESSAGE_BYTES);
        let events = EventServiceServer::new(self.events.clone()).max_decoding_message_size(MAX_BATCH_BYTES);
        let server = self.with_health(server.service(automations).service(events));
        Ok(server.access(access_table()?))
    }

    /// Healthy once the registry's state was read and while the database answers. Of the other services it only tells: what is
    /// known of the registry goes on, and while the dispatcher is away automations can be edited, and events are answered.
    fn with_health(&self, server: ServerBuilder) -> ServerBuilder {
        let database = || {
            let store = self.automations.store.clone();
            move || {
                let store = store.clone();
                async move { store.revision().await.is_ok() }
            }
        };
        let (directory, store) = (Arc::clone(&self.directory), database());
        let all = move || {
            let (ready, answers) = (directory.is_ready(), store());
            async move { ready && answers.await }
        };
        let other = |transport: &Transport| {
            let transport = transport.clone();
            move || {
                let transport = transport.clone();
                async move { transport.serves().await }
            }
        };
        let server = server.healthy_while(all).tells_of("database", database());
        server.tells_of("registry", other(&self.registry)).tells_of("dispatcher", other(&self.dispatcher))
    }

    /// Whether the registry's state was read.
    pub fn is_ready(&self) -> bool {
        self.directory.is_ready()
    }

    /// Returns once the registry's state was read.
    pub async fn ready(&self) {
        self.directory.ready().await;
    }
}

#[cfg(test)]
mod tests;
