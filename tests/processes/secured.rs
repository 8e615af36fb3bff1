//! The three processes with mutual TLS between them, on loopback; their certificates lie as Kubernetes lays them.

use std::os::unix::fs::symlink;

use sluice_domain::Secret;
use sluice_rpc::{Authorities, BearerToken, ClientTls, Credentials, Identity, Transport};
use sluice_runtime::Current;
use sluice_testkit::{Authority, Certified};
use sluice_tests::{Backend, Deployment, House, Process, Service, until};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

/// What the log says when files that were replaced are in force.
const IN_FORCE: &str = "the new ones are in force";

/// Who all of them are: a certificate for loopback.
pub(crate) const NAMES: [&str; 1] = ["127.0.0.1"];

/// The house, whose own account of itself is in clear; it has no processes.
pub(crate) struct Secured {
    // Dropped first.
    processes: Vec<(Service, Process)>,
    pub(crate) house: House,
    pub(crate) authority: Authority,
    versions: u32,
}

impl Secured {
    /// Keys, tokens and certificates, and nobody at home yet.
    pub(crate) async fn empty(backend: Backend) -> Self {
        let house = House::setup(Deployment::three_processes(backend)).empty().await;
        let authority = Authority::new();
        let mut secured = Self { processes: Vec::new(), house, authority, versions: 0 };
        let own = secured.authority.certify(&NAMES);
        secured.lay(&own, &secured.authority.pem());
        secured
    }

    /// All at work, `acme` on a plan; with settings more.
    pub(crate) async fn open(backend: Backend, settings: &[&str]) -> Self {
        let mut secured = Self::empty(backend).await;
        for service in Service::ALL {
            secured.launch(service, settings);
        }
        for service in Service::ALL {
            secured.serves(service).await;
        }
        secured.house.put_plan("advanced").await;
        secured
    }

    /// Lays a certificate, its key and authorities where all processes look, at one stroke.
    pub(crate) fn lay(&mut self, own: &Certified, authorities: &str) {
        self.versions += 1;
        let version = format!("tls-{}", self.versions);
        let folder = self.house.folder();
        std::fs::create_dir(folder.join(&version)).unwrap();
        for (name, text) in [("tls.crt", own.chain.as_str()), ("tls.key", &own.key), ("ca.crt", authorities)]
        {
            std::fs::write(folder.join(&version).join(name), text).unwrap();
        }
        symlink(&version, folder.join("next")).unwrap();
        std::fs::rename(folder.join("next"), folder.join("tls")).unwrap();
    }

    /// Starts a service's process, with settings more, and does not wait for it.
    pub(crate) fn launch(&mut self, service: Service, settings: &[&str]) {
        let mut command = self.house.command(service);
        for setting in self.settings(service).iter().map(String::as_str).chain(settings.iter().copied()) {
            command.args(["--set", setting]);
        }
        let said = self.house.folder().join(format!("{}.log", service.name()));
        let process = Process::start(service.name(), command, &said);
        self.processes.push((service, process));
    }

    fn settings(&self, service: Service) -> Vec<String> {
        let mut settings = vec!["process.reload_interval=100ms".to_owned()];
        if service != Service::Evaluator {
            let files = ["cert_file=tls/tls.crt", "key_file=tls/tls.key", "client_ca_file=tls/ca.crt"];
            settings.extend(files.map(|file| format!("process.internal_tls.{file}")));
        }
        let upstreams: &[Service] = match service {
            Service::Registry => &[],
            Service::Evaluator => &[Service::Registry, Service::Dispatcher],
            Service::Dispatcher => &[Service::Registry],
        };
        for upstream in upstreams {
            let name = upstream.name();
            settings.push(format!("{name}.address=https://{}", self.house.inside(*upstream)));
            let files = ["ca_file=tls/ca.crt", "cert_file=tls/tls.crt", "key_file=tls/tls.key"];
            settings.extend(files.map(|file| format!("{name}.{file}")));
        }
        settings
    }

    /// Waits until the service says in public that it serves.
    pub(crate) async fn serves(&mut self, service: Service) {
        let channel = self.house.channels(service).remove(0);
        until("the service serves", async || {
            assert_eq!(self.process(service).status(), None, "{}", self.process(service).said());
            let answer = HealthClient::new(channel.clone()).check(HealthCheckRequest::default()).await;
            (answer.ok()?.into_inner().status == 1).then_some(())
        })
        .await;
    }

    /// The process of a service that was started.
    pub(crate) fn process(&mut self, service: Service) -> &mut Process {
        let found = self.processes.iter_mut().rev().find(|(whose, _)| *whose == service);
        &mut found.expect("the service should have been started").1
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self, service: Service) {
        let at = self.processes.iter().position(|(whose, _)| *whose == service);
        self.processes.swap_remove(at.expect("the service should have been started")).1.kill();
    }

    /// How often the service's log told of files of this setting that came into force.
    pub(crate) fn renewed(&mut self, service: Service, setting: &str) -> usize {
        let said = self.process(service).said();
        said.lines().filter(|line| line.contains(IN_FORCE) && line.contains(setting)).count()
    }

    /// Waits until that many came into force.
    pub(crate) async fn renews(&mut self, service: Service, setting: &str, times: usize) {
        until("new files are in force", async || (self.renewed(service, setting) >= times).then_some(()))
            .await;
    }

    /// Our own way to a service's internal listener.
    pub(crate) fn way(&self, service: Service, tls: ClientTls, token: Option<&str>) -> Transport {
        way(&format!("https://{}", self.house.inside(service)), tls, token)
    }
}

/// A way to an address.
pub(crate) fn way(address: &str, tls: ClientTls, token: Option<&str>) -> Transport {
    let token = token.map(|token| Current::new(BearerToken::new(&Secret::new(token)).unwrap()));
    Transport::connect_with(address, Credentials { token, tls: Some(tls.into()) }).unwrap()
}

/// Who believes this authority and shows that.
pub(crate) fn showing(authority: &Authority, own: Option<&Certified>) -> ClientTls {
    let servers = Authorities::from_pem(&authority.pem()).unwrap();
    match own {
        None => ClientTls::trusting(&servers).unwrap(),
        Some(own) => {
            let identity = Identity::from_pem(&own.chain, &Secret::new(own.key.as_str())).unwrap();
            ClientTls::mutual(&servers, identity).unwrap()
        }
    }
}
