//! The three services in one process, on databases of their own.

use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};

use proto::dispatcher::v1::{Execution, ExecutionState, ListExecutionsRequest};
use proto::evaluator::v1::{Automation, IngestEventResponse, IngestOutcome};
use proto::event::v1::Event;
use proto::registry::v1::CreateWebhookRequest;
use sluice::suite::{DatabaseUrls, Databases, RunningSuite, Suite};
use sluice_auth::{Key, Signer, Verifier, generate_ed25519};
use sluice_domain::{Secret, Span, Timestamp};
use sluice_registry::seal::MasterKeys;
use sluice_runtime::{Clock, Entropy, Shutdown};
use sluice_storage::{Backend, DatabaseUrl, Query as _};
use sluice_testkit::TestDatabase;
use tempfile::TempDir;
use tonic::transport::{Channel, Endpoint};

use crate::people::{ACCOUNT, PARENT, People, Person};
use crate::wait::until;

const ISSUER: &str = "sluice-tests";
const KID: &str = "house";
/// The services, a database each.
const SERVICES: [&str; 3] = ["registry", "evaluator", "dispatcher"];
/// What passes by itself once the evaluator has read the registry's feed.
const NOT_HEARD_YET: [&str; 4] =
    ["ACCOUNT_UNKNOWN", "PLAN_REQUIRED", "PLAN_LIMIT_EXCEEDED", "WEBHOOK_UNKNOWN"];

/// The plans an account can be put on.
const PLANS: &str = include_str!("plans.toml");

/// The settings of the services, the same after a restart.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The plan that `acme` is on from the first.
    pub plan: &'static str,
    /// The registry's.
    pub registry: sluice_registry::config::Config,
    /// The evaluator's.
    pub evaluator: sluice_evaluator::Config,
    /// The dispatcher's.
    pub dispatcher: sluice_dispatcher::config::Config,
}

/// A running suite with the account `acme` on the plan `advanced`; loopback and http receivers are allowed, retries come
/// within milliseconds.
#[derive(Debug)]
pub struct House {
    setup: Setup,
    urls: DatabaseUrls,
    signer: Signer,
    public_key: String,
    running: Option<(RunningSuite, Channel)>,
    versions: AtomicI64,
    folder: TempDir,
    on_server: Option<TestDatabase>,
}

impl House {
    /// Starts on fresh databases.
    pub async fn open(backend: Backend) -> Self {
        Self::open_with(backend, |_| {}).await
    }

    /// Starts on fresh databases, with `acme` on this plan from the first.
    pub async fn open_on(backend: Backend, plan: &'static str) -> Self {
        Self::open_with(backend, |setup| setup.plan = plan).await
    }

    /// Starts on fresh databases with settings of its own.
    pub async fn open_with(backend: Backend, adjust: impl FnOnce(&mut Setup)) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder should be free");
        let on_server = match backend {
            Backend::Sqlite => None,
            Backend::Postgres => Some(sluice_testkit::postgres().await),
        };
        let url = |service: &str| match &on_server {
            None => DatabaseUrl::sqlite(folder.path().join(format!("{service}.db"))),
            Some(database) => {
                database.url.with_schema(service).expect("a service's name should be a schema's")
            }
        };
        let [registry, evaluator, dispatcher] = SERVICES.map(url);
        let (private_key, public_key) = generate_ed25519().expect("a key");
        let mut setup = setup(folder.path());
        adjust(&mut setup);
        let mut house = Self {
            setup,
            urls: DatabaseUrls { registry, evaluator, dispatcher },
            signer: signer(&private_key),
            public_key,
            running: None,
            versions: AtomicI64::new(0),
            folder,
            on_server,
        };
        house.start().await;
        house.put_plan(house.setup.plan).await;
        house
    }

    /// Sets the services to work again after [`House::stop`], on what they left.
    pub async fn start(&mut self) {
        let clock = Clock::system();
        let key = Key::ed25519(KID, &self.public_key).expect("the public key");
        let Setup { registry, evaluator, dispatcher, .. } = self.setup.clone();
        let suite = Suite {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            databases: Databases::connect(&self.urls, &clock).await.expect("the databases should open"),
            clock,
            entropy: Entropy::system(),
            verifier: Verifier::new(ISSUER, vec![key]).expect("the verifier"),
            reflection: false,
            origins: Vec::new(),
            registry,
            evaluator,
            dispatcher,
        };
        let running = Box::pin(suite.start(Shutdown::new())).await.expect("the suite should start");
        let endpoint = Endpoint::from_shared(format!("http://{}", running.address())).expect("an endpoint");
        let channel = endpoint.connect().await.expect("the public port should answer");
        self.running = Some((running, channel));
    }

    /// Lets the services end what is under way, and closes the databases.
    pub async fn stop(&mut self) {
        let (running, channel) = self.running.take().expect("the house should be open");
        drop(channel);
        running.stop().await.expect("the suite should end in order");
    }

    /// Stops and starts on the same databases.
    pub async fn restart(&mut self) {
        self.stop().await;
        self.start().await;
    }

    /// All that the services keep: on SQLite the bytes of the files, the write-ahead logs too; on PostgreSQL all rows as text,
    /// bytes in hexadecimal.
    pub async fn stored(&self) -> Vec<u8> {
        match &self.on_server {
            None => {
                let files = std::fs::read_dir(self.folder.path()).expect("the folder should be readable");
                let paths = files.map(|file| file.expect("a file").path());
                paths.flat_map(|path| std::fs::read(path).expect("the file should be readable")).collect()
            }
            Some(server) => rows(server).await.into_bytes(),
        }
    }

    /// Everybody who may call.
    pub fn people(&self) -> People<'_> {
        let (_, channel) = self.running.as_ref().expect("the house should be open");
        People { channel, signer: &self.signer, now: Clock::system().now() }
    }

    /// Everybody, with tokens minted that long ago.
    pub fn people_of(&self, ago: Span) -> People<'_> {
        let now = Clock::system().now();
        People { now: Timestamp::from_micros(now.as_micros() - ago.as_micros()), ..self.people() }
    }

    /// A global admin whose token somebody else signed.
    pub fn forger(&self) -> Person {
        let (private_key, _) = generate_ed25519().expect("a key");
        People { signer: &signer(&private_key), ..self.people() }.admin(ACCOUNT)
    }

    /// The global admin of `acme`.
    pub fn admin(&self) -> Person {
        self.people().admin(ACCOUNT)
    }

    /// Puts `acme` on a plan.
    pub async fn put_plan(&self, plan: &str) {
        let version = self.versions.fetch_add(1, Ordering::Relaxed) + 1;
        self.people()
            .billing()
            .put_entitlements(ACCOUNT, plan, version)
            .await
            .expect("the plan should be taken");
    }

    /// Registers a webhook as admin; its name and signing secret.
    pub async fn webhook(&self, request: CreateWebhookRequest) -> (String, String) {
        let created = self.admin().create_webhook(request).await.expect("the webhook should be taken");
        (created.webhook.expect("the webhook").name, created.signing_secret)
    }

    /// Creates an automation and lets it fire, as soon as the evaluator has heard of what it needs; its name.
    pub async fn automation(&self, automation: Automation) -> String {
        let admin = self.admin();
        let created = until("the evaluator has heard of the plan and the webhooks", async || {
            match admin.create_automation(PARENT, automation.clone()).await {
                Ok(created) => Some(created),
                Err(refusal) if NOT_HEARD_YET.contains(&refusal.reason.as_str()) => None,
                Err(refusal) => panic!("the automation should be taken: {refusal:?}"),
            }
        });
        let name = created.await.name;
        admin.activate(&name).await.expect("the automation should be activated");
        name
    }

    /// Waits until the evaluator has heard of an event webhook, and so of everything before it; needs a plan with automations.
    pub async fn heard_of(&self, event_webhook: &str) {
        let admin = self.admin();
        let probe = crate::requests::automation("probe", [crate::requests::post(event_webhook, "{}")]);
        until("the evaluator has heard of the event webhook", async || {
            let refusal = admin.create_automation(PARENT, probe.clone()).await.err();
            let reason = refusal.expect("an event webhook is not for automations").reason;
            assert!(
                reason == "WEBHOOK_KIND_MISMATCH" || NOT_HEARD_YET.contains(&reason.as_str()),
                "{reason}"
            );
            (reason == "WEBHOOK_KIND_MISMATCH").then_some(())
        })
        .await;
    }

    /// Sends an event as the producer.
    pub async fn ingest(&self, event: Event) -> IngestEventResponse {
        self.people().producer(ACCOUNT).ingest(PARENT, event).await.expect("the event should be taken")
    }

    /// Sends an event that sets off exactly one execution; its name.
    pub async fn fires(&self, event: Event) -> String {
        let answer = self.ingest(event).await;
        assert_eq!(answer.outcome(), IngestOutcome::Accepted);
        let [execution] = &answer.executions[..] else { panic!("one execution: {answer:?}") };
        execution.clone()
    }

    /// Reads an execution whole.
    pub async fn execution(&self, name: &str) -> Execution {
        self.admin().get_execution(name).await.expect("the execution should be there")
    }

    /// Waits until an execution is shown in this state.
    pub async fn shows(&self, name: &str, state: ExecutionState) -> Execution {
        let mut last = ExecutionState::Unspecified;
        let what = format!("{name} is {}", state.as_str_name());
        until(&what, async || {
            let seen = self.execution(name).await;
            last = seen.state();
            assert!(last == state || !is_final(last), "{} instead of {what}: {seen:?}", last.as_str_name());
            (last == state).then_some(seen)
        })
        .await
    }

    /// All executions, newest first.
    pub async fn history(&self) -> Vec<Execution> {
        let admin = self.admin();
        let mut all = Vec::new();
        let mut page_token = String::new();
        loop {
            let request = ListExecutionsRequest {
                parent: PARENT.to_owned(),
                page_size: 7,
                page_token,
                ..Default::default()
            };
            let page = admin.list_executions(request).await.expect("the history should be readable");
            all.extend(page.executions);
            if page.next_page_token.is_empty() {
                return all;
            }
            page_token = page.next_page_token;
        }
    }

    /// Waits until every execution is over; all of them, newest first.
    pub async fn all_ended(&self) -> Vec<Execution> {
        until("every execution is over", async || {
            let all = self.history().await;
            all.iter().all(|execution| is_final(execution.state())).then_some(all)
        })
        .await
    }
}

/// A time of an answer in microseconds since the epoch.
pub fn micros(time: Option<prost_types::Timestamp>) -> i64 {
    let time = time.expect("the time should be there");
    time.seconds * 1_000_000 + i64::from(time.nanos) / 1_000
}

/// Whether nothing more happens by itself.
fn is_final(state: ExecutionState) -> bool {
    use ExecutionState::{Cancelled, Failed, Stopped, Succeeded};
    matches!(state, Succeeded | Failed | Stopped | Cancelled)
}

fn signer(private_key: &Secret) -> Signer {
    Signer::from_ed25519_pkcs8_pem(ISSUER, KID, private_key).expect("the private key should sign")
}

fn setup(folder: &Path) -> Setup {
    let loopback = || vec!["127.0.0.0/8".to_owned()];
    let mut registry = sluice_registry::config::Config::default();
    registry.sealing.keys = Some(MasterKeys::encode(1, &Entropy::system().bytes()));
    registry.plans_file = Some(plans(folder));
    registry.egress.allow = loopback();
    registry.egress.allow_http = true;
    let mut dispatcher = sluice_dispatcher::config::Config::default();
    dispatcher.retry.retries = 4;
    dispatcher.retry.first = Span::from_millis(50);
    dispatcher.retry.factor = 1.5;
    dispatcher.retry.longest = Span::from_millis(200);
    dispatcher.egress.allow = loopback();
    dispatcher.egress.allow_http = true;
    Setup { plan: "advanced", registry, evaluator: sluice_evaluator::Config::default(), dispatcher }
}

fn plans(folder: &Path) -> PathBuf {
    let path = folder.join("plans.toml");
    let mut file = std::fs::File::create(&path).expect("the catalogue's file");
    file.write_all(PLANS.as_bytes()).expect("the catalogue should be written");
    path
}

async fn rows(server: &TestDatabase) -> String {
    let list = SERVICES.map(|service| format!("'{service}'")).join(", ");
    let tables = format!(
        "SELECT table_schema || '.' || table_name FROM information_schema.tables WHERE table_schema IN ({list})"
    );
    let mut all = String::new();
    for table in server.database().read().all(&tables, vec![]).await.expect("the tables") {
        let table: String = table.at(0).expect("a name");
        let select = format!("SELECT t::text FROM {table} t");
        for row in server.database().read().all(&select, vec![]).await.expect("the rows") {
            all.push_str(&row.at::<String>(0).expect("a row as text"));
        }
    }
    all
}
