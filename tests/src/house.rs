//! The three services at work on databases of their own, in any shape.

mod calls;
mod residents;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, ExitStatus};
use std::sync::atomic::AtomicI64;

use sluice_auth::{Role, Scope, generate_ed25519};
use sluice_domain::{Secret, Span, Timestamp};
use sluice_runtime::Clock;
use sluice_storage::Query as _;
use sluice_testkit::{FaultProxy, TestDatabase};
use tonic::transport::Channel;
use tonic_health::ServingStatus;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use crate::deployment::Deployment;
use crate::people::{ACCOUNT, People, Person};
use crate::premises::{Premises, signer};
use crate::process::Process;
use crate::service::Service;
use crate::setup::Setup;
use crate::wait::until;

pub use calls::{is_final, micros};
pub(crate) use residents::Residents;

/// A suite with the account `acme` on a plan; loopback and http receivers are allowed, retries come within milliseconds.
///
/// What is said of a service's process is in one process said of the one that all three share.
#[derive(Debug)]
pub struct House {
    // Dropped in this order: first the processes, then what they stand on.
    residents: Residents,
    premises: Premises,
    versions: AtomicI64,
}

impl House {
    pub(crate) fn new(residents: Residents, premises: Premises) -> Self {
        Self { residents, premises, versions: AtomicI64::new(0) }
    }

    /// What a house on this deployment is to be made of; it opens at [`Setup::open`].
    pub fn setup(deployment: impl Into<Deployment>) -> Setup {
        Setup::new(deployment.into())
    }

    /// Starts on fresh databases, the account `acme` on the plan `advanced`.
    pub async fn open(deployment: impl Into<Deployment>) -> Self {
        Self::setup(deployment).open().await
    }

    /// Starts on fresh databases, with `acme` on this plan from the first.
    pub async fn open_on(deployment: impl Into<Deployment>, plan: &'static str) -> Self {
        Self::setup(deployment).on_plan(plan).open().await
    }

    /// Sets all services to work, again on what they left, and waits until they serve.
    pub async fn start(&mut self) {
        if let Residents::Suite(suite) = &mut self.residents {
            *suite = Some(residents::suite(&self.premises.suite_file()).await);
        }
        for service in Service::ALL {
            if self.residents.slot(service).is_some_and(|slot| slot.is_none()) {
                self.launch(service);
            }
        }
        for service in Service::ALL {
            self.serves(service).await;
        }
    }

    /// Lets the services end what is under way, and waits until they have.
    ///
    /// # Panics
    /// When one does not end in order.
    pub async fn stop(&mut self) {
        match &mut self.residents {
            Residents::Suite(suite) => {
                let running = suite.take().expect("the house should be open");
                running.stop().await.expect("the suite should end in order");
            }
            Residents::Up(_) | Residents::Three(_) => {
                for process in self.residents.processes() {
                    process.terminate();
                }
                for process in self.residents.processes() {
                    let status: ExitStatus = process.end_of().await;
                    assert!(status.success(), "{status}: {}", process.said());
                }
                self.residents.clear();
            }
        }
    }

    /// Stops and starts on the same databases.
    pub async fn restart(&mut self) {
        self.stop().await;
        self.start().await;
    }

    /// Adds a setting, in force from the next start; see [`Setup::with`].
    pub fn set(&mut self, setting: &str) {
        self.premises.set(setting);
    }

    /// Starts a service's process, again on what it left, and does not wait for it.
    pub fn launch(&mut self, service: Service) {
        let (name, command) = match self.residents {
            Residents::Three(_) => (service.name(), self.premises.service(service)),
            _ => ("sluice", self.premises.suite()),
        };
        let said = self.premises.folder().join(format!("{name}.log"));
        let slot = self.residents.slot(service).expect("the house should be outside of the test's process");
        assert!(slot.as_mut().is_none_or(|process| process.status().is_some()), "{name} is running");
        *slot = Some(Process::start(name, command, &said));
    }

    /// The process of a service that was started.
    pub fn process(&mut self, service: Service) -> &mut Process {
        let slot = self.residents.slot(service).expect("the house should be outside of the test's process");
        slot.as_mut().expect("the service should have been started")
    }

    /// SIGKILL.
    pub fn kill(&mut self, service: Service) {
        let slot = self.residents.slot(service).expect("the house should be outside of the test's process");
        slot.take().expect("the service should have been started").kill();
    }

    /// SIGKILL to every process there is.
    pub fn kill_all(&mut self) {
        for process in self.residents.take() {
            process.kill();
        }
    }

    /// Starts the service's process again and waits until it serves.
    pub async fn back(&mut self, service: Service) {
        self.launch(service);
        self.serves(service).await;
    }

    /// Waits until the service says on all its listeners that it serves.
    pub async fn serves(&mut self, service: Service) {
        self.says(service, ServingStatus::Serving).await;
    }

    /// Waits until the service answers, and says that it can't serve yet.
    pub async fn answers_without_serving(&mut self, service: Service) {
        self.says(service, ServingStatus::NotServing).await;
    }

    async fn says(&mut self, service: Service, status: ServingStatus) {
        for channel in self.channels(service) {
            let what = format!("{} says {status}", service.name());
            until(&what, async || {
                if let Some(Some(process)) = self.residents.slot(service) {
                    assert_eq!(process.status(), None, "{} ended: {}", service.name(), process.said());
                }
                let answer = HealthClient::new(channel.clone()).check(HealthCheckRequest::default()).await;
                (answer.ok()?.into_inner().status == i32::from(status as u8)).then_some(())
            })
            .await;
        }
    }

    /// A way to each of the service's listeners, the public one first. In one process the public one is shared, and there is no
    /// other.
    pub fn channels(&self, service: Service) -> Vec<Channel> {
        self.premises.channels(service)
    }

    /// The addresses of the public listeners: one in one process, else one of each service.
    pub fn addresses(&self) -> BTreeSet<SocketAddr> {
        self.premises.doors.iter().map(|doors| doors.public.0).collect()
    }

    /// The address of a service's public listener.
    pub fn outside(&self, service: Service) -> SocketAddr {
        self.premises.doors[service as usize].public.0
    }

    /// The address of a service's internal listener, where there is one.
    pub fn inside(&self, service: Service) -> SocketAddr {
        self.premises.doors[service as usize].internal.0
    }

    /// A service's binary with this house's settings, to be started with others.
    pub fn command(&self, service: Service) -> Command {
        self.premises.service(service)
    }

    /// The folder with the keys, the tokens, the databases, and what the processes said.
    pub fn folder(&self) -> &Path {
        self.premises.folder()
    }

    /// What must never be seen: keys and tokens.
    pub fn secrets(&self) -> &[Secret] {
        &self.premises.secrets
    }

    /// What stands before a PostgreSQL database, when that was asked for.
    pub fn database(&self) -> Option<&FaultProxy> {
        self.premises.proxy.as_ref()
    }

    /// All that the services keep: on SQLite the bytes of the files, the write-ahead logs too; on PostgreSQL all rows as text,
    /// bytes in hexadecimal.
    pub async fn stored(&self) -> Vec<u8> {
        match &self.premises.on_server {
            None => {
                let files = std::fs::read_dir(self.premises.data()).expect("the folder should be readable");
                let paths = files.map(|file| file.expect("a file").path());
                paths.flat_map(|path| std::fs::read(path).expect("the file should be readable")).collect()
            }
            Some(server) => rows(server).await.into_bytes(),
        }
    }

    /// All that the processes said, of all their lives; nothing when there are none.
    pub fn said(&self) -> String {
        let logs = Service::ALL.map(Service::name).into_iter().chain(["sluice"]);
        let files = logs.map(|name| self.folder().join(format!("{name}.log")));
        files.filter_map(|file| std::fs::read_to_string(file).ok()).collect()
    }

    /// Everybody who may call.
    pub fn people(&self) -> People<'_> {
        let doors = self.premises.doors.each_ref().map(|doors| doors.public.1.clone());
        People { doors, signer: &self.premises.signer, now: Clock::system().now() }
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

    /// The product that sends the events of `acme`.
    pub fn producer(&self) -> Person {
        self.people().producer(ACCOUNT)
    }

    /// A token of somebody in `acme`, or with the scope `accounts.any` of a service that serves any account.
    pub fn token(&self, user: &str, roles: &[Role], scopes: &[Scope]) -> String {
        let account = (!scopes.contains(&Scope::AccountsAny)).then_some(ACCOUNT);
        self.people().token(account, user, roles, scopes)
    }
}

async fn rows(server: &TestDatabase) -> String {
    let list = Service::ALL.map(|service| format!("'{}'", service.name())).join(", ");
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
