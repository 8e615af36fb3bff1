//! The three services in one process with all their listeners on TCP: the public one as `sluice up` has it, the internal ones as
//! the services apart have them.

use std::net::Ipv4Addr;
use std::time::Duration;

use proto::registry::v1::PutEntitlementsRequest;
use sluice::suite::{DatabaseUrls, Databases};
use sluice_auth::{Verifier, generate_ed25519};
use sluice_dispatcher::service::Dispatcher;
use sluice_domain::Span;
use sluice_evaluator::Evaluator;
use sluice_registry::seal::MasterKeys;
use sluice_registry::service::Registry;
use sluice_rpc::{Server, ServerBuilder};
use sluice_runtime::{Clock, Entropy, Shutdown, Supervisor};
use sluice_storage::{Backend, DatabaseUrl};
use sluice_testkit::TestDatabase;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tonic::transport::Endpoint;

use super::callers::Mint;
use super::contract::Contract;
use super::door::{Door, Listener};

/// The plans an account can be put on.
const PLANS_FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/plans.toml");
/// How long what is under way may take to end.
const DRAIN_WITHIN: Duration = Duration::from_secs(15);

/// Everything at work, loopback receivers allowed; no account is known yet.
pub(crate) struct House {
    doors: [Door; 3],
    pub(crate) mint: Mint,
    supervisor: Supervisor,
    databases: Databases,
    _folder: TempDir,
    _on_server: Option<TestDatabase>,
}

impl House {
    /// Starts on fresh databases.
    pub(crate) async fn open(backend: Backend) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder should be free");
        let on_server = match backend {
            Backend::Sqlite => None,
            Backend::Postgres => Some(sluice_testkit::postgres().await),
        };
        let url = |service: &str| match &on_server {
            None => DatabaseUrl::sqlite(folder.path().join(format!("{service}.db"))),
            Some(database) => database.url.with_schema(service).expect("a schema's name"),
        };
        let urls = DatabaseUrls {
            registry: url("registry"),
            evaluator: url("evaluator"),
            dispatcher: url("dispatcher"),
        };
        let databases = Databases::connect(&urls, &Clock::system()).await.expect("the databases should open");
        let (private_key, public_key) = generate_ed25519().expect("a key");
        let mint = Mint::new(private_key, &public_key);
        let supervisor = Supervisor::new(Shutdown::new());
        let doors = Box::pin(wire(&databases, &mint.verifier(), &supervisor)).await;
        Self { doors, mint, supervisor, databases, _folder: folder, _on_server: on_server }
    }

    /// The way in at a listener.
    pub(crate) fn door(&self, listener: Listener) -> &Door {
        &self.doors[listener as usize]
    }

    /// Puts an account on a plan with automations, in its first version.
    pub(crate) async fn admit(&self, account: &str) {
        let put = PutEntitlementsRequest {
            name: format!("accounts/{account}"),
            plan: "advanced".to_owned(),
            version: 1,
            period_anchor: None,
        };
        self.door(Listener::Public)
            .ask::<_, proto::registry::v1::PutEntitlementsResponse>(
                "/sluice.registry.v1.AccountService/PutEntitlements",
                &self.mint.billing(),
                &put,
            )
            .await;
    }

    /// Lets the services end in order.
    pub(crate) async fn close(self) {
        self.supervisor.drain(DRAIN_WITHIN).await.expect("the services should end in order");
        for (_, database) in self.databases.named() {
            database.close().await;
        }
    }
}

/// Starts the services in the order in which they need each other; their listeners, in the order of [`Listener`].
async fn wire(databases: &Databases, verifier: &Verifier, supervisor: &Supervisor) -> [Door; 3] {
    let (clock, entropy) = (Clock::system(), Entropy::system());
    let user = |name: &str| name.parse().expect("a user's name");
    let build = |server: ServerBuilder| {
        let clock = clock.clone();
        let server = server.descriptors(proto::DESCRIPTORS);
        server.build(verifier.clone(), move || clock.now()).expect("the server should build")
    };

    let settings = registry_settings();
    let registry = Registry::start(
        &settings,
        sluice_registry::service::Deps {
            database: databases.registry.clone(),
            clock: clock.clone(),
            entropy: entropy.clone(),
            shutdown: supervisor.shutdown().clone(),
        },
    );
    let registry = registry.await.expect("the registry should start");
    let inner = build(registry.add_internal(Server::builder("registry-internal")).expect("the rows"));

    let settings = dispatcher_settings();
    let dispatcher = Dispatcher::start(
        &settings,
        sluice_dispatcher::service::Deps {
            database: databases.dispatcher.clone(),
            clock: clock.clone(),
            entropy: entropy.clone(),
            supervisor: supervisor.clone(),
            registry: inner.in_process(user("dispatcher")),
        },
    );
    let dispatcher = dispatcher.await.expect("the dispatcher should start");
    let inmost = build(dispatcher.add_internal(Server::builder("dispatcher-internal")).expect("the rows"));

    // What is not there is waited for so long, and there is much of it here.
    let settings =
        sluice_evaluator::Config { catch_up: Span::from_millis(50), ..sluice_evaluator::Config::default() };
    let evaluator = Evaluator::start(
        &settings,
        sluice_evaluator::Deps {
            database: databases.evaluator.clone(),
            clock: clock.clone(),
            entropy: entropy.clone(),
            supervisor: supervisor.clone(),
            registry: inner.in_process(user("evaluator")),
            dispatcher: inmost.in_process(user("evaluator")),
        },
    );
    let evaluator = evaluator.await.expect("the evaluator should start");
    evaluator.ready().await;

    let public = registry.add_public(Server::builder("public")).expect("the rows");
    let public = evaluator.add_public(public).expect("the rows");
    let public = build(dispatcher.add_public(public).expect("the rows"));
    [
        open("public", public, supervisor).await,
        open("registry-internal", inner, supervisor).await,
        open("dispatcher-internal", inmost, supervisor).await,
    ]
}

async fn open(name: &'static str, server: Server, supervisor: &Supervisor) -> Door {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port should be free");
    let address = listener.local_addr().expect("an address");
    supervisor.spawn(name, move |shutdown| server.serve(listener, async move { shutdown.triggered().await }));
    let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("an endpoint");
    Door::new(endpoint.connect().await.expect("the port should answer"), Contract::read().watches())
}

fn registry_settings() -> sluice_registry::config::Config {
    let mut settings = sluice_registry::config::Config::default();
    settings.sealing.keys = Some(MasterKeys::encode(1, &Entropy::system().bytes()));
    settings.plans_file = Some(PLANS_FILE.into());
    settings.egress.allow = vec!["127.0.0.0/8".to_owned()];
    settings.egress.allow_http = true;
    settings.limits.event_webhooks = 1_000;
    settings.limits.event_webhooks_per_member = 1_000;
    settings
}

fn dispatcher_settings() -> sluice_dispatcher::config::Config {
    let mut settings = sluice_dispatcher::config::Config::default();
    settings.egress.allow = vec!["127.0.0.0/8".to_owned()];
    settings.egress.allow_http = true;
    settings
}
