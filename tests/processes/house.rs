//! The three services, a process each, on databases of their own.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use proto::dispatcher::v1::{Execution, ExecutionState};
use proto::evaluator::v1::Automation;
use proto::event::v1::Event;
use proto::registry::v1::CreateWebhookRequest;
use sluice_auth::{Principal, Role, Scope, Signer, generate_ed25519};
use sluice_domain::{Secret, Span};
use sluice_registry::seal::MasterKeys;
use sluice_runtime::{Clock, Entropy};
use sluice_testkit::TestDatabase;
use sluice_tests::{ACCOUNT, Backend, until};
use tempfile::TempDir;
use tonic::Code;
use tonic::transport::{Channel, Endpoint};
use tonic_health::ServingStatus;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use super::answers::{reason, the_execution};
use super::binaries::binary;
use super::callers::{Badge, Caller};
use super::ports::free_address;
use super::process::Process;
use super::service::Service::{self, Dispatcher, Evaluator, Registry};

/// As the example files have it.
const ISSUER: &str = "sluice";
const KID: &str = "main";
const PUBLIC_KEY_FILE: &str = "token-key.pub.pem";
const SEALING_KEYS_FILE: &str = "sealing-keys";
const PLANS_FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/plans.toml");

/// How long a token is good.
const LIFETIME: Span = Span::from_secs(600);
/// How long a server may take to answer a call of ours.
const CALL_TIMEOUT: Duration = Duration::from_secs(20);
/// How long a service may take to drain.
pub(crate) const DRAIN_WITHIN: Duration = Duration::from_secs(15);
/// What passes by itself once the evaluator has read the registry's feed.
const NOT_HEARD_YET: [&str; 5] =
    ["ACCOUNT_UNKNOWN", "PLAN_REQUIRED", "PLAN_LIMIT_EXCEEDED", "WEBHOOK_UNKNOWN", "UNAVAILABLE"];

/// Where a process is found.
#[derive(Debug)]
struct Doors {
    public: (SocketAddr, Channel),
    internal: (SocketAddr, Channel),
}

/// The three processes with their keys, tokens and databases; loopback and http receivers are allowed, retries come soon.
///
/// The fields are dropped in this order: first the processes, then what they stand on.
#[derive(Debug)]
pub(crate) struct House {
    processes: [Option<Process>; 3],
    doors: [Doors; 3],
    signer: Signer,
    secrets: Vec<Secret>,
    more_settings: Vec<(Service, String)>,
    versions: AtomicI64,
    on_server: Option<TestDatabase>,
    folder: TempDir,
}

impl House {
    /// Keys, tokens and databases, and nobody at home yet.
    pub(crate) async fn empty(backend: Backend) -> Self {
        let on_server = match backend {
            Backend::Sqlite => None,
            Backend::Postgres => Some(sluice_testkit::postgres().await),
        };
        let folder = tempfile::tempdir().expect("a temporary folder should be free");
        let (private_key, public_key) = generate_ed25519().expect("a key");
        let signer = signer(&private_key);
        let sealing_keys = MasterKeys::encode(1, &Entropy::system().bytes());
        let mut secrets = vec![private_key, Secret::new(sealing_keys.expose().trim_start_matches("1:"))];
        let write = |name: &str, text: &str| {
            std::fs::write(folder.path().join(name), text).expect("the file should be written");
        };
        write(PUBLIC_KEY_FILE, &public_key);
        write(SEALING_KEYS_FILE, sealing_keys.expose());
        for service in [Evaluator, Dispatcher] {
            let who = Principal::service(service.name().parse().expect("a user's name"));
            let token = signer.mint(&who, Clock::system().now(), LIFETIME).expect("a token");
            write(&format!("{}.token", service.name()), &format!("{token}\n"));
            secrets.push(Secret::new(token));
        }
        let doors = || Doors { public: door(), internal: door() };
        Self {
            processes: [None, None, None],
            doors: [doors(), doors(), doors()],
            signer,
            secrets,
            more_settings: Vec::new(),
            versions: AtomicI64::new(0),
            on_server,
            folder,
        }
    }

    /// All three at work, the account `acme` on this plan.
    pub(crate) async fn open(backend: Backend, plan: &str) -> Self {
        Self::open_with(backend, plan, &[]).await
    }

    /// All three at work with settings of the test's own, the account `acme` on this plan.
    pub(crate) async fn open_with(backend: Backend, plan: &str, settings: &[(Service, &str)]) -> Self {
        let mut house = Self::empty(backend).await;
        house.more_settings.extend(settings.iter().map(|(service, text)| (*service, (*text).to_owned())));
        for service in Service::ALL {
            house.start(service);
        }
        for service in Service::ALL {
            house.serves(service).await;
        }
        house.put_plan(plan).await;
        house
    }

    /// Starts a service, again on what it left.
    pub(crate) fn start(&mut self, service: Service) {
        assert!(self.processes[service as usize].is_none(), "{} is running", service.name());
        let said = self.folder.path().join(format!("{}.log", service.name()));
        let process = Process::start(service.binary(), self.command(service), &said);
        self.processes[service as usize] = Some(process);
    }

    /// The command that starts a service: its example file, its own binary, the folder with the keys.
    pub(crate) fn command(&self, service: Service) -> Command {
        let name = service.name();
        let example = format!("{}/../services/{name}/{name}.example.toml", env!("CARGO_MANIFEST_DIR"));
        let mut command = Command::new(binary(service));
        command.current_dir(self.folder.path()).args(["--config", &example]);
        for setting in self.settings(service) {
            command.args(["--set", &setting]);
        }
        for (variable, _) in
            std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("SLUICE_"))
        {
            command.env_remove(variable);
        }
        command
    }

    /// What differs from the example file.
    fn settings(&self, service: Service) -> Vec<String> {
        let name = service.name();
        let doors = &self.doors[service as usize];
        let mut settings = vec![
            format!("process.listen={}", doors.public.0),
            format!("process.drain_within={}s", DRAIN_WITHIN.as_secs()),
        ];
        if let Some(database) = &self.on_server {
            let url = database.url.with_schema(name).expect("a service's name should be a schema's");
            settings.push(format!("process.database={}", with_account(&url.to_string())));
        }
        if service != Evaluator {
            settings.push(format!("process.internal_listen={}", doors.internal.0));
            settings.push(format!("{name}.egress.allow=[\"127.0.0.0/8\"]"));
            settings.push(format!("{name}.egress.allow_http=true"));
        }
        if service != Registry {
            settings.push(format!("registry.address=http://{}", self.doors[Registry as usize].internal.0));
        }
        match service {
            Registry => settings.push(format!("registry.plans_file={PLANS_FILE}")),
            Evaluator => {
                let dispatcher = self.doors[Dispatcher as usize].internal.0;
                settings.push(format!("dispatcher.address=http://{dispatcher}"));
            }
            Dispatcher => {
                settings.extend(
                    ["first=100ms", "factor=1.5", "longest=1s"].map(|s| format!("dispatcher.retry.{s}")),
                );
            }
        }
        let more = self.more_settings.iter().filter(|(whose, _)| *whose == service);
        settings.extend(more.map(|(_, setting)| setting.clone()));
        settings
    }

    /// Waits until the service says on all its listeners that it serves.
    pub(crate) async fn serves(&mut self, service: Service) {
        self.says(service, ServingStatus::Serving).await;
    }

    /// Waits until the service answers, and says that it can't serve yet.
    pub(crate) async fn answers_without_serving(&mut self, service: Service) {
        self.says(service, ServingStatus::NotServing).await;
    }

    async fn says(&mut self, service: Service, status: ServingStatus) {
        for channel in self.channels(service) {
            let what = format!("{} says {status}", service.binary());
            until(&what, async || {
                let process = self.process(service);
                assert_eq!(process.status(), None, "{} ended: {}", service.binary(), process.said());
                let answer = HealthClient::new(channel.clone()).check(HealthCheckRequest::default()).await;
                (answer.ok()?.into_inner().status == i32::from(status as u8)).then_some(())
            })
            .await;
        }
    }

    /// A way to each of the service's listeners, the public one first.
    pub(crate) fn channels(&self, service: Service) -> Vec<Channel> {
        let doors = &self.doors[service as usize];
        let internal = (service != Evaluator).then(|| doors.internal.1.clone());
        [doors.public.1.clone()].into_iter().chain(internal).collect()
    }

    /// The process of a service that was started.
    pub(crate) fn process(&mut self, service: Service) -> &mut Process {
        self.processes[service as usize].as_mut().expect("the service should have been started")
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self, service: Service) {
        self.processes[service as usize].take().expect("the service should have been started").kill();
    }

    /// Starts the service again and waits until it serves.
    pub(crate) async fn back(&mut self, service: Service) {
        self.processes[service as usize] = None;
        self.start(service);
        self.serves(service).await;
    }

    /// The folder with the keys, the tokens and what the processes said.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What must never be seen.
    pub(crate) fn secrets(&self) -> &[Secret] {
        &self.secrets
    }

    /// A token of somebody in the account, or of a service that serves any.
    pub(crate) fn token(&self, user: &str, roles: &[Role], scopes: &[Scope]) -> String {
        let any = scopes.contains(&Scope::AccountsAny);
        let account = (!any).then(|| ACCOUNT.parse().expect("an account's name"));
        let user = user.parse().expect("a user's name");
        let who = Principal::new(account, user, roles.iter().copied(), scopes.iter().copied());
        self.signer.mint(&who, Clock::system().now(), LIFETIME).expect("a token")
    }

    fn caller(&self, user: &str, roles: &[Role], scopes: &[Scope]) -> Caller {
        let doors = Service::ALL.map(|service| self.doors[service as usize].public.1.clone());
        Caller { doors, badge: Badge::of(&self.token(user, roles, scopes)) }
    }

    /// The global admin of `acme`.
    pub(crate) fn admin(&self) -> Caller {
        self.caller("ada", &[Role::GlobalAdmin], &[])
    }

    /// The product that sends the events of `acme`.
    pub(crate) fn producer(&self) -> Caller {
        self.caller("crm", &[], &[Scope::EventsWrite])
    }

    /// Puts `acme` on a plan.
    pub(crate) async fn put_plan(&self, plan: &str) {
        let version = self.versions.fetch_add(1, Ordering::Relaxed) + 1;
        let billing = self.caller("billing", &[], &[Scope::EntitlementsWrite, Scope::AccountsAny]);
        billing.put_entitlements(plan, version).await.expect("the plan should be taken");
    }

    /// Registers a webhook as admin; its name and signing secret.
    pub(crate) async fn webhook(&self, request: CreateWebhookRequest) -> (String, String) {
        let created = self.admin().create_webhook(request).await.expect("the webhook should be taken");
        (created.webhook.expect("the webhook").name, created.signing_secret)
    }

    /// Creates an automation and lets it fire, as soon as the evaluator has heard of what it needs; its name.
    pub(crate) async fn automation(&self, automation: Automation) -> String {
        let admin = self.admin();
        let name = until("the evaluator has heard of the plan and the webhooks", async || {
            match admin.create_automation(automation.clone()).await {
                Ok(name) => Some(name),
                Err(refused) if NOT_HEARD_YET.contains(&reason(&refused).as_str()) => None,
                Err(refused) => panic!("the automation should be taken: {refused:?}"),
            }
        })
        .await;
        admin.activate(&name).await.expect("the automation should be activated");
        name
    }

    /// Sends an event that sets off exactly one execution, as soon as it is taken; its name.
    pub(crate) async fn fires(&self, event: Event) -> String {
        let producer = self.producer();
        let answer = until("the event is taken", async || match producer.ingest(event.clone()).await {
            Ok(answer) => Some(answer),
            Err(refused) if refused.code() == Code::Unavailable => None,
            Err(refused) => panic!("the event should be taken: {refused:?}"),
        })
        .await;
        the_execution(&answer)
    }

    /// Waits until an execution is shown in this state.
    pub(crate) async fn shows(&self, name: &str, state: ExecutionState) -> Execution {
        let admin = self.admin();
        let mut last = None;
        let what = format!("{name} is {}", state.as_str_name());
        until(&what, async || {
            let seen = admin.get_execution(name).await.expect("the execution should be there");
            let now = seen.state();
            if last.replace(now) != Some(now) && is_final(now) {
                assert_eq!(now, state, "{seen:?}");
            }
            (now == state).then_some(seen)
        })
        .await
    }
}

/// Somebody who signs tokens with this key, under our issuer's name.
pub(crate) fn signer(private_key: &Secret) -> Signer {
    Signer::from_ed25519_pkcs8_pem(ISSUER, KID, private_key).expect("the private key should sign")
}

fn is_final(state: ExecutionState) -> bool {
    use ExecutionState::{Cancelled, Failed, Stopped, Succeeded};
    matches!(state, Succeeded | Failed | Stopped | Cancelled)
}

fn door() -> (SocketAddr, Channel) {
    let address = free_address();
    let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("an endpoint");
    (address, endpoint.timeout(CALL_TIMEOUT).connect_lazy())
}

/// A test database's address as it is shown, completed by what is not shown: who connects, and how.
fn with_account(shown: &str) -> String {
    let server =
        std::env::var("SLUICE_TEST_POSTGRES_URL").unwrap_or_else(|_| "postgres://postgres@".to_owned());
    let (place, parameters) = server.split_once('?').unwrap_or((&server, ""));
    let place = place.split_once("://").map_or(place, |(_, rest)| rest);
    let account =
        place.split('/').next().and_then(|place| place.rsplit_once('@')).map(|(account, _)| account);
    let mut url = match account {
        Some(account) => shown.replacen("://", &format!("://{account}@"), 1),
        None => shown.to_owned(),
    };
    if !parameters.is_empty() {
        url = format!("{url}&{parameters}");
    }
    url
}
