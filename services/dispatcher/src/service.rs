//! The plug board: which part of the dispatcher is wired to which.

pub mod process;

use proto::dispatcher::v1::dispatch_service_server::DispatchServiceServer;
use proto::dispatcher::v1::execution_service_server::ExecutionServiceServer;
use proto::dispatcher::v1::quota_service_server::QuotaServiceServer;
use sluice_auth::AccessError;
use sluice_egress::{Egress, EgressError, PolicyError};
use sluice_rpc::{MAX_INTERNAL_BYTES, ServerBuilder, Transport};
use sluice_runtime::{Clock, Entropy, Shutdown, Supervisor};
use sluice_storage::{Database, MigrationError};
use thiserror::Error;

use crate::clients::registry::RegistryClient;
use crate::config::{Config, ConfigError};
use crate::delivery::Courier;
use crate::grpc::{Dispatch, Executions, Quotas, internal_table, public_table};
use crate::store::Store;
use crate::worker::{
    Accepting, AcceptingMeans, Alarm, Claiming, Following, GivingUp, Keeping, Notifying, Reporting, Sending,
    SendingMeans, Slots, Subscribers, Sweeping, Tail, Targets, pruning, rescuing, sweeping,
};

/// What a dispatcher stands on.
#[derive(Debug)]
pub struct Deps {
    /// Its own database.
    pub database: Database,
    /// The process's time.
    pub clock: Clock,
    /// The process's randomness.
    pub entropy: Entropy,
    /// What runs its workers and drains them.
    pub supervisor: Supervisor,
    /// The way to the registry's internal services.
    pub registry: Transport,
}

/// Why a dispatcher does not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// A setting can't be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The database can't be brought up to date.
    #[error(transparent)]
    Migration(#[from] MigrationError),
    /// An entry of `egress.allow` is no network.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// The way out can't be set up.
    #[error(transparent)]
    Egress(#[from] EgressError),
}

/// A dispatcher at work. Its workers run under the supervisor; this is its doors.
#[derive(Clone)]
pub struct Dispatcher {
    executions: Executions,
    quotas: Quotas,
    dispatch: Dispatch,
    store: Store,
    registry: Transport,
    resting: Shutdown,
}

impl Dispatcher {
    /// Brings the tables up to date and sets everything to work.
    ///
    /// # Errors
    /// When a setting, the database or the way out can't be used.
    pub async fn start(config: &Config, deps: Deps) -> Result<Self, StartError> {
        config.check()?;
        let Deps { database, clock, entropy, supervisor, registry } = deps;
        let egress = Egress::new(config.egress.policy()?, config.timeouts(), Config::body_caps())?;
        let (lease, schedule) = (config.lease(), config.retry);
        let store =
            Store::open(database, entropy.clone(), lease, schedule).await?.with_breaker(config.breaker);
        let to_registry = registry.clone();
        let registry = RegistryClient::new(registry);
        let (targets, subscribers) = (Targets::new(registry.clone()), Subscribers::default());
        let (alarm, sweep, slots) = (
            Alarm::default(),
            Sweeping::default(),
            Slots::new(config.delivery.in_flight, clock.clone(), store.limited().clone()),
        );

        let nothing_under_way = Shutdown::new();
        let reporting =
            Reporting::start(&supervisor, nothing_under_way.clone(), store.clone(), alarm.clone());
        let courier = Courier::new(egress, clock.clone(), supervisor.overdue().clone());
        let resting = supervisor.shutdown().child();
        let sending = Sending::new(SendingMeans {
            targets: targets.clone(),
            courier,
            reporting,
            lease,
            schedule,
            clock: clock.clone(),
            entropy: entropy.clone(),
            resting: resting.clone(),
        });
        let accepting = AcceptingMeans {
            store: store.clone(),
            slots: slots.clone(),
            sending: sending.clone(),
            alarm: alarm.clone(),
            clock: clock.clone(),
            resting: resting.clone(),
        };
        let accepting = Accepting::start(&supervisor, accepting);
        let claiming = Claiming {
            store: store.clone(),
            slots,
            sending: sending.clone(),
            alarm: alarm.clone(),
            clock: clock.clone(),
        };
        {
            let resting = resting.clone();
            supervisor.spawn("claim", move |_| claiming.run(resting));
        }
        {
            let (store, alarm) = (store.clone(), alarm.clone());
            supervisor.spawn("rescue", move |shutdown| rescuing(store, alarm, shutdown));
        }
        {
            let keeping = Keeping { receipts: config.receipts, changes: config.watch.changes };
            let store = store.clone();
            supervisor.spawn("prune", move |shutdown| pruning(store, keeping, shutdown));
        }
        {
            let (store, sweep) = (store.clone(), sweep.clone());
            supervisor.spawn("sweep", move |shutdown| sweeping(store, sweep, shutdown));
        }
        let giving_up = GivingUp {
            store: store.clone(),
            registry: registry.clone(),
            targets: targets.clone(),
            sweeping: sweep.clone(),
            alarm: alarm.clone(),
        };
        supervisor.spawn("give up", move |shutdown| giving_up.run(shutdown));
        {
            let notifying = Notifying {
                store: store.clone(),
                subscribers: subscribers.clone(),
                accepting: accepting.clone(),
                clock: clock.clone(),
                entropy: entropy.clone(),
            };
            supervisor.spawn("notify", move |shutdown| notifying.run(shutdown));
        }
        {
            let (store, alarm, entropy) = (store.clone(), alarm.clone(), entropy.clone());
            let following = Following { registry, store, targets, subscribers, alarm, entropy };
            supervisor.spawn("follow", move |shutdown| following.run(shutdown));
        }
        supervisor.spawn("finish", move |shutdown| async move {
            shutdown.triggered().await;
            sending.finished().await;
            nothing_under_way.trigger();
        });

        let tail = Tail::new(config.watch.per_account);
        {
            let (tail, store) = (tail.clone(), store.clone());
            supervisor.spawn("tail", move |shutdown| tail.run(store, shutdown));
        }
        let quotas = Quotas::new(store.clone(), alarm.clone());
        let executions = Executions::new(store.clone(), alarm, tail, supervisor.shutdown().clone());
        let dispatch = Dispatch::new(accepting, store.clone(), sweep, clock, entropy);
        Ok(Self { executions, quotas, dispatch, store, registry: to_registry, resting })
    }

    /// Claims and dials nothing more, and hands back what is claimed and not dialled; what is accepted still is. It is the first
    /// part of a drain, for whoever has callers of this dispatcher to wait for before the rest.
    pub fn rest(&self) {
        self.resting.trigger();
    }

    /// Adds the public services to a server.
    ///
    /// # Errors
    /// When the access table is not in order.
    pub fn add_public(&self, server: ServerBuilder) -> Result<ServerBuilder, AccessError> {
        let server = server
            .service(ExecutionServiceServer::new(self.executions.clone()))
            .service(QuotaServiceServer::new(self.quotas.clone()));
        Ok(self.with_health(server).access(public_table()?))
    }

    /// Adds the services for Sluice's own to a server.
    ///
    /// # Errors
    /// When the access table is not in order.
    pub fn add_internal(&self, server: ServerBuilder) -> Result<ServerBuilder, AccessError> {
        let dispatch = DispatchServiceServer::new(self.dispatch.clone())
            .max_decoding_message_size(MAX_INTERNAL_BYTES)
            .max_encoding_message_size(MAX_INTERNAL_BYTES);
        Ok(self.with_health(server.service(dispatch)).access(internal_table()?))
    }

    /// Healthy while the database answers. Of the registry it only tells: without it what is known is accepted and sent all the
    /// same, and what is not known waits.
    fn with_health(&self, server: ServerBuilder) -> ServerBuilder {
        let database = || {
            let store = self.store.clone();
            move || {
                let store = store.clone();
                async move { store.answers().await }
            }
        };
        let registry = self.registry.clone();
        let registry = move || {
            let registry = registry.clone();
            async move { registry.serves().await }
        };
        server.healthy_while(database()).tells_of("database", database()).tells_of("registry", registry)
    }
}
