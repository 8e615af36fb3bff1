//! The plug board: settings and the world come in, services for a public and an internal server come out.

pub mod process;

use sluice_auth::AccessError;
use sluice_rpc::{MAX_INTERNAL_BYTES, MAX_MESSAGE_BYTES, ServerBuilder};
use sluice_runtime::{Clock, Entropy, Shutdown};
use sluice_storage::{Database, MigrationError};
use thiserror::Error;

use proto::registry::v1::account_service_server::AccountServiceServer;
use proto::registry::v1::feed_service_server::FeedServiceServer;
use proto::registry::v1::webhook_service_server::WebhookServiceServer;

use crate::config::{Config, ConfigError};
use crate::grpc::{Accounts, Feed, Targets, Webhooks, table};
use crate::store::{Setup, Store, Watching};

/// How many rows a watcher reads at once.
const WATCH_PAGE: i64 = 256;

/// The world, as a registry needs it.
#[derive(Debug, Clone)]
pub struct Deps {
    /// Its own database; nobody else writes there.
    pub database: Database,
    /// What time it is.
    pub clock: Clock,
    /// Where ids, nonces and signing secrets come from.
    pub entropy: Entropy,
    /// Ends watches.
    pub shutdown: Shutdown,
}

/// Why a registry does not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// A setting can't be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The schema can't be brought up to date.
    #[error(transparent)]
    Migration(#[from] MigrationError),
}

/// A registry that is up; cheap to clone. It has no tasks of its own: it works when it is called.
#[derive(Debug, Clone)]
pub struct Registry {
    store: Store,
    targets: Targets,
    watching: Watching,
    shutdown: Shutdown,
}

impl Registry {
    /// Checks the settings, brings the schema up to date, and is ready to serve.
    ///
    /// # Errors
    /// When a setting can't be used, or the database can't.
    pub async fn start(config: &Config, deps: Deps) -> Result<Self, StartError> {
        let Deps { database, clock, entropy, shutdown } = deps;
        let feed = config.feed()?;
        let setup = Setup {
            catalogue: config.catalogue()?,
            default_plan: config.accounts.default_plan.clone(),
            keys: config.master_keys()?,
            entropy,
            keep_changes: feed.keep,
            limits: config.limits()?,
        };
        let targets = Targets { policy: config.policy()?, disclosure: config.disclosure() };
        let watching = Watching { clock, poll: feed.poll, page: WATCH_PAGE };
        let store = Store::open(database, setup).await?;
        Ok(Self { store, targets, watching, shutdown })
    }

    /// Adds what users and billing call, with its access table. The builder still needs `proto::DESCRIPTORS`.
    ///
    /// # Errors
    /// Never for the table of this crate; a test builds it.
    pub fn add_public(&self, server: ServerBuilder) -> Result<ServerBuilder, AccessError> {
        let server = server.service(self.webhooks()).service(self.accounts()).access(table::public()?);
        Ok(self.with_health(server))
    }

    /// Adds what Sluice's own services call: the feed, targets, and the reads of the public services.
    ///
    /// # Errors
    /// As [`Registry::add_public`].
    pub fn add_internal(&self, server: ServerBuilder) -> Result<ServerBuilder, AccessError> {
        let feed = Feed::new(self.store.clone(), self.watching.clone(), self.shutdown.clone());
        let feed = FeedServiceServer::new(feed)
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_INTERNAL_BYTES);
        let server = server.service(feed).service(self.webhooks()).service(self.accounts());
        Ok(self.with_health(server.access(table::internal()?)))
    }

    /// Healthy while the database answers; there is nothing else that it stands on.
    fn with_health(&self, server: ServerBuilder) -> ServerBuilder {
        let database = || {
            let store = self.store.clone();
            move || {
                let store = store.clone();
                async move { store.answers().await }
            }
        };
        server.healthy_while(database()).tells_of("database", database())
    }

    fn webhooks(&self) -> WebhookServiceServer<Webhooks> {
        WebhookServiceServer::new(Webhooks::new(self.store.clone(), self.targets.clone()))
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
    }

    fn accounts(&self) -> AccountServiceServer<Accounts> {
        AccountServiceServer::new(Accounts::new(self.store.clone()))
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
    }
}
