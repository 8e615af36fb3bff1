//! Registry, evaluator and dispatcher in one process: one public port, calls between them without a socket.
//!
//! The way down is ordered: first nothing is claimed any more, and the public server takes nothing new and ends its calls, which
//! still need the services; then the services end what they have under way and record it.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;
use sluice_auth::Verifier;
use sluice_dispatcher::service::Dispatcher;
use sluice_domain::UserId;
use sluice_evaluator::Evaluator;
use sluice_registry::service::Registry;
use sluice_rpc::{Limits, Server, ServerBuilder};
use sluice_runtime::{Clock, DrainError, Entropy, Shutdown, Supervisor};
use sluice_storage::{Database, DatabaseUrl, Options};
use tokio::net::TcpListener;

/// How long the start waits for the evaluator to have read the registry's state, so that the first call finds it ready.
const FEED_WITHIN: Duration = Duration::from_secs(10);

/// Where the three databases are.
#[derive(Debug, Clone)]
pub struct DatabaseUrls {
    /// The registry's.
    pub registry: DatabaseUrl,
    /// The evaluator's.
    pub evaluator: DatabaseUrl,
    /// The dispatcher's.
    pub dispatcher: DatabaseUrl,
}

/// The three databases, connected.
#[derive(Debug, Clone)]
pub struct Databases {
    /// The registry's.
    pub registry: Database,
    /// The evaluator's.
    pub evaluator: Database,
    /// The dispatcher's.
    pub dispatcher: Database,
}

/// All that a suite is made of.
#[derive(Debug)]
pub struct Suite {
    /// Where the public services listen; port 0 takes any that is free.
    pub listen: SocketAddr,
    /// The databases; the suite closes them at its end.
    pub databases: Databases,
    /// The time. On PostgreSQL the databases have their own.
    pub clock: Clock,
    /// The randomness.
    pub entropy: Entropy,
    /// Whose tokens are taken.
    pub verifier: Verifier,
    /// Whether the contracts are told to whoever asks.
    pub reflection: bool,
    /// Web pages that may call from a browser.
    pub origins: Vec<String>,
    /// The registry's settings.
    pub registry: sluice_registry::config::Config,
    /// The evaluator's.
    pub evaluator: sluice_evaluator::Config,
    /// The dispatcher's.
    pub dispatcher: sluice_dispatcher::config::Config,
}

/// A suite at work.
#[derive(Debug)]
pub struct RunningSuite {
    address: SocketAddr,
    server: Supervisor,
    services: Supervisor,
    databases: Databases,
    drain: Duration,
}

impl Databases {
    /// Connects to all three, and makes what is missing.
    ///
    /// # Errors
    /// When one can't be used; it is named.
    pub async fn connect(urls: &DatabaseUrls, clock: &Clock) -> anyhow::Result<Self> {
        let options = Options::default();
        let connect = async |url: &DatabaseUrl| {
            let connected = Database::connect(url, clock.clone(), &options).await;
            connected.with_context(|| format!("database {url}"))
        };
        Ok(Self {
            registry: connect(&urls.registry).await?,
            evaluator: connect(&urls.evaluator).await?,
            dispatcher: connect(&urls.dispatcher).await?,
        })
    }

    /// Each with the name of its service.
    pub fn named(&self) -> [(&'static str, &Database); 3] {
        [("registry", &self.registry), ("evaluator", &self.evaluator), ("dispatcher", &self.dispatcher)]
    }
}

impl Suite {
    /// Sets everything to work; it stops on `shutdown`, and triggers it when one of its tasks fails.
    ///
    /// # Errors
    /// When a setting, a database or the address can't be used.
    pub async fn start(self, shutdown: Shutdown) -> anyhow::Result<RunningSuite> {
        let listener = TcpListener::bind(self.listen);
        let listener = listener.await.with_context(|| {
            format!("listen: {} can't be used, choose another address (--listen)", self.listen)
        })?;
        let address = listener.local_addr()?;
        let (server, services) = (Supervisor::new(shutdown), Supervisor::new(Shutdown::new()));
        let served = self.wire(&services, server.shutdown()).await;
        let public = match served {
            Ok(public) => public,
            Err(error) => {
                // The reason is the first failure; that the tasks already started end is all that is left to do.
                let _ended = services.drain(Limits::default().drain).await;
                return Err(error);
            }
        };
        server.spawn("serve", move |shutdown| {
            public.serve(listener, async move { shutdown.triggered().await })
        });
        let failing = services.shutdown().clone();
        server.spawn("services", move |shutdown| async move {
            if shutdown.or(failing.triggered()).await.is_some() {
                shutdown.trigger();
            }
        });
        let drain = self.dispatcher.drain_within();
        Ok(RunningSuite { address, server, services, databases: self.databases, drain })
    }

    /// Starts the services in the order in which they need each other, and returns their public doors as one. Once they are
    /// `closing`, nothing more is claimed, while the calls under way still end.
    async fn wire(&self, services: &Supervisor, closing: &Shutdown) -> anyhow::Result<Server> {
        let Databases { registry: registry_db, evaluator: evaluator_db, dispatcher: dispatcher_db } =
            self.databases.clone();
        let registry = Registry::start(
            &self.registry,
            sluice_registry::service::Deps {
                database: registry_db,
                clock: self.clock.clone(),
                entropy: self.entropy.clone(),
                shutdown: services.shutdown().clone(),
            },
        )
        .await
        .context("registry")?;
        let to_registry = self.internal("registry-internal", |server| registry.add_internal(server))?;

        let dispatcher = Dispatcher::start(
            &self.dispatcher,
            sluice_dispatcher::service::Deps {
                database: dispatcher_db,
                clock: self.clock.clone(),
                entropy: self.entropy.clone(),
                supervisor: services.clone(),
                registry: to_registry.in_process(user("dispatcher")?),
            },
        )
        .await
        .context("dispatcher")?;
        {
            let (dispatcher, closing) = (dispatcher.clone(), closing.clone());
            services.spawn("rest", move |shutdown| async move {
                shutdown.or(closing.triggered()).await;
                dispatcher.rest();
            });
        }
        let to_dispatcher = self.internal("dispatcher-internal", |server| dispatcher.add_internal(server))?;

        let evaluator = Evaluator::start(
            &self.evaluator,
            sluice_evaluator::Deps {
                database: evaluator_db,
                clock: self.clock.clone(),
                entropy: self.entropy.clone(),
                supervisor: services.clone(),
                registry: to_registry.in_process(user("evaluator")?),
                dispatcher: to_dispatcher.in_process(user("evaluator")?),
            },
        )
        .await
        .context("evaluator")?;
        if tokio::time::timeout(FEED_WITHIN, evaluator.ready()).await.is_err() {
            tracing::warn!(
                "the evaluator has not read the registry's state yet and answers UNAVAILABLE until it has"
            );
        }

        let server = Server::builder("public").reflection(self.reflection).origins(self.origins.clone());
        let server = dispatcher.add_public(evaluator.add_public(registry.add_public(server)?)?)?;
        self.build(server)
    }

    /// A server of internal services that is reached within the process only.
    fn internal<E: Into<anyhow::Error>>(
        &self,
        name: &'static str,
        add: impl FnOnce(ServerBuilder) -> Result<ServerBuilder, E>,
    ) -> anyhow::Result<Server> {
        self.build(add(Server::builder(name).reflection(false)).map_err(Into::into)?)
    }

    fn build(&self, server: ServerBuilder) -> anyhow::Result<Server> {
        let clock = self.clock.clone();
        Ok(server.descriptors(proto::DESCRIPTORS).build(self.verifier.clone(), move || clock.now())?)
    }
}

fn user(name: &str) -> anyhow::Result<UserId> {
    Ok(name.parse()?)
}

impl RunningSuite {
    /// Where the public services listen.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The databases it works on.
    pub fn databases(&self) -> &Databases {
        &self.databases
    }

    /// Returns once it is told to stop, or a task has failed.
    pub async fn stopping(&self) {
        self.server.shutdown().triggered().await;
    }

    /// Works until it is told to stop or a task fails, then drains.
    ///
    /// # Errors
    /// As [`RunningSuite::stop`].
    pub async fn run(self) -> Result<(), DrainError> {
        self.stopping().await;
        self.stop().await
    }

    /// Takes nothing new, ends what is under way, records it, and closes the databases.
    ///
    /// # Errors
    /// The first task that failed, or the names of those that did not end in time.
    pub async fn stop(self) -> Result<(), DrainError> {
        let calls = self.server.drain(Limits::default().drain + Duration::from_secs(1)).await;
        let work = self.services.drain(self.drain).await;
        for (_, database) in self.databases.named() {
            database.close().await;
        }
        work.and(calls)
    }
}
