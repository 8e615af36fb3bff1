//! What the services stand on: keys, tokens, databases, addresses and settings, the same after a restart.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use sluice_auth::{Principal, Signer, generate_ed25519};
use sluice_domain::{Secret, Span};
use sluice_registry::seal::MasterKeys;
use sluice_runtime::{Clock, Entropy};
use sluice_testkit::{FaultProxy, TestDatabase};
use tempfile::TempDir;
use tonic::transport::{Channel, Endpoint};

use crate::binaries::{SLUICE, binary};
use crate::deployment::Shape;
use crate::ports::free_address;
use crate::service::Service::{self, Dispatcher, Evaluator, Registry};
use crate::settings;

/// As the example files have it.
pub(crate) const ISSUER: &str = "sluice";
const KID: &str = "main";
const PUBLIC_KEY_FILE: &str = "token-key.pub.pem";
const SEALING_KEYS_FILE: &str = "sealing-keys";
const SUITE_FILE: &str = "sluice.toml";
/// Where `sluice up` keeps keys and database files, and where the others' database files are, too.
const DATA: &str = "data";

/// How long a token is good.
pub(crate) const LIFETIME: Span = Span::from_secs(900);
/// How long a server may take to answer a call of ours.
const CALL_TIMEOUT: Duration = Duration::from_secs(20);

/// Where a service is called.
#[derive(Debug, Clone)]
pub(crate) struct Doors {
    pub(crate) public: (SocketAddr, Channel),
    /// Nothing is there in one process, nor for a service without internal calls.
    pub(crate) internal: (SocketAddr, Channel),
}

/// The premises. A test's folder and database are gone with them.
#[derive(Debug)]
pub(crate) struct Premises {
    pub(crate) shape: Shape,
    pub(crate) doors: [Doors; 3],
    pub(crate) signer: Signer,
    pub(crate) secrets: Vec<Secret>,
    pub(crate) proxy: Option<FaultProxy>,
    pub(crate) on_server: Option<TestDatabase>,
    /// The URL of a PostgreSQL server that is the test's own.
    pub(crate) own_server: Option<String>,
    /// What the processes have in their environment.
    pub(crate) variables: Vec<(&'static str, PathBuf)>,
    /// The command that starts them, which runs what it is given; empty when they are started themselves.
    pub(crate) through: Vec<String>,
    settings: Vec<String>,
    folder: TempDir,
}

impl Premises {
    /// Makes keys and tokens, and finds addresses; `settings` are those of the test.
    pub(crate) fn new(
        shape: Shape,
        on_server: Option<TestDatabase>,
        proxy: Option<FaultProxy>,
        settings: Vec<String>,
    ) -> Self {
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
        std::fs::create_dir(folder.path().join(DATA)).expect("the folder of the databases");
        for service in [Evaluator, Dispatcher] {
            let who = Principal::service(service.name().parse().expect("a user's name"));
            let token = signer.mint(&who, Clock::system().now(), LIFETIME).expect("a token");
            write(&format!("{}.token", service.name()), &format!("{token}\n"));
            secrets.push(Secret::new(token));
        }
        let (public, internal) = (door(), door());
        let doors = Service::ALL.map(|_| match shape {
            Shape::OneProcess => Doors { public: public.clone(), internal: internal.clone() },
            Shape::ThreeProcesses => Doors { public: door(), internal: door() },
        });
        let (own_server, variables, through) = (None, Vec::new(), Vec::new());
        Self {
            shape,
            doors,
            signer,
            secrets,
            proxy,
            on_server,
            own_server,
            variables,
            through,
            settings,
            folder,
        }
    }

    /// The folder with the keys, the tokens, the databases, and what the processes said.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The folder with the database files.
    pub(crate) fn data(&self) -> PathBuf {
        self.folder().join(DATA)
    }

    /// Adds a setting, in force from the next start.
    pub(crate) fn set(&mut self, setting: &str) {
        self.settings.push(setting.to_owned());
    }

    /// A way to each of a service's listeners, the public one first.
    pub(crate) fn channels(&self, service: Service) -> Vec<Channel> {
        let Doors { public, internal } = &self.doors[service as usize];
        let inside = self.shape == Shape::ThreeProcesses && service != Evaluator;
        [&public.1].into_iter().chain(inside.then_some(&internal.1)).cloned().collect()
    }

    /// The command that starts a service of three: its example file, its own binary, the folder with the keys.
    pub(crate) fn service(&self, service: Service) -> Command {
        let name = service.name();
        let example = format!("{}/../services/{name}/{name}.example.toml", env!("CARGO_MANIFEST_DIR"));
        let mut command = self.command(service.binary());
        command.args(["--config", &example]);
        for setting in self.of_service(service) {
            command.args(["--set", &setting]);
        }
        command
    }

    /// The command that starts all three in one process.
    pub(crate) fn suite(&self) -> Command {
        let mut command = self.command(SLUICE);
        command.args(["up", "--config"]).arg(self.suite_file());
        command
    }

    /// The settings of all three in one process, written to a file.
    pub(crate) fn suite_file(&self) -> PathBuf {
        let mut settings = vec![
            format!("data={}", self.data().display()),
            format!("listen={}", self.doors[0].public.0),
            format!(
                "auth.keys=[{{ kid = \"{KID}\", public_key_file = \"{}\" }}]",
                self.folder().join(PUBLIC_KEY_FILE).display()
            ),
            format!("registry.sealing.keys_file={}", self.folder().join(SEALING_KEYS_FILE).display()),
        ];
        settings.extend(self.database().map(|address| format!("database={address}")));
        settings.extend(settings::common().chain(self.settings.iter().cloned()));
        let file = self.folder().join(SUITE_FILE);
        std::fs::write(&file, settings::as_toml(&settings)).expect("the settings should be written");
        file
    }

    /// What differs from a service's example file.
    fn of_service(&self, service: Service) -> Vec<String> {
        let doors = &self.doors[service as usize];
        let database = match self.database() {
            Some(address) => {
                let and = if address.contains('?') { '&' } else { '?' };
                format!("{address}{and}schema={}", service.name())
            }
            None => format!("sqlite:{}/{}.db", self.data().display(), service.name()),
        };
        let mut settings = vec![
            format!("process.listen={}", doors.public.0),
            format!("process.database={database}"),
            "process.drain_within=30s".to_owned(),
        ];
        if service != Evaluator {
            settings.push(format!("process.internal_listen={}", doors.internal.0));
        }
        let inside = |service: Service| self.doors[service as usize].internal.0;
        if service != Registry {
            settings.push(format!("registry.address=http://{}", inside(Registry)));
        }
        if service == Evaluator {
            settings.push(format!("dispatcher.address=http://{}", inside(Dispatcher)));
        }
        let all = settings::common().chain(self.settings.iter().cloned());
        settings.extend(all.filter_map(|setting| settings::of(service, &setting)));
        settings
    }

    /// The PostgreSQL database's URL, through the proxy if there is one.
    fn database(&self) -> Option<String> {
        if let Some(own) = &self.own_server {
            return Some(own.clone());
        }
        let address = self.on_server.as_ref()?.address().expect("it is on the server");
        Some(match &self.proxy {
            Some(proxy) => settings::with_place(address, &proxy.address().to_string()),
            None => address.to_owned(),
        })
    }

    fn command(&self, name: &str) -> Command {
        let mut command = match self.through.split_first() {
            None => Command::new(binary(name)),
            Some((first, rest)) => {
                let mut command = Command::new(first);
                command.args(rest).arg(binary(name));
                command
            }
        };
        command.current_dir(self.folder());
        let ours = |name: &std::ffi::OsString| name.to_string_lossy().starts_with("SLUICE_");
        for (variable, _) in std::env::vars_os().filter(|(name, _)| ours(name)) {
            command.env_remove(variable);
        }
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }
}

/// Somebody who signs tokens with this key, under our issuer's name.
pub fn signer(private_key: &Secret) -> Signer {
    Signer::from_ed25519_pkcs8_pem(ISSUER, KID, private_key).expect("the private key should sign")
}

fn door() -> (SocketAddr, Channel) {
    let address = free_address();
    let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("an endpoint");
    (address, endpoint.timeout(CALL_TIMEOUT).connect_lazy())
}
